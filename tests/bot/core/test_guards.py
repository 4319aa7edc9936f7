"""Tests of the guards of an entry: each as an example, then nothing over any of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.guards import Guards, entry_room
from bot.core.limits import RiskLimits, Situation, Surroundings
from bot.core.orders import ApprovedOrder, Funding, Protection, RefusedOrder, Side
from bot.core.position import Trade
from bot.core.risk import RiskGate
from bot.core.state import StateEvent
from tests.core_builders import PERPETUAL, SPOT, at, instrument, order

OFF = RiskLimits(max_trade_risk_fraction=None, max_jump_fraction=None, max_stale_minutes=None)
CALM = Situation(at(100), 100.0, 10_000.0, 10_000.0, 0.0, 0.0, 0.0, 0.0)


def gate(limits: RiskLimits) -> RiskGate:
    """One that takes on risk."""
    made = RiskGate(limits, 10_000.0)
    made.on_event(StateEvent.WARMED, at(0))
    return made


def verdict(limits: RiskLimits, around: Surroundings, *, quantity: float = 1.0, side: Side = Side.BUY) -> str:
    """``approved`` or the reason of the refusal."""
    made = gate(limits).review(
        order(quantity=quantity, side=side), instrument(), CALM._replace(around=around)
    )
    return made.reason if isinstance(made, RefusedOrder) else "approved"


def trade(minute: int, pnl: float) -> Trade:
    """A round trip that ended at this minute."""
    return Trade(PERPETUAL, "long", at(minute - 5), 100.0, at(minute), 100.0, 1.0, 0.0, 0.0, pnl, "quiet")


@pytest.mark.parametrize(
    ("change", "around", "side", "expected"),
    [
        ({"max_jump_fraction": 0.05}, {"jump": 0.05}, Side.BUY, "approved"),
        ({"max_jump_fraction": 0.05}, {"jump": 0.051}, Side.BUY, "price_jump"),
        ({"max_jump_fraction": 0.05}, {"jump": math.nan}, Side.SELL, "price_jump"),
        ({"max_stale_minutes": 5}, {"stale_minutes": 4, "stale_known": 59}, Side.BUY, "approved"),
        ({"max_stale_minutes": 5}, {"stale_minutes": 5, "stale_known": 59}, Side.BUY, "price_stale"),
        ({"max_stale_minutes": 90}, {"stale_minutes": 59, "stale_known": 59}, Side.BUY, "price_stale"),
        ({"max_stale_minutes": 90}, {"stale_minutes": 58, "stale_known": 59}, Side.BUY, "approved"),
        ({"max_stale_minutes": 5}, {}, Side.BUY, "approved"),
        ({"max_spread_bps": 3.0}, {"spread_bps": 3.0}, Side.BUY, "approved"),
        ({"max_spread_bps": 3.0}, {"spread_bps": 3.1}, Side.SELL, "spread_too_wide"),
        ({"max_spread_bps": 3.0}, {"spread_bps": None}, Side.BUY, "approved"),
        ({"max_spread_bps": 3.0}, {"spread_bps": None, "quotes_asked": True}, Side.BUY, "spread_unknown"),
        ({"max_spread_bps": 3.0}, {"spread_bps": 3.0, "quotes_asked": True}, Side.SELL, "approved"),
        ({"max_spread_bps": 3.0}, {"spread_bps": math.nan, "quotes_asked": True}, Side.SELL, "spread_too_wide"),
        ({"max_funding_rate": 0.0005}, {"funding_rate": 0.0005}, Side.BUY, "approved"),
        ({"max_funding_rate": 0.0005}, {"funding_rate": 0.0006}, Side.BUY, "funding_too_high"),
        ({"max_funding_rate": 0.0005}, {"funding_rate": 0.0006}, Side.SELL, "approved"),
        ({"max_funding_rate": 0.0005}, {"funding_rate": -0.0006}, Side.SELL, "funding_too_high"),
        ({"max_funding_rate": 0.0005}, {"funding_rate": None}, Side.BUY, "approved"),
        ({"max_trade_risk_fraction": 0.0001}, {"round_trip": 0.005}, Side.BUY, "approved"),
        ({"max_trade_risk_fraction": 0.0001}, {"round_trip": 0.0051}, Side.BUY, "over_trade_risk"),
        ({"max_correlated_notional_fraction": 0.1}, {"correlated_long": 900.0}, Side.BUY, "approved"),
        ({"max_correlated_notional_fraction": 0.1}, {"correlated_long": 901.0}, Side.BUY, "over_correlated_limit"),
        ({"max_correlated_notional_fraction": 0.1}, {"correlated_long": 901.0}, Side.SELL, "approved"),
        ({"max_correlated_notional_fraction": 0.1}, {"correlated_short": 5e3}, Side.SELL, "over_correlated_limit"),
    ],
)  # fmt: skip
def test_each_guard_alone(change: dict[str, Any], around: dict[str, Any], side: Side, expected: str) -> None:
    """A unit at 100 of an account of 10,000, stop half a percent away, against one guard at a time."""
    assert verdict(replace(OFF, **change), Surroundings(**around), side=side) == expected
    assert verdict(OFF, Surroundings(**around), side=side) == "approved"


def test_too_many_losses_in_a_row_cool_down():
    """The third of three losses stops entries for its minutes; a gain in between starts the count over."""
    limits = replace(OFF, max_loss_streak=3, loss_streak_minutes=30)
    made = gate(limits)
    asked = order()
    for minute, pnl in ((10, -1.0), (20, -1.0), (30, 2.0), (40, -1.0), (50, -1.0)):
        made.guards.on_trade(trade(minute, pnl))
    assert isinstance(made.review(asked, instrument(), CALM), ApprovedOrder)
    made.guards.on_trade(trade(90, -1.0))
    for minute, expected in ((90, True), (119, True), (120, False)):
        answer = made.review(asked, instrument(), CALM._replace(closed_at_ms=at(minute)))
        assert isinstance(answer, RefusedOrder) is expected
        assert not isinstance(answer, RefusedOrder) or answer.reason == "cooling_down"
    made.guards.on_trade(trade(121, -1.0))
    assert isinstance(made.review(asked, instrument(), CALM._replace(closed_at_ms=at(121))), ApprovedOrder)


def test_a_resume_ends_the_cool_down():
    """Who resumes a halted account starts it over."""
    made = gate(replace(OFF, max_loss_streak=1, loss_streak_minutes=500))
    made.guards.on_trade(trade(99, -1.0))
    assert isinstance(made.review(order(), instrument(), CALM), RefusedOrder)
    made.on_event(StateEvent.HALT, at(99))
    made.on_event(StateEvent.RESUME, at(99), equity=10_000.0)
    assert isinstance(made.review(order(), instrument(), CALM), ApprovedOrder)


def test_funding_is_known_from_the_last_payment_and_counted_per_eight_hours():
    """One payment counts as of eight hours; two in less time show how often the market pays."""
    made = Guards(OFF)
    assert made.funding_rate(PERPETUAL) is None
    made.on_funding(Funding(PERPETUAL, 0.0001, 100.0, at(0)))
    assert made.funding_rate(PERPETUAL) == 0.0001
    made.on_funding(Funding(PERPETUAL, 0.0002, 100.0, at(24 * 60)))
    assert made.funding_rate(PERPETUAL) == 0.0002
    made.on_funding(Funding(PERPETUAL, -0.0001, 100.0, at(28 * 60)))
    assert made.funding_rate(PERPETUAL) == pytest.approx(-0.0002)
    made.on_funding(Funding(PERPETUAL, 0.5, 100.0, at(28 * 60)))
    assert made.funding_rate(PERPETUAL) == pytest.approx(-0.0002)
    assert made.funding_rate(SPOT) is None


@given(
    events=st.lists(
        st.one_of(
            st.builds(trade, st.integers(10, 200), st.floats(-5, 5)),
            st.builds(Funding, st.just(PERPETUAL), st.floats(-0.01, 0.01), st.just(1.0), st.integers(1, 10**9)),
        ),
        max_size=12,
    ),
    cut=st.integers(0, 12),
)  # fmt: skip
def test_what_is_remembered_survives_a_restart(events: list[Trade | Funding], cut: int) -> None:
    """Through JSON at any place, the guards go on the same; an older journal's lack of them is a fresh start."""
    limits = replace(OFF, max_loss_streak=2)
    whole, broken = Guards(limits), Guards(limits)
    for number, event in enumerate(events):
        if number == cut:
            again = Guards(limits)
            again.restore(json.loads(json.dumps(broken.snapshot())))
            broken = again
        for each in (whole, broken):
            each.on_funding(event) if isinstance(event, Funding) else each.on_trade(event)
    assert broken.snapshot() == whole.snapshot()
    broken.restore({})
    assert broken.snapshot() == Guards(limits).snapshot()


