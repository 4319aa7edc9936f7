"""Tests of RSI and MACD against TA-Lib and in markets whose answer is known."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.indicators import Macd, Rsi

prices = st.lists(st.floats(1.0, 1e5), min_size=1, max_size=60)


def walk(seed: int, count: int, scale: float = 0.002) -> list[float]:
    """Closes of a random walk around 30,000."""
    rng = random.Random(seed)
    closes = [30_000.0]
    for _ in range(count - 1):
        closes.append(closes[-1] * (1 + rng.gauss(0, scale)))
    return closes


@pytest.mark.parametrize("period", [2, 7, 14])
@pytest.mark.parametrize("seed", range(3))
def test_rsi_is_talibs_from_its_first_value_on(seed: int, period: int) -> None:
    """Same start, same smoothing: equal within 1e-9 of 100, and None exactly where TA-Lib has none."""
    closes = walk(seed, 400)
    expected = talib.RSI(np.array(closes), timeperiod=period)
    rsi = Rsi(period)
    for close, value in zip(closes, expected, strict=True):
        rsi.update(close)
        if np.isnan(value):
            assert rsi.value is None
        else:
            assert rsi.value == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_macd_histogram_becomes_talibs(seed: int) -> None:
    """TA-Lib starts each average with a mean, we with the first value: after 400 closes 1e-9 of the price is left.

    The start's weight falls by 1 - 2/27 a candle, so after 400 candles it is (25/27)^400, about 4e-14.
    """
    closes = walk(seed, 1000)
    _, _, expected = talib.MACD(np.array(closes), 12, 26, 9)
    macd = Macd()
    for number, (close, value) in enumerate(zip(closes, expected, strict=True)):
        macd.update(close)
        assert (macd.histogram is None) == (number < 25)
        if number >= 400:
            assert macd.histogram == pytest.approx(value, abs=1e-9 * close)


def fed(indicator: Rsi | Macd, closes: list[float]) -> Rsi | Macd:
    """The indicator after these closes."""
    for close in closes:
        indicator.update(close)
    return indicator


@given(price=st.floats(1e-6, 1e6), count=st.integers(1, 60))
@settings(deadline=None)
def test_a_market_that_does_not_move_is_neutral(price: float, count: int) -> None:
    """RSI 50 (TA-Lib says 0 there: no gain and no loss have no ratio), MACD 0, once they have seen enough."""
    rsi, macd = Rsi(), Macd()
    fed(rsi, [price] * count)
    fed(macd, [price] * count)
    assert rsi.value == (50.0 if count > 14 else None)
    assert macd.histogram == (0.0 if count >= 26 else None)


@pytest.mark.parametrize(("step", "rsi_value"), [(1.0, 100.0), (-1.0, 0.0)])
def test_a_market_that_only_goes_one_way(step: float, rsi_value: float) -> None:
    """RSI sits at its end, and an accelerating move has the MACD ahead of its signal on the same side."""
    closes = [1000.0 + step * number + step * number**2 / 100 for number in range(60)]
    rsi, macd = Rsi(), Macd()
    fed(rsi, closes)
    fed(macd, closes)
    assert rsi.value == rsi_value
    assert macd.histogram is not None
    assert macd.histogram * step > 0


@given(closes=prices)
@settings(deadline=None)
def test_rsi_stays_within_its_bounds_and_mirrors(closes: list[float]) -> None:
    """0 to 100 for any prices, and turned upside down it is 100 less."""
    up, down = Rsi(5), Rsi(5)
    fed(up, closes)
    fed(down, [200_000.0 - close for close in closes])
    if up.value is not None:
        assert down.value is not None
        assert 0.0 <= up.value <= 100.0
        assert up.value + down.value == pytest.approx(100.0, abs=1e-3)


@given(before=prices, after=prices)
@settings(deadline=None)
def test_a_snapshot_goes_on_exactly(before: list[float], after: list[float]) -> None:
    """Restored from JSON at any close, every later value is equal to the bit; a reset is like new."""
    for make in (lambda: Rsi(5), lambda: Macd(3, 6, 4)):
        one, two, fresh = make(), make(), make()
        fed(one, before)
        two.restore(json.loads(json.dumps(one.snapshot())))
        for close in after:
            fed(one, [close])
            fed(two, [close])
            assert one.snapshot() == two.snapshot()
        one.reset()
        assert one.snapshot() == fresh.snapshot()


@given(first=prices, rest=prices, cut=st.integers(0, 60), period=st.integers(2, 20))
@settings(deadline=None)
def test_many_closes_at_once_are_one_by_one_to_the_last_digit(
    first: list[float], rest: list[float], cut: int, period: int
) -> None:
    """``update_all``, in parts of any length and wherever it begins, leaves the very state that as many updates leave."""
    closes = [*first, *rest]
    for one, other in ((Rsi(period), Rsi(period)), (Macd(), Macd())):
        for close in first[:cut]:
            one.update(close)
        one.update_all(first[cut:])
        one.update_all([])
        one.update_all(rest)
        for close in closes:
            other.update(close)
        assert one.snapshot() == other.snapshot()
