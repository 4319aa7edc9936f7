"""Our rows against real ones of OKX: every key of theirs is in ours, and ccxt makes the same structure of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ccxt
import pytest

from bot.simexchange.account import SimAccount
from bot.simexchange.account_execution import NOTHING_TO_REDUCE
from bot.simexchange.bars import Bar
from bot.simexchange.config import Market
from bot.simexchange.okx_account import OkxAccount
from bot.simexchange.okx_listing import Swaps, list_swap
from bot.simexchange.okx_rows import OkxRows
from bot.simexchange.okx_teller import ALGOS, ORDERS, OkxTeller
from bot.simexchange.orders import (
    AccountTerms,
    Disturbance,
    OrderKind,
    OrderRequest,
    OrderStatus,
)
from bot.simexchange.signing import ApiKey
from tests.real_messages import missing_keys, real_message, unified

MINUTE_MS = 60_000
LISTING = list_swap("BTC/USDT:USDT", 100.0)


class World:
    """An account with a long position of two bitcoins, a stop that has triggered and one order that rests."""

    def __init__(self) -> None:
        self.price = 100.0
        self.swaps = Swaps({"BTCUSDT": LISTING})
        terms = AccountTerms(dict(self.swaps.listings))
        self.account = SimAccount(Market.OKX, terms, self._price)
        self.rows = OkxRows(self.account, self.swaps, self._price)
        key = ApiKey("k", "s")
        private = OkxAccount(self.account, self.swaps, key, self._price, lambda: 5, (2.0, 4.0))
        self.teller = OkxTeller(self.rows, private, self.swaps)
        self.parser = ccxt.okx()
        market = self.parser.parse_market(self.swaps.rows()[0])
        self.parser.set_markets([market])

    def _price(self, symbol: str, at_ms: int) -> float:
        del symbol, at_ms
        return self.price

    def buy(self, client_id: str = "one", **more: Any) -> None:
        """Two bitcoins at market."""
        self.account.place(OrderRequest("BTCUSDT", "BUY", OrderKind.MARKET, 2.0, client_id, **more), 5)

    def stop(self, client_id: str = "stop", level: float = 90.0, label: str = "conditional") -> None:
        """A stop over all of it."""
        asked = OrderRequest("BTCUSDT", "SELL", OrderKind.STOP_MARKET, 2.0, client_id, stop_price=level)
        self.account.place(replace(asked, reduce_only=True, label=label), 6)

    def trigger(self) -> None:
        """A minute that falls to 80."""
        self.account.match("BTCUSDT", Bar(MINUTE_MS, 100.0, 100.0, 80.0, 85.0, 1.0))

    def told(self, channel: str) -> list[dict[str, Any]]:
        """What the stream says."""
        messages = [one for event in self.account.take_events() for one in self.teller.messages(event)]
        return [row for message in messages if message["channel"] == channel for row in message["data"]]


def real(name: str) -> Any:
    """A real message's first row."""
    found = real_message("messages", name, exchange="okx")
    return found["data"][0] if "data" in found else found


@pytest.fixture
def world() -> World:
    """A position, a triggered stop, a resting order."""
    made = World()
    made.buy()
    made.stop()
    return made


@pytest.mark.parametrize("name", ["http_get_orders_history.json", "http_get_orders_pending.json"])
def test_an_order_has_the_keys_of_a_real_one_and_parses_to_the_same(world: World, name: str) -> None:
    """Filled like the real one; a client's id apart, which the real ones may lack, ccxt reads the same things of the same types."""
    order = world.account.find("BTCUSDT", client_order_id="one")
    if "pending" in name:
        asked = OrderRequest("BTCUSDT", "BUY", OrderKind.LIMIT, 2.0, "rest", price=90.0)
        order = world.account.place(asked, 7)
    ours = world.rows.order(order)
    theirs = real(name)
    assert missing_keys(theirs, ours) == []
    parsed, expected = world.parser.parse_order(ours), world.parser.parse_order(theirs)
    assert parsed["status"] == expected["status"]
    same = {key for key, value in unified(expected).items() if unified(parsed).get(key) != value}
    assert same <= {"clientOrderId", "average", "price", "lastTradeTimestamp"}


