"""Tests of spread, impact, participation and latency in a bar: each rule as an example, then whatever bars there are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.decision import CancelWish
from bot.core.entry import EntryRule, EntryStyle
from bot.core.friction_matching import FrictionMatcher
from bot.core.market import Candle
from bot.core.matchers import matcher_of
from bot.core.matching import BarMatcher, Costs, FundingRates
from bot.core.orders import (
    Accepted,
    Canceled,
    ExecutionReport,
    Fill,
    Leg,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Rejected,
    Side,
)
from bot.core.position import Position
from bot.core.slippage import ImpactRule
from bot.core.spread import SpreadRule
from bot.errors import EngineProtocolError
from tests.core_builders import FREE, PERPETUAL, approved, at, candle, fill_of, instrument, order

HALF_BAR = 30_000
TENTH = replace(FREE, participation_cap=0.1)


def matcher(costs: Costs) -> BarMatcher:
    """A matcher of one perpetual."""
    return matcher_of(costs, {PERPETUAL: instrument()}, FundingRates(0.0), 10_000.0)


def bar(
    minute: int,
    open_: float,
    high: float | None = None,
    low: float | None = None,
    *,
    close: float | None = None,
    volume: float = 1000.0,
) -> Candle:
    """A candle with a volume."""
    return candle(minute, open_, high, low, close)._replace(volume=volume)


def holding(costs: Costs, quantity: float = 1.0) -> BarMatcher:
    """A matcher that holds a long, entered at the open of minute 0, with its stop at 99.5 and its target at 101."""
    made = matcher(costs)
    made.submit(approved(order(quantity=quantity)))
    made.match(bar(0, 100.0, volume=1e9))
    return made


def sell(minute: int, quantity: float = 1.0) -> OrderIntent:
    """An exit of a long."""
    return order(side=Side.SELL, leg=Leg.EXIT, minute=minute, quantity=quantity)


def fills(reports: list[ExecutionReport]) -> list[tuple[str, float, float]]:
    """Leg letter, quantity and price of each fill."""
    return [(r.client_order_id[-1], r.quantity, round(r.price, 9)) for r in reports if isinstance(r, Fill)]


def ends(reports: list[ExecutionReport]) -> list[tuple[str, str]]:
    """Leg letter and reason of what was canceled or rejected."""
    return [(r.client_order_id[-1], r.reason) for r in reports if isinstance(r, Canceled | Rejected)]


# --- who plays by what -------------------------------------------------------------------------------------------


def test_plain_costs_keep_the_plain_matcher_and_others_never_meet_it() -> None:
    """The plain matcher refuses costs that it would play wrongly."""
    assert type(matcher(FREE)) is BarMatcher
    assert type(matcher(TENTH)) is FrictionMatcher
    with pytest.raises(EngineProtocolError, match="matcher_of"):
        BarMatcher(TENTH, {PERPETUAL: instrument()}, FundingRates(0.0))
    assert matcher(FREE).snapshot() == {}


# --- rule 8: participation ------------------------------------------------------------------------------------


def test_what_is_left_of_an_entry_is_canceled_and_its_protection_covers_the_rest() -> None:
    """A tenth of 5.0599 on the lot step is bought; stop and target are as large."""
    made = matcher(TENTH)
    made.submit(approved(order()))
    reports = made.match(bar(0, 100.0, volume=5.0599))
    assert fills(reports) == [("e", 0.505, 100.0)]
    assert ends(reports) == [("e", "over_participation")]
    protective = [r.intent for r in reports if isinstance(r, Accepted) and r.intent is not None]
    assert [(one.leg, one.quantity) for one in protective] == [(Leg.STOP, 0.505), (Leg.TAKE_PROFIT, 0.505)]


def test_an_entry_in_a_minute_without_volume_is_canceled_whole() -> None:
    """Nothing is bought, and nothing is left behind."""
    made = matcher(TENTH)
    made.submit(approved(order()))
    assert ends(made.match(bar(0, 100.0, volume=0.0))) == [("e", "over_participation")]
    assert made.match(bar(1, 100.0)) == []


def test_what_is_left_of_an_exit_goes_on_at_the_next_opens() -> None:
    """Its parts add up, have ids of their own, and the last one ends stop and target."""
    made = holding(TENTH)
    made.submit(approved(sell(1)))
    first = made.match(bar(1, 100.0, volume=4.0))
    none = made.match(bar(2, 100.2, volume=0.001))
    last = made.match(bar(4, 100.4, volume=100.0))
    assert fills(first + none + last) == [("x", 0.4, 100.0), ("x", 0.6, 100.4)]
    assert ends(first + none) == []
    assert ends(last) == [("s", "position is flat"), ("t", "position is flat")]
    ids = [one.trade_id for one in first + last if isinstance(one, Fill)]
    assert ids == [f"{sell(1).client_order_id}-1", f"{sell(1).client_order_id}-4"]


def test_a_stop_once_reached_goes_on_wherever_the_price_goes() -> None:
    """Its rest is sold at the next opens, far from its price too, and its twin is canceled when it is reached."""
    made = holding(TENTH)
    reached = made.match(bar(1, 100.0, 100.0, 99.0, volume=3.0))
    assert fills(reached) == [("s", 0.3, 99.5)]
    assert ends(reached) == [("t", "its twin was reached")]
    assert fills(made.match(bar(2, 105.0, 106.0, 104.0, volume=1e3))) == [("s", 0.7, 105.0)]
    assert made.match(bar(3, 90.0)) == []


def test_a_stop_reached_in_a_minute_without_volume_is_at_work_from_then_on() -> None:
    """It sells at the next open even though the price came back."""
    made = holding(TENTH)
    assert fills(made.match(bar(1, 100.0, 100.0, 99.0, volume=0.0))) == []
    assert fills(made.match(bar(2, 100.3))) == [("s", 1.0, 100.3)]


def test_the_orders_of_a_bar_share_its_volume() -> None:
    """An exit takes what it may, and the stop of the same bar only what is left of the share."""
    made = holding(TENTH)
    made.submit(approved(sell(1, quantity=0.3)))
    assert fills(made.match(bar(1, 100.0, 100.0, 99.0, volume=5.0))) == [("x", 0.3, 100.0), ("s", 0.2, 99.5)]


def test_what_closes_beside_a_finished_exit_ends_with_it() -> None:
    """A stop at work sells the rest; the exit that had begun is canceled, one that had not is rejected."""
    made = holding(TENTH)
    made.submit(approved(sell(1)))
    made.match(
        bar(1, 100.0, 100.0, 99.0, volume=5.0)
    )  # the exit sells a half; the stop is reached and finds nothing
    reports = made.match(bar(2, 99.0, volume=1e3))
    assert fills(reports) == [("s", 0.5, 99.0)]
    assert ("x", "position is flat") in ends(reports)
    other = holding(replace(TENTH, latency_ms=120_000))
    other.match(bar(2, 100.0))
    assert made.match(bar(3, 99.0)) == []


def limit_entry() -> OrderIntent:
    """A buy that waits at 99.99 for three minutes."""
    costs, rule = Costs(half_spread_bps=1.0), EntryRule(EntryStyle.MAKER, 3)
    return rule.applied(order(), 100.0, costs, instrument())


def test_a_limit_order_fills_as_far_as_the_volume_goes_and_without_any_rests_on() -> None:
    """A bar through its price with too little volume for a lot changes nothing; the next one cuts and ends it."""
    made = matcher(TENTH)
    made.submit(approved(limit_entry()))
    assert fills(made.match(bar(0, 100.0, 100.0, 99.9, volume=0.001))) == []
    reports = made.match(bar(1, 100.0, 100.0, 99.9, volume=2.0))
    assert fills(reports) == [("e", 0.2, 99.99)]
    assert ends(reports) == [("e", "over_participation")]
    assert sum(isinstance(one, Accepted) for one in reports) == 2


# --- rule 9: latency ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "close", "price"),
    [(Side.BUY, 102.0, 101.0), (Side.BUY, 98.0, 100.0), (Side.SELL, 98.0, 99.0), (Side.SELL, 102.0, 100.0)],
)
def test_within_a_bar_the_worse_of_open_and_line_is_paid(side: Side, close: float, price: float) -> None:
    """Half a minute late is half the way to the close when that is worse, and the open when it is not."""
    made = matcher(replace(FREE, latency_ms=HALF_BAR))
    made.submit(approved(order(side=side)))
    (fill, *_) = made.match(bar(0, 100.0, close=close))
    assert isinstance(fill, Fill)
    assert fill.price == price
    assert fill.filled_at_ms == at(0) + HALF_BAR


def test_whole_bars_of_latency_fill_at_a_later_open() -> None:
    """Two minutes late is the open of the bar two minutes later; before it nothing happens."""
    made = matcher(replace(FREE, latency_ms=120_000))
    made.submit(approved(order()))
    assert [fills(made.match(bar(minute, 100.0 + minute))) for minute in range(3)] == [
        [],
        [],
        [("e", 1.0, 102.0)],
    ]


def test_an_entry_whose_bar_of_arrival_is_missing_is_canceled_and_an_exit_waits() -> None:
    """As without latency, counted from the arrival."""
    costs = replace(FREE, latency_ms=90_000)
    made = matcher(costs)
    made.submit(approved(order()))
    assert made.match(bar(0, 100.0)) == []
    assert ends(made.match(bar(2, 100.0))) == [("e", "no candle followed the decision")]
    other = holding(FREE)
    waiting = matcher(costs)
    waiting.recover(
        [OrderRecord(sell(1))], [Position(PERPETUAL, 1.0, 100.0, at(0), 1.0)], {PERPETUAL: at(0)}, {}
    )
    assert waiting.match(bar(1, 100.0)) == []
    assert fills(waiting.match(bar(5, 100.7, close=90.0))) == [("x", 1.0, 100.7)]
    assert other.match(bar(1, 100.0)) == []


def test_in_the_bar_of_a_late_entry_its_stop_counts_and_its_target_does_not() -> None:
    """The high of the bar may be older than the fill."""
    for prices, expected in (((100.0, 103.0, 100.0), []), ((100.0, 103.0, 99.0), [("s", 1.0, 99.5)])):
        made = matcher(replace(FREE, latency_ms=250))
        made.submit(approved(order()))
        assert fills(made.match(bar(0, *prices)))[1:] == expected


def test_in_the_bar_of_a_late_exit_the_stop_comes_first_and_the_target_not_at_all() -> None:
    """What is worse may have come before the exit arrived, what is better after it."""
    costs = replace(FREE, latency_ms=250)

    def held() -> BarMatcher:
        made = matcher(costs)
        made.submit(approved(order()))
        made.match(bar(0, 100.0))
        made.submit(approved(sell(1)))
        return made

    stopped = held().match(bar(1, 100.0, 103.0, 99.0))
    assert fills(stopped) == [("s", 1.0, 99.5)]
    assert ends(stopped) == [("t", "position is flat"), ("x", "nothing to reduce")]
    assert fills(held().match(bar(1, 100.0, 103.0, 99.9))) == [("x", 1.0, 100.0)]


def test_a_limit_order_rests_from_the_first_open_after_its_arrival() -> None:
    """A bar that began before it arrived can't fill it; a cancel is not late."""
    made = matcher(replace(FREE, latency_ms=250))
    made.submit(approved(limit_entry()))
    assert made.match(bar(0, 100.0, 100.0, 99.0)) == []
    assert [type(one) for one in made.match(bar(1, 100.0))] == [Accepted]
    assert fills(made.match(bar(2, 100.0, 100.0, 99.98)))[0] == ("e", 1.0, 99.99)
    other = matcher(replace(FREE, latency_ms=250))
    other.submit(approved(limit_entry()))
    other.cancel(CancelWish(limit_entry().client_order_id, PERPETUAL, at(0), "halted"))
    assert ends(other.match(bar(0, 100.0, 100.0, 99.0))) == [("e", "halted")]


