"""Faults of streams, seen by the unmodified ccxt client and by raw sockets for what ccxt hides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest
from aiohttp import WSMsgType

from bot.exchange_client import OneAddressConnector, SimControl
from bot.simexchange.fault_actions import Drop, VisibleAfter
from bot.simexchange.fault_desk import FaultDesk
from bot.simexchange.fault_plan import Fault, FaultPlan, Match
from bot.simexchange.fault_stream import USER, Line, StreamFaults
from bot.simexchange.orders import OrderKind, OrderRequest

SYMBOL = "BTC/USDT:USDT"
STREAM = "btcusdt@kline_1m"
URL = f"wss://fstream.binance.com/market/ws/{STREAM}"
MINUTE_MS = 60_000

Disturbed = Callable[..., AbstractAsyncContextManager[Any]]


def _fault(action: Any, name: str = "one", **match: Any) -> dict[str, Any]:
    return {"name": name, "match": {"stream": ".+@kline_1m", **match}, "action": action}


CLOSED: dict[str, Any] = {"where": {"k.x": True}}
SECOND: dict[str, Any] = {"seconds": [20, 21]}
"""Of the four unfinished bars of a minute (at 5, 20, 35, 50 s), the second."""


@pytest.fixture
def disturbed(tmp_path: Path, play, make_tape) -> Disturbed:
    """A paced exchange with a plan, and an unmodified client that is connected to it."""

    @asynccontextmanager
    async def start(*faults: dict[str, Any], **config: Any) -> AsyncIterator[Any]:
        path = tmp_path / "plan.yaml"
        path.write_text(json.dumps({"faults": list(faults)}), encoding="utf-8")
        async with play(make_tape(), faults=path, **config) as (server, endpoint, exchange):
            yield server, endpoint, exchange

    return start


@asynccontextmanager
async def _raw(endpoint: Any, url: str = URL) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A socket that answers no pings by itself and shows every frame; its first message has come."""
    connector = OneAddressConnector((endpoint.host, endpoint.port), Path(endpoint.ca_file))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.ws_connect(url, autoping=False, autoclose=False) as socket,
    ):
        assert (await socket.receive_json(timeout=10))["result"] is None
        yield socket


async def _watch(exchange: Any) -> None:
    """Watch until it fails."""
    async with asyncio.timeout(20):
        while True:
            await exchange.watch_ohlcv(SYMBOL, "1m")


async def _back(server: Any, exchange: Any) -> list[list[float]]:
    """Connect again, and say that all is done with so that the paced market has something new to send."""
    exchange.clients.clear()
    async with asyncio.timeout(20):
        await SimControl(exchange).acknowledge(server.conductor.state()["last_close_ms"])
        rows: list[list[float]] = await exchange.watch_ohlcv(SYMBOL, "1m")
        return rows


async def _times(disturbed: Disturbed, recorder: Any, count: int, *faults: Any) -> list[int]:
    """The seconds after the start at which the first messages were made, as a ccxt client got them."""
    async with disturbed(*faults) as (server, _, exchange):
        record = recorder(exchange)
        await exchange.watch_ohlcv(SYMBOL, "1m")
        await record.until(lambda: len(record.messages) >= count)
        return [(message["E"] - server.conductor.start_ms) // 1000 for message in record.messages]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (_fault("drop", **SECOND), [5, 35, 50, 60, 65]),
        (_fault({"kind": "duplicate", "times": 2}, **CLOSED), [5, 20, 35, 50, 60, 60, 60, 65]),
        (_fault({"kind": "reorder", "by": 2}, **SECOND), [5, 35, 50, 20, 60, 65]),
        (_fault({"kind": "reorder", "by": 9, "seconds": 0.2}, **SECOND), [5, 35, 50, 60, 65, 20]),
        (_fault({"kind": "late", "delay_ms": 200}, **SECOND), [5, 35, 50, 60, 65, 20]),
        (_fault({"kind": "replay", "back": 2}), [5, 20, 35, 5, 50, 60, 65]),
        (_fault({"kind": "stall", "seconds": 0.3, "lose": False}, **SECOND), [5, 20, 35, 50, 60, 65]),
        (_fault("drop", count="every", after=1), [5]),
    ],
)
async def test_a_client_gets_what_the_plan_lets_through(
    disturbed, recorder, fault: Any, expected: Any
) -> None:
    """Dropped, doubled, late, reordered and repeated messages arrive so; all others once and in order."""
    assert await _times(disturbed, recorder, len(expected), fault) == expected


