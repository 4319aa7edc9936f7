"""What those who listen are told, while the journal comes, grows, goes and is replaced."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.core.market import MINUTE_MS
from tests.core_builders import MIDNIGHT
from tests.dashboard_rig import LAST_MS, Served, append_log, decided, log_row, served


class Ear:
    """Listens to the stream as a browser does.

    Attributes:
        events: What came so far: name, id, data.
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._text = ""
        self.events: list[tuple[str, int, Any]] = []
        self.ended = False

    async def until(self, wanted: Any, seconds: float = 20.0) -> tuple[str, int, Any]:
        """The first event of all that a predicate takes; waits for it."""
        at = 0
        async with asyncio.timeout(seconds):
            while True:
                for event in self.events[at:]:
                    if wanted(event):
                        return event
                at = len(self.events)
                piece = await self._reader.read(65_536)
                if not piece:
                    self.ended = True
                    raise AssertionError("the stream has ended")
                self._take(piece.decode())

    def _take(self, piece: str) -> None:
        self._text += piece.replace("\r\n", "\n")
        *whole, self._text = self._text.split("\n\n")
        for part in whole:
            fields = dict(
                line.split(": ", 1)
                for line in part.split("\n")
                if line.partition(":")[0] in {"id", "event", "data"}
            )
            if "data" in fields:
                self.events.append((fields["event"], int(fields["id"]), json.loads(fields["data"])))