@pytest.mark.parametrize("name", ["ws_orders.json", "ws_orders_trigger.json"])
def test_a_push_has_the_keys_of_a_real_one(world: World, name: str) -> None:
    """Of an order's own execution, and of that of a triggered stop; ccxt reads order and trade from it."""
    world.account.take_events()
    if "trigger" in name:
        world.trigger()
    else:
        world.buy("two")
    ours = world.told(ORDERS)[-1]
    theirs = real(name)
    assert missing_keys(theirs, ours) == []
    ours_read = world.parser.parse_order(ours)
    theirs_read = world.parser.parse_order(theirs)
    assert (ours_read["status"], ours_read["side"]) == (theirs_read["status"], theirs_read["side"])
    differing = {key for key, value in unified(theirs_read).items() if unified(ours_read).get(key) != value}
    assert differing <= {"clientOrderId", "timeInForce"}


@pytest.mark.parametrize(
    "name", ["http_get_orders_algo_pending.json", "http_get_orders_algo_history.json", "ws_orders_algo.json"]
)
def test_a_conditional_order_has_the_keys_of_a_real_one(world: World, name: str) -> None:
    """A trigger like the real ones; where it waits, and where it became an order."""
    world.account.cancel("BTCUSDT", client_order_id="stop", conditional=True, now_ms=6)
    world.stop("level", 95.0, "trigger")
    if "pending" not in name:
        world.trigger()
    ours = world.rows.algo(world.account.find(None, client_order_id="level", conditional=True), 5)
    theirs = real(name)
    if name.startswith("ws"):
        theirs = real_message("messages", name, exchange="okx")["data"][2]
    assert missing_keys(theirs, ours) == []
    read, expected = world.parser.parse_order(ours), world.parser.parse_order(theirs)
    known = {key for key in unified(expected) if key not in unified(read)}
    assert known <= {"clientOrderId", "price"}


def test_the_stream_tells_each_change_of_a_conditional_order_once(world: World) -> None:
    """New, then effective with the number of the order that it became; a pair is one order."""
    world.trigger()
    rows = [(row["algoClOrdId"], row["state"], row["ordId"]) for row in world.told(ALGOS)]
    assert rows == [("stop", "live", ""), ("stop", "effective", "2")]


def test_a_stop_without_a_position_fails_and_says_so() -> None:
    """Its level is reached, and there is nothing to reduce."""
    world = World()
    world.stop()
    world.trigger()
    rows = [(row["state"], row["failCode"]) for row in world.told(ALGOS)]
    assert rows == [("live", ""), ("order_failed", "51169")]
    order = world.account.find(None, client_order_id="stop", conditional=True)
    assert (order.status, order.reason) == (OrderStatus.EXPIRED, NOTHING_TO_REDUCE)


def test_an_execution_has_the_keys_of_a_real_one(world: World) -> None:
    """And parses to the same structure; the fee is negative, as it is paid."""
    ours = world.rows.fill(world.account.trades("BTCUSDT")[0])
    theirs = real("http_transaction_detail.json")
    assert missing_keys(theirs, ours) == []
    swap_row = {**theirs, "instId": "BTC-USDT-SWAP", "instType": "SWAP"}
    assert unified(world.parser.parse_trade(ours)) == unified(world.parser.parse_trade(swap_row))
    assert float(ours["fee"]) < 0


def test_partial_executions_are_told_one_by_one(world: World) -> None:
    """Each push has its own execution, and the sums up to it."""
    world.account.take_events()
    world.account.disturb = lambda _: Disturbance(fill_shares=(0.25, 0.75))
    world.buy("parts")
    rows = world.told(ORDERS)
    assert [(row["state"], row["fillSz"], row["accFillSz"]) for row in rows] == [
        ("live", "0", "0"),
        ("partially_filled", "50", "50"),
        ("filled", "150", "200"),
    ]
    fees = [float(row["fee"]) for row in rows]
    assert fees == pytest.approx(
        [0.0, float(rows[1]["fillFee"]), float(rows[1]["fillFee"]) + float(rows[2]["fillFee"])]
    )


@pytest.mark.parametrize(("channel", "name"), [("account", "ws_account.json")])
def test_the_account_has_the_keys_of_a_real_one(world: World, channel: str, name: str) -> None:
    """As the stream tells it."""
    message = world.teller.snapshot(channel)
    assert message is not None
    assert missing_keys(real(name), message["data"][0]) == []
