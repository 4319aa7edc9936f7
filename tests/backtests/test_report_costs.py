"""What trading cost is found again in the fills, part by part, and other costs are charged to the same trades."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests.report_costs import (
    BPS,
    FACTORS,
    cost_sensitivity,
    costs_split,
    levels_of,
    moved_of,
    reference_prices,
    trade_interval,
)
from backtests.run import run_backtest
from bot.core.costs import Costs
from bot.core.entry import EntryRule, EntryStyle
from bot.core.market import MINUTE_MS
from tests.random_market import PERPETUALS, random_input


def run_of(seed: int, *, symbols: int = 2, count: int = 700, **parts):
    """A small run with the levels that its reports tell of."""
    data = random_input(seed, symbols=PERPETUALS[:symbols], count=count, **parts)
    levels = {}

    def keep(outcomes):
        for reports, _ in outcomes:
            levels.update(levels_of(reports))

    return run_backtest(data, sink=keep), data, levels


def priced_by(seed: int, costs: Costs):
    """The run of a seed, its config with these costs."""
    data = random_input(seed, count=700)
    return replace(data, config=replace(data.config, costs=costs))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_spread_and_slippage_are_what_the_costs_say(seed: int):
    """With levels known, each market fill is off its reference price by half the spread plus slippage, no more."""
    result, data, levels = run_of(seed)
    costs = data.config.costs
    wanted = (costs.half_spread_bps + costs.slippage_bps) / BPS
    for fill, reference in zip(result.fills, reference_prices(result.fills, data, levels), strict=True):
        moved = fill.side.sign * (fill.price / reference - 1)
        assert moved == pytest.approx(wanted, abs=1e-9)
    split = moved_of(result, data, levels)
    assert split.spread * costs.slippage_bps == pytest.approx(
        split.slippage * costs.half_spread_bps, rel=1e-6
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_without_levels_the_configured_costs_tell_the_same(seed: int):
    """Where nobody tells where stops stood, the model of the costs gives the same split."""
    result, data, levels = run_of(seed)
    told, untold = moved_of(result, data, levels), moved_of(result, data, {})
    assert untold.spread + untold.slippage == pytest.approx(told.spread + told.slippage, rel=1e-6)
    assert untold.by_trade == pytest.approx(told.by_trade, rel=1e-5, abs=1e-9)


def test_every_fill_is_charged_to_one_trade_or_is_still_open():
    """Spread and slippage of the trades and of what is still held are those of the fills."""
    result, data, levels = run_of(4)
    split = moved_of(result, data, levels)
    assert len(split.by_trade) == len(result.trades) > 10
    rest = split.spread + split.slippage - split.by_trade.sum()
    held = sum(position.quantity != 0 for position in result.account.positions())
    assert rest == pytest.approx(0.0, abs=1e-9) if not held else rest > 0


def test_the_parts_add_up_to_what_lies_between_gross_and_net():
    """Gross less the four parts is net, and the parts are those of the account."""
    result, data, levels = run_of(8)
    profit = float(result.equity.equity[-1]) - data.config.starting_cash
    split = costs_split(result, moved_of(result, data, levels), profit=profit)
    assert split["fee"] == result.account.fees_paid
    assert split["funding"] == result.account.funding_paid
    parts = [split[name] for name in ("fee", "spread", "slippage", "funding")]
    assert split["total"] == math.fsum(parts)
    assert split["gross_profit"] - split["total"] == pytest.approx(split["net_profit"])
    assert split["bps_of_turnover"]["fee"] == pytest.approx(data.config.costs.taker_fee_bps)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_table_at_once_the_costs_is_the_run_itself(seed: int):
    """Times one leaves every trade as it was, and each step costs the same again."""
    result, data, levels = run_of(seed)
    rows = {row["factor"]: row for row in cost_sensitivity(result, data, moved_of(result, data, levels))}
    pnl = math.fsum(trade.pnl for trade in result.trades)
    assert rows[1.0]["profit"] == pytest.approx(pnl)
    step = rows[0.0]["profit"] - rows[1.0]["profit"]
    assert step > 0 or not result.trades
    for factor in FACTORS:
        assert rows[factor]["profit"] == pytest.approx(rows[0.0]["profit"] - factor * step)
    assert rows[0.0]["profit"] >= rows[None]["profit"] >= rows[1.0]["profit"]


def test_trades_without_costs_are_the_gross_of_trades_with():
    """The row at no costs is near a run that pays none: the same trades but for sizes and stops moved by the spread."""
    paid = priced_by(11, Costs(funding_rate=0.0))
    free = priced_by(11, Costs(0.0, 0.0, 0.0, 0.0, 0.0))
    result = run_backtest(paid)
    row = cost_sensitivity(result, paid, moved_of(result, paid, {}))[0]
    clean = run_backtest(free)
    bps = np.mean([trade.pnl / (trade.entry_price * trade.quantity) * BPS for trade in clean.trades])
    assert abs(row["average_trade_bps"] - bps) < 12.0


def test_a_limit_entry_is_moved_by_nothing():
    """A maker fill is its own reference price."""
    result, data, levels = run_of(6, symbols=1, entry=EntryRule(style=EntryStyle.MAKER, limit_minutes=3))
    references = reference_prices(result.fills, data, levels)
    waited = [
        (fill, reference)
        for fill, reference in zip(result.fills, references, strict=True)
        if fill.client_order_id.endswith("e") and fill.filled_at_ms % MINUTE_MS
    ]
    assert waited
    assert all(fill.price == reference for fill, reference in waited)


def test_a_run_without_trades_has_a_table_of_nothing():
    """No trade: every row is there, with no profit and no average."""
    data = random_input(3, count=200, threshold=0.9)
    result = run_backtest(data)
    rows = cost_sensitivity(result, data, moved_of(result, data, {}))
    assert [row["factor"] for row in rows] == [*FACTORS, None]
    assert all(row["profit"] == 0.0 and row["average_trade_bps"] is None for row in rows)
    assert costs_split(result, moved_of(result, data, {}), profit=0.0)["break_even_times"] is None


def test_the_interval_of_a_trade_needs_days_and_trades():
    """Two weeks and ten trades are the least; then the interval holds the mean of what is steady."""
    result, _, _ = run_of(2)
    pnl = np.array([trade.pnl for trade in result.trades])
    day = 86_400_000
    span = (int(result.equity.ts[0]), int(result.equity.ts[-1]))
    assert trade_interval(result.trades, pnl, span) is None
    moved = [trade._replace(exit_at_ms=place % 40 * day + 1) for place, trade in enumerate(result.trades)]
    interval = trade_interval(moved, pnl, (1, 40 * day))
    assert interval is not None
    low, high = interval
    mean = np.mean([trade.pnl / (trade.entry_price * trade.quantity) * BPS for trade in moved])
    assert low < mean < high
    assert trade_interval(moved[:9], pnl[:9], (1, 40 * day)) is None
