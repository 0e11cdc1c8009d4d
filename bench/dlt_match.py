"""How fast texts find their India DLT template: `python -m bench.dlt_match`. One process, no server."""

import argparse
import random
import sys
from collections.abc import Callable
from time import perf_counter

from rich.console import Console

from worker.dlt.choice import Registry
from worker.dlt.composing import compose
from worker.dlt.templates import Category, Pattern, Registered, compile_template

_MOST_VARIABLE = 30
_VOWELS, _CONSONANTS = "aeiou", "bcdfghklmnprstv"


def main() -> int:
    options = _options()
    console = Console(highlight=False)
    chance = random.Random(1)
    patterns = [_pattern(number, chance) for number in range(options.templates)]
    registry = Registry(patterns, _MOST_VARIABLE)
    texts = [_text(chance.choice(patterns), chance) for _ in range(options.texts)]
    misfits = [_misspelt(text) for text in texts[: options.misfits]]
    console.print(f"{_rate(registry.choose, texts)} that fit one of {options.templates} templates")
    console.print(f"{_rate(registry.nearest, misfits)} that fit none, told the nearest")
    return 0


def _rate(call: Callable[[str], object], texts: list[str]) -> str:
    began = perf_counter()
    for text in texts:
        if call(text) is None:
            raise AssertionError(f"no answer for: {text}")
    seconds = perf_counter() - began
    return f"{len(texts) / seconds:,.0f} texts/s ({seconds:.2f} s for {len(texts):,})"


def _pattern(number: int, chance: random.Random) -> Pattern:
    """Alike at both ends, as one entity's templates are, with words between that some of the others have too."""
    words = [_word(chance) for _ in range(chance.randint(8, 20))]
    for place in range(3, len(words), 5):
        words[place] = "{#var#}"
    text = f"Dear {{#var#}}, your {' '.join(words)}. Thank you - ACMEBK"
    return compile_template(
        Registered(f"{10**18 + number}", f"{10**18}", f"T{number}", (), Category.SERVICE_IMPLICIT, text)
    )


def _word(chance: random.Random) -> str:
    return "".join(chance.choice(_CONSONANTS) + chance.choice(_VOWELS) for _ in range(2))


def _text(pattern: Pattern, chance: random.Random) -> str:
    values = [" ".join(_word(chance) for _ in range(chance.randint(1, 3))) for _ in pattern.kinds]
    return compose(pattern, values, _MOST_VARIABLE)


def _misspelt(text: str) -> str:
    return text.replace(" - ACMEBK", " – ACMEBK")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.dlt_match", description=__doc__)
    parser.add_argument("--templates", type=int, default=200)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--misfits", type=int, default=10_000)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
