"""Tests of the account that margin is judged by."""

from __future__ import annotations

import json

import pytest

from bot.core.liquidation import MarginMode, MarginRule
from bot.core.margin_book import ForcedClose, MarginBook
from bot.core.orders import Funding, Side
from bot.core.position import Position
from tests.core_builders import PERPETUAL, SPOT, at, candle, fill_of, instrument, order

OTHER = "SOL/USDT:USDT"
RULE = MarginRule(MarginMode.ISOLATED, 10.0, 0.01)
INSTRUMENTS = {symbol: instrument(symbol) for symbol in (PERPETUAL, SPOT, OTHER)}


def book(mode: MarginMode = MarginMode.ISOLATED) -> MarginBook:
    """An account with 150 that holds a long of two from 100."""
    made = MarginBook(MarginRule(mode, 10.0, 0.01), INSTRUMENTS, 150.0)
    made.book(fill_of(order(quantity=2.0)))
    return made


def test_the_margin_of_a_position_is_its_notional_over_the_leverage_less_its_funding() -> None:
    """20 stand behind 200; after 2 of funding 18, and half of both when half was closed."""
    made = book()
    forced = made.forced(PERPETUAL)
    assert forced is not None
    assert (forced.stands_behind, forced.quantity, forced.entry_price) == (20.0, 2.0, 100.0)
    made.book(Funding(PERPETUAL, 0.01, 100.0, at(1)))
    made.book(fill_of(order(side=Side.SELL, minute=2, quantity=1.0), price=100.0, trade=2))
    forced = made.forced(PERPETUAL)
    assert forced is not None
    assert forced.stands_behind == pytest.approx(9.0)
    assert forced.price == pytest.approx((100 - 9) / 0.99)
    assert forced.bankruptcy == pytest.approx(91.0)


def test_what_is_flat_or_spot_is_never_closed_by_force() -> None:
    """Neither has a margin."""
    made = book(MarginMode.CROSS)
    made.book(fill_of(order(symbol=SPOT, quantity=1.0)))
    assert made.forced(SPOT) is None
    assert made.forced(OTHER) is None


def test_a_price_is_bounded_by_bankruptcy_and_a_fee_by_what_is_left() -> None:
    """Beyond it there is nothing to take; a position with nothing behind it is closed where the market is."""
    long = ForcedClose(2.0, 91.0, 90.0, 20.0, 100.0)
    assert [long.bounded(price) for price in (95.0, 90.0, 80.0)] == [95.0, 90.0, 90.0]
    assert [long.left_at(price) for price in (95.0, 90.0, 80.0)] == [10.0, 0.0, 0.0]
    short = ForcedClose(-2.0, 109.0, 110.0, 20.0, 100.0)
    assert [short.bounded(price) for price in (105.0, 120.0)] == [105.0, 110.0]
    assert short.reached(109.0)
    assert not short.reached(108.9)
    assert ForcedClose(2.0, 120.0, 120.0, -40.0, 100.0).bounded(99.0) == 99.0


def test_a_close_counts_for_others_from_the_next_minute_on() -> None:
    """Within a minute nobody knows which symbol moved first."""
    made = book(MarginMode.CROSS)
    made.book(fill_of(order(symbol=OTHER, quantity=1.0)))

    def behind() -> float:
        forced = made.forced(PERPETUAL)
        assert forced is not None
        return forced.stands_behind

    made.begin(at(1))
    made.observe(candle(1, 100.0, close=60.0, symbol=OTHER))
    assert behind() == 150.0
    made.begin(at(1))
    assert behind() == 150.0
    made.begin(at(2))
    assert behind() == 110.0


def test_a_snapshot_goes_on_alike_and_without_one_what_is_held_begins() -> None:
    """Through JSON text the account is the same; a book that was never kept adopts positions."""
    made = book(MarginMode.CROSS)
    made.begin(at(1))
    made.observe(candle(1, 100.0, close=90.0))
    state = json.loads(json.dumps(made.snapshot()))
    again = MarginBook(made.rule, INSTRUMENTS, 5.0)
    again.restore(state, ())
    assert again.forced(PERPETUAL) == made.forced(PERPETUAL)
    fresh = MarginBook(RULE, INSTRUMENTS, 1000.0)
    fresh.restore(None, [Position(PERPETUAL, 2.0, 100.0, at(0), 2.0)])
    assert fresh.forced(PERPETUAL) == book().forced(PERPETUAL)
