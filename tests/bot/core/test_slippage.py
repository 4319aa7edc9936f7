"""Tests of the impact of a size: the square-root law, its cap, and the volatility that it is made of."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.slippage import ImpactRule, MinuteVolatility
from tests.core_builders import candle

RULE = ImpactRule(coefficient=2.0, window_minutes=4, cap_bps=50.0)


def test_the_law_in_figures() -> None:
    """2 times 10 bps times the root of a hundredth is 2 bps; nothing is moved by nothing, and never more than the cap."""
    assert RULE.moved_bps(0.001, 1.0, 100.0) == pytest.approx(2.0)
    assert RULE.moved_bps(0.001, 0.0, 100.0) == 0.0
    assert RULE.moved_bps(0.0, 1.0, 0.0) == 0.0
    assert RULE.moved_bps(0.001, 1.0, 0.0) == 50.0
    assert RULE.moved_bps(0.5, 1.0, 1.0) == 50.0


@given(st.floats(0, 0.1), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1, 10))
def test_more_of_anything_never_costs_less(
    volatility: float, quantity: float, volume: float, factor: float
) -> None:
    """More volatility, a larger order and a thinner minute move the price at least as far."""
    moved = RULE.moved_bps(volatility, quantity, volume)
    assert 0.0 <= moved <= RULE.cap_bps
    assert RULE.moved_bps(volatility * factor, quantity, volume) >= moved
    assert RULE.moved_bps(volatility, quantity * factor, volume) >= moved
    assert RULE.moved_bps(volatility, quantity, volume / factor) >= moved


def test_volatility_is_that_of_the_last_returns_without_those_over_a_hole() -> None:
    """Four returns are remembered; the one over a missing minute is left out."""
    made = MinuteVolatility(4)
    assert made.value() == 0.0
    for minute, close in ((0, 50.0), (1, 100.0), (2, 101.0), (3, 100.0), (4, 102.0), (9, 200.0), (10, 198.0)):
        made.observe(candle(minute, close))
    returns = [math.log(b / a) for a, b in ((101.0, 100.0), (100.0, 102.0), (200.0, 198.0))]
    returns.append(math.log(101.0 / 100.0))
    assert made.value() == pytest.approx(math.sqrt(sum(one * one for one in returns) / 4), rel=1e-12)
    again = MinuteVolatility(4)
    again.restore(made.snapshot())
    made.observe(candle(11, 190.0))
    again.observe(candle(11, 190.0))
    assert again.value() == made.value()
