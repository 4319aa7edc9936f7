"""Tests of positions that an exchange closes by force: the formula, the order of events, what is lost at most."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.account import Account
from bot.core.desk import Desk
from bot.core.liquidating import LiquidatingMatcher
from bot.core.liquidation import MarginMode, MarginRule, liquidation_price
from bot.core.market import Candle
from bot.core.matchers import matcher_of
from bot.core.matching import BarMatcher, Costs, FundingRates
from bot.core.orders import (
    EXIT_REASONS,
    Accepted,
    Canceled,
    ExecutionReport,
    Fill,
    Leg,
    OrderRecord,
    Protection,
    Rejected,
    Side,
)
from bot.core.position import Position
from bot.core.records import report_from_json, report_to_json
from bot.core.window import Window
from bot.errors import EngineProtocolError
from tests.core_builders import FREE, PERPETUAL, Follower, approved, at, candle, instrument, order

OTHER = "SOL/USDT:USDT"
ISOLATED = MarginRule(MarginMode.ISOLATED, leverage=20.0, maintenance_rate=0.01, liquidation_fee_bps=0.0)
CROSS = replace(ISOLATED, mode=MarginMode.CROSS)
LONG_AT = 100.0 * (1 - 1 / 20) / (1 - 0.01)
"""Where a long from 100 with leverage 20 is liquidated: 95.96."""
SHORT_AT = 100.0 * (1 + 1 / 20) / (1 + 0.01)
WIDE = Protection(0.5, 0.9)


def matcher(rule: MarginRule = ISOLATED, costs: Costs = FREE, cash: float = 1000.0) -> BarMatcher:
    """A matcher of two perpetuals that looks at margin."""
    rules = {symbol: instrument(symbol) for symbol in (PERPETUAL, OTHER)}
    return matcher_of(replace(costs, margin=rule), rules, FundingRates(costs.funding_rate), cash)


def entered(
    made: BarMatcher, side: Side = Side.BUY, protection: Protection = WIDE, *, symbol: str = PERPETUAL
) -> BarMatcher:
    """Hold one unit from 100."""
    made.submit(approved(order(side=side, protection=protection, symbol=symbol)))
    made.match(candle(0, 100.0, symbol=symbol))
    return made


def fills(reports: list[ExecutionReport]) -> list[tuple[str, float, float]]:
    """Leg letter, quantity and price of each fill."""
    return [(r.client_order_id[-1], r.quantity, round(r.price, 9)) for r in reports if isinstance(r, Fill)]


# --- the formula ------------------------------------------------------------------------------------------------


@given(
    size=st.floats(0.001, 1e4),
    side=st.sampled_from([1, -1]),
    entry=st.floats(0.01, 1e5),
    leverage=st.floats(1, 100),
    rate=st.floats(0.0001, 0.009),
)
def test_at_the_liquidation_price_just_the_maintenance_margin_is_left(
    size: float, side: int, entry: float, leverage: float, rate: float
) -> None:
    """What stands behind a position, less its loss at that price, is the rate times its notional there."""
    wallet = size * entry / leverage
    price = liquidation_price(side * size, entry, wallet, rate)
    left = wallet + side * size * (price - entry)
    assert left == pytest.approx(size * price * rate, abs=1e-9 * size * entry)
    bankrupt = liquidation_price(side * size, entry, wallet, 0.0)
    assert side * bankrupt <= side * price + 1e-9 * entry
    assert wallet + side * size * (bankrupt - entry) == pytest.approx(0.0, abs=1e-9 * size * entry)


def test_the_formula_gives_the_figures_of_a_worked_example() -> None:
    """A long of 1 from 100 with a margin of 5 and a rate of 1 %: 95 / 0.99; a short: 105 / 1.01."""
    assert liquidation_price(1.0, 100.0, 5.0, 0.01) == pytest.approx(95 / 0.99)
    assert liquidation_price(-1.0, 100.0, 5.0, 0.01) == pytest.approx(105 / 1.01)
    assert pytest.approx(95 / 0.99) == LONG_AT
    assert pytest.approx(105 / 1.01) == SHORT_AT


# --- isolated -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "bar", "price"),
    [
        (Side.BUY, candle(1, 99.0, 99.0, 95.9), LONG_AT),
        (Side.BUY, candle(1, 99.0, 99.0, 96.0), None),
        (Side.BUY, candle(1, 95.5, 96.0, 95.5), 95.5),
        (Side.BUY, candle(1, 90.0, 96.0, 80.0), 95.0),
        (Side.SELL, candle(1, 101.0, 104.0, 101.0), SHORT_AT),
        (Side.SELL, candle(1, 101.0, 103.9, 101.0), None),
        (Side.SELL, candle(1, 120.0, 121.0, 119.0), 105.0),
    ],
)
def test_a_bar_that_reaches_the_price_ends_the_position_there_or_at_a_worse_open(
    side: Side, bar: Candle, price: float | None
) -> None:
    """Touched inside the bar: at the price; opened beyond: at the open, and never worse than bankruptcy."""
    reports = entered(matcher(), side).match(bar)
    assert fills(reports) == ([] if price is None else [("l", 1.0, round(price, 9))])
    if price is not None:
        assert isinstance(reports[0], Accepted)
        assert reports[0].intent is not None
        assert reports[0].intent.leg is Leg.LIQUIDATION
        assert [r.client_order_id[-1] for r in reports if isinstance(r, Canceled)] == ["s", "t"]


@pytest.mark.parametrize(("stop", "leg"), [(0.03, "s"), (0.0405, "l")])
def test_a_stop_that_is_nearer_comes_first(stop: float, leg: str) -> None:
    """97 is reached before 95.96, and 95.95 is not."""
    reports = entered(matcher(), protection=Protection(stop, 0.9)).match(candle(1, 99.0, 99.0, 90.0))
    assert [found[0] for found in fills(reports)] == [leg]


def test_an_open_beyond_both_is_a_liquidation() -> None:
    """Nobody's stop is asked where the margin is gone at the open; an exit that arrives finds nothing."""
    made = entered(matcher(), protection=Protection(0.03, 0.9))
    made.submit(approved(order(side=Side.SELL, leg=Leg.EXIT, minute=1)))
    reports = made.match(candle(1, 95.9))
    assert [found[0] for found in fills(reports)] == ["l"]
    assert [r.reason for r in reports if isinstance(r, Rejected)] == ["nothing to reduce"]


