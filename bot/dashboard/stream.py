"""Server-sent events: what happened is read once and sent to everybody; who reads too slowly is let go.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from bot.dashboard.cache import as_json
from bot.dashboard.contracts import Log
from bot.web.asgi import Receive, Send

TOPICS: Final = ("minute", "decision", "log", "state")
QUEUE: Final = 32
"""Looks that wait for a client; one that is behind by more is let go, dials again and is told where it left off."""

MOST_CLIENTS: Final = 128
PING_SECONDS: Final = 15.0
RETRY_MS: Final = 2_000


class Event(NamedTuple):
    """Something to tell.

    Attributes:
        topic: One of ``TOPICS``.
        data: JSON values.
    """

    topic: str
    data: Mapping[str, Any]


def chunk(events: Iterable[Event], at_ms: int, topics: frozenset[str]) -> bytes:
    """Events as they are sent: one piece for all of a look, each with the id that a client comes back with."""
    return b"".join(
        b"id: %d\nevent: %s\ndata: %s\n\n" % (at_ms, event.topic.encode(), as_json(event.data))
        for event in events
        if event.topic in topics
    )


class Client:
    """Somebody who listens.

    Args:
        topics: What is told.
    """

    def __init__(self, topics: frozenset[str]) -> None:
        self.topics = topics
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE)
        self.dropped = False

    def offer(self, piece: bytes) -> bool:
        """Put a piece in line; False where the line is full, and the client is let go."""
        try:
            self.queue.put_nowait(piece)
        except asyncio.QueueFull:
            self.end()
            self.dropped = True
            return False
        return True

    def end(self) -> None:
        """Tell it that nothing follows, whatever waits."""
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class Hub:
    """Everybody who listens.

    Args:
        log: Where clients that are let go are told.

    Attributes:
        wanted: Set while anybody listens.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._clients: set[Client] = set()
        self._closed = False
        self.wanted = asyncio.Event()

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def is_full(self) -> bool:
        """Whether nobody else is taken in."""
        return len(self._clients) >= MOST_CLIENTS

    def join(self, topics: frozenset[str]) -> Client:
        """Take in a client; it hears of everything from now on."""
        client = Client(topics)
        if self._closed:
            client.end()
            return client
        self._clients.add(client)
        self.wanted.set()
        return client

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)
        if not self._clients:
            self.wanted.clear()

    def tell(self, events: list[Event], at_ms: int) -> None:
        """Tell everybody; the bytes are made once for all who want the same."""
        if not events:
            return
        pieces: dict[frozenset[str], bytes] = {}
        for client in tuple(self._clients):
            if client.topics not in pieces:
                pieces[client.topics] = chunk(events, at_ms, client.topics)
            piece = pieces[client.topics]
            if piece and not client.offer(piece):
                self.leave(client)
                self._log.info("dashboard.client_dropped", waiting=QUEUE, clients=len(self._clients))

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for client in tuple(self._clients):
            client.end()
            self.leave(client)


def topics_of(query: str | None) -> frozenset[str] | None:
    """The topics that a query names, all where it names none; None where one is unknown."""
    if not query:
        return frozenset(TOPICS)
    named = frozenset(query.split(","))
    return named if named <= frozenset(TOPICS) else None


def last_id(header: bytes | None) -> int | None:
    """The id that a client comes back with; None where it is none of ours."""
    if header is None or not header.isdigit() or len(header) > 15:
        return None
    return int(header)


async def serve_stream(
    hub: Hub, client: Client, first: bytes, receive: Receive, send: Send, ping_seconds: float = PING_SECONDS
) -> None:
    """Answer one client until it goes, is let go, or everything ends.

    Args:
        hub: That the client has joined.
        client: Who listens.
        first: What it gets at once.
        receive: Tells that it has gone.
        send: Takes the answer.
        ping_seconds: A comment is sent after so long without anything else, so that a dead line is noticed.
    """
    gone = asyncio.create_task(_gone(receive), name="dashboard-gone")
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ]
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _say(send, b"retry: %d\n\n" % RETRY_MS + first)
        while not gone.done():
            piece = await _next(client, gone, ping_seconds)
            if piece is None:
                break
            await _say(send, piece)
        if not gone.done():
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        hub.leave(client)
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _next(client: Client, gone: asyncio.Task[None], ping_seconds: float) -> bytes | None:
    """What to send next; None where nothing follows."""
    coming = asyncio.ensure_future(client.queue.get())
    try:
        await asyncio.wait({coming, gone}, timeout=ping_seconds, return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            return coming.result()
        return None if gone.done() else b": still here\n\n"
    finally:
        coming.cancel()


async def _say(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Ends when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        continue
