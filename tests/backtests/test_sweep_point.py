"""A point's days: from the exact core and from the compiled kernel, against a backtest of the block by itself."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backtests.inputs import BacktestInput
from backtests.run import run_backtest
from backtests.sweep_blocks import Block, cut_into_blocks
from backtests.sweep_point import (
    LEAD_MINUTES,
    Ground,
    PointFigures,
    PointJob,
    block_input,
    evaluate_point,
    predictions_between,
)
from bot.core.costs import Costs
from bot.core.market import DAY_MS, MINUTE_MS
from bot.errors import ConfigError, DataError
from strategies import strategy_factory
from tests.random_market import PERPETUALS, random_input


@pytest.fixture(scope="module")
def market() -> BacktestInput:
    """Four days, the last not whole, of two perpetuals with gaps, and predictions that trade."""
    return random_input(5, count=3 * 1440 + 700, symbols=PERPETUALS[:2])


@pytest.fixture(scope="module")
def ground(market) -> Ground:
    """Three blocks for the exact core."""
    days = [block.first_day for block in cut_into_blocks(market.candles, 1)]
    blocks = (Block(days[0], days[0]), Block(days[0] + 1, days[0] + 2), Block(days[0] + 3, days[0] + 3))
    return Ground("digest", blocks, market.candles, market.predictions, market.funding)


def job_of(market: BacktestInput, **parameters: float) -> PointJob:
    """A point that trades often."""
    values = {"threshold": 0.002, "edge_confidence": 0.0, "require_macd": False} | parameters
    return PointJob(market.config, strategy_factory("lstm_scalping", overrides=values))


def test_each_block_is_a_backtest_by_itself(market, ground):
    """Trades, net returns, days and falls of every block are those of its own backtest from a new account."""
    job = job_of(market)
    figures = evaluate_point(ground, job)
    returns, trades, gains, wins = [], [], [], []
    for number, block in enumerate(ground.blocks):
        result = run_backtest(block_input(ground, job, block))
        assert all(block.since_ms < trade.entry_at_ms < block.until_ms for trade in result.trades)
        before = market.config.starting_cash
        for day in block.days:
            rows = (result.equity.ts > day * DAY_MS) & (result.equity.ts <= (day + 1) * DAY_MS)
            after = result.equity.equity[rows][-1] if rows.any() else before
            returns.append(after / before - 1)
            before = after
            ended = [trade for trade in result.trades if trade.exit_at_ms // DAY_MS == day]
            trades.append(len(ended))
            wins.append(sum(trade.pnl > 0 for trade in ended))
            gains.append(sum(trade.pnl / (trade.entry_price * trade.quantity) * 1e4 for trade in ended))
        within = result.equity.equity[result.equity.ts > block.since_ms]
        peaks = np.maximum.accumulate(np.maximum(within, market.config.starting_cash))
        assert figures.drawdowns[number] == pytest.approx(np.max(1 - within / peaks))
    np.testing.assert_allclose(figures.returns, returns, atol=1e-12)
    assert figures.trades.tolist() == trades
    assert figures.wins.tolist() == wins
    np.testing.assert_allclose(figures.gain_bps, gains, atol=1e-7)
    assert figures.trades.sum() > 50
    assert figures.held_minutes.max() > 0
    assert figures.engine == "fast"


def test_a_block_sees_no_candle_of_a_later_one(market, ground):
    """Candles reach from the lead to the block's end, and predictions lie within the block."""
    block = ground.blocks[1]
    data = block_input(ground, job_of(market), block)
    for symbol, arrays in data.candles.items():
        assert arrays.ts[0] >= block.since_ms - LEAD_MINUTES * MINUTE_MS
        assert arrays.ts[-1] < block.until_ms
        said = data.predictions[symbol].ts
        assert said[0] >= block.since_ms
        assert said[-1] < block.until_ms
        assert len(data.predictions[symbol].expected_return) == len(said)
    assert data.candles[PERPETUALS[0]].ts[0] < block.since_ms


def test_the_kernel_gives_the_same_days(market, ground):
    """Whatever the parameters and the costs: the same trades and, to rounding, the same money."""
    pytest.importorskip("numba")
    from backtests.kernel import KernelTape

    compiled = replace(ground, candles={}, predictions={}, tape=KernelTape.of(market))
    cheap = Costs(taker_fee_bps=1.0, slippage_bps=0.0)
    for changes, costs in (
        ({}, market.config.costs),
        ({"threshold": 0.004, "max_holding_minutes": 20}, cheap),
    ):
        job = replace(job_of(market, **changes), config=replace(market.config, costs=costs))
        exact, quick = evaluate_point(ground, job), evaluate_point(compiled, job)
        assert quick.engine == "kernel"
        assert quick.trades.tolist() == exact.trades.tolist()
        assert quick.wins.tolist() == exact.wins.tolist()
        assert quick.bars == exact.bars
        np.testing.assert_allclose(quick.returns, exact.returns, atol=1e-12)
        np.testing.assert_allclose(quick.gain_bps, exact.gain_bps, atol=1e-8)
        np.testing.assert_allclose(quick.held_minutes, exact.held_minutes)
        np.testing.assert_allclose(quick.drawdowns, exact.drawdowns, atol=1e-12)


def test_the_kernel_refuses_a_point_that_it_does_not_know(market, ground):
    """A point whose settings only the core has is a ConfigError that says so."""
    pytest.importorskip("numba")
    from backtests.kernel import KernelTape

    compiled = replace(ground, tape=KernelTape.of(market))
    config = replace(
        market.config, limits=replace(market.config.limits, max_correlated_notional_fraction=0.5)
    )
    with pytest.raises(ConfigError, match="use --engine fast"):
        evaluate_point(compiled, replace(job_of(market), config=config))


def test_a_symbol_without_a_candle_in_a_block_is_left_out_of_it(market, ground):
    """One that is listed later trades in the blocks that it has candles of."""
    first, second = market.candles
    late = market.candles[second].between(ground.blocks[2].since_ms, ground.blocks[2].until_ms)
    other = replace(ground, candles={first: market.candles[first], second: late})
    assert set(block_input(other, job_of(market), ground.blocks[0]).candles) == {first}
    assert set(block_input(other, job_of(market), ground.blocks[2]).candles) == {first, second}
    assert evaluate_point(other, job_of(market)).trades.sum() > 0


def test_figures_go_to_disk_and_back_and_to_other_processes(market, ground):
    """JSON and pickle give the same figures; a file that holds something else is refused."""
    figures = evaluate_point(ground, job_of(market))
    document = json.loads(json.dumps(figures.as_json(), allow_nan=False))
    again = PointFigures.from_json(document)
    assert again.as_json() == figures.as_json()
    assert pickle.loads(pickle.dumps((ground, job_of(market))))[0].blocks == ground.blocks  # noqa: S301 - our own
    broken: dict[str, Any]
    for broken in ({}, document | {"returns": document["returns"][1:]}, document | {"gain_bps": ["x"]}):
        with pytest.raises(DataError):
            PointFigures.from_json(broken)


def test_predictions_are_cut_as_views(market):
    """Every column is cut alike, and none is copied."""
    columns = market.predictions[PERPETUALS[0]]
    cut = predictions_between(columns, int(columns.ts[3]), int(columns.ts[9]))
    assert cut.ts.tolist() == columns.ts[3:9].tolist()
    assert np.shares_memory(cut.expected_return, columns.expected_return)
    assert (cut.model_id, cut.horizon_minutes) == (columns.model_id, columns.horizon_minutes)
