"""The private streams, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import asyncio
import json

import ccxt
import pytest

from bot.exchange_client import SimControl
from bot.simexchange import user_stream

SYMBOL = "ETH/USDT:USDT"
SPOT = "ETH/USDT"
MINUTE_MS = 60_000


def stop(price: float) -> dict[str, object]:
    """Parameters of a stop that closes a long position."""
    return {"stopLossPrice": price, "reduceOnly": True, "clientOrderId": "stop"}


async def buy(exchange, symbol: str = SYMBOL, client_id: str = "entry"):
    """Two coins at market."""
    return await exchange.create_order(symbol, "market", "buy", 2, None, {"newClientOrderId": client_id})


async def test_a_fill_is_told(trade, make_tape, user_recorder) -> None:
    """NEW, the execution in short and in full, the account; ccxt makes orders, trades and a balance of them."""
    async with trade(make_tape("ETHUSDT")) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            order = await buy(exchange)
            await record.until(
                lambda: ("entry", "closed") in record.orders and record.events("ACCOUNT_UPDATE")
            )
        assert [event["o"]["x"] for event in record.events("ORDER_TRADE_UPDATE")] == ["NEW", "TRADE"]
        assert [event["i"] for event in record.events("TRADE_LITE")] == [int(order["id"])]
        assert [event["a"]["m"] for event in record.events("ACCOUNT_UPDATE")] == ["ORDER"]
        fills = [(fill["order"], fill["amount"], fill["price"]) for fill in exchange.myTrades]
        assert fills == [(order["id"], 2.0, order["average"])]
        wallet = exchange.balance["linear"]["USDT"]["total"]
        assert wallet == 10_000 - exchange.myTrades[0]["fee"]["cost"]


async def test_a_triggered_stop_is_told_before_the_candle_that_it_happened_in(
    trade, make_tape, user_recorder, start_ms: int
) -> None:
    """The conditional order triggers and finishes, its market order executes, and all of it is read before the candle."""
    async with trade(make_tape("ETHUSDT")) as (server, exchange):
        record = user_recorder(exchange)
        heard_before: list[int] = []
        inner = exchange.handle_ohlcv

        def on_candle(client, message) -> None:
            if message["k"]["x"]:
                heard_before.append(len(record.messages))
            inner(client, message)

        exchange.handle_ohlcv = on_candle
        async with record.listening(server):
            await buy(exchange)
            await exchange.create_order(SYMBOL, "market", "sell", 2, None, stop(99.9))
            watching = asyncio.create_task(exchange.watch_ohlcv(SYMBOL, "1m"))
            await record.until(lambda: bool(heard_before), poll=True)
            watching.cancel()
        algo = [event["o"] for event in record.events("ALGO_UPDATE")]
        assert [(told["X"], told["caid"]) for told in algo] == [
            ("NEW", "stop"),
            ("TRIGGERED", "stop"),
            ("FINISHED", "stop"),
        ]
        orders = [event["o"] for event in record.events("ORDER_TRADE_UPDATE")]
        closing = [told for told in orders if told["c"] == "stop"]
        assert [(told["x"], told["X"]) for told in closing] == [("NEW", "NEW"), ("TRADE", "FILLED")]
        assert {told["ai"] for told in algo[1:]} == {str(closing[0]["i"])}
        assert {told["T"] for told in closing} == {start_ms + MINUTE_MS - 1}
        assert heard_before == [len(record.messages)]
        assert await exchange.fetch_positions() == []


async def test_a_client_that_does_not_read_holds_the_market_for_its_patience_only(
    trade, make_tape, user_recorder, monkeypatch
) -> None:
    """A paced market goes on without a client that answers no ping."""
    monkeypatch.setattr(user_stream, "PATIENCE_SECONDS", 0.1)
    async with trade(make_tape("ETHUSDT")) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            await buy(exchange)
            await exchange.create_order(SYMBOL, "market", "sell", 2, None, stop(99.9))
            for session in server.trading.streams._sessions:
                session._take_pong = lambda message: None
            async with asyncio.timeout(20):
                await exchange.watch_ohlcv(SYMBOL, "1m")
                while (await SimControl(exchange).clock())["awaiting_ack_ms"] is None:
                    await asyncio.sleep(0.01)


async def test_an_expired_listen_key_is_told_and_hears_no_more(trade, make_tape, user_recorder) -> None:
    """After the event nothing comes; renewing is refused; a new key brings a stream that lives."""
    async with trade(make_tape("ETHUSDT")) as (server, exchange):
        record, control = user_recorder(exchange), SimControl(exchange)
        async with record.listening(server):
            old = exchange.options["linear"]["listenKey"]
            assert (await control.expire_listen_key()) == {"expired": True}
            await record.until(lambda: record.events("listenKeyExpired"))
            assert record.events("listenKeyExpired")[0]["listenKey"] == old
            await buy(exchange)
            with pytest.raises(ccxt.BaseError, match="-1125"):
                await exchange.fapiPrivatePutListenKey()
        assert record.events("ORDER_TRADE_UPDATE") == []
        assert (await control.expire_listen_key()) == {"expired": False}
        exchange.options["linear"] = {}
        async with record.listening(server):
            assert exchange.options["linear"]["listenKey"] != old
            await buy(exchange, client_id="second")
            await record.until(lambda: ("second", "closed") in record.orders)


async def test_one_key_serves_until_it_is_closed(trade, make_tape) -> None:
    """Asking again gives the same key and renews it; a closed one is not renewed."""
    async with trade(make_tape()) as (_, exchange):
        first = (await exchange.fapiPrivatePostListenKey())["listenKey"]
        assert len(first) == 64
        assert (await exchange.fapiPrivatePostListenKey())["listenKey"] == first
        assert (await exchange.fapiPrivatePutListenKey())["listenKey"] == first
        await exchange.fapiPrivateDeleteListenKey()
        with pytest.raises(ccxt.BaseError, match="-1125"):
            await exchange.fapiPrivatePutListenKey()


async def test_a_wrong_listen_key_gets_no_stream(trade, make_tape) -> None:
    """A private stream under a key that is not valid is refused, so that nobody waits on a silent one."""
    async with trade(make_tape()) as (_, exchange):
        exchange.options["linear"] = {
            "listenKey": "a" * 64,
            "lastAuthenticatedTime": exchange.milliseconds(),
        }
        with pytest.raises(ccxt.NetworkError):
            await exchange.watch_orders()


async def test_dropped_streams_are_noticed(trade, make_tape, user_recorder) -> None:
    """The command cuts the private connections, and the client's watch raises."""
    async with trade(make_tape()) as (server, exchange):
        watching = asyncio.create_task(exchange.watch_orders())
        async with asyncio.timeout(10):
            while not server.trading.streams.listeners:
                await asyncio.sleep(0.01)
            assert await SimControl(exchange).drop_user_streams() == {"dropped": 1}
            with pytest.raises(ccxt.NetworkError):
                await watching


