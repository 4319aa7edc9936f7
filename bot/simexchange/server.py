"""The exchange as a server on loopback: REST, streams and control behind one TLS port.

``run`` serves until cancelled or told to stop; ``serve`` is a process of its own, with signals.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web

from bot.errors import ConfigError, EngineProtocolError, StorageError
from bot.simexchange.assembly import build_market, start_time
from bot.simexchange.binance_stream import StreamHub
from bot.simexchange.conductor import Conductor
from bot.simexchange.config import Market, SimConfig
from bot.simexchange.control import SimControlApi
from bot.simexchange.fault_room import Faults
from bot.simexchange.occupancy import occupied
from bot.simexchange.okx_room import OkxRoom, open_streams
from bot.simexchange.okx_stream import OkxStreams
from bot.simexchange.tls import server_context
from bot.simexchange.trading_room import TradingRoom

log = logging.getLogger(__name__)

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a simulated exchange listens; ``STATE_DIR/sim/endpoint.json`` holds the same."""

    host: str
    port: int
    ca_file: str
    pid: int
    market: str
    exchange_id: str
    synthetic: bool
    symbols: tuple[str, ...]


class SimServer:
    """The parts of a simulated exchange, wired."""

    def __init__(self, config: SimConfig) -> None:
        """Read the market; raises ConfigError or DataError."""
        self.config = config
        self.market = build_market(config)
        every = len(self.market.listings)
        wanted = min(config.wait_for_symbols or (every if config.holds else 0), every)
        self.conductor = Conductor(
            self.market,
            start_ms=start_time(config, self.market.source),
            speed=config.speed,
            offsets_ms=config.partial_offsets_ms,
            wait_for_symbols=wanted,
            holds=config.holds,
            clock_file=config.sim_dir / "clock.json",
        )
        self.faults = Faults(
            config.sim_dir,
            config.faults,
            resume=config.resume,
            now_ms=self.conductor.now_ms,
            start_ms=lambda: self.conductor.start_ms,
        )
        self.conductor.before_event = self.faults.tick
        self.hub = self._open_hub()
        self.conductor.attach(self.hub)
        self.control = SimControlApi(self.conductor, self.hub, self.faults)
        self.trading: TradingRoom | OkxRoom | None = None
        self.playing: asyncio.Task[None] | None = None

    def _open_hub(self) -> StreamHub | OkxStreams:
        if self.market.market is Market.OKX:
            return open_streams(self.config, self.market, self.conductor, self.faults)
        return StreamHub(
            self.market.listings,
            changed=self.conductor.wake,
            now_ms=self.conductor.now_ms,
            ping_seconds=self.config.ping_seconds,
            mark_prices=self.market.market is Market.USDM,
            faults=self.faults.streams,
        )

    def open(self) -> TradingRoom | OkxRoom:
        """Go on where the clock was, if told to, and open the account; raises ConfigError or StorageError."""
        resumed = self.config.resume and self.conductor.restore()
        if resumed:
            log.info("going on from %d", self.conductor.now_ms())
        parts = (self.config, self.market, self.conductor, self.faults)
        if isinstance(self.hub, OkxStreams):
            self.trading = OkxRoom(*parts, self.hub, resumed=resumed)
        else:
            self.trading = TradingRoom(*parts, resumed=resumed)
        self.control.trading = self.trading
        return self.trading

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Send a request to the part that answers it."""
        if request.path.startswith("/sim/"):
            return await self.control.respond(request)
        return await self.faults.http.around(request, self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.trading is None:
            raise EngineProtocolError("the exchange was asked before it was opened")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            if self.trading.streams.wants(request):
                return await self.trading.streams.serve(request)
            asked = _streams_of(request, self.market.market)
            if asked is not None and isinstance(self.hub, StreamHub):
                return await self.hub.serve(request, asked[0], wrapped=asked[1])
        return await self.trading.rest.respond(request)


@asynccontextmanager
async def running(config: SimConfig) -> AsyncIterator[tuple[SimServer, Endpoint]]:
    """Serve in this process for the time of the block; ``server.playing`` is the task that moves the market."""
    _make_folder(config.sim_dir)
    async with occupied(config.sim_dir), _serving(config) as served:
        yield served


@asynccontextmanager
async def _serving(config: SimConfig) -> AsyncIterator[tuple[SimServer, Endpoint]]:
    """The exchange itself, once its folder is its own."""
    server = SimServer(config)
    trading = server.open()
    ca_file = (config.sim_dir / "ca.pem").absolute()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, config.port, ssl_context=server_context(ca_file))
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(f"port: {config.port} cannot be listened on: {error}") from error
        endpoint = _endpoint(server, runner.addresses[0][1], ca_file)
        _write(config.sim_dir / "endpoint.json", json.dumps(asdict(endpoint)))
        server.playing = asyncio.create_task(server.conductor.play())
        server.playing.add_done_callback(_report)
        yield server, endpoint
    finally:
        if server.playing is not None:
            server.playing.cancel()
            await asyncio.wait([server.playing])
            server.conductor.save()
            (config.sim_dir / "endpoint.json").unlink(missing_ok=True)
        await server.hub.close()
        await trading.streams.close()
        await runner.cleanup()
        trading.floor.close()
        server.faults.close()


async def run(config: SimConfig, opened: Callable[[Endpoint], None] | None = None) -> None:
    """Serve until SIGINT, SIGTERM or the end of the parent process; says on stdout, and to ``opened``, when it is ready."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    parent = os.getppid()
    async with running(config) as (server, endpoint):
        ready = {"event": "sim.ready", **asdict(endpoint)}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        if opened is not None:
            opened(endpoint)
        while not stopping.is_set():
            if server.playing is not None and server.playing.done():
                server.playing.result()  # raises what stopped the market; at its end it just stays up
            if config.parent_pid is not None and _gone(config.parent_pid, parent):
                log.info("the parent process %d is gone", config.parent_pid)
                break
            try:
                async with asyncio.timeout(1.0):
                    await stopping.wait()
            except TimeoutError:
                continue


