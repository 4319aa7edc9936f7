"""OKX's streams: login, subscriptions, candles and what the account is told, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bot.clock import wall_ms
from bot.simexchange.config import API_KEY, API_PASSPHRASE, API_SECRET
from bot.simexchange.okx_signing import LOGIN_TEXT, signature

SYMBOL, NAME = "BTC/USDT:USDT", "BTC-USDT-SWAP"
CANDLE = {"channel": "candle1m", "instId": NAME}


class Wire:
    """A socket without ccxt: what is sent and heard as it is."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def ask(self, op: str, *args: dict[str, Any]) -> dict[str, Any]:
        """Send a request; its answer."""
        await self._socket.send_json({"op": op, "args": list(args)})
        return await self.hear()

    async def say(self, text: str) -> str:
        """Send a text; the next text that comes."""
        await self._socket.send_str(text)
        async with asyncio.timeout(10):
            return str(await self._socket.receive_str())

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(10):
            return dict(await self._socket.receive_json())

    async def login(self, **changed: str) -> dict[str, Any]:
        """Log in with the account's key."""
        stamp = str(wall_ms() // 1000)
        sign = signature(stamp + LOGIN_TEXT, API_SECRET)
        given = {"apiKey": API_KEY, "passphrase": API_PASSPHRASE, "timestamp": stamp, "sign": sign}
        return await self.ask("login", {**given, **changed})


@pytest.fixture
def wire(swap) -> Callable[..., Any]:
    """An exchange, a client, and a bare socket to one of the three places."""

    @asynccontextmanager
    async def start(place: str, **settings: Any) -> AsyncIterator[tuple[Any, Any, Wire]]:
        async with swap(**settings) as (server, exchange):
            exchange.open()
            async with exchange.session.ws_connect(f"wss://ws.okx.com:8443/ws/v5/{place}") as socket:
                yield server, exchange, Wire(socket)

    return start


async def test_a_text_ping_is_answered_by_a_text(wire) -> None:
    """On each place, whether or not anybody has logged in."""
    async with wire("public") as (_, _, socket):
        assert await socket.say("ping") == "pong"


async def test_a_subscription_is_acknowledged_and_ended(wire) -> None:
    """With the argument that it was asked for; the market knows who listens."""
    async with wire("business") as (server, _, socket):
        told = await socket.ask("subscribe", CANDLE)
        assert (told["event"], told["arg"], len(told["connId"])) == ("subscribe", CANDLE, 8)
        assert server.hub.subscribed_symbols() == {"BTCUSDT"}
        while (told := await socket.ask("unsubscribe", CANDLE)).get("event") != "unsubscribe":
            pass
        assert server.hub.subscribed_symbols() == set()


@pytest.mark.parametrize(
    ("place", "args", "code"),
    [
        ("public", CANDLE, "60018"),
        ("business", {"channel": "candle5m", "instId": NAME}, "60018"),
        ("business", {"channel": "candle1m", "instId": "NOPE"}, "60018"),
        ("private", {"channel": "orders-algo", "instType": "SWAP"}, "60018"),
        ("private", {"channel": "orders", "instType": "SWAP"}, "60011"),
        ("private", {"channel": "account"}, "60011"),
        ("business", {"channel": "orders-algo", "instType": "ANY"}, "60011"),
    ],
)
async def test_what_there_is_not_and_what_is_private_is_refused(wire, place: str, args, code: str) -> None:
    """A channel of another address does not exist; one of the account wants a login."""
    async with wire(place) as (_, _, socket):
        told = await socket.ask("subscribe", args)
        assert (told["event"], told["code"]) == ("error", code)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"sign": "x"}, "60007"),
        ({"apiKey": "x"}, "60005"),
        ({"passphrase": "x"}, "60024"),
        ({"timestamp": "1"}, "60006"),
    ],
)
async def test_a_wrong_login_is_refused(wire, changed: dict[str, str], code: str) -> None:
    """With the code of what is wrong, and it stays outside."""
    async with wire("private") as (server, _, socket):
        told = await socket.login(**changed)
        assert (told["event"], told["code"]) == ("error", code)
        assert (await socket.ask("subscribe", {"channel": "orders", "instType": "ANY"}))["code"] == "60011"
        assert server.trading.streams.listeners == 0


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"op": "subscribe"}', '{"op": "order", "args": []}', '{"op": "login", "args": [1]}']
)
async def test_a_request_that_is_none_is_told_so(wire, text: str) -> None:
    """With code 60012, and the connection stays."""
    async with wire("private") as (_, _, socket):
        assert json.loads(await socket.say(text))["code"] == "60012"
        assert (await socket.login())["event"] == "login"