def test_a_market_order_in_place_of_a_limit_order_is_late_too() -> None:
    """It is decided when the limit order is given up, and fills so much later."""
    made = matcher(replace(FREE, latency_ms=60_000))
    made.submit(approved(replace(limit_entry(), taker_fallback=True)))
    reports = [made.match(bar(minute, 100.0 + minute)) for minute in range(5)]
    assert [fills(one) for one in reports] == [[], [], [], [], [("m", 1.0, 104.0)]]
    assert ends(reports[3]) == [("e", "limit_expired")]


# --- rule 7, and what is never better ------------------------------------------------------------------------------

prices = st.floats(90, 110).map(lambda price: round(price, 2))


@st.composite
def bars(draw: st.DrawFn, minute: int) -> Candle:
    """A sound candle."""
    opened, closed = draw(prices), draw(prices)
    high, low = max(opened, closed, draw(prices)), min(opened, closed, draw(prices))
    return Candle(PERPETUAL, at(minute), opened, high, low, closed, draw(st.floats(0, 1e4)))


def filled(
    costs: Costs, before: list[Candle], last: Candle, side: Side, *, reduce: bool, quantity: float
) -> list[Fill]:
    """What one market order, decided at the end of some bars, trades in the bar that follows."""
    made = matcher(costs)
    for one in before:
        made.match(one)
    minute = len(before)
    if reduce:
        held = Position(PERPETUAL, -side.sign * quantity, 100.0, at(0), quantity)
        state = made.snapshot()
        made.recover([], [held], {PERPETUAL: at(minute - 1)}, state)
        intent = order(side=side, leg=Leg.EXIT, minute=minute, quantity=quantity)
    else:
        intent = order(side=side, minute=minute, quantity=quantity)
    made.submit(approved(intent))
    reports = made.match(last)
    return [r for r in reports if isinstance(r, Fill) and r.client_order_id == intent.client_order_id]


