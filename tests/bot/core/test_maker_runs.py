"""Properties of whole random runs with entries that rest and with every guard on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.decision import decision_to_json
from bot.core.engine_config import EngineConfig
from bot.core.entry import EntryRule, EntryStyle
from bot.core.market import MINUTE_MS, Candle
from bot.core.matching import Costs, FundingRates
from bot.core.orders import Canceled, Fill, OrderIntent, OrderType, Side
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule
from bot.core.surroundings import last_jump, moving_together, stale_minutes
from tests.core_builders import (
    PERPETUAL,
    SYMBOLS,
    Minute,
    at,
    engine_config,
    random_tape,
    restarted,
    world,
)

MINUTES = 160
WINDOW = 25
seeds = st.integers(0, 2**32)
OFF = RiskLimits(
    max_drawdown_fraction=0.5,
    max_trade_risk_fraction=None,
    max_jump_fraction=None,
    max_stale_minutes=None,
)
ON = replace(
    OFF,
    max_daily_loss_fraction=0.02,
    max_trade_risk_fraction=0.002,
    max_correlated_notional_fraction=0.5,
    correlation_threshold=0.3,
    max_loss_streak=3,
    loss_streak_minutes=12,
    max_funding_rate=0.0002,
    max_jump_fraction=0.008,
    max_stale_minutes=3,
)
rules = st.builds(EntryRule, st.just(EntryStyle.MAKER), st.integers(1, 6), st.booleans())
FUNDING = FundingRates(0.0001, {PERPETUAL: {at(450 + 30 * part): 0.0005 for part in range(8)}})


def config(
    entry: EntryRule | None = None, limits: RiskLimits = ON, fraction: float = 0.4, window: int = 3
) -> EngineConfig:
    """Three symbols in one account."""
    return engine_config(
        SYMBOLS,
        limits=limits,
        sizing=SizingRule(fraction),
        entry=entry,
        costs=Costs(half_spread_bps=3.0),
        window_minutes=window,
    )


def stale(tape: list[Minute]) -> list[Minute]:
    """The same market, in which now and then nothing happens for some minutes."""
    still: dict[str, Candle] = {}
    made = []
    for number, minute in enumerate(tape):
        bars = []
        for bar in minute.candles:
            before = still.get(bar.symbol)
            if number % 29 < 5 and before is not None:
                close = before.close
                bar = bar._replace(open=close, high=close, low=close, close=close, volume=0.0)  # noqa: PLW2901
            still[bar.symbol] = bar
            bars.append(bar)
        made.append(replace(minute, candles=tuple(bars)))
    return made


def test_a_random_run_is_worth_testing_with() -> None:
    """The tapes bring fills at the limit, in-bar stops, expiries, crossings, fallbacks, cancels and every guard."""
    reasons: Counter[str] = Counter()
    holds: Counter[str | None] = Counter()
    makers = 0
    for seed in range(16):
        made = world(config(EntryRule(EntryStyle.MAKER, 2, bool(seed % 2))), funding=FUNDING)
        for number, minute in enumerate(stale(random_tape(seed, MINUTES))):
            if number % 20 == 19:
                made.engine.request_flatten()
            made.step(minute)
        reasons.update(report.reason for report in made.reports if isinstance(report, Canceled))
        holds.update(decision.hold_reason for decision in made.decisions)
        makers += sum(
            isinstance(report, Fill) and report.client_order_id.endswith("e") for report in made.reports
        )
        reasons["fallback"] += sum(
            isinstance(report, Fill) and report.client_order_id.endswith("m") for report in made.reports
        )
        reasons["stopped at once"] += sum(trade.entry_at_ms == trade.exit_at_ms for trade in made.trades)
    assert makers > 100
    for reason in ("limit_expired", "post_only_would_cross", "flatten", "fallback", "stopped at once"):
        assert reasons[reason] > 2, reason
    for word in ("price_jump", "price_stale", "cooling_down", "funding_too_high"):
        assert holds[f"refused_{word}"] > 2, word


@given(seed=seeds, entry=rules, fraction=st.floats(0.05, 1.5), wide=st.booleans())
@settings(deadline=None, max_examples=30)
def test_no_entry_is_over_any_guard(seed: int, entry: EntryRule, fraction: float, wide: bool) -> None:
    """At every entry approved: what the stop would lose, what moves together, jump, rest, streak and funding."""
    limits = replace(ON, max_trade_risk_fraction=0.005) if wide else ON
    settings_ = config(entry, limits, fraction, WINDOW if wide else 3)
    made = world(settings_, funding=FUNDING)
    streak, cool_until = 0, 0
    for minute in stale(random_tape(seed, MINUTES)):
        known = len(made.trades)
        decisions = made.step(minute)
        for trade in made.trades[known:]:
            streak = streak + 1 if trade.pnl < 0 else 0
            if streak >= 3:
                streak, cool_until = 0, trade.exit_at_ms + 12 * MINUTE_MS
        engine, account = made.engine, made.engine.account
        desks = engine._desks
        equity, slack = account.equity(), 1 + 1e-9
        for intent in (order.intent for decision in decisions for order in decision.approved):
            if intent.reduce_only:
                continue
            assert intent.type is OrderType.LIMIT
            assert intent.protection is not None
            notional = intent.quantity * account.mark_price(intent.symbol)
            lost = notional * (intent.protection.stop_loss_fraction + entry.round_trip(settings_.costs))
            assert limits.max_trade_risk_fraction is not None
            assert lost <= limits.max_trade_risk_fraction * equity * slack
            # The entry is on its way by now, and counts itself.
            sides = moving_together(intent.symbol, desks, account, limits.correlation_threshold)
            decided_later = [
                other.symbol for other in decisions if other.approved and other.symbol > intent.symbol
            ]
            if not decided_later:
                assert sides[intent.side is Side.SELL] <= 0.5 * equity * slack
            window = desks[intent.symbol].window
            assert last_jump(window) <= 0.008
            assert stale_minutes(window) < min(3, len(window) - 1)
            assert minute.candles[0].closed_at_ms >= cool_until
            if intent.symbol == PERPETUAL and intent.side is Side.BUY:
                rate = engine.risk.guards.funding_rate(PERPETUAL)
                assert rate is None or rate <= 0.0002


@given(seed=seeds, entry=rules)
@settings(deadline=None, max_examples=30)
def test_a_limit_entry_fills_only_in_a_bar_that_goes_through_it(seed: int, entry: EntryRule) -> None:
    """Every fill of a limit entry, in any market: at its price, with the maker fee, in such a bar, in its time."""
    made = world(config(entry, OFF))
    tape = random_tape(seed, MINUTES)
    made.run(tape)
    sent: dict[str, OrderIntent] = {
        order.intent.client_order_id: order.intent
        for decision in made.decisions
        for order in decision.approved
        if order.intent.type is OrderType.LIMIT
    }
    bars = {(bar.symbol, bar.opened_at_ms): bar for minute in tape for bar in minute.candles}
    fee = made.engine.config.costs.maker_fee
    for report in made.reports:
        if isinstance(report, Fill) and report.client_order_id in sent:
            intent = sent[report.client_order_id]
            bar = bars[report.symbol, report.filled_at_ms // MINUTE_MS * MINUTE_MS]
            assert intent.limit_price is not None
            assert intent.expires_at_ms is not None
            through = (
                bar.low < intent.limit_price if intent.side is Side.BUY else bar.high > intent.limit_price
            )
            assert through
            assert report.price == intent.limit_price
            assert report.fee == fee(report.quantity * report.price)
            assert intent.decided_at_ms <= report.filled_at_ms < intent.expires_at_ms


@given(seed=seeds, entry=rules | st.just(EntryRule()), cut=st.integers(0, MINUTES), redrawn=st.booleans())
@settings(deadline=None, max_examples=30)
def test_the_future_changes_no_past_decision(seed: int, entry: EntryRule, cut: int, redrawn: bool) -> None:
    """With guards and resting entries too: what comes after a minute changes nothing up to it."""
    past, other = stale(random_tape(seed, MINUTES)), random_tape(seed + 1, MINUTES)
    cut = min(cut, len(past))
    last_ms = past[cut - 1].candles[0].opened_at_ms if cut else -1
    if redrawn:
        later = [minute for minute in other if minute.candles[0].opened_at_ms > last_ms]
    else:
        later = [
            replace(
                minute,
                candles=tuple(
                    bar._replace(high=bar.high * 1.02, low=bar.low * 0.9, close=bar.close * 0.95)
                    for bar in minute.candles
                ),
            )
            for minute in past[cut:]
        ]
    whole = world(config(entry), funding=FUNDING).run(past)
    altered = world(config(entry), funding=FUNDING).run(past[:cut] + later)
    one = world(config(entry), funding=FUNDING).run(past[:cut])
    for run in (whole, altered):
        ours = [decision_to_json(decision) for decision in run.decisions[: len(one.decisions)]]
        assert ours == one.outcome()["decisions"]
        assert run.trades[: len(one.trades)] == one.trades
        assert run.equities[:cut] == one.equities


@given(
    seed=seeds,
    entry=rules,
    cuts=st.lists(st.integers(0, MINUTES), min_size=1, max_size=5, unique=True),
    flatten=st.none() | st.integers(0, MINUTES),
    guarded=st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_a_restart_changes_nothing(
    seed: int, entry: EntryRule, cuts: list[int], flatten: int | None, guarded: bool
) -> None:
    """Killed at any minutes, resting entries and wished cancels in flight, and brought back: the same to the bit."""
    settings_ = config(entry, ON if guarded else OFF)
    tape = stale(random_tape(seed, MINUTES))
    whole, broken = (world(settings_, funding=FUNDING) for _ in range(2))
    for number, minute in enumerate(tape):
        if number in cuts:
            again = restarted(broken, tape[:number])
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


def test_a_restart_in_the_very_minutes_of_a_resting_entry_changes_nothing() -> None:
    """Cut after every single minute in which an order rests, and after each in which its cancel was wished."""
    cut_resting = cut_canceling = 0
    for seed in range(4):
        tape = random_tape(seed, MINUTES)
        settings_ = config(EntryRule(EntryStyle.MAKER, 4, bool(seed % 2)), OFF)
        whole, broken = world(settings_), world(settings_)
        for number, minute in enumerate(tape):
            for each in (whole, broken):
                if number % 20 == 19:
                    each.engine.request_flatten()
                each.step(minute)
            records = [
                record
                for symbol in SYMBOLS
                for record in broken.engine.open_orders(symbol)
                if record.intent.type is OrderType.LIMIT
            ]
            if records:
                cut_resting += 1
                cut_canceling += any(record.cancel_reason for record in records)
                again = restarted(broken, tape[: number + 1])
                again.reports, again.trades = broken.reports, broken.trades
                again.decisions, again.equities = broken.decisions, broken.equities
                broken = again
        assert broken.outcome() == whole.outcome()
    assert cut_resting > 50
    assert cut_canceling > 5


@pytest.mark.parametrize("seed", range(6))
def test_guards_that_are_off_change_nothing(seed: int) -> None:
    """Defaults, every guard off, and every guard on so wide that it cannot bind: one and the same run."""
    tape = random_tape(seed, MINUTES)
    wide = replace(
        OFF,
        max_trade_risk_fraction=1.0,
        max_correlated_notional_fraction=10.0,
        max_loss_streak=1000,
        max_funding_rate=0.03,
        max_spread_bps=1000.0,
        max_jump_fraction=5.0,
        max_stale_minutes=1000,
    )
    runs = [
        world(config(None, limits)).run(tape) for limits in (OFF, RiskLimits(max_drawdown_fraction=0.5), wide)
    ]
    assert runs[0].trades
    assert runs[0].outcome() == runs[1].outcome() == runs[2].outcome()
