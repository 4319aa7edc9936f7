"""Tests of the risk review: what is approved is within every limit, what reduces always passes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.market import DAY_MS, MINUTE_MS
from bot.core.orders import ApprovedOrder, Leg, OrderIntent, OrderType, Protection, RefusedOrder, Side
from bot.core.risk import SPOT_CASH_SHARE, RiskGate, RiskLimits, Situation, StateChange, protective_orders
from bot.core.state import StateEvent, TradingState
from bot.errors import EngineProtocolError
from tests.core_builders import MIDNIGHT, PERPETUAL, PROTECTION, SPOT, at, fill_of, instrument, order

W, T, R, H = TradingState.WARMING_UP, TradingState.TRADING, TradingState.REDUCING, TradingState.HALTED
CALM = Situation(at(0), 100.0, 10_000.0, 10_000.0, 0.0, 0.0, 0.0, 0.0)


def trading_gate(limits: RiskLimits | None = None, equity: float = 10_000.0) -> RiskGate:
    """A gate that takes on risk."""
    gate = RiskGate(limits or RiskLimits(), equity)
    gate.on_event(StateEvent.WARMED, at(0))
    return gate


def verdict(gate: RiskGate, intent: OrderIntent, situation: Situation = CALM, **rules: float) -> str:
    """``approved`` or the reason of the refusal."""
    result = gate.review(intent, instrument(intent.symbol, **rules), situation)
    assert result.intent is intent
    return result.reason if isinstance(result, RefusedOrder) else "approved"


# --- entries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intent", "situation", "answer"),
    [
        (order(), CALM, "approved"),
        (order(side=Side.SELL), CALM, "approved"),
        (order(quantity=25.0), CALM, "approved"),
        (order(quantity=25.001), CALM, "over_notional_limit"),
        (order(), CALM._replace(symbol_notional=2400.0, total_notional=2400.0), "approved"),
        (order(), CALM._replace(symbol_notional=2400.1, total_notional=2400.1), "over_notional_limit"),
        (order(), CALM._replace(total_notional=9900.1), "over_notional_limit"),
        (order(), CALM._replace(equity=0.0), "no_equity"),
        (order(), CALM._replace(equity=-1.0), "no_equity"),
        (order(), CALM._replace(equity=math.nan), "over_notional_limit"),
        (order(), CALM._replace(price=math.nan), "below_min_notional"),
        (order(quantity=math.nan), CALM, "below_min_quantity"),
        (order(quantity=math.inf), CALM, "over_notional_limit"),
        (order(quantity=0.0), CALM, "below_min_quantity"),
        (order(quantity=-1.0), CALM, "below_min_quantity"),
        (order(quantity=0.0005), CALM, "below_min_quantity"),
        (order(quantity=0.049), CALM, "below_min_notional"),
        (order(quantity=0.05), CALM, "approved"),
        (order(symbol=SPOT, side=Side.SELL), CALM, "spot_cannot_go_short"),
        (order(symbol=SPOT, quantity=9.9), CALM._replace(cash=1000.0), "approved"),
        (order(symbol=SPOT, quantity=9.901), CALM._replace(cash=1000.0), "over_notional_limit"),
        (
            order(symbol=SPOT, quantity=5.0),
            CALM._replace(cash=1000.0, pending_notional=500.0),
            "over_notional_limit",
        ),
        (order(protection=None), CALM, "no_protection"),
        (order(protection=Protection(0.0, 0.01)), CALM, "no_protection"),
        (order(protection=Protection(-0.01, 0.01)), CALM, "no_protection"),
        (order(protection=Protection(1.0, 0.01)), CALM, "no_protection"),
        (order(protection=Protection(0.01, 0.0)), CALM, "no_protection"),
        (order(protection=Protection(0.01, math.nan)), CALM, "no_protection"),
        (order(protection=Protection(math.nan, 0.01)), CALM, "no_protection"),
    ],
)
def test_examples_of_entries(intent: OrderIntent, situation: Situation, answer: str) -> None:
    """The limits by default: 25 % in a symbol, 100 % in all, of an equity of 10,000; spot pays in full."""
    assert verdict(trading_gate(), intent, situation) == answer


money = st.floats(0, 1e6)
fractions = st.floats(0, 3)
limits_of_any_kind = st.builds(
    RiskLimits,
    max_symbol_notional_fraction=fractions,
    max_total_notional_fraction=fractions,
    max_symbol_notional=st.none() | money,
    max_total_notional=st.none() | money,
    max_orders_per_minute=st.integers(0, 5),
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Any account: in debt, over its limits, with pending orders."""
    pending, in_symbol, elsewhere = draw(money), draw(money), draw(money)
    return Situation(
        closed_at_ms=at(draw(st.integers(0, 3))),
        price=draw(st.floats(0.01, 1e5)),
        equity=draw(st.floats(-1e5, 1e6)),
        cash=draw(st.floats(-1e5, 1e6)),
        held=draw(st.sampled_from([0.0, 1.5, -1.5])),
        symbol_notional=in_symbol,
        total_notional=in_symbol + elsewhere + pending,
        pending_notional=pending,
    )


