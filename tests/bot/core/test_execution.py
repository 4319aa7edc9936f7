"""What execution does about each thing that an exchange may do; every report is booked by a real desk and account."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from bot.core.decision import CancelWish
from bot.core.entry import WOULD_CROSS
from bot.core.execution import Alarm, ExecutionRules, LiveExecution
from bot.core.guarding import WOULD_TRIGGER
from bot.core.live_requests import EXPIRY_GRACE_MS
from bot.core.market import MINUTE_MS
from bot.core.orders import (
    Accepted,
    Adopted,
    Canceled,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    OrderType,
    Protection,
    Rejected,
    Side,
    Unknown,
)
from bot.core.position import Position
from bot.core.venue import (
    CancelOrder,
    LookUpOrder,
    OrderRefused,
    OrderSeen,
    PlaceOrder,
    PlacePair,
    ReadState,
    ReadTrades,
    TradeSeen,
    VenueCommand,
    VenueStatus,
)
from bot.errors import ConfigError
from tests.core_builders import PERPETUAL, PROTECTION, SPOT, order
from tests.model_exchange import START, Rig, agrees

PAIRED = ExecutionRules(pair_on_exchange=True)


def ready(symbol: str = PERPETUAL, rules: ExecutionRules | None = None, **exchange: Any) -> Rig:
    """A rig whose first reconciliation is done."""
    rig = Rig((symbol,), rules or PAIRED, **exchange)
    rig.drain()
    assert rig.execution.is_quiet
    rig.sent.clear()
    return rig


def entry(symbol: str = PERPETUAL, quantity: float = 1.0, **fields: Any) -> OrderIntent:
    """An entry decided on the candle that closed at the rig's start."""
    return replace(order(symbol=symbol, quantity=quantity), **fields)


def limit(*, taker_fallback: bool = False) -> OrderIntent:
    """A post-only entry that rests for two minutes."""
    return entry(
        type=OrderType.LIMIT,
        limit_price=99.9,
        expires_at_ms=START + 2 * MINUTE_MS,
        taker_fallback=taker_fallback,
    )


def holding(symbol: str = PERPETUAL, rules: ExecutionRules | None = None, quantity: float = 1.0) -> Rig:
    """A rig that has entered at 100 and is protected."""
    rig = ready(symbol, rules)
    rig.submit(entry(symbol, quantity=quantity))
    rig.rest()
    assert rig.execution.unprotected(rig.now_ms) == {}
    rig.sent.clear()
    rig.told.clear()
    return rig


def leave(rig: Rig, symbol: str = PERPETUAL) -> OrderIntent:
    """The engine's exit, submitted."""
    position = rig.account.position(symbol)
    intent = rig.desks[symbol].exit_intent("run", position, rig.now_ms, Leg.EXIT, "forecast_down")
    rig.submit(intent)
    return intent


def fate(rig: Rig, kind: type[Any], how: str, leg: Leg | None = None, times: int = 1) -> None:
    """What becomes of the next commands of a kind."""
    left = [times]

    def answer(command: VenueCommand) -> str:
        intent = command.stop if isinstance(command, PlacePair) else getattr(command, "intent", None)
        if isinstance(command, kind) and (leg is None or (intent and intent.leg is leg)) and left[0]:
            left[0] -= 1
            return how
        return "answered"

    rig.answer = answer


def resting(rig: Rig, leg: Leg) -> Any:
    """The order of a leg that is open on the exchange."""
    (found,) = [
        one
        for one in rig.exchange.orders.values()
        if one.intent.leg is leg and one.status is VenueStatus.OPEN
    ]
    return found


def kinds(rig: Rig) -> list[str]:
    """The kinds of the reports so far."""
    return [type(report).__name__ for report in rig.told]


# --- an order's life --------------------------------------------------------------------------------------


def test_an_entry_is_sent_once_filled_and_protected_by_a_stop_and_a_target() -> None:
    """Fill first, then stop and target at the intent's distances from its price, told before anything of theirs."""
    rig = ready()
    rig.submit(entry())
    rig.drain()
    assert [one.leg for one in rig.placed()] == [Leg.ENTRY, Leg.STOP, Leg.TAKE_PROFIT]
    assert kinds(rig) == ["Fill", "Accepted", "Accepted"]
    stop, target = rig.born()
    assert (stop.stop_price, target.stop_price, stop.quantity, target.quantity) == (99.5, 101.0, 1.0, 1.0)
    assert all(one.reduce_only and one.side is Side.SELL for one in (stop, target))
    assert rig.execution.is_quiet
    assert not rig.alarms
    agrees(rig)


def test_a_stop_counts_only_once_it_was_read_back() -> None:
    """Accepted by the answer is not enough: it is looked up, and only then the position counts as protected."""
    rig = ready()
    rig.submit(entry())
    rig.stream_up = False  # the stream would confirm it as well
    while not rig.placed(Leg.STOP):
        rig.perform()
    assert resting(rig, Leg.STOP)
    assert rig.execution.unprotected(rig.now_ms) == {PERPETUAL: START}
    assert not rig.execution.is_quiet
    rig.drain()
    assert [command.intent.leg for command in rig.sent if isinstance(command, LookUpOrder)] == [Leg.STOP]
    assert rig.execution.unprotected(rig.now_ms) == {}


def test_a_refused_entry_is_rejected_with_the_words_of_the_exchange() -> None:
    """Nothing of it can trade: the intent is closed, nothing else is sent."""
    rig = ready(refuse=lambda intent: ("-2019", "Margin is insufficient."))
    rig.submit(entry())
    rig.drain()
    assert kinds(rig) == ["Rejected"]
    assert [one.reason for one in rig.reports(Rejected)] == ["Margin is insufficient."]
    assert rig.execution.is_quiet
    assert not rig.desks[PERPETUAL].orders


