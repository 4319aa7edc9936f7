"""Whole days cut into blocks, and how long before a test nothing counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.sweep_blocks import Block, block_of_day, cut_into_blocks, days_of, embargo_ms
from bot.core.market import DAY_MS, MINUTE_MS
from bot.errors import DataError
from models.candle_arrays import CandleArrays
from tests.random_market import START_MS, random_candles


def daily(days) -> CandleArrays:
    """One candle on each of some days."""
    ts = np.array([day * DAY_MS + 5 * MINUTE_MS for day in days])
    return CandleArrays(ts, *(np.ones(len(ts)) for _ in range(5)))


@given(days=st.integers(1, 60), folds=st.integers(1, 6))
def test_blocks_are_whole_days_of_nearly_equal_number(days, folds):
    """Every day is in one block, in order, and sizes differ by one at most; too few days are refused."""
    candles = {"BTC/USDT": daily(range(19_700, 19_700 + days))}
    if days < 2 * (folds + 1):
        with pytest.raises(DataError, match="can't be cut"):
            cut_into_blocks(candles, folds)
        return
    blocks = cut_into_blocks(candles, folds)
    sizes = [len(block.days) for block in blocks]
    assert len(blocks) == folds + 1
    assert max(sizes) - min(sizes) <= 1
    assert days_of(blocks).tolist() == list(range(19_700, 19_700 + days))
    assert np.bincount(block_of_day(blocks)).tolist() == sizes


def test_a_block_without_a_candle_is_refused():
    """A hole of weeks in the middle: a fold there would choose or score nothing."""
    with pytest.raises(DataError, match=r"no candle lies between 2023-12-13.* and 2023-12-17"):
        cut_into_blocks({"BTC/USDT": daily([19_700, 19_711])}, 2)


def test_a_block_reaches_from_midnight_to_midnight():
    """Its instants are those of its days."""
    block = Block(10, 12)
    assert (block.since_ms, block.until_ms) == (10 * DAY_MS, 13 * DAY_MS)
    assert block.days.tolist() == [10, 11, 12]


def test_real_candles_are_cut_where_their_days_are():
    """Ten days of candles into five blocks of two."""
    blocks = cut_into_blocks({"BTC/USDT": random_candles(2, 9 * 1440, gaps=False)}, 4)
    assert blocks[0].since_ms == START_MS // DAY_MS * DAY_MS
    assert [len(block.days) for block in blocks] == [2, 2, 2, 2, 2]


def test_the_embargo_is_the_longest_of_the_three():
    """Window, horizon or holding, whichever reaches farthest."""
    told: dict[str, Any] = {"lookback_minutes": 60, "horizon_minutes": 15, "holding_minutes": 30.5}
    assert embargo_ms(**told) == 60 * MINUTE_MS
    assert embargo_ms(**(told | {"horizon_minutes": 90})) == 90 * MINUTE_MS
    assert embargo_ms(**(told | {"holding_minutes": 200.0})) == 200 * MINUTE_MS
