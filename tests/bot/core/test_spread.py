"""Tests of the spread estimate: it finds a planted spread, stays between its bounds, and only looks back."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.market import MINUTE_MS, Candle
from bot.core.spread import LEAST_PAIRS, SpreadEstimate, SpreadRule
from tests.core_builders import PERPETUAL, at


def bouncing(seed: int, half_bps: float, count: int, volatility_bps: float = 5.0) -> list[Candle]:
    """Candles of a random walk of 30 trades a minute, each at bid or ask."""
    rng = random.Random(seed)
    log_mid, bars = math.log(100.0), []
    for minute in range(count):
        prices = []
        for _ in range(30):
            log_mid += rng.gauss(0, volatility_bps / 10_000 / math.sqrt(30))
            prices.append(math.exp(log_mid + rng.choice((-1, 1)) * half_bps / 10_000))
        bars.append(Candle(PERPETUAL, at(minute), prices[0], max(prices), min(prices), prices[-1], 30.0))
    return bars


def estimated(bars: list[Candle], rule: SpreadRule, floor_bps: float = 0.0) -> float:
    """Half the spread after these candles."""
    made = SpreadEstimate(rule)
    for bar in bars:
        made.observe(bar)
    return made.half_bps(floor_bps)


@pytest.mark.parametrize("half_bps", [2.0, 5.0, 15.0])
def test_a_planted_spread_is_found(half_bps: float) -> None:
    """From half the volatility of a minute on, ten hours say it to a fifth."""
    assert estimated(bouncing(1, half_bps, 600), SpreadRule(600, 100.0)) == pytest.approx(half_bps, rel=0.2)


def test_it_stays_between_floor_and_cap() -> None:
    """A market without a spread costs the floor, one with a huge one the cap."""
    assert estimated(bouncing(2, 0.0, 300, 20.0), SpreadRule(240, 20.0), 0.5) >= 0.5
    assert estimated(bouncing(2, 200.0, 300), SpreadRule(240, 20.0), 0.5) == 20.0
    assert estimated(bouncing(2, 10.0, LEAST_PAIRS), SpreadRule(240, 20.0), 0.7) == 0.7


def test_minutes_without_a_trade_and_holes_say_nothing() -> None:
    """Pairs that touch them are left out, so that the rest says what it would alone."""
    bars = bouncing(3, 5.0, 200)
    made = SpreadEstimate(SpreadRule(500, 50.0))
    for number, bar in enumerate(bars):
        made.observe(bar._replace(volume=0.0) if number % 50 == 0 else bar)
    assert len(made.snapshot()[3]) == 199 - 2 * 4 + 1
    shifted = SpreadEstimate(SpreadRule(500, 50.0))
    for number, bar in enumerate(bars):
        shifted.observe(bar._replace(opened_at_ms=bar.opened_at_ms + number // 50 * MINUTE_MS))
    assert len(shifted.snapshot()[3]) == 196


@given(st.integers(0, 99), st.integers(40, 120))
def test_only_the_window_counts_and_a_snapshot_goes_on_alike(seed: int, cut: int) -> None:
    """Older candles change nothing, and a restored estimate says the same to the bit."""
    bars = bouncing(seed, 3.0, 150)
    rule = SpreadRule(35, 50.0)
    assert estimated(bars, rule) == estimated(bars[-36:], rule)
    first = SpreadEstimate(rule)
    for bar in bars[:cut]:
        first.observe(bar)
    second = SpreadEstimate(rule)
    second.restore(first.snapshot())
    for bar in bars[cut:]:
        first.observe(bar)
        second.observe(bar)
    assert second.half_bps(0.0) == first.half_bps(0.0)
    assert second.snapshot() == first.snapshot()
