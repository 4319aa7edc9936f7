"""With every friction on, all drivers decide and fill alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backtests.fast_driver import drive_plainly
from backtests.inputs import BacktestInput
from backtests.parity import PARITY_ENGINES, run_parity
from backtests.run import run_backtest
from backtests.session import Session
from bot.core.entry import EntryRule, EntryStyle
from bot.core.liquidation import MarginMode, MarginRule
from bot.core.matching import Costs
from bot.core.sizing import SizingRule
from bot.core.slippage import ImpactRule
from bot.core.spread import SpreadRule
from tests.random_market import NO_LIMITS, PERPETUALS, SPOTS, random_input

HARD = Costs(
    spread=SpreadRule(60, 20.0),
    impact=ImpactRule(1.0, 30, 100.0),
    participation_cap=0.5,
    latency_ms=250,
    margin=MarginRule(MarginMode.ISOLATED, 100.0, 0.005, 125.0),
)
CASES = {
    "within a bar": (HARD, PERPETUALS, EntryRule()),
    "bars late, cross margin": (
        replace(HARD, latency_ms=61_000, margin=MarginRule(MarginMode.CROSS, 3.0, 0.5, 125.0)),
        PERPETUALS,
        EntryRule(),
    ),
    "spot": (replace(HARD, latency_ms=0), SPOTS, EntryRule()),
    "maker": (HARD, PERPETUALS, EntryRule(EntryStyle.MAKER, 2, taker_fallback=True)),
}


def data(name: str, count: int = 600) -> BacktestInput:
    """A random market with holes and minutes without volume, traded with wide stops, so that margin matters."""
    costs, symbols, entry = CASES[name]
    limits = replace(
        NO_LIMITS,
        max_symbol_notional_fraction=1.0,
        max_total_notional_fraction=3.0,
        max_trade_risk_fraction=None,
    )
    made = random_input(
        5,
        symbols=symbols,
        count=count,
        limits=limits,
        entry=entry,
        sizing=SizingRule(0.9),
        stop_loss=0.02,
        take_profit=0.02,
    )
    return replace(made, config=replace(made.config, costs=costs, starting_cash=60.0))


@pytest.mark.parametrize("name", CASES)
def test_all_engines_give_one_hash(name: str) -> None:
    """Fast, backtrader and replay leave the same stream over more than a hundred trades."""
    made = data(name)
    report = run_parity(made)
    assert report.difference is None
    assert list(report.digests) == list(PARITY_ENGINES)
    assert report.trade_count > 100
    result = run_backtest(made)
    fills = result.fills
    assert {fill.spread_bps != 0.5 for fill in fills} == {True, False}
    assert len({fill.client_order_id for fill in fills}) < len(fills)
    if name.startswith(("within", "bars")):
        assert sum(trade.exit_reason == "liquidation" for trade in result.trades) > 2
    session = Session(made)
    drive_plainly(session)
    assert session.result("plain").trades == result.trades


def test_a_planted_fee_is_found_with_frictions_on() -> None:
    """One cent in one execution of one engine shows."""
    report = run_parity(data("within a bar", 300), plant="fee")
    assert report.difference is not None
    assert "fee is" in report.difference


def test_frictions_cost_money() -> None:
    """The same forecasts on the same candles end with less."""
    made = data("within a bar")
    plain = replace(made, config=replace(made.config, costs=Costs()))
    hard = replace(
        made, config=replace(made.config, costs=replace(HARD, participation_cap=None, margin=None))
    )
    assert run_backtest(hard).account.equity() < run_backtest(plain).account.equity()
