"""Small tapes and clients for the tests of the simulated exchange."""

from __future__ import annotations

import asyncio
import copy
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bot.exchange_client import open_exchange
from bot.simexchange.config import API_KEY, API_PASSPHRASE, API_SECRET, SimConfig
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
    async def start(
        *tapes: Path, credentials: dict[str, str] | None = None, **settings: Any
    ) -> AsyncIterator[tuple[SimServer, Endpoint, Any]]:
        names = tuple(str(tape) for tape in tapes)
        config = SimConfig(**{"state_dir": tmp_path / "state", "tapes": names, "speed": 0, **settings})
        async with running(config) as (server, endpoint):
            address = (endpoint.host, endpoint.port)
            client = open_exchange(
                endpoint.exchange_id,
                connect_to=address,
                ca_file=Path(endpoint.ca_file),
                rate_limited=False,
                credentials=credentials,
            )
            async with client as exchange:
                exchange.timeout_on_exit = 0
                exchange.nonce = server.conductor.now_ms
                yield server, endpoint, exchange

    return start


@pytest.fixture
def trade(
    play: Callable[..., AbstractAsyncContextManager[tuple[SimServer, Endpoint, Any]]],
) -> Callable[..., AbstractAsyncContextManager[tuple[SimServer, Any]]]:
    """Run an exchange with a client that holds the account's key, its markets loaded."""

    @asynccontextmanager
    async def start(*tapes: Path, **settings: Any) -> AsyncIterator[tuple[SimServer, Any]]:
        keys = {"apiKey": API_KEY, "secret": API_SECRET}
        async with play(*tapes, credentials=keys, **settings) as (server, _, exchange):
            await exchange.load_markets()
            yield server, exchange

    return start


@pytest.fixture
def swap(
    play: Callable[..., AbstractAsyncContextManager[tuple[SimServer, Endpoint, Any]]],
    make_tape: MakeTape,
) -> Callable[..., AbstractAsyncContextManager[tuple[SimServer, Any]]]:
    """Run an exchange of OKX's swaps, on a tape of BTC where none is given, with a client that holds its key."""

    @asynccontextmanager
    async def start(*tapes: Path, **settings: Any) -> AsyncIterator[tuple[SimServer, Any]]:
        keys = {"apiKey": API_KEY, "secret": API_SECRET, "password": API_PASSPHRASE}
        played = tapes or (make_tape(exchange="okx"),)
        async with play(*played, credentials=keys, **settings) as (server, _, exchange):
            await exchange.load_markets()
            yield server, exchange

    return start


class UserRecorder:
    """Every message of the private stream that a client got, as it came, and in ccxt's words."""

    def __init__(self, exchange: Any) -> None:
        self.messages: list[dict[str, Any]] = []
        self.orders: list[tuple[str, str]] = []
        self._exchange = exchange
        self._news = asyncio.Event()
        inner = exchange.handle_message

        def hook(client: Any, message: Any) -> None:
            if any(part in client.url for part in ("private", "business", "ws-api")):
                self.messages.append(copy.deepcopy(message))
                self._news.set()
            inner(client, message)

        exchange.handle_message = hook

    @asynccontextmanager
    async def listening(self, server: SimServer) -> AsyncIterator[None]:
        """Watch the account's orders for the time of the block."""
        task = asyncio.create_task(self._watch())
        try:
            trading = server.trading
            assert trading is not None
            await self.until(lambda: task.done() or trading.streams.listeners > 0, poll=True)
            if task.done():
                task.result()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            for order in await self._exchange.watch_orders():
                self.orders.append((order["clientOrderId"], order["status"]))
                self._news.set()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind, in order of arrival, without what spot wraps them in."""
        found = [message.get("event", message) for message in self.messages]
        return [event for event in found if event.get("e") == kind]

    async def until(self, condition: Callable[[], bool], *, poll: bool = False) -> None:
        """Wait until messages make a condition true."""
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await (asyncio.sleep(0.01) if poll else self._news.wait())


@pytest.fixture
def user_recorder() -> type[UserRecorder]:
    """The class that records a private stream."""
    return UserRecorder


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