@pytest.mark.parametrize("code", [("-4116", "ClientOrderId is duplicated."), ("-1", "Duplicate order sent.")])
def test_a_refusal_since_the_id_is_known_is_no_reject_but_looked_up(code: tuple[str, str]) -> None:
    """The first request has arrived: the order is there, and filled."""
    rig = ready()
    rig.submit(entry())
    (command,) = rig.waiting
    assert isinstance(command, PlaceOrder)
    rig.waiting.clear()
    rig.exchange.place(command.intent)
    rig.exchange.stream.clear()
    rig.deliver(OrderRefused(command.intent.client_order_id, PERPETUAL, rig.now_ms, *code))
    rig.rest()
    assert len(rig.reports(Unknown)) == 1
    assert not rig.reports(Rejected)
    agrees(rig)
    assert rig.exchange.held(PERPETUAL) == 1.0


def test_an_entry_whose_answer_was_lost_and_that_was_executed_is_found() -> None:
    """Unknown is told, it is looked up, its trades are read, and nothing is sent twice."""
    rig = ready()
    fate(rig, PlaceOrder, "unheard", Leg.ENTRY)
    rig.stream_up = False
    rig.submit(entry())
    rig.drain()
    assert kinds(rig) == ["Unknown"]
    rig.pass_time(1000)
    assert kinds(rig)[:2] == ["Unknown", "Fill"]
    assert rig.words() == ["order.uncertain", "order.resolved"]
    rig.rest()
    agrees(rig)
    assert len(rig.placed(Leg.ENTRY)) == 1


def test_an_order_that_can_be_seen_only_after_three_seconds_is_waited_for() -> None:
    """Absent counts only after the whole window, with more and more time between two looks."""
    rig = ready(hidden_ms=3000)
    fate(rig, PlaceOrder, "unheard", Leg.ENTRY)
    rig.submit(entry())
    rig.exchange.stream.clear()
    rig.perform()
    rig.exchange.stream.clear()
    rig.pass_time(2900)
    looks = [command for command in rig.sent if isinstance(command, LookUpOrder)]
    assert len(looks) == 4  # after 200, 400, 800 and 1500 ms, each from the one before
    assert kinds(rig) == ["Unknown"]
    rig.exchange.hidden_ms = 0
    rig.rest()
    assert rig.exchange.held(PERPETUAL) == 1.0
    agrees(rig)


def test_an_entry_that_was_lost_is_canceled_after_the_window_and_not_sent_again() -> None:
    """Eight seconds without a trace are longer than the exchange would take a late request: it surely was not executed."""
    rig = ready()
    fate(rig, PlaceOrder, "lost", Leg.ENTRY)
    rig.submit(entry())
    rig.drain()
    rig.pass_time(7900)
    assert kinds(rig) == ["Unknown"]
    rig.pass_time(2500)
    assert [type(one) for one in rig.told] == [Unknown, Canceled]
    assert rig.words() == ["order.uncertain", "order.absent"]
    rig.rest()
    assert len(rig.placed()) == 1
    agrees(rig)


def test_a_request_that_arrives_late_is_not_doubled() -> None:
    """It is executed after the answer was given up: it is found within the window, and was sent once."""
    rig = ready()
    fate(rig, PlaceOrder, "late", Leg.ENTRY)
    rig.submit(entry())
    rig.drain()
    assert rig.exchange.held(PERPETUAL) == 0.0
    rig.rest()
    assert len(rig.placed(Leg.ENTRY)) == 1
    assert rig.exchange.held(PERPETUAL) == 1.0
    agrees(rig)


def test_an_exit_that_was_lost_is_sent_again_with_the_same_id() -> None:
    """After the window the exchange knows no such order: an exit is needed still."""
    rig = holding()
    fate(rig, PlaceOrder, "lost", Leg.EXIT)
    exit_ = leave(rig)
    rig.drain()
    rig.pass_time(12_000)
    sent = rig.placed(Leg.EXIT)
    assert [one.client_order_id for one in sent] == [exit_.client_order_id] * 2
    assert rig.exchange.held(PERPETUAL) == 0.0
    rig.rest()
    agrees(rig)


def test_a_request_that_nothing_at_all_is_heard_of_counts_as_uncertain_in_the_end() -> None:
    """Thirty seconds without a word: looked up like any other."""
    rig = ready()
    rig.submit(entry())
    rig.waiting.clear()
    rig.pass_time(31_000)
    assert kinds(rig) == ["Unknown"]
    rig.rest()
    assert kinds(rig) == ["Unknown", "Canceled"]


def test_trades_are_booked_once_however_often_they_are_told() -> None:
    """By trade id: from the stream twice, from a question, from a reconciliation."""
    rig = ready(parts=3)
    rig.submit(entry())
    rig.drain()
    for trade in (*rig.exchange.trades, *rig.exchange.trades):
        rig.deliver(trade)
    rig.execution.request_state(rig.now_ms)
    rig.turn()
    rig.rest()
    assert len(rig.reports(Fill)) == 3
    agrees(rig)


def test_trades_that_the_stream_lost_are_read_when_the_order_shows_more_filled() -> None:
    """The answer says filled, no trade came: they are asked for at once."""
    rig = ready(parts=2)
    rig.submit(entry())
    rig.perform()
    assert any(isinstance(command, ReadTrades) for command in rig.waiting)
    rig.exchange.stream.clear()
    rig.drain()
    assert len(rig.reports(Fill)) == 2
    agrees(rig)


def test_a_trade_without_a_client_id_is_booked_by_the_number_of_its_order() -> None:
    """Even where it comes before the order's number is known."""
    rig = ready(nameless=True)
    rig.submit(entry())
    command = rig.waiting.pop(0)
    assert isinstance(command, PlaceOrder)
    answer = rig.exchange.place(command.intent)
    rig.deliver(rig.exchange.trades[0])
    assert not rig.told
    assert not rig.execution.is_quiet
    rig.exchange.stream.clear()
    rig.deliver(answer)
    rig.rest()
    assert len(rig.reports(Fill)) == 1
    assert not rig.alarms
    agrees(rig)


