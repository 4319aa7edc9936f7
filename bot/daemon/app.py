"""The composition root: settings become a running daemon, and a running daemon ends in order.

Start: lock the state folder, load and verify the model, open the journal, connect, recover, and only then
``service.ready``. Stop: finish the batch at hand, close the feed, say ``service.stopped``.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

from bot.brokers.paper import PaperBroker
from bot.clock import MarketClock, SystemClock, wall_ms
from bot.core.engine import EngineConfig, TradingEngine
from bot.core.market import Instrument, Symbol
from bot.core.matching import FundingRates
from bot.daemon.funding import FundingRateSource
from bot.daemon.lock import state_lock
from bot.daemon.loop import TradingLoop
from bot.daemon.recovery import recover
from bot.daemon.supervisor import SimMinder
from bot.daemon.tape import SimEndpoint, SimPlan, running_sim
from bot.daemon.telling import Log
from bot.errors import BotError, ModelError
from bot.exchange_client import Exchange, SimControl, mapped, open_exchange
from bot.feeds.ccxt_feed import CcxtFeed
from bot.feeds.timing import FeedTiming
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.logs import configure, get_logger
from bot.ports import Clock, Feed, Predictor
from bot.settings import Settings
from strategies import strategy_factory


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        batch_count: Minutes decided in this run.
        equity: Account equity at the end, quote currency.
        trade_count: Round trips of the account so far.
        latencies_ns: From the message that closed a minute to its commit, newest last.
    """

    batch_count: int
    equity: float
    trade_count: int
    latencies_ns: tuple[int, ...]


async def run_bot(
    settings: Settings,
    *,
    sim: SimPlan | None = None,
    predictor: Predictor | None = None,
    stop: asyncio.Event | None = None,
    instruments: Mapping[Symbol, Instrument] | None = None,
) -> RunOutcome:
    """Run the daemon until a signal, until ``stop``, or until the tape has ended where the plan says so.

    Args:
        settings: Checked settings.
        sim: Play this on a simulated exchange of our own; None connects as the settings say.
        predictor: Instead of the model that the settings name.
        stop: Set it to end the run.
        instruments: Trading rules instead of those that the exchange tells.

    Raises:
        ConfigError, DataError, ModelError, StorageError: It can't start, or can't go on; nothing is half-written.
    """
    settings.require_available_mode()
    stop = stop or asyncio.Event()
    _on_signals(stop)
    async with AsyncExitStack() as stack:
        stack.enter_context(state_lock(settings.state_dir))
        # Before the journal is opened: a model that is refused leaves no trace in it.
        predictor, refused = (predictor, None) if predictor is not None else _load_model(settings)
        if sim is not None:
            endpoint = await stack.enter_async_context(running_sim(sim, settings.state_dir))
            settings = on_simulator(settings, sim, endpoint)
        journal = SqliteJournal(settings.journal_path)
        stack.callback(journal.close)
        run_id = journal.meta("run_id", secrets.token_hex(4))
        journal.meta("simulated", str(settings.exchange.simulated).lower())
        configure(settings.logs, run_id=run_id, mode=settings.mode, simulated=settings.exchange.simulated)
        if refused is not None:
            get_logger("bot.daemon").error("model.refused", reason=refused, instead=predictor.model_id)
        return await _trade(settings, stack, journal, run_id, predictor, refused, stop, sim, instruments)


async def _trade(
    settings: Settings,
    stack: AsyncExitStack,
    journal: SqliteJournal,
    run_id: str,
    predictor: Predictor,
    refused: str | None,
    stop: asyncio.Event,
    sim: SimPlan | None,
    instruments: Mapping[Symbol, Instrument] | None,
) -> RunOutcome:
    log = get_logger("bot.daemon")
    log.info("service.starting", exchange=settings.exchange.id, symbols=list(settings.exchange.symbols))
    exchange = await stack.enter_async_context(
        open_exchange(
            settings.exchange.id,
            connect_to=settings.exchange.address,
            ca_file=settings.exchange.ca_file,
            rate_limited=not settings.exchange.simulated,  # a limit protects others, not our own exchange
        )
    )
    clock: Clock = MarketClock() if settings.exchange.clock == "market" else SystemClock()
    control = SimControl(exchange)
    feed = await _feed(settings, exchange, clock, control, log)
    stack.push_async_callback(feed.close)
    starting = _start(settings, run_id, predictor, journal, feed, clock, instruments)
    started = await _unless_stopped(stop, starting)
    if started is None:
        return _stopped_early(settings, journal, log)
    engine, broker, funding, recovered = started
    rates = FundingRateSource(
        funding,
        feed,
        lambda symbol: not engine.account.position(symbol).is_flat,
        engine.last_opened_at_ms,
        log,
    )
    minder = SimMinder(control, engine.last_opened_at_ms, until_end=sim is not None and sim.until_end)
    loop = TradingLoop(
        engine=engine,
        broker=broker,
        predictor=predictor,
        journal=journal,
        feed=feed,
        clock=clock,
        log=log,
        deadline_ms=int(settings.exchange.batch_deadline_seconds * 1000),
        before_batch=rates.before_batch,
        after_batch=minder.acknowledge if settings.exchange.paced else minder.note,
    )
    ready = {"recovered": recovered, "model_id": predictor.model_id, "refused": refused}
    journal.note("service.ready", wall_ms(), ready)
    log.info(
        "service.ready",
        recovered=recovered,
        model_id=predictor.model_id,
        state=engine.risk.state.value,
        equity=round(engine.account.equity(), 2),
        positions=len(engine.account.positions()),
    )
    await _drive(loop, feed, minder, stop, settings)
    journal.note("service.stopped", wall_ms(), {"batches": loop.batch_count})
    log.info("service.stopped", batches=loop.batch_count, equity=round(engine.account.equity(), 2))
    return RunOutcome(
        loop.batch_count, engine.account.equity(), engine.account.trade_count, tuple(loop.latencies_ns)
    )


