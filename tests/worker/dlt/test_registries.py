"""Registries in memory: each made once, however many ask, and no more kept than fit."""

import threading
import time

from worker.dlt.choice import Registry
from worker.dlt.registries import Registries
from worker.dlt.templates import Category, Registered, compile_template


def registry(size: int) -> Registry:
    numbered = (
        Registered(str(10**18 + n), "1201150000000000001", "t", (), Category.TRANSACTIONAL, f"Text {n}")
        for n in range(size)
    )
    return Registry(map(compile_template, numbered), 40)


def names(registries: Registries[str]) -> str:
    return "".join(name for name, _ in registries.held())


def test_those_not_asked_for_longest_are_forgotten_first() -> None:
    registries = Registries[str](10)
    for name in "aabcabd":  # each counts as three: one more than it holds
        registries.get(name, lambda: registry(2))
    assert names(registries) == "abd"


def test_one_that_is_larger_than_what_fits_is_kept_alone() -> None:
    registries = Registries[str](10)
    small = registries.get("a", lambda: registry(2))
    large = registries.get("b", lambda: registry(50))
    assert names(registries) == "b"
    assert registries.get("b", lambda: small) is large


def test_empty_ones_are_not_kept_without_end() -> None:
    registries = Registries[str](10)
    for n in range(100):
        registries.get(str(n), lambda: registry(0))
    assert len(registries.held()) == 10


def test_many_who_ask_at_once_get_the_one_that_the_first_makes() -> None:
    registries = Registries[str](10)
    made: list[Registry] = []
    given: list[Registry] = []

    def make() -> Registry:
        time.sleep(0.05)
        made.append(registry(1))
        return made[-1]

    threads = [threading.Thread(target=lambda: given.append(registries.get("a", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert given == made * 8
