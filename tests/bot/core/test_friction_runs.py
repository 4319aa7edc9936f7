"""Properties of whole random runs with frictions: estimates, impact, participation, latency, liquidation, restarts."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.account import Account
from bot.core.engine import TradingEngine
from bot.core.engine_config import EngineConfig
from bot.core.entry import EntryRule, EntryStyle
from bot.core.friction_matching import FrictionMatcher
from bot.core.liquidating import LiquidatingMatcher
from bot.core.liquidation import MarginMode, MarginRule
from bot.core.market import MINUTE_MS, Candle, InstrumentKind, Symbol
from bot.core.matching import Costs, FundingRates
from bot.core.orders import (
    Accepted,
    Canceled,
    ExecutionReport,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    OrderType,
    Protection,
)
from bot.core.risk import RiskLimits
from bot.core.signal import MarketView, Signal
from bot.core.sizing import SizingRule
from bot.core.slippage import ImpactRule
from bot.core.spread import SpreadRule
from tests.core_builders import (
    SYMBOLS,
    Follower,
    Minute,
    World,
    engine_config,
    random_tape,
    restarted,
    world,
)

MINUTES = 120
seeds = st.integers(0, 2**32)
margins = st.sampled_from(
    [
        None,
        MarginRule(MarginMode.ISOLATED, 60.0, 0.005, 125.0),
        MarginRule(MarginMode.ISOLATED, 20.0, 0.004, 50.0),
        MarginRule(MarginMode.CROSS, 60.0, 0.02, 125.0),
    ]
)
frictions = st.builds(
    Costs,
    spread=st.none() | st.builds(SpreadRule, st.integers(5, 40), st.floats(1.0, 50.0)),
    impact=st.none() | st.builds(ImpactRule, st.floats(0.1, 3.0), st.integers(2, 30), st.floats(1.0, 200.0)),
    participation_cap=st.none() | st.floats(0.01, 0.5),
    latency_ms=st.sampled_from([0, 0, 250, 30_000, 60_000, 90_000, 120_000]),
    margin=margins,
)
entries = st.builds(EntryRule, st.sampled_from(EntryStyle), st.integers(1, 4), st.booleans())
EVERYTHING = Costs(
    spread=SpreadRule(20, 30.0),
    impact=ImpactRule(1.0, 15, 100.0),
    participation_cap=0.05,
    latency_ms=90_000,
    margin=MarginRule(MarginMode.ISOLATED, 60.0, 0.005, 125.0),
)


class Careless(Follower):
    """A follower whose stop is every other time farther than its margin reaches."""

    def decide(self, view: MarketView) -> Signal:
        """As the follower, with a stop near or far."""
        return super().decide(view)._replace(protection=Protection(0.05 if self.seen % 2 else 0.005, 0.01))


def config(costs: Costs, *, entry: EntryRule | None = None, fraction: float = 0.9) -> EngineConfig:
    """Three symbols in one account without limits that matter."""
    loose = RiskLimits(
        max_symbol_notional_fraction=1.0,
        max_total_notional_fraction=3.0,
        max_daily_loss_fraction=0.99,
        max_drawdown_fraction=0.99,
        max_trade_risk_fraction=None,
        max_jump_fraction=None,
        max_stale_minutes=None,
    )
    return engine_config(SYMBOLS, limits=loose, costs=costs, sizing=SizingRule(fraction), entry=entry)


def strategy_for(costs: Costs) -> type[Follower]:
    """A strategy that can be liquidated where that is asked for."""
    return Follower if costs.margin is None else Careless


def ran(
    costs: Costs, seed: int, *, entry: EntryRule | None = None, minutes: int = MINUTES
) -> tuple[World, list[Minute]]:
    """A whole run, and its tape."""
    tape = random_tape(seed, minutes)
    return world(config(costs, entry=entry), strategy_for(costs)).run(tape), tape


def plainly(reports: list[ExecutionReport]) -> list[ExecutionReport]:
    """Reports without what only a matcher with frictions tells."""
    return [
        replace(one, spread_bps=None, slippage_bps=None) if isinstance(one, Fill) else one for one in reports
    ]


def test_the_random_runs_are_worth_testing_with() -> None:
    """They bring parts of entries and of exits, late fills, liquidations, and orders that wait for volume."""
    kinds: Counter[str] = Counter()
    for seed in range(12):
        made, _ = ran(replace(EVERYTHING, latency_ms=250 if seed % 2 else 90_000), seed)
        parts = Counter(one.client_order_id for one in made.reports if isinstance(one, Fill))
        kinds["several parts"] += sum(count > 1 for count in parts.values())
        kinds["liquidation"] += sum(trade.exit_reason == "liquidation" for trade in made.trades)
        kinds["cut entry"] += sum(
            isinstance(one, Canceled) and one.reason == "over_participation" for one in made.reports
        )
        kinds["late"] += sum(
            isinstance(one, Fill) and one.filled_at_ms % 60_000 == 250 for one in made.reports
        )
        kinds["stop in parts"] += sum(count > 1 and name.endswith("s") for name, count in parts.items())
        kinds["twin"] += sum(
            isinstance(one, Canceled) and one.reason == "its twin was reached" for one in made.reports
        )
    assert min(kinds.values()) > 5, kinds
    assert len(kinds) == 6


@given(seed=seeds, entry=entries)
@settings(deadline=None, max_examples=20)
def test_a_matcher_that_could_do_more_fills_plain_costs_alike(seed: int, entry: EntryRule) -> None:
    """With nothing but plain costs every matcher leaves the same reports to the last bit."""
    made, tape = ran(Costs(), seed, entry=entry)
    chosen = made.engine.config
    rates = FundingRates(chosen.costs.funding_rate)
    rule = MarginRule(MarginMode.ISOLATED, 1.0, 0.004)
    tapes = [bar for minute in tape for bar in minute.candles]
    assert all(
        bar.high < 2 * bar.low for bar in tapes
    )  # a short with leverage 1 is liquidated only beyond that
    for matcher in (
        FrictionMatcher(chosen.costs, chosen.instruments, rates),
        LiquidatingMatcher(
            chosen.costs, replace(rule, maintenance_rate=1e-9), chosen.instruments, rates, 1e9
        ),
    ):
        other = World(TradingEngine(chosen, Follower), matcher).run(tape)
        assert plainly(other.reports) == made.reports
        assert other.equities == made.equities


@given(seed=seeds, costs=frictions, entry=entries)
@settings(deadline=None, max_examples=60)
def test_money_changes_by_price_fee_and_funding_alone(seed: int, costs: Costs, entry: EntryRule) -> None:
    """Booked anew from its executions and fundings, the account is the same, and its equity is cash plus worth."""
    made, _ = ran(costs, seed, entry=entry)
    account = made.engine.account
    again = Account(account.starting_cash, dict(made.engine.config.instruments))
    gains = 0.0
    for one in made.reports:
        if isinstance(one, Fill):
            again.apply_fill(one, "")
        elif isinstance(one, Funding):
            again.apply_funding(one)
    assert again.snapshot() == {**account.snapshot(), "marks": {}}
    gains = math.fsum(trade.pnl for trade in made.trades)
    held = math.fsum(
        account.value(p.symbol)
        - (p.quantity * p.entry_price if p.symbol == "ETH/USDT" else 0.0)
        + p.realized
        - p.fees
        - p.funding
        for p in account.positions()
    )
    assert account.equity() == pytest.approx(account.starting_cash + gains + held, rel=1e-9)


@given(seed=seeds, costs=frictions, entry=entries)
@settings(deadline=None, max_examples=60)
def test_no_bar_trades_more_than_its_share(seed: int, costs: Costs, entry: EntryRule) -> None:
    """All that our orders trade in a bar, but for a liquidation, is within the share of its volume, on the lot step."""
    made, tape = ran(costs, seed, entry=entry)
    bars = {(bar.symbol, bar.opened_at_ms): bar for minute in tape for bar in minute.candles}
    traded: dict[tuple[Symbol, int], float] = defaultdict(float)
    for one in made.reports:
        if isinstance(one, Fill) and not one.client_order_id.endswith(Leg.LIQUIDATION.value):
            traded[one.symbol, one.filled_at_ms // MINUTE_MS * MINUTE_MS] += one.quantity
            steps = one.quantity / 0.001
            assert abs(steps - round(steps)) < 1e-6
    if costs.participation_cap is not None:
        for place, quantity in traded.items():
            assert quantity <= costs.participation_cap * bars[place].volume * (1 + 1e-9)


@given(seed=seeds, costs=frictions, entry=entries)
@settings(deadline=None, max_examples=60)
def test_parts_add_up_and_protection_covers_what_was_filled(
    seed: int, costs: Costs, entry: EntryRule
) -> None:
    """Parts never exceed an order, an entry ends in one bar, and stop and target are as large as what it filled."""
    made, _ = ran(costs, seed, entry=entry)
    filled: dict[str, float] = defaultdict(float)
    minutes: dict[str, set[int]] = defaultdict(set)
    intents: dict[str, OrderIntent] = {
        order.intent.client_order_id: order.intent for one in made.decisions for order in one.approved
    }
    trade_ids: list[str] = []
    for one in made.reports:
        if isinstance(one, Accepted) and one.intent is not None:
            intents[one.client_order_id] = one.intent
            if one.intent.type in {OrderType.STOP, OrderType.TAKE_PROFIT}:
                entered = [
                    quantity
                    for name, quantity in filled.items()
                    if name[:-1] == one.client_order_id[:-1] and name[-1] in "em"
                ]
                assert one.intent.quantity == entered[-1]
        elif isinstance(one, Fill):
            filled[one.client_order_id] = round(filled[one.client_order_id] + one.quantity, 12)
            minutes[one.client_order_id].add(one.filled_at_ms // MINUTE_MS)
            trade_ids.append(one.trade_id)
    assert len(set(trade_ids)) == len(trade_ids)
    canceled = {one.client_order_id for one in made.reports if isinstance(one, Canceled)}
    waiting = {r.intent.client_order_id for symbol in SYMBOLS for r in made.engine.open_orders(symbol)}
    for name, quantity in filled.items():
        intent = intents[name]
        assert quantity <= intent.quantity * (1 + 1e-12)
        if quantity < intent.quantity * (1 - 1e-12):
            assert name in canceled | waiting
        if not intent.reduce_only:
            assert len(minutes[name]) == 1


@given(
    seed=seeds, costs=frictions, entry=entries, cut=st.integers(5, MINUTES - 1), factor=st.floats(0.9, 1.1)
)
@settings(deadline=None, max_examples=30)
def test_a_later_candle_changes_nothing_that_was(
    seed: int, costs: Costs, entry: EntryRule, cut: int, factor: float
) -> None:
    """Every report up to a minute is the same whatever the candles after it are."""
    _, tape = ran(costs, seed, entry=entry)
    cut = min(cut, len(tape))

    def changed(bar: Candle) -> Candle:
        opened, high, low, close = (round(price * factor, 2) for price in bar[2:6])
        return bar._replace(open=opened, high=high, low=low, close=close, volume=bar.volume * factor)

    other = tape[:cut] + [
        replace(minute, candles=tuple(map(changed, minute.candles))) for minute in tape[cut:]
    ]
    first = world(config(costs, entry=entry), strategy_for(costs)).run(tape[:cut])
    second = world(config(costs, entry=entry), strategy_for(costs)).run(other)
    assert second.reports[: len(first.reports)] == first.reports
    assert second.decisions[: len(first.decisions)] == first.decisions


@given(
    seed=seeds,
    leverage=st.floats(5, 100),
    rate=st.floats(0.001, 0.009),
    costs=frictions.filter(lambda one: one.margin is not None),
)
@settings(deadline=None, max_examples=25)
def test_isolated_no_position_loses_more_than_its_margin(
    seed: int, leverage: float, rate: float, costs: Costs
) -> None:
    """What a liquidated position lost, by price, funding and the liquidation's fee, is at most what stood behind it."""
    chosen = replace(costs, margin=MarginRule(MarginMode.ISOLATED, leverage, rate))
    made, _ = ran(chosen, seed)
    last: dict[Symbol, list[Fill]] = defaultdict(list)
    for one in made.reports:
        if isinstance(one, Fill):
            last[one.symbol].append(one)
    for trade in made.trades:
        if trade.exit_reason != "liquidation":
            continue
        fills = [
            one for one in last[trade.symbol] if trade.entry_at_ms <= one.filled_at_ms <= trade.exit_at_ms
        ]
        final = fills[-1]
        entry_notional = trade.entry_price * final.quantity
        sign = 1 if trade.direction == "long" else -1
        lost = sign * (trade.entry_price - final.price) * final.quantity + final.fee
        share = final.quantity / trade.quantity
        assert lost + trade.funding * share <= entry_notional / leverage * (1 + 1e-6) + 1e-6