fractions = st.none() | st.floats(0.0001, 2)
guarded = st.builds(
    RiskLimits,
    max_symbol_notional_fraction=st.floats(0.01, 3),
    max_total_notional_fraction=st.floats(0.01, 3),
    max_trade_risk_fraction=fractions,
    max_correlated_notional_fraction=fractions,
    max_funding_rate=st.none() | st.floats(0, 0.01),
    max_spread_bps=st.none() | st.floats(0.1, 20),
    max_jump_fraction=st.none() | st.floats(0.001, 0.2),
    max_stale_minutes=st.none() | st.integers(1, 100),
)
surroundings = st.builds(
    Surroundings,
    round_trip=st.floats(0, 0.01),
    correlated_long=st.floats(0, 30_000),
    correlated_short=st.floats(0, 30_000),
    jump=st.floats(0, 0.3) | st.just(math.nan),
    stale_minutes=st.integers(0, 59),
    stale_known=st.integers(0, 59),
    funding_rate=st.none() | st.floats(-0.02, 0.02) | st.just(math.nan),
    spread_bps=st.none() | st.floats(0, 40) | st.just(math.nan),
    quotes_asked=st.booleans(),
)
stops = st.builds(Protection, st.floats(0.0001, 0.9), st.floats(0.001, 1))


