"""Whether trading notices who looks on: closing message to committed decision, with fifty open pages and without, in turns."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.context import Context
from bench.decision_latency import ARRIVED_LAST, COMMITTED, activity, minute_of_hour
from bench.figures import Figure, spread
from bench.market import DAY_MINUTES, random_tapes, symbols
from bench.model import ensure_model
from bench.processes import BenchError, daemon_words, exchange, started, wait_until

PAGES = 50
SPEED = 120.0
"""Two minutes of the market a second: a hundred times what a page sees in life."""

SYMBOLS = 5
TURN_SECONDS = 5.0
SETTLING_SECONDS = 0.5
"""At the beginning of a turn, which is in no figure: fifty pages open or close at once."""

FILES = ("/", "/static/app.js", "/static/style.css", "/static/plotly.min.js")
QUESTIONS = ("/api/overview", "/api/equity?points=600", "/api/decisions?limit=100", "/api/log?limit=200")
BEAT_SECONDS = 15.0
WAL_EVERY_SECONDS = 0.05


class Turn(NamedTuple):
    """A stretch of the run.

    Attributes:
        watched: Whether pages were open.
        since_ns: From when on it counts, by the monotonic counter of this machine.
        until_ns: Until when.
        wal_bytes: The largest that the journal's write-ahead log was.
    """

    watched: bool
    since_ns: int
    until_ns: int
    wal_bytes: int


def measure(context: Context) -> list[Figure]:
    """One daemon, one run; pages are opened and closed in turns."""
    turns, seen, told = run(context)
    warm = seen["batches"][context.pick(20, 10, 1) :]
    usual = [row for row in warm if row[1] == SYMBOLS and minute_of_hour(row) != 0]
    alone, watched = split(usual, turns)
    if not alone or not watched:
        raise BenchError(f"{len(alone)} minutes were decided unwatched and {len(watched)} watched")
    figures = [*spread("alone", alone, "ms", note=told), *spread("fifty_pages", watched, "ms")]
    for name, percent in (("p50", 50), ("p99", 99)):
        ratio = float(np.percentile(watched, percent) / np.percentile(alone, percent))
        goal = "< 1.2" if percent == 99 else ""
        figures.append(Figure(f"{name}_ratio", ratio, "ratio", goal, "fifty pages / alone, in turns"))
    return [*figures, *wal_figures(turns)]


def split(rows: list[list[int]], turns: list[Turn]) -> tuple[list[int], list[int]]:
    """From the last closing message to the commit, ns: of minutes unwatched, and of those watched.

    A minute that began before a turn counted, or was not over with it, is left out.
    """
    alone: list[int] = []
    watched: list[int] = []
    for turn in turns:
        spans = [
            row[COMMITTED] - row[ARRIVED_LAST]
            for row in rows
            if turn.since_ns <= row[ARRIVED_LAST] and row[COMMITTED] <= turn.until_ns
        ]
        (watched if turn.watched else alone).extend(spans)
    return alone, watched


def wal_figures(turns: list[Turn]) -> list[Figure]:
    """The journal's write-ahead log: a reader that held on to an old commit would let it grow without end."""
    largest = {
        state: max((turn.wal_bytes for turn in turns if turn.watched is state), default=0)
        for state in (False, True)
    }
    if not largest[False]:
        raise BenchError("the journal's write-ahead log was never seen")
    ratio = largest[True] / largest[False]
    note = f"{largest[False] / 1e6:.1f} MB alone"
    return [
        Figure("wal_mb", largest[True] / 1e6, "MB", "", note),
        Figure("wal_ratio", ratio, "ratio", "< 1.5", "the log's largest size, fifty pages / alone"),
    ]


def run(context: Context) -> tuple[list[Turn], dict[str, Any], str]:
    """Exchange, daemon under the probe, dashboard and pages; gives the turns, what the probe noted, and a note."""
    folder = context.room("dashboard")
    ensure_model(context.models_dir)
    seconds = context.pick(420.0, 120.0, 16.0)
    batches = int(seconds * SPEED / 60)
    tapes = random_tapes(folder / "tapes", symbols(SYMBOLS), DAY_MINUTES + batches + 20)
    out, said = folder / "probe.json", folder / "daemon.txt"
    pages = context.pick(PAGES, PAGES, 8)
    with exchange(folder, tapes, speed=SPEED) as endpoint:
        words = ["-m", "bench.probe", str(out), str(batches)]
        words += daemon_words(endpoint, folder, context.models_dir)
        with started(words, said) as daemon, dashboard(folder) as address:
            wait_until(
                lambda: "decision.made" in said.read_text(errors="replace"),
                daemon,
                said,
                seconds=90,
                every=0.2,
            )
            browser = Browser(address, pages)
            turns = taken_turns(
                browser,
                folder / "journal.sqlite-wal",
                lambda: daemon.poll() is None,
                context.pick(1.0, 1.0, 0.4),
            )
            wait_until(lambda: daemon.poll() is not None, daemon, said, seconds=60, every=0.1)
    if daemon.returncode != 0 or not out.exists():
        raise BenchError(f"the daemon ended with {daemon.returncode}: {said.read_text()[-1500:]}")
    seen: dict[str, Any] = json.loads(out.read_text())
    orders, _ = activity(said)
    if browser.events == 0:
        raise BenchError("no page heard of a minute: nothing was watched")
    note = f"{orders} orders, {pages} pages, {browser.events} events and {browser.bytes / 1e6:.0f} MB read"
    return turns, seen, note


