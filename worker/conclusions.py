"""What follows for an attempt about which Infobip's logs told nothing: another look, going out again, or the end."""

from datetime import timedelta

from worker import fates
from worker.locking import LockedMessage
from worker.look_times import LOGS_REACH_BACK, missing_report_look
from worker.reasons import ACCOUNT_CHANGED, UNKNOWN_FATE
from worker.retry import LEAST_REMAINING
from worker.settings import Settings
from worker.transitions import Transitions

LOGS_AWAY_WAIT = timedelta(seconds=15)  # until an account's logs are asked again that did not answer


def no_report_yet(
    transitions: Transitions, message: LockedMessage, settings: Settings, *, are_logs_known: bool, is_former: bool
) -> None:
    """Accepted, and no final report: ask again. `is_former`: of an account that cannot be asked any more, where only a
    report can tell."""
    now, delays = transitions.now, settings.missing_report_after
    if are_logs_known or is_former:
        looks = message.looks + 1 if are_logs_known else len(delays) + 1
        look_at = missing_report_look(message.answered_at or now, looks, message.expires_at, delays)
        fates.await_report(transitions, message, looks, look_at)
    else:
        fates.await_report(transitions, message, message.looks, now + LOGS_AWAY_WAIT)


def absent_once_more(transitions: Transitions, message: LockedMessage, settings: Settings) -> bool:
    """The logs do not show it. True where, after the last of its looks, it is to go out again."""
    delays = settings.doubt_looks
    looks = min(message.looks + 1, len(delays))
    if looks < len(delays):
        fates.stay_in_doubt(transitions, message, looks, delays[looks] - delays[looks - 1])
    elif message.barred is not None or message.expires_at < transitions.now + LEAST_REMAINING:
        fates.end_unsent(transitions, message)
    elif not message.may_leave:  # not now, and yet perhaps
        fates.wait_absent(transitions, message, len(delays) - 1)
    else:
        fates.absent(transitions, message, looks)
        return True
    return False


def doubt_without_logs(transitions: Transitions, message: LockedMessage) -> None:
    """The logs did not answer: they are asked again, until they would have forgotten."""
    if message.doubted_at is not None and transitions.now > message.doubted_at + LOGS_REACH_BACK:
        fates.leave_unconfirmed(transitions, message, UNKNOWN_FATE)
    else:
        fates.stay_in_doubt(transitions, message, message.looks, LOGS_AWAY_WAIT)


def doubt_for_good(transitions: Transitions, message: LockedMessage, settings: Settings) -> None:
    """The account that may have it cannot be asked, and another must not get it: only a report can tell now."""
    if transitions.now >= message.expires_at + settings.report_grace:
        fates.leave_unconfirmed(transitions, message, ACCOUNT_CHANGED)
    else:
        fates.stay_in_doubt(transitions, message, message.looks, max(settings.report_grace, LOGS_AWAY_WAIT))