@given(
    limits=guarded,
    around=surroundings,
    protection=stops,
    side=st.sampled_from(Side),
    equity=st.floats(1, 1e6),
    share=st.floats(0, 2) | st.just(1.0),
)
@settings(deadline=None, max_examples=500)
def test_nothing_over_any_guard_is_ever_approved(
    limits: RiskLimits,
    around: Surroundings,
    protection: Protection,
    side: Side,
    equity: float,
    share: float,
) -> None:
    """Whatever is asked, an approved entry keeps every guard; what was cut to the room is refused for no size."""
    rules = instrument(lot_step=1e-6, min_quantity=1e-6, min_notional=0.0)
    at_hand = CALM._replace(equity=equity, around=around)
    made = gate(limits)
    quantity = rules.cut_quantity(made.entry_room(rules, at_hand, side, protection) * share / 100.0)
    intent = replace(order(side=side, quantity=quantity), protection=protection)
    answer = made.review(intent, rules, at_hand)
    if isinstance(answer, RefusedOrder):
        assert share > 1 or not answer.reason.startswith("over_")
        return
    lost = quantity * 100.0 * (protection.stop_loss_fraction + around.round_trip)
    beside = around.correlated_long if side is Side.BUY else around.correlated_short
    slack = 1 + 1e-9
    for value, limit in (
        (lost, _times(limits.max_trade_risk_fraction, equity)),
        (quantity * 100.0 + beside, _times(limits.max_correlated_notional_fraction, equity)),
        (around.jump, limits.max_jump_fraction),
        (around.spread_bps, limits.max_spread_bps),
        (around.funding_rate and around.funding_rate * side.sign, limits.max_funding_rate),
    ):
        assert limit is None or value is None or value <= limit * slack
    assert limits.max_spread_bps is None or around.spread_bps is not None or not around.quotes_asked
    if limits.max_stale_minutes is not None and around.stale_known:
        assert around.stale_minutes < min(limits.max_stale_minutes, around.stale_known)


def _times(fraction: float | None, equity: float) -> float | None:
    return None if fraction is None else fraction * equity


@given(around=surroundings, side=st.sampled_from(Side), quantity=st.floats(0.001, 200))
@settings(deadline=None)
def test_guards_that_are_off_ask_nothing(around: Surroundings, side: Side, quantity: float) -> None:
    """With every guard None, what is around an entry changes neither its room nor its verdict."""
    assert verdict(OFF, around, side=side, quantity=quantity) == verdict(
        OFF, Surroundings(), side=side, quantity=quantity
    )
    assert entry_room(OFF, CALM._replace(around=around), side, Protection(0.1, 0.1)) == math.inf


def test_an_exit_is_never_guarded():
    """Whatever is around, what shrinks a position may."""
    tight = RiskLimits(max_jump_fraction=0.001, max_stale_minutes=1, max_spread_bps=0.1, max_loss_streak=1)
    made = gate(tight)
    made.guards.on_trade(trade(100, -1.0))
    wild = Surroundings(jump=1.0, stale_minutes=50, stale_known=59, spread_bps=100.0)
    held = CALM._replace(held=1.0, around=wild)
    exiting = replace(order(side=Side.SELL), reduce_only=True, protection=None)
    assert isinstance(made.review(exiting, instrument(), held), ApprovedOrder)