@given(
    limits=limits_of_any_kind,
    situation=situations(),
    symbol=st.sampled_from([PERPETUAL, SPOT]),
    side=st.sampled_from(Side),
    of_the_room=st.floats(0, 2) | st.just(1.0),
)
@settings(deadline=None, max_examples=400)
def test_nothing_over_a_limit_is_ever_approved(
    limits: RiskLimits, situation: Situation, symbol: str, side: Side, of_the_room: float
) -> None:
    """Whatever is asked in whatever situation, an approved entry keeps every limit."""
    gate, rules = trading_gate(limits), instrument(symbol)
    quantity = rules.cut_quantity(gate.room(rules, situation) * of_the_room / situation.price)
    intent = order(symbol=symbol, side=side, quantity=quantity)
    if verdict(gate, intent, situation) != "approved":
        return
    notional = quantity * situation.price
    slack = 1 + 1e-9
    in_symbol, in_all = situation.symbol_notional + notional, situation.total_notional + notional
    assert situation.equity > 0
    assert in_symbol <= limits.max_symbol_notional_fraction * situation.equity * slack
    assert in_all <= limits.max_total_notional_fraction * situation.equity * slack
    assert limits.max_symbol_notional is None or in_symbol <= limits.max_symbol_notional * slack
    assert limits.max_total_notional is None or in_all <= limits.max_total_notional * slack
    assert limits.max_orders_per_minute > 0
    assert quantity >= rules.min_quantity
    assert notional >= rules.min_notional
    if symbol == SPOT:
        assert side is Side.BUY
        assert notional + situation.pending_notional <= situation.cash * SPOT_CASH_SHARE * slack


@given(
    situation=situations(), price=st.floats(0.01, 1e5), lots=st.integers(1, 10**9), digits=st.integers(0, 8)
)
@settings(deadline=None)
def test_what_is_cut_to_the_room_is_not_over_it(
    situation: Situation, price: float, lots: int, digits: int
) -> None:
    """Cutting the room to lots never gives a quantity that the review then finds too large."""
    rules = replace(instrument(), lot_step=10.0**-digits, min_quantity=0.0, min_notional=0.0)
    room = lots * rules.lot_step * price
    limits = RiskLimits(
        max_symbol_notional_fraction=room, max_total_notional_fraction=room, max_trade_risk_fraction=None
    )
    gate = trading_gate(limits)
    situation = CALM._replace(price=price, equity=1.0)
    quantity = rules.cut_quantity(gate.entry_room(rules, situation, Side.BUY, PROTECTION) / price)
    assert isinstance(gate.review(order(quantity=quantity), rules, situation), ApprovedOrder)


@pytest.mark.parametrize("state", [W, R, H])
def test_entries_are_refused_where_no_risk_may_be_taken(state: TradingState) -> None:
    """The refusal's reason is the state's name."""
    gate = trading_gate()
    gate.state = state
    assert verdict(gate, order()) == state.value