def test_a_trade_that_is_nobodys_halts() -> None:
    """Somebody else trades on this account: it is told, not booked."""
    rig = ready()
    strange = Fill("9", "web_abc", PERPETUAL, Side.BUY, 1.0, 100.0, 0.0, "USDT", rig.now_ms)
    for _ in range(2):
        rig.deliver(TradeSeen(strange, "777"))
    nameless = replace(strange, client_order_id="", trade_id="10")
    rig.deliver(TradeSeen(nameless, "777"))
    assert [(one.event, one.halt) for one in rig.alarms] == [("account.foreign_trade", True)] * 2
    assert not rig.told


def test_a_trade_of_the_wrong_side_or_beyond_what_was_ordered_is_not_booked() -> None:
    """The engine would be told what cannot be: a person is told instead."""
    rig = ready()
    rig.submit(entry())
    name = rig.waiting[0].intent.client_order_id  # type: ignore[union-attr]
    wrong = Fill("9", name, PERPETUAL, Side.SELL, 1.0, 100.0, 0.0, "USDT", rig.now_ms)
    rig.deliver(TradeSeen(wrong, "1"))
    rig.deliver(TradeSeen(replace(wrong, side=Side.BUY, quantity=1.5, trade_id="10"), "1"))
    assert rig.words() == ["account.foreign_trade", "order.overfilled"]
    assert not rig.reports(Fill)


def test_old_words_about_an_order_change_nothing() -> None:
    """An open order shown after it was filled, a refusal after it was seen: the table has no such move."""
    rig = holding()
    before = rig.execution.snapshot()
    name = order().client_order_id
    rig.deliver(OrderSeen(name, PERPETUAL, START, "1", VenueStatus.OPEN, 0.0, 1.0))
    rig.deliver(OrderRefused(name, PERPETUAL, START, "-1", "late"))
    assert not rig.told
    assert rig.execution.snapshot() == before


# --- protection -------------------------------------------------------------------------------------------


def test_the_stop_is_asked_for_in_the_step_that_the_first_fill_is_known() -> None:
    """A part of an entry that is not over is protected at once."""
    rig = ready()
    intent = entry()
    rig.submit(intent)
    rig.waiting.clear()
    part = Fill("1", intent.client_order_id, PERPETUAL, Side.BUY, 0.4, 100.0, 0.0, "USDT", rig.now_ms)
    rig.execution.on_event(TradeSeen(part, "1"), rig.now_ms)
    placed = [one.intent for one in rig.execution.take_commands() if isinstance(one, PlaceOrder)]
    assert [(one.leg, one.quantity) for one in placed] == [(Leg.STOP, 0.4), (Leg.TAKE_PROFIT, 0.4)]


def test_a_grown_position_gets_a_new_pair_before_the_old_one_goes() -> None:
    """There is no naked instant: the old stop is canceled after the new one was read back."""
    rig = ready()
    intent = limit()
    rig.submit(intent)
    rig.drain()
    resting_entry = rig.exchange.orders[intent.client_order_id]
    rig.exchange.trade(resting_entry, 0.4, 99.9)
    rig.drain()
    rig.exchange.trade(resting_entry, 0.6, 99.9)
    rig.sent.clear()
    rig.drain()
    placed, canceled = rig.placed(), [c.intent for c in rig.sent if isinstance(c, CancelOrder)]
    assert [(one.leg, one.quantity) for one in placed] == [(Leg.STOP, 1.0), (Leg.TAKE_PROFIT, 1.0)]
    assert {(one.leg, one.quantity) for one in canceled} == {(Leg.STOP, 0.4), (Leg.TAKE_PROFIT, 0.4)}
    new, (old,) = placed[0], [one for one in canceled if one.leg is Leg.STOP]
    assert new.client_order_id == old.client_order_id + "1"
    assert rig.sent.index(LookUpOrder(new)) < rig.sent.index(CancelOrder(old))
    assert rig.worst_exposure_ms == 0
    rig.rest()
    agrees(rig)


def test_on_spot_the_coins_are_locked_so_the_old_pair_goes_first() -> None:
    """Cancel, then place for all that is held."""
    rig = ready(SPOT)
    intent = replace(limit(), symbol=SPOT)
    rig.submit(intent)
    rig.drain()
    resting_entry = rig.exchange.orders[intent.client_order_id]
    for part in (0.4, 0.6):
        rig.exchange.trade(resting_entry, part, 99.9)
        rig.rest()
    pairs = [command for command in rig.sent if isinstance(command, PlacePair)]
    assert [pair.stop.quantity for pair in pairs] == [0.4, 1.0]
    assert [c.intent.leg for c in rig.sent if isinstance(c, CancelOrder)] == [Leg.STOP]
    assert not rig.alarms
    agrees(rig)


def test_a_refused_stop_closes_the_position_at_once() -> None:
    """An emergency exit: a market order that only reduces, told to the engine, and the bot halts."""
    rig = ready(refuse=lambda intent: ("-4120", "no stops today") if intent.leg is Leg.STOP else None)
    rig.submit(entry())
    rig.drain()
    (exit_,) = rig.placed(Leg.EXIT)
    assert (exit_.type, exit_.reason, exit_.reduce_only) == (OrderType.MARKET, "emergency_exit", True)
    assert exit_ in rig.born()
    assert [(one.event, one.halt) for one in rig.alarms] == [
        ("position.unprotected", True),
        ("position.emergency_exit", True),
    ]
    rig.rest()
    assert rig.exchange.held(PERPETUAL) == 0.0
    agrees(rig)


