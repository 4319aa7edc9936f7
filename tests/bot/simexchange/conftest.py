"""Small tapes and clients for the tests of the simulated exchange."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.exchange_client import open_exchange
from bot.simexchange.config import SimConfig
from bot.simexchange.server import Endpoint, SimServer, running
from bot.simexchange.tape import write_tape
from models.candle_arrays import CandleArrays

START_MS = 1_684_454_400_000
"""2023-05-19T00:00Z."""

MINUTE_MS = 60_000

MakeTape = Callable[..., Path]


def make_bars(
    symbol: str, minutes: int, *, start_ms: int = START_MS, holes: tuple[int, ...] = ()
) -> CandleArrays:
    """A random walk on a tick of 0.01 without the minutes whose numbers are in ``holes``."""
    random = np.random.default_rng(zlib.crc32(symbol.encode()))
    close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.001, minutes))), 2)
    open_ = np.concatenate(([100.0], close[:-1]))
    high = np.round(np.maximum(open_, close) + random.integers(0, 9, minutes) / 100, 2)
    low = np.round(np.minimum(open_, close) - random.integers(0, 9, minutes) / 100, 2)
    volume = np.round(random.uniform(0, 50, minutes), 3)
    kept = np.setdiff1d(np.arange(minutes), holes)
    ts = start_ms + np.arange(minutes, dtype=np.int64) * MINUTE_MS
    return CandleArrays(ts[kept], open_[kept], high[kept], low[kept], close[kept], volume[kept])


@pytest.fixture
def make_tape(tmp_path: Path) -> MakeTape:
    """Write a tape and return its path."""

    def make(
        symbol: str = "BTCUSDT",
        minutes: int = 60,
        *,
        exchange: str = "binanceusdm",
        start_ms: int = START_MS,
        holes: tuple[int, ...] = (),
    ) -> Path:
        path = tmp_path / f"{exchange}-{symbol}-1m-{start_ms}.parquet"
        write_tape(path, make_bars(symbol, minutes, start_ms=start_ms, holes=holes))
        return path

    return make


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[tuple[SimServer, Endpoint, Any]]]:
    """Run an exchange (paced) in this process with an unmodified ccxt client connected to it."""

    @asynccontextmanager
    async def start(*tapes: Path, **settings: Any) -> AsyncIterator[tuple[SimServer, Endpoint, Any]]:
        names = tuple(str(tape) for tape in tapes)
        config = SimConfig(**{"state_dir": tmp_path / "state", "tapes": names, "speed": 0, **settings})
        async with running(config) as (server, endpoint):
            address = (endpoint.host, endpoint.port)
            client = open_exchange(
                endpoint.exchange_id, connect_to=address, ca_file=Path(endpoint.ca_file), rate_limited=False
            )
            async with client as exchange:
                exchange.timeout_on_exit = 0
                yield server, endpoint, exchange

    return start


class Recorder:
    """Every kline message that a client got, taken from ccxt's hook as the feed does."""

    def __init__(self, exchange: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        inner = exchange.handle_ohlcv

        def hook(client: Any, message: dict[str, Any]) -> None:
            self.messages.append(message)
            self._news.set()
            inner(client, message)

        exchange.handle_ohlcv = hook

    def finals(self) -> list[tuple[str, int]]:
        """Symbol and open time of each final bar, in order of arrival."""
        return [(m["s"], m["k"]["t"]) for m in self.messages if m["k"]["x"]]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until messages make a condition true."""
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def recorder() -> type[Recorder]:
    """The class that records what a client got."""
    return Recorder


@pytest.fixture
def bars() -> Callable[..., CandleArrays]:
    """The maker of the bars that tapes hold."""
    return make_bars


@pytest.fixture
def start_ms() -> int:
    """Where tapes start."""
    return START_MS