async def test_a_final_candle_may_lack_its_flag(disturbed, recorder) -> None:
    """``mutate`` removes and sets fields of the message, and leaves the rest as it was."""
    mutate = {"kind": "mutate", "remove": ["k.x"], "set": {"k.n": 7, "no.such": 1}}
    async with disturbed(_fault(mutate, **CLOSED)) as (_, _, exchange):
        messages: list[dict[str, Any]] = []
        exchange.handle_ohlcv = lambda _, message: messages.append(message)
        watching = asyncio.ensure_future(exchange.watch_ohlcv(SYMBOL, "1m"))
        async with asyncio.timeout(20):
            while len(messages) < 6:
                await asyncio.sleep(0.01)
        watching.cancel()
        assert ["x" in message["k"] for message in messages] == [True] * 4 + [False, True]
        assert messages[4]["k"]["n"] == 7
        assert "no" not in messages[4]


@pytest.mark.parametrize("wrong", ["first", "last"])
async def test_a_closed_candle_is_corrected_later(disturbed, recorder, wrong: str) -> None:
    """Two finals of one minute differ; one has the values that REST shows, as does the log."""
    correct = {"kind": "correct", "by_bps": 5, "wrong": wrong, "messages": 1}
    async with disturbed(_fault(correct, **CLOSED)) as (_, _, exchange):
        record = recorder(exchange)
        await exchange.watch_ohlcv(SYMBOL, "1m")
        await record.until(lambda: len(record.finals()) == 2)
        first, second = (message for message in record.messages if message["k"]["x"])
        assert record.messages.index(second) - record.messages.index(first) == 2
        row = (await exchange.fetch_ohlcv(SYMBOL, "1m", limit=1, since=first["k"]["t"]))[0]
        right, off = (second, first) if wrong == "first" else (first, second)
        assert float(right["k"]["c"]) == row[4]
        assert float(off["k"]["c"]) == pytest.approx(row[4] * 1.0005, abs=0.01)
        assert float(off["k"]["c"]) != row[4]
        assert float(off["k"]["l"]) <= float(off["k"]["c"]) <= float(off["k"]["h"])
        assert first["k"]["t"] == second["k"]["t"]


async def test_a_torn_frame_is_no_json(disturbed) -> None:
    """The frame itself is whole; what is in it is the first part of the message."""
    async with disturbed(_fault({"kind": "corrupt", "share": 0.4}, **SECOND)) as (_, endpoint, _):
        async with _raw(endpoint) as socket:
            frames = [(await socket.receive(timeout=10)).data for _ in range(3)]
        whole = json.loads(frames[0])
        with pytest.raises(json.JSONDecodeError):
            json.loads(frames[1])
        assert frames[1].startswith('{"e":"kline"')
        assert len(frames[1]) < len(frames[0])
        assert json.loads(frames[2])["E"] == whole["E"] + 30_000


