"""A session hands every minute on exactly once and counts only the engine's time."""

from __future__ import annotations

import numpy as np
import pytest

from backtests import session as session_module
from backtests.results import MinuteOutcome
from backtests.run import run_backtest
from bot.core.orders import Fill, Funding
from bot.errors import ConfigError
from tests.random_market import PERPETUALS, random_input


@pytest.mark.parametrize("engine", ["fast", "backtrader"])
def test_the_sink_gets_every_minute_once_and_little_at_a_time(engine, monkeypatch):
    """Outcomes arrive in order, a bounded number at a time, and hold what the result holds."""
    monkeypatch.setattr(session_module, "FLUSH_MINUTES", 50)
    data = random_input(2, symbols=PERPETUALS[:2], count=1000)
    parts: list[list[MinuteOutcome]] = []
    progress: list[int] = []
    result = run_backtest(
        data, engine=engine, sink=lambda part: parts.append(list(part)), progress=progress.append
    )
    assert max(map(len, parts)) == 50
    outcomes = [outcome for part in parts for outcome in part]
    assert len(outcomes) == data.minute_count() == progress[-1] == len(result.equity.ts)
    reports = [report for found, _ in outcomes for report in found]
    assert [report for report in reports if isinstance(report, Fill)] == result.fills
    assert [report for report in reports if isinstance(report, Funding)] == result.fundings
    closes = [decisions[0].closed_at_ms for _, decisions in outcomes]
    assert closes == result.equity.ts.tolist()


def test_the_sinks_time_is_not_the_engines():
    """Time that passes in the sink is left out of engine_seconds, all other time is in."""
    now = [0]

    def clock() -> int:
        now[0] += 1_000_000  # each look takes a millisecond
        return now[0]

    def slow_sink(_: object) -> None:
        now[0] += 3600 * 10**9

    result = run_backtest(random_input(2, count=1200), sink=slow_sink, monotonic_ns=clock)
    assert 0 < result.engine_seconds < 1
    assert result.bars_per_second == result.candle_count / result.engine_seconds


def test_cash_and_positions_make_equity_at_every_minute():
    """On a perpetual, equity is starting cash plus closed trades plus what is open, at every trade's end."""
    data = random_input(9, count=1500)
    result = run_backtest(data)
    assert result.equity.equity[-1] == pytest.approx(
        data.config.starting_cash
        + sum(trade.pnl for trade in result.trades)
        + sum(
            position.unrealized(result.account.mark_price(position.symbol)) - position.fees - position.funding
            for position in result.account.positions()
        )
    )
    flat = result.equity.exposure == 0
    np.testing.assert_array_equal(result.equity.equity[flat], result.equity.cash[flat])
    assert 0.1 < flat.mean() < 0.99


def test_an_unknown_engine_is_named():
    """A driver that does not exist is a ConfigError."""
    with pytest.raises(ConfigError, match="no engine 'vectorbt'"):
        run_backtest(random_input(1, count=50), engine="vectorbt")


def test_a_later_candle_changes_no_earlier_decision():
    """Cutting the candles short leaves everything before the cut as it was."""
    data = random_input(21, symbols=PERPETUALS, count=800)
    cut_ms = int(data.candles[PERPETUALS[0]].ts[400])
    short = {symbol: arrays.between(0, cut_ms) for symbol, arrays in data.candles.items()}
    whole: list[MinuteOutcome] = []
    begun: list[MinuteOutcome] = []
    run_backtest(data, sink=whole.extend)
    run_backtest(type(data)(short, data.predictions, data.config, data.make_strategy), sink=begun.extend)
    assert begun == whole[: len(begun)]
    assert len(begun) < len(whole)