@contextmanager
def dashboard(folder: Path) -> Iterator[tuple[str, int, str]]:
    """A dashboard of a state folder for the time of the block; gives host, port and token."""
    said = folder / "dashboard.txt"
    words = ["-m", "bot", "dashboard", "--json", "--state-dir", str(folder)]
    with started(words, said) as process:
        wait_until(
            lambda: '"address"' in said.read_text(errors="replace"), process, said, seconds=60, every=0.1
        )
        line = next(row for row in said.read_text().splitlines() if '"address"' in row)
        told = json.loads(line)
        yield told["host"], told["port"], told["address"].rpartition("=")[2]


def taken_turns(browser: Browser, wal: Path, goes_on: Callable[[], bool], pace: float) -> list[Turn]:
    """Close and open all pages in turns until the daemon ends; the last turn, cut by the end, is left out."""
    turns: list[Turn] = []
    watched = False
    while goes_on():
        with browser.open() if watched else _nobody():
            time.sleep(SETTLING_SECONDS * pace)
            since_ns, largest = time.perf_counter_ns(), 0
            while goes_on() and time.perf_counter_ns() - since_ns < TURN_SECONDS * pace * 1e9:
                largest = max(largest, wal.stat().st_size if wal.exists() else 0)
                time.sleep(WAL_EVERY_SECONDS)
            if goes_on():
                turns.append(Turn(watched, since_ns, time.perf_counter_ns(), largest))
        watched = not watched
    return turns


@contextmanager
def _nobody() -> Iterator[None]:
    yield


class Browser:
    """Open pages: each has loaded its files, asked its questions, and listens.

    Args:
        address: Host, port and token of the dashboard.
        pages: How many.

    Attributes:
        events: Minutes that the pages heard of.
        bytes: What they read.
    """

    def __init__(self, address: tuple[str, int, str], pages: int) -> None:
        self._host, self._port, self._token = address
        self._pages = pages
        self.events = 0
        self.bytes = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        """All pages are open for the time of the block, in a thread with an event loop of its own."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_lowly, args=(loop,), name="pages")
        thread.start()
        work = asyncio.run_coroutine_threadsafe(self._all(), loop)
        try:
            yield
            if work.done():
                work.result()  # a page that could not be opened ends the bench
        finally:
            work.cancel()
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            _close(loop)

    async def _all(self) -> None:
        await asyncio.gather(*(self._page() for _ in range(self._pages)))

    async def _page(self) -> None:
        """What bot/dashboard/pages/live.js does: load, ask, listen, and ask again now and then."""
        for path in (*FILES, *QUESTIONS):
            await self._read(path)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self._read(QUESTIONS[0])

    async def _read(self, path: str) -> None:
        reader, writer = await self._asked(path, b"Accept-Encoding: gzip\r\nConnection: close\r\n")
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise BenchError(f"{path} was answered with {head[:40]!r}")
            self.bytes += len(head) + len(await reader.read())
        finally:
            writer.close()

    async def _listen(self) -> None:
        reader, writer = await self._asked("/api/stream", b"")
        try:
            while piece := await reader.read(65_536):
                self.bytes += len(piece)
                self.events += piece.count(b"event: minute")
        finally:
            writer.close()

    async def _asked(self, path: str, more: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {self._token}\r\n".encode()
        )
        writer.write(head + more + b"\r\n")
        return reader, writer


def _lowly(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop at the lowest priority: what browsers take is no cost of the dashboard's, and browsers are elsewhere."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    loop.run_forever()


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what is still at work in a loop that has stopped."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()

    async def ended() -> None:
        await asyncio.gather(*left, return_exceptions=True)

    loop.run_until_complete(ended())
    loop.close()
