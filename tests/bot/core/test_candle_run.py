"""A run of candles is a sequence of them, made when they are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.candle_run import CandleRun
from tests.core_builders import PERPETUAL, at, candle

CANDLES = [candle(minute, 100.0 + minute, 103.0 + minute, 99.0, 101.0) for minute in range(12)]


def test_a_run_is_the_candles_that_it_was_made_of() -> None:
    """Length, places from both ends, order and times are those of the candles."""
    run = CandleRun.of(CANDLES)
    assert list(run) == CANDLES
    assert [run[place] for place in range(-12, 12)] == [CANDLES[place] for place in range(-12, 12)]
    assert (run.symbol, run.first_ms, run.last_ms, len(run)) == (PERPETUAL, at(0), at(11), 12)
    with pytest.raises(IndexError):
        run[12]


@given(start=st.none() | st.integers(-15, 15), stop=st.none() | st.integers(-15, 15), more=st.integers(-3, 3))
def test_a_slice_is_a_run_too(start: int | None, stop: int | None, more: int) -> None:
    """A slice, and a slice of it, hold what they hold of a list."""
    part = CandleRun.of(CANDLES)[start:stop]
    assert list(part) == CANDLES[start:stop]
    assert list(part[more:]) == CANDLES[start:stop][more:]


def test_a_slice_with_holes_is_refused() -> None:
    """A run is contiguous: every second candle is none."""
    with pytest.raises(ValueError, match="no hole"):
        CandleRun.of(CANDLES)[::2]


def test_columns_may_be_arrays_and_candles_are_still_of_plain_floats() -> None:
    """Over numpy columns, from any row on, candles equal the plain ones and hold Python floats."""
    names = ("open", "high", "low", "volume")
    opens, highs, lows, volumes = (np.array([getattr(one, name) for one in CANDLES]) for name in names)
    closes = [one.close for one in CANDLES]
    run = CandleRun(PERPETUAL, at(4), closes[4:9], (opens, highs, lows, volumes), 4)
    assert list(run) == CANDLES[4:9]
    assert {type(value) for value in run[2][2:]} == {float}
    assert list(run[1:3]) == CANDLES[5:7]
