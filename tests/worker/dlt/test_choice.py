"""Which India DLT template a text follows, which it is nearest to, and which may be used."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.dlt.cases import BANK, DELIVERY, HINDI, LINK, MOST, OTP, PROMO
from worker.dlt.choice import Chosen, Registry
from worker.dlt.composing import compose
from worker.dlt.faults import DltFault
from worker.dlt.masks import Masks
from worker.dlt.matching import Fit, fit
from worker.dlt.rules import Breach, breach_of
from worker.dlt.templates import Category, Pattern, Registered, compile_template
from worker.words import MessageType

ENTITY = "1101100000000098765"


def registered(
    text: str,
    name: str = "Sample",
    *,
    category: Category = Category.SERVICE_IMPLICIT,
    headers: tuple[str, ...] = (),
    allow_list: tuple[str, ...] = (),
) -> Registered:
    number = 10**18 + sum(map(ord, name))
    return Registered(str(number), ENTITY, name, headers, category, text, url_allow_list=allow_list)


def registry(*texts: str, allow_list: tuple[str, ...] = ()) -> Registry:
    """Templates named A, B, C and so on."""
    return Registry(
        (
            compile_template(registered(text, chr(ord("A") + number), allow_list=allow_list))
            for number, text in enumerate(texts)
        ),
        MOST,
    )


@pytest.fixture
def bank() -> Registry:
    return registry(OTP, BANK, DELIVERY, PROMO, HINDI, LINK, allow_list=("acme.in",))


# The choice


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("482913 is your OTP for login to Acme Bank. Don't share it with anyone - ACMEBK", "A", ("482913",)),
        ("Rs.5 debited from A/c X1 on 3/2. Avl bal Rs.9 - ACMEBK", "B", ("5", "X1", "3/2", "9")),
        ("Dear Asha,\nYour order A1 is out for delivery.", "C", ("Asha", "A1")),
        ("प्रिय आशा, आपका ओटीपी 4829 है। - ACMEBK", "E", ("आशा", "4829")),
        ("Track: acme.in/1 - ACME", "F", ("acme.in/1",)),
    ],
)
def test_a_text_is_given_its_template_and_values(bank: Registry, text: str, name: str, values: tuple[str, ...]) -> None:
    chosen = bank.choose(text)
    assert chosen is not None
    assert (chosen.template.name, chosen.values) == (name, values)


@pytest.mark.parametrize(
    "text", ["", "Hello", "482913 is your OTP", "Track: evil.in/1 - ACME", "Dear Asha, your order A1 is out"]
)
def test_a_text_that_fits_none_is_given_none(bank: Registry, text: str) -> None:
    assert bank.choose(text) is None


@pytest.mark.parametrize(
    ("texts", "text", "name"),
    [
        (["Dear {#var#}", "Dear {#var#}, bye"], "Dear Ram, bye", "B"),
        (["{#var#}", "OTP {#var#}", "OTP 1"], "OTP 1", "C"),
        (["x{#var#}{#var#}", "x{#var#}"], "xab", "B"),  # as much fixed text: fewer placeholders
        (["{#var#}b{#var#}", "{#var#}c{#var#}"], "abacad", "A"),  # alike in all: the lower ID
        (["pre{#var#}", "{#var#}ing"], "pressing", "A"),  # words that placeholders touch are no words
        (["OTP{#var#} login", "OTP {#var#} login"], "OTP1 login", "A"),
        (["a\u00a0b {#var#}"], "a\u00a0b 1", "A"),  # a blank of Unicode's parts words too
    ],
)
def test_of_several_the_one_with_the_most_fixed_text_is_chosen(texts: list[str], text: str, name: str) -> None:
    chosen = registry(*texts).choose(text)
    assert chosen is not None
    assert chosen.template.name == name


WORDS = st.sampled_from(["a", "b", "ab", " ", "  ", "\n", "{#var#}", "{#numeric#}", "1", "c"])
one_template = st.lists(WORDS, min_size=1, max_size=6).map("".join).filter(str.strip)
some_templates = st.lists(one_template, min_size=1, max_size=6)


@given(some_templates, st.text(alphabet="ab c1\n", max_size=10), st.randoms(use_true_random=False))
def test_the_choice_is_that_of_trying_all_in_any_order(texts: list[str], text: str, chance: random.Random) -> None:
    patterns = [compile_template(registered(one, chr(ord("A") + place))) for place, one in enumerate(texts)]
    fitting = [it for it in patterns if isinstance(fit(it, text, MOST), Fit)]
    best = min(fitting, key=lambda it: (-it.fixed_length, len(it.kinds), it.template.template_id), default=None)
    chance.shuffle(patterns)
    chosen = Registry(patterns, MOST).choose(text)
    assert (chosen and chosen.template) == (best and best.template)


@given(some_templates, st.data())
def test_what_is_composed_of_a_template_is_given_one(texts: list[str], data: st.DataObject) -> None:
    patterns: list[Pattern] = [compile_template(registered(text)) for text in texts]
    pattern = data.draw(st.sampled_from(patterns))
    values = [data.draw(st.text("12", min_size=1, max_size=MOST)) for _ in pattern.kinds]
    assert isinstance(Registry(patterns, MOST).choose(compose(pattern, values, MOST)), Chosen)


def test_a_text_is_looked_over_once_for_many_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such that begin and end in placeholders, whose words tell nothing: it is held against all of them."""
    looked: list[str] = []
    looked_over = Masks._of.func
    monkeypatch.setattr(Masks._of, "func", lambda self: looked.append(self._text) or looked_over(self))
    text = "Asha: " + "order - " * 30 + "5:6x"
    many = registry(*("{#var#}: {#var#} - {#numeric#}" + ":" * n + "{#numeric#}" for n in range(1, 20)))
    assert many.choose(text) is None
    assert len(looked) == 1