def test_what_a_stop_without_volume_leaves_can_be_liquidated_in_the_same_bar() -> None:
    """The stop sells what it may, and the exchange the rest, beyond all participation."""
    made = matcher(costs=replace(FREE, participation_cap=0.1))
    made.submit(approved(order(protection=Protection(0.03, 0.9))))
    made.match(candle(0, 100.0)._replace(volume=1e3))
    reports = made.match(candle(1, 99.0, 99.0, 90.0)._replace(volume=4.0))
    assert fills(reports) == [("s", 0.4, 97.0), ("l", 0.6, round(LONG_AT, 9))]
    assert [(r.client_order_id[-1], r.reason) for r in reports if isinstance(r, Canceled)] == [
        ("t", "its twin was reached"),
        ("s", "position is flat"),
    ]


def test_the_entry_bar_can_be_the_last() -> None:
    """A position is looked at from its fill on."""
    made = matcher()
    made.submit(approved(order(protection=WIDE)))
    assert fills(made.match(candle(0, 100.0, 100.0, 90.0))) == [
        ("e", 1.0, 100.0),
        ("l", 1.0, round(LONG_AT, 9)),
    ]


def test_a_liquidation_pays_spread_fee_and_the_exchanges_own_fee_as_far_as_the_margin_goes() -> None:
    """The margin of 5 loses 4.04 to the price; fees of 2 bps and 50 bps fit into the rest, of 500 bps take all of it."""
    for fee_bps, expected in ((50.0, None), (500.0, "all")):
        rule = replace(ISOLATED, liquidation_fee_bps=fee_bps)
        costs = replace(FREE, taker_fee_bps=2.0)
        (_, fill, *_) = entered(matcher(rule, costs)).match(candle(1, 99.0, 99.0, 90.0))
        assert isinstance(fill, Fill)
        left = 5.0 - (100.0 - fill.price)
        wished = fill.price * (2.0 + fee_bps) / 10_000
        assert fill.fee == pytest.approx(left if expected else wished)
        assert fill.fee <= left + 1e-12
    moved = replace(FREE, half_spread_bps=2.0, slippage_bps=3.0)
    (_, fill, *_) = entered(matcher(costs=moved)).match(candle(1, 99.0, 99.0, 90.0))
    assert isinstance(fill, Fill)
    assert (fill.spread_bps, fill.slippage_bps) == (2.0, 3.0)


