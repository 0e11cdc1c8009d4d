"""Replies to inbound messages: which text answers, and when none goes. Pure.

None goes to a short code, an alphanumeric sender or our own number, none to an echo of our own text; what asked for
nothing and is hours old is not answered any more. For the same action at most one goes in a minute and ten in a day to
the same person: whatever answers at the other end, no loop lasts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.keywords import Keywords, normalise
from worker.words import Action

LONGEST_VALIDITY = timedelta(hours=4)  # an answer to what was written this morning is worth nothing tonight
PAUSE = timedelta(minutes=1)
DAY = timedelta(days=1)
MOST_A_DAY = 10
COMPARED = 1_000  # characters from the start of a text
_LONG_ECHO = 500  # characters of the form: so much of a text of ours is an echo, however it goes on
LEAST_ECHO = 20  # characters of the form: a shorter text of ours may stand in somebody's own words

NO_MESSAGE = "no_message"
NOT_A_NUMBER = "not_a_number"
OWN_NUMBER = "own_number"
NO_SENDER = "no_sender"
NUMBER_BLOCKED = "number_blocked"
ECHO = "echo"
TOO_SOON = "too_soon"
TOO_MANY = "too_many"
CREDENTIAL_DELETED = "credential_deleted"
TOO_LATE = "too_late"
FAILED = "failed"

KEYWORD_PLACE = "{{keyword}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A credential's replies as configured; None: not set."""

    opt_in: str | None
    opt_out: str | None
    help: str | None
    double_opt_in: str | None
    near_miss: str | None
    default: str | None


def text_for(action: Action, texts: Texts, keywords: Keywords, keyword: str | None) -> str | None:
    """The text that answers; None: none is set. `keyword`: the one that was met, or meant."""
    stop, ask = _word(keywords, Action.OPT_OUT, "STOP"), _word(keywords, Action.HELP, "HELP")
    start, confirm = _word(keywords, Action.OPT_IN, "START"), _word(keywords, Action.OPT_IN, "YES")
    match action:
        case Action.OPT_IN:
            return texts.opt_in or f"You are subscribed. Reply {stop} to unsubscribe, {ask} for help."
        case Action.OPT_OUT:
            return texts.opt_out or f"You are unsubscribed and get no more messages. Reply {start} to subscribe again."
        case Action.HELP:
            return texts.help or f"Reply {start} to subscribe, {stop} to unsubscribe."
        case Action.DOUBLE_OPT_IN:
            return texts.double_opt_in or f"Reply {confirm} to confirm your subscription, {stop} to end it."
        case Action.NEAR_MISS:
            return _naming(texts.near_miss, keyword or stop) if texts.near_miss else None
        case Action.NONE:
            return texts.default
        case Action.CUSTOM | Action.OTHER_NUMBER:
            return None


def form(text: str) -> str:
    """The form in which texts are compared. Empty: it holds no letter or digit."""
    return normalise(text[:COMPARED])


def own_forms(texts: Texts, keywords: Keywords) -> tuple[str, ...]:
    """The forms of all that a credential may answer."""
    answers = (text_for(action, texts, keywords, None) for action in Action)
    return tuple(form(answer) for answer in answers if answer is not None)


def is_echo(theirs: str, ours: Iterable[str]) -> bool:
    """Whether what was written is a text of ours, holds one, or is a piece of one. All are forms."""
    return any(
        (theirs and theirs == text)
        or (len(text) >= LEAST_ECHO and text[:_LONG_ECHO] in theirs)
        or (len(theirs) >= LEAST_ECHO and theirs in text)
        for text in ours
    )


def too_often(earlier: Sequence[datetime], now: datetime) -> str | None:
    """`earlier`: when this person was answered for this action. Why another answer would be too much."""
    if any(now - at < PAUSE for at in earlier):
        return TOO_SOON
    return TOO_MANY if sum(now - at < DAY for at in earlier) >= MOST_A_DAY else None


def _word(keywords: Keywords, action: Action, preferred: str) -> str:
    """One that is sure to be met: the administrator's first, else the default that reads best."""
    configured = keywords.configured[action]
    return configured[0] if configured else preferred


def _naming(text: str, keyword: str) -> str:
    """With the exact word in it, wherever the administrator wants it, or else at the end."""
    text = text.replace(KEYWORD_PLACE, keyword)
    is_named = f" {normalise(keyword, between=' ')} " in f" {normalise(text, between=' ')} "
    return text if is_named else f"{text} {keyword}"
