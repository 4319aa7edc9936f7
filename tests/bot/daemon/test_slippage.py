"""Fills against what the model of costs says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.orders import Fill, Leg, OrderIntent, OrderType, Side
from bot.daemon.slippage import MOST_ORDERS, SlippageBook
from tests.core_builders import PERPETUAL, at, candle


def order(kind: OrderType = OrderType.MARKET, side: Side = Side.BUY, **changes: object) -> OrderIntent:
    """An entry, or whatever the changes make of it."""
    intent = OrderIntent("id", PERPETUAL, side, 1.0, kind, Leg.ENTRY, at(0), "signal")
    return replace(intent, **changes)  # type: ignore[arg-type]


def fill(price: float, side: Side = Side.BUY, client_order_id: str = "id") -> Fill:
    """An execution of it."""
    return Fill("t", client_order_id, PERPETUAL, side, 1.0, price, 0.0, "USDT", at(1))


@given(st.floats(-0.01, 0.01), st.sampled_from(Side), st.floats(0, 20))
def test_a_market_order_is_measured_from_the_last_close(moved: float, side: Side, modelled: float) -> None:
    """What it moved against us, less what the model takes for granted: 0 is as modelled, more is worse."""
    book = SlippageBook(modelled)
    book.on_candles([candle(0)])
    close = candle(0).close
    book.on_order(order(side=side))
    leg, bps = book.on_fill(fill(close * (1 + side.sign * moved), side))
    assert leg == "entry"
    assert bps == pytest.approx(moved * 1e4 - modelled, abs=1e-6)


def test_a_stop_is_measured_from_its_trigger_and_a_limit_from_its_price() -> None:
    """A limit order is modelled to cost nothing beyond its price."""
    book = SlippageBook(1.5)
    book.on_candles([candle(0)])
    book.on_order(order(OrderType.STOP, Side.SELL, leg=Leg.STOP, stop_price=100.0))
    leg, bps = book.on_fill(fill(99.9, Side.SELL))
    assert (leg, round(bps or 0.0, 6)) == ("stop", 8.5)
    book.on_order(order(OrderType.LIMIT, limit_price=100.0))
    assert book.on_fill(fill(100.0)) == ("entry", 0.0)


def test_an_unknown_order_is_counted_and_not_measured() -> None:
    """After a restart an order may fill that was sent before; one without a close is not measured either."""
    book = SlippageBook(1.5)
    assert book.on_fill(fill(100.0)) == ("unknown", None)
    book.on_order(order())
    assert book.on_fill(fill(100.0)) == ("entry", None)


def test_it_forgets_the_oldest() -> None:
    """Months of orders take no more room than a thousand."""
    book = SlippageBook(1.5)
    for number in range(3 * MOST_ORDERS):
        book.on_order(order(client_order_id=f"id{number}"))
    assert len(book._orders) == MOST_ORDERS
    assert book.on_fill(fill(1.0, client_order_id="id0")) == ("unknown", None)
    assert book.on_fill(fill(1.0, client_order_id=f"id{3 * MOST_ORDERS - 1}"))[0] == "entry"
