"""Tests of the rules of the market: each rule as an example, then whatever bars and orders there are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.market import Candle
from bot.core.matching import BarMatcher, Costs, FundingRates
from bot.core.orders import (
    Accepted,
    Canceled,
    ExecutionReport,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Protection,
    Rejected,
    Side,
    protective_id,
)
from bot.core.position import Position, apply_fill
from tests.core_builders import (
    FREE,
    PERPETUAL,
    SPOT,
    SYMBOLS,
    approved,
    at,
    candle,
    fill_of,
    instrument,
    order,
)

EIGHT = 480
"""The minute of the day of a funding time."""


def matcher(costs: Costs = FREE, funding: FundingRates | None = None) -> BarMatcher:
    """A matcher of three symbols; nothing costs anything unless told otherwise."""
    rules = {symbol: instrument(symbol) for symbol in SYMBOLS}
    return BarMatcher(costs, rules, funding or FundingRates(costs.funding_rate))


def entered(
    made: BarMatcher, intent: OrderIntent | None = None, bar: Candle | None = None
) -> list[ExecutionReport]:
    """Submit an entry decided at the bar's open, and let the bar pass."""
    intent = intent or order()
    made.submit(approved(intent))
    return made.match(bar or candle(intent.decided_at_ms // 60_000 % 1440, symbol=intent.symbol))


def fills(reports: list[ExecutionReport]) -> list[tuple[str, float, float]]:
    """Leg letter, quantity and price of each fill."""
    return [(r.client_order_id[-1], r.quantity, r.price) for r in reports if isinstance(r, Fill)]


def kinds(reports: list[ExecutionReport]) -> list[str]:
    """The names of the reports, in order."""
    return [type(report).__name__ for report in reports]


# --- rule 1: market orders ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 100.02), (Side.SELL, 99.98)])
def test_a_market_order_fills_at_the_next_open_moved_against_us(side: Side, price: float) -> None:
    """Half the spread and the slippage are lost, and the fee is charged on the filled notional."""
    made = matcher(Costs(taker_fee_bps=5.0, half_spread_bps=0.5, slippage_bps=1.5, funding_rate=0.0))
    report = entered(made, order(side=side, quantity=2.0), candle(0, 100.0, close=100.3))[0]
    assert isinstance(report, Fill)
    assert report.price == pytest.approx(price, rel=1e-15)
    assert report.fee == pytest.approx(2.0 * price * 0.0005, rel=1e-15)
    assert (report.quantity, report.filled_at_ms, report.fee_asset) == (2.0, at(0), "USDT")


def test_the_round_trip_cost_is_what_a_round_trip_costs() -> None:
    """Two fees, two half spreads, two slippages, as a fraction of the notional."""
    costs = Costs(taker_fee_bps=4.0, half_spread_bps=0.5, slippage_bps=1.0)
    assert costs.round_trip == pytest.approx(0.0011)
    bought, sold = costs.market_price(Side.BUY, 100.0), costs.market_price(Side.SELL, 100.0)
    assert bought - sold + costs.fee(bought) + costs.fee(sold) == pytest.approx(100 * costs.round_trip)


def test_an_entry_is_canceled_when_the_next_minute_has_no_candle() -> None:
    """It does not fill at a later open, and leaves nothing behind."""
    made = matcher()
    reports = entered(made, order(minute=0), candle(1))
    assert reports == [Canceled(order().client_order_id, PERPETUAL, at(1), "no candle followed the decision")]
    assert made.match(candle(2)) == []


def test_an_exit_waits_over_a_hole() -> None:
    """It fills at the open of the next candle there is, however late."""
    made = matcher()
    entered(made)
    made.submit(approved(order(side=Side.SELL, leg=Leg.EXIT, minute=1)))
    assert fills(made.match(candle(90, 97.0))) == [("x", 1.0, 97.0)]


def test_an_exit_with_nothing_held_is_rejected() -> None:
    """Nothing is traded."""
    made = matcher()
    made.submit(approved(order(side=Side.SELL, leg=Leg.EXIT)))
    assert made.match(candle(0)) == [
        Rejected(order(leg=Leg.EXIT).client_order_id, PERPETUAL, at(0), "nothing to reduce")
    ]


def test_an_order_waits_for_the_candle_of_its_own_symbol() -> None:
    """The candle of another symbol does nothing to it."""
    made = matcher()
    made.submit(approved(order()))
    assert made.match(candle(0, symbol=SPOT)) == []
    assert fills(made.match(candle(0))) == [("e", 1.0, 100.0)]


# --- rule 2: protective orders ------------------------------------------------------------------------------


def test_an_entry_brings_its_stop_and_target_to_life() -> None:
    """After the fill both are accepted, with prices on the tick, measured from the fill."""
    reports = entered(matcher(), bar=candle(0, 100.123))
    assert kinds(reports) == ["Fill", "Accepted", "Accepted"]
    protective = [report.intent for report in reports if isinstance(report, Accepted) and report.intent]
    assert [(p.leg, p.side, p.stop_price) for p in protective] == [
        (Leg.STOP, Side.SELL, 99.62),
        (Leg.TAKE_PROFIT, Side.SELL, 101.12),
    ]


@pytest.mark.parametrize(
    ("side", "bar", "leg", "price"),
    [
        (Side.BUY, candle(0, 100.0, 100.2, 99.4), "s", 99.5),
        (Side.BUY, candle(0, 100.0, 101.5, 99.9), "t", 101.0),
        (Side.SELL, candle(0, 100.0, 100.6, 99.9), "s", 100.5),
        (Side.SELL, candle(0, 100.0, 100.1, 98.9), "t", 99.0),
        (Side.BUY, candle(0, 100.0, 100.0, 99.5), "s", 99.5),
        (Side.BUY, candle(0, 100.0, 101.0, 100.0), "t", 101.0),
        (Side.BUY, candle(0, 100.0, 101.5, 99.4), "s", 99.5),
        (Side.SELL, candle(0, 100.0, 100.6, 98.5), "s", 100.5),
    ],
)
def test_the_entry_bar_can_reach_stop_or_target_and_the_stop_comes_first(
    side: Side, bar: Candle, leg: str, price: float
) -> None:
    """Touching counts as reaching; in a bar that reaches both, the stop is taken."""
    reports = entered(matcher(), order(side=side), bar)
    assert fills(reports) == [("e", 1.0, 100.0), (leg, 1.0, price)]
    assert kinds(reports) == ["Fill", "Accepted", "Accepted", "Fill", "Canceled"]
    last = reports[3]
    assert isinstance(last, Fill)
    assert last.filled_at_ms == at(1) - 1


@pytest.mark.parametrize(
    ("side", "bar", "leg", "price"),
    [
        (Side.BUY, candle(1, 98.0, 102.0, 97.0), "s", 98.0),
        (Side.BUY, candle(1, 102.0, 103.0, 101.5), "t", 102.0),
        (Side.BUY, candle(1, 102.0, 103.0, 99.0), "s", 99.5),
        (Side.SELL, candle(1, 102.0, 103.0, 98.0), "s", 102.0),
        (Side.SELL, candle(1, 98.0, 98.5, 97.0), "t", 98.0),
    ],
)
def test_a_bar_that_opens_beyond_a_level_fills_it_at_the_open(
    side: Side, bar: Candle, leg: str, price: float
) -> None:
    """A gap costs more at a stop and brings more at a target; the stop still comes before the target."""
    made = matcher()
    entered(made, order(side=side))
    assert fills(made.match(bar)) == [(leg, 1.0, price)]


def test_a_reached_stop_pays_spread_slippage_and_fee() -> None:
    """Once reached it trades as a market order."""
    costs = Costs(taker_fee_bps=4.0, half_spread_bps=1.0, slippage_bps=1.0, funding_rate=0.0)
    made = matcher(costs)
    entered(made)
    report = made.match(candle(1, 100.0, 100.0, 99.0))[0]
    assert isinstance(report, Fill)
    level = round(100.02 * 0.995, 2)
    assert report.price == pytest.approx(level * 0.9998, rel=1e-15)
    assert report.fee == pytest.approx(report.price * 0.0004, rel=1e-15)


def test_an_exit_at_the_open_comes_before_the_protective_orders() -> None:
    """The market order fills, then nothing is held and both protective orders are canceled."""
    made = matcher()
    entered(made)
    made.submit(approved(order(side=Side.SELL, leg=Leg.EXIT, minute=1)))
    reports = made.match(candle(1, 100.0, 105.0, 90.0))
    assert fills(reports) == [("x", 1.0, 100.0)]
    entry = order().client_order_id
    canceled = [report.client_order_id for report in reports if isinstance(report, Canceled)]
    assert canceled == [protective_id(entry, Leg.STOP), protective_id(entry, Leg.TAKE_PROFIT)]
    assert made.match(candle(2, 90.0)) == []


def test_a_partial_exit_leaves_the_protection_of_the_rest() -> None:
    """The stop then sells only what is still held, and says that the rest of it will not trade."""
    made = matcher()
    entered(made)
    made.submit(approved(order(side=Side.SELL, leg=Leg.EXIT, minute=1, quantity=0.4)))
    assert fills(made.match(candle(1))) == [("x", 0.4, 100.0)]
    reports = made.match(candle(2, 99.0))
    assert fills(reports) == [("s", 0.6, 99.0)]
    assert kinds(reports) == ["Fill", "Canceled", "Canceled"]
    assert made.match(candle(3, 90.0)) == []


def test_an_exit_of_more_than_is_held_ends_with_what_is_held() -> None:
    """It never turns the position round, and its rest is canceled."""
    made = matcher()
    entered(made)
    made.submit(approved(order(side=Side.SELL, leg=Leg.EXIT, minute=1, quantity=5.0)))
    reports = made.match(candle(1))
    assert fills(reports) == [("x", 1.0, 100.0)]
    assert kinds(reports) == ["Fill", "Canceled", "Canceled", "Canceled"]


def test_two_entries_have_protections_of_their_own() -> None:
    """A stop that leaves a rest is done: it does not fill again, its twin goes, the other pair stays."""
    made = matcher()
    entered(made)
    second = order(minute=1, protection=Protection(0.02, 0.05))
    entered(made, second, candle(1, 100.0))
    reports = made.match(candle(2, 100.0, 100.0, 99.0))
    assert fills(reports) == [("s", 1.0, 99.5)]
    assert [r.client_order_id for r in reports if isinstance(r, Canceled)] == [
        protective_id(order().client_order_id, Leg.TAKE_PROFIT)
    ]
    assert made.match(candle(3, 99.0, 101.5, 98.5)) == []
    reports = made.match(candle(4, 97.0))
    assert fills(reports) == [("s", 1.0, 97.0)]
    assert reports[0].client_order_id == protective_id(second.client_order_id, Leg.STOP)  # type: ignore[union-attr]
    assert made.match(candle(5, 50.0)) == []


def test_a_bar_can_reach_the_stops_of_two_entries() -> None:
    """Both fill in it, in the order in which they were made."""
    made = matcher()
    entered(made)
    entered(made, order(minute=1, protection=Protection(0.02, 0.05)), candle(1, 100.0))
    assert fills(made.match(candle(2, 100.0, 100.0, 90.0))) == [("s", 1.0, 99.5), ("s", 1.0, 98.0)]


def test_a_protective_order_without_a_level_is_never_reached() -> None:
    """One that was read back without a price does nothing rather than something."""
    made = matcher()
    entry = order()
    stop = replace(entry, leg=Leg.STOP, type=OrderType.STOP, side=Side.SELL, reduce_only=True)
    made.recover([OrderRecord(stop, OrderState.ACCEPTED)], [Position(PERPETUAL, 1.0)], {PERPETUAL: at(0)})
    assert made.match(candle(1, 100.0, 1000.0, 1.0)) == []


# --- rule 4: funding ----------------------------------------------------------------------------------------


def paid(reports: list[ExecutionReport]) -> list[tuple[int, float, float]]:
    """Time, rate and mark price of each funding."""
    return [(r.paid_at_ms, r.rate, r.mark_price) for r in reports if isinstance(r, Funding)]


def test_funding_is_paid_at_the_boundary_before_anything_else_of_the_bar() -> None:
    """The bar that opens at 08:00 pays, at its open, and only then exits fill."""
    made = matcher(funding=FundingRates(0.0001))
    entered(made, order(minute=EIGHT - 1))
    made.submit(approved(order(side=Side.SELL, leg=Leg.EXIT, minute=EIGHT)))
    reports = made.match(candle(EIGHT, 99.9))
    assert kinds(reports) == ["Funding", "Fill", "Canceled", "Canceled"]
    assert paid(reports) == [(at(EIGHT), 0.0001, 99.9)]


def test_what_is_entered_at_the_boundary_does_not_pay_it() -> None:
    """A position opened at 08:00 was not held over 08:00; the next time it pays is 16:00."""
    made = matcher(funding=FundingRates(0.0001))
    assert paid(entered(made, order(minute=EIGHT))) == []
    for minute in range(EIGHT + 1, 2 * EIGHT):
        assert made.match(candle(minute)) == []
    assert paid(made.match(candle(2 * EIGHT))) == [(at(2 * EIGHT), 0.0001, 100.0)]


def test_what_is_left_before_the_boundary_does_not_pay_it() -> None:
    """Stopped in the bar before 08:00, nothing is owed at 08:00."""
    made = matcher(funding=FundingRates(0.0001))
    entered(made, order(minute=EIGHT - 2))
    assert fills(made.match(candle(EIGHT - 1, 100.0, 100.0, 99.0))) == [("s", 1.0, 99.5)]
    assert made.match(candle(EIGHT)) == []


def test_every_funding_time_of_a_hole_is_paid_once_the_hole_ends() -> None:
    """Twenty hours without a candle: three payments, in order, before the stop that the gap triggers."""
    made = matcher(funding=FundingRates(0.0001))
    entered(made, order(minute=EIGHT - 5))
    reports = made.match(candle(EIGHT - 5 + 1200, 98.0))
    assert [at_ms for at_ms, _, _ in paid(reports)] == [at(EIGHT), at(2 * EIGHT), at(3 * EIGHT)]
    assert kinds(reports) == ["Funding"] * 3 + ["Fill", "Canceled"]


def test_a_table_of_rates_replaces_the_constant() -> None:
    """Its times and rates are paid, its zero too, and no other time is."""
    table = {at(EIGHT - 60): 0.0003, at(EIGHT): -0.0002, at(EIGHT + 1): 0.0}
    made = matcher(funding=FundingRates(0.0001, {PERPETUAL: table}))
    entered(made, order(minute=EIGHT - 60))
    everything = [made.match(candle(minute)) for minute in range(EIGHT - 59, 2 * EIGHT + 1)]
    assert [row for reports in everything for row in paid(reports)] == [
        (at(EIGHT), -0.0002, 100.0),
        (at(EIGHT + 1), 0.0, 100.0),
    ]


def test_spot_pays_no_funding() -> None:
    """Not at the boundary, not with a table."""
    made = matcher(funding=FundingRates(0.0001, {SPOT: {at(EIGHT): 0.01}}))
    entered(made, order(minute=EIGHT - 1, symbol=SPOT))
    assert made.match(candle(EIGHT, symbol=SPOT)) == []


def test_nobody_pays_who_holds_nothing() -> None:
    """Flat over the boundary, and flat again after a trade."""
    made = matcher(funding=FundingRates(0.0001))
    assert made.match(candle(EIGHT)) == []
    entered(made, order(minute=EIGHT + 1))
    made.match(candle(EIGHT + 2, 90.0))
    assert made.match(candle(2 * EIGHT)) == []


@given(after=st.integers(0, 3000), length=st.integers(0, 2000), cut=st.integers(0, 2000))
@settings(deadline=None)
def test_two_stretches_pay_what_the_whole_pays(after: int, length: int, cut: int) -> None:
    """No funding time is paid twice or forgotten, wherever a stretch is cut; constant and table agree."""
    cut = min(cut, length)
    every_eight = {at(index * EIGHT): 0.0001 for index in range(12)}
    for rates in (FundingRates(0.0001), FundingRates(0.5, {PERPETUAL: every_eight})):
        whole = rates.between(PERPETUAL, at(after), at(after + length))
        parts = rates.between(PERPETUAL, at(after), at(after + cut))
        parts += rates.between(PERPETUAL, at(after + cut), at(after + length))
        expected = [(t, 0.0001) for t in sorted(every_eight) if at(after) < t <= at(after + length)]
        assert whole == parts == expected


# --- any bars, any orders -----------------------------------------------------------------------------------

bars = st.tuples(st.integers(-300, 300), st.integers(-300, 300), st.integers(0, 200), st.integers(0, 200))


@st.composite
def courses(draw: st.DrawFn) -> tuple[Costs, Side, list[Candle], list[int]]:
    """Costs, a side, contiguous bars that move in hundredths of a percent, and minutes to exit at."""
    costs = Costs(draw(st.floats(0, 20)), draw(st.floats(0, 10)), draw(st.floats(0, 10)), 0.0001)
    price, made = 100.0, []
    for minute, (gap, body, above, below) in enumerate(draw(st.lists(bars, min_size=1, max_size=25))):
        opened = round(price * (1 + gap / 1e4 / 4), 2)
        price = round(opened * (1 + body / 1e4), 2)
        high, low = max(opened, price) * (1 + above / 1e4), min(opened, price) * (1 - below / 1e4)
        made.append(candle(EIGHT - 5 + minute, opened, high, low, price))
    exits = draw(st.lists(st.integers(0, 24), max_size=3))
    return costs, draw(st.sampled_from(Side)), made, exits


@given(course=courses())
@settings(deadline=None, max_examples=200)
def test_fills_lie_within_their_bar_and_a_stop_is_never_better_than_its_level(
    course: tuple[Costs, Side, list[Candle], list[int]],
) -> None:
    """Whenever flat an entry is sent; every fill of every bar keeps the rules, and flat leaves nothing behind."""
    costs, side, candles, exits = course
    made, position = matcher(costs), Position(PERPETUAL)
    levels: dict[str, OrderIntent] = {}
    for number, bar in enumerate(candles):
        minute = EIGHT - 5 + number
        if position.is_flat:
            assert not levels
            made.submit(approved(order(side=side, minute=minute)))
        elif number in exits:
            made.submit(approved(order(side=side.opposite, leg=Leg.EXIT, minute=minute)))
        taken = []
        for report in made.match(bar):
            if isinstance(report, Accepted) and report.intent is not None:
                levels[report.client_order_id] = report.intent
            elif isinstance(report, Canceled):
                del levels[report.client_order_id]
            elif isinstance(report, Fill):
                base = report.price / (costs.market_price(report.side, 1.0))
                assert bar.low * (1 - 1e-12) <= base <= bar.high * (1 + 1e-12)
                assert report.fee == costs.fee(report.quantity * report.price)
                position, _, _ = apply_fill(position, report, "")
                intent = levels.pop(report.client_order_id, None)
                if intent is not None:
                    assert intent.stop_price is not None
                    gain = (base - intent.stop_price) * intent.side.sign
                    taken.append(intent.leg)
                    # A seller's gain is a lower, a buyer's a higher base: a stop fills there or worse for us.
                    assert gain >= -1e-9 if intent.leg is Leg.STOP else gain <= 1e-9
        assert len(taken) <= 1
        if position.is_flat:
            assert not levels
        else:
            assert {intent.leg for intent in levels.values()} == {Leg.STOP, Leg.TAKE_PROFIT}
            for intent in levels.values():
                assert intent.stop_price is not None
                assert not bar.low <= intent.stop_price <= bar.high


@given(course=courses(), restart=st.integers(0, 24))
@settings(deadline=None)
def test_a_recovered_book_goes_on_the_same(
    course: tuple[Costs, Side, list[Candle], list[int]], restart: int
) -> None:
    """Rebuilt from open orders and positions after any bar, the reports that follow are the same."""
    costs, side, candles, exits = course
    outcomes = []
    for restarts in (False, True):
        made, position, sent = matcher(costs), Position(PERPETUAL), dict[str, OrderRecord]()
        outcome: list[ExecutionReport] = []
        for number, bar in enumerate(candles):
            minute = EIGHT - 5 + number
            if position.is_flat or number in exits:
                leg = Leg.ENTRY if position.is_flat else Leg.EXIT
                intent = order(side=side if position.is_flat else side.opposite, leg=leg, minute=minute)
                sent[intent.client_order_id] = OrderRecord(intent)
                made.submit(approved(intent))
            if restarts and number == restart:
                held = [] if position.is_flat else [position]
                made = matcher(costs)
                made.recover(list(sent.values()), held, {PERPETUAL: at(minute - 1)})
            reports = made.match(bar)
            for report in reports:
                if isinstance(report, Accepted) and report.intent is not None:
                    sent[report.client_order_id] = OrderRecord(report.intent, OrderState.ACCEPTED)
                elif isinstance(report, Fill):
                    position, _, _ = apply_fill(position, report, "")
                if isinstance(report, Fill | Canceled | Rejected):
                    sent.pop(report.client_order_id, None)
            outcome += reports
        outcomes.append(outcome)
    assert outcomes[0] == outcomes[1]


def test_a_trade_id_is_its_orders_own() -> None:
    """Derived from the order, so that a report that comes again is recognised."""
    report = entered(matcher())[0]
    assert isinstance(report, Fill)
    assert report == fill_of(order(), 100.0)


def test_a_recovery_replaces_the_book() -> None:
    """Orders and positions of before are gone, those that are given are there."""
    made = matcher()
    entered(made)
    made.submit(approved(order(side=Side.SELL, leg=Leg.EXIT, minute=1)))
    made.recover([OrderRecord(order(minute=1))], [], {})
    assert fills(made.match(candle(1, 100.0, 100.0, 99.7))) == [("e", 1.0, 100.0)]
    made.recover([], [], {})
    assert made.match(candle(2, 1.0)) == []
