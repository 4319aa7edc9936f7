"""Streams, through the unmodified ccxt client over real sockets, and raw ones for what ccxt hides."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.exchange_client import OneAddressConnector, SimControl

MINUTE_MS = 60_000


def _session(endpoint: Any) -> aiohttp.ClientSession:
    connector = OneAddressConnector((endpoint.host, endpoint.port), Path(endpoint.ca_file))
    return aiohttp.ClientSession(connector=connector)


async def _watch(exchange: Any, symbols: list[str]) -> None:
    while True:
        await exchange.watch_ohlcv_for_symbols([[symbol, "1m"] for symbol in symbols])


async def test_watch_ohlcv_gets_partials_and_the_final(play, make_tape, bars, recorder) -> None:
    """Watching one symbol shows a growing bar, then its exact final values with the closed flag, then the next."""
    async with play(make_tape()) as (_, _, exchange):
        record = recorder(exchange)
        rows = await exchange.watch_ohlcv("BTC/USDT:USDT", "1m")
        assert rows[0][0] == bars("BTCUSDT", 1).ts[0]
        await record.until(lambda: len(record.messages) == 6)
        kinds = [(m["E"] - record.messages[0]["k"]["t"], m["k"]["x"]) for m in record.messages]
        assert kinds == [
            (5_000, False), (20_000, False), (35_000, False), (50_000, False), (60_000, True), (65_000, False),
        ]  # fmt: skip
        tape = bars("BTCUSDT", 60)
        final = record.messages[4]["k"]
        shown = tuple(float(final[key]) for key in "ohlcv")
        assert shown == (tape.open[0], tape.high[0], tape.low[0], tape.close[0], tape.volume[0])


async def test_spot_streams_reach_the_spot_class(play, make_tape, recorder) -> None:
    """The spot class subscribes at its own host and gets its own symbol's bars."""
    async with play(make_tape(exchange="binance")) as (_, _, exchange):
        record = recorder(exchange)
        await exchange.watch_ohlcv("BTC/USDT", "1m")
        await record.until(lambda: len(record.finals()) == 1)
        assert list(exchange.ohlcvs) == ["BTC/USDT"]


async def test_two_hundred_symbols_close_together(play, tmp_path: Path, recorder) -> None:
    """Every one of 200 symbols' final bars of the same minute arrives, minute after minute."""
    names = tuple(f"SIM{number:03d}USDT" for number in range(200))
    async with play(state_dir=tmp_path, symbols=names, history_days=0) as (_, endpoint, exchange):
        record, control = recorder(exchange), SimControl(exchange)
        watching = asyncio.create_task(_watch(exchange, list(endpoint.symbols)))
        for minute in range(1, 4):
            await record.until(lambda count=200 * minute: len(record.finals()) == count)
            await control.acknowledge(max(opened for _, opened in record.finals()) + MINUTE_MS)
        assert len(set(record.finals())) == 600
        watching.cancel()


async def test_the_combined_stream_wraps_its_messages(play, make_tape) -> None:
    """Under /stream each message names its stream; replies to requests are not wrapped."""
    async with (
        play(make_tape()) as (_, endpoint, _),
        _session(endpoint) as session,
        session.ws_connect("wss://fstream.binance.com/stream?streams=btcusdt@kline_1m") as socket,
    ):
        assert await socket.receive_json() == {"result": None, "id": None}
        message = await socket.receive_json()
        assert message["stream"] == "btcusdt@kline_1m"
        assert message["data"]["e"] == "kline"


async def test_subscriptions_are_listed_and_dropped(play, make_tape) -> None:
    """SUBSCRIBE, LIST_SUBSCRIPTIONS and UNSUBSCRIBE do what they say, and time stands when nobody is left."""
    async with (
        play(make_tape()) as (server, endpoint, _),
        _session(endpoint) as session,
        session.ws_connect("wss://fstream.binance.com/market/ws/0") as socket,
    ):
        server.conductor.tell_to_hold(True)
        params = ["btcusdt@kline_1m", "btcusdt@markPrice"]
        await socket.send_json({"method": "SUBSCRIBE", "params": params, "id": 1})
        assert await socket.receive_json() == {"result": None, "id": 1}
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert await socket.receive_json() == {"result": params, "id": 2}
        assert server.hub.subscribed_symbols() == {"BTCUSDT"}
        await socket.send_json({"method": "UNSUBSCRIBE", "params": params[:1], "id": 3})
        assert await socket.receive_json() == {"result": None, "id": 3}
        assert server.hub.subscribed_symbols() == set()


