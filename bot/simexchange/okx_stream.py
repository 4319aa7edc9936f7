"""OKX's streams: public, private and business WebSockets under ``/ws/v5/``, their login, channels and messages.

A client asks ``{"op": "subscribe", "args": [{"channel": …, "instId": …}]}`` and gets an acknowledgement for each; before
it listens to its account it sends ``{"op": "login", "args": [{…}]}``. Candles and conditional orders are told on
``business``, orders, positions and money on ``private``. It has to send the text ``ping`` now and then, and gets ``pong``.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import WSCloseCode, web

from bot.simexchange.bars import Bar
from bot.simexchange.fault_stream import USER, StreamFaults
from bot.simexchange.okx_listing import Swaps, inst_id
from bot.simexchange.okx_market_data import row_of_bar
from bot.simexchange.okx_session import Arg, OkxSession, text_of
from bot.simexchange.okx_signing import OkxGate
from bot.simexchange.okx_teller import ALGOS, PRIVATE
from bot.simexchange.orders import Refusal
from bot.simexchange.user_stream import PATIENCE_SECONDS

log = logging.getLogger(__name__)

CANDLE = "candle1m"
PLACES = {"/ws/v5/public": "public", "/ws/v5/private": "private", "/ws/v5/business": "business"}

Snapshot = Callable[[str], dict[str, Any] | None]


class OkxStreams:
    """Everybody who listens, to the market or to the account.

    Attributes:
        snapshot: What a channel begins with; set once there is an account.
    """

    def __init__(
        self,
        swaps: Swaps,
        gate: OkxGate,
        *,
        changed: Callable[[], None],
        faults: StreamFaults,
        make_id: Callable[[], str],
    ) -> None:
        """``changed`` is called whenever the subscribed symbols may have changed; ``make_id`` names connections."""
        self.snapshot: Snapshot = _none
        self._swaps = swaps
        self._gate = gate
        self._changed = changed
        self._faults = faults
        self._make_id = make_id
        self._sessions: dict[OkxSession, None] = {}
        self._unread: set[OkxSession] = set()
        self._candles: set[str] = set()

    # --- the market -------------------------------------------------------------------------------------------

    def subscribed_symbols(self) -> set[str]:
        """The account's symbols whose bars somebody listens to."""
        return {listing.symbol for name in self._candles if (listing := self._swaps.find(name))}

    def listens(self, symbol: str) -> bool:
        """Whether anybody listens to a symbol's bars."""
        return inst_id(self._swaps[symbol]) in self._candles

    def send_bar(self, symbol: str, bar: Bar, *, closed: bool) -> None:
        """Send a bar to who listens; in a fault plan its stream is ``btcusdt@candle1m``."""
        listing = self._swaps[symbol]
        row = row_of_bar(listing, bar, closed=closed)
        self._send(f"{symbol.lower()}@{CANDLE}", CANDLE, inst_id(listing), [row], self._put)

    # --- the account ------------------------------------------------------------------------------------------

    @property
    def listeners(self) -> int:
        """How many clients would be sent an order."""
        return sum(bool(session.listens("orders", "")) for session in self._sessions)

    def channels(self) -> set[str]:
        """What anybody listens to."""
        return {arg["channel"] for session in self._sessions for arg in session.args.values()}

    def publish(self, events: Sequence[dict[str, Any]]) -> None:
        """Queue messages of channels for everybody who listens to them."""
        for event in events:
            self._send(USER, event["channel"], event["instId"], event["data"], self._put_private)

    async def wait_until_read(self) -> None:
        """Wait until clients have read the events since the last call, each at most two wall seconds."""
        unread, self._unread = self._unread, set()
        waiting = [_caught_up(session) for session in unread if session in self._sessions]
        await asyncio.gather(*waiting)

    def expire(self) -> bool:
        """End what the account is listened to by: there is no such thing here, a login lasts as its connection."""
        return False

    def drop(self) -> int:
        """Cut every connection that has logged in, without a farewell; returns how many there were."""
        sessions = [session for session in self._sessions if session.logged_in]
        for session in sessions:
            session.cut()
        return len(sessions)

    async def close(self) -> None:
        """Close every session."""
        closing = (session.socket.close(code=WSCloseCode.GOING_AWAY) for session in list(self._sessions))
        await asyncio.gather(*closing, return_exceptions=True)

    # --- sessions ---------------------------------------------------------------------------------------------

    def wants(self, request: web.Request) -> bool:
        """Whether a WebSocket's URL is one of these streams."""
        return request.path in PLACES

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket until it closes."""
        session = await OkxSession.accept(request, PLACES[request.path])
        self._sessions[session] = None
        self._faults.joined(session)
        writer = asyncio.ensure_future(session.write())
        writer.add_done_callback(_report)
        connection = self._make_id()
        try:
            async for text in session.messages():
                if text == "ping":
                    await session.answer_ping()
                else:
                    self._handle(session, text, connection)
        finally:
            session.line.close()
            writer.cancel()
            self._sessions.pop(session, None)
            self._count()
        return session.socket

    def _handle(self, session: OkxSession, text: str, connection: str) -> None:
        """Answer one request of a session."""
        more: dict[str, Any] = {"connId": connection}
        try:
            request = _parsed(text)
            if "id" in request:
                more["id"] = request["id"]
            if request["op"] == "login":
                self._gate.admit_login(request["args"])
                session.logged_in = True
                session.put(json.dumps({"event": "login", "code": "0", "msg": "", **more}))
                return
            for arg in request["args"]:
                self._subscribe(session, request["op"], arg, more)
        except Refusal as refusal:
            # The request is not logged: a login is signed.
            log.warning("stream request refused: %s %s", refusal.code, refusal)
            told = {"event": "error", "code": str(refusal.code), "msg": str(refusal), **more}
            session.put(json.dumps(told))
        self._count()

    def _subscribe(self, session: OkxSession, op: str, arg: Arg, more: dict[str, Any]) -> None:
        """Begin or end one subscription and acknowledge it."""
        self._require(session, arg)
        if op == "subscribe":
            session.args[text_of(arg)] = arg
        else:
            session.args.pop(text_of(arg), None)
        session.put(json.dumps({"event": op, "arg": arg, **more}))
        began = self.snapshot(arg["channel"]) if op == "subscribe" else None
        if began is not None:
            session.put(_framed(arg, began["data"]))

    def _count(self) -> None:
        """Note whose bars somebody listens to."""
        args = [arg for session in self._sessions for arg in session.args.values()]
        self._candles = {arg["instId"] for arg in args if arg["channel"] == CANDLE}
        self._changed()

    def _require(self, session: OkxSession, arg: Arg) -> None:
        """Refuse what there is not at this address, and what only the account's owner may hear."""
        channel, name = str(arg.get("channel")), arg.get("instId")
        if channel in PRIVATE:
            right = session.place == ("business" if channel == ALGOS else "private")
            known = name is None or self._swaps.find(name) is not None
        else:
            right = channel == CANDLE and session.place == "business"
            known = self._swaps.find(name) is not None
        if not right or not known:
            about = ",".join(f"{key}:{value}" for key, value in arg.items())
            text = f"Wrong URL or {about} doesn't exist. Please use the correct URL, channel and parameters."
            raise Refusal(60018, text)
        if channel in PRIVATE and not session.logged_in:
            raise Refusal(60011, "Please log in")

    def _send(
        self,
        stream: str,
        channel: str,
        name: str,
        rows: list[Any],
        put: Callable[[OkxSession, str], None],
    ) -> None:
        """Send rows, framed by the subscription that they belong to; a session may have several."""
        found: dict[str, list[OkxSession]] = {}
        for session in self._sessions:
            for text in session.listens(channel, name):
                found.setdefault(text, []).append(session)
        for text, sessions in found.items():
            self._faults.publish(stream, _framed(json.loads(text), rows), sessions, put)

    def _put_private(self, session: OkxSession, text: str) -> None:
        self._unread.add(session)
        self._put(session, text)

    def _put(self, session: OkxSession, text: str) -> None:
        if not session.put(text):
            log.error("session thrown out: too far behind")
            self._sessions.pop(session, None)
            task = asyncio.ensure_future(session.socket.close(code=WSCloseCode.POLICY_VIOLATION))
            task.add_done_callback(_report)


async def _caught_up(session: OkxSession) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await session.caught_up()
    except TimeoutError:
        log.warning("a client did not read its events within %s s", PATIENCE_SECONDS)
    except ConnectionError as error:
        log.info("a client left before it read its events: %s", error)


def _framed(arg: Arg, rows: list[Any]) -> str:
    return json.dumps({"arg": arg, "data": rows}, separators=(",", ":"))


def _parsed(text: str) -> dict[str, Any]:
    """A request: an operation and a list of what it is about; raises Refusal 60012."""
    try:
        request = json.loads(text)
    except ValueError:
        request = None
    known = isinstance(request, dict) and request.get("op") in {"login", "subscribe", "unsubscribe"}
    args = request.get("args") if known else None
    if not isinstance(args, list) or not all(isinstance(arg, dict) for arg in args):
        raise Refusal(60012, "Illegal request: wants op (login, subscribe or unsubscribe) and a list of args")
    return dict(request)


def _none(channel: str) -> None:
    """No channel begins with anything."""
    del channel


def _report(task: asyncio.Future[Any]) -> None:
    """Name why a session's task ended; a client that is gone is no error."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("session ended: %s: %s", type(error).__name__, error)
