"""The compiled kernel makes the core's trades: the same floats, whatever the market, the rules and the parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from backtests.inputs import BacktestInput, minute_batches
from backtests.kernel import KernelTape
from backtests.kernel_scope import parameters_of
from backtests.metrics import daily_returns, drawdowns
from backtests.results import BacktestResult
from backtests.run import run_backtest
from backtests.session import Session
from bot.core.costs import Costs
from bot.core.entry import EntryRule, EntryStyle
from bot.core.market import MINUTE_MS, Instrument
from bot.core.matching import FundingRates
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule
from bot.errors import DataError
from strategies.lstm_scalping import LstmScalping, ScalpingParameters
from tests.kernel_agreement import assert_agreement
from tests.random_market import NO_LIMITS, PERPETUALS, SPOTS, START_MS, random_input

MARKETS = [PERPETUALS[:1], SPOTS[:1], PERPETUALS, SPOTS, tuple(sorted(SPOTS + PERPETUALS))]

PARAMETERS = st.builds(
    ScalpingParameters,
    threshold=st.sampled_from([0.0, 0.0005, 0.002]),
    cost_margin=st.sampled_from([0.0, 0.0001]),
    edge_confidence=st.sampled_from([0.0, 1.0, 1.645]),
    stop_loss=st.sampled_from([0.0005, 0.003, 0.01]),
    take_profit=st.sampled_from([0.001, 0.006, 0.02]),
    stop_volatility=st.sampled_from([0.0, 0.0, 0.5, 3.0]),
    rsi_overbought=st.sampled_from([55.0, 70.0, 100.0]),
    rsi_oversold=st.sampled_from([0.0, 30.0, 45.0]),
    require_macd=st.booleans(),
    exit_on_reversal=st.booleans(),
    max_holding_minutes=st.sampled_from([0, 1, 7, 45]),
)

LIMITS = st.builds(
    RiskLimits,
    max_symbol_notional_fraction=st.sampled_from([0.05, 0.25, 2.0]),
    max_total_notional_fraction=st.sampled_from([0.1, 0.5, 3.0]),
    max_symbol_notional=st.none() | st.sampled_from([900.0, 2500.0]),
    max_total_notional=st.none() | st.sampled_from([1500.0, 4000.0]),
    max_daily_loss_fraction=st.sampled_from([0.0, 0.002, 0.02, 1.0]),
    max_drawdown_fraction=st.sampled_from([0.01, 0.1, 1.0]),
    max_orders_per_minute=st.sampled_from([0, 1, 2, 20]),
    max_trade_risk_fraction=st.none() | st.sampled_from([0.0, 0.0005, 0.01]),
    max_loss_streak=st.none() | st.sampled_from([0, 1, 3]),
    loss_streak_minutes=st.sampled_from([1, 15]),
    max_funding_rate=st.none() | st.sampled_from([0.0, 0.0005]),
    max_spread_bps=st.none() | st.just(1.0),
    max_jump_fraction=st.none() | st.sampled_from([0.003, 0.1]),
    max_stale_minutes=st.none() | st.sampled_from([0, 1, 3]),
)

COSTS = st.builds(
    Costs,
    taker_fee_bps=st.sampled_from([0.0, 4.0, 7.5]),
    half_spread_bps=st.sampled_from([0.0, 0.5, 3.3]),
    slippage_bps=st.sampled_from([0.0, 1.0]),
    funding_rate=st.sampled_from([0.0001, -0.0003]),
    maker_fee_bps=st.sampled_from([-1.0, 0.0, 2.0]),
)

ENTRIES = st.builds(
    EntryRule,
    style=st.sampled_from(EntryStyle),
    limit_minutes=st.sampled_from([1, 2, 5]),
    taker_fallback=st.booleans(),
)

SIZES = st.builds(
    SizingRule,
    equity_fraction=st.sampled_from([0.01, 0.2, 0.7]),
    target_volatility=st.none() | st.sampled_from([0.0, 0.001]),
)


def stepped(rules: Instrument, tick: float, lot: float) -> Instrument:
    """An instrument with coarser steps."""
    return replace(rules, tick_size=rules.tick_size * tick, lot_step=rules.lot_step * lot)


def spoiled(data: BacktestInput, seed: int) -> BacktestInput:
    """Some forecasts are no numbers, some doubts and volatilities are infinite."""
    rng = np.random.default_rng(seed)
    predictions = {}
    for symbol, columns in data.predictions.items():
        expected, doubt, wide = (
            np.where(rng.random(len(columns)) < 0.02, spoil, column)
            for column, spoil in (
                (np.asarray(columns.expected_return), rng.choice([np.nan, np.inf, -np.inf], len(columns))),
                (np.asarray(columns.uncertainty), np.inf),
                (np.asarray(columns.volatility), rng.choice([np.inf, 0.0], len(columns))),
            )
        )
        predictions[symbol] = replace(columns, expected_return=expected, uncertainty=doubt, volatility=wide)
    return replace(data, predictions=predictions)


@st.composite
def inputs(draw: Any) -> BacktestInput:
    """A random market, random rules, random parameters."""
    seed = draw(st.integers(0, 100_000))
    symbols = draw(st.sampled_from(MARKETS))
    table = {START_MS + 1_800_000 * step: 0.001 * (-1) ** step for step in range(40)}
    data = random_input(
        seed,
        symbols=symbols,
        count=draw(st.sampled_from([90, 250])),
        gaps=draw(st.booleans()),
        limits=draw(st.just(NO_LIMITS) | LIMITS),
        sizing=draw(SIZES),
        entry=draw(st.just(EntryRule()) | ENTRIES),
        funding=draw(st.sampled_from([None, FundingRates(0.0002, {symbols[0]: table})])),
    )
    parameters = {symbol: draw(PARAMETERS) for symbol in data.symbols}
    tick, lot = draw(st.sampled_from([1.0, 10.0, 2000.0])), draw(st.sampled_from([1.0, 2.5, 100.0]))
    instruments = {symbol: stepped(rules, tick, lot) for symbol, rules in data.config.instruments.items()}
    config = replace(
        data.config,
        instruments=instruments,
        costs=draw(st.just(Costs()) | COSTS),
        window_minutes=draw(st.sampled_from([1, 2, 10, 30])),
        starting_cash=draw(st.sampled_from([10_000.0, 333.33])),
    )
    made = replace(data, config=config, make_strategy=lambda symbol: LstmScalping(symbol, parameters[symbol]))
    return spoiled(made, seed) if draw(st.booleans()) else made


@given(inputs())
@settings(max_examples=60, deadline=None)
def test_reports_decisions_and_results_are_those_of_the_core(data: BacktestInput) -> None:
    """Every report, decision, trade, state change and equity of a recording run equals the fast engine's."""
    assert_agreement(data)