@given(seed=st.integers(0, 50), costs=frictions, entry=entries)
@settings(deadline=None, max_examples=6)
def test_a_restart_after_any_minute_changes_nothing(seed: int, costs: Costs, entry: EntryRule) -> None:
    """A process that is killed and started anew after every single minute ends as the one that never stopped."""
    made, tape = ran(costs, seed, entry=entry, minutes=60)
    again = world(config(costs, entry=entry), strategy_for(costs))
    reports: list[ExecutionReport] = []
    equities: list[float] = []
    for number, minute in enumerate(tape):
        again.step(minute)
        reports += again.reports
        equities += again.equities
        again = restarted(again, tape[: number + 1], strategy_for(costs))
    assert reports == made.reports
    assert equities == made.equities
    assert again.engine.snapshot() == made.engine.snapshot()
    assert again.matcher.snapshot() == made.matcher.snapshot()


@pytest.mark.parametrize("seed", range(3))
def test_a_restart_after_any_minute_changes_nothing_with_everything_on(seed: int) -> None:
    """The same where every friction is at work."""
    test_a_restart_after_any_minute_changes_nothing.hypothesis.inner_test(  # type: ignore[attr-defined]
        seed, EVERYTHING, EntryRule()
    )


def test_frictions_switched_off_over_a_restart_end_what_was_at_work() -> None:
    """An exit that had filled in part is carried out by the plain matcher, as far as it was left."""
    costs = replace(EVERYTHING, margin=None, latency_ms=0)
    checked = 0
    for seed in range(8):
        tape = random_tape(seed, MINUTES)
        made = world(config(costs))
        for number, minute in enumerate(tape):
            made.step(minute)
            parts = [
                r
                for symbol in SYMBOLS
                for r in made.engine.open_orders(symbol)
                if 0 < r.filled_quantity < r.intent.quantity
            ]
            if parts:
                made.engine.config = config(Costs())
                after = restarted(made, tape[: number + 1])
                after.run(tape[number + 1 :])
                checked += 1
                break
    assert checked > 3


def test_spot_is_never_liquidated() -> None:
    """Bought coins have no margin."""
    for seed in range(6):
        made, _ = ran(EVERYTHING, seed)
        kinds = {rules.symbol: rules.kind for rules in made.engine.config.instruments.values()}
        for trade in made.trades:
            if trade.exit_reason == "liquidation":
                assert kinds[trade.symbol] is InstrumentKind.PERPETUAL
