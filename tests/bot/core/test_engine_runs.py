"""Properties of whole random runs: several symbols in one account, outages, stale forecasts, every kind of exit."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.decision import decision_to_json
from bot.core.engine_config import EngineConfig
from bot.core.market import Symbol
from bot.core.matching import Costs, FundingRates
from bot.core.orders import Canceled, Fill, Funding, Side
from bot.core.risk import RiskLimits
from bot.core.signal import Strategy
from bot.core.sizing import SizingRule
from bot.core.state import StateEvent, TradingState
from strategies import strategy_factory
from tests.core_builders import (
    PERPETUAL,
    SPOT,
    SYMBOLS,
    Follower,
    Minute,
    World,
    at,
    engine_config,
    random_tape,
    restarted,
    world,
)

MINUTES = 160
seeds = st.integers(0, 2**32)
limits_in_reach = st.builds(
    RiskLimits,
    max_symbol_notional_fraction=st.floats(0.05, 1.0),
    max_total_notional_fraction=st.floats(0.05, 1.5),
    max_symbol_notional=st.none() | st.floats(50, 4000),
    max_total_notional=st.none() | st.floats(50, 8000),
    max_daily_loss_fraction=st.floats(0.001, 0.05),
    max_drawdown_fraction=st.floats(0.005, 0.1),
    max_orders_per_minute=st.integers(1, 4),
)


def scalping(symbol: Symbol) -> Strategy:
    """The default strategy, made to trade in a wild market."""
    return strategy_factory("lstm_scalping:aggressive", overrides={"require_macd": False})(symbol)


def config(limits: RiskLimits | None = None, fraction: float = 0.4) -> EngineConfig:
    """Three symbols in one account."""
    return engine_config(
        SYMBOLS, limits=limits or RiskLimits(max_drawdown_fraction=0.5), sizing=SizingRule(fraction)
    )


def test_a_random_run_is_worth_testing_with() -> None:
    """The tapes bring longs and shorts, every exit, funding, cancels and states: equality of nothing proves nothing."""
    exits: Counter[str] = Counter()
    sides: Counter[str] = Counter()
    holds: Counter[str | None] = Counter()
    kinds: Counter[str] = Counter()
    states: Counter[TradingState] = Counter()
    for seed in range(30):
        tight = RiskLimits(max_daily_loss_fraction=0.01, max_drawdown_fraction=0.015, max_orders_per_minute=2)
        made = world(config(tight if seed % 2 else None)).run(random_tape(seed, MINUTES))
        exits.update(trade.exit_reason for trade in made.trades)
        sides.update(trade.direction for trade in made.trades)
        holds.update(decision.hold_reason for decision in made.decisions)
        kinds.update(type(report).__name__ for report in made.reports)
        states.update(change.after for change in made.engine.take_state_changes())
    assert {"stop_loss", "take_profit", "quiet", "up", "down"} <= set(exits)
    assert min(sides["long"], sides["short"]) > 100
    assert min(kinds[name] for name in ("Fill", "Accepted", "Canceled", "Funding")) > 10
    assert {TradingState.TRADING, TradingState.REDUCING, TradingState.HALTED} <= set(states)
    expected = {
        "warming_up",
        "stale_prediction",
        "late_candle",
        "no_prediction",
        "quiet",
        "kept",
    }
    expected |= {
        f"refused_{word}" for word in ("spot_cannot_go_short", "reducing", "halted", "too_many_orders")
    }
    assert expected <= set(holds)
    scalped = [world(config(), scalping).run(random_tape(seed, MINUTES)).trades for seed in range(10)]
    assert sum(len(trades) for trades in scalped) > 20


@given(seed=seeds, limits=limits_in_reach, fraction=st.floats(0.05, 2.0))
@settings(deadline=None, max_examples=40)
def test_at_no_decision_is_more_committed_than_the_limits_allow(
    seed: int, limits: RiskLimits, fraction: float
) -> None:
    """After each minute that approved an entry: held plus on the way, at decision prices, within every limit."""
    made = world(config(limits, fraction))
    for minute in random_tape(seed, MINUTES):
        decisions = made.step(minute)
        account, engine = made.engine.account, made.engine
        sent = [order.intent for decision in decisions for order in decision.approved]
        assert len([i for i in sent if not i.reduce_only]) <= limits.max_orders_per_minute
        committed = {
            symbol: account.notional(symbol)
            + sum(
                record.intent.quantity * account.mark_price(symbol)
                for record in engine.open_orders(symbol)
                if not record.intent.reduce_only
            )
            for symbol in SYMBOLS
        }
        equity, slack = account.equity(), 1 + 1e-9
        for intent in sent:
            if intent.reduce_only:
                continue
            assert engine.risk.state is TradingState.TRADING
            in_symbol, in_all = committed[intent.symbol], sum(committed.values())
            assert in_symbol <= limits.max_symbol_notional_fraction * equity * slack
            assert in_all <= limits.max_total_notional_fraction * equity * slack
            assert limits.max_symbol_notional is None or in_symbol <= limits.max_symbol_notional * slack
            assert limits.max_total_notional is None or in_all <= limits.max_total_notional * slack
            assert not (intent.symbol == SPOT and intent.side is Side.SELL)


@given(seed=seeds, events=st.lists(st.tuples(st.integers(5, 60), st.sampled_from(StateEvent)), max_size=6))
@settings(deadline=None, max_examples=40)
def test_no_entry_but_while_trading_and_every_wished_exit(
    seed: int, events: list[tuple[int, StateEvent]]
) -> None:
    """Whatever commands come when: entries only in TRADING, and no exit is ever refused."""
    made, when = world(config()), dict(events)
    for number, minute in enumerate(random_tape(seed, 70)):
        if number in when:
            made.engine.command(when[number], minute.candles[0].opened_at_ms)
        for decision in made.step(minute):
            assert all(not refused.intent.reduce_only for refused in decision.refused)
            for order in decision.approved:
                assert order.intent.reduce_only or made.engine.risk.state is TradingState.TRADING


@given(seed=seeds, costs=st.builds(Costs, *[st.floats(0, 20)] * 3, st.floats(-0.001, 0.001)))
@settings(deadline=None, max_examples=40)
def test_the_money_adds_up(seed: int, costs: Costs) -> None:
    """Positions are the sums of the fills, and cash is the start plus trades, less what open positions cost."""
    made = world(replace(config(), costs=costs)).run(random_tape(seed, MINUTES))
    account = made.engine.account
    fills = [report for report in made.reports if isinstance(report, Fill)]
    held = {symbol: sum(f.quantity * f.side.sign for f in fills if f.symbol == symbol) for symbol in SYMBOLS}
    assert {s: account.position(s).quantity for s in SYMBOLS} == pytest.approx(held, abs=1e-9)
    assert account.fees_paid == pytest.approx(sum(f.fee for f in fills), abs=1e-9)
    assert account.trade_count == len(made.trades)
    spent = sum(p.quantity * p.entry_price for p in account.positions() if p.symbol == SPOT)
    carried = sum(p.fees + p.funding - p.realized for p in account.positions())
    earned = sum(trade.pnl for trade in made.trades)
    assert account.cash == pytest.approx(account.starting_cash + earned - spent - carried, abs=1e-6)
    assert all(trade.funding == 0 for trade in made.trades if trade.symbol == SPOT)
    if any(isinstance(r, Funding) for r in made.reports):
        paid = sum(t.funding for t in made.trades) + sum(p.funding for p in account.positions())
        assert account.funding_paid == pytest.approx(paid, abs=1e-9)


@given(seed=seeds, costs=st.builds(Costs, *[st.floats(0, 20)] * 3, st.just(0.0003)))
@settings(deadline=None, max_examples=25)
def test_equity_moves_only_by_price_fee_slippage_and_funding(seed: int, costs: Costs) -> None:
    """From minute to minute: what was held over the price move, what was traded against the close, fees, funding."""
    made = world(replace(config(), costs=costs))
    account = made.engine.account
    for minute in random_tape(seed, MINUTES):
        before = account.equity()
        held = {s: (account.position(s).quantity, account.mark_price(s)) for s in SYMBOLS}
        known = len(made.reports)
        made.step(minute)
        expected = before
        for bar in minute.candles:
            quantity, mark = held[bar.symbol]
            expected += quantity * (bar.close - mark) if quantity else 0.0
            for report in made.reports[known:]:
                if report.symbol != bar.symbol:
                    continue
                if isinstance(report, Funding):
                    expected -= quantity * report.mark_price * report.rate
                elif isinstance(report, Fill):
                    signed = report.quantity * report.side.sign
                    expected += signed * (bar.close - report.price) - report.fee
        assert account.equity() == pytest.approx(expected, abs=1e-6)


@given(seed=seeds, cut=st.integers(0, MINUTES), what=st.sampled_from(["candles", "predictions", "both"]))
@settings(deadline=None, max_examples=25)
def test_the_future_changes_no_past_decision(seed: int, cut: int, what: str) -> None:
    """Whatever is different after a minute, decisions, trades and equity up to it are the same."""
    past, other = random_tape(seed, MINUTES), random_tape(seed + 1, MINUTES)
    cut = min(cut, len(past))
    later = {minute.candles[0].opened_at_ms: minute for minute in other}
    changed: list[Minute] = past[:cut]
    for minute in past[cut:]:
        twin = later.get(minute.candles[0].opened_at_ms)
        if twin is None or what == "candles":
            bars = tuple(
                bar._replace(
                    open=bar.open * 1.01, high=bar.high * 1.02, low=bar.low * 0.9, close=bar.close * 0.95
                )
                for bar in minute.candles
            )
            changed.append(replace(minute, candles=bars))
        elif what == "predictions":
            changed.append(replace(minute, predictions=twin.predictions))
        else:
            changed.append(twin)
    one, two = (world(config()).run(tape[:cut]) for tape in (past, changed))
    assert one.outcome() == two.outcome()
    whole, altered = world(config()).run(past), world(config()).run(changed)
    count = len(one.decisions)
    for run in (whole, altered):
        assert [decision_to_json(d) for d in run.decisions[:count]] == one.outcome()["decisions"]
        assert run.trades[: len(one.trades)] == one.trades
        assert run.equities[:cut] == one.equities


@pytest.mark.parametrize("make_strategy", [Follower, scalping])
@given(
    seed=seeds,
    cuts=st.lists(st.integers(0, MINUTES), min_size=1, max_size=4, unique=True),
    tight=st.booleans(),
    flatten=st.none() | st.integers(0, MINUTES),
)
@settings(deadline=None, max_examples=25)
def test_a_restart_changes_nothing(
    make_strategy: type[Follower], seed: int, cuts: list[int], tight: bool, flatten: int | None
) -> None:
    """Killed at any minutes and brought back from JSON and the last candles: the same to the bit."""
    limits = RiskLimits(max_daily_loss_fraction=0.01, max_drawdown_fraction=0.015) if tight else None
    tape = random_tape(seed, MINUTES)
    every_hour = {at(450 + 60 * hour): 0.0005 for hour in range(4)}
    funding = FundingRates(0.0001, {PERPETUAL: every_hour})
    whole = world(config(limits), make_strategy, funding=funding)
    broken = world(config(limits), make_strategy, funding=funding)
    for number, minute in enumerate(tape):
        if number in cuts:
            again = restarted(broken, tape[:number], make_strategy)
            assert again.engine.snapshot() == broken.engine.snapshot()
            again.reports, again.trades = broken.reports, broken.trades
            again.decisions, again.equities = broken.decisions, broken.equities
            broken = again
        for each in (whole, broken):
            if number == flatten:
                each.engine.request_flatten()
            each.step(minute)
    assert broken.outcome() == whole.outcome()
    assert broken.engine.snapshot() == whole.engine.snapshot()


@given(seed=seeds)
@settings(deadline=None, max_examples=30)
def test_whoever_is_flat_has_no_order_left_and_whoever_is_not_is_protected(seed: int) -> None:
    """After each minute: a position has exactly a stop and a target of its size; a flat symbol at most an entry."""
    made = world(config())
    for minute in random_tape(seed, MINUTES):
        made.step(minute)
        for symbol in SYMBOLS:
            records = made.engine.open_orders(symbol)
            resting = [r.intent for r in records if r.intent.stop_price is not None]
            quantity = made.engine.account.position(symbol).quantity
            assert len(records) - len(resting) <= 1
            if quantity:
                assert sorted(i.leg.name for i in resting) == ["STOP", "TAKE_PROFIT"]
                assert all(i.quantity * i.side.sign == -quantity for i in resting)
            else:
                assert not resting


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_ids_are_unique_within_a_run(seed: int) -> None:
    """No two orders, executions or decisions share an id; every canceled entry was followed by a hole."""
    made = world(config()).run(random_tape(seed, MINUTES))
    orders = [o.intent for d in made.decisions for o in d.approved]
    assert len({i.client_order_id for i in orders}) == len(orders)
    trades = [r.trade_id for r in made.reports if isinstance(r, Fill)]
    assert len(set(trades)) == len(trades)
    assert len({d.decision_id for d in made.decisions}) == len(made.decisions)
    entries = {i.client_order_id: i for i in orders if not i.reduce_only}
    for report in made.reports:
        if isinstance(report, Canceled) and report.client_order_id in entries:
            assert report.at_ms > entries[report.client_order_id].decided_at_ms


def test_the_order_in_which_symbols_are_named_does_not_matter() -> None:
    """However the settings list the symbols, the run is the same."""
    tape = random_tape(11, MINUTES)
    outcomes = []
    for symbols in itertools.permutations(SYMBOLS):
        made: World = world(engine_config(symbols, limits=RiskLimits(max_total_notional_fraction=0.5)))
        outcomes.append(made.run(tape).outcome())
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0]["trades"]