@asynccontextmanager
async def listening(one: Served, last_id: int | None = None, query: str = "") -> AsyncIterator[Ear]:
    """A stream that is open while the block runs."""
    reader, writer = await asyncio.open_connection("127.0.0.1", one.address.port)
    again = b"" if last_id is None else f"Last-Event-ID: {last_id}\r\n".encode()
    target = f"/api/stream{query}".encode()
    # HTTP/1.0 gets the stream as it is, not in chunks.
    writer.write(b"GET " + target + b" HTTP/1.0\r\nHost: 127.0.0.1\r\n" + one.bearer + again + b"\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert b" 200 " in head, head
    assert b"text/event-stream" in head
    try:
        yield Ear(reader)
    finally:
        writer.close()


async def looked(one: Served) -> None:
    """Wait until somebody has looked: from now on only what is new is told."""
    async with asyncio.timeout(20):
        while "state" not in one.board._watcher._told:
            await asyncio.sleep(0.005)


def named(name: str, **fields: Any) -> Any:
    """Takes events of a name with these fields."""
    return lambda event: event[0] == name and all(event[2].get(key) == value for key, value in fields.items())


async def test_who_comes_is_told_how_things_stand(folder: Path) -> None:
    """The overview with its minute as id, and the state, at once."""
    async with served(folder) as one, listening(one) as ear:
        _, at_ms, shown = await ear.until(named("minute"))
        assert at_ms == shown["last_closed_at_ms"] == LAST_MS
        _, _, state = await ear.until(named("state"))
        assert state["state"] == "trading"
        assert state["ended"] is False
        assert state["unavailable"] is None


async def test_each_minute_is_told_with_its_decisions_and_lines(tmp_path: Path) -> None:
    """While a daemon decides, everybody hears of the newest minute, of its decisions, and of the log."""
    folder = tmp_path / "state"
    folder.mkdir()
    await decided(folder, 80, upto=70)
    append_log(folder, log_row(0))
    async with served(folder) as one, listening(one) as first, listening(one) as second:
        for ear in (first, second):
            await ear.until(named("minute", last_closed_at_ms=MIDNIGHT + 70 * MINUTE_MS))
        await looked(one)
        await decided(folder, 80, upto=73)
        append_log(
            folder, log_row(1, event="order.filled"), log_row(3, event="a.debug"), log_row(5, event="b.c")
        )
        for ear in (first, second):
            await ear.until(named("minute", last_closed_at_ms=MIDNIGHT + 73 * MINUTE_MS))
            _, at_ms, line = await ear.until(named("log", event="order.filled"))
            assert MIDNIGHT + 70 * MINUTE_MS <= at_ms <= MIDNIGHT + 73 * MINUTE_MS
            assert line["number"] == 1
            assert line["cursor"]
            await ear.until(named("log", event="b.c"))
            ids = [event[2]["decision_id"] for event in ear.events if event[0] == "decision"]
            assert len(ids) == len(set(ids)) == 6
            assert ids == sorted(ids, key=lambda one_id: (one_id[-17:], one_id))
            assert not [event for event in ear.events if event[2].get("event") == "a.debug"]
            assert not [event for event in ear.events if event[2].get("number") == 0]


async def test_who_comes_back_is_told_what_was_missed(folder: Path) -> None:
    """With the id of the last event: the decisions since then, oldest first, and none twice."""
    async with served(folder) as one:
        async with listening(one, LAST_MS - 3 * MINUTE_MS) as ear:
            await ear.until(named("decision", closed_at_ms=LAST_MS, symbol="ETH/USDT:USDT"))
            times = [event[2]["closed_at_ms"] for event in ear.events if event[0] == "decision"]
            assert times == sorted(LAST_MS - back * MINUTE_MS for back in (0, 0, 1, 1, 2, 2))
        async with listening(one, 0) as ear:
            await ear.until(named("decision", closed_at_ms=LAST_MS, symbol="ETH/USDT:USDT"))
            assert len([event for event in ear.events if event[0] == "decision"]) == 200
        for nothing_new in (LAST_MS, LAST_MS + 10**9):
            async with listening(one, nothing_new) as ear:
                await ear.until(named("state"))
                assert {event[0] for event in ear.events} == {"minute", "state"}


@pytest.mark.parametrize("header", [b"x", b"-5", b"1.5", b"9" * 400, b"", b"\xff"])
async def test_an_id_that_is_none_is_passed_over(folder: Path, header: bytes) -> None:
    """A browser may send back whatever a proxy has made of it."""
    async with served(folder) as one:
        sent = b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n" + one.bearer
        got = await one.raw(sent + b"Last-Event-ID: " + header + b"\r\n\r\n", until=b"event: state")
        assert b" 200 " in got
        assert b"event: decision" not in got


async def test_only_what_was_asked_for_is_told(folder: Path) -> None:
    """A page that shows no log gets none."""
    async with served(folder) as one, listening(one, query="?topics=state,log") as ear:
        await ear.until(named("state"))
        await looked(one)
        append_log(folder, log_row(1))
        await ear.until(named("log"))
        assert {event[0] for event in ear.events} == {"state", "log"}


async def test_a_journal_that_appears_late_is_shown(tmp_path: Path) -> None:
    """Before: 503 with what to do, and a stream that says so; then the first minute, on the same connection."""
    folder = tmp_path / "later" / "state"
    async with served(folder) as one:
        for path in (
            "/api/overview",
            "/api/equity",
            "/api/decisions",
            "/api/trades",
            "/api/model",
            "/api/log",
        ):
            said = await one.json(path, 503)
            assert "bot run" in said["error"], path
        assert (await one.json("/api/candles", 503, symbol="BTC/USDT"))["error"]
        health = await one.json("/api/health")
        assert {row["name"]: row["ok"] for row in health["checks"]}["journal"] is False
        assert (await one.client.get("/")).status_code == 200
        async with listening(one) as ear:
            _, _, state = await ear.until(named("state"))
            assert "there is no journal" in state["unavailable"]
            await decided(folder, 65, upto=62)
            await ear.until(named("minute", last_closed_at_ms=MIDNIGHT + 62 * MINUTE_MS))
            await ear.until(named("state", unavailable=None))
        assert (await one.json("/api/overview"))["last_closed_at_ms"] == MIDNIGHT + 62 * MINUTE_MS
        told = [event for event, _ in one.log.lines]
        assert told.count("dashboard.journal_unread") == told.count("dashboard.journal_read") == 1


async def test_a_daemon_may_start_again_under_it(tmp_path: Path) -> None:
    """Between two lives the write-ahead log is folded away, as if nobody were looking; the next one's minutes are told."""
    folder = tmp_path / "state"
    folder.mkdir()
    await decided(folder, 90, upto=64)
    async with served(folder) as one, listening(one) as ear:
        await ear.until(named("minute", last_closed_at_ms=MIDNIGHT + 64 * MINUTE_MS))
        for minute in (68, 72):
            await decided(folder, 90, upto=minute)
            await ear.until(named("minute", last_closed_at_ms=MIDNIGHT + minute * MINUTE_MS))
            async with asyncio.timeout(10):
                while (folder / "journal.sqlite-wal").exists():
                    await asyncio.sleep(0.01)
                    await decided(folder, 90, upto=minute)


async def test_another_journal_in_its_place_is_shown(folder: Path, tmp_path: Path) -> None:
    """A backup that is restored, or an account begun anew: overview and curve are those of the new file."""
    other = tmp_path / "other"
    other.mkdir()
    await decided(other, 70, upto=65, seed=5)
    async with served(folder) as one, listening(one) as ear:
        await ear.until(named("minute", last_closed_at_ms=LAST_MS))
        assert len((await one.json("/api/equity", points=5_000))["at_ms"]) == 300
        (other / "journal.sqlite").replace(folder / "journal.sqlite")
        await ear.until(named("minute", last_closed_at_ms=MIDNIGHT + 65 * MINUTE_MS))
        await asyncio.sleep(1.1)
        assert (await one.json("/api/overview"))["last_closed_at_ms"] == MIDNIGHT + 65 * MINUTE_MS
        assert len((await one.json("/api/equity", points=5_000))["at_ms"]) == 65


async def test_a_damaged_journal_is_said_to_be(folder: Path) -> None:
    """503 with a sentence while it can't be read; neither the process nor the other pages end."""
    whole = (folder / "journal.sqlite").read_bytes()
    (folder / "journal.sqlite").write_bytes(b"SQLite format 3\x00" + b"\x07" * 40_000)
    async with served(folder) as one:
        assert "can't be" in (await one.json("/api/overview", 503))["error"]
        async with listening(one) as ear:
            _, _, state = await ear.until(named("state"))
            assert "can't be" in state["unavailable"]
            (folder / "journal.sqlite").write_bytes(whole)
            await ear.until(named("minute", last_closed_at_ms=LAST_MS))
        assert (await one.json("/api/log"))["lines"]


async def test_a_journal_of_an_older_version_waits_for_the_bot(tmp_path: Path) -> None:
    """Its tables are not touched; the sentence says who brings them up."""
    folder = tmp_path / "state"
    folder.mkdir()
    old = sqlite3.connect(folder / "journal.sqlite")
    old.execute("CREATE TABLE events (seq INTEGER)")
    old.execute("PRAGMA user_version = 1")
    old.close()
    async with served(folder) as one:
        assert "older version" in (await one.json("/api/overview", 503))["error"]


async def test_a_writer_in_the_midst_of_a_commit_is_not_waited_for(folder: Path) -> None:
    """An open transaction keeps no page from being shown, and is not seen."""
    writer = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM trades")
    try:
        async with served(folder) as one:
            assert len((await one.json("/api/trades", limit=2_000))["trades"]) > 50
    finally:
        writer.execute("ROLLBACK")
        writer.close()


async def test_the_log_begins_anew_while_the_pages_look_on(folder: Path) -> None:
    """Long after a checkpoint could begin, the write-ahead log has not grown: no page holds on to an old commit."""
    writer = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("PRAGMA wal_autocheckpoint=0")
    writer.execute("PRAGMA synchronous=OFF")
    wal = folder / "journal.sqlite-wal"
    sizes = []
    async with served(folder, poll_seconds=0.005) as one, listening(one) as ear:
        await ear.until(named("minute"))
        for turn in range(40):
            for number in range(20):
                writer.execute(
                    "INSERT INTO notes (kind, at_ms, payload) VALUES ('x.y', ?, ?)", (number, b'{"a":1}')
                )
            writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
            await asyncio.gather(
                one.json("/api/decisions", limit=100 + turn), one.json("/api/equity", points=50 + turn)
            )
            sizes.append(wal.stat().st_size)
    writer.close()
    assert max(sizes[20:]) <= max(sizes[:10]) * 2


async def test_the_end_ends_every_stream(folder: Path) -> None:
    """Who listens sees an end, and the dashboard does not wait for them."""
    async with served(folder) as one, listening(one) as ear:
        await ear.until(named("minute"))
        one.board._hub.close()
        with pytest.raises(AssertionError, match="ended"):
            await ear.until(named("nothing"))
