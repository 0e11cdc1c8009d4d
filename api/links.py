"""Links of an MMS, asked before it is accepted: while no transaction is open, and not for an answer given before."""

from sqlalchemy import Engine

from worker import idempotency
from worker.db import open_session
from worker.idempotency import Key
from worker.link_check import refuse_bad_links
from worker.mms import Mms


def check_links(engine: Engine, key: Key | None, mms: Mms | None) -> None:
    """Errors: Refusal."""
    if mms is None or not mms.urls:
        return
    if key is not None:
        with open_session(engine) as session:
            if idempotency.is_answered(session, key):
                return
    refuse_bad_links(mms)
