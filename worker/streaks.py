"""When refused messages have one cause: a bad sender, say, which Infobip refuses in every request that holds it.

A message that is refused alone fails alone. Twenty in a row, refused alike, are no bad luck: their batch is paused
instead of burning thousands of messages and requests; where they span three batches, it is the lane. Pure.
"""

import re
from dataclasses import dataclass, replace
from uuid import UUID

from worker.words import MOST_WORDS

REFUSED_IN_A_ROW = 20
BATCHES_OF_A_LANE = 3

_PLACES = re.compile(r"\d+")


def alike(words: str) -> str:
    """Infobip's words without what differs from message to message: its place in the request, its number."""
    return _PLACES.sub("#", words)[:MOST_WORDS]


@dataclass(frozen=True, slots=True)
class Streak:
    """The last refusals in a row, alike, of a batch or of a lane. `batches`: whose they are, as many as matter."""

    words: str | None = None
    count: int = 0
    batches: frozenset[UUID] = frozenset()

    def after(self, words: str, batch: UUID) -> "Streak":
        """One more refusal. Another cause begins anew."""
        if not self.is_of(words):
            return Streak(alike(words), 1, frozenset({batch}))
        spans = self.batches if len(self.batches) >= BATCHES_OF_A_LANE else self.batches | {batch}
        return replace(self, count=self.count + 1, batches=spans)

    def is_of(self, words: str) -> bool:
        return alike(words) == self.words

    @property
    def stops_batch(self) -> bool:
        return self.count >= REFUSED_IN_A_ROW

    @property
    def stops_lane(self) -> bool:
        return self.count >= REFUSED_IN_A_ROW and len(self.batches) >= BATCHES_OF_A_LANE