hard = st.builds(
    Costs,
    spread=st.none() | st.builds(SpreadRule, st.integers(2, 8), st.floats(0.5, 100)),
    impact=st.none() | st.builds(ImpactRule, st.floats(0, 5), st.integers(2, 8), st.floats(1, 300)),
    participation_cap=st.none() | st.floats(0.01, 1),
    latency_ms=st.integers(0, 59_999),
).filter(lambda costs: not costs.is_plain)
quantities = st.integers(1, 5000).map(lambda lots: lots / 1000)


@given(
    st.tuples(*(bars(minute) for minute in range(6))), hard, st.sampled_from(Side), st.booleans(), quantities
)
@settings(deadline=None, max_examples=100)
def test_nothing_fills_better_than_without_frictions(
    tape: tuple[Candle, ...], costs: Costs, side: Side, reduce: bool, quantity: float
) -> None:
    """In the bar that follows a decision, no part of an order gets a better price than the plain rules give it."""
    *before, last = tape
    plain = filled(Costs(), before, last, side, reduce=reduce, quantity=quantity)
    found = filled(costs, before, last, side, reduce=reduce, quantity=quantity)
    assert len(plain) == 1
    for one in found:
        assert side.sign * one.price >= side.sign * plain[0].price
        assert one.quantity <= plain[0].quantity
        assert one.spread_bps is not None
        assert one.spread_bps >= costs.half_spread_bps
        assert one.slippage_bps is not None
        assert one.slippage_bps >= costs.slippage_bps


