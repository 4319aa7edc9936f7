"""The composition root: settings become a running daemon, and a running daemon ends in order.

Start: lock the state folder, load and verify the model, open the journal, connect, recover, and only then
``service.ready``. Stop: finish the batch at hand, close the feed, say ``service.stopped``.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot.brokers.paper import PaperBroker
from bot.clock import MarketClock, SystemClock, monotonic_ns, wall_ms
from bot.core.market import Instrument, Symbol
from bot.core.matching import FundingRates
from bot.core.promotion import NO_TRADE
from bot.daemon.fitness import Watches, require_fit
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
    engine_of,
    feed_of,
    first_serving,
    fitness_plan,
    heralded,
    keep_house,
    live_side_of,
    on_simulator,
    replays_of,
    rules_in_force,
    service_of,
    with_account,
)
from bot.daemon.retrainer import COMMAND
from bot.daemon.schedule import cron_trigger
from bot.daemon.sd_notify import Herald, Standing
from bot.daemon.serving import Serving
from bot.daemon.starting import Start
from bot.daemon.supervisor import SimMinder, drive, unless_stopped
from bot.daemon.tape import SimPlan, running_sim
from bot.daemon.telling import Log, Teller
from bot.exchange_client import Exchange, SimControl, open_exchange
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
        with herald.until_end():
            return await _trade(
                settings, stack, journal, run_id, serving, followed, stop, sim, instruments, herald
            )


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
    herald: Herald,
) -> RunOutcome:
    log, began_ns = get_logger("bot.daemon"), monotonic_ns()
    log.info("service.starting", exchange=settings.exchange.id, symbols=list(settings.exchange.symbols))
    exchange = await stack.enter_async_context(_client(settings, None))
    clock: Clock = MarketClock() if settings.exchange.clock == "market" else SystemClock()
    service = stack.enter_context(service_of(settings, clock, log, herald, journal))
    service.recover(journal.path, mode=settings.mode, simulated=settings.exchange.simulated)
    control = SimControl(exchange)
    feed = await feed_of(settings, exchange, clock, control, log)
    stack.push_async_callback(feed.close)
    teller = Teller(log, journal, clock.now_ms)
    start = Start(
        lambda rules, cash: engine_of(settings, run_id, rules, cash),
        serving.predictor,
        journal,
        feed,
        clock,
        instruments,
        herald.step,
    )
    live: LiveSide | None = None
    if settings.mode == "live":
        trader = await stack.enter_async_context(_client(settings, settings.exchange.credentials))
        live = await live_side_of(settings, trader, clock, control, teller)
        stack.push_async_callback(live.end)
        starting = start.live(live, partial(_require_fit, settings, trader, clock, log, live))
    else:
        funding = FundingRates(settings.costs.funding_rate)
        paper = partial(
            PaperBroker,
            settings.costs.to_core(),
            funding=funding,
            starting_cash=settings.account.starting_cash,
        )
        starting = start.on_paper(paper, settings.account.starting_cash)
    started = await unless_stopped(stop, starting)
    if started is None:
        return _stopped_early(settings, journal, log)
    engine, broker, recovered = started
    if live is None:
        rates = FundingRateSource(
            funding,
            feed,
            lambda symbol: not engine.account.position(symbol).is_flat,
            engine.last_opened_at_ms,
            log,
        )
    minder = SimMinder(
        control,
        engine.last_opened_at_ms,
        until_end=sim is not None and sim.until_end,
        settled=None if live is None else live.settled,
    )
    known = FactSource(feed, settings.risk.to_core(), clock, teller)
    loop = TradingLoop(
        engine=engine,
        broker=broker,
        predictor=serving.predictor,
        journal=journal,
        feed=feed,
        clock=clock,
        log=log,
        deadline_ms=int(settings.exchange.batch_deadline_seconds * 1000),
        before_batch=known.after(rates.before_batch if live is None else live.before_batch),
        market_facts=known.facts if known.is_needed else None,
        after_batch=minder.acknowledge if settings.exchange.paced else minder.note,
        on_quiet=keep_house(settings, journal, engine, log),
    )
    loop.listener = service
    if serving.model_id == NO_TRADE:
        flatten_held(loop)
    herald.step("opening the control API" if live is None else "comparing the books with the exchange's")
    service.open(
        LoopOperator(
            loop,
            service.progress,
            teller,
            {"run_id": run_id, "mode": settings.mode, "simulated": settings.exchange.simulated},
        )
    )
    if live is not None and not await unless_stopped(stop, live.begin(loop, recovered=recovered)):
        return _stopped_early(settings, journal, log)
    _announce(
        journal,
        log,
        loop,
        serving,
        settings,
        {"recovered": recovered, "seconds": round((monotonic_ns() - began_ns) / 1e9, 1)},
        herald,
    )
    beside = await heralded(settings, herald, control, service, loop)
    if followed.by_name:
        attendance = attendance_of(
            settings, followed, serving, loop, journal, feed, clock, log, service.on_verdict
        )
        stack.push_async_callback(attendance.succession.close)
        if attendance.retrainer is not None:
            beside.append(attendance.retrainer.serve())
    beside += [
        *service.beside(stop),
        *replays_of(settings, journal, loop, clock, log),
        *backups_of(settings, journal, log),
    ]
    if live is not None:
        beside.append(live.beside())
    if settings.exchange.simulated:
        beside.append(minder.watch(stop, paced=settings.exchange.paced))
    await drive(loop, feed, stop, beside)
    journal.note("service.stopped", wall_ms(), {"batches": loop.batch_count})
    log.info("service.stopped", batches=loop.batch_count, equity=round(engine.account.equity(), 2))
    return RunOutcome(
        loop.batch_count, engine.account.equity(), engine.account.trade_count, tuple(loop.latencies_ns)
    )


def _announce(
    journal: SqliteJournal,
    log: Log,
    loop: TradingLoop,
    serving: Serving,
    settings: Settings,
    start: Mapping[str, Any],
    herald: Herald,
) -> None:
    """Say that it is ready, to a service manager too; ``start`` is whether it goes on from a journal, and how long it took."""
    engine = loop.engine
    told = {**start, "model_id": serving.model_id, "proven": serving.proven}
    journal.note("service.rules", wall_ms(), rules_in_force(settings, engine, serving.model_id))
    journal.note("service.ready", wall_ms(), {**told, "refused": serving.refused, "mode": settings.mode})
    log.info(
        "service.ready",
        **told,
        state=engine.risk.state.value,
        equity=round(engine.account.equity(), 2),
        positions=len(engine.account.positions()),
    )
    herald.ready(partial(_standing, loop, settings))


def _standing(loop: TradingLoop, settings: Settings) -> Standing:
    market = f"{settings.mode}, SIMULATED market" if settings.exchange.simulated else settings.mode
    return Standing(loop.predictor.model_id, loop.engine.risk.state.value, market)


async def _require_fit(settings: Settings, trader: Exchange, clock: Clock, log: Log, live: LiveSide) -> None:
    """Refuse to trade live where the check-up finds something failed; raises ConfigError or TransientError."""
    watches = Watches(clock.now_ms, clock.monotonic_ns, None if settings.exchange.simulated else wall_ms)
    await require_fit(
        trader,
        fitness_plan(settings),
        journal_path=settings.journal_path,
        watches=watches,
        log=log,
        resynchronise=live.synchronise,
        fix=settings.exchange.simulated,
    )


def _client(
    settings: Settings, credentials: Mapping[str, str] | None
) -> AbstractAsyncContextManager[Exchange]:
    """A client of the exchange; with keys it can trade."""
    return open_exchange(
        settings.exchange.id,
        connect_to=settings.exchange.address,
        ca_file=settings.exchange.ca_file,
        rate_limited=not settings.exchange.simulated,  # a limit protects others, not our own exchange
        credentials=credentials,
    )


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
