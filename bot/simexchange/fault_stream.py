"""Faults of streams, around what sessions send: cut, duplicated, reordered, torn, stalled, changed, late messages.

``StreamFaults.publish`` stands between whoever publishes a message and the sessions; a fault is decided once a message
and acts on every session that the message goes to. Each session has a ``Line``, through which its writer sends, its
pings go and its client's pings are answered.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

from aiohttp import web

from bot.simexchange.fault_actions import (
    Action,
    Correct,
    Corrupt,
    Cut,
    Drop,
    Duplicate,
    Late,
    Mutate,
    NoPong,
    Reorder,
    Stall,
    Target,
)
from bot.simexchange.fault_desk import Act, FaultDesk
from bot.simexchange.fault_messages import mutated, off_by, torn
from bot.simexchange.fault_sight import MessageSight

log = logging.getLogger(__name__)

USER = "user"
"""The name of every user stream."""

Send: TypeAlias = Callable[[str], None]


class Line:
    """Between one session and its socket."""

    def __init__(self, transport: asyncio.BaseTransport | None) -> None:
        """``transport`` of the connection; None can't be cut without a word."""
        self._transport = transport
        self._silent_until_s = 0.0
        self._deaf_until_s = 0.0
        self._lose = False
        self._waiting: list[_Waiting] = []
        self._turns: deque[tuple[float, Callable[[], None]]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()

    async def send(self, socket: web.WebSocketResponse, text: str) -> None:
        """Send a text of the session's queue, unless the line is silent; then it is lost or sent later."""
        while (silence := self._silent_until_s - _now_s()) > 0:
            if self._lose:
                return
            await asyncio.sleep(silence)
        await socket.send_str(text)

    async def pong(self, socket: web.WebSocketResponse, payload: bytes) -> None:
        """Answer a ping, unless the line is deaf."""
        if not self.deaf:
            await socket.pong(payload)

    @property
    def silent(self) -> bool:
        """Whether no messages go out."""
        return _now_s() < self._silent_until_s

    @property
    def deaf(self) -> bool:
        """Whether neither pings nor pongs go out."""
        return _now_s() < self._deaf_until_s

    def silence(self, seconds: float, *, lose: bool, deaf: bool = False) -> None:
        """Send no messages for a while, and when deaf no pings and pongs either."""
        self._silent_until_s = max(self._silent_until_s, _now_s() + seconds)
        self._lose = lose
        if deaf:
            self._deaf_until_s = max(self._deaf_until_s, self._silent_until_s)

    def pass_on(self, text: str, send: Send) -> None:
        """Send a message, and after it those that waited for it."""
        send(text)
        for waiting in list(self._waiting):
            waiting.others -= 1
            if waiting.others <= 0:
                self._release(waiting)

    def hold(self, text: str, send: Send, *, others: int, seconds: float) -> None:
        """Send a message after so many others, or after a time."""
        waiting = _Waiting(text, send, others)
        self._waiting.append(waiting)
        self.later(seconds, lambda: self._release(waiting))

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something after a time, unless the session has ended by then."""
        timer: asyncio.TimerHandle

        def due() -> None:
            self._timers.discard(timer)
            do()

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)

    def in_turn(self, wait_s: float, do: Callable[[], None]) -> None:
        """Do something after a time, and never before what was asked for earlier; at once where nothing waits."""
        due_s = max(_now_s() + wait_s, self._turns[-1][0] if self._turns else 0.0)
        if wait_s <= 0 and not self._turns:
            do()
            return
        self._turns.append((due_s, do))
        if len(self._turns) == 1:
            self.later(wait_s, self._next_turn)

    def _next_turn(self) -> None:
        """What is due has its turn; the first that is not is waited for."""
        while self._turns:
            due_s, do = self._turns[0]
            if due_s > _now_s():
                self.later(due_s - _now_s(), self._next_turn)
                return
            self._turns.popleft()
            do()

    def abort(self) -> None:
        """Cut the connection without a word."""
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    def close(self) -> None:
        """The session has ended: nothing waits any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._waiting.clear()
        self._turns.clear()

    def _release(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
            waiting.send(waiting.text)


class _Waiting:
    """A message that waits for others to pass."""

    def __init__(self, text: str, send: Send, others: int) -> None:
        self.text = text
        self.send = send
        self.others = others


class LinedSession(Protocol):
    """A WebSocket session whose sending goes through a line."""

    @property
    def line(self) -> Line:
        """Its line."""

    def after_queued(self, do: Callable[[], None]) -> None:
        """Do something once what is queued has been sent."""

    def cut(self, *, close_frame: bool) -> None:
        """Close the socket after what is queued, with a close frame or without a word."""


Lined = TypeVar("Lined", bound=LinedSession)


class StreamFaults:
    """What a desk decides over messages, carried out on sessions."""

    def __init__(self, desk: FaultDesk) -> None:
        self._desk = desk
        self._sessions: weakref.WeakSet[Any] = weakref.WeakSet()

    def joined(self, session: LinedSession) -> None:
        """A session has begun; ``cut_all`` reaches it."""
        self._sessions.add(session)

    def cut_all(self, cut: Cut) -> None:
        """Close every session, and take no new ones for as long as the fault says."""
        if cut.refuse_s:
            self._desk.refuse_connections(cut.refuse_s, rest=cut.rest)
        for session in list(self._sessions):
            session.cut(close_frame=cut.close_frame)

    def publish(
        self, stream: str, text: str, sessions: Sequence[Lined], put: Callable[[Lined, str], None]
    ) -> None:
        """Send a message to sessions through ``put``, as the plan lets it."""
        if not sessions:
            return
        act = self._desk.on_message(stream, text) if self._desk.minds(Target.STREAM) else None
        if act is not None:
            log.info("fault %s on a message of %s", act.fault.name, stream)
        for session in sessions:
            self._to_one(act, session, text, self._way(stream, text, session, put))
            if act is not None and act.earlier is not None:
                put(session, act.earlier)
        if act is not None and isinstance(act.action, Cut) and act.action.refuse_s:
            self._desk.refuse_connections(act.action.refuse_s, rest=act.action.rest)

    def _way(self, stream: str, text: str, session: Lined, put: Callable[[Lined, str], None]) -> Send:
        """How a session gets a message: at once, or when the order that it is about may be seen."""
        if stream != USER:
            return lambda given: put(session, given)
        client_order_id = MessageSight(stream, text, 0).client_order_id or ""

        def in_turn(given: str) -> None:
            session.line.in_turn(self._desk.hidden_for(client_order_id), lambda: put(session, given))

        return in_turn

    def _to_one(self, act: Act | None, session: LinedSession, text: str, send: Send) -> None:
        """Carry out what happens to a message on one session."""
        line = session.line
        match act.action if act else None:
            case Drop():
                return
            case Cut(close_frame=close_frame, sent=sent):
                if sent:
                    line.pass_on(text, send)
                session.cut(close_frame=close_frame)
            case Reorder(by=by, seconds=seconds):
                line.hold(text, send, others=by, seconds=seconds)
            case Late(delay_ms=delay_ms):
                line.later(delay_ms / 1000, lambda: send(text))
            case Correct() as correct:
                self._correct(correct, line, text, send)
            case Stall(seconds=seconds, lose=lose):
                session.after_queued(partial(line.silence, seconds, lose=lose))
                line.pass_on(text, send)
            case NoPong(seconds=seconds):
                session.after_queued(partial(line.silence, seconds, lose=True, deaf=True))
                line.pass_on(text, send)
            case other:
                for one in _versions(other, text):
                    line.pass_on(one, send)

    @staticmethod
    def _correct(correct: Correct, line: Line, text: str, send: Send) -> None:
        wrong = off_by(text, correct.by_bps)
        first, second = (wrong, text) if correct.wrong == "first" else (text, wrong)
        line.pass_on(first, send)
        if correct.messages:
            line.hold(second, send, others=correct.messages, seconds=correct.seconds)
        else:
            line.pass_on(second, send)


def _versions(action: Action | None, text: str) -> list[str]:
    """What is sent at once in a message's place."""
    match action:
        case Duplicate(times=times):
            return [text] * (times + 1)
        case Corrupt(share=share):
            return [torn(text, share)]
        case Mutate() as mutate:
            return [mutated(text, mutate)]
    return [text]


def _now_s() -> float:
    """The wall clock that durations count in."""
    return asyncio.get_running_loop().time()