def test_orders_of_one_minute_are_counted() -> None:
    """Exits count but are not refused; a refusal does not count; the next minute starts over."""
    gate = trading_gate(RiskLimits(max_orders_per_minute=2))
    holding = CALM._replace(held=1.0)
    assert verdict(gate, order(side=Side.SELL, leg=Leg.EXIT), holding) == "approved"
    assert verdict(gate, order(quantity=1e9)) == "over_notional_limit"
    assert verdict(gate, order()) == "approved"
    assert verdict(gate, order()) == "too_many_orders"
    assert verdict(gate, order(side=Side.SELL, leg=Leg.EXIT), holding) == "approved"
    assert verdict(gate, order(), CALM._replace(closed_at_ms=at(1))) == "approved"


# --- exits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(TradingState))
@given(situation=situations(), quantity=st.floats(1e-3, 3))
@settings(deadline=None, max_examples=40)
def test_an_exit_is_always_possible_and_only_shrinks(
    state: TradingState, situation: Situation, quantity: float
) -> None:
    """In every state, over every limit, even in debt: approved exactly when it reduces what is held."""
    gate = trading_gate(RiskLimits(max_orders_per_minute=0, max_total_notional_fraction=0.0))
    gate.state = state
    for side in Side:
        answer = verdict(gate, order(side=side, quantity=quantity, leg=Leg.EXIT), situation)
        if situation.held * side.sign >= 0:
            assert answer == "nothing_to_reduce"
        else:
            assert answer == ("approved" if quantity <= 1.5 else "more_than_held")


@pytest.mark.parametrize("quantity", [0.0, -1.0, math.nan, 1.5000001])
def test_an_exit_of_nothing_or_of_too_much_is_refused(quantity: float) -> None:
    """A reduction lies above zero and at most at what is held."""
    gate = trading_gate()
    assert verdict(gate, order(side=Side.SELL, quantity=quantity, leg=Leg.EXIT), CALM._replace(held=1.5)) == (
        "more_than_held"
    )


# --- daily loss and drawdown --------------------------------------------------------------------------------

TIGHT = RiskLimits(max_daily_loss_fraction=0.03, max_drawdown_fraction=0.15)


def test_a_days_loss_reduces_until_midnight() -> None:
    """Beyond 3 % of the day's first equity REDUCING begins, and it ends with the first candle of the next day."""
    gate = trading_gate(TIGHT)
    assert gate.on_equity(10_000.0, at(1)) == []
    assert gate.on_equity(9_700.1, at(2)) == []
    assert gate.on_equity(9_700.0, at(3)) == [StateChange(T, R, "daily_loss_limit", at(3))]
    assert gate.on_equity(9_900.0, at(4)) == []
    assert not gate.may_open
    assert gate.on_equity(9_600.0, at(1439)) == []
    assert gate.on_equity(9_600.0, at(1440)) == [StateChange(R, T, "new_day", at(1440))]
    assert gate.day_start_equity == 9_600.0
    assert gate.on_equity(9_400.0, at(1441)) == []
    assert gate.on_equity(9_312.0, at(1442)) == [StateChange(T, R, "daily_loss_limit", at(1442))]


def test_the_day_starts_at_midnight_utc_and_not_a_minute_later() -> None:
    """The candle that closes at 00:00 sets the equity that the day's loss is measured from."""
    gate = trading_gate(TIGHT)
    gate.on_equity(10_000.0, MIDNIGHT - MINUTE_MS)
    gate.on_equity(9_800.0, MIDNIGHT)
    assert gate.day_start_equity == 9_800.0
    assert gate.on_equity(9_600.0, MIDNIGHT + MINUTE_MS) == []


