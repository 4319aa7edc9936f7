"""The private streams of the account: of the perpetuals by listen key, of spot by the WebSocket API.

A client of the perpetuals opens ``/private/ws?listenKey=KEY`` (or ``/ws/KEY``) and is sent events from then on. One of
spot opens ``/ws-api/v3`` and asks, ``{"id": …, "method": "userDataStream.subscribe.signature", "params": {…}}``; its
events come as ``{"subscriptionId": 0, "event": {…}}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from aiohttp import WSCloseCode, web

from bot.simexchange.config import Market
from bot.simexchange.fault_stream import USER, StreamFaults
from bot.simexchange.listen_key import ListenKey
from bot.simexchange.orders import Refusal
from bot.simexchange.rate_limits import RateLimits
from bot.simexchange.signing import ExchangeTime, Gate
from bot.simexchange.user_session import UserSession

log = logging.getLogger(__name__)

KEY_LENGTH = 64
WEBSOCKET_API = "/ws-api/v3"
PATIENCE_SECONDS = 2.0
"""How long a client may take to read its events before a paced market goes on without it."""


class UserStreams:
    """Everybody who listens to the account."""

    def __init__(
        self,
        market: Market,
        gate: Gate,
        limits: RateLimits,
        time: ExchangeTime,
        *,
        make_key: Callable[[], str],
        ping_seconds: float,
        faults: StreamFaults,
    ) -> None:
        """``make_key`` gives listen keys: 64 letters and digits."""
        self._faults = faults
        self._market = market
        self._gate = gate
        self._limits = limits
        self._time = time
        self._ping_seconds = ping_seconds
        self._key = ListenKey(make_key)
        self._alarm: asyncio.TimerHandle | None = None
        self._sessions: dict[UserSession, None] = {}
        self._unread: set[UserSession] = set()
        self._subscriptions = 0

    @property
    def listeners(self) -> int:
        """How many clients would be sent an event."""
        return sum(self._listens(session) for session in self._sessions)

    def open_key(self) -> str:
        """The listen key, for 60 minutes from now; made where none is valid."""
        key = self._key.open(_now_s())
        self._set_alarm()
        return key

    def renew_key(self) -> str:
        """Make the listen key last; raises Refusal -1125 where none is valid."""
        key = self._key.renew(_now_s())
        self._set_alarm()
        return key

    def close_key(self) -> None:
        """End the listen key; who listens by it hears no more."""
        self._key.expire()

    def expire(self) -> bool:
        """End the key, or on spot the subscriptions, and tell their clients; False if there was nothing to end."""
        ended = self._key.expire()
        told = {"e": "listenKeyExpired", "E": self._time.told(), "listenKey": ended}
        if self._market is Market.SPOT:
            told = {"e": "eventStreamTerminated", "E": self._time.told()}
        listening = [session for session in self._sessions if session.subscriptions or session.key == ended]
        for session in listening:
            self._put(session, json.dumps(told, separators=(",", ":")))
            session.subscriptions.clear()
        return bool(ended or listening)

    def publish(self, events: Sequence[dict[str, Any]]) -> None:
        """Queue events for everybody who listens."""
        for event in events:
            listening = [session for session in self._sessions if self._listens(session)]
            self._faults.publish(USER, json.dumps(event, separators=(",", ":")), listening, self._put)

    async def wait_until_read(self) -> None:
        """Wait until clients have read the events since the last call, each at most two wall seconds."""
        unread, self._unread = self._unread, set()
        waiting = [self._wait_for(session) for session in unread if session in self._sessions]
        await asyncio.gather(*waiting)

    def wants(self, request: web.Request) -> bool:
        """Whether a WebSocket's URL names a private stream."""
        if self._market is Market.SPOT:
            return request.path == WEBSOCKET_API
        return _listen_key(request) is not None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket until it closes; one with a listen key that is not valid is refused."""
        key = ""
        if self._market is Market.USDM:
            key = _listen_key(request) or ""
            if key != self._key.current(_now_s()):
                log.warning("refused: a private stream with a listen key that is not valid")
                return web.json_response({"code": -1125, "msg": "This listenKey does not exist."}, status=400)
        session = await UserSession.accept(request, key)
        async with self._running(session):
            async for text in session.messages():
                session.put(json.dumps(self._answer(session, text)))
        return session.socket

    def drop(self) -> int:
        """Cut every private connection, without a farewell; returns how many there were."""
        sessions = list(self._sessions)
        for session in sessions:
            session.cut()
        return len(sessions)

    async def close(self) -> None:
        """Close every session."""
        if self._alarm is not None:
            self._alarm.cancel()
        closing = (session.socket.close(code=WSCloseCode.GOING_AWAY) for session in list(self._sessions))
        await asyncio.gather(*closing, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _running(self, session: UserSession) -> AsyncIterator[None]:
        """Send and ping for the time of the block."""
        self._sessions[session] = None
        self._faults.joined(session)
        tasks = [
            asyncio.ensure_future(session.write()),
            asyncio.ensure_future(session.ping(self._ping_seconds, self._time.told)),
        ]
        for task in tasks:
            task.add_done_callback(_report)
        try:
            yield
        finally:
            session.line.close()
            for task in tasks:
                task.cancel()
            self._sessions.pop(session, None)

    def _put(self, session: UserSession, event: str) -> None:
        self._unread.add(session)
        wrapped = [event]
        if self._market is Market.SPOT:
            wrapped = [f'{{"subscriptionId":{one},"event":{event}}}' for one in sorted(session.subscriptions)]
        for message in wrapped:
            if not session.put(message):
                log.error("private session thrown out: too far behind")
                self._sessions.pop(session, None)
                task = asyncio.ensure_future(session.socket.close(code=WSCloseCode.POLICY_VIOLATION))
                task.add_done_callback(_report)
                return

    def _listens(self, session: UserSession) -> bool:
        if self._market is Market.SPOT:
            return bool(session.subscriptions)
        return session.key == self._key.current(_now_s())

    async def _wait_for(self, session: UserSession) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await session.caught_up()
        except TimeoutError:
            log.warning("a client did not read its events within %s s", PATIENCE_SECONDS)
        except ConnectionError as error:
            log.info("a client left before it read its events: %s", error)

    def _answer(self, session: UserSession, text: str) -> dict[str, Any]:
        """Answer a request of a private session in the shape of the WebSocket API."""
        number: Any = None
        try:
            request = _parsed(text)
            number = request.get("id")
            charge = self._limits.charge(_now_s(), self._time.told(), 2, 0)
            if charge.refusal is not None:
                raise charge.refusal
            result = self._act(session, str(request.get("method")), request.get("params") or {})
        except Refusal as refusal:
            log.warning("refused: %s %s", refusal.code, refusal)
            error = {"code": refusal.code, "msg": str(refusal)}
            return {"id": number, "status": refusal.status, "error": error}
        return {"id": number, "status": 200, "result": result, "rateLimits": self._limits.told()}

    def _act(self, session: UserSession, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if self._market is Market.SPOT and method == "userDataStream.subscribe.signature":
            self._gate.admit_message({name: _written(value) for name, value in params.items()})
            session.subscriptions.add(self._subscriptions)
            self._subscriptions += 1
            return {"subscriptionId": self._subscriptions - 1}
        if self._market is Market.SPOT and method == "userDataStream.unsubscribe":
            session.subscriptions.clear()
            return {}
        if method == "ping":
            return {}
        if method == "time":
            return {"serverTime": self._time.told()}
        log.error("no such method of the private stream: %s", method)
        raise Refusal(-5000, f"Method {method} is not served by the simulated exchange", 404)

    def _set_alarm(self) -> None:
        """End the key at its time."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(self._key.ends_s, self.expire)


def _listen_key(request: web.Request) -> str | None:
    """The listen key that a URL names: ``/private/ws?listenKey=KEY``, or ``/ws/KEY``."""
    if request.path in {"/private/ws", "/private/stream"}:
        return request.query.get("listenKey", "")
    start, _, name = request.path.rpartition("/")
    return name if start in {"/ws", "/private/ws"} and len(name) == KEY_LENGTH and name.isalnum() else None


def _parsed(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except ValueError as error:
        raise Refusal(-1135, f"Invalid JSON Request: {error}") from error
    if not isinstance(request, dict) or not isinstance(request.get("params") or {}, dict):
        raise Refusal(-1135, "Invalid JSON Request: wants an object with id, method and params")
    return request


def _written(value: Any) -> str:
    """A JSON value as a client writes it into the text that it signs."""
    return value if isinstance(value, str) else json.dumps(value)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _report(task: asyncio.Future[Any]) -> None:
    """Name why a session's task ended; a client that is gone is no error."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("private session ended: %s: %s", type(error).__name__, error)