async def test_funding_is_told(trade, make_tape, user_recorder, start_ms: int, bars) -> None:
    """At a funding time the account says FUNDING_FEE and what was paid, and the income history has the line."""
    tape = make_tape("ETHUSDT", minutes=500)
    async with trade(tape, start_at="+479m") as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            await buy(exchange)
            watching = asyncio.create_task(exchange.watch_ohlcv(SYMBOL, "1m"))
            await record.until(lambda: len(record.events("ACCOUNT_UPDATE")) == 2)
            watching.cancel()
        told = record.events("ACCOUNT_UPDATE")[1]
        paid = 2.0 * float(bars("ETHUSDT", 500).open[480]) * 0.0001
        assert (told["T"], told["a"]["m"], told["a"]["P"]) == (start_ms + 480 * MINUTE_MS, "FUNDING_FEE", [])
        assert float(told["a"]["B"][0]["bc"]) == pytest.approx(-paid)
        history = await exchange.fetch_funding_history(SYMBOL)
        assert [(line["amount"], line["timestamp"]) for line in history] == [(-paid, told["T"])]


async def test_spot_is_heard_over_the_websocket_api(trade, make_tape, user_recorder) -> None:
    """A signed subscription brings executionReport and outboundAccountPosition, wrapped with its number."""
    async with trade(make_tape("ETHUSDT", exchange="binance")) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            await buy(exchange, SPOT)
            await record.until(lambda: ("entry", "closed") in record.orders)
            order = await exchange.create_order(SPOT, "limit", "buy", 1, 95, {"clientOrderId": "rest"})
            await exchange.cancel_order(order["id"], SPOT, {"newClientOrderId": "away"})
            await record.until(lambda: ("rest", "canceled") in record.orders)
        assert {m["subscriptionId"] for m in record.messages if "event" in m} == {0}
        reports = record.events("executionReport")
        assert [(told["x"], told["c"], told["C"]) for told in reports] == [
            ("NEW", "entry", ""),
            ("TRADE", "entry", ""),
            ("NEW", "rest", ""),
            ("CANCELED", "away", "rest"),
        ]
        position = record.events("outboundAccountPosition")[-1]["B"]
        assert {part["a"]: float(part["f"]) for part in position}["ETH"] == 2.0