def test_a_stop_that_would_trigger_at_once_is_a_stop_that_was_hit() -> None:
    """The price is beyond it already: the position is closed; nothing is wrong, so nothing halts."""
    rig = ready()
    rig.submit(entry())
    rig.perform()
    rig.exchange.price[PERPETUAL] = 99.0
    rig.rest()
    assert [(one.event, one.halt) for one in rig.alarms] == [("position.emergency_exit", False)]
    assert rig.exchange.held(PERPETUAL) == 0.0
    agrees(rig)


@pytest.mark.parametrize("code", ["-2021", WOULD_TRIGGER])
def test_a_code_alone_says_that_a_stop_would_trigger_at_once(code: str) -> None:
    """The exchange's own or the gateway's, whatever the text says."""
    rig = ready(refuse=lambda one: (code, "no") if one.type is OrderType.STOP else None)
    rig.submit(entry())
    rig.rest()
    assert [(one.event, one.halt) for one in rig.alarms] == [("position.emergency_exit", False)]
    assert rig.exchange.held(PERPETUAL) == 0.0


def test_a_target_that_would_trigger_at_once_is_taken_at_market() -> None:
    """The price is there already."""
    rig = ready()
    rig.submit(entry())
    rig.perform()
    rig.exchange.price[PERPETUAL] = 102.0
    rig.rest()
    assert [(one.event, one.halt) for one in rig.alarms] == [("target.hit", False)]
    assert [one.reason for one in rig.placed(Leg.EXIT)] == ["take_profit"]
    agrees(rig)


def test_a_refused_target_is_told_and_asked_for_again() -> None:
    """The stop protects: no emergency."""
    left = [1]

    def refuse(intent: OrderIntent) -> tuple[str, str] | None:
        if intent.leg is Leg.TAKE_PROFIT and left[0]:
            left[0] -= 1
            return "-1008", "overloaded"
        return None

    rig = ready(refuse=refuse)
    rig.submit(entry())
    rig.drain()
    assert rig.words() == ["target.refused"]
    assert len(rig.placed(Leg.TAKE_PROFIT)) == 1
    rig.pass_time(1100)
    assert len(rig.placed(Leg.TAKE_PROFIT)) == 2
    assert resting(rig, Leg.TAKE_PROFIT)
    assert not rig.placed(Leg.EXIT)
    agrees(rig)


@pytest.mark.parametrize("status", [VenueStatus.CANCELED, VenueStatus.EXPIRED])
@pytest.mark.parametrize("symbol", [PERPETUAL, SPOT])
def test_a_stop_that_the_exchange_ends_while_something_is_held_is_an_emergency(
    symbol: str, status: VenueStatus
) -> None:
    """Once it is clear that its target has not closed the position."""
    rig = holding(symbol)
    rig.exchange.end(resting(rig, Leg.STOP), status, "self trade prevention")
    rig.drain()
    rig.pass_time(1500)
    rig.rest()
    assert "position.emergency_exit" in rig.words()
    assert rig.exchange.held(symbol) == 0.0
    agrees(rig)


def test_a_stop_that_ended_since_its_target_filled_is_no_emergency() -> None:
    """The word of its end comes first: the target is looked up before anything is sold."""
    rig = holding(SPOT)
    rig.exchange.move(SPOT, 101.5)
    last = rig.exchange.stream[-1]
    assert isinstance(last, OrderSeen)
    assert last.client_order_id.endswith("s")
    rig.hear(len(rig.exchange.stream) - 1)
    assert not any(isinstance(command, PlaceOrder) for command in rig.waiting)
    rig.exchange.stream.clear()
    rig.rest()
    assert not rig.alarms
    assert not rig.placed(Leg.EXIT)
    agrees(rig)


def test_a_stop_that_is_not_confirmed_in_time_is_an_emergency() -> None:
    """Its request and every look-up are lost: after five seconds the position is closed, not a moment later."""
    rig = ready()
    rig.submit(entry())
    rig.answer = lambda command: (
        "lost" if getattr(getattr(command, "intent", None), "leg", None) is Leg.STOP else "answered"
    )
    rig.drain()
    rig.pass_time(4999)
    assert not rig.placed(Leg.EXIT)
    rig.pass_time(1)
    (exit_,) = rig.placed(Leg.EXIT)
    assert exit_.decided_at_ms == START + 5000
    assert rig.alarms[-1].fields["cause"] == "stop_not_confirmed"
    rig.rest()
    agrees(rig)


def test_an_emergency_exit_that_is_refused_is_tried_again_and_protection_too() -> None:
    """Each with a new id, with more and more time in between."""
    left = [3]

    def refuse(intent: OrderIntent) -> tuple[str, str] | None:
        if intent.leg in {Leg.STOP, Leg.EXIT} and left[0]:
            left[0] -= 1
            return "-1008", "overloaded"
        return None

    rig = ready(refuse=refuse)
    rig.submit(entry())
    rig.drain()
    assert len(rig.placed(Leg.EXIT)) == 1
    rig.pass_time(2000)
    assert len(rig.placed(Leg.STOP)) == 2
    exits = [one.client_order_id for one in rig.placed(Leg.EXIT)]
    assert exits == [exits[0], exits[0][:-1] + "2"]
    rig.rest()
    assert rig.exchange.held(PERPETUAL) == 0.0
    agrees(rig)


def test_the_first_pair_waits_a_moment_for_trades_of_an_entry_that_is_over() -> None:
    """The exchange says filled and one of two trades is missing: one pair for all, not two."""
    rig = ready(parts=2)
    rig.submit(entry())
    rig.stream_up = False
    rig.perform()
    first, second = rig.exchange.trades
    rig.deliver(first)
    assert not rig.placed(Leg.STOP)
    rig.waiting.clear()
    rig.deliver(second)
    rig.drain()
    assert [one.quantity for one in rig.placed(Leg.STOP)] == [1.0]


