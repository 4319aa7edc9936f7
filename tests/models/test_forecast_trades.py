"""Trades out of forecasts: when they begin and end, what they earn, and that they never overlap."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.forecast_trades import DAY_MS, ForecastTrades, TradingCosts, forecast_trades

MINUTE = 60_000
COSTS = TradingCosts(0.001)


def _trade(expected, fill=None, *, ts=None, symbol=None, horizon=2, costs=COSTS, **more):
    expected = np.asarray(expected, np.float64)
    size = len(expected)
    ts = np.arange(size, dtype=np.int64) * MINUTE if ts is None else np.asarray(ts, np.int64)
    symbol = np.zeros(size, np.int16) if symbol is None else np.asarray(symbol, np.int16)
    fill = np.full(size, 100.0) if fill is None else np.asarray(fill, np.float64)
    return forecast_trades(ts, symbol, expected, fill, horizon=horizon, costs=costs, **more)


def _spans(trades: ForecastTrades):
    return [(int(a) // MINUTE, int(b) // MINUTE) for a, b in zip(trades.entered, trades.left, strict=True)]


def test_a_trade_begins_where_the_forecast_pays_and_lasts_the_horizon():
    """A trade begins at the first forecast above the costs and ends at the horizon when the forecast has turned."""
    trades = _trade([0.0005, 0.002, -0.0001, -0.0001, 0.0], [100, 101, 102, 103.02, 104])
    assert _spans(trades) == [(1, 3)]
    assert trades.gross[0] == pytest.approx(103.02 / 101 - 1)
    assert trades.net(TradingCosts(0.001))[0] == pytest.approx(103.02 / 101 - 1 - 0.001)


def test_a_trade_goes_on_while_the_forecast_has_not_turned():
    """After the horizon a trade is kept, at no further cost, until the forecast is no longer on its side."""
    trades = _trade([0.002, 0.0001, 0.0001, 0.0001, 0.0001, -0.0001, -0.0001])
    assert _spans(trades) == [(0, 5)]


def test_a_short_earns_from_a_fall():
    """A short trade earns what the price falls."""
    trades = _trade([-0.002, -0.001, 0.0, 0.0], [100, 99, 98, 97])
    assert trades.side.tolist() == [-1.0]
    assert trades.gross[0] == pytest.approx(0.02)


def test_a_reversal_enters_where_the_last_trade_left():
    """A forecast that turns far enough ends one trade and begins the opposite one at the same price."""
    trades = _trade([0.002, 0.002, -0.002, -0.002, -0.002, 0.0])
    assert _spans(trades) == [(0, 2), (2, 5)]
    assert trades.side.tolist() == [1.0, -1.0]


def test_a_gap_ends_a_trade_at_the_last_price_before_it():
    """No trade reaches over a gap, a missing price, or into another symbol."""
    whole = [0.002] * 6
    assert _spans(_trade(whole, ts=[0, MINUTE, 2 * MINUTE, 9 * MINUTE, 10 * MINUTE, 11 * MINUTE])) == [
        (0, 2),
        (9, 11),
    ]
    assert _spans(_trade(whole, [1, 1, 1, np.nan, 1, 1])) == [(0, 2), (4, 5)]
    both = _trade(whole, symbol=[0, 0, 0, 1, 1, 1], ts=[0, MINUTE, 2 * MINUTE] * 2)
    assert both.symbol.tolist() == [0, 1]


def test_what_is_uncertain_is_taken_off_the_edge():
    """An expected return that its own error swallows is not traded; an error that is not known counts as none."""
    expected = [0.002, 0.002, 0.002, -0.1, 0.0]
    assert _spans(_trade(expected, uncertainty=np.full(5, 0.0011), confidence=1.0)) == [(3, 4)]
    assert len(_trade(expected[:3], uncertainty=np.full(3, 0.0011), confidence=1.0)) == 0
    assert len(_trade(expected[:3], uncertainty=np.full(3, np.nan), confidence=1.0)) == 1


def test_no_forecast_no_trade():
    """Rows without a forecast are not traded, and nothing at all makes no trades."""
    assert len(_trade([np.nan] * 5)) == 0
    assert len(_trade([])) == 0
    assert len(_trade([0.002])) == 0  # nowhere to leave


def test_daily_returns_fall_on_the_day_of_leaving():
    """Each day's net return is the sum of the trades that were left on it, over the symbols."""
    size = 2 * 1440
    expected = np.zeros(size)
    expected[[0, 1, 2000]] = 0.01
    fill = np.linspace(100, 110, size)
    trades = _trade(expected, fill, horizon=5)
    daily = trades.daily(TradingCosts(0.001), 0, 2 * DAY_MS, symbols=2)
    assert daily == pytest.approx([trades.net(TradingCosts(0.001))[day] / 2 for day in (0, 1)])
    assert TradingCosts(0.001, 0.5).times(2) == TradingCosts(0.002, 0.5)


@given(
    st.lists(st.sampled_from([-0.01, -0.0001, 0.0, 0.0001, 0.01, float("nan")]), max_size=60),
    st.integers(1, 9),
    st.integers(0, 2**16),
)
def test_trades_never_overlap_and_stay_for_the_horizon(expected, horizon, seed):
    """Whatever the forecasts, trades follow each other, last the horizon unless a gap ends them, and add up."""
    rng = np.random.default_rng(seed)
    fill = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, len(expected))))
    trades = _trade(expected, fill, horizon=horizon)
    spans = _spans(trades)
    assert all(a < b for a, b in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    for (a, b), side, gross in zip(spans, trades.side, trades.gross, strict=True):
        assert gross == pytest.approx(side * (fill[b] / fill[a] - 1))
        ended = b == len(expected) - 1 or np.isnan(expected[b + 1]) or np.isnan(expected[b])
        assert b - a >= horizon or ended
        assert abs(expected[a]) > 0.001
        assert not np.isnan(expected[a : b + 1]).any()


@given(st.integers(0, 2**16))
def test_a_changed_future_changes_no_trade_that_was_left(seed):
    """Candles after a trade was left do not change it."""
    rng = np.random.default_rng(seed)
    expected = rng.normal(0, 0.002, 80)
    fill = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, 80)))
    whole = _trade(expected, fill, horizon=3)
    cut = 40
    other, price = expected.copy(), fill.copy()
    other[cut:] = rng.normal(0, 0.002, 80 - cut)
    price[cut:] *= 1.5
    changed = _trade(other, price, horizon=3)
    past = [span for span in _spans(whole) if span[1] < cut]
    assert past == _spans(changed)[: len(past)]