async def test_money_and_positions_begin_with_how_they_stand(wire) -> None:
    """Right after the acknowledgement, and then with each change."""
    async with wire("private") as (_, exchange, socket):
        assert (await socket.login())["code"] == "0"
        for channel in ("account", "positions", "balance_and_position"):
            arg = {"channel": channel} if channel != "positions" else {"channel": channel, "instType": "ANY"}
            assert (await socket.ask("subscribe", arg))["event"] == "subscribe"
            assert (await socket.hear())["arg"] == arg
        await exchange.create_order(SYMBOL, "market", "buy", 200)
        heard = {(message := await socket.hear())["arg"]["channel"]: message["data"][0] for _ in range(3)}
        assert heard["positions"]["pos"] == "200"
        assert heard["account"]["details"][0]["ccy"] == "USDT"
        assert heard["balance_and_position"]["posData"][0]["pos"] == "200"


async def test_ccxt_hears_orders_and_executions(swap, user_recorder) -> None:
    """A market order is told as new and as filled, with the same numbers as over REST."""
    async with swap(start_at="+10m") as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            trades = asyncio.create_task(exchange.watch_my_trades(SYMBOL))
            await record.until(lambda: server.trading.streams.listeners > 0, poll=True)
            await exchange.create_order(SYMBOL, "market", "buy", 200, None, {"clientOrderId": "one"})
            await record.until(lambda: ("one", "closed") in record.orders)
            rows = [message["data"][0] for message in record.messages if message.get("data")]
            told = [(row["clOrdId"], row["state"], row["fillSz"], row["tradeId"]) for row in rows]
            assert told[:2] == [("one", "live", "0", ""), ("one", "filled", "200", "1")]
            (true,) = await exchange.fetch_my_trades(SYMBOL)
            async with asyncio.timeout(10):
                (heard,) = await trades
            assert (heard["price"], heard["amount"], heard["order"], heard["takerOrMaker"]) == (
                true["price"],
                true["amount"],
                true["order"],
                "taker",
            )


async def test_ccxt_hears_conditional_orders(swap) -> None:
    """On the business address: made, canceled."""
    async with swap() as (server, exchange):
        heard: list[tuple[str, str]] = []

        async def watch() -> None:
            while True:
                news = await exchange.watch_orders(params={"trigger": True})
                heard.extend((order["info"]["algoClOrdId"], order["info"]["state"]) for order in news)

        task = asyncio.create_task(watch())
        async with asyncio.timeout(20):
            while "orders-algo" not in server.hub.channels():
                await asyncio.sleep(0.01)
            params = {"algoClOrdId": "stop", "reduceOnly": True, "stopLossPrice": 90.0}
            made = await exchange.create_order(SYMBOL, "market", "sell", 200, None, params)
            await exchange.cancel_order(made["id"], SYMBOL, {"trigger": True})
            while ("stop", "canceled") not in heard:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert ("stop", "live") in heard


async def test_candles_are_told_unfinished_and_final(swap, bars, start_ms: int) -> None:
    """Each minute with several updates and one that is confirmed, equal to the tape; volume in base units for ccxt."""
    async with swap(start_at="+10m") as (server, exchange):
        rows: list[list[str]] = []
        inner = exchange.handle_ohlcv

        def hook(client: Any, message: dict[str, Any]) -> None:
            rows.extend(message["data"])
            inner(client, message)

        exchange.handle_ohlcv = hook
        async with asyncio.timeout(20):
            while sum(row[8] == "1" for row in rows) < 3:
                await exchange.watch_ohlcv_for_symbols([[SYMBOL, "1m"]])
                if waits := server.conductor.state()["awaiting_ack_ms"]:
                    server.conductor.acknowledge(waits)
        made = bars("BTCUSDT", 60)
        finals = [row for row in rows if row[8] == "1"]
        assert [int(row[0]) for row in finals] == [start_ms + n * 60_000 for n in (10, 11, 12)]
        assert [float(row[4]) for row in finals] == made.close[10:13].tolist()
        assert [float(row[6]) for row in finals] == made.volume[10:13].tolist()
        assert [row[8] for row in rows if row[0] == finals[0][0]] == ["0", "0", "0", "0", "1"]


async def test_a_private_stream_that_is_dropped_is_gone(wire) -> None:
    """Who has logged in is cut off; nothing expires here."""
    async with wire("private") as (server, _, socket):
        assert (server.trading.streams.drop(), server.trading.streams.expire()) == (0, False)
        await socket.login()
        assert server.trading.streams.drop() == 1
        with pytest.raises((TypeError, ConnectionError)):
            await socket.hear()