@given(
    st.tuples(*(bars(minute) for minute in range(6))),
    st.sampled_from(Side),
    st.lists(st.integers(0, 59_999), min_size=2, max_size=2).map(sorted),
    st.lists(quantities, min_size=2, max_size=2).map(sorted),
    st.lists(st.floats(0, 5), min_size=2, max_size=2).map(sorted),
    st.lists(st.floats(0.001, 1e4), min_size=2, max_size=2).map(sorted),
)
@settings(deadline=None, max_examples=100)
def test_later_larger_and_in_a_thinner_market_is_never_cheaper(
    tape: tuple[Candle, ...],
    side: Side,
    latencies: list[int],
    sizes: list[float],
    coefficients: list[float],
    volumes: list[float],
) -> None:
    """In one bar the price is no better for more latency, more size, more impact and less volume."""
    *before, last = tape

    def price(latency: int, size: float, coefficient: float, volume: float) -> float:
        costs = Costs(impact=ImpactRule(coefficient, 5, 300.0), latency_ms=latency)
        (fill,) = filled(costs, before, last._replace(volume=volume), side, reduce=False, quantity=size)
        return side.sign * fill.price

    least = price(latencies[0], sizes[0], coefficients[0], volumes[1])
    most = price(latencies[1], sizes[1], coefficients[1], volumes[0])
    slack = 1e-9
    assert most >= least - slack
    assert price(latencies[1], sizes[0], coefficients[0], volumes[1]) >= least - slack
    assert price(latencies[0], sizes[1], coefficients[0], volumes[1]) >= least - slack
    assert price(latencies[0], sizes[0], coefficients[1], volumes[1]) >= least - slack
    assert price(latencies[0], sizes[0], coefficients[0], volumes[0]) >= least - slack