def test_a_drawdown_halts_until_a_person_resumes() -> None:
    """15 % below the peak: HALTED over midnights; the resume measures anew from the equity of then."""
    gate = trading_gate(RiskLimits(max_daily_loss_fraction=1.0, max_drawdown_fraction=0.15))
    gate.on_equity(12_000.0, at(1))
    assert gate.on_equity(10_200.1, at(2)) == []
    assert gate.on_equity(10_200.0, at(3)) == [StateChange(T, H, "drawdown_limit", at(3))]
    assert gate.on_equity(10_300.0, at(1440)) == []
    assert gate.on_equity(13_000.0, at(2880)) == []
    assert gate.state is H
    change = gate.on_event(StateEvent.RESUME, at(2881), equity=9_000.0)
    assert change == [StateChange(H, T, "resume", at(2881))]
    assert (gate.peak_equity, gate.day_start_equity) == (9_000.0, 9_000.0)
    assert gate.on_equity(8_000.0, at(2882)) == []
    assert gate.on_equity(7_650.0, at(2883)) == [StateChange(T, H, "drawdown_limit", at(2883))]


def test_a_resume_that_ends_nothing_does_not_move_the_limits() -> None:
    """While trading, ``resume`` leaves peak and day's start where they are: losses can't be resumed away."""
    gate = trading_gate(TIGHT)
    gate.on_equity(10_000.0, at(1))
    assert gate.on_event(StateEvent.RESUME, at(2), equity=9_000.0) == []
    assert (gate.peak_equity, gate.day_start_equity) == (10_000.0, 10_000.0)


@pytest.mark.parametrize("event", [StateEvent.PAUSE, StateEvent.HALT])
def test_only_a_resume_moves_the_limits(event: StateEvent) -> None:
    """Pausing or halting at a loss leaves peak and day's start where they are; the resume then moves both."""
    gate = trading_gate(TIGHT)
    gate.on_equity(10_000.0, at(1))
    gate.on_event(event, at(2), equity=9_900.0)
    assert (gate.peak_equity, gate.day_start_equity) == (10_000.0, 10_000.0)
    gate.on_event(StateEvent.RESUME, at(3))
    assert (gate.peak_equity, gate.day_start_equity) == (10_000.0, 10_000.0)
    gate.on_event(event, at(4), equity=9_900.0)
    gate.on_event(StateEvent.RESUME, at(5), equity=9_900.0)
    assert (gate.peak_equity, gate.day_start_equity) == (9_900.0, 9_900.0)


def test_a_pause_outlives_the_night_even_when_the_day_was_lost() -> None:
    """Paused before or after the loss limit, only a person's resume ends it."""
    for pause_first in (True, False):
        gate = trading_gate(TIGHT)
        gate.on_equity(10_000.0, at(1))
        if pause_first:
            gate.on_event(StateEvent.PAUSE, at(2))
        gate.on_equity(9_000.0, at(3))
        if not pause_first:
            gate.on_event(StateEvent.PAUSE, at(4))
        assert (gate.state, gate.reason) == (R, "pause")
        assert gate.on_equity(9_000.0, at(1440)) == []
        assert gate.on_event(StateEvent.RESUME, at(1441)) == [StateChange(R, T, "resume", at(1441))]


def test_a_loss_that_is_also_a_drawdown_halts() -> None:
    """The harder of the two limits wins, also from REDUCING."""
    gate = trading_gate(TIGHT)
    gate.on_equity(10_000.0, at(1))
    assert [change.after for change in gate.on_equity(8_000.0, at(2))] == [H]
    gate = trading_gate(TIGHT)
    gate.on_equity(10_000.0, at(1))
    gate.on_equity(9_600.0, at(2))
    assert [change.after for change in gate.on_equity(8_500.0, at(3))] == [H]


@given(
    equities=st.lists(st.floats(5_000, 20_000), min_size=2, max_size=40),
    gap=st.integers(1, 700),
    restart=st.integers(0, 39),
)
@settings(deadline=None)
def test_states_follow_the_limits_and_survive_a_restart(
    equities: list[float], gap: int, restart: int
) -> None:
    """Any run of equities gives the same changes with a restart in it; trading means within both limits."""
    whole, first = trading_gate(TIGHT), trading_gate(TIGHT)
    changes: list[StateChange] = []
    again: list[StateChange] = []
    gate = first
    for number, equity in enumerate(equities):
        now = MIDNIGHT + number * gap * MINUTE_MS
        if number == restart:
            state = json.loads(json.dumps(gate.snapshot()))
            gate = RiskGate(TIGHT, 1.0)
            gate.restore(state)
            assert gate.snapshot() == state
        changes += whole.on_equity(equity, now)
        again += gate.on_equity(equity, now)
        assert gate.snapshot() == whole.snapshot()
        today = [
            e
            for n, e in enumerate(equities[: number + 1])
            if (n * gap * MINUTE_MS) // DAY_MS == (now - MIDNIGHT) // DAY_MS
        ]
        if whole.state is T:
            assert equity > max(equities[: number + 1]) * 0.85
            assert equity > today[0] * 0.97
        if min(e / max(10_000.0, *equities[: n + 1]) for n, e in enumerate(equities[: number + 1])) <= 0.85:
            assert whole.state is H
    assert changes == again