def test_funding_that_was_paid_brings_the_price_nearer() -> None:
    """It is taken out of the margin of an isolated position."""
    made = LiquidatingMatcher(
        replace(FREE, margin=ISOLATED),
        ISOLATED,
        {PERPETUAL: instrument()},
        FundingRates(0.0, {PERPETUAL: {at(1): 0.01}}),
        1000.0,
    )
    entered(made)
    assert fills(made.match(candle(1, 100.0, 100.0, 97.0))) == []
    assert fills(made.match(candle(2, 98.0, 98.0, 96.9))) == [("l", 1.0, round((100 - 4) / 0.99, 9))]


def test_a_position_without_leverage_is_liquidated_at_no_price_when_long() -> None:
    """What is paid in full can lose nothing but all."""
    made = entered(matcher(replace(ISOLATED, leverage=1.0)))
    assert fills(made.match(candle(1, 1.0, 1.0, 0.01))) == [("s", 1.0, 1.0)]


# --- cross --------------------------------------------------------------------------------------------------------


def test_across_the_account_all_of_it_stands_behind_a_position() -> None:
    """With 10 of cash a long of one from 100 ends at 90 / 0.99, with 1000 at no price."""
    assert fills(entered(matcher(CROSS, cash=10.0)).match(candle(1, 99.0, 99.0, 85.0))) == [
        ("l", 1.0, round(90 / 0.99, 9))
    ]
    assert fills(entered(matcher(CROSS, cash=1000.0)).match(candle(1, 99.0, 99.0, 55.0))) == []


def test_the_gain_of_another_symbol_stands_behind_it_too_as_of_the_minute_before() -> None:
    """A short elsewhere that gained 6 by its last close lowers the price; its close of the same minute is not known."""
    made = entered(matcher(CROSS, cash=10.0))
    entered(made, Side.SELL, symbol=OTHER)
    made.match(candle(1, 100.0))
    made.match(candle(1, 100.0, 100.0, 94.0, 94.0, symbol=OTHER))
    wallet = 10.0 + 6.0 - 94.0 * 0.01
    expected = (100.0 - wallet) / 0.99
    assert fills(made.match(candle(2, 99.0, 99.0, 80.0))) == [("l", 1.0, round(expected, 9))]
    again = entered(matcher(CROSS, cash=10.0))
    entered(again, Side.SELL, symbol=OTHER)
    again.match(candle(1, 100.0, 100.0, 94.0, 94.0, symbol=OTHER))
    unknown = (100.0 - (10.0 - 100.0 * 0.01)) / 0.99
    assert fills(again.match(candle(1, 99.0, 99.0, 80.0))) == [("l", 1.0, round(unknown, 9))]


# --- what the rest of the core makes of it ---------------------------------------------------------------------------


def test_the_engine_books_it_as_an_order_brought_to_life() -> None:
    """The trade ends with the reason liquidation, no order is left open, and the journal's row reads back the same."""
    desk = Desk(instrument(), Follower(PERPETUAL), Window(3), can_short=True)
    account = Account(1000.0, {PERPETUAL: instrument()})
    made = matcher()
    intent = order(protection=WIDE)
    made.submit(approved(intent))
    desk.orders[intent.client_order_id] = OrderRecord(intent)
    reports = made.match(candle(0, 100.0)) + made.match(candle(1, 99.0, 99.0, 90.0))
    trades = [trade for one in reports if (trade := desk.book(one, account)) is not None]
    assert [trade.exit_reason for trade in trades] == ["liquidation"]
    assert desk.orders == {}
    assert account.cash == pytest.approx(1000.0 - (100.0 - LONG_AT))
    assert [report_from_json(report_to_json(one)) for one in reports] == reports
    assert EXIT_REASONS[Leg.LIQUIDATION] == "liquidation"


def test_margin_needs_an_account_with_money() -> None:
    """An account of nothing would be liquidated before it began."""
    with pytest.raises(EngineProtocolError, match="begins with money"):
        matcher(cash=0.0)


def test_where_margin_was_not_looked_at_before_it_begins_with_what_is_held() -> None:
    """A restart with liquidation switched on takes positions from the journal."""
    made = matcher()
    before = entered(matcher_of(FREE, {PERPETUAL: instrument()}, FundingRates(0.0), 1000.0))
    assert before.snapshot() == {}
    made.recover([], [Position(PERPETUAL, 1.0, 100.0, at(0), 1.0)], {PERPETUAL: at(0)}, {})
    assert fills(made.match(candle(1, 99.0, 99.0, 90.0))) == [("l", 1.0, round(LONG_AT, 9))]