async def test_mark_prices_are_streamed(play, make_tape) -> None:
    """A subscriber of mark prices gets them with the rate and time of the next funding."""
    async with (
        play(make_tape()) as (_, endpoint, _),
        _session(endpoint) as session,
        session.ws_connect("wss://fstream.binance.com/market/ws/0") as socket,
    ):
        params = ["btcusdt@markPrice@1s", "btcusdt@kline_1m"]
        await socket.send_json({"method": "SUBSCRIBE", "params": params, "id": 1})
        messages = [await socket.receive_json() for _ in range(3)]
        mark = next(message for message in messages if message.get("e") == "markPriceUpdate")
        assert (float(mark["r"]), mark["T"] % (8 * 3_600_000)) == (0.0001, 0)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('{"method": "SUBSCRIBE", "params": ["nope@kline_1m"], "id": 5}', 2, "no stream 'nope@kline_1m'"),
        ('{"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": 5}', 2, "no stream 'btcusdt@depth'"),
        ('{"method": "DANCE", "id": 5}', 2, "unknown method"),
        ('{"method": "SUBSCRIBE", "params": "x", "id": 5}', 2, "must be a list"),
        ("[1]", 2, "must be an object"),
        ("{", 3, "Invalid JSON"),
    ],
)
async def test_a_wrong_request_is_answered_and_logged(play, make_tape, caplog, text, code, words) -> None:
    """What cannot be subscribed to is an error to the client and in the log, never silence."""
    async with (
        play(make_tape()) as (_, endpoint, _),
        _session(endpoint) as session,
        session.ws_connect("wss://fstream.binance.com/market/ws/0") as socket,
    ):
        await socket.send_str(text)
        error = (await socket.receive_json())["error"]
        assert error["code"] == code
        assert words in error["msg"]
        assert "stream request refused" in caplog.text


async def test_the_stream_of_the_other_market_is_refused(play, make_tape) -> None:
    """A spot client finds no stream at an exchange that plays perpetuals."""
    async with play(make_tape()) as (_, endpoint, _), _session(endpoint) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect("wss://stream.binance.com:9443/ws/0")
        assert caught.value.status == 404


async def test_clients_are_pinged(play, make_tape) -> None:
    """The exchange pings with the market time as payload."""
    async with (
        play(make_tape(), ping_seconds=0.05) as (_, endpoint, _),
        _session(endpoint) as session,
        session.ws_connect("wss://fstream.binance.com/market/ws/0", autoping=False) as socket,
    ):
        message = await asyncio.wait_for(socket.receive(), 5)
        assert message.type is aiohttp.WSMsgType.PING
        assert int(message.data) > 1_684_000_000_000


async def test_a_client_that_never_reads_is_thrown_out(play, make_tape, monkeypatch) -> None:
    """A session whose queue is full is closed and no longer counts as a subscriber."""
    monkeypatch.setattr("bot.simexchange.binance_stream.QUEUE_LIMIT", 3)
    async with (
        play(make_tape()) as (server, endpoint, _),
        _session(endpoint) as session,
        session.ws_connect("wss://fstream.binance.com/market/ws/0") as socket,
    ):
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 1})
        await socket.receive_json()
        for _ in range(10):
            server.hub.publish("btcusdt@kline_1m", "{}")
        assert server.hub.subscribed_symbols() == set()
        async with asyncio.timeout(5):
            while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_a_client_with_another_authority_cannot_connect(play, make_tape, tmp_path: Path) -> None:
    """A client that trusts another certificate authority is refused before a byte of HTTP."""
    async with (
        play(make_tape()) as (_, endpoint, _),
        play(make_tape(), state_dir=tmp_path / "other") as (_, other, _),
    ):
        connector = OneAddressConnector((endpoint.host, endpoint.port), Path(other.ca_file))
        async with aiohttp.ClientSession(connector=connector) as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError) as caught:
                await session.get("https://fapi.binance.com/fapi/v1/ping")
            assert isinstance(caught.value.certificate_error, ssl.SSLCertVerificationError)