def assert_run(data: BacktestInput, result: BacktestResult) -> None:
    """A lean run sums up to what a result says."""
    run = KernelTape.of(data).run(parameters_of(data))
    assert run.trades() == result.trades
    assert run.trade_count == len(result.trades)
    curve, start = result.equity, data.config.starting_cash
    assert (run.final_equity, run.cash) == (curve.equity[-1], curve.cash[-1])
    assert (run.fees, run.funding) == (result.account.fees_paid, result.account.funding_paid)
    assert run.max_drawdown == drawdowns(curve.equity, start).max()
    assert run.bar_count == result.candle_count
    before = np.concatenate([[start], run.daily_equity[:-1]])
    assert np.array_equal(run.daily_equity / before - 1, daily_returns(curve, start))
    assert run.daily_ts[-1] >= curve.ts[-1] > run.daily_ts[-1] - 86_400_000
    held = {place.symbol: place.quantity for place in result.account.positions()}
    assert run.open_quantity.tolist() == [held.get(symbol, 0.0) for symbol in data.symbols]
    assert run.halted == any(change.after.value == "halted" for change in result.state_changes)


@given(inputs())
@settings(max_examples=60, deadline=None)
def test_a_lean_run_sums_up_to_the_same(data: BacktestInput) -> None:
    """Leaping over minutes changes nothing: trades, money, daily equity and drawdown are those of the core."""
    assert_run(data, run_backtest(data))


@pytest.mark.parametrize("symbols", [PERPETUALS[:1], SPOTS[:2]])
def test_days_states_and_holes_over_days(symbols: tuple[str, ...]) -> None:
    """Limits that stop trading for the day and for good, over several days with holes."""
    limits = RiskLimits(max_daily_loss_fraction=0.004, max_drawdown_fraction=0.03)
    data = random_input(11, symbols=symbols, count=3 * 1440, limits=limits)
    result = assert_agreement(data)
    assert_run(data, result)
    assert {change.after.value for change in result.state_changes} >= {"trading", "reducing"}


def warmed(data: BacktestInput, since_ms: int, until_ms: int) -> Session:
    """The core on a part of an input, warmed with the candles before it."""
    session = Session(data)
    for candles, predictions in minute_batches(data):
        if candles[0].opened_at_ms < since_ms:
            session.engine.warm(candles)
        elif candles[0].opened_at_ms < until_ms:
            session.observe(candles, session.match(candles))
            session.decide(predictions, candles[0].opened_at_ms + MINUTE_MS)
    return session


@given(st.integers(0, 1000), st.integers(0, 500), st.integers(1, 600))
@settings(max_examples=15, deadline=None)
def test_a_part_of_a_tape_is_the_core_warmed_with_what_came_before(
    seed: int, first: int, length: int
) -> None:
    """Windows and indicators are warm, account and states are fresh."""
    data = random_input(seed, symbols=PERPETUALS[:2], limits=RiskLimits(max_daily_loss_fraction=0.01))
    since_ms = START_MS + first * MINUTE_MS
    until_ms = since_ms + length * MINUTE_MS
    tape = KernelTape.of(data)
    count = sum(len(data.candles[symbol].between(since_ms, until_ms)) for symbol in data.symbols)
    if not count:
        with pytest.raises(DataError, match="holds no candle"):
            tape.run(parameters_of(data), since_ms, until_ms)
        return
    run = tape.run(parameters_of(data), since_ms, until_ms)
    result = warmed(data, since_ms, until_ms).result("fast")
    assert run.trades() == result.trades
    assert (run.final_equity, run.bar_count) == (result.equity.equity[-1], count)


def test_runs_of_one_tape_do_not_touch_each_other() -> None:
    """Each begins with a fresh account; the tape is as it was."""
    data = random_input(3, symbols=PERPETUALS)
    tape, parameters = KernelTape.of(data), ScalpingParameters(require_macd=False)
    before = [column.tobytes() for column in tape.columns]
    first = tape.run(parameters)
    other = tape.run(replace(parameters, threshold=0.004))
    again = tape.run(parameters)
    assert other.trades() != first.trades() == again.trades()
    assert first.trade_count > other.trade_count > 0
    assert [column.tobytes() for column in tape.columns] == before


def test_a_market_without_a_forecast_trades_nothing() -> None:
    """No prediction at all: the account is as it was, every day."""
    data = replace(random_input(3, count=3000), predictions={})
    run = KernelTape.of(data).run(ScalpingParameters())
    assert run.trade_count == 0
    assert set(run.daily_equity.tolist()) == {data.config.starting_cash}
    assert run.max_drawdown == 0.0
