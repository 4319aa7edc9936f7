"""Days, months, drawdowns and groups are cut where they should be and add up to the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests import report_periods as periods
from backtests.metrics import drawdowns
from backtests.results import EquityCurve
from backtests.run import run_backtest
from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.position import Trade
from tests.random_market import PERPETUALS, random_input

JAN_1 = 1_704_067_200_000


def curve_of(values: list[float], *, step_ms: int = MINUTE_MS, start_ms: int = JAN_1) -> EquityCurve:
    """A curve with a value at each step after the start."""
    equity = np.array(values, dtype=np.float64)
    ts = start_ms + step_ms * np.arange(1, len(values) + 1, dtype=np.int64)
    return EquityCurve(ts, equity, equity, np.zeros(len(values)))


def trade_of(pnl: float, *, entry_at_ms: int = JAN_1, symbol: str = "BTC/USDT:USDT") -> Trade:
    """A long round trip of ten minutes with a notional of 1000."""
    return Trade(
        symbol, "long", entry_at_ms, 100.0, entry_at_ms + 600_000, 100.0, 10.0, 0.0, 0.0, pnl, "exit"
    )


@given(st.lists(st.floats(50, 150), min_size=1, max_size=60))
def test_the_worst_drawdown_is_the_maximum_drawdown(values: list[float]):
    """The deepest row is the figure of the summary, rows fall in depth, and every row lies between two peaks."""
    curve = curve_of(values)
    rows = periods.worst_drawdowns(curve, 100.0)
    deepest = float(drawdowns(curve.equity, 100.0).max())
    assert (rows[0]["depth"] if rows else 0.0) == pytest.approx(deepest)
    assert [row["depth"] for row in rows] == sorted((row["depth"] for row in rows), reverse=True)
    for row in rows:
        assert row["peak_at"] < row["trough_at"]
        assert row["recovered_at"] is None or row["trough_at"] < row["recovered_at"]


def test_a_drawdown_names_its_peak_trough_and_recovery():
    """By hand: up, down for two minutes, back to the peak, down to the end."""
    rows = periods.worst_drawdowns(curve_of([110.0, 99.0, 104.5, 110.0, 108.9]), 100.0)
    assert [row["depth"] for row in rows] == pytest.approx([0.1, 0.01])
    assert rows[0]["peak_at"] == "2024-01-01T00:01:00Z"
    assert rows[0]["trough_at"] == "2024-01-01T00:02:00Z"
    assert rows[0]["recovered_at"] == "2024-01-01T00:04:00Z"
    assert rows[1]["recovered_at"] is None
    assert rows[0]["days"] == pytest.approx(3 / 1440)


def test_months_compound_to_the_whole_run():
    """The returns of the months multiply to that of the run, and every trade is counted in the month that it ended."""
    data = random_input(3, symbols=PERPETUALS[:1], count=3 * 1440, gaps=False)
    result = run_backtest(data)
    days, own, held = periods.day_returns(result, data)
    rows = periods.monthly(days, own, held, result.trades)
    whole = math.prod(1 + row["return"] for row in rows)
    assert whole == pytest.approx(result.equity.equity[-1] / data.config.starting_cash)
    assert sum(row["trades"] for row in rows) == len(result.trades)
    assert sum(row["days"] for row in rows) == len(days)


def test_a_month_ends_at_midnight():
    """A close at 00:00 belongs to the day, and so to the month, that it ends."""
    curve = curve_of([101.0, 103.0], step_ms=31 * DAY_MS)
    assert periods.days_of(curve)[0] * DAY_MS == JAN_1 + 30 * DAY_MS
    days = periods.days_of(curve_of([101.0] * 32, step_ms=DAY_MS))
    returns = np.full(32, 0.01)
    rows = periods.monthly(days, returns, returns, [trade_of(1.0, entry_at_ms=JAN_1 + 31 * DAY_MS - 600_000)])
    assert [(row["month"], row["days"], row["trades"]) for row in rows] == [
        ("2024-01", 31, 1),
        ("2024-02", 1, 0),
    ]


def test_the_rolling_ratio_is_that_of_its_window():
    """Each value is the Sharpe ratio of the thirty days up to it; before, there is none; without movement, none."""
    rng = np.random.default_rng(1)
    returns = rng.normal(0.001, 0.01, 50)
    found = periods.rolling_sharpe(returns)
    assert np.isnan(found[:29]).all()
    window = returns[5:35]
    assert found[34] == pytest.approx(window.mean() / window.std(ddof=1) * math.sqrt(365))
    assert np.isnan(periods.rolling_sharpe(np.zeros(40))).all()
    assert np.isnan(periods.rolling_sharpe(returns[:20])).all()


def test_the_interval_of_the_sharpe_ratio_holds_it():
    """Sixty ordinary days: the interval lies around the ratio; twelve days have none."""
    rng = np.random.default_rng(2)
    returns = rng.normal(0.001, 0.01, 60)
    days = np.arange(60)
    interval = periods.sharpe_interval(days, returns)
    assert interval is not None
    low, high = interval
    assert low < returns.mean() / returns.std(ddof=1) * math.sqrt(365) < high
    assert periods.sharpe_interval(days[:12], returns[:12]) is None
    assert periods.sharpe_interval(days, np.zeros(60)) is None


@given(st.lists(st.tuples(st.integers(0, 14 * 24 * 60), st.floats(-5, 5)), max_size=30))
def test_groups_hold_every_trade_once(told: list[tuple[int, float]]):
    """However trades are grouped, counts and profits add up to all of them."""
    trades = [trade_of(pnl, entry_at_ms=JAN_1 + minute * MINUTE_MS) for minute, pnl in told]
    for make in (
        periods.by_hour,
        periods.by_weekday,
        periods.by_symbol,
        periods.by_direction,
        periods.by_exit_reason,
    ):
        rows = make(trades)
        assert sum(row["trades"] for row in rows) == len(trades)
        assert math.fsum(row["profit"] for row in rows) == pytest.approx(
            math.fsum(t.pnl for t in trades), abs=1e-9
        )


def test_hours_and_weekdays_are_those_of_entry_in_utc():
    """2024-01-01 was a Monday; an entry at 13:30 belongs to hour 13."""
    trades = [trade_of(1.0, entry_at_ms=JAN_1 + (6 * 24 * 60 + 13 * 60 + 30) * MINUTE_MS), trade_of(2.0)]
    assert [(row["weekday"], row["profit"]) for row in periods.by_weekday(trades)] == [
        ("Monday", 2.0),
        ("Sunday", 1.0),
    ]
    assert [row["hour"] for row in periods.by_hour(trades)] == [0, 13]
