"""The composition root: settings become a running daemon, and a running daemon ends in order.

Start: lock the state folder, load and verify the model, open the journal, connect, recover, and only then
``service.ready``. Stop: finish the batch at hand, close the feed, say ``service.stopped``.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from bot.brokers.paper import PaperBroker
from bot.clock import MarketClock, SystemClock, monotonic_ns, wall_ms
from bot.core.engine import TradingEngine
from bot.core.market import Instrument, Symbol
from bot.core.matching import FundingRates
from bot.core.promotion import NO_TRADE
from bot.daemon.batching import Batch
from bot.daemon.funding import FundingRateSource
from bot.daemon.handover import flatten_held
from bot.daemon.live_side import LiveSide
from bot.daemon.lock import state_lock
from bot.daemon.loop import TradingLoop
from bot.daemon.market_facts import FactSource
from bot.daemon.operator import LoopOperator
from bot.daemon.parts import (
    Followed,
    attendance_of,
    backups_of,
    client_of,
    engine_of,
    feed_of,
    first_serving,
    heralded,
    keep_house,
    live_side_of,
    on_simulator,
    replays_of,
    require_account,
    rules_in_force,
    service_of,
    with_account,
)
from bot.daemon.retrainer import COMMAND
from bot.daemon.schedule import cron_trigger
from bot.daemon.sd_notify import Herald, Standing
from bot.daemon.service import Service
from bot.daemon.serving import Serving
from bot.daemon.starting import Start, Started
from bot.daemon.supervisor import SimMinder, drive, unless_stopped
from bot.daemon.tape import SimPlan, running_sim
from bot.daemon.telling import Log, Teller
from bot.exchange_client import SimControl
from bot.feeds.ccxt_feed import CcxtFeed
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.logs import configure, get_logger
from bot.ports import Clock, Predictor
from bot.settings import Settings


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
    stop = stop or asyncio.Event()
    async with AsyncExitStack() as stack:
        herald = stack.enter_context(Herald.of_environment(os.environ, os.getpid(), monotonic_ns))
        _on_signals(stop, herald.stopping)
        herald.step("loading the model")
        stack.enter_context(state_lock(settings.state_dir))
        # Before the journal is opened: a model that is refused leaves no trace in it.
        serving = first_serving(settings) if predictor is None else Serving(predictor, None)
        if settings.retrain.enabled:
            cron_trigger(settings.retrain.schedule, settings.retrain.zone)  # now, and not when one is due
        if sim is not None:
            herald.step("starting the simulated exchange")
            sim = with_account(settings, sim)
            endpoint = await stack.enter_async_context(running_sim(sim, settings.state_dir))
            settings = on_simulator(settings, sim, endpoint)
        herald.step("opening the journal")
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
        herald.complain_to(get_logger("bot.daemon"))
        life = _Life(settings, stack, journal, run_id, serving, followed, stop, sim, instruments, herald)
        with herald.until_end():
            return await _trade(life)


@dataclass(frozen=True, slots=True)
class _Life:
    """What a run has from its beginning.

    Attributes:
        settings: Of this run; with a simulated exchange of our own, they lead to it.
        stack: Ends what was begun, last first.
        journal: Open.
        run_id: Of the journal.
        serving: The model that trades.
        followed: Whether the model is looked after.
        stop: Set when the run shall end.
        sim: What is played on an exchange of our own.
        instruments: Trading rules instead of the exchange's.
        herald: Tells a service manager.
        log: Where lines go.
        began_ns: Local count at the beginning.
    """

    settings: Settings
    stack: AsyncExitStack
    journal: SqliteJournal
    run_id: str
    serving: Serving
    followed: Followed
    stop: asyncio.Event
    sim: SimPlan | None
    instruments: Mapping[Symbol, Instrument] | None
    herald: Herald
    log: Any = field(default_factory=lambda: get_logger("bot.daemon"))
    began_ns: int = field(default_factory=monotonic_ns)


class _Line(NamedTuple):
    """The way to the exchange, and who is told of it."""

    clock: Clock
    control: SimControl
    feed: CcxtFeed
    service: Service
    teller: Teller


class _Books(NamedTuple):
    """Whose account is traded: an exchange's (``live``) or one on paper.

    Attributes:
        live: None on paper.
        starting: Connects and recovers.
        before_batch: Made once the engine is there: what comes before each minute.
    """

    live: LiveSide | None
    starting: Coroutine[Any, Any, Started]
    before_batch: Callable[[TradingEngine], Callable[[Batch], Awaitable[None]]]


async def _trade(life: _Life) -> RunOutcome:
    settings, journal, log, stop = life.settings, life.journal, life.log, life.stop
    log.info("service.starting", exchange=settings.exchange.id, symbols=list(settings.exchange.symbols))
    line = await _connected(life)
    books = await _live_books(life, line) if settings.mode == "live" else _paper_books(life, line)
    live = books.live
    started = await unless_stopped(stop, books.starting)
    if started is None:
        return _stopped_early(settings, journal, log)
    minder = SimMinder(
        line.control,
        started.engine.last_opened_at_ms,
        until_end=life.sim is not None and life.sim.until_end,
        settled=None if live is None else live.settled,
    )
    loop = _loop_of(life, line, books, started, minder)
    life.herald.step("opening the control API" if live is None else "comparing the books with the exchange's")
    told = {"run_id": life.run_id, "mode": settings.mode, "simulated": settings.exchange.simulated}
    line.service.open(LoopOperator(loop, line.service.progress, line.teller, told))
    if live is not None and not await unless_stopped(stop, live.begin(loop, recovered=started.recovered)):
        return _stopped_early(settings, journal, log)
    _announce(life, loop, recovered=started.recovered)
    beside = await _beside(life, line, live, loop, minder)
    await drive(loop, line.feed, stop, beside)
    account = loop.engine.account
    journal.note("service.stopped", wall_ms(), {"batches": loop.batch_count})
    log.info("service.stopped", batches=loop.batch_count, equity=round(account.equity(), 2))
    return RunOutcome(loop.batch_count, account.equity(), account.trade_count, tuple(loop.latencies_ns))


async def _connected(life: _Life) -> _Line:
    """A client, its clock and feed, and the service that tells of them; nothing was asked yet."""
    settings, stack = life.settings, life.stack
    exchange = await stack.enter_async_context(client_of(settings, None))
    clock: Clock = MarketClock() if settings.exchange.clock == "market" else SystemClock()
    service = stack.enter_context(service_of(settings, clock, life.log, life.herald, life.journal))
    service.recover(life.journal.path, mode=settings.mode, simulated=settings.exchange.simulated)
    control = SimControl(exchange)
    feed = await feed_of(settings, exchange, clock, control, life.log)
    stack.push_async_callback(feed.close)
    return _Line(clock, control, feed, service, Teller(life.log, life.journal, clock.now_ms))


def _start_of(life: _Life, line: _Line) -> Start:
    return Start(
        lambda rules, cash: engine_of(life.settings, life.run_id, rules, cash),
        life.serving.predictor,
        life.journal,
        line.feed,
        line.clock,
        life.instruments,
        life.herald.step,
    )


async def _live_books(life: _Life, line: _Line) -> _Books:
    """The exchange's account, over a second client that has the keys."""
    settings = life.settings
    trader = await life.stack.enter_async_context(client_of(settings, settings.exchange.credentials))
    live = await live_side_of(settings, trader, line.clock, line.control, line.teller)
    life.stack.push_async_callback(live.end)
    require = partial(require_account, settings, trader, line.clock, life.log, live)
    return _Books(live, _start_of(life, line).live(live, require), lambda _engine: live.before_batch)


