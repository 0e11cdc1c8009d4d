"""A class and all that descend from it, so that a table in a test can be held against them."""

from typing import TypeVar

T = TypeVar("T")


def family(ancestor: type[T]) -> set[type[T]]:
    return {ancestor}.union(*map(family, ancestor.__subclasses__()))