class _Started(NamedTuple):
    """What a start makes ready."""

    engine: TradingEngine
    broker: PaperBroker
    funding: FundingRates
    recovered: bool


async def _start(
    settings: Settings,
    run_id: str,
    predictor: Predictor,
    journal: SqliteJournal,
    feed: CcxtFeed,
    clock: Clock,
    instruments: Mapping[Symbol, Instrument] | None,
) -> _Started:
    """Read the markets, set the clock and recover: what asks the exchange, and may wait for it long."""
    await feed.open()
    if isinstance(clock, SystemClock):
        await _synchronize(clock, feed)
    instruments = instruments or await feed.instruments()
    engine = _engine(settings, run_id, instruments)
    funding = FundingRates(settings.costs.funding_rate)
    broker = PaperBroker(settings.costs.to_core(), instruments, funding)
    recovered = await recover(engine=engine, broker=broker, predictor=predictor, journal=journal, feed=feed)
    return _Started(engine, broker, funding, recovered)


async def _synchronize(clock: SystemClock, feed: Feed) -> None:
    """Set our clock by the exchange's: deadlines and the age of a candle are judged by it."""
    asked_at_ns = clock.monotonic_ns()
    exchange_ms = await feed.exchange_time_ms()
    clock.synchronize(exchange_ms, asked_at_ns=asked_at_ns, answered_at_ns=clock.monotonic_ns())


async def _unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, _Started]) -> _Started | None:
    """What the work returns; None, with the work cancelled, when the run is told to stop first."""
    working = asyncio.create_task(work, name="start")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def _stopped_early(settings: Settings, journal: SqliteJournal, log: Log) -> RunOutcome:
    """End a run that never became ready; the account is as the journal has it."""
    snapshot = journal.snapshot()
    equity = settings.account.starting_cash
    trade_count = 0
    if snapshot is not None:
        last = JournalReader(settings.journal_path).last_equity()
        equity = equity if last is None else last.equity
        trade_count = snapshot["account"]["trade_count"]
    log.info("service.stopped", batches=0, equity=round(equity, 2), before="service.ready")
    return RunOutcome(0, equity, trade_count, ())


async def _drive(
    loop: TradingLoop, feed: Feed, minder: SimMinder, stop: asyncio.Event, settings: Settings
) -> None:
    """Run the loop, and beside it what watches a simulated exchange; the first that fails ends the run."""
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(loop.run(feed.events(), stop), name="loop")]
    if settings.exchange.simulated:
        tasks.append(asyncio.create_task(minder.watch(stop, paced=settings.exchange.paced), name="simulator"))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            await tasks[0]  # the batch at hand is finished
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result if isinstance(result, BotError) else mapped(result) from result


def _engine(settings: Settings, run_id: str, instruments: Mapping[Symbol, Instrument]) -> TradingEngine:
    config = EngineConfig(
        run_id=run_id,
        instruments=instruments,
        costs=settings.costs.to_core(),
        limits=settings.risk.to_core(),
        sizing=settings.sizing.to_core(),
        starting_cash=settings.account.starting_cash,
    )
    chosen = settings.strategy
    factory = strategy_factory(chosen.name, parameter_set=chosen.parameter_set, overrides=chosen.parameters)
    return TradingEngine(config, factory)


async def _feed(
    settings: Settings, exchange: Exchange, clock: Clock, control: SimControl, log: Log
) -> CcxtFeed:
    """The feed, as patient as the speed of the market allows."""
    timing = FeedTiming(stall_seconds=settings.exchange.stall_seconds)
    if settings.exchange.simulated:
        timing = FeedTiming.at_speed((await control.clock())["speed"])
    return CcxtFeed(
        exchange,
        settings.exchange.symbols,
        clock=clock,
        random=random.SystemRandom().random,
        timing=timing,
        retrying=lambda fields: log.warning("feed.request_failed", **fields),
    )


def _load_model(settings: Settings) -> tuple[Predictor, str | None]:
    """The model that the settings name, or their fallback and the refusal; onnxruntime is loaded here and not before."""
    from bot.inference import OnnxPredictor
    from models.registry import resolve

    name = None if settings.model.id == "champion" else settings.model.id
    try:
        return OnnxPredictor.load(resolve(settings.models_dir, name)), None
    except ModelError as refused:
        if settings.model.fallback is None:
            raise
        return OnnxPredictor.load(resolve(settings.models_dir, settings.model.fallback)), str(refused)


def on_simulator(settings: Settings, sim: SimPlan, endpoint: SimEndpoint) -> Settings:
    """The same settings, connected to our own simulated exchange."""
    host, port = endpoint.address
    exchange = settings.exchange.model_copy(
        update={
            "id": endpoint.exchange_id,
            "symbols": endpoint.symbols,
            "connect_to": f"{host}:{port}",
            "ca_file": endpoint.ca_file,
            "simulated": True,
            "clock": "market",
            "paced": sim.speed == 0,
        }
    )
    return settings.model_copy(update={"exchange": exchange})


def _on_signals(stop: asyncio.Event) -> None:
    running = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(number, stop.set)
