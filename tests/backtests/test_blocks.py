"""Blocks hold the batches of each minute, and know where a stretch of minutes must end."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests import blocks as blocks_module
from backtests.blocks import Block, blocks
from backtests.inputs import BacktestInput, minute_batches
from bot.core.calm_matching import Idle
from bot.core.engine_config import NO_PREDICTION
from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.signal import Calm, Direction, Signal
from bot.errors import EngineProtocolError
from tests.random_market import PERPETUALS, random_input

FLAT = Signal(Direction.FLAT, 0.0, "forecast_too_small")


@given(seed=st.integers(0, 999), width=st.integers(1, 3), length=st.integers(1, 130))
@settings(max_examples=25, deadline=None)
def test_blocks_hold_every_batch_once_and_in_order(seed: int, width: int, length: int):
    """Whatever their length, blocks give the very candles and predictions of ``minute_batches``."""
    data = random_input(seed, symbols=PERPETUALS[:width], count=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "BLOCK_MINUTES", length)
        found = [
            (tuple(block.candles(minute)), tuple(block.predictions(minute)))
            for block in blocks(data)
            for minute in range(len(block.minutes))
        ]
    assert found == list(minute_batches(data))


@given(seed=st.integers(0, 999), length=st.integers(1, 300))
@settings(max_examples=15, deadline=None)
def test_breaks_are_holes_new_days_and_changes_of_company(seed: int, length: int):
    """A minute continues the one before if it follows without a hole, closes on the same day and has the same symbols."""
    data = random_input(seed, symbols=PERPETUALS[:2], count=300)
    start = DAY_MS - int(data.candles[PERPETUALS[0]].ts[0]) % DAY_MS - 100 * MINUTE_MS
    moved = {name: replace(arrays, ts=arrays.ts + start) for name, arrays in data.candles.items()}
    data = BacktestInput(moved, {}, data.config, data.make_strategy)
    batches = [candles for candles, _ in minute_batches(data)]
    expected = [0]
    for number, (before, now) in enumerate(pairwise(batches), start=1):
        follows = now[0].opened_at_ms == before[0].closed_at_ms
        same_day = now[0].closed_at_ms // DAY_MS == before[0].closed_at_ms // DAY_MS
        if not (follows and same_day and [one.symbol for one in now] == [one.symbol for one in before]):
            expected.append(number)
    found, first = [], 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "BLOCK_MINUTES", length)
        for block in blocks(data):
            found += [first + place for place in block.breaks]
            first += len(block.minutes)
    assert found == expected


def one_block(count: int = 50, share: float = 1.0) -> Block:
    """A block of one symbol with forecasts of 0.001 but for one of 0.01 at minute 30."""
    data = random_input(3, count=count, gaps=False)
    columns = data.predictions[PERPETUALS[0]]
    ts = data.candles[PERPETUALS[0]].ts[: int(count * share)]
    expected = np.full(len(ts), 0.001)
    expected[30] = 0.01
    made = replace(
        columns, ts=ts, expected_return=expected, probability_up=None, uncertainty=None, volatility=None
    )
    (block,) = blocks(replace(data, predictions={PERPETUALS[0]: made}))
    return block


def test_a_lane_is_calm_until_a_forecast_leaves_the_bounds_or_time_is_over():
    """The end is the first loud forecast from there on, the given end, or the first close at the time."""
    (lane,) = one_block().lanes
    calm = Calm(FLAT, -0.002, 0.002)
    assert [lane.calm_until(calm, since, 45) for since in (0, 30, 31)] == [30, 30, 45]
    first = lane.candle(0).opened_at_ms
    assert lane.calm_until(calm._replace(until_ms=first + 5 * MINUTE_MS), 0, 45) == 4
    assert lane.calm_until(calm._replace(until_ms=first), 0, 45) == 0


def test_a_lane_is_idle_until_a_price_is_reached_or_a_time_has_come():
    """The end is the first bar at or beyond a level, or the first that opens at the time."""
    (lane,) = one_block().lanes
    lows, highs = lane.lows.tolist(), lane.highs.tolist()
    assert lane.idle_until(Idle(-math.inf, math.inf, None), 3, 45) == 45
    assert lane.idle_until(Idle(min(lows[3:45]), math.inf, None), 3, 45) == 3 + lows[3:45].index(
        min(lows[3:45])
    )
    assert lane.idle_until(Idle(-math.inf, max(highs[3:45]), None), 3, 45) == highs.index(max(highs[3:45]), 3)
    assert lane.idle_until(Idle(0.0, math.inf, lane.candle(9).opened_at_ms), 3, 45) == 9
    assert lane.idle_until(Idle(0.0, math.inf, lane.candle(3).opened_at_ms), 3, 45) == 3


def test_calm_decisions_say_what_was_foreseen_and_where_there_was_no_forecast():
    """Each minute has its decision: the foreseen signal and its reason, or none for want of a prediction."""
    (lane,) = one_block(share=0.8).lanes
    made = lane.calm_decisions(Calm(FLAT, -1.0, 1.0), 35, 45)
    assert [one.hold_reason for one in made] == ["forecast_too_small"] * 5 + [NO_PREDICTION] * 5
    assert [one.closed_at_ms for one in made] == [lane.candle(k).closed_at_ms for k in range(35, 45)]
    assert lane.count_silent(35, 45) == 5


def test_a_candle_that_is_not_there_is_not_made_up():
    """Asking for the candle of a minute without one is a protocol error."""
    data = random_input(3, symbols=PERPETUALS[:2], count=60)
    lanes = [lane for block in blocks(data) for lane in block.lanes if lane.present is not None]
    assert lanes
    (lane, *_) = lanes
    assert lane.present is not None
    missing = lane.present.index(False)
    assert not lane.has(missing)
    with pytest.raises(EngineProtocolError, match="no candle"):
        lane.candle(missing)
