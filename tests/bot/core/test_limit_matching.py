"""Tests of limit entries in the matcher: when they fill, when they are given up, and what follows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.decision import CancelWish
from bot.core.entry import fallback_intent
from bot.core.market import MINUTE_MS, Candle
from bot.core.matching import BarMatcher, Costs, FundingRates
from bot.core.orders import (
    Accepted,
    Adopted,
    Canceled,
    ExecutionReport,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Side,
    protective_id,
)
from tests.core_builders import FREE, PERPETUAL, approved, at, candle, instrument, order

COSTS = Costs(
    taker_fee_bps=4.0, half_spread_bps=1.0, slippage_bps=1.0, funding_rate=0.0001, maker_fee_bps=2.0
)


def limit(
    price: float = 99.9,
    *,
    side: Side = Side.BUY,
    minute: int = 0,
    minutes: int = 3,
    fallback: bool = False,
) -> OrderIntent:
    """A limit entry decided at this minute."""
    return replace(
        order(side=side, minute=minute),
        type=OrderType.LIMIT,
        limit_price=price,
        expires_at_ms=at(minute + minutes),
        taker_fallback=fallback,
    )


def matcher(costs: Costs = FREE) -> BarMatcher:
    """A matcher of one perpetual."""
    return BarMatcher(costs, {PERPETUAL: instrument()}, FundingRates(costs.funding_rate))


def resting(intent: OrderIntent, costs: Costs = FREE) -> BarMatcher:
    """A matcher in which it was sent."""
    made = matcher(costs)
    made.submit(approved(intent))
    return made


def wish(intent: OrderIntent, reason: str = "flatten") -> CancelWish:
    """To cancel an order."""
    return CancelWish(intent.client_order_id, intent.symbol, intent.decided_at_ms, reason)


def told(reports: list[ExecutionReport]) -> list[tuple[str, str]]:
    """Kind and last letter of the order of each report, but for funding."""
    return [
        (type(one).__name__, one.client_order_id[-1])
        for one in reports
        if not isinstance(one, (Funding, Adopted))
    ]


@pytest.mark.parametrize(
    ("side", "at_price", "through"), [(Side.BUY, 99.9, 99.89), (Side.SELL, 100.1, 100.11)]
)
def test_it_fills_only_when_a_bar_goes_through_its_price(side: Side, at_price: float, through: float) -> None:
    """A bar that ends at the price leaves it resting; one a tick further fills it there, with the maker fee."""
    made = resting(limit(at_price, side=side), COSTS)
    only = candle(0, high=max(100.0, at_price), low=min(100.0, at_price))
    assert told(made.match(only)) == [("Accepted", "e")]
    assert made.match(replace_time(only, 1)) == []
    beyond = candle(2, high=max(100.0, through), low=min(100.0, through))
    fill, stop, target = made.match(beyond)
    assert isinstance(fill, Fill)
    assert fill.price == at_price
    assert fill.fee == pytest.approx(at_price * 2 / 10_000)
    assert fill.filled_at_ms == at(3) - 1
    assert told([stop, target]) == [("Accepted", "s"), ("Accepted", "t")]


def replace_time(bar: Candle, minute: int) -> Candle:
    """The same bar at another minute."""
    return bar._replace(opened_at_ms=at(minute))


@pytest.mark.parametrize("opened", [99.9, 99.5])
@pytest.mark.parametrize("fallback", [False, True])
def test_it_is_not_taken_where_it_would_trade_at_once(opened: float, fallback: bool) -> None:
    """An open at its price or beyond cancels it; the market order that may follow takes that open."""
    intent = limit(fallback=fallback)
    reports = resting(intent, COSTS).match(candle(0, opened))
    cancel = Canceled(intent.client_order_id, PERPETUAL, at(0), "post_only_would_cross")
    if not fallback:
        assert reports == [cancel]
        return
    market = fallback_intent(intent, at(0))
    assert reports[:2] == [Accepted(market.client_order_id, PERPETUAL, at(0), market), cancel]
    fill = reports[2]
    assert isinstance(fill, Fill)
    assert (fill.client_order_id, fill.filled_at_ms) == (market.client_order_id, at(0))
    assert fill.price == COSTS.market_price(Side.BUY, opened)
    assert fill.fee == COSTS.fee(fill.price)
    assert told(reports[3:5]) == [("Accepted", "s"), ("Accepted", "t")]


def test_a_later_open_beyond_its_price_fills_it_at_its_price():
    """Once it rests, a gap over it is a fill, and no better than asked for."""
    made = resting(limit())
    made.match(candle(0))
    fill = made.match(candle(1, 99.8, 100.0, 99.7))[0]
    assert isinstance(fill, Fill)
    assert fill.price == 99.9


@pytest.mark.parametrize("fallback", [False, True])
def test_it_is_canceled_after_its_minutes(fallback: bool) -> None:
    """Three bars without a fill end it; a market order may take the open of the fourth."""
    intent = limit(fallback=fallback)
    made = resting(intent)
    for minute in range(3):
        assert told(made.match(candle(minute))) == ([("Accepted", "e")] if minute == 0 else [])
    reports = made.match(candle(3, 100.5, low=90.0))
    expired = Canceled(intent.client_order_id, PERPETUAL, at(3), "limit_expired")
    if not fallback:
        assert reports == [expired]
        assert made.match(candle(4, low=90.0)) == []
        return
    assert reports[1] == expired
    assert told(reports)[:3] == [("Accepted", "m"), ("Canceled", "e"), ("Fill", "m")]
    fill = reports[2]
    assert isinstance(fill, Fill)
    assert (fill.price, fill.filled_at_ms) == (100.5, at(3))


@pytest.mark.parametrize("fallback", [False, True])
def test_minutes_without_a_candle_have_passed(fallback: bool) -> None:
    """After a hole longer than its minutes it expired then, and no market order follows so late."""
    intent = limit(fallback=fallback)
    made = resting(intent)
    made.match(candle(0))
    reports = made.match(candle(7, low=90.0))
    assert Canceled(intent.client_order_id, PERPETUAL, at(3), "limit_expired") in reports
    assert not any(isinstance(report, Fill) for report in reports)
    assert told(reports)[-1] == (("Canceled", "m") if fallback else ("Canceled", "e"))
    assert made.match(candle(8, low=90.0)) == []


def test_a_hole_before_its_first_bar_does_not_end_it():
    """Sent at the close, it rests however long the next candle takes within its minutes."""
    made = resting(limit())
    fill = made.match(candle(2, 99.7))[0]
    assert isinstance(fill, Fill)
    assert fill.price == 99.9


def test_in_its_own_bar_the_stop_counts_and_the_target_does_not():
    """The high of the bar of a fill may be older than the fill; the low is taken to be younger."""
    target_too = resting(limit())
    reports = target_too.match(candle(0, 100.0, 110.0, 99.8, 109.0))
    assert told(reports) == [("Accepted", "e"), ("Fill", "e"), ("Accepted", "s"), ("Accepted", "t")]
    assert told(target_too.match(candle(1, 109.0)))[0] == ("Fill", "t")
    stopped = resting(limit(), COSTS)
    reports = stopped.match(candle(0, 100.0, 110.0, 99.0, 109.0))
    kinds = [("Accepted", "e"), ("Fill", "e"), ("Accepted", "s"), ("Accepted", "t"), ("Fill", "s")]
    assert told(reports) == [*kinds, ("Canceled", "t")]
    stop = reports[4]
    assert isinstance(stop, Fill)
    assert stop.filled_at_ms == at(1) - 1
    assert stop.price == COSTS.market_price(Side.SELL, instrument().round_price(99.9 * 0.995))
    assert stop.fee == COSTS.fee(stop.price)


def test_a_cancel_comes_before_the_next_bar():
    """Whatever the next bar does, an order that was to be canceled is; no market order takes its place."""
    for bar in (candle(1, low=90.0), candle(3, low=90.0), candle(9)):
        intent = limit(fallback=True)
        made = resting(intent)
        made.match(candle(0))
        made.cancel(wish(intent, "halted"))
        assert made.match(bar) == [Canceled(intent.client_order_id, PERPETUAL, bar.opened_at_ms, "halted")]
        assert made.match(candle(10, low=90.0)) == []


def test_a_cancel_of_what_is_not_open_is_nothing():
    """An order that has filled, or was never sent, stays what it is; its id may not be canceled later either."""
    intent = limit()
    made = resting(intent)
    made.match(candle(0, low=99.0 + 0.6))
    made.cancel(wish(intent))
    made.cancel(wish(limit(minute=4)))
    assert told(made.match(candle(1)))[:1] == []
    made.submit(approved(limit(minute=4)))
    assert told(made.match(candle(4))) == [("Accepted", "e")]


def test_funding_is_paid_after_a_fill_at_the_end_of_a_bar():
    """Filled in the last millisecond before a funding time, the position pays at that time."""
    made = resting(limit(minute=479), COSTS)
    made.match(candle(479, low=99.8))
    paid = made.match(candle(480))
    assert [type(one) for one in paid] == [Funding]


steps = st.tuples(st.integers(-30, 30), st.integers(-30, 30), st.integers(0, 30), st.integers(0, 30))


@st.composite
def markets(draw: st.DrawFn) -> list[Candle]:
    """Bars of a market that moves in hundredths around 100, minutes missing."""
    price, minute, made = 100.0, 0, []
    for gap, body, above, below in draw(st.lists(steps, min_size=1, max_size=30)):
        opened = round(price + gap / 300, 2)
        price = round(opened + body / 100, 2)
        high, low = round(max(opened, price) + above / 100, 2), round(min(opened, price) - below / 100, 2)
        made.append(candle(minute, opened, high, low, price))
        minute += draw(st.sampled_from([1, 1, 1, 1, 2, 5]))
    return made


@given(
    bars=markets(),
    side=st.sampled_from(Side),
    away=st.integers(0, 40),
    minutes=st.integers(1, 6),
    fallback=st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_whatever_the_bars_a_limit_entry_keeps_its_rules(
    bars: list[Candle], side: Side, away: int, minutes: int, fallback: bool
) -> None:
    """It trades once or never, at its price, in a bar that went through, within its minutes; its records stay legal."""
    price = round(100.0 - side.sign * away / 100, 2)
    intent = limit(price, side=side, minutes=minutes, fallback=fallback)
    made = resting(intent, COSTS)
    records = {intent.client_order_id: OrderRecord(intent)}
    done: list[OrderRecord] = []
    for bar in bars:
        for report in made.match(bar):
            assert not isinstance(report, Adopted)
            if isinstance(report, Funding):
                continue
            if isinstance(report, Accepted) and report.intent is not None:
                assert report.client_order_id not in records
                records[report.client_order_id] = OrderRecord(report.intent, OrderState.ACCEPTED)
                continue
            record = records[report.client_order_id].after(report)
            records[report.client_order_id] = record
            if isinstance(report, Fill) and report.client_order_id == intent.client_order_id:
                extreme = bar.low if side is Side.BUY else bar.high
                assert (price - extreme) * side.sign > 0
                assert report.price == price
                assert report.fee == COSTS.maker_fee(report.quantity * price)
                assert report.filled_at_ms == bar.opened_at_ms + MINUTE_MS - 1
                assert bar.opened_at_ms < at(minutes)
                assert (bar.open - price) * side.sign > 0 or bar.opened_at_ms > at(0)
                done.append(record)
            elif isinstance(report, Fill) and record.intent.leg is Leg.TAKE_PROFIT:
                assert not done or bar.opened_at_ms > bars[0].opened_at_ms
    if done:
        assert not any(key.endswith("m") for key in records)
    if bars[-1].opened_at_ms >= at(minutes):
        assert not records[intent.client_order_id].is_open


@given(
    bars=markets(),
    minutes=st.integers(1, 6),
    fallback=st.booleans(),
    cut=st.integers(0, 29),
    cancel=st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_a_recovered_book_goes_on_the_same(
    bars: list[Candle], minutes: int, fallback: bool, cut: int, cancel: bool
) -> None:
    """Rebuilt after any bar from the record of an order that rests, canceled or not, the reports are the same."""
    intent = limit(99.95, minutes=minutes, fallback=fallback)
    cut = min(cut, len(bars))
    first = resting(intent, COSTS)
    record = OrderRecord(intent)
    for bar in bars[:cut]:
        for report in first.match(bar):
            if report != Accepted(intent.client_order_id, PERPETUAL, bar.opened_at_ms):
                return  # it does not rest any more
            record = record.after(report)
    if cancel:
        first.cancel(wish(intent))
        record = replace(record, cancel_reason="flatten")
    second = matcher(COSTS)
    second.recover([record], [], {})
    assert [first.match(bar) for bar in bars[cut:]] == [second.match(bar) for bar in bars[cut:]]


def test_the_protective_orders_are_the_entrys():
    """Stop and target of a limit entry stand at their distances from its price, under its id."""
    intent = limit()
    reports = resting(intent).match(candle(0, low=99.6))
    for report, leg, level in zip(reports[2:], (Leg.STOP, Leg.TAKE_PROFIT), (99.4, 100.9), strict=True):
        assert isinstance(report, Accepted)
        assert report.intent is not None
        assert report.client_order_id == protective_id(intent.client_order_id, leg)
        assert report.intent.stop_price == level