@pytest.mark.parametrize("kind", ["stall", "no_pong"])
async def test_a_silent_socket_answers_pings_or_does_not(disturbed, kind: str) -> None:
    """While it is silent nothing is sent; pings are answered in a stall only, and the exchange's own come only then."""
    fault = _fault({"kind": kind, "seconds": 600}, **SECOND)
    async with disturbed(fault, ping_seconds=0.05) as (server, endpoint, _), _raw(endpoint) as socket:
        assert json.loads((await _next(socket, WSMsgType.TEXT)).data)["e"] == "kline"
        async with asyncio.timeout(20):
            while server.conductor.state()["held_because"] != "awaiting_ack":
                await asyncio.sleep(0.01)  # five more messages were published
        while not (session := next(iter(server.hub._sessions))).line.silent:
            await asyncio.sleep(0.01)
        await socket.ping(b"there?")
        seen = []
        try:
            while True:
                seen.append((await socket.receive(timeout=0.4)).type)
                if len(seen) > 40:
                    break
        except TimeoutError:
            assert kind == "no_pong"
        assert WSMsgType.TEXT not in seen
        assert (WSMsgType.PONG in seen) is (kind == "stall")
        assert session.line.deaf is (kind == "no_pong")


async def test_after_its_silence_a_socket_goes_on_with_what_is_new(disturbed) -> None:
    """What should have been sent meanwhile is lost; pings are answered and messages sent again."""
    fault = _fault({"kind": "no_pong", "seconds": 0.5}, **SECOND)
    async with disturbed(fault) as (server, endpoint, exchange), _raw(endpoint) as socket:
        assert json.loads((await _next(socket, WSMsgType.TEXT)).data)["e"] == "kline"
        async with asyncio.timeout(20):
            while not any(session.line.silent for session in server.hub._sessions):
                await asyncio.sleep(0.01)
            while any(session.line.silent for session in server.hub._sessions):
                await asyncio.sleep(0.01)
        await socket.ping(b"there?")
        assert (await _next(socket, WSMsgType.PONG)).data == b"there?"
        start_ms = server.conductor.start_ms
        await SimControl(exchange).acknowledge(start_ms + MINUTE_MS)
        message = json.loads((await _next(socket, WSMsgType.TEXT)).data)
        assert message["E"] == start_ms + MINUTE_MS + 20_000


async def test_ccxt_gives_up_on_a_socket_without_pongs(disturbed) -> None:
    """The client's own keep-alive ends the connection, and a new watch opens another."""
    fault = _fault({"kind": "no_pong", "seconds": 600}, **SECOND)
    async with disturbed(fault) as (server, _, exchange):
        exchange.streaming = {**exchange.streaming, "keepAlive": 100}
        with pytest.raises(ccxt.RequestTimeout, match="ping-pong"):
            await _watch(exchange)
        assert await _back(server, exchange)


@pytest.mark.parametrize(("close_frame", "code"), [(True, 1001), (False, 1006)])
@pytest.mark.parametrize("sent", [True, False])
async def test_a_socket_is_cut_with_or_without_a_word(
    disturbed, close_frame: bool, code: int, sent: bool
) -> None:
    """Everything before arrives, the message itself where the plan lets it, and then the end."""
    fault = _fault({"kind": "cut", "close_frame": close_frame, "sent": sent}, **CLOSED)
    async with disturbed(fault) as (server, endpoint, exchange):
        async with _raw(endpoint) as socket:
            texts = []
            while (frame := await socket.receive(timeout=10)).type is WSMsgType.TEXT:
                texts.append(json.loads(frame.data)["k"]["x"])
            assert texts == [False] * 4 + [True] * sent
            assert frame.type is (WSMsgType.CLOSE if close_frame else WSMsgType.CLOSED)
            assert (frame.data if close_frame else socket.close_code) == code
        assert await _back(server, exchange)


async def test_ccxt_sees_a_cut_as_a_network_error_and_can_come_back(disturbed, recorder) -> None:
    """The watch raises, and the next one subscribes anew."""
    async with disturbed(_fault("cut", **SECOND)) as (server, _, exchange):
        record = recorder(exchange)
        with pytest.raises(ccxt.NetworkError):
            await _watch(exchange)
        assert await _back(server, exchange)
        assert record.messages[-1]["E"] > record.messages[0]["E"]


async def test_after_a_cut_new_streams_can_be_refused(disturbed) -> None:
    """A dial is accepted and closed at once for as long as the plan says; requests are answered."""
    async with disturbed(_fault({"kind": "cut", "refuse_s": 600}, **SECOND)) as (_, _, exchange):
        for _ in range(2):
            with pytest.raises(ccxt.NetworkError):
                await _watch(exchange)
            exchange.clients.clear()
        assert await exchange.fetch_time() > 0