def test_what_is_missing_after_that_moment_is_not_waited_for() -> None:
    """Three tenths of a second after the first trade what is held is protected."""
    rig = ready(parts=2)
    rig.submit(entry())
    rig.stream_up = False
    rig.perform()
    rig.waiting.clear()
    rig.deliver(rig.exchange.trades[0])
    rig.pass_time(299, drained=False)
    assert not any(isinstance(one, PlaceOrder) for one in rig.waiting)
    rig.pass_time(1, drained=False)
    stops = [c.intent for c in rig.waiting if isinstance(c, PlaceOrder) and c.intent.leg is Leg.STOP]
    assert [one.quantity for one in stops] == [0.5]
    rig.rest()
    agrees(rig)


# --- one cancels the other --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "filled", "left"), [(99.0, Leg.STOP, Leg.TAKE_PROFIT), (101.5, Leg.TAKE_PROFIT, Leg.STOP)]
)
def test_when_one_protective_order_fills_the_other_is_canceled(price: float, filled: Leg, left: Leg) -> None:
    """By us; the engine hears of it, in paper's words, once the exchange has said so."""
    rig = holding()
    rig.exchange.move(PERPETUAL, price)
    rig.drain()
    (fill,), (canceled,) = rig.reports(Fill), rig.reports(Canceled)
    assert fill.client_order_id.endswith(filled.value)
    assert (canceled.client_order_id[-1], canceled.reason) == (left.value, "position is flat")
    assert [c.intent.leg for c in rig.sent if isinstance(c, CancelOrder)] == [left]
    rig.rest()
    agrees(rig)


def test_a_cancel_whose_answer_is_lost_is_looked_up_not_assumed() -> None:
    """Canceled is told when it was seen."""
    rig = holding()
    fate(rig, CancelOrder, "unheard")
    rig.exchange.move(PERPETUAL, 99.0)
    while not any(isinstance(command, CancelOrder) for command in rig.sent):
        rig.perform() if rig.waiting else rig.hear()
    rig.exchange.stream.clear()
    assert not rig.reports(Canceled)
    rig.rest()
    assert len(rig.reports(Canceled)) == 1
    assert len([c for c in rig.sent if isinstance(c, CancelOrder)]) == 1
    agrees(rig)


def test_a_cancel_that_was_lost_is_asked_for_again() -> None:
    """Looked up and open still."""
    rig = holding()
    fate(rig, CancelOrder, "lost")
    rig.exchange.move(PERPETUAL, 99.0)
    rig.drain()
    rig.rest()
    assert len([c for c in rig.sent if isinstance(c, CancelOrder)]) == 2
    agrees(rig)


def test_a_cancel_that_is_refused_since_the_order_is_gone_is_looked_up() -> None:
    """The exchange has ended it, and its word was lost."""
    rig = holding()
    rig.exchange.move(PERPETUAL, 99.0)
    while not rig.waiting:
        rig.hear()
    rig.exchange.end(resting(rig, Leg.TAKE_PROFIT), VenueStatus.EXPIRED)
    rig.exchange.stream.clear()
    rig.rest()
    assert len(rig.reports(Canceled)) == 1
    agrees(rig)


def test_on_perpetuals_an_exit_goes_at_once_and_the_protection_after() -> None:
    """The stop rests until nothing is held."""
    rig = holding()
    leave(rig)
    assert [type(command) for command in rig.waiting] == [PlaceOrder]
    rig.rest()
    legs = [command.intent.leg for command in rig.sent if isinstance(command, CancelOrder)]
    assert sorted(leg.value for leg in legs) == ["s", "t"]
    assert [one.reason for one in rig.reports(Canceled)] == ["position is flat"] * 2
    agrees(rig)


def test_on_spot_the_pair_makes_room_before_the_exit_is_sent() -> None:
    """The coins are locked: cancel, then sell."""
    rig = holding(SPOT)
    leave(rig, SPOT)
    assert [type(command) for command in rig.waiting] == [CancelOrder]
    rig.rest()
    assert [type(c) for c in rig.sent if isinstance(c, CancelOrder | PlaceOrder)] == [CancelOrder, PlaceOrder]
    assert rig.exchange.held(SPOT) == 0.0
    assert not rig.alarms
    agrees(rig)


def test_on_spot_an_exit_that_fails_leaves_the_position_protected_again() -> None:
    """A new pair, no emergency."""
    rig = holding(SPOT)
    rig.exchange.refuse = lambda intent: ("-1008", "overloaded") if intent.leg is Leg.EXIT else None
    leave(rig, SPOT)
    rig.rest()
    assert len(rig.reports(Rejected)) == 1
    assert len([c for c in rig.sent if isinstance(c, PlacePair)]) == 1
    assert rig.execution.unprotected(rig.now_ms) == {}
    assert not rig.alarms
    agrees(rig)


def test_an_exit_of_what_is_no_more_held_is_not_sent() -> None:
    """The stop was quicker: the exit is rejected in paper's words."""
    rig = holding(SPOT)
    rig.exchange.move(SPOT, 99.0)
    leave(rig, SPOT)
    rig.rest()
    assert [one.reason for one in rig.reports(Rejected)] == ["nothing to reduce"]
    assert not rig.placed(Leg.EXIT)
    agrees(rig)


def test_an_entry_waits_until_the_orders_of_the_position_before_are_gone() -> None:
    """An old stop could close the new position."""
    rig = holding()
    fate(rig, CancelOrder, "late", times=2)
    rig.exchange.move(PERPETUAL, 99.0)
    rig.drain()
    assert rig.desks[PERPETUAL].waiting() is None
    again = replace(entry(), client_order_id="run2000e", decided_at_ms=rig.now_ms)
    rig.submit(again)
    rig.drain()
    assert not rig.placed(Leg.ENTRY)
    rig.rest()
    assert rig.placed(Leg.ENTRY) == [again]
    agrees(rig)


