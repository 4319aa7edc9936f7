"""Binance's market streams: WebSocket sessions, what each has subscribed to, and sending to them.

A session is told ``{"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"], "id": 1}`` and answers
``{"result": null, "id": 1}``; under ``/stream`` each message is wrapped as ``{"stream": …, "data": …}``. Every
session has its own queue and writer, so a client that reads slowly holds up nobody; one that does not read at
all is thrown out, as Binance does.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from bot.simexchange.fault_stream import Line, StreamFaults

log = logging.getLogger(__name__)

QUEUE_LIMIT = 100_000
"""Messages that may wait for one session before it is thrown out."""

CLOSE_SECONDS = 0.5
"""How long a client that is told to go may take to say so."""

KLINE = "kline_1m"
MARK_PRICES = ("markPrice", "markPrice@1s")


class StreamRefusedError(Exception):
    """A request of a session cannot be met; its text and code go back to the client."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Session:
    """One WebSocket client."""

    def __init__(self, socket: web.WebSocketResponse, *, wrapped: bool, line: Line) -> None:
        self.socket = socket
        self.wrapped = wrapped
        self.line = line
        self.streams: set[str] = set()
        self._queue: asyncio.Queue[str | Callable[[], None]] = asyncio.Queue(QUEUE_LIMIT)

    def put(self, text: str) -> bool:
        """Queue a message; False if the client is too far behind."""
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            return False
        return True

    async def write(self) -> None:
        """Send what is queued until cancelled or the client is gone."""
        while True:
            item = await self._queue.get()
            if isinstance(item, str):
                await self.line.send(self.socket, item)
            else:
                item()
            self._queue.task_done()

    def cut(self, *, close_frame: bool = False) -> None:
        """Close the socket after what is queued, with a close frame or without a word; a silent line at once."""
        if self.line.silent:
            self._end(close_frame=close_frame)
        else:
            self.after_queued(lambda: self._end(close_frame=close_frame))

    def after_queued(self, do: Callable[[], None]) -> None:
        """Do something once what is queued has been sent; at once where nothing more can be queued."""
        try:
            self._queue.put_nowait(do)
        except asyncio.QueueFull:
            do()

    async def ping(self, every_s: float, stamp: Callable[[], int]) -> None:
        """Ping as Binance does, with the time as payload, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            if not self.line.deaf:
                await self.socket.ping(str(stamp()).encode())

    def _end(self, *, close_frame: bool) -> None:
        if close_frame:
            task = asyncio.ensure_future(self.socket.close(code=WSCloseCode.GOING_AWAY))
            task.add_done_callback(_report)
        else:
            self.line.abort()


class StreamHub:
    """All sessions of the exchange."""

    def __init__(
        self,
        symbols: Collection[str],
        *,
        changed: Callable[[], None],
        now_ms: Callable[[], int],
        ping_seconds: float,
        mark_prices: bool,
        faults: StreamFaults,
    ) -> None:
        """``changed`` is called whenever the subscribed symbols may have changed."""
        self._faults = faults
        self._known = {symbol.lower() for symbol in symbols}
        self._changed = changed
        self._now_ms = now_ms
        self._ping_seconds = ping_seconds
        self._endings = (KLINE, *MARK_PRICES) if mark_prices else (KLINE,)
        self._subscribers: dict[str, dict[Session, None]] = {}
        self._sessions: set[Session] = set()

    def subscribed_symbols(self) -> set[str]:
        """The exchange ids whose bars somebody listens to."""
        suffix = "@" + KLINE
        names = (name for name, sessions in self._subscribers.items() if sessions)
        return {name.removesuffix(suffix).upper() for name in names if name.endswith(suffix)}

    def wanted(self, stream: str) -> bool:
        """Whether anybody listens to a stream."""
        return bool(self._subscribers.get(stream))

    def listens(self, symbol: str) -> bool:
        """Whether anybody listens to a symbol."""
        return any(self.wanted(f"{symbol.lower()}@{ending}") for ending in self._endings)

    def publish(self, stream: str, text: str) -> None:
        """Queue a message for everybody who listens to the stream."""

        def put(session: Session, given: str) -> None:
            sent = session.put(f'{{"stream":"{stream}","data":{given}}}' if session.wrapped else given)
            if not sent:
                log.error("session thrown out: %d messages behind", QUEUE_LIMIT)
                self._forget(session)
                task = asyncio.ensure_future(session.socket.close(code=WSCloseCode.POLICY_VIOLATION))
                task.add_done_callback(_report)

        self._faults.publish(stream, text, list(self._subscribers.get(stream, ())), put)

    async def serve(
        self, request: web.Request, streams: Collection[str], *, wrapped: bool
    ) -> web.StreamResponse:
        """Serve one WebSocket until it closes; ``streams`` are those that its URL asked for."""
        socket = web.WebSocketResponse(
            compress=False, autoping=False, max_msg_size=1 << 20, timeout=CLOSE_SECONDS
        )
        await socket.prepare(request)
        session = Session(socket, wrapped=wrapped, line=Line(request.transport))
        self._sessions.add(session)
        self._faults.joined(session)
        tasks = [
            asyncio.ensure_future(session.write()),
            asyncio.ensure_future(session.ping(self._ping_seconds, self._now_ms)),
        ]
        for task in tasks:
            task.add_done_callback(_report)
        try:
            if streams:
                self._handle(
                    session, json.dumps({"method": "SUBSCRIBE", "params": list(streams), "id": None})
                )
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._handle(session, message.data)
                elif message.type is WSMsgType.PING:
                    await session.line.pong(socket, message.data)
        finally:
            session.line.close()
            for task in tasks:
                task.cancel()
            self._sessions.discard(session)
            self._forget(session)
        return socket

    async def close(self) -> None:
        """Close every session."""
        closing = (session.socket.close(code=WSCloseCode.GOING_AWAY) for session in list(self._sessions))
        await asyncio.gather(*closing, return_exceptions=True)

    def _handle(self, session: Session, text: str) -> None:
        """Answer one request of a session."""
        number: Any = None
        try:
            try:
                request = json.loads(text)
            except ValueError as error:
                raise StreamRefusedError(3, f"Invalid JSON: {error}") from error
            if not isinstance(request, dict):
                raise StreamRefusedError(2, "Invalid request: request must be an object")
            number = request.get("id")
            result = self._act(session, request)
        except StreamRefusedError as error:
            log.error("stream request refused: %s: %.200s", error, text)  # noqa: TRY400 - the sentence says it all
            session.put(json.dumps({"error": {"code": error.code, "msg": str(error)}, "id": number}))
        else:
            session.put(json.dumps({"result": result, "id": number}))

    def _act(self, session: Session, request: dict[str, Any]) -> list[str] | None:
        method = request.get("method")
        if method == "LIST_SUBSCRIPTIONS":
            return sorted(session.streams)
        names = request.get("params")
        if method not in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            raise StreamRefusedError(2, f"Invalid request: unknown method {method!r}")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise StreamRefusedError(2, "Invalid request: params must be a list of stream names")
        for name in names:
            self._require(name)
        for name in names:
            if method == "SUBSCRIBE":
                session.streams.add(name)
                self._subscribers.setdefault(name, {})[session] = None
            else:
                session.streams.discard(name)
                self._subscribers.get(name, {}).pop(session, None)
        self._changed()
        return None

    def _require(self, name: str) -> None:
        symbol, _, ending = name.partition("@")
        if symbol not in self._known or ending not in self._endings:
            raise StreamRefusedError(2, f"Invalid request: this exchange has no stream {name!r}")

    def _forget(self, session: Session) -> None:
        for name in session.streams:
            self._subscribers.get(name, {}).pop(session, None)
        session.streams.clear()
        self._changed()


def _report(task: asyncio.Future[Any]) -> None:
    """Name why a session's task ended; a client that is gone is no error."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("session ended: %s: %s", type(error).__name__, error)
