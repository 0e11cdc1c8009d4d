"""Keywords: messages in many scripts, what holds for any message and any lists, and what lists may hold."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.keywords import ALWAYS_OPT_OUT, DEFAULTS, FIELDS, Keywords, Reading, faults, normalise, read
from worker.words import Action

NOTHING = Reading(Action.NONE)
UNSET = Keywords()
MEGABYTE = 1_000_000

in_any_script = st.sampled_from(
    [
        "STOP",
        "Join now",
        "Καλημέρα Φίλος",
        "стоп",
        "été",
        "straße",
        "İptal",
        "ılık",
        "बंद करो",
        "إيقاف",
        "停止",
        "그만",
        "ﬁn",
    ]
)
case = st.sampled_from([str.upper, str.lower, str.title, str.swapcase, str.casefold])
form = st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"])
around = st.text(
    st.sampled_from(" \n\t\u00a0.,;:!?'\"()-_*#@&/`´¨^~…“”¡।؟、。\u200b\u200d\ufe0f\U0001f44d❤"), max_size=8
)
any_word = st.one_of(in_any_script, st.text(max_size=12), st.sampled_from([*ALWAYS_OPT_OUT, *DEFAULTS[Action.OPT_IN]]))
any_list = st.lists(any_word, max_size=6)
any_lists = st.builds(
    Keywords, opt_in=any_list, opt_out=any_list, help=any_list, double_opt_in=any_list, custom=any_list
)


# Reading


@pytest.mark.parametrize(
    ("text", "action", "word"),
    [
        ("STOP", Action.OPT_OUT, "STOP"),
        ("  stop\n", Action.OPT_OUT, "STOP"),
        ("Stop!!!", Action.OPT_OUT, "STOP"),
        ("'STOP'", Action.OPT_OUT, "STOP"),
        ("S.T.O.P", Action.OPT_OUT, "STOP"),
        ("´STOP´", Action.OPT_OUT, "STOP"),
        ("s´t´o´p", Action.OPT_OUT, "STOP"),
        ("STOP \U0001f6d1", Action.OPT_OUT, "STOP"),
        ("STOP❤\ufe0f", Action.OPT_OUT, "STOP"),
        ("ST\u200bOP\u00ad", Action.OPT_OUT, "STOP"),
        ("ＳＴＯＰ", Action.OPT_OUT, "STOP"),
        ("ⓈⓉⓄⓅ", Action.OPT_OUT, "STOP"),
        ("𝐒𝐓𝐎𝐏", Action.OPT_OUT, "STOP"),
        ("opt-out", Action.OPT_OUT, "OPTOUT"),
        ("Opt \n out.", Action.OPT_OUT, "OPT OUT"),
        ("STOP-ALL", Action.OPT_OUT, "STOPALL"),
        ("no", Action.OPT_OUT, "NO"),
        ("Help?", Action.HELP, "HELP"),
        ("info", Action.HELP, "INFO"),
        ("İNFO", Action.HELP, "INFO"),
        ("ınfo", Action.HELP, "INFO"),
        ("yes.", Action.OPT_IN, "YES"),
        ("BEGİN", Action.OPT_IN, "BEGIN"),
        ("STPO", Action.NEAR_MISS, "STOP"),
        ("Please, stop!", Action.NEAR_MISS, "STOP"),
        ("opt-out please", Action.NEAR_MISS, "OPTOUT"),
        ("stop/unsubscribe", Action.NEAR_MISS, "UNSUBSCRIBE"),
        ("No, thanks", Action.NEAR_MISS, "NO"),
        ("I said no to him", Action.NONE, None),
        ("no problem, see you tomorrow", Action.NONE, None),
        ("yes please", Action.NONE, None),
        ("", Action.NONE, None),
        (" \t\n", Action.NONE, None),
        ("?!", Action.NONE, None),
        ("\U0001f44d", Action.NONE, None),
        ("\ud83d", Action.NONE, None),
        ("\0", Action.NONE, None),
    ],
)
def test_whole_message_is_the_keyword_however_it_is_written(text: str, action: Action, word: str | None) -> None:
    assert read(text, UNSET) == Reading(action, word)


@pytest.mark.parametrize(
    ("word", "texts"),
    [
        ("बंद करो", ["बंद करो", "बंद   करो।"]),
        ("रोकें", ["रोकें", "रोकें!"]),
        ("إيقاف", ["إيقاف", unicodedata.normalize("NFD", "إيقاف"), "إيقاف؟", "\u200fإيقاف\u200e", "ﺇﻳﻘﺎﻑ"]),
        ("ΤΕΛΟΣ", ["τελος", "τελοσ", "Τελος"]),
        ("ΐδα", ["ΐδα".upper(), "Ϊ\u0301ΔΑ"]),
        ("arrêt", ["ARRÊT", "arre.\u0302t", unicodedata.normalize("NFD", "Arrêt")]),
        ("STRASSE", ["straße", "STRAẞE"]),
        ("停止", ["停止", "停止。", "「停止」"]),
        ("그만", ["그만", unicodedata.normalize("NFD", "그만")]),
        ("İPTAL", ["iptal", "IPTAL", "ıptal", "İptal"]),
        ("Go home", ["GO HOME", "go\u3000home"]),
    ],
)
def test_keyword_of_any_script_is_met_and_given_as_it_was_configured(word: str, texts: list[str]) -> None:
    for text in texts:
        assert read(text, Keywords(custom=[word])) == Reading(Action.CUSTOM, word)


@pytest.mark.parametrize(("word", "text"), [("कम", "काम"), ("कम", "कुम"), ("arrêt", "arret"), ("SI", "SÍ")])
def test_vowel_signs_and_accents_tell_words_apart(word: str, text: str) -> None:
    assert read(text, Keywords(custom=[word])) == NOTHING


@pytest.mark.parametrize("action", list(DEFAULTS))
def test_empty_list_means_the_defaults_and_a_list_replaces_them(action: Action) -> None:
    replaced = Keywords(**{action.value: ["mine"]})
    for word in DEFAULTS[action]:
        assert read(word, UNSET) == Reading(action, word)
        assert read(word, replaced).action is (Action.OPT_OUT if word in ALWAYS_OPT_OUT else Action.NONE)
    assert read("Mine", UNSET) == NOTHING
    assert read("Mine", replaced) == Reading(action, "mine")


def test_required_opt_out_word_is_given_as_the_administrator_wrote_it() -> None:
    assert read("STOP", Keywords(opt_out=["Stop"])) == Reading(Action.OPT_OUT, "Stop")
    assert read("stpo", Keywords(opt_out=["Stop"])) == Reading(Action.NEAR_MISS, "Stop")


def test_double_opt_in_and_custom_words_have_no_defaults() -> None:
    assert set(FIELDS) - set(DEFAULTS) == {Action.DOUBLE_OPT_IN, Action.CUSTOM}
    assert read("join", Keywords(double_opt_in=["JOIN"])) == Reading(Action.DOUBLE_OPT_IN, "JOIN")


def test_of_lists_that_share_a_word_the_most_protective_has_it() -> None:
    lists = {action.value: ["both"] for action in FIELDS}
    for action in (Action.OPT_OUT, Action.HELP, Action.DOUBLE_OPT_IN, Action.OPT_IN, Action.CUSTOM):
        assert read("BOTH", Keywords(**lists)) == Reading(action, "both")
        del lists[action.value]


def test_keyword_is_no_near_miss_of_another() -> None:
    assert read("shop", UNSET) == Reading(Action.NEAR_MISS, "STOP")
    assert read("shop", Keywords(custom=["SHOP"])) == Reading(Action.CUSTOM, "SHOP")


@pytest.mark.parametrize("word", ["", " ", "!!!", "\ufe0f", "\u0301", "x" * 100_000])
def test_word_that_no_message_can_be_is_never_met(word: str) -> None:
    for text in ("", "?", word):
        assert read(text, Keywords(custom=[word])) == NOTHING


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("x" * MEGABYTE, NOTHING),
        ("stop " * (MEGABYTE // 5), NOTHING),
        ("a" + "\u0301\u0316" * (MEGABYTE // 2), NOTHING),  # accents in an order that is to be sorted
        ("\ufdfa" * MEGABYTE, NOTHING),  # eighteen letters each
        ("STOP" + "!" * MEGABYTE, Reading(Action.OPT_OUT, "STOP")),
        (" ." * (MEGABYTE // 2) + "STOP", Reading(Action.OPT_OUT, "STOP")),
    ],
)
def test_megabyte_of_text_does_not_keep_anybody_waiting(text: str, reading: Reading) -> None:
    assert read(text, UNSET) == reading


@given(word=in_any_script, change=case, form=form, before=around, after=around)
def test_case_form_and_punctuation_do_not_matter(word: str, change, form: str, before: str, after: str) -> None:
    written = before + unicodedata.normalize(form, change(word)) + after
    assert read(written, Keywords(custom=[word])) == read(word, Keywords(custom=[word]))


@given(text=st.text(), form=form, keywords=any_lists)
def test_any_message_is_read_by_any_lists_and_alike_in_every_form(text: str, form: str, keywords: Keywords) -> None:
    reading = read(text, keywords)
    assert read(unicodedata.normalize(form, text), keywords) == reading
    assert (reading.word is None) is (reading.action is Action.NONE)


@given(text=st.text())
def test_normal_form_is_its_own(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(word=st.sampled_from(ALWAYS_OPT_OUT), change=case, before=around, after=around, keywords=any_lists)
def test_required_word_opts_out_whatever_is_configured(
    word: str, change, before: str, after: str, keywords: Keywords
) -> None:
    assert read(before + change(word) + after, keywords).action is Action.OPT_OUT


@pytest.mark.parametrize(
    ("reading", "stored"),
    [
        (NOTHING, "none"),
        (Reading(Action.OPT_OUT, "STOP"), "opt_out"),
        (Reading(Action.NEAR_MISS, "STOP"), "near_miss"),
        (Reading(Action.CUSTOM, "Offer: 5"), "custom:Offer: 5"),
    ],
)
def test_only_a_custom_action_is_stored_with_its_word(reading: Reading, stored: str) -> None:
    assert reading.stored == stored


# What lists may hold


@pytest.mark.parametrize(
    ("lists", "given", "expected"),
    [
        # A word that always opts out.
        (
            {"opt_in": ["Stop"]},
            (),
            [("opt_in_keywords", "Stop always opts out, by law and carriers' rules: take it out of opt_in_keywords")],
        ),
        (
            {"opt_out": ["ENOUGH"], "custom": ["OPT-OUT"]},
            ("opt_out_keywords",),
            [
                (
                    "custom_keywords",
                    "OPT-OUT always opts out, by law and carriers' rules: take it out of custom_keywords",
                )
            ],
        ),
        # A word that is another list's by default.
        (
            {"custom": ["Yes"]},
            (),
            [
                (
                    "custom_keywords",
                    "Yes is in opt_in_keywords by default: set opt_in_keywords without it, or leave it out here",
                )
            ],
        ),
        (
            {"opt_in": ["INFO"]},
            (),
            [
                (
                    "opt_in_keywords",
                    "INFO is in help_keywords by default: set help_keywords without it, or leave it out here",
                )
            ],
        ),
        (
            {"custom": ["Yes"]},
            ("opt_in_keywords",),  # which are emptied
            [
                (
                    "opt_in_keywords",
                    "YES is in it by default, and in custom_keywords too: set it without YES, or take that out of "
                    "custom_keywords",
                )
            ],
        ),
        # A word in two lists that are given.
        (
            {"help": ["more"], "custom": ["MORE!"]},
            (),
            [("custom_keywords", "MORE! is in help_keywords too: take it out of one of them")],
        ),
        (
            {"help": ["more"], "custom": ["MORE!"]},
            ("help_keywords",),
            [("help_keywords", "more is in custom_keywords too: take it out of one of them")],
        ),
        # A word that is none.
        (
            {"help": ["?", "HELP"], "custom": ["!"]},
            (),
            [
                ("help_keywords", "? holds no letter or digit: no message could match it"),
                ("custom_keywords", "! holds no letter or digit: no message could match it"),
            ],
        ),
    ],
)
def test_fault_names_the_list_to_mend_and_how(
    lists: dict[str, list[str]], given: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    assert faults(Keywords(**lists), given) == expected


@pytest.mark.parametrize(
    "lists",
    [
        {},
        {action.value: list(words) for action, words in DEFAULTS.items()},
        {"opt_out": ["STOP", "Stop!", "ENOUGH"]},
        {"opt_in": ["START"], "custom": ["YES"]},  # YES is a default no longer
        {"opt_out": ["ENOUGH"], "custom": ["NO"]},
        {"help": ["?info"], "custom": ["HELP", "5", "a:b", "बंद करो"]},
    ],
)
def test_lists_that_share_no_word_are_without_fault(lists: dict[str, list[str]]) -> None:
    assert faults(Keywords(**lists)) == []


def test_every_fault_is_told() -> None:
    lists = Keywords(help=["JOIN", "!"], double_opt_in=["join"], custom=["STOP", "join", "yes"])
    assert sorted(field for field, _ in faults(lists)) == [
        "custom_keywords",
        "custom_keywords",
        "custom_keywords",
        "double_opt_in_keywords",
        "help_keywords",
    ]


@given(keywords=any_lists)
def test_lists_without_fault_share_no_word_and_each_word_is_read_by_its_list(keywords: Keywords) -> None:
    if faults(keywords):
        return
    for action, words in keywords.effective.items():
        for word in words:
            assert read(word, keywords).action is action


@given(keywords=any_lists, given_fields=st.sets(st.sampled_from([*FIELDS.values()])))
def test_whoever_is_named_the_same_lists_are_at_fault(keywords: Keywords, given_fields: set[str]) -> None:
    assert len(faults(keywords, given_fields)) == len(faults(keywords))
