"""What the tests of feeds play against: tapes, a simulated exchange as a process, a TCP line that can fail."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.exchange_client import SimControl, make_exchange, open_exchange
from bot.feeds.ccxt_feed import CcxtFeed
from bot.feeds.timing import FeedTiming
from bot.ports import CandleClosed, Feed, FeedNotice, MarketTime
from bot.simexchange.config import SimConfig
from bot.simexchange.server import running
from bot.simexchange.tape import write_tape
from models.candle_arrays import CandleArrays

START_MS = 1_684_454_400_000
"""2023-05-19T00:00Z."""


class LocalClock:
    """This machine's time, for the tests alone."""

    def now_ms(self) -> int:
        """UTC milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        """A counter."""
        return time.monotonic_ns()


def unified(exchange_id: str) -> Symbol:
    """``BTCUSDT`` as the perpetual's unified name."""
    base = exchange_id.removesuffix("USDT")
    return f"{base}/USDT:USDT"


def walk(exchange_id: str, minutes: int, holes: Sequence[int] = ()) -> CandleArrays:
    """A random walk of a symbol, the same each time, without the minutes whose numbers are in ``holes``."""
    rng = np.random.default_rng(zlib.crc32(exchange_id.encode()))
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 0.001, minutes))), 2)
    opened = np.concatenate(([100.0], close[:-1]))
    high = np.round(np.maximum(opened, close) + 0.05, 2)
    low = np.round(np.minimum(opened, close) - 0.05, 2)
    volume = np.round(rng.uniform(1, 50, minutes), 3)
    kept = np.setdiff1d(np.arange(minutes), holes)
    ts = START_MS + np.arange(minutes, dtype=np.int64) * MINUTE_MS
    return CandleArrays(ts[kept], opened[kept], high[kept], low[kept], close[kept], volume[kept])


def candles_of(exchange_id: str, bars: CandleArrays, since: int = 0) -> list[Candle]:
    """Bars as candles, from minute number ``since`` on."""
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    candles = [Candle(unified(exchange_id), *row) for row in rows]
    return [candle for candle in candles if candle.opened_at_ms >= START_MS + since * MINUTE_MS]


@dataclass
class Line:
    """Where a simulated exchange listens."""

    address: tuple[str, int]
    ca_file: Path
    exchange_id: str

    def through(self, proxy: TcpProxy) -> Line:
        """The same exchange by way of a proxy."""
        return Line(proxy.address, self.ca_file, self.exchange_id)

    def feed(self, symbols: Sequence[Symbol], timing: FeedTiming | None = None, **more: Any) -> CcxtFeed:
        """A feed of it with an unmodified client."""
        exchange = make_exchange(
            self.exchange_id,
            connect_to=self.address,
            ca_file=self.ca_file,
            rate_limited=False,
            timeout_ms=1000,
        )
        exchange.timeout_on_exit = 0
        return CcxtFeed(
            exchange,
            symbols,
            clock=LocalClock(),
            random=random.Random(1).random,
            timing=timing or FeedTiming.at_speed(0),
            **more,
        )


@asynccontextmanager
async def sim(
    folder: Path, tapes: Mapping[str, CandleArrays], *, of: str = "binanceusdm", **settings: Any
) -> AsyncIterator[Line]:
    """A simulated exchange on real sockets in this process, paced unless ``settings`` say otherwise."""
    names = _write_tapes(folder, tapes, of)
    async with running(SimConfig(**{"state_dir": folder, "tapes": names, "speed": 0, **settings})) as (
        _,
        end,
    ):
        yield Line((end.host, end.port), Path(end.ca_file), end.exchange_id)


@asynccontextmanager
async def sim_process(folder: Path, tapes: Mapping[str, CandleArrays], *words: str) -> AsyncIterator[Line]:
    """The same as a process of its own, paced; ``words`` go on its command line."""
    arguments = [word for path in _write_tapes(folder, tapes) for word in ("--tape", path)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot.simexchange", "--state-dir", str(folder), "--speed", "0"),
        *arguments,
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())
        yield Line((ready["host"], ready["port"]), Path(ready["ca_file"]), ready["exchange_id"])
    finally:
        process.terminate()
        await process.wait()


def _write_tapes(folder: Path, tapes: Mapping[str, CandleArrays], of: str = "binanceusdm") -> tuple[str, ...]:
    paths = {name: folder / f"{of}-{name}-1m-tape.parquet" for name in tapes}
    for name, path in paths.items():
        write_tape(path, tapes[name])
    return tuple(map(str, paths.values()))


class TcpProxy:
    """A line between a client and a server that can be cut, refuse, or go silent."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.refuses = False
        self.accepted = 0
        self.address = ("127.0.0.1", 0)

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut everything and stop listening."""
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def stall(self) -> None:
        """Hold back every byte of the connections that there are; they stay open, and new ones work."""
        self._flows.clear()
        self._flows = asyncio.Event()
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refuses:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink, self._flows))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, flows: asyncio.Event
    ) -> None:
        try:
            while data := await source.read(65536):
                await flows.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            return  # the line was cut
        finally:
            sink.close()


@dataclass
class Played:
    """What a feed delivered."""

    closed: dict[Symbol, list[Candle]] = field(default_factory=dict)
    sources: dict[Symbol, list[str]] = field(default_factory=dict)
    notices: list[FeedNotice] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def names(self) -> list[str]:
        """The names of the notices, in order."""
        return [notice.event for notice in self.notices]


async def play(
    feed: Feed,
    line: Line,
    expected: Mapping[Symbol, Sequence[Candle]],
    *,
    on_candle: Callable[[Candle], None] | None = None,
    seconds: float = 30,
) -> Played:
    """Take events until all that is expected has come, or more came than that, acknowledging each minute.

    A minute is acknowledged once every expected candle up to it was delivered, so a paced exchange waits, and the
    test times out, where one is lost.
    """
    played = Played({symbol: [] for symbol in expected}, {symbol: [] for symbol in expected})
    closes = sorted({candle.closed_at_ms for rows in expected.values() for candle in rows})
    wanted = {
        at_ms: sum(c.closed_at_ms == at_ms for rows in expected.values() for c in rows) for at_ms in closes
    }
    total = sum(wanted.values())
    client = open_exchange(line.exchange_id, connect_to=line.address, ca_file=line.ca_file)
    async with asyncio.timeout(seconds), client as exchange:
        exchange.timeout_on_exit = 0
        control = SimControl(exchange)
        async for event in feed.events():
            if isinstance(event, FeedNotice):
                played.notices.append(event)
            elif isinstance(event, MarketTime):
                played.times.append(event.at_ms)
            elif isinstance(event, CandleClosed):
                candle = event.candle
                played.closed[candle.symbol].append(candle)
                played.sources[candle.symbol].append(event.source)
                if on_candle is not None:
                    on_candle(candle)
                wanted[candle.closed_at_ms] = wanted.get(candle.closed_at_ms, 0) - 1
                total -= 1
                done_ms = 0
                while closes and wanted[closes[0]] == 0:
                    done_ms = closes.pop(0)
                if done_ms:
                    await control.acknowledge(done_ms)
                if total == 0:
                    return played
    return played


def end_of(played: Played) -> dict[str, int]:
    """How many candles of each symbol, for a readable failure."""
    return {symbol: len(rows) for symbol, rows in played.closed.items()}


def stray_tasks(before: set[asyncio.Task[Any]]) -> list[str]:
    """What is running that was not before."""
    current = asyncio.current_task()
    return [repr(task) for task in asyncio.all_tasks() - before if task is not current and not task.done()]
