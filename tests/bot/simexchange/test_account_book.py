"""The book of a simulated account: series, look-ups, pairs, and what of it is not journaled yet."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bot.simexchange.account_book import FIRST_CONDITIONAL, OrderBook
from bot.simexchange.config import Market
from bot.simexchange.orders import OrderStatus, SimPair
from tests.sim_accounts import SYMBOL, limit, request, stop, target


@pytest.mark.parametrize(
    ("market", "numbers"), [(Market.USDM, [1, FIRST_CONDITIONAL, 2]), (Market.SPOT, [1, 2, 3])]
)
def test_conditional_orders_have_their_own_numbers_on_the_perpetuals_alone(market, numbers):
    """On spot there is one series."""
    book = OrderBook(market)
    made = [
        book.add(asked, 5)
        for asked in (limit("BUY", 99.0), stop("SELL", 99.0), limit("BUY", 98.0, client_id="b"))
    ]
    assert [order.order_id for order in made] == numbers
    assert len(book.conditional_orders()) == (1 if market is Market.USDM else 0)


def test_an_order_that_ended_is_not_open_and_frees_its_id():
    """It stays to be found by number and by id."""
    book = OrderBook(Market.USDM)
    order = book.add(limit("BUY", 99.0), 5)
    assert book.has_open_id(order.request)
    order.status = OrderStatus.CANCELED
    book.touch(order)
    assert book.open_orders() == []
    assert not book.has_open_id(order.request)
    assert book.get(SYMBOL, None, "limit", conditional=False) is order
    assert book.get(SYMBOL, 1, None, conditional=False) is order


def test_the_latest_order_of_a_client_id_is_found():
    """An id may be used again; an older order that changes later does not come to the front."""
    book = OrderBook(Market.USDM)
    first = book.add(limit("BUY", 99.0), 5)
    second = book.add(limit("BUY", 98.0), 6)
    first.status = OrderStatus.CANCELED
    book.touch(first)
    again = OrderBook(Market.USDM)
    again.apply(book.delta(whole=True))
    again.apply({"orders": book.delta(whole=True)["orders"][:1]})
    for each in (book, again):
        found = each.get(SYMBOL, None, "limit", conditional=False)
        assert found is not None
        assert found.order_id == second.order_id


def test_the_orders_of_a_pair_know_each_other():
    """Either leads to the other; an order by itself has none."""
    book = OrderBook(Market.SPOT)
    alone = book.add(request(), 5)
    pair = book.add_pair("list", SYMBOL, 6)
    near = book.add(stop("SELL", 99.0), 6, list_id=pair.list_id)
    far = book.add(target("SELL", 101.0), 6, list_id=pair.list_id)
    assert pair == SimPair(1, "list", SYMBOL, 2, 3, 6)
    assert (book.twin(near), book.twin(far), book.twin(alone)) == (far, near, None)


def test_only_what_changed_is_given_and_it_makes_the_same_book():
    """After it was saved nothing is left; a change of an old order gives that order alone."""
    book, copy = OrderBook(Market.SPOT), OrderBook(Market.SPOT)
    first = book.add(limit("BUY", 99.0), 5)
    book.add(limit("BUY", 98.0, client_id="b"), 5)
    copy.apply(json.loads(json.dumps(book.delta())))
    book.saved()
    assert book.delta() == {}
    first.status = OrderStatus.CANCELED
    book.touch(first)
    delta = json.loads(json.dumps(book.delta()))
    assert [row["order_id"] for row in delta["orders"]] == [1]
    copy.apply(delta)
    assert copy.delta(whole=True) == book.delta(whole=True)
    assert copy.orders(None, conditional=False)[0] == replace(first)
    assert copy.delta() == {}
