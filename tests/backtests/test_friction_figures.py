"""What a report says of costs where every fill was moved by figures of its own."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from backtests.inputs import BacktestInput
from backtests.metrics import figures_of
from backtests.report_costs import moved_of
from backtests.run import run_backtest
from bot.core.matching import Costs
from bot.core.slippage import ImpactRule
from bot.core.spread import SpreadRule
from tests.random_market import PERPETUALS, random_input

FIXED = Costs(participation_cap=1.0)
VARIABLE = Costs(spread=SpreadRule(60, 20.0), impact=ImpactRule(1.0, 30, 100.0), latency_ms=61_000)


def data(costs: Costs) -> BacktestInput:
    """A random market of two perpetuals."""
    made = random_input(4, symbols=PERPETUALS[:2], count=500)
    return replace(made, config=replace(made.config, costs=costs, starting_cash=300.0))


@pytest.mark.parametrize("costs", [FIXED, VARIABLE])
def test_spread_and_slippage_are_what_the_fills_say(costs: Costs) -> None:
    """The split adds up the basis points of each fill, on the price that it was moved from."""
    made = data(costs)
    result = run_backtest(made)
    moved = moved_of(result, made, {})
    spread = slippage = 0.0
    for fill in result.fills:
        assert fill.spread_bps is not None
        assert fill.slippage_bps is not None
        base = fill.price / (1 + fill.side.sign * (fill.spread_bps + fill.slippage_bps) / 1e4)
        spread += base * fill.quantity * fill.spread_bps / 1e4
        slippage += base * fill.quantity * fill.slippage_bps / 1e4
    assert len(result.fills) > 100
    assert moved.spread == pytest.approx(spread)
    assert moved.slippage == pytest.approx(slippage)


@pytest.mark.parametrize("costs", [FIXED, VARIABLE])
def test_break_even_is_what_trades_made_before_all_that_they_paid(costs: Costs) -> None:
    """The average gain with fees, funding and what every fill was moved by added back."""
    made = data(costs)
    result = run_backtest(made)
    paid = moved_of(result, made, {}).by_trade.tolist()
    before = [
        (trade.pnl + trade.fees + trade.funding + moved) / (trade.entry_price * trade.quantity) * 1e4
        for trade, moved in zip(result.trades, paid, strict=True)
    ]
    found = figures_of(result, made).values["break_even_cost_bps"]
    assert found == pytest.approx(math.fsum(before) / len(before))
    if costs is FIXED:  # then the fixed figures say the same to the curvature of prices
        by_figures = [
            (trade.pnl + trade.fees + trade.funding) / (trade.entry_price * trade.quantity) * 1e4 + 3.0
            for trade in result.trades
        ]
        assert found == pytest.approx(math.fsum(by_figures) / len(by_figures), abs=0.02)