def _paper_books(life: _Life, line: _Line) -> _Books:
    """An account of ours, with the exchange's funding rates."""
    settings = life.settings
    funding = FundingRates(settings.costs.funding_rate)
    cash = settings.account.starting_cash
    paper = partial(PaperBroker, settings.costs.to_core(), funding=funding, starting_cash=cash)

    def before_batch(engine: TradingEngine) -> Callable[[Batch], Awaitable[None]]:
        return FundingRateSource(
            funding,
            line.feed,
            lambda symbol: not engine.account.position(symbol).is_flat,
            engine.last_opened_at_ms,
            life.log,
        ).before_batch

    return _Books(None, _start_of(life, line).on_paper(paper, cash), before_batch)


def _loop_of(life: _Life, line: _Line, books: _Books, started: Started, minder: SimMinder) -> TradingLoop:
    """The loop with all that it calls; what a model that may not trade left behind is closed."""
    settings, engine = life.settings, started.engine
    known = FactSource(line.feed, settings.risk.to_core(), line.clock, line.teller)
    loop = TradingLoop(
        engine=engine,
        broker=started.broker,
        predictor=life.serving.predictor,
        journal=life.journal,
        feed=line.feed,
        clock=line.clock,
        log=life.log,
        deadline_ms=int(settings.exchange.batch_deadline_seconds * 1000),
        before_batch=known.after(books.before_batch(engine)),
        market_facts=known.facts if known.is_needed else None,
        after_batch=minder.acknowledge if settings.exchange.paced else minder.note,
        on_quiet=keep_house(settings, life.journal, engine, life.log),
        market_speed=line.feed.market_speed,
    )
    loop.listener = line.service
    if life.serving.model_id == NO_TRADE:
        flatten_held(loop)
    return loop


