"""docs/troubleshooting.md quotes what the program says: every sentence, reason, event and exit code is one of the code's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from bot import errors
from bot.cli import INTERRUPTED

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
SOURCES = ("backtests", "bot", "models", "strategies")
TABLE = re.compile(r"^\| ([^|\n]+?) \|[^\n]*\n\|[-|]+\|\n((?:\|[^\n]*\n)+)", re.MULTILINE)
CODED = re.compile(r"`+([^`]+)`+")
OTHERS = {"what you see"}
"""Tables of what other programs say."""


def first_cells(text: str, head: str) -> list[str]:
    """The first cell of every row of the tables with this head."""
    rows = [row for name, body in TABLE.findall(text) if name == head for row in body.splitlines()]
    return [row.split(" | ")[0].removeprefix("| ") for row in rows]


def texts_of(node: ast.AST) -> Iterator[str]:
    """Every text that a module can write, with `…` for what is filled in."""
    for found in ast.walk(node):
        if isinstance(found, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in found.values)
            yield "".join(map(str, parts))
        elif isinstance(found, ast.Constant) and isinstance(found.value, str):
            yield found.value


@cache
def said_by_the_code() -> frozenset[str]:
    """All texts of the sources."""
    files = [file for folder in SOURCES for file in (ROOT / folder).rglob("*.py")]
    return frozenset(text for file in files for text in texts_of(ast.parse(file.read_text(encoding="utf-8"))))


def is_said(quote: str) -> bool:
    """Whether some text of the code has the quote in it; `…` stands for anything that may follow or be filled in."""
    wanted = re.compile(re.escape(quote).replace("…", ".*?"), re.DOTALL)
    return any(wanted.search(text) for text in said_by_the_code())


PAGE_TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("cell", first_cells(PAGE_TEXT, "it says"))
def test_a_quoted_sentence_is_one_of_the_code(cell: str) -> None:
    """What the page says that the program says, it says."""
    quote = CODED.fullmatch(cell)
    assert quote is not None, cell
    assert len(re.sub(r"\W", "", quote[1])) >= 12, "too short to tell one sentence from another"
    assert is_said(quote[1])


@pytest.mark.parametrize("cell", [*first_cells(PAGE_TEXT, "reason"), *first_cells(PAGE_TEXT, "event")])
def test_a_reason_or_event_is_one_of_the_code(cell: str) -> None:
    """Fixed words are those of the code, to the letter; a refusal is one of risk's words behind `refused_`."""
    word = CODED.fullmatch(cell)
    assert word is not None, cell
    assert word[1] in said_by_the_code() or word[1].removeprefix("refused_") in said_by_the_code()


def test_every_exit_code_is_there() -> None:
    """The table has each code of the errors, that of wrong words and that of an interrupt, and no other."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    codes = {str(kind.exit_code) for kind in kinds if issubclass(kind, errors.BotError)} | {str(INTERRUPTED)}
    assert set(first_cells(PAGE_TEXT, "exit code")) == codes


def test_every_table_is_looked_at() -> None:
    """No table of the page has a head that these tests do not know."""
    assert {name for name, _ in TABLE.findall(PAGE_TEXT)} == {
        "it says",
        "reason",
        "event",
        "exit code",
    } | OTHERS


@pytest.mark.parametrize(
    "quote",
    ["the disk refused a wish", "there is no strategie …: use one of …", "unknown key; did you say …?"],
)
def test_a_sentence_that_nobody_says_is_found(quote: str) -> None:
    """The finder does not take a sentence for another that is nearly the same."""
    assert not is_said(quote)