def serve(config: SimConfig, opened: Callable[[Endpoint], None] | None = None) -> None:
    """Run as a process of its own; errors of ours come out as they are."""
    asyncio.run(run(config, opened))


def _streams_of(request: web.Request, market: Market) -> tuple[list[str], bool] | None:
    """The streams that a WebSocket's URL names, and whether they are wrapped; None if it is no stream URL.

    Served: ``/ws``, ``/ws/NAMES``, ``/stream?streams=NAMES``, the futures' ``/market/ws…`` and ``/public/ws…``.
    ccxt puts a number where the names go.
    """
    foreign = ("fstream", "dstream") if market is Market.SPOT else ("stream", "dstream")
    if request.host.split(".", maxsplit=1)[0] in foreign:
        return None  # the stream of a market that is not played here
    parts = [part for part in request.path.split("/") if part]
    if parts and parts[0] in {"market", "public"}:
        parts = parts[1:]
    if not parts or parts[0] not in {"ws", "stream"}:
        return None
    names = request.query.get("streams", "").split("/") + parts[1:]
    return [name for name in names if "@" in name], parts[0] == "stream"


def _endpoint(server: SimServer, port: int, ca_file: Path) -> Endpoint:
    market = server.market
    return Endpoint(
        host=HOST,
        port=port,
        ca_file=str(ca_file),
        pid=os.getpid(),
        market=market.market.value,
        exchange_id=market.market.exchange_id,
        synthetic=not server.config.tapes,
        symbols=tuple(listing.unified(market.market) for listing in market.listings.values()),
    )


def _gone(pid: int, parent_at_start: int) -> bool:
    """Whether a process has ended; our own parent is known to be gone as soon as we have another."""
    if pid == parent_at_start:
        return os.getppid() != pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made: {error}") from error


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    waiting = path.with_suffix(".part")
    try:
        waiting.write_text(text)
        waiting.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error}") from error


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("the market stopped: %s: %s", type(error).__name__, error)
