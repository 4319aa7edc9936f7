"""What people write behind --vary, and the grid of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests import sweep_space
from backtests.sweep_space import Listed, Spanned, grid, is_continuous, number_of, parse_space
from bot.errors import UsageError


def test_lists_ranges_and_spans_are_read():
    """Each spelling of the docstring gives what it promises; a range is exact in decimal."""
    found = parse_space(
        [
            "threshold = 0.0003, 0.0005",
            "strategy.stop_loss=0.002:0.01:0.002",
            "take_profit=0.0002..0.002",
            "cost_margin=0.0002..0.002:log",
            "max_holding_minutes=30..240",
            "require_macd=true,false",
            "costs.taker_fee_bps=2",
        ]
    )
    assert found == (
        Listed("threshold", ("0.0003", "0.0005")),
        Listed("stop_loss", ("0.002", "0.004", "0.006", "0.008", "0.010")),
        Spanned("take_profit", 0.0002, 0.002),
        Spanned("cost_margin", 0.0002, 0.002, log=True),
        Spanned("max_holding_minutes", 30.0, 240.0, whole=True),
        Listed("require_macd", ("true", "false")),
        Listed("costs.taker_fee_bps", ("2",)),
    )
    assert is_continuous(found)
    assert not is_continuous(found[:2])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("threshold", "write KEY=VALUES"),
        ("=1,2", "write KEY=VALUES"),
        ("threshold=", "write KEY=VALUES"),
        ("threshold=1,,2", "a value is empty"),
        ("threshold=1,2,1", "given twice"),
        ("threshold=1:2", "LOW:HIGH:STEP"),
        ("threshold=1:2:x", "LOW:HIGH:STEP"),
        ("threshold=2:1:0.5", "goes up"),
        ("threshold=1:2:0", "goes up"),
        ("threshold=1:nan:1", "goes up"),
        ("threshold=0:1:0.0001", "more than 1,000"),
        ("threshold=2..1", "not above"),
        ("threshold=1..1", "not above"),
        ("threshold=0..1:log", "above 0"),
        ("threshold=1..2:exp", "LOW..HIGH:log"),
        ("threshold=a..b", "LOW..HIGH"),
        ("threshold=1..inf", "LOW..HIGH"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text, words):
    """UsageError names the text and says how it is written."""
    with pytest.raises(UsageError, match=words):
        parse_space([text])


def test_nothing_and_twice_are_refused():
    """A sweep varies something, and each parameter once."""
    with pytest.raises(UsageError, match="say what to vary"):
        parse_space([])
    with pytest.raises(UsageError, match="threshold is given twice"):
        parse_space(["threshold=1,2", "strategy.threshold=3..4"])


def test_a_grid_is_every_combination():
    """The last parameter changes first; a span has no grid, and too large a grid is refused before it is made."""
    space = parse_space(["a=1,2", "b=x,y"])
    assert list(grid(space)) == [
        {"a": "1", "b": "x"},
        {"a": "1", "b": "y"},
        {"a": "2", "b": "x"},
        {"a": "2", "b": "y"},
    ]
    with pytest.raises(UsageError, match="a span has no grid"):
        grid(parse_space(["a=1..2"]))
    with pytest.raises(UsageError, match="1,000,000 points"):
        grid(parse_space(["a=1:1000:1", "b=1:1000:1"]))


@given(
    low=st.integers(-10_000, 10_000),
    step=st.integers(1, 500),
    count=st.integers(1, 50),
    digits=st.integers(0, 6),
)
def test_a_range_has_its_ends_and_even_steps(low, step, count, digits):
    """Whatever the digits: as many values as steps and one more, none off by a rounding."""
    unit = 10**digits
    words = [f"{value / unit:.{digits}f}" for value in (low, low + step * (count - 1), step)]
    (found,) = parse_space([f"x={':'.join(words)}"])
    assert isinstance(found, Listed)
    assert [round(float(text) * unit) for text in found.values] == [low + step * n for n in range(count)]
    assert all(text == f"{float(text):.{digits}f}" for text in found.values)


def test_numbers_are_finite():
    """A word, a NaN and an infinity are no numbers."""
    assert number_of("1e-3") == 0.001
    assert [number_of(text) for text in ("true", "nan", "inf", "")] == [None] * 4
    assert math.prod([sweep_space.MOST_VALUES]) < sweep_space.MOST_POINTS