async def test_an_exchange_cuts_every_socket(disturbed, recorder) -> None:
    """A cut of the exchange reaches all sessions, whatever they listen to."""
    cut = {
        "name": "all",
        "match": {"state": "exchange", "minute": "+1m"},
        "action": {"kind": "cut", "close_frame": True},
    }
    marks = "wss://fstream.binance.com/market/ws/btcusdt@markPrice"
    async with disturbed(cut) as (_, endpoint, _), _raw(endpoint, marks) as other, _raw(endpoint) as one:
        for socket in (one, other):
            while (frame := await socket.receive(timeout=10)).type is WSMsgType.TEXT:
                pass
            assert (frame.type, frame.data) == (WSMsgType.CLOSE, 1001)


async def test_the_log_has_the_message_that_was_not_sent(disturbed, recorder, tmp_path: Path) -> None:
    """What a fault took is in the log as it would have gone out."""
    await _times(disturbed, recorder, 5, _fault("drop", **SECOND))
    lines = (tmp_path / "state" / "sim" / "faults.jsonl").read_text().splitlines()
    (act,) = [record for record in map(json.loads, lines) if record["event"] == "act"]
    assert (act["fault"], act["kind"], act["name"], act["symbol"]) == ("one", "drop", STREAM, "BTCUSDT")
    assert json.loads(act["message"])["k"]["s"] == "BTCUSDT"


async def _next(socket: Any, kind: WSMsgType) -> Any:
    """The next frame of a kind."""
    while (frame := await socket.receive(timeout=20)).type is not kind:
        assert frame.type in {WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG}
    return frame


class _Listener:
    """A session without a socket."""

    def __init__(self) -> None:
        self.line = Line(None)
        self.got: list[str] = []

    def after_queued(self, do: Callable[[], None]) -> None:
        do()

    def cut(self, *, close_frame: bool) -> None:
        raise AssertionError(close_frame)


def _desk(*faults: Fault) -> FaultDesk:
    loop = asyncio.get_running_loop()
    return FaultDesk(
        FaultPlan(faults), now_ms=lambda: 0, now_s=loop.time, start_ms=lambda: 0, record=lambda _: None
    )


def _event(client_order_id: str, execution: str = "NEW") -> str:
    return json.dumps(
        {"e": "ORDER_TRADE_UPDATE", "o": {"s": "BTCUSDT", "c": client_order_id, "x": execution}}
    )


async def test_events_of_a_hidden_order_wait_and_keep_their_order() -> None:
    """The user stream tells of a hidden order once it can be found, and nothing that came after it before."""
    desk = _desk(Fault("late", Match(state="order"), VisibleAfter(150)))
    desk.on_order(OrderRequest("BTCUSDT", "BUY", OrderKind.MARKET, 1.0, "hidden"))
    faults, listener = StreamFaults(desk), _Listener()
    events = [_event("before"), _event("hidden"), _event("hidden", "TRADE"), _event("after")]
    for event in events:
        faults.publish(USER, event, [listener], lambda session, text: session.got.append(text))
    assert listener.got == events[:1]
    async with asyncio.timeout(10):
        while len(listener.got) < 4:
            await asyncio.sleep(0.01)
    assert not desk.hidden("hidden")
    assert listener.got == events


async def test_a_message_without_listeners_is_no_match() -> None:
    """What goes to nobody uses up no fault."""
    desk = _desk(Fault("one", Match(stream=USER), Drop()))
    faults, listener = StreamFaults(desk), _Listener()
    faults.publish(USER, _event("a"), [], lambda *_: None)
    assert desk.counts()["one"] == {"matched": 0, "acted": 0}
    faults.publish(USER, _event("b"), [listener], lambda session, text: session.got.append(text))
    assert (desk.counts()["one"]["acted"], listener.got) == (1, [])