def test_the_count_of_orders_survives_a_restart() -> None:
    """A crash loop does not send more orders a minute than allowed."""
    gate = trading_gate(RiskLimits(max_orders_per_minute=1))
    assert verdict(gate, order()) == "approved"
    again = RiskGate(gate.limits, 10_000.0)
    again.restore(json.loads(json.dumps(gate.snapshot())))
    assert verdict(again, order()) == "too_many_orders"


# --- protective orders --------------------------------------------------------------------------------------


@given(
    side=st.sampled_from(Side),
    price=st.floats(10, 1e5),
    stop=st.floats(0.001, 0.5),
    target=st.floats(0.001, 0.5),
)
@settings(deadline=None)
def test_protective_orders_stand_on_both_sides_of_the_fill(
    side: Side, price: float, stop: float, target: float
) -> None:
    """On the tick nearest their distance, the stop on the losing side, of the fill's quantity, reduce-only."""
    entry = order(side=side, protection=Protection(stop, target))
    rules = instrument()
    below, above = protective_orders(entry, fill_of(entry, price, quantity=0.5), rules)
    for made, leg, kind, distance in (
        (below.intent, Leg.STOP, OrderType.STOP, -stop),
        (above.intent, Leg.TAKE_PROFIT, OrderType.TAKE_PROFIT, target),
    ):
        expected = price * (1 + side.sign * distance)
        assert made.stop_price is not None
        assert abs(made.stop_price - expected) <= rules.tick_size * 0.5001
        assert rules.round_price(made.stop_price) == made.stop_price
        fields: dict[str, Any] = {"side": side.opposite, "quantity": 0.5, "leg": leg, "type": kind}
        assert {name: getattr(made, name) for name in fields} == fields
        assert made.reduce_only
        assert made.symbol == entry.symbol


def test_an_entry_without_protection_has_no_protective_orders() -> None:
    """It can't pass the review; asked for its orders all the same, that is a bug of ours."""
    entry = order(protection=None)
    with pytest.raises(EngineProtocolError):
        protective_orders(entry, fill_of(entry), instrument())


@given(
    cents=st.lists(st.integers(9_000, 11_000), min_size=1, max_size=30),
    parts=st.lists(st.integers(1, 10), min_size=1, max_size=30),
    start=st.integers(1430, 1445),
    daily=st.sampled_from([0.005, 0.03, 1.0]),
    drawdown=st.sampled_from([0.02, 0.08, 1.0]),
)
@settings(deadline=None)
def test_many_minutes_at_once_are_seen_as_one_by_one(
    cents: list[int], parts: list[int], start: int, daily: float, drawdown: float
) -> None:
    """In parts of any length, over midnight too, ``on_equities`` changes state and memory as ``on_equity`` does."""
    limits = RiskLimits(max_daily_loss_fraction=daily, max_drawdown_fraction=drawdown)
    one, other = trading_gate(limits), trading_gate(limits)
    changes: list[StateChange] = []
    others: list[StateChange] = []
    place = 0
    for part in parts:
        values = [float(value) for value in cents[place : place + part]]
        if not values:
            break
        changes += one.on_equities(values, at(start + place))
        for minute, value in enumerate(values, start=start + place):
            others += other.on_equity(value, at(minute))
        place += part
    assert changes == others
    assert one.snapshot() == other.snapshot()