# The nearest


@pytest.mark.parametrize(
    ("text", "name", "position", "fault"),
    [
        (
            "482913 is your OTP for login to Acme Bank. Don’t share it with anyone - ACMEBK",
            "A",
            46,
            DltFault.TEMPLATE_NOT_MATCHED,
        ),
        ("Rs.5 debited from A/c X1 on 3/2. Avl bal Rs.9 – ACMEBK", "B", 46, DltFault.TEMPLATE_NOT_MATCHED),
        ("Dear " + "A" * 31 + ",\nYour order A1 is out for delivery.", "C", 35, DltFault.VARIABLE_TOO_LONG),
        ("Track: evil.in/1 - ACME", "F", 7, DltFault.LINK_NOT_ALLOWED),
        ("प्रिय आशा, आपका ओटीपी 4829 है. - ACMEBK", "E", 29, DltFault.TEMPLATE_NOT_MATCHED),
    ],
)
def test_a_text_that_fits_none_is_told_where_it_departs_from_the_nearest(
    bank: Registry, text: str, name: str, position: int, fault: DltFault
) -> None:
    nearest = bank.nearest(text)
    assert nearest is not None
    assert (nearest.template.name, nearest.misfit.position, nearest.misfit.fault) == (name, position, fault)


def test_one_slip_is_nearer_than_more_words_in_common() -> None:
    nearest = registry("pay your bill of June now", "pay {#var#} your bill").nearest("pay of June your Bill")
    assert nearest is not None
    assert nearest.template.name == "B"


def test_a_text_that_fits_or_a_registry_without_templates_has_no_nearest(bank: Registry) -> None:
    assert bank.nearest("Dear Asha,\nYour order A1 is out for delivery.") is None
    assert registry().nearest("anything") is None
    assert registry().choose("anything") is None


def test_a_text_like_none_is_still_told_of_one() -> None:
    nearest = registry("Shop closed", "Shop open").nearest("नमस्ते")
    assert nearest is not None
    assert nearest.misfit.position == 0


# Rules beside the text


@pytest.mark.parametrize("category", list(Category))
@pytest.mark.parametrize("message_type", list(MessageType))
def test_each_message_type_takes_its_categories(category: Category, message_type: MessageType) -> None:
    allowed = {
        MessageType.MARKETING: {"promotional", "service_explicit"},
        MessageType.TRANSACTIONAL: {"transactional", "service_implicit", "service_explicit"},
    }
    template = registered("Hi", category=category)
    outcome = breach_of(template, sender="ACMEBK", entity_id=ENTITY, message_type=message_type)
    if category in allowed[message_type]:
        assert outcome is None
    else:
        assert isinstance(outcome, Breach)
        assert outcome.fault is DltFault.WRONG_CATEGORY
        assert f"does not go out through a {message_type} surface" in outcome.sentence


@pytest.mark.parametrize(
    ("sender", "entity", "fault", "said"),
    [
        ("ACMEBK", "1101100000000000001", DltFault.OF_ANOTHER_ENTITY, "belongs to principal entity 1101"),
        ("OTHERS", ENTITY, DltFault.HEADER_NOT_REGISTERED, "OTHERS is not linked to template Sample"),
        ("acmebk", ENTITY, DltFault.HEADER_NOT_REGISTERED, "which has ACMEBK, ACMEIN"),  # case counts
        ("OTHERS", "1101100000000000001", DltFault.OF_ANOTHER_ENTITY, "Use that entity's ID"),  # the first
    ],
)
def test_the_first_rule_that_is_broken_is_told(sender: str, entity: str, fault: DltFault, said: str) -> None:
    template = registered("Hi", headers=("ACMEBK", "ACMEIN"))
    breach = breach_of(template, sender=sender, entity_id=entity, message_type=MessageType.TRANSACTIONAL)
    assert breach is not None
    assert breach.fault is fault
    assert said in breach.sentence


def test_a_template_without_headers_goes_out_under_any() -> None:
    template, transactional = registered("Hi"), MessageType.TRANSACTIONAL
    assert breach_of(template, sender="ANYONE", entity_id=ENTITY, message_type=transactional) is None
