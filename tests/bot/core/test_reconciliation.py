"""The exchange against the ledger, and when a difference counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.execution_rules import ExecutionRules
from bot.core.live_ledger import LiveLedger
from bot.core.live_order import Asked, LiveOrder, Phase
from bot.core.orders import OrderType
from bot.core.reconciliation import (
    Difference,
    Schedule,
    differences,
    missing,
    schedule_from_json,
    schedule_to_json,
    strangers,
    unsettled,
    wallet_difference,
)
from bot.core.venue import OrderSeen, VenueState, VenueStatus
from tests.core_builders import PERPETUAL, SPOT, instrument, order

RULES = {PERPETUAL: instrument(PERPETUAL), SPOT: instrument(SPOT)}
quantities = st.dictionaries(
    st.sampled_from([PERPETUAL, SPOT, "X/USDT:USDT"]), st.integers(-50, 50).map(lambda lots: lots / 1000)
)


def state(positions: dict[str, float] | None = None, *orders: OrderSeen, wallet: float = 0.0) -> VenueState:
    """What an exchange shows."""
    return VenueState(1000, orders, (), (), positions or {}, wallet)


def seen(name: str, number: str = "") -> OrderSeen:
    """An open order."""
    return OrderSeen(name, PERPETUAL, 1000, number, VenueStatus.OPEN, 0.0, 1.0)


@given(ours=quantities, theirs=quantities, skipped=st.sets(st.sampled_from([PERPETUAL, SPOT])))
def test_every_difference_is_found_and_nothing_else(
    ours: dict[str, float], theirs: dict[str, float], skipped: set[str]
) -> None:
    """By symbol, those included that are not traded here; of spot from a lot on."""
    found = {one.name: one for one in differences(ours, state(theirs), RULES, skipped)}
    for symbol in set(ours) | set(theirs):
        here, there = ours.get(symbol, 0.0), theirs.get(symbol, 0.0)
        differs = abs(here - there) > 1e-9 and symbol not in skipped
        assert (symbol in found) == differs
        if differs:
            assert found[symbol] == Difference(symbol, here, there)


def test_dust_on_spot_and_the_last_digit_are_no_difference() -> None:
    """Less than a lot cannot be traded; sums of floats miss by a few units in the last place."""
    assert not differences({}, state({SPOT: 0.0009}), RULES, ())
    assert differences({}, state({PERPETUAL: 0.0009}), RULES, ())
    assert not differences({PERPETUAL: 0.1 + 0.2}, state({PERPETUAL: 0.3}), RULES, ())


def test_strangers_and_missing_orders_are_told_apart_by_either_id() -> None:
    """Ours by client id or by the exchange's number."""
    ledger = LiveLedger(RULES)
    ours, moved, gone = (order(minute=minute) for minute in range(3))
    for intent, number in ((ours, "1"), (moved, "2"), (gone, "3")):
        ledger.orders[intent.client_order_id] = LiveOrder(intent, phase=Phase.OPEN, exchange_ids=[number])
    shown = state({}, seen(ours.client_order_id), seen("", "2"), seen("web_1", "9"))
    assert [one.client_order_id for one in strangers(ledger, shown)] == ["web_1"]
    assert [one.id for one in missing(ledger, shown, asked_ms=0)] == [gone.client_order_id]


def test_an_order_that_moved_since_the_reading_was_asked_for_is_not_missing() -> None:
    """It was placed after it, or is being looked up already."""
    ledger = LiveLedger(RULES)
    intent = order()
    live = LiveOrder(intent, phase=Phase.OPEN, asked_ms=500)
    ledger.orders[live.id] = live
    assert not missing(ledger, state(), asked_ms=499)
    assert missing(ledger, state(), asked_ms=500) == [live]
    live.asked = Asked.LOOK_UP
    assert not missing(ledger, state(), asked_ms=500)


def test_symbols_with_something_on_its_way_are_unsettled() -> None:
    """In flight, uncertain, being looked up, to be canceled, or short of trades; a resting order is not."""
    for fields in (
        {"phase": Phase.PLANNED},
        {"phase": Phase.SENT},
        {"phase": Phase.UNCERTAIN},
        {"phase": Phase.CLOSING},
        {"phase": Phase.OPEN, "look_ms": 5},
        {"phase": Phase.OPEN, "cancel_words": "enough"},
        {"phase": Phase.OPEN, "shown_filled": 0.5},
    ):
        ledger = LiveLedger(RULES)
        live = LiveOrder(order(), **fields)
        ledger.orders[live.id] = live
        assert unsettled(ledger) == {PERPETUAL}, fields
    ledger = LiveLedger(RULES)
    for minute, phase in enumerate((Phase.OPEN, Phase.DONE)):
        live = LiveOrder(order(minute=minute), phase=phase)
        assert live.intent.type is OrderType.MARKET
        ledger.orders[live.id] = live
    assert not unsettled(ledger)


def test_a_difference_counts_at_the_second_look_and_once() -> None:
    """Unless something was booked in between; and it counts again after both sides agreed."""
    schedule, difference = Schedule(), Difference(PERPETUAL, 1.0, 1.5)
    assert not schedule.confirmed(difference, bookings=1)
    assert not schedule.confirmed(difference, bookings=2)
    assert schedule.confirmed(difference, bookings=2)
    assert not schedule.confirmed(difference, bookings=2)
    schedule.agree(PERPETUAL)
    assert not schedule.confirmed(difference, bookings=2)
    assert schedule.confirmed(difference, bookings=2)


def test_what_a_person_was_told_of_is_not_told_again_after_a_restart() -> None:
    """The same difference; another one is."""
    schedule = Schedule()
    for _ in range(2):
        schedule.confirmed(Difference(PERPETUAL, 1.0, 1.5), 0)
    again = schedule_from_json(schedule_to_json(schedule))
    assert again.is_reading_wanted
    assert not any(again.confirmed(Difference(PERPETUAL, 2.0, 2.5), 0) for _ in range(3))
    assert any(again.confirmed(Difference(PERPETUAL, 1.0, 1.7), 0) for _ in range(2))


def test_a_reading_is_due_sooner_while_the_stream_is_down_and_after_a_doubt() -> None:
    """Sixty seconds, five, or one and a half."""
    rules = ExecutionRules()
    for up, doubt, wait_ms in ((True, False, 60_000), (False, False, 5000), (True, True, 1500)):
        schedule = Schedule(stream_is_up=up)
        schedule.ask(0, 0)
        if doubt:
            schedule.confirmed(Difference(PERPETUAL, 1.0, 1.5), 0)
        schedule.done(100, rules)
        assert schedule.due_ms == 100 + wait_ms
        assert schedule.is_idle is not doubt


def test_the_wallet_may_differ_by_a_cent() -> None:
    """Beyond that both numbers are given."""
    assert wallet_difference(100.0, state(wallet=100.01), 0.0101) is None
    assert wallet_difference(100.0, state(wallet=99.98), 0.01) == Difference("wallet", 100.0, 99.98)
