"""Near misses: a table of messages, and what holds for any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.near_misses import near_miss

OPT_OUTS = ["stop", "quit", "cancel", "end", "unsubscribe", "no", "stopall", "revoke", "optout", "opt out"]
letters = st.sampled_from("bcdfgjqvwx")  # no filler is made of these


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        # One slip: swapped, left out, added, taken for another.
        ("stpo", "stop"),
        ("sto", "stop"),
        ("stopp", "stop"),
        ("stip", "stop"),
        ("cancle", "cancel"),
        ("opt oit", "optout"),
        # Two slips, in a long word.
        ("unsubscrib", "unsubscribe"),
        ("unsuscrib", "unsubscribe"),
        ("nsubscribe", "unsubscribe"),
        # A keyword among few words.
        ("please stop", "stop"),
        ("i want to quit today", "quit"),
        ("opt out for good", "opt out"),
        ("stop or revoke", "revoke"),
        # A keyword but for fillers and spaces.
        ("stop it", "stop"),
        ("no thanks", "no"),
        ("no thank you", "no"),
        ("ok no more messages please", "no"),
        ("end this now", "end"),
        ("please please please just stop it now ok thank you", "stop"),
        ("s t o p", "stop"),
        ("un subscribe", "unsubscribe"),
        ("pls unsubscrib me", "unsubscribe"),
    ],
)
def test_who_may_want_to_opt_out_is_told_the_keyword_that_is_nearest(text: str, meant: str) -> None:
    assert near_miss(text, OPT_OUTS) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "please",
        "ok thanks",
        # Short keywords are words of any sentence, and near to any other word.
        "no problem see you tomorrow",
        "i said no to him",
        "see you in the end",
        "not",
        "and",
        "on",
        "go",
        # Two slips from a short keyword, three from a long one, two from one that begins otherwise.
        "spto",
        "stock",
        "unsbscrb",
        "subscribe",
        "resubscribe",
        # Parts of words, and sentences.
        "nonstopping",
        "the bus does not stop here",
        "cancellation",
    ],
)
def test_what_is_far_from_every_keyword_is_no_near_miss(text: str) -> None:
    assert near_miss(text, OPT_OUTS) is None


@pytest.mark.parametrize(
    ("text", "word", "is_near"),
    [
        ("abd", "abc", False),
        ("abce", "abcd", True),
        ("abcde", "abcdefg", False),
        ("abcdef", "abcdefgh", True),
        ("bacdef", "abcdefgh", False),
        ("abcde", "abcdefgh", False),
    ],
)
def test_slips_forgiven_grow_with_the_length_of_the_keyword(text: str, word: str, is_near: bool) -> None:
    assert (near_miss(text, [word]) is not None) is is_near


def test_of_several_keywords_the_nearest_is_meant() -> None:
    assert near_miss("unsubscrib", ["unsubscribed", "unsubscribe"]) == "unsubscribe"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("कृपया बंद करो", "बंद करो"),
        ("बंद कर", "बंद करो"),
        ("إيقاف من فضلك", "إيقاف"),
        ("ايقاف", "إيقاف"),
        ("стоп пожалуйста", "стоп"),
        ("стпо", "стоп"),
    ],
)
def test_keywords_of_any_script_have_near_misses(text: str, word: str) -> None:
    assert near_miss(text, [*OPT_OUTS, word]) == word


@given(word=st.text(letters, min_size=4, max_size=12), letter=letters, data=st.data())
def test_one_slip_in_a_word_of_four_letters_is_always_a_near_miss(word: str, letter: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(word) - 1))
    before, struck, rest = word[:place], word[place], word[place + 1 :]
    slips = [before + rest, before + letter + struck + rest, before + letter + rest]
    slips += [before + rest[0] + struck + rest[1:]] if rest else []
    for text in slips:
        assert near_miss(text, [word]) == word


@given(text=st.text(), opt_outs=st.lists(st.text(min_size=1)))
def test_whatever_is_written_the_keyword_meant_is_one_of_the_list(text: str, opt_outs: list[str]) -> None:
    assert near_miss(text, opt_outs) in [*opt_outs, None]
