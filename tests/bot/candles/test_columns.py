"""Tests of the column rules against the rule of a single candle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.candles import columns
from bot.core.market import MINUTE_MS, Candle, candle_fault
from models.candle_arrays import CandleArrays

SYMBOL = "BTC/USDT"
START = 1_700_000_040_000 - 1_700_000_040_000 % MINUTE_MS

Row = tuple[int, float, float, float, float, float]

# Few distinct prices, so that equalities and reversals come often, and the odd value that is none.
price = st.sampled_from([0.0, -1.0, 1.0, 2.0, 3.0, math.nan, math.inf, -math.inf]) | st.floats(0.5, 3.5)
stamp = st.integers(0, 50).map(lambda i: START + i * MINUTE_MS) | st.integers(0, 4 * 10**12)
raw_rows = st.lists(st.tuples(stamp, price, price, price, price, price), max_size=30)


def walk(count: int, seed: int = 1) -> CandleArrays:
    """A random walk of sound candles whose bars open where the last one closed."""
    rng = np.random.default_rng(seed)
    path = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, count + 1)))
    opened, closed = path[:-1], path[1:]
    high, low = np.maximum(opened, closed) * 1.0001, np.minimum(opened, closed) * 0.9999
    return CandleArrays(START + MINUTE_MS * np.arange(count), opened, high, low, closed, np.ones(count))


@settings(max_examples=400)
@given(raw_rows)
def test_the_column_rules_say_of_every_row_what_candle_fault_says(rows: list[Row]) -> None:
    """Row by row, the vectorised rules and candle_fault name the same fault, or both none."""
    codes = columns.row_faults(columns.from_rows(rows))
    said = [columns.ROW_FAULTS[code] if code >= 0 else None for code in codes]
    assert said == [candle_fault(Candle(SYMBOL, *row)) for row in rows]


@given(raw_rows)
def test_the_first_faulty_row_is_the_one_named(rows: list[Row]) -> None:
    """Where rows break a rule, first_fault names the first of them, its rule, its number and its time."""
    faults = [candle_fault(Candle(SYMBOL, *row)) for row in rows]
    said = columns.first_fault(columns.from_rows(rows))
    at = next((index for index, fault in enumerate(faults) if fault), None)
    if at is not None:
        assert said == f"{faults[at]} in row {at} (counted from 0; {columns.iso_utc(rows[at][0])})"
    elif said is not None:
        assert "the row before it" in said or "between 1970 and 2100" in said


def test_candles_and_columns_are_each_others_inverse() -> None:
    """Candles to columns and back are the same candles, as plain Python numbers."""
    candles = columns.to_candles(SYMBOL, walk(20))
    assert columns.to_candles(SYMBOL, columns.from_candles(candles)) == candles
    assert [type(value) for value in candles[0]] == [str, int, float, float, float, float, float]
    assert columns.to_candles(SYMBOL, columns.from_rows([])) == []


@pytest.mark.parametrize(
    ("ts", "words"),
    [
        ([0, 2, 1], "ts is earlier than the row before it in row 2"),
        ([0, 1, 1], "ts repeats the minute of the row before it in row 2"),
        ([0, 1, 10**10], "ts is no time in milliseconds between 1970 and 2100 in row 2"),
    ],
)
def test_times_out_of_order_doubled_or_in_another_unit_are_named(ts: list[int], words: str) -> None:
    """What no single row can show is found in the sequence of times."""
    arrays = columns.from_rows([(minute * MINUTE_MS, 1.0, 1.0, 1.0, 1.0, 1.0) for minute in ts])
    assert (columns.first_fault(arrays) or "").startswith(words)


def test_swapped_open_and_close_are_found_where_the_data_can_show_it() -> None:
    """A walk with the two names swapped is found; the walk itself, a short one and a flat one are not."""
    sound = walk(500)
    swapped = CandleArrays(sound.ts, sound.close, sound.high, sound.low, sound.open, sound.volume)
    assert columns.first_fault(sound) is None
    assert "open and close are swapped" in (columns.first_fault(swapped) or "")
    assert columns.first_fault(swapped.rows(0, 100)) is None
    flat = np.full(500, 5.0)
    assert columns.first_fault(CandleArrays(sound.ts, flat, flat, flat, flat, flat)) is None


def test_times_are_spelled_for_people() -> None:
    """Whole seconds without a fraction, others with milliseconds, and impossible ones as they are."""
    assert columns.iso_utc(1_714_521_600_000) == "2024-05-01T00:00:00Z"
    assert columns.iso_utc(1_714_521_600_001) == "2024-05-01T00:00:00.001Z"
    assert columns.iso_utc(10**18) == f"ts {10**18}"
