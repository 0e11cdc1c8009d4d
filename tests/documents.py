"""What the documents hold, as tests read it: fenced blocks, inline code, tables, headings, commands."""

import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_MARKER = re.compile(r"<!-- (run|checked): (.+) -->")
_BETWEEN_CELLS = re.compile(r"(?<= )\|(?= )")
_BETWEEN_COMMANDS = "();<>|&\n"
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. The line before it may be a marker: `<!-- run: NAME -->` or `<!-- checked: why -->`."""

    path: Path
    line: int  # of the fence, from 1
    language: str
    text: str
    run: str | None = None
    checked: str | None = None

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def blocks(path: Path) -> list[Block]:
    return _read(path)[0]


def spans(path: Path) -> list[str]:
    """Inline code, whitespace over line breaks joined."""
    paragraphs = _read(path)[1].split("\n\n")
    return [" ".join(span.split()) for paragraph in paragraphs for span in re.findall(r"`([^`]+)`", paragraph)]


def table(path: Path, heading: str) -> list[list[str]]:
    """The cells of the rows of the first table under a heading, its own two lines left out."""
    section = re.split(rf"^#+ {re.escape(heading)}$", _read(path)[1], flags=re.MULTILINE)[1]
    rows = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert rows is not None, f"{path.name} has no table under {heading}"
    return [[cell.strip() for cell in _BETWEEN_CELLS.split(line.strip("|"))] for line in rows[0].splitlines()[2:]]


def named(cell: str) -> list[str]:
    """The code in a table's cell."""
    return re.findall(r"`([^`]+)`", cell)


def anchors(path: Path) -> set[str]:
    """What a link may name after `#`: as GitHub forms it from the headings, and what is set by hand."""
    prose = _read(path)[1]
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    formed = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    return formed | set(re.findall(r'<a id="([^"]+)"></a>', prose))


def named_blocks() -> dict[str, list[Block]]:
    """The blocks to run, by their name, in the order in which they stand."""
    found: dict[str, list[Block]] = {}
    for path in DOCUMENTS:
        for block in blocks(path):
            if block.run is not None:
                found.setdefault(block.run, []).append(block)
    return found


def commands(shell: str) -> list[list[str]]:
    """The simple commands of a script as their words, without assignments before them."""
    lexer = shlex.shlex(shell.replace("\\\n", " "), posix=True, punctuation_chars=_BETWEEN_COMMANDS)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set(_BETWEEN_COMMANDS):
            found.append([])
        elif found[-1] or not (_ASSIGNMENT.fullmatch(word) or word in ("export", "{", "}")):
            found[-1].append(word)
    return [words for words in found if words]


def recipe(verb: str, *variables: str) -> list[str]:
    """The commands that `make` would run for a verb of its own, those of `install` left out."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    command = ["make", "--no-print-directory", "-n", "-o", ".venv/.installed", verb, *variables]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.replace("\\\n", " ").splitlines()


def _read(path: Path) -> tuple[list[Block], str]:
    """The blocks, and the text without them."""
    found: list[Block] = []
    prose: list[str] = []
    lines = enumerate(path.read_text().splitlines(), 1)
    for number, line in lines:
        if not line.startswith("```"):
            prose.append(line)
            continue
        inside: list[str] = []
        for _, content in lines:
            if content == "```":
                break
            inside.append(content)
        marker = _MARKER.fullmatch(prose[-1]) if prose else None
        kind = {marker[1]: marker[2]} if marker else {}
        found.append(Block(path, number, line.removeprefix("```"), "\n".join(inside) + "\n", **kind))
    return found, "\n".join(prose) + "\n"
