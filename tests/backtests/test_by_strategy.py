"""Trades belong to the strategy of their symbol, and its figures are those of its own trades."""

from __future__ import annotations

import pytest

from backtests.by_strategy import split_by_strategy
from bot.core.position import Trade
from strategies import StrategyChoice

HOLD = StrategyChoice("forecast_hold", "default", {})
FAST = StrategyChoice("lstm_scalping:aggressive", "default", {"threshold": 0.001})
SLOW = StrategyChoice("lstm_scalping:aggressive", "default", {"threshold": 0.002})


def trade(symbol: str, pnl: float, reason: str = "stop_loss") -> Trade:
    """Two units from 100; the fees are 0.5, the funding 0.1."""
    return Trade(symbol, "long", 0, 100.0, 600_000, 101.0, 2.0, 0.5, 0.1, pnl, reason)


def test_trades_are_split_by_hand():
    """Symbols of one choice are one strategy; another parameter makes another one."""
    trades = [trade("A", 2.0), trade("B", -1.0, "held"), trade("A", -3.0), trade("C", 4.0)]
    first, second, third = split_by_strategy(trades, {"A": FAST, "B": HOLD, "C": FAST, "D": SLOW})
    assert (first["strategy"], first["symbols"]) == ("lstm_scalping:aggressive", ["A", "C"])
    assert (first["trades"], first["profit"]) == (3, 3.0)
    assert first["win_rate"] == pytest.approx(2 / 3)
    assert first["average_trade_bps"] == pytest.approx(3.0 / 3 / 200 * 10_000)
    assert (first["fees"], first["funding"]) == (1.5, pytest.approx(0.3))
    assert second["exit_reasons"] == {"held": 1}
    assert third["parameters"] == {"threshold": 0.002}
    assert (third["trades"], third["win_rate"], third["average_trade_bps"]) == (0, None, None)
