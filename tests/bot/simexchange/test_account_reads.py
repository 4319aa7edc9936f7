"""What an account answers: look-ups, pages, filters by time."""

from __future__ import annotations

import pytest

from bot.simexchange.orders import OrderStatus
from tests.sim_accounts import START_MS, SYMBOL, SimWorld, limit, refused, request, sim_world, stop


@pytest.fixture
def world() -> SimWorld:
    """Ten trades, a second apart, the odd ones of another symbol."""
    made = sim_world()
    for number in range(10):
        made.now_ms = START_MS + number * 1000
        symbol = "BBBUSDT" if number % 2 else SYMBOL
        made.place(request("BUY" if number % 4 < 2 else "SELL", 1.0, f"c{number}", symbol=symbol))
    return made


def test_the_last_ones_come_where_no_beginning_is_asked_for(world):
    """In order of number, as many as wanted."""
    assert [one.trade_id for one in world.account.trades(None, limit=3)] == [8, 9, 10]
    assert [one.order_id for one in world.account.orders(None, limit=3)] == [8, 9, 10]
    assert [one.at_ms for one in world.account.income(limit=2)] == [START_MS + 8000, START_MS + 9000]


def test_the_first_ones_come_from_a_beginning_on(world):
    """So that a client can page to the end."""
    since = START_MS + 2000
    assert [one.trade_id for one in world.account.trades(None, since_ms=since, limit=3)] == [3, 4, 5]
    assert [one.order_id for one in world.account.orders(None, since_ms=since, limit=3)] == [3, 4, 5]
    assert [one.trade_id for one in world.account.trades(None, from_id=4, limit=2)] == [4, 5]
    assert [one.order_id for one in world.account.orders(None, from_id=4, limit=2)] == [4, 5]
    assert world.account.income(since_ms=since, limit=1)[0].at_ms == since


def test_what_is_asked_for_is_what_comes(world):
    """By symbol, by order, by time both ends included, by kind."""
    account = world.account
    assert [one.trade_id for one in account.trades(SYMBOL)] == [1, 3, 5, 7, 9]
    assert [one.trade_id for one in account.trades(None, order_id=4)] == [4]
    between = {"since_ms": START_MS + 2000, "until_ms": START_MS + 4000}
    assert [one.trade_id for one in account.trades(None, **between)] == [3, 4, 5]
    assert [one.order_id for one in account.orders(SYMBOL, **between)] == [3, 5]
    assert len(account.income(kind="COMMISSION")) == 10
    assert {one.symbol for one in account.income(symbol="BBBUSDT")} == {"BBBUSDT"}
    assert account.trades(None, limit=0) == []


def test_an_order_by_number_or_by_client_id(world):
    """The latest of an id that was used again; without a symbol of any."""
    account = world.account
    assert account.find(SYMBOL, order_id=3).request.client_order_id == "c2"
    assert account.find(None, client_order_id="c5").order_id == 6
    world.place(request("BUY", 1.0, "c2"))
    assert account.find(SYMBOL, client_order_id="c2").order_id == 11


def test_an_order_that_is_not_there(world):
    """Unknown number, unknown id, of another symbol, of the other series: it does not exist."""
    account = world.account
    for asked in (
        lambda: account.find(SYMBOL, order_id=99),
        lambda: account.find(SYMBOL, client_order_id="nobody"),
        lambda: account.find("BBBUSDT", order_id=1),
        lambda: account.find("BBBUSDT", client_order_id="c0"),
        lambda: account.find(SYMBOL, client_order_id="c0", conditional=True),
    ):
        assert refused(asked) == (-2013, "Order does not exist.")


def test_neither_number_nor_id(world):
    """The client is told what it forgot."""
    code, text = refused(lambda: world.account.find(SYMBOL))
    assert (code, text[:5]) == (-1102, "Param")
    assert refused(lambda: world.account.cancel(SYMBOL, now_ms=0))[0] == -1102


def test_open_orders_are_those_of_a_series_by_number(world):
    """The conditional ones are asked for by themselves."""
    account = world.account
    world.place(limit("BUY", 99.0, client_id="x"))
    world.place(limit("BUY", 98.0, client_id="y", symbol="BBBUSDT"))
    world.place(stop("SELL", 90.0, client_id="z"))
    assert [one.order_id for one in account.open_orders()] == [11, 12]
    assert [one.order_id for one in account.open_orders("BBBUSDT")] == [12]
    assert [one.request.client_order_id for one in account.open_orders(conditional=True)] == ["z"]
    assert [one.status for one in account.orders(None, conditional=True)] == [OrderStatus.NEW]
