"""`bot explain` and its text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli import main
from bot.cli.explain_text import BARS, sparkline, table
from tests.explained_state import traded_state

NUMBERS = st.none() | st.floats(-1e9, 1e9)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bot that traded with a model."""
    return traded_state(tmp_path_factory.mktemp("told"))


def test_an_entry_is_told_section_by_section(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every part of the issue's list has its heading, and the terminal says that the market is simulated."""
    assert main(["explain", "last", "--acted", "--state-dir", str(state)]) == 0
    text = capsys.readouterr().out
    headings = [line for line in text.splitlines() if line.isupper() and not line.startswith(" ")]
    assert headings == [
        "DECIDED",
        "CANDLES",
        "WINDOW",
        "FORECAST",
        "STRATEGY",
        "RISK",
        "MODEL",
        "AFTERWARDS",
    ]
    for words in (
        "SIMULATED MARKET",
        "UNPROVEN MODEL",
        "60 minutes from",
        "return_1",
        "made again it is the same to the last digit",
        "an entry needs more than 12.0 bps",
        "approved",
        "recipe tiny, features scalping-v1",
        "filled",
    ):
        assert words in text
    assert max(map(len, text.splitlines())) <= 130


def test_json_is_the_object_of_the_documents(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first level of keys is what docs/logs.md describes, in its order."""
    assert main(["explain", "last", "--state-dir", str(state), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    page = (Path(__file__).resolve().parents[3] / "docs" / "logs.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `") and "`:" not in line]
    documented = [row.split("`")[1] for row in rows]
    assert [name for name in documented if name in told] == list(told)


def test_without_its_model_it_says_what_is_missing(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0, and a sentence where the window would be."""
    words = ["explain", "last", "--state-dir", str(state), "--models", str(tmp_path)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "its files were removed, or lie elsewhere" in text
    assert "not made again" in text


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["BTC/USDT:USDT@2031-01-01T00:00Z"], 5, "holds no decision"),
        (["BTC"], 2, "several decisions begin with"),
        (["BTC@noon"], 2, "is no time of a decision"),
        (["last", "--symbol", "XRP"], 5, "has no symbol"),
    ],
)
def test_what_cannot_be_found_is_one_sentence(
    state: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, sentence: str
) -> None:
    """Unknown is exit code 5, not to be understood 2."""
    assert main(["explain", *words, "--state-dir", str(state)]) == code
    assert sentence in capsys.readouterr().err


def test_without_a_journal_it_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3."""
    assert main(["explain", "last", "--state-dir", str(tmp_path)]) == 3
    assert "make run" in capsys.readouterr().err


@given(st.lists(NUMBERS, max_size=70))
def test_a_line_of_bars_has_one_for_each_number(values: list[float | None]) -> None:
    """As long as the numbers, the least lowest and the greatest highest, blanks where there is none."""
    drawn = sparkline(values)
    assert len(drawn) == len(values)
    known = [value for value in values if value is not None]
    for value, bar in zip(values, drawn, strict=True):
        assert (bar == " ") is (value is None)
        if value is not None and max(known) > min(known):
            assert value != min(known) or bar == BARS[0]
            assert value != max(known) or bar == BARS[-1]


def test_rows_stand_below_each_other() -> None:
    """Names to the left, figures to the right; no rows are no lines."""
    assert list(table([("a", "1.5", "x"), ("long", "22", "yy")])) == ["a     1.5   x", "long   22  yy"]
    assert list(table([])) == []