# --- restarts -----------------------------------------------------------------------------------------------------


def test_a_part_that_was_filled_before_a_restart_is_not_filled_again() -> None:
    """Exits go on with what is left, under an execution id of its own."""
    made = matcher(TENTH)
    record = OrderRecord(sell(1), OrderState.PARTIALLY_FILLED, 0.4)
    made.recover([record], [Position(PERPETUAL, 0.6, 100.0, at(0), 1.0)], {PERPETUAL: at(1)}, {})
    (fill,) = [one for one in made.match(bar(2, 100.0)) if isinstance(one, Fill)]
    assert (fill.quantity, fill.trade_id) == (0.6, f"{sell(1).client_order_id}-2")
    assert record.after(fill).state is OrderState.FILLED


def test_the_plain_matcher_takes_up_what_is_left_of_an_order() -> None:
    """Frictions that were switched off over a restart leave parts of orders behind."""
    made = matcher(FREE)
    made.recover(
        [OrderRecord(sell(1), OrderState.PARTIALLY_FILLED, 0.4)],
        [Position(PERPETUAL, 0.6, 100.0, at(0), 1.0)],
        {PERPETUAL: at(1)},
    )
    reports = made.match(bar(2, 100.0))
    assert fills(reports) == [("x", 0.6, 100.0)]
    assert ends(reports) == []


def test_warmed_it_knows_what_it_would_have_seen() -> None:
    """History shown before the first bar counts as bars that were matched."""
    costs = Costs(spread=SpreadRule(5, 50.0), impact=ImpactRule(1.0, 5, 100.0))
    history = [bar(minute, 100.0 + minute % 2, 102.0, 99.0) for minute in range(6)]
    seen, warmed = matcher(costs), matcher(costs)
    for one in history:
        seen.match(one)
    warmed.warm(history)
    assert warmed.snapshot() == seen.snapshot()
    intent = order(minute=6)
    for made in (seen, warmed):
        made.submit(approved(intent))
    assert seen.match(bar(6, 100.0)) == warmed.match(bar(6, 100.0))


def test_a_fill_with_its_frictions_is_more_than_one_without() -> None:
    """What a fill was moved by is told with it; a fill by the fixed figures tells nothing."""
    made = matcher(replace(Costs(), latency_ms=1))
    made.submit(approved(order()))
    (fill, *_) = made.match(bar(0, 100.0))
    assert isinstance(fill, Fill)
    assert (fill.spread_bps, fill.slippage_bps) == (0.5, 1.0)
    assert fill_of(order()).spread_bps is None
    assert OrderType.MARKET.value == "market"
