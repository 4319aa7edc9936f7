"""The hub: bytes are made once, slow listeners are let go, and nobody is let in without end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.dashboard import server
from bot.dashboard.stream import (
    MOST_CLIENTS,
    QUEUE,
    TOPICS,
    Event,
    Hub,
    chunk,
    last_id,
    serve_stream,
    topics_of,
)
from tests.daemon_harness import Silent
from tests.dashboard_rig import served

ALL = frozenset(TOPICS)


class Line:
    """A connection that takes what is sent, or nothing."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.sent: list[dict[str, Any]] = []
        self.hung_up = asyncio.Event()
        self._stuck = stuck

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))
        if self._stuck and len(self.sent) > 2:
            await self.hung_up.wait()

    async def receive(self) -> dict[str, Any]:
        await self.hung_up.wait()
        return {"type": "http.disconnect"}

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


def test_an_event_is_written_as_browsers_read_it() -> None:
    """Id, name and one line of data, an empty line after each; a number that is none is null."""
    events = [Event("minute", {"a": float("nan"), "b": "x\ny"}), Event("log", {"c": 1})]
    assert chunk(events, 7, ALL) == (
        b'id: 7\nevent: minute\ndata: {"a":null,"b":"x\\ny"}\n\nid: 7\nevent: log\ndata: {"c":1}\n\n'
    )
    assert chunk(events, 7, frozenset({"log"})).count(b"event: ") == 1
    assert chunk(events, 7, frozenset({"state"})) == b""


async def test_everybody_gets_the_same_bytes() -> None:
    """One object for all who want the same: fifty pages cost one encoding."""
    hub = Hub(Silent())
    clients = [hub.join(ALL) for _ in range(50)]
    hub.tell([Event("minute", {})], 1)
    pieces = [client.queue.get_nowait() for client in clients]
    assert all(piece is pieces[0] for piece in pieces)


async def test_who_does_not_read_is_let_go_and_the_others_are_not() -> None:
    """A full line ends with its end; the memory that a client takes is bounded."""
    log = Silent()
    hub = Hub(log)
    slow, quick = hub.join(ALL), hub.join(ALL)
    for number in range(QUEUE + 3):
        hub.tell([Event("minute", {"n": number})], number)
        if not quick.queue.empty():
            quick.queue.get_nowait()
    assert slow.dropped
    assert slow.queue.get_nowait() is None
    assert slow.queue.empty()
    assert not quick.dropped
    assert len(hub) == 1
    assert [event for event, _ in log.lines] == ["dashboard.client_dropped"]


async def test_a_stream_that_is_stuck_ends_when_its_client_is_gone() -> None:
    """A send that waits for a reader does not wait for ever."""
    hub = Hub(Silent())
    line = Line(stuck=True)
    client = hub.join(ALL)
    serving = asyncio.create_task(serve_stream(hub, client, b"first", line.receive, line.send))
    await asyncio.sleep(0.01)
    hub.tell([Event("minute", {})], 1)
    await asyncio.sleep(0.01)
    assert not serving.done()
    line.hung_up.set()
    await asyncio.wait_for(serving, 5)
    assert len(hub) == 0


async def test_a_silent_stream_is_kept_alive() -> None:
    """A comment after some time without anything else."""
    hub = Hub(Silent())
    line = Line()
    client = hub.join(ALL)
    serving = asyncio.create_task(serve_stream(hub, client, b"", line.receive, line.send, ping_seconds=0.01))
    async with asyncio.timeout(10):
        while line.text.count(": still here\n\n") < 3:
            await asyncio.sleep(0.005)
    assert line.text.startswith("retry: ")
    hub.close()
    await asyncio.wait_for(serving, 5)
    assert line.sent[-1]["more_body"] is False


async def test_after_the_end_nobody_is_taken_in() -> None:
    """Who comes while it closes gets an end at once."""
    hub = Hub(Silent())
    hub.close()
    assert hub.join(ALL).queue.get_nowait() is None
    assert not hub.wanted.is_set()


async def test_nobody_looks_while_nobody_listens() -> None:
    """The watcher waits for the first, and waits again after the last."""
    hub = Hub(Silent())
    assert not hub.wanted.is_set()
    first, second = hub.join(ALL), hub.join(ALL)
    hub.leave(first)
    assert hub.wanted.is_set()
    hub.leave(second)
    hub.leave(second)
    assert not hub.wanted.is_set()


@pytest.mark.parametrize(
    ("query", "topics"),
    [
        (None, ALL),
        ("", ALL),
        ("log", {"log"}),
        ("log,minute", {"log", "minute"}),
        ("log,x", None),
        (",", None),
    ],
)
def test_topics_are_named_or_all(query: str | None, topics: Any) -> None:
    """One that there is not is a mistake, and not nothing."""
    assert topics_of(query) == topics


def test_an_id_is_a_number_of_ours() -> None:
    """Anything else counts as never having been here."""
    assert last_id(b"1704085200000") == 1_704_085_200_000
    for odd in (None, b"", b"-1", b"x", b"1" * 16, "²".encode()):
        assert last_id(odd) is None


async def test_a_page_too_many_is_refused(folder: Path) -> None:
    """So many streams are held at most; another one is told to come later."""
    async with served(folder) as one:
        held = [one.board._hub.join(ALL) for _ in range(MOST_CLIENTS)]
        assert "too many" in (await one.json("/api/stream", 503))["error"]
        one.board._hub.leave(held[0])
        sent = b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n" + one.bearer + b"\r\n"
        assert b" 200 " in await one.raw(sent, until=b"event: state")


async def test_a_client_that_takes_nothing_is_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stands still loses its connection, and the others hear on."""
    monkeypatch.setattr(server, "SLOW_SECONDS", 0.2)
    async with served(folder) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.address.port, limit=1_024)
        writer.write(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n" + one.bearer + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        hub = one.board._hub
        async with asyncio.timeout(30):
            while len(hub) == 0:
                await asyncio.sleep(0.01)
            while len(hub):
                hub.tell([Event("log", {"text": "x" * 200_000})], 1)
                await asyncio.sleep(0.02)
        assert len(one.board._hub) == 0
        writer.close()
        assert (await one.client.get("/api/overview")).status_code == 200
