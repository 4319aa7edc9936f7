"""A fault plan on OKX: its routes, streams and orders are matched, and what it answers has OKX's shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import ccxt
import pytest

from bot.simexchange.fault_actions import Mutate
from bot.simexchange.fault_messages import mutated, off_by
from bot.simexchange.fault_sight import MessageSight, RequestSight
from bot.simexchange.okx_faults import body_params, closed, error_body, opened, symbol_of

SYMBOL, NAME = "BTC/USDT:USDT", "BTC-USDT-SWAP"
ORDER = {"route": "POST /api/v5/trade/batch-orders"}
CANDLE = '{"arg":{"channel":"candle1m","instId":"BTC-USDT-SWAP"},"data":[["1","10.0","12.0","9.0","11.0","5","0.05","0.5","1"]]}'
PUSH = '{"arg":{"channel":"orders"},"data":[{"instId":"BTC-USDT-SWAP","clOrdId":"c1","state":"filled"}]}'

Trading = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def trading(tmp_path: Path, swap) -> Trading:
    """An exchange that misbehaves as told, its time standing, and a client with the account's key."""

    @asynccontextmanager
    async def start(action: Any, match: dict[str, Any]) -> AsyncIterator[Any]:
        path = tmp_path / "plan.yaml"
        path.write_text(json.dumps({"faults": [{"name": "one", "match": match, "action": action}]}))
        async with swap(start_at="+30m", faults=path) as (server, exchange):
            yield server, exchange

    return start


async def buy(exchange: Any, client_id: str = "c1", **more: Any) -> Any:
    """Two bitcoins."""
    kind = "limit" if "price" in more else "market"
    return await exchange.create_order(
        SYMBOL, kind, "buy", 200, more.get("price"), {"clientOrderId": client_id}
    )


def orders(server: Any) -> list[str]:
    """The client ids of the orders that there truly are."""
    return [row["request"]["client_order_id"] for row in server.trading.floor.account.truth()["orders"]]


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize(
    ("code", "kind"),
    [(50004, ccxt.RequestTimeout), (50026, ccxt.ExchangeNotAvailable), (-1007, ccxt.RequestTimeout)],
)
async def test_an_unknown_outcome_is_one_of_two_truths(
    trading, executed: bool, code: int, kind: type[Exception]
) -> None:
    """The client sees the same, whether or not the order was made; codes of Binance are told in OKX's words."""
    action = {"kind": "answer", "status": 200, "code": code, "executed": executed}
    async with trading(action, {**ORDER, "where": {"clientOrderId": "c1"}, "symbol": "BTCUSDT"}) as (
        server,
        exchange,
    ):
        with pytest.raises(kind):
            await buy(exchange, "c1")
        await buy(exchange, "c2")
        assert orders(server) == (["c1", "c2"] if executed else ["c2"])


@pytest.mark.parametrize("executed", [True, False])
async def test_a_cut_connection_is_one_of_two_truths(trading, executed: bool) -> None:
    """As for the other exchange."""
    async with trading("drop_after" if executed else "drop_before", ORDER) as (server, exchange):
        with pytest.raises(ccxt.OperationFailed):
            await buy(exchange)
        assert orders(server) == (["c1"] if executed else [])


@pytest.mark.parametrize(
    ("code", "kind"),
    [(51008, ccxt.InsufficientFunds), (-2019, ccxt.InsufficientFunds), (51121, ccxt.InvalidOrder)],
)
@pytest.mark.parametrize("match", [ORDER, {"state": "order"}])
async def test_a_refusal_is_told_of_the_order_inside_http_200(trading, match, code: int, kind) -> None:
    """Whether a route or the account refuses; nothing comes of it."""
    async with trading({"kind": "refuse", "code": code}, match) as (server, exchange):
        with pytest.raises(kind, match="sCode"):
            await buy(exchange)
        assert orders(server) == []


async def test_an_order_can_be_found_only_after_its_time(trading) -> None:
    """Order, open orders, executions say nothing of it until then; a cancel of it is refused."""
    async with trading({"kind": "visible_after", "delay_ms": 500}, {"state": "order"}) as (server, exchange):
        made = await buy(exchange, price=98.0)
        hidden: list[tuple[Any, Any]] = [(made["id"], {}), (None, {"clientOrderId": "c1"})]
        for asked in hidden:
            with pytest.raises(ccxt.OrderNotFound, match="51603"):
                await exchange.fetch_order(asked[0], SYMBOL, asked[1])
            with pytest.raises(ccxt.OrderNotFound, match="51400"):
                await exchange.cancel_order(asked[0], SYMBOL, asked[1])
        assert await exchange.fetch_open_orders(SYMBOL) == []
        async with asyncio.timeout(10):
            while server.faults.desk.hides:
                await asyncio.sleep(0.02)
        assert [row["id"] for row in await exchange.fetch_open_orders(SYMBOL)] == [made["id"]]


