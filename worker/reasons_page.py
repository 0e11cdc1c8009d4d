"""The page of reasons, docs/reasons.md, made of the tables that the code reads: `make reasons` writes it."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Final

from worker.infobip.error_codes import ERROR_CODES, ErrorCode
from worker.infobip.statuses import STATUS_CODES, Decider, StatusCode
from worker.sentences import REASONS
from worker.states import State
from worker.words import Block, Outcome

_HEAD: Final = """# Reasons

Every code that a message, an attempt or a batch may give as its reason: what happened, and what to do. This page is
made from the tables that the system itself reads (`worker/sentences.py`, `worker/infobip/statuses.py`,
`worker/infobip/error_codes.py`) and not edited by hand: after a change there, `make reasons` writes it anew.

Each code has an anchor of its own, in small letters: [#ec_absent_subscriber](#ec_absent_subscriber). Where an answer of
Infobip's holds both a status and an error, the reason names the one that decided."""

_REPLAYED: Final = "It is not sent any more. A [replay](replay.md) takes it, unless its `states` leave it out."
_ENDS: Final = {
    State.FAILED: _REPLAYED,
    State.EXPIRED: _REPLAYED,
    State.SUPPRESSED: "It is not sent any more. A replay takes it where its `states` name it and consent allows it.",
    State.CANCELLED: "It is not sent any more. A replay takes it where its `states` name it.",
    State.UNCONFIRMED: "It is not sent any more. A replay takes it only with `include_unconfirmed`.",
    State.DELIVERED: "It is not sent any more, and never replayed.",
}
_NO_END: Final = (
    "It is the reason of a request, and the message stays on its way: it goes out again, or is asked about."
)

_MEANS: Final = {
    Outcome.PENDING: ("waits", "Infobip has it: its delivery report is awaited."),
    Outcome.DELIVERED: ("delivered", "The recipient has it."),
    Outcome.TRANSIENT: ("tried again", "It ends as expired, with this reason, if no attempt passes while it is valid."),
    Outcome.PERMANENT: ("failed", "The same message would fail again, so it ends as failed."),
    Outcome.EXPIRED: ("expired", "It ends as expired; it is tried again where its validity period still has time."),
    Outcome.UNKNOWN: ("unconfirmed", "The recipient may have it, so it is not sent again."),
    Outcome.ACCOUNT: ("account", "The account's lanes are held: it waits there until the account sends again."),
    Outcome.DUPLICATE: ("in doubt", "Infobip's logs are asked whether an earlier try of this attempt arrived."),
}
_ERROR_DECIDES: Final = (
    "its error, else ...",
    "The error that comes with the status decides; without one, what follows.",
)
_STATUS_DECIDES: Final = ("its status", "The status that comes with the error decides.")
_BLOCKS: Final = {
    Block.ALL: ("number blocked", "A fact of [consent](consent.md): nothing goes to the number until it opts in."),
    Block.MARKETING: ("marketing barred", "A fact of consent: the number counts as opted out of marketing."),
}
_NO_MMS: Final = ("no MMS", "Of an MMS: the phone or the network takes none, and an SMS may arrive.")

_GROUPS: Final = {0: "no error", 1: "handset", 2: "user", 3: "operator"}


def page() -> str:
    """All of it, as Markdown."""
    parts = [_HEAD, *_ours(), *_words(), *_statuses(), *_errors()]
    return "\n\n".join(parts) + "\n"


def _ours() -> Iterator[str]:
    yield "## Our own"
    names = _anchored(REASONS)
    yield _table(
        ("Code", "Ends as", "What happened", "What to do"),
        (
            (next(names), ", ".join(reason.ends_as) or "none", reason.happened, reason.advice)
            for reason in REASONS.values()
        ),
    )
    yield "A late `delivered` still wins over every other end. Until then:"
    yield _table(("Ends as", "What follows"), [*_ENDS.items(), ("none", _NO_END)])


def _words() -> Iterator[str]:
    yield "## What Infobip's codes mean here"
    yield _table(("Means", ""), [*_MEANS.values(), _ERROR_DECIDES, _STATUS_DECIDES, *_BLOCKS.values(), _NO_MMS])


def _statuses() -> Iterator[str]:
    yield "## Infobip's statuses"
    yield "Groups: 1 pending, 2 undeliverable, 3 delivered, 4 expired, 5 rejected, which any other status follows."
    names = _anchored(row.name for row in STATUS_CODES)
    yield _table(
        ("ID", "Group", "Name", "Means", "What happened", "What to do"),
        ((str(row.id), str(row.group_id), next(names), _means(row), *row.explanation) for row in STATUS_CODES),
    )


def _errors() -> Iterator[str]:
    names = _anchored(row.name for row in ERROR_CODES)
    for group, rows in groupby(ERROR_CODES, _group):
        yield f"## Infobip's errors: {group}"
        yield _table(
            ("ID", "Name", "Means", "What happened", "What to do"),
            [(str(row.id), next(names), _means(row), *row.explanation) for row in rows],
        )


def _group(row: ErrorCode) -> str:
    if row.group_id is not None:
        return _GROUPS[row.group_id]
    return "MMS" if row.id >= 15_000 else "India DLT"


def _means(row: StatusCode | ErrorCode) -> str:
    if row.outcome is None:
        means = _STATUS_DECIDES[0]
    else:
        means = _MEANS[row.outcome][0]
        if isinstance(row, StatusCode) and row.decider is Decider.ERROR:
            means = _ERROR_DECIDES[0].replace("...", means)
    block = [_BLOCKS[row.block][0]] if row.block is not None else []
    return ", ".join([means, *block, *([_NO_MMS[0]] if row.refuses_mms else [])])


def _anchored(codes: Iterable[str]) -> Iterator[str]:
    """Each as code, with an anchor before it where it stands for the first time."""
    seen: set[str] = set()
    for code in codes:
        yield f"`{code}`" if code in seen else f'<a id="{code.lower()}"></a>`{code}`'
        seen.add(code)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = chain([head, ["---"] * len(head)], rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _target() -> Path:
    """The file to write: the one argument of the command."""
    _, path = sys.argv
    return Path(path)


if __name__ == "__main__":
    _target().write_text(page())
