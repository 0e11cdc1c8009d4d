"""What is drawn for a run in any order, and how often: what is worth more turns stands more than once."""

from hypothesis import strategies as st

from tests.worker.any_order.model_infobip import Fate, Said, Way
from worker.boundaries import Boundary
from worker.windows import OFF

SECONDS = st.sampled_from([*[None] * 15, 1, 6, 21, 61, 130, 700])
VALIDITIES = st.sampled_from([3600, 3600, 48 * 3600, 48 * 3600, 180, 20])
# As a request gives them; the recipients are Indian, and so India's hours hold besides, 04:30 to 15:30.
WINDOWS = st.sampled_from(
    [
        *[OFF] * 4,
        None,
        {"from": "12:00", "to": "13:00", "time_zone": "UTC"},
        {"from": "12:01", "to": "14:00", "time_zone": "UTC"},
        {"from": "15:00", "to": "06:00", "time_zone": "UTC"},
    ]
)
INDEX = st.integers(0, 7)
STATUSES = st.sampled_from(
    [
        *(Said.ACCEPTED, Said.ACCEPTED, Said.ACCEPTED, Said.ACCEPTED, Said.SYSTEM_ERROR, Said.SYSTEM_ERROR),
        *(Said.BAD_NUMBER, Said.NO_CREDIT, Said.STRANGE, Said.UNKNOWN, Said.BLOCKED, None),
    ]
)
FATES = st.builds(
    Fate,
    st.sampled_from([*[Way.ANSWERED] * 6, *[Way.LOST, Way.LATE, Way.VANISHED] * 3, *Way]),
    st.lists(STATUSES, min_size=1, max_size=2).map(tuple),
    st.sampled_from([0.0, 90.0]),
)
FEW_FATES = st.lists(FATES, min_size=1, max_size=3)
NEWS = st.sampled_from(
    [
        *(Said.AWAY, Said.AWAY, Said.AWAY, Said.DELIVERED, Said.REFUSED_FOR_GOOD, Said.PENDING, Said.TO_OPERATOR),
        *(Said.EXPIRED, Said.UNKNOWN, Said.NO_CREDIT, Said.STRANGE, Said.DUPLICATE, Said.BLOCKED, Said.ON_REGISTER),
    ]
)
LOG_TROUBLES = st.sampled_from(
    [*[()] * 6, (Way.VANISHED,), (Way.THROTTLED,), (Way.NOT_SENT,), (None, Way.VANISHED), (None, Way.THROTTLED)]
)
CALLS = st.sampled_from([*[None] * 6, 0, 1])  # of the logs, that the budget grants; None: all
SEND_DEATHS = st.sampled_from(
    [
        *[None] * 10,
        *(Boundary.CLAIM_WRITTEN, Boundary.CLAIM_COMMITTED, Boundary.ANSWER_RECEIVED),
        *(Boundary.ANSWER_WRITTEN, Boundary.ANSWER_COMMITTED),
    ]
)
LOOK_DEATHS = st.sampled_from(
    [*[None] * 12, Boundary.LOOK_TAKEN, Boundary.LOGS_READ, Boundary.LOOK_WRITTEN, Boundary.LOOK_COMMITTED]
)
STEERING = st.sampled_from(
    [*["hold and free"] * 6, "pause", "pause", "new key", "new account", "cancel", "stop", "stop", "join", "start"]
)
LEASE_DEATHS = st.sampled_from([*[None] * 6, Boundary.LEASE_WRITTEN, Boundary.LEASE_COMMITTED])


class EveryRule:
    """Hypothesis's word for which rules may be drawn."""

    def is_enabled(self, _: object) -> bool:
        return True