async def test_a_skewed_clock_refuses_and_tells(swap) -> None:
    """Half a minute is allowed; what is told is wrong by as much."""
    async with swap(start_at="+30m") as (server, exchange):
        skew = {"match": {"state": "clock"}, "action": {"kind": "skew", "ms": 45_000}}
        server.faults.replace({"faults": [skew]})
        with pytest.raises(ccxt.InvalidNonce, match="50102"):
            await exchange.fetch_balance()
        assert await exchange.fetch_time() == server.conductor.now_ms() + 45_000


async def test_rows_may_come_as_nulls(trading) -> None:
    """The envelope stays and its rows are null."""
    async with trading({"kind": "spoil", "how": "null_rows"}, {"route": "GET /api/v5/market/candles"}) as (
        _,
        exchange,
    ):
        answer = await exchange.publicGetMarketCandles({"instId": NAME, "limit": "2"})
        assert (answer["code"], answer["data"]) == ("0", [None, None])


async def test_messages_of_the_streams_are_matched(trading, user_recorder) -> None:
    """The account's by ``user``, with the fields of its first row."""
    match = {"stream": "user", "where": {"data.state": "filled"}, "symbol": "BTCUSDT"}
    async with trading("duplicate", match) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            await buy(exchange)
            await record.until(lambda: len([one for one in record.messages if "data" in one]) >= 3)
        states = [one["data"][0]["state"] for one in record.messages if "data" in one]
        assert states == ["live", "filled", "filled"]


def test_requests_and_messages_are_seen_by_okx_s_names() -> None:
    """Symbol, client's id and fields, of a body, of a push and of a candle."""
    params = body_params('[{"instId":"BTC-USDT-SWAP","clOrdId":"c1","reduceOnly":true,"attachAlgoOrds":[]}]')
    assert params == {"instId": NAME, "clOrdId": "c1", "reduceOnly": "true"}
    sight = RequestSight(1, "POST", "/api/v5/trade/batch-orders", params, 0)
    assert (sight.symbol, sight.client_order_id) == ("BTCUSDT", "c1")
    push, candle = MessageSight("user", PUSH, 0), MessageSight("btcusdt@candle1m", CANDLE, 0)
    assert (push.symbol, push.client_order_id, push.value("data.state")) == ("BTCUSDT", "c1", "filled")
    assert (candle.symbol, candle.value("data.confirm"), candle.value("data.c")) == ("BTCUSDT", "1", "11.0")
    assert (body_params("a=1"), body_params("{"), body_params("[5]"), symbol_of(None)) == (
        None,
        None,
        {},
        None,
    )


def test_messages_are_changed_by_names_and_keep_their_shape() -> None:
    """A candle's columns stay a list; a wrong close stays within its bar."""
    changed = json.loads(mutated(CANDLE, Mutate(set=(("data.confirm", "0"),), remove=())))
    assert changed["data"] == [["1", "10.0", "12.0", "9.0", "11.0", "5", "0.05", "0.5", "0"]]
    wrong = json.loads(off_by(CANDLE, 1_000.0))["data"][0]
    assert (wrong[4], wrong[2]) == ("12.1", "12.1")
    state = json.loads(mutated(PUSH, Mutate(set=(("data.state", "live"),), remove=("data.clOrdId",))))
    assert state["data"] == [{"instId": NAME, "state": "live"}]
    others: list[Any] = [{"event": "login"}, {"data": []}, []]
    for message in others:
        assert closed(opened(message), message) == message


def test_an_error_has_okx_s_shape() -> None:
    """Of an order in its row, of the exchange above; a text of the plan is told."""
    row = error_body("POST", "/api/v5/trade/order", 51008, None)
    assert (row["code"], row["data"][0]["sCode"]) == ("1", "51008")
    assert error_body("GET", "/api/v5/trade/order", 51603, "gone") == {
        "code": "51603",
        "data": [],
        "msg": "gone",
    }
    assert error_body("POST", "/api/v5/trade/order", -1003, None)["code"] == "50011"