def test_the_rest_of_a_partly_filled_entry_is_canceled_and_the_part_protected() -> None:
    """The exchange expired it."""
    rig = ready(fill_share=0.4)
    rig.submit(entry())
    rig.rest()
    assert [one.reason for one in rig.reports(Canceled)] == ["expired by the exchange"]
    assert [one.quantity for one in rig.placed(Leg.STOP)] == [0.4]
    agrees(rig)


def test_a_part_that_is_too_small_to_be_sold_on_spot_is_told_and_left() -> None:
    """Below the least notional the exchange takes neither a stop nor an exit: a person has to look."""
    rig = ready(SPOT, fill_share=0.04)
    rig.submit(entry(SPOT))
    rig.rest()
    assert [(one.event, one.halt) for one in rig.alarms] == [("position.too_small", True)]
    assert not rig.placed(Leg.STOP)


def test_a_stop_that_arrives_when_nothing_is_held_any_more_is_canceled() -> None:
    """It was sent again since it was missing; the first request arrives seconds later, after the position was closed."""
    rig = ready()
    fate(rig, PlaceOrder, "late", Leg.STOP)
    rig.submit(entry())
    rig.drain()
    rig.pass_time(1000)
    rig.drain()
    assert len(rig.placed(Leg.STOP)) == 2
    assert rig.execution.unprotected(rig.now_ms) == {}
    leave(rig)
    rig.rest()
    rig.pass_time(5000)
    assert resting(rig, Leg.STOP) is not None
    rig.pass_time(2 * MINUTE_MS)
    rig.rest()
    assert "order.came_back" in rig.words()
    assert not any(alarm.halt for alarm in rig.alarms)
    agrees(rig)


# --- limit entries ----------------------------------------------------------------------------------------


def test_a_limit_entry_is_canceled_when_its_time_is_over() -> None:
    """No decision came that ended it: canceled a moment later, with the word that paper has."""
    rig = ready()
    rig.submit(limit())
    rig.drain()
    assert kinds(rig) == ["Accepted"]
    rig.pass_time(2 * MINUTE_MS)
    rig.drain()
    assert kinds(rig) == ["Accepted"], "the decision on the candle that closes now comes first"
    rig.pass_time(EXPIRY_GRACE_MS)
    rig.rest()
    assert [one.reason for one in rig.reports(Canceled)] == ["limit_expired"]
    agrees(rig)


def test_a_market_order_takes_the_place_of_a_limit_entry_that_may_fall_back() -> None:
    """The engine hears of it before the limit order's end; both have the same protective ids."""
    rig = ready()
    first = limit(taker_fallback=True)
    rig.submit(first)
    rig.drain()
    rig.pass_time(2 * MINUTE_MS + EXPIRY_GRACE_MS)
    rig.rest()
    assert kinds(rig)[:4] == ["Accepted", "Accepted", "Canceled", "Fill"]
    market = rig.placed(Leg.ENTRY)[-1]
    assert (market.client_order_id, market.type) == (first.client_order_id[:-1] + "m", OrderType.MARKET)
    assert rig.exchange.held(PERPETUAL) == 1.0
    agrees(rig)


def test_a_post_only_order_that_would_cross_falls_back_where_it_may() -> None:
    """Refused by the exchange for that reason, in its own words or in the gateway's."""
    for may, code in itertools.product((True, False), ("-5022", WOULD_CROSS)):
        rig = ready(refuse=lambda one, code=code: (code, "no") if one.type is OrderType.LIMIT else None)
        rig.submit(limit(taker_fallback=may))
        rig.rest()
        assert [one.reason for one in rig.reports(Canceled)] == ["post_only_would_cross"]
        assert rig.exchange.held(PERPETUAL) == float(may)
        agrees(rig)


def test_nothing_takes_the_place_of_an_entry_that_was_not_wanted_any_more() -> None:
    """A post-only order that is refused while a person closes everything falls back to nothing."""
    rig = ready()
    intent = limit(taker_fallback=True)
    fate(rig, PlaceOrder, "lost")
    rig.submit(intent)
    rig.drain()
    wish = CancelWish(intent.client_order_id, intent.symbol, rig.now_ms, "flatten")
    rig.execution.cancel([wish], rig.now_ms)
    rig.deliver(OrderRefused(intent.client_order_id, intent.symbol, rig.now_ms, "-5022", "post only"))
    rig.rest()
    assert rig.exchange.held(PERPETUAL) == 0.0
    assert len(rig.placed(Leg.ENTRY)) == 1
    agrees(rig)


def test_a_flatten_overtakes_an_expiry() -> None:
    """A limit order whose time is over, and that is then not wanted at all, leaves no market order behind."""
    rig = ready()
    intent = limit(taker_fallback=True)
    rig.submit(intent)
    rig.drain()
    fate(rig, CancelOrder, "lost")
    for reason in ("limit_expired", "flatten"):
        wish = CancelWish(intent.client_order_id, intent.symbol, rig.now_ms, reason)
        rig.execution.cancel([wish], rig.now_ms)
        rig.drain()
    rig.rest()
    assert [one.reason for one in rig.reports(Canceled)] == ["flatten"]
    assert rig.exchange.held(PERPETUAL) == 0.0
    agrees(rig)


def test_what_a_limit_entry_has_filled_is_protected_when_the_rest_is_canceled() -> None:
    """And nothing takes its place."""
    rig = ready()
    intent = limit(taker_fallback=True)
    rig.submit(intent)
    rig.drain()
    rig.exchange.trade(rig.exchange.orders[intent.client_order_id], 0.3, 99.9)
    rig.pass_time(2 * MINUTE_MS)
    rig.rest()
    assert len(rig.placed(Leg.ENTRY)) == 1
    assert resting(rig, Leg.STOP).intent.quantity == 0.3
    agrees(rig)


