"""Figures follow their stated conventions, and what can't be said is None with a reason."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests.inputs import PredictionColumns
from backtests.metrics import buy_and_hold, daily_returns, drawdowns, figures_of
from backtests.results import EquityCurve
from backtests.run import run_backtest
from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.position import Trade
from bot.core.risk import RiskLimits
from tests.random_market import NO_LIMITS, PERPETUALS, START_MS, random_input

DAY_0 = START_MS // DAY_MS * DAY_MS


def curve_of(equity: list[float], step_ms: int = DAY_MS) -> EquityCurve:
    """A curve with one point a step; the first closes one step after midnight."""
    values = np.array(equity)
    ts = DAY_0 + step_ms * np.arange(1, len(equity) + 1)
    return EquityCurve(ts, values, values, np.zeros(len(equity)))


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60))
def test_drawdown_is_the_distance_from_the_highest_so_far(equity: list[float]):
    """At each point it is one minus equity over the highest equity up to there, the start included."""
    found = drawdowns(np.array(equity), 100.0)
    for place, value in enumerate(equity):
        assert found[place] == pytest.approx(1 - value / max(100.0, *equity[: place + 1]))
        assert 0 <= found[place] < 1


def test_daily_returns_go_from_midnight_to_midnight():
    """A close at midnight ends its day, and a day without candles returns nothing."""
    values = np.array([101.0, 110.0, 99.0, 121.0])
    ts = DAY_0 + np.array([DAY_MS // 2, DAY_MS, DAY_MS + MINUTE_MS, 4 * DAY_MS])
    returns = daily_returns(EquityCurve(ts, values, values, values), 100.0)
    np.testing.assert_allclose(returns, [0.10, -0.10, 0.0, 121 / 99 - 1])


def test_sharpe_and_sortino_by_hand():
    """Sharpe is mean over standard deviation of daily returns times √365; Sortino takes the downside alone."""
    returns = np.array([0.01, -0.005] * 15)
    data = random_input(1, count=60)
    result = run_backtest(data)
    curve = curve_of((data.config.starting_cash * np.cumprod(1 + returns)).tolist())
    values = figures_of(replace(result, equity=curve), data).values
    assert values["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(365))
    downside = math.sqrt(np.mean(np.minimum(returns, 0) ** 2))
    assert values["sortino"] == pytest.approx(returns.mean() / downside * math.sqrt(365))


def test_too_few_days_and_trades_say_so():
    """A run of hours has no ratio, no yearly growth, and a reason for each; few trades are warned of."""
    data = random_input(3, count=100)
    figures = figures_of(run_backtest(data), data)
    for name in ("sharpe", "sortino", "cagr"):
        assert figures.values[name] is None
        assert "days" in figures.reasons[name]
    assert any("too few to tell skill from luck" in words for words in figures.warnings)


def test_no_trade_has_no_win_rate():
    """Without a trade, figures of trades are None and the reason is that there was none."""
    data = random_input(3, count=300, threshold=0.9)
    figures = figures_of(run_backtest(data), data)
    assert figures.values["trades"] == 0
    assert figures.values["return"] == 0
    assert any(words.startswith("no trade was closed; held back: ") for words in figures.warnings)
    for name in ("win_rate", "profit_factor", "average_trade_bps"):
        assert figures.values[name] is None
        assert figures.reasons[name] == "no trade was closed"


def test_trade_figures_by_hand():
    """Win rate, profit factor, average in bps of the entry and break-even costs follow from the trades."""
    data = random_input(3, count=100)
    result = run_backtest(data)

    def trade(pnl: float) -> Trade:
        return Trade(PERPETUALS[0], "long", 0, 100.0, 600_000, 101.0, 2.0, 0.5, 0.1, pnl, "take_profit")

    values = figures_of(replace(result, trades=[trade(2.0), trade(4.0), trade(-1.0)]), data).values
    assert values["win_rate"] == pytest.approx(2 / 3)
    assert values["profit_factor"] == pytest.approx(6.0)
    assert values["average_trade_bps"] == pytest.approx(5 / 3 / 200 * 10_000)
    assert values["average_holding_minutes"] == 10
    assert (values["best_trade"], values["worst_trade"]) == (4.0, -1.0)
    gross_bps = (5 / 3 + 0.6) / 200 * 10_000
    assert values["break_even_cost_bps"] == pytest.approx(gross_bps + 2 * (0.5 + 1.0))


def test_money_adds_up():
    """Profit is the trades' net profit plus what is open; fees and funding are those of fills and fundings."""
    data = random_input(9, count=2000)
    result = run_backtest(data)
    values = figures_of(result, data).values
    assert values["fees"] == pytest.approx(sum(fill.fee for fill in result.fills))
    open_value = sum(
        p.unrealized(result.account.mark_price(p.symbol)) - p.fees - p.funding
        for p in result.account.positions()
    )
    assert values["profit"] == pytest.approx(sum(trade.pnl for trade in result.trades) + open_value)
    assert values["trades"] == len(result.trades)
    assert 0 < values["exposure"] < 1


def test_buy_and_hold_is_equal_weight_from_the_first_open():
    """Each symbol gets the same money at its first open; a minute without a candle keeps the last close."""
    data = random_input(4, symbols=PERPETUALS[:2], count=200)
    result = run_backtest(data)
    curve = buy_and_hold(data, result.equity)
    ends = [arrays.close[-1] / arrays.open[0] for arrays in data.candles.values()]
    assert curve[-1] == pytest.approx(data.config.starting_cash * sum(ends) / 2)
    for place, closed_at in enumerate(result.equity.ts):
        worth = 0.0
        for arrays in data.candles.values():
            known = arrays.close[arrays.ts < closed_at]
            worth += known[-1] / arrays.open[0] if len(known) else 1.0
        assert curve[place] == pytest.approx(data.config.starting_cash * worth / 2)


def test_a_halt_and_what_is_open_are_warned_of():
    """Someone who reads the figures learns that trading stopped, and that something is still held."""
    limits = RiskLimits(max_drawdown_fraction=0.002, max_daily_loss_fraction=1.0)
    data = random_input(3, count=1500, limits=limits)
    words = " ".join(figures_of(run_backtest(data), data).warnings)
    assert "trading halted (drawdown_limit) at 2023-11-1" in words
    held = random_input(
        3, count=1500, limits=NO_LIMITS, stop_loss=0.9, take_profit=0.9, exit_on_reversal=False
    )
    assert "still open at the end" in " ".join(figures_of(run_backtest(held), held).warnings)


def test_the_unbelievable_is_doubted():
    """Predictions that know the future make figures that the report calls too good to be true."""
    data = random_input(5, count=4000, gaps=False, stop_loss=0.05, take_profit=0.2)
    (symbol,) = data.symbols
    close = data.candles[symbol].close
    known = np.concatenate([close[30:] / close[:-30] - 1, np.zeros(30)])
    columns = PredictionColumns(data.candles[symbol].ts, known, "cheat", 15)
    cheat = replace(data, predictions={symbol: columns})
    found = " ".join(figures_of(run_backtest(cheat), cheat).warnings)
    honest = " ".join(figures_of(run_backtest(data), data).warnings)
    assert "a profit factor of 12.0 is too good to be true" in found
    assert "too good" not in honest
