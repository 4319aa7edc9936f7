"""Tests of how much two markets move together."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.correlation import MIN_RETURNS, correlation, log_returns
from bot.core.market import Candle
from tests.core_builders import PERPETUAL, SPOT, candle

seeds = st.integers(0, 2**32)


def walk(seed: int, count: int = 60, *, symbol: str = PERPETUAL, start: int = 0) -> list[Candle]:
    """A random market."""
    rng, price, made = random.Random(seed), 100.0, []
    for minute in range(count):
        price *= math.exp(rng.gauss(0, 0.002))
        made.append(candle(start + minute, price, symbol=symbol))
    return made


def test_returns_are_those_of_contiguous_minutes():
    """Each minute's log return stands at its time; across a hole there is none."""
    bars = [candle(0, 100.0), candle(1, 110.0), candle(3, 120.0), candle(4, 90.0)]
    found = log_returns(bars)
    assert found == {
        bars[1].opened_at_ms: pytest.approx(math.log(1.1)),
        bars[3].opened_at_ms: pytest.approx(math.log(0.75)),
    }


@given(seed=seeds, power=st.floats(0.1, 3))
@settings(deadline=None)
def test_a_market_moves_with_itself_and_against_its_inverse(seed: int, power: float) -> None:
    """A power of a price has correlation one with it, its inverse minus one."""
    one = walk(seed)
    with_it = [bar._replace(close=100 * (bar.close / 100) ** power) for bar in one]
    against = [bar._replace(close=1e4 / bar.close) for bar in one]
    assert correlation(one, with_it) == pytest.approx(1.0)
    assert correlation(one, against) == pytest.approx(-1.0)


@given(first=seeds, second=seeds, shift=st.integers(0, 35))
@settings(deadline=None)
def test_it_is_symmetric_bounded_and_of_the_common_minutes(first: int, second: int, shift: int) -> None:
    """Whichever comes first, the number is the same, at most one, and that of the minutes that both have."""
    one, other = walk(first), walk(second, symbol=SPOT, start=shift)
    found = correlation(one, other)
    assert found is not None
    assert -1.0 <= found <= 1.0
    assert found == pytest.approx(correlation(other, one))
    assert found == correlation(one[shift:], other[: 60 - shift])


def test_it_agrees_with_numpy():
    """Two random walks have the correlation that numpy finds of their log returns."""
    np = pytest.importorskip("numpy")
    one, other = walk(1), walk(2)
    mixed = [a._replace(close=math.sqrt(a.close * b.close)) for a, b in zip(one, other, strict=True)]
    moves = [np.diff(np.log([bar.close for bar in bars])) for bars in (one, mixed)]
    assert correlation(one, mixed) == pytest.approx(float(np.corrcoef(*moves)[0, 1]), abs=1e-12)


@pytest.mark.parametrize("count", [0, 1, MIN_RETURNS])
def test_few_minutes_say_nothing(count: int) -> None:
    """So many candles have one return fewer than are needed."""
    assert correlation(walk(1)[:count], walk(2)) is None
    assert correlation(walk(1)[: MIN_RETURNS + 1], walk(2)) is not None


def test_a_price_that_does_not_move_says_nothing():
    """Without a move, or with the same one each minute, there is no correlation."""
    still = [candle(minute, 100.0) for minute in range(60)]
    steady = [candle(minute, 100.0 * 1.001**minute) for minute in range(60)]
    for bars in (still, steady):
        assert correlation(bars, walk(1)) is None
        assert correlation(walk(1), bars) is None