def test_an_entry_that_the_engine_wishes_to_cancel_is_canceled_with_its_reason() -> None:
    """No fallback then."""
    rig = ready()
    intent = limit(taker_fallback=True)
    rig.submit(intent)
    rig.drain()
    rig.execution.cancel(
        [CancelWish(intent.client_order_id, PERPETUAL, rig.now_ms, "flattening")], rig.now_ms
    )
    rig.turn()
    rig.rest()
    assert [one.reason for one in rig.reports(Canceled)] == ["flattening"]
    assert len(rig.placed()) == 1
    agrees(rig)


# --- restarts ---------------------------------------------------------------------------------------------


def test_an_entry_that_was_never_sent_is_sent_after_a_restart_once() -> None:
    """It is looked up for the whole window first, for it might have been sent."""
    rig = ready()
    rig.submit(entry())
    rig.crash(performed=0)
    rig.drain()
    rig.pass_time(7900)
    assert not rig.placed()
    rig.rest()
    assert len(rig.placed(Leg.ENTRY)) == 1
    assert rig.exchange.held(PERPETUAL) == 1.0
    agrees(rig)


def test_a_stop_that_a_crash_kept_from_being_sent_is_sent_as_soon_as_it_is_known_to_be_missing() -> None:
    """It can only reduce, and its id is refused where it is there after all: no position waits for the whole window."""
    rig = ready()
    rig.submit(entry())
    rig.answer = lambda command: (
        "lost"
        if getattr(getattr(command, "intent", None), "leg", None) in {Leg.STOP, Leg.TAKE_PROFIT}
        else "answered"
    )
    rig.drain()
    rig.answer = lambda _: "answered"
    rig.crash(performed=0)
    rig.pass_time(1000)
    assert rig.execution.unprotected(rig.now_ms) == {}
    assert not rig.placed(Leg.EXIT)
    agrees(rig)


def test_the_time_that_the_bot_was_dead_does_not_count_against_a_position() -> None:
    """An hour without us, then five seconds from the start on: the stop is looked up and placed before anything is closed."""
    rig = ready()
    rig.submit(entry())
    rig.answer = lambda command: (
        "lost" if getattr(getattr(command, "intent", None), "leg", None) is Leg.STOP else "answered"
    )
    rig.drain()
    rig.answer = lambda _: "answered"
    rig.exchange.now_ms += 60 * MINUTE_MS
    rig.crash(performed=0)
    rig.rest()
    assert not rig.placed(Leg.EXIT)
    assert rig.exchange.held(PERPETUAL) == 1.0
    assert rig.execution.unprotected(rig.now_ms) == {}


def test_an_entry_that_was_sent_before_the_crash_is_found_and_protected() -> None:
    """One order, one position, one pair."""
    rig = ready()
    rig.submit(entry())
    rig.crash(performed=1)
    rig.rest()
    assert not rig.placed(Leg.ENTRY)
    assert len(rig.placed(Leg.STOP)) == 1
    agrees(rig)


def test_an_entry_that_is_too_old_is_not_sent_after_a_restart() -> None:
    """Ninety seconds later the decision is worth nothing."""
    rig = ready()
    rig.submit(entry())
    rig.waiting.clear()
    rig.exchange.now_ms += 91_000
    rig.crash()
    rig.rest()
    assert not rig.placed()
    assert [type(one) for one in rig.told] == [Canceled]
    agrees(rig)


def test_a_stop_that_filled_while_nobody_watched_is_found_at_the_start() -> None:
    """Its trade is read, its twin canceled."""
    rig = holding()
    rig.exchange.move(PERPETUAL, 99.0)
    rig.crash()
    rig.rest()
    assert rig.account.position(PERPETUAL).is_flat
    agrees(rig)


def test_an_order_that_only_the_engine_knows_is_looked_up() -> None:
    """The journal has the decision, and not yet what execution made of it."""
    rig = ready()
    before = json.loads(rig.journal)["execution"]
    rig.submit(entry())
    records = list(rig.desks[PERPETUAL].orders.values())
    rig.waiting.clear()
    rig.execution = LiveExecution(rig.instruments, rig.rules)
    rig.execution.restore(before, records, [], rig.now_ms)
    rig.turn()
    rig.rest()
    assert len(rig.placed(Leg.ENTRY)) == 1
    agrees(rig)


def test_reports_that_nobody_took_are_told_after_a_restart() -> None:
    """They are part of the snapshot."""
    rig = ready()
    rig.submit(entry())
    rig.waiting.clear()
    refused = OrderRefused(order().client_order_id, PERPETUAL, rig.now_ms, "-2019", "no money")
    rig.execution.on_event(refused, rig.now_ms)
    rig.journal = rig._written()
    rig.crash()
    assert [type(one) for one in rig.told] == [Rejected]


# --- reconciliation ---------------------------------------------------------------------------------------


def test_the_state_is_read_at_the_start_each_minute_and_when_the_stream_is_back() -> None:
    """And every few seconds while the stream is down."""
    rig = Rig()
    assert [type(command) for command in rig.waiting] == [ReadState]
    rig.rest()
    rig.sent.clear()
    rig.pass_time(121_000)
    assert [type(command) for command in rig.sent] == [ReadState] * 2
    rig.cut()
    rig.pass_time(11_000)
    assert len(rig.sent) == 4
    rig.mend()
    rig.drain()
    assert len(rig.sent) == 5


def test_a_reading_that_has_no_answer_is_asked_for_again() -> None:
    """Nothing was changed by it."""
    rig = Rig()
    fate(rig, ReadState, "unheard", times=3)
    rig.drain()
    rig.pass_time(5000)
    assert [type(command) for command in rig.sent] == [ReadState] * 4
    assert rig.execution.is_quiet


def test_a_fill_that_the_stream_lost_is_found_by_the_reconciliation() -> None:
    """The stop has filled while the stream was down."""
    rig = holding()
    rig.cut()
    rig.exchange.move(PERPETUAL, 99.0)
    rig.mend()
    rig.rest()
    assert rig.account.position(PERPETUAL).is_flat
    assert not rig.alarms
    agrees(rig)


