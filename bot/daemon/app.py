"""The composition root: settings become a running daemon, and a running daemon ends in order.

Start: lock the state folder, load and verify the model, open the journal, connect, recover, and only then
``service.ready``. Stop: finish the batch at hand, close the feed, say ``service.stopped``.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import NamedTuple

from bot.brokers.paper import PaperBroker
from bot.clock import MarketClock, SystemClock, wall_ms
from bot.core.engine import TradingEngine
from bot.core.engine_config import EngineConfig
from bot.core.market import Instrument, Symbol
from bot.core.matching import FundingRates
from bot.core.promotion import NO_TRADE
from bot.daemon.attendance import Attendance, AttendanceRules, attend
from bot.daemon.funding import FundingRateSource
from bot.daemon.handover import flatten_held
from bot.daemon.lock import state_lock
from bot.daemon.loop import TradingLoop
from bot.daemon.recovery import recover
from bot.daemon.retrainer import COMMAND, RetrainPlan, setting_words
from bot.daemon.schedule import cron_trigger
from bot.daemon.serving import ModelShelf, Serving
from bot.daemon.shadow import ShadowRules
from bot.daemon.supervisor import SimMinder, drive, unless_stopped
from bot.daemon.tape import SimEndpoint, SimPlan, running_sim
from bot.daemon.telling import Log
from bot.exchange_client import Exchange, SimControl, open_exchange
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
    retrain_program: Sequence[str] = COMMAND,
) -> RunOutcome:
    """Run the daemon until a signal, until ``stop``, or until the tape has ended where the plan says so.

    Args:
        settings: Checked settings.
        sim: Play this on a simulated exchange of our own; None connects as the settings say.
        predictor: Instead of the model that the settings name; it is not judged, and nobody follows it.
        stop: Set it to end the run.
        instruments: Trading rules instead of those that the exchange tells.
        retrain_program: What retrains, absolute path and first words; the settings come after it.

    Raises:
        ConfigError, DataError, ModelError, StorageError: It can't start, or can't go on; nothing is half-written.
    """
    settings.require_available_mode()
    stop = stop or asyncio.Event()
    _on_signals(stop)
    async with AsyncExitStack() as stack:
        stack.enter_context(state_lock(settings.state_dir))
        # Before the journal is opened: a model that is refused leaves no trace in it.
        serving = _first(settings) if predictor is None else Serving(predictor, None)
        if settings.retrain.enabled:
            cron_trigger(settings.retrain.schedule, settings.retrain.zone)  # now, and not when one is due
        if sim is not None:
            endpoint = await stack.enter_async_context(running_sim(sim, settings.state_dir))
            settings = on_simulator(settings, sim, endpoint)
        journal = SqliteJournal(settings.journal_path)
        stack.callback(journal.close)
        run_id = journal.meta("run_id", secrets.token_hex(4))
        journal.meta("simulated", str(settings.exchange.simulated).lower())
        configure(
            settings.logs,
            run_id=run_id,
            mode=settings.mode,
            simulated=settings.exchange.simulated,
            unproven=serving.proven is False,
        )
        if serving.refused is not None:
            get_logger("bot.daemon").error("model.refused", reason=serving.refused, instead=serving.model_id)
        followed = Followed(predictor is None, tuple(retrain_program))
        return await _trade(settings, stack, journal, run_id, serving, followed, stop, sim, instruments)


async def _trade(
    settings: Settings,
    stack: AsyncExitStack,
    journal: SqliteJournal,
    run_id: str,
    serving: Serving,
    followed: Followed,
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
    starting = _start(settings, run_id, serving.predictor, journal, feed, clock, instruments)
    started = await unless_stopped(stop, starting)
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
        predictor=serving.predictor,
        journal=journal,
        feed=feed,
        clock=clock,
        log=log,
        deadline_ms=int(settings.exchange.batch_deadline_seconds * 1000),
        before_batch=rates.before_batch,
        after_batch=minder.acknowledge if settings.exchange.paced else minder.note,
    )
    if serving.model_id == NO_TRADE:
        flatten_held(loop)
    ready = {
        "recovered": recovered,
        "model_id": serving.model_id,
        "refused": serving.refused,
        "proven": serving.proven,
    }
    journal.note("service.ready", wall_ms(), ready)
    log.info(
        "service.ready",
        recovered=recovered,
        model_id=serving.model_id,
        proven=serving.proven,
        state=engine.risk.state.value,
        equity=round(engine.account.equity(), 2),
        positions=len(engine.account.positions()),
    )
    attendance = None
    if followed.by_name:
        attendance = _attend(settings, followed, serving, loop, journal, feed, clock, log)
        stack.push_async_callback(attendance.succession.close)
    beside = [] if attendance is None or attendance.retrainer is None else [attendance.retrainer.serve()]
    if settings.exchange.simulated:
        beside.append(minder.watch(stop, paced=settings.exchange.paced))
    await drive(loop, feed, stop, beside)
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


class Followed(NamedTuple):
    """Whether the model came by its name, so that others may follow it, and what retrains."""

    by_name: bool
    retrain_program: tuple[str, ...]


def _first(settings: Settings) -> Serving:
    """The model that the settings name, or their fallback."""
    shelf = ModelShelf(settings.models_dir, unproven=settings.model.unproven)
    name = None if settings.model.id == "champion" else settings.model.id
    return shelf.load_first(name, settings.model.fallback)


def _attend(
    settings: Settings,
    followed: Followed,
    serving: Serving,
    loop: TradingLoop,
    journal: SqliteJournal,
    feed: Feed,
    clock: Clock,
    log: Log,
) -> Attendance:
    """Give the loop what looks after its model."""
    rules = AttendanceRules(
        shelf=ModelShelf(settings.models_dir, unproven=settings.model.unproven),
        follows=settings.model.id == "champion",
        shadow=ShadowRules(settings.retrain.shadow_hours, settings.watch.inference_deadline_ms),
        retrain=_retrain_plan(settings, followed.retrain_program) if settings.retrain.enabled else None,
        watch=settings.watch.to_core() if settings.watch.enabled else None,
        exposure=settings.risk.max_total_notional_fraction,
    )
    return attend(rules, serving, loop, journal, feed, clock, log)


def _retrain_plan(settings: Settings, program: tuple[str, ...]) -> RetrainPlan:
    """The program with every setting as a flag: its environment and the daemon's flags and files may differ."""
    told = settings.model_dump(
        mode="json", exclude={"logs": True, "exchange": {"api_key", "api_secret"}, "mode": True}
    )
    told["model"] = {"root": str(settings.models_dir), "unproven": settings.model.unproven}
    retrain = settings.retrain
    return RetrainPlan(
        program=(*program, *setting_words(told)),
        schedule=retrain.schedule,
        zone=retrain.zone,
        timeout_seconds=retrain.timeout_hours * 3600,
        models_dir=settings.models_dir,
    )


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
