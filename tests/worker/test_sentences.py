"""Every reason says what happened and what to do: ours, Infobip's, and those of codes that nobody knows."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.explanations import Explanation
from worker.gate import BARRED_ENDS_AS
from worker.infobip.error_codes import ERROR_CODES, ErrorCode
from worker.infobip.statuses import STATUS_CODES, StatusCode
from worker.sentences import REASONS, SENTENCES, explain
from worker.states import FINAL
from worker.words import Outcome

INFOBIPS: list[StatusCode | ErrorCode] = [*STATUS_CODES, *ERROR_CODES]
EVERY_EXPLANATION = [
    *(pytest.param(Explanation(reason.happened, reason.advice), id=code) for code, reason in REASONS.items()),
    *(pytest.param(row.explanation, id=f"{row.name}-{row.group_id}") for row in INFOBIPS),
]
# How an advice may begin: with what somebody is to do, or that there is nothing, or what the system does meanwhile.
VERBS = {
    *("Activate", "Add", "Ask", "Change", "Check", "Compare", "Complete", "Correct", "Find", "Give", "Have", "Keep"),
    *("Link", "Make", "Name", "Put", "Raise", "Read", "Reactivate", "Register", "Renew", "Replay", "Send"),
    *("Set", "Settle", "Shorten", "Take", "Top", "Use"),
}
OTHERWISE = ("Nothing to do", "Do not send it again", "Do not send to this number again", "It is tried again; ")


@pytest.mark.parametrize("explanation", EVERY_EXPLANATION)
def test_what_happened_is_one_whole_sentence(explanation: Explanation) -> None:
    """Short views show it alone, cut at the first full stop that a space follows."""
    assert re.fullmatch(r"[A-Z](?!.*\. ).*[A-Za-z0-9)]\.", explanation.happened)
    assert explanation.sentence.split(". ")[0] == explanation.happened.removesuffix(".")


@pytest.mark.parametrize("explanation", EVERY_EXPLANATION)
def test_advice_is_whole_and_begins_with_what_to_do(explanation: Explanation) -> None:
    assert re.fullmatch(r"[A-Z].*[A-Za-z0-9)]\.", explanation.advice)
    assert explanation.advice.startswith(OTHERWISE) or explanation.advice.split()[0] in VERBS


@pytest.mark.parametrize("explanation", EVERY_EXPLANATION)
def test_nothing_is_said_twice_or_spaced_wrongly(explanation: Explanation) -> None:
    assert "  " not in explanation.sentence
    assert explanation.happened != explanation.advice


@pytest.mark.parametrize("row", INFOBIPS, ids=lambda row: f"{row.name}-{row.group_id}")
def test_what_is_tried_again_is_said_to_be_and_nothing_else(row: StatusCode | ErrorCode) -> None:
    """An expired one is where its validity period has time left."""
    is_tried = row.outcome in (Outcome.TRANSIENT, Outcome.EXPIRED)
    assert ("it is tried again" in row.explanation.advice.lower()) is is_tried


@pytest.mark.parametrize("code", REASONS)
def test_our_reasons_end_messages_in_final_states_only(code: str) -> None:
    assert set(REASONS[code].ends_as) <= set(FINAL)


@pytest.mark.parametrize("code", BARRED_ENDS_AS)
def test_what_bars_a_message_ends_it_as_the_gate_says(code: str) -> None:
    assert REASONS[code].ends_as == (BARRED_ENDS_AS[code],)


@given(st.text().filter(lambda code: code not in SENTENCES and not code.isupper()))
def test_a_code_that_nobody_knows_stands_for_itself(code: str) -> None:
    assert explain(code) == code