def test_funding_is_booked_once_and_exactly_as_the_exchange_did() -> None:
    """Also what was paid for a position that is closed by now."""
    rig = holding()
    rig.exchange.pay_funding(PERPETUAL, 0.0001)
    rig.exchange.move(PERPETUAL, 99.0)
    for _ in range(2):
        rig.execution.request_state(rig.now_ms)
        rig.turn()
        rig.rest()
    assert [one.paid for one in rig.reports(Funding)] == [0.01]
    assert rig.account.funding_paid == 0.01
    agrees(rig)


def test_a_strangers_order_is_told_once_and_halts() -> None:
    """Left alone by default."""
    rig = ready()
    rig.exchange.place(replace(entry(), client_order_id="web_1", type=OrderType.STOP, stop_price=50.0))
    rig.pass_time(130_000)
    assert [(one.event, one.halt) for one in rig.alarms] == [("account.foreign_order", True)]
    assert not any(isinstance(command, CancelOrder) for command in rig.sent)


def test_a_strangers_order_is_canceled_where_that_is_the_rule() -> None:
    """And the bot halts all the same."""
    rig = ready(rules=ExecutionRules(stray_orders="cancel"))
    rig.exchange.place(replace(entry(), client_order_id="web_1", type=OrderType.STOP, stop_price=50.0))
    rig.pass_time(61_000)
    assert rig.exchange.orders["web_1"].status is VenueStatus.CANCELED
    assert [(one.event, one.halt) for one in rig.alarms] == [("account.foreign_order", True)]


def _give(rig: Rig, quantity: float) -> None:
    """The exchange holds what nobody traded here."""
    position = rig.exchange.positions.get(PERPETUAL)
    held = 0.0 if position is None else position.quantity
    rig.exchange.positions[PERPETUAL] = Position(PERPETUAL, held + quantity, 100.0)


def test_a_difference_counts_when_it_is_seen_twice() -> None:
    """With both numbers, once; and nothing is done about it."""
    rig = holding()
    _give(rig, 0.5)
    rig.execution.request_state(rig.now_ms)
    rig.turn()
    rig.drain()
    assert not rig.alarms
    assert not rig.execution.is_quiet
    rig.pass_time(2000)
    fields = {"symbol": PERPETUAL, "ours": 1.0, "theirs": 1.5}
    assert rig.alarms == [Alarm("reconciliation.difference", fields, halt=True)]
    rig.pass_time(200_000)
    assert len(rig.alarms) == 1


def test_a_difference_that_is_gone_at_the_second_look_is_none() -> None:
    """What is read is not of one instant."""
    rig = holding()
    _give(rig, 0.5)
    rig.execution.request_state(rig.now_ms)
    rig.turn()
    rig.drain()
    _give(rig, -0.5)
    rig.pass_time(200_000)
    assert not rig.alarms


def test_a_strangers_position_halts() -> None:
    """Where nothing is held by our count."""
    rig = ready()
    _give(rig, -0.5)
    rig.pass_time(130_000)
    assert [(one.event, one.halt) for one in rig.alarms] == [("account.foreign_position", True)]
    assert not rig.told


def test_a_strangers_position_is_adopted_where_that_is_the_rule() -> None:
    """The engine holds it from then on, and it is protected."""
    rig = ready(rules=ExecutionRules(stray_positions="adopt", adopted_protection=Protection(0.02, 0.04)))
    _give(rig, -0.5)
    rig.pass_time(130_000)
    assert [(one.event, one.halt) for one in rig.alarms] == [("account.position_adopted", False)]
    assert [type(one) for one in rig.told] == [Adopted, Accepted, Accepted]
    assert resting(rig, Leg.STOP).intent.stop_price == 102.0
    agrees(rig)
    rig.exchange.move(PERPETUAL, 103.0)
    rig.rest()
    agrees(rig)


def test_a_wallet_that_differs_is_told_and_does_not_halt() -> None:
    """More than a cent, seen twice; then it is counted from there."""
    rig = ready()
    rig.exchange.wallet += 25.0
    rig.pass_time(200_000)
    (alarm,) = rig.alarms
    assert (alarm.event, alarm.halt, alarm.fields["difference"]) == ("reconciliation.wallet", False, 25.0)


def test_an_order_that_vanished_from_the_exchange_is_looked_up_and_ended() -> None:
    """Its stop is nowhere: an emergency."""
    rig = holding()
    del rig.exchange.orders[resting(rig, Leg.STOP).intent.client_order_id]
    rig.pass_time(61_000)
    rig.pass_time(15_000)
    rig.rest()
    assert {"order.absent", "position.emergency_exit"} <= set(rig.words())
    assert rig.exchange.held(PERPETUAL) == 0.0


def test_an_order_that_comes_back_after_it_counted_as_absent_is_canceled_and_told() -> None:
    """The exchange broke its word: it is not wanted any more, and a person must know."""
    rig = ready()
    intent = limit()
    fate(rig, PlaceOrder, "lost")
    rig.submit(intent)
    rig.drain()
    rig.rest()
    assert not rig.desks[PERPETUAL].orders
    rig.exchange.place(intent)
    rig.drain()
    rig.rest()
    assert rig.alarms[-1] == Alarm(
        "order.came_back", {"symbol": PERPETUAL, "client_order_id": intent.client_order_id}, halt=True
    )
    assert rig.exchange.orders[intent.client_order_id].status is VenueStatus.CANCELED


def test_rules_that_cannot_be_followed_are_refused() -> None:
    """No waits, or adoption without a word of where a stop belongs."""
    with pytest.raises(ConfigError, match="waits between two look-ups"):
        ExecutionRules(lookup_backoff_ms=())
    with pytest.raises(ConfigError, match="stop and target"):
        ExecutionRules(stray_positions="adopt")
    assert ExecutionRules(stray_positions="adopt", adopted_protection=PROTECTION).lookup_ms == 8000