async def _beside(
    life: _Life, line: _Line, live: LiveSide | None, loop: TradingLoop, minder: SimMinder
) -> list[Coroutine[Any, Any, None]]:
    """What runs beside trading until it ends."""
    settings, journal, log = life.settings, life.journal, life.log
    beside = await heralded(settings, life.herald, line.control, line.service, loop)
    if life.followed.by_name:
        attendance = attendance_of(
            settings,
            life.followed,
            life.serving,
            loop,
            journal,
            line.feed,
            line.clock,
            log,
            line.service.on_verdict,
        )
        life.stack.push_async_callback(attendance.succession.close)
        if attendance.retrainer is not None:
            beside.append(attendance.retrainer.serve())
    beside += [
        *line.service.beside(life.stop),
        *replays_of(settings, journal, loop, line.clock, log),
        *backups_of(settings, journal, log),
    ]
    if live is not None:
        beside.append(live.beside())
    if settings.exchange.simulated:
        beside.append(minder.watch(life.stop, paced=settings.exchange.paced))
    return beside


def _announce(life: _Life, loop: TradingLoop, *, recovered: bool) -> None:
    """Say that it is ready, to a service manager too; ``recovered`` is whether it goes on from a journal."""
    settings, serving, journal, engine = life.settings, life.serving, life.journal, loop.engine
    seconds = round((monotonic_ns() - life.began_ns) / 1e9, 1)
    told = {
        "recovered": recovered,
        "seconds": seconds,
        "model_id": serving.model_id,
        "proven": serving.proven,
    }
    journal.note("service.rules", wall_ms(), rules_in_force(settings, engine, serving.model_id))
    journal.note("service.ready", wall_ms(), {**told, "refused": serving.refused, "mode": settings.mode})
    life.log.info(
        "service.ready",
        **told,
        state=engine.risk.state.value,
        equity=round(engine.account.equity(), 2),
        positions=len(engine.account.positions()),
    )
    life.herald.ready(partial(_standing, loop, settings))


def _standing(loop: TradingLoop, settings: Settings) -> Standing:
    market = f"{settings.mode}, SIMULATED market" if settings.exchange.simulated else settings.mode
    return Standing(loop.predictor.model_id, loop.engine.risk.state.value, market)


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


def _on_signals(stop: asyncio.Event, tell: Callable[[str], None]) -> None:
    """SIGINT and SIGTERM end the run in order; who waits for the end hears of it at once."""

    def end(number: signal.Signals) -> None:
        tell(number.name)
        stop.set()

    running = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(number, end, number)