async def test_a_pair_is_told_from_start_to_end(trade, make_tape, user_recorder) -> None:
    """A list says when it begins and when it is done; the order that was not reached expires."""
    async with trade(make_tape("ETHUSDT", exchange="binance")) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            await buy(exchange, SPOT)
            legs = {
                "aboveType": "LIMIT_MAKER", "abovePrice": "110", "aboveClientOrderId": "target",
                "belowType": "STOP_LOSS", "belowStopPrice": "99.9", "belowClientOrderId": "stop",
            }  # fmt: skip
            await exchange.privatePostOrderListOco(
                {"symbol": "ETHUSDT", "side": "SELL", "quantity": "2", "listClientOrderId": "both", **legs}
            )
            watching = asyncio.create_task(exchange.watch_ohlcv(SPOT, "1m"))
            await record.until(lambda: len(record.events("listStatus")) == 2)
            watching.cancel()
        lists = [(told["l"], told["L"], told["C"]) for told in record.events("listStatus")]
        assert lists == [("EXEC_STARTED", "EXECUTING", "both"), ("ALL_DONE", "ALL_DONE", "both")]
        ends = {told["c"]: told["X"] for told in record.events("executionReport")}
        assert ends == {"entry": "FILLED", "stop": "FILLED", "target": "EXPIRED"}


async def test_spot_tells_that_a_stream_is_terminated(trade, make_tape, user_recorder) -> None:
    """The command ends the subscriptions; ccxt drops its own."""
    async with trade(make_tape(exchange="binance")) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            await SimControl(exchange).expire_listen_key()
            await record.until(lambda: record.events("eventStreamTerminated"))
            assert server.trading.streams.listeners == 0


async def test_the_websocket_api_refuses_loudly(trade, make_tape) -> None:
    """A bad signature, an unknown method and what is no JSON are answered with an error of the same id."""
    async with (
        trade(make_tape(exchange="binance")) as (_, exchange),
        exchange.session.ws_connect("wss://ws-api.binance.com/ws-api/v3") as socket,
    ):

        async def ask(text: str):
            await socket.send_str(text)
            return json.loads((await socket.receive(10)).data)

        params = exchange.sign_params({})
        subscribe = {"id": "1", "method": "userDataStream.subscribe.signature"}
        bad = await ask(json.dumps({**subscribe, "params": {**params, "signature": "ff"}}))
        assert (bad["id"], bad["status"], bad["error"]["code"]) == ("1", 400, -1022)
        good = await ask(json.dumps({**subscribe, "params": params}))
        assert (good["status"], good["result"]) == (200, {"subscriptionId": 0})
        assert (await ask('{"id": 2, "method": "order.place"}'))["error"]["code"] == -5000
        assert (await ask('{"id": 3, "method": "ping"}'))["result"] == {}
        assert "serverTime" in (await ask('{"id": 4, "method": "time"}'))["result"]
        assert (await ask("{"))["error"]["code"] == -1135
        assert (await ask("[]"))["error"]["code"] == -1135
