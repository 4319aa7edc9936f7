"""The parts of a daemon, as its settings want them."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from typing import Any, Final, NamedTuple

from pydantic import SecretStr

from backtests.decision_code import decision_code
from bot.brokers.ccxt_gateway import CcxtGateway
from bot.brokers.gateway_timing import GatewayTiming
from bot.clock import wall_ms
from bot.core.engine import TradingEngine
from bot.core.engine_config import EngineConfig
from bot.core.market import MINUTE_MS, Instrument, Symbol
from bot.core.signal import Strategy
from bot.daemon.attendance import Attendance, AttendanceRules, attend
from bot.daemon.doctor_account import Wanted
from bot.daemon.fitness import FitnessPlan, Watches, require_fit
from bot.daemon.housekeeping import Housekeeper, held_since_ms
from bot.daemon.live_side import LiveSide
from bot.daemon.loop import TradingLoop
from bot.daemon.model_watch import WatchVerdict
from bot.daemon.nightly_backup import COMMAND as BACKUP
from bot.daemon.nightly_backup import BackupPlan, NightlyBackup
from bot.daemon.retrainer import RetrainPlan, setting_words
from bot.daemon.sd_notify import Herald
from bot.daemon.service import Service
from bot.daemon.service_rules import ServiceRules
from bot.daemon.serving import ModelShelf, Serving
from bot.daemon.shadow import ShadowRules
from bot.daemon.shadow_replay import COMMAND as REPLAY
from bot.daemon.shadow_replay import FOLDER, LOOK_SECONDS, ReplayPlan, ShadowReplayer
from bot.daemon.standstill import watch_standstill
from bot.daemon.tape import SimAccountPlan, SimEndpoint, SimPlan
from bot.daemon.telling import Log, Teller
from bot.errors import ConfigError
from bot.exchange_client import Exchange, SimControl, open_exchange
from bot.feeds.ccxt_feed import CcxtFeed
from bot.feeds.timing import FeedTiming
from bot.journal.journal import SqliteJournal
from bot.journal.retention import Retention
from bot.ports import Clock, Feed
from bot.settings import Settings
from bot.simexchange.config import API_KEY, API_PASSPHRASE, API_SECRET
from strategies import factory_by_symbol, symbol_choices

RULE_SECTIONS: Final = ("account", "costs", "risk", "sizing", "entry", "strategy")
"""Sections of the settings that decide what an engine does."""

PATIENT_MINUTES: Final = 3
"""Of a simulated market: so many may pass until a lost one is fetched."""


def service_of(settings: Settings, clock: Clock, log: Log, herald: Herald, journal: SqliteJournal) -> Service:
    """What makes the daemon a service."""
    rules = ServiceRules.of(
        settings.control,
        settings.metrics,
        settings.notify,
        settings.watchdog,
        settings.telegram,
        settings.logs.file,
    )
    modelled_bps = settings.costs.half_spread_bps + settings.costs.slippage_bps
    return Service(
        rules,
        settings.state_dir,
        settings.exchange.symbols,
        modelled_bps,
        clock,
        log,
        herald=herald,
        note=journal.note,
    )


async def heralded(
    settings: Settings, herald: Herald, control: SimControl, service: Service, loop: TradingLoop
) -> list[Coroutine[Any, Any, None]]:
    """Hold the manager's patience against the market's pace; what tells it that a simulated market stands still."""
    exchange = settings.exchange
    if herald.watchdog_seconds is None:
        return []
    if not exchange.simulated:
        herald.check(settings.control.stalled_seconds)
        return []
    speed = (await control.clock())["speed"]
    herald.check(PATIENT_MINUTES * 60 / speed if speed else 0.0)
    return [
        watch_standstill(
            control,
            service.progress,
            lambda: loop.engine.last_opened_at_ms + MINUTE_MS,
            herald.stands,
            herald.watchdog_seconds / 4,
        )
    ]


def engine_of(
    settings: Settings, run_id: str, instruments: Mapping[Symbol, Instrument], starting_cash: float
) -> TradingEngine:
    """The engine, with the money of an account that begins."""
    return TradingEngine(*engine_rules(settings, run_id, instruments, starting_cash))


def engine_rules(
    settings: Settings, run_id: str, instruments: Mapping[Symbol, Instrument], starting_cash: float
) -> tuple[EngineConfig, Callable[[Symbol], Strategy]]:
    """What an engine is built from; a replay builds one of the same."""
    config = EngineConfig(
        run_id=run_id,
        instruments=instruments,
        costs=settings.costs.to_core(),
        limits=settings.risk.to_core(),
        sizing=settings.sizing.to_core(),
        starting_cash=starting_cash,
        entry=settings.entry.to_core(),
    )
    return config, factory_by_symbol(symbol_choices(settings.strategy, instruments))


def rules_in_force(settings: Settings, engine: TradingEngine, model_id: str) -> dict[str, Any]:
    """What the journal keeps of each start: the rules that its minutes are decided by, as JSON values.

    ``settings`` holds whole sections, without a secret; ``code`` is a digest of what decides; ``batch_ms`` is the last
    minute that was decided before.
    """
    config = engine.config
    told = settings.model_dump(mode="json", include={"mode", *RULE_SECTIONS})
    told["exchange"] = {"id": settings.exchange.id, "symbols": list(settings.exchange.symbols)}
    return {
        "batch_ms": engine.last_opened_at_ms,
        "model_id": model_id,
        "code": decision_code(),
        "settings": told,
        "instruments": {symbol: asdict(rules) for symbol, rules in config.instruments.items()},
        "starting_cash": config.starting_cash,
    }


async def feed_of(
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


async def live_side_of(
    settings: Settings, exchange: Exchange, clock: Clock, control: SimControl, teller: Teller
) -> LiveSide:
    """What carries orders to an exchange; ``exchange`` is a client with keys.

    Raises:
        ConfigError: Symbols that it cannot trade.
    """
    if settings.is_spot and not settings.exchange.simulated:
        raise ConfigError(
            "exchange.symbols: spot is not traded live on a real exchange: it takes a buyer's fee out of the coins bought, "
            "which this version does not book; trade perpetuals (docs/going-live.md)"
        )
    if ignored := settings.costs.paper_only():
        teller.warn("costs.paper_only", settings=list(ignored))
    timing = GatewayTiming()
    if settings.exchange.simulated:
        timing = GatewayTiming.at_speed((await control.clock())["speed"])
    chance = random.SystemRandom().random
    execution = settings.execution
    gateway = CcxtGateway(
        exchange,
        settings.exchange.symbols,
        clock=clock,
        random=chance,
        timing=timing,
        margin_mode=execution.margin_mode,
    )
    rules = execution.to_core(spot=settings.is_spot)
    return LiveSide(gateway, rules, execution.settle_wait_seconds, teller, clock.monotonic_ns)


class Followed(NamedTuple):
    """Whether the model came by its name, so that others may follow it, and what retrains."""

    by_name: bool
    retrain_program: tuple[str, ...]


def first_serving(settings: Settings) -> Serving:
    """The model that the settings name, or their fallback."""
    shelf = ModelShelf(settings.models_dir, unproven=settings.model.unproven)
    name = None if settings.model.id == "champion" else settings.model.id
    return shelf.load_first(name, settings.model.fallback)


def attendance_of(
    settings: Settings,
    followed: Followed,
    serving: Serving,
    loop: TradingLoop,
    journal: SqliteJournal,
    feed: Feed,
    clock: Clock,
    log: Log,
    on_verdict: Callable[[WatchVerdict], None],
) -> Attendance:
    """Give the loop what looks after its model."""
    rules = AttendanceRules(
        shelf=ModelShelf(settings.models_dir, unproven=settings.model.unproven),
        follows=settings.model.id == "champion",
        shadow=ShadowRules(settings.retrain.shadow_hours, settings.watch.inference_deadline_ms),
        retrain=retrain_plan(settings, followed.retrain_program) if settings.retrain.enabled else None,
        diary_dir=settings.state_dir if settings.retrain.by == "service" else None,
        watch=settings.watch.to_core() if settings.watch.enabled else None,
        exposure=settings.risk.max_total_notional_fraction,
    )
    return attend(rules, serving, loop, journal, feed, clock, log, on_verdict)


def fitness_plan(settings: Settings) -> FitnessPlan:
    """What trading by these settings asks of an exchange and an account."""
    execution = settings.execution
    return FitnessPlan(
        settings.exchange.symbols,
        Wanted(settings.account.quote, execution.leverage, execution.margin_mode),
        settings.sizing.to_core(),
        settings.risk.to_core(),
        settings.account.starting_cash,
    )


async def require_account(
    settings: Settings, trader: Exchange, clock: Clock, log: Log, live: LiveSide
) -> None:
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


def client_of(
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


def retrain_plan(settings: Settings, program: tuple[str, ...]) -> RetrainPlan:
    """The program with every setting as a flag: its environment and the daemon's flags and files may differ."""
    told = settings.model_dump(
        mode="json",
        exclude={
            "logs": True,
            "exchange": {"api_key", "api_secret", "api_password"},
            "execution": True,
            "mode": True,
            "control": True,
            "metrics": True,
            "retention": True,
            "backup": True,
            "notify": True,  # addresses are secrets, and a command line can be read by others
            "telegram": True,
        },
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


def replays_of(
    settings: Settings, journal: SqliteJournal, loop: TradingLoop, clock: Clock, log: Log
) -> list[Coroutine[Any, Any, None]]:
    """What replays each day beside the loop; nothing where that is off, or a tape is played as fast as it goes."""
    chosen = settings.shadow_replay
    if not chosen.enabled or settings.exchange.paced:
        return []
    words = [
        "--state-dir",
        str(settings.state_dir.absolute()),
        "--models",
        str(settings.models_dir.absolute()),
    ]
    plan = ReplayPlan(
        program=(*REPLAY, *words, "--forecasts" if chosen.forecasts else "--no-forecasts"),
        hour_utc=chosen.hour_utc,
        timeout_seconds=chosen.timeout_minutes * 60,
        folder=settings.state_dir / FOLDER,
        journal_path=journal.path,
        look_seconds=1.0 if settings.exchange.simulated else LOOK_SECONDS,
    )

    def market_ms() -> int:
        # A market's clock stands at 0 until its first message.
        return max(clock.now_ms(), loop.engine.last_opened_at_ms + MINUTE_MS)

    return [ShadowReplayer(plan, Teller(log, journal, market_ms), market_ms).serve()]


def keep_house(
    settings: Settings, journal: SqliteJournal, engine: TradingEngine, log: Log
) -> Callable[[int], None] | None:
    """What removes from the journal what is older than the settings want, a little after each minute; None where that is off."""
    chosen = settings.retention
    if not chosen.enabled:
        return None
    candles_days = chosen.candles_days
    if settings.retrain.enabled:
        candles_days = max(candles_days, settings.retrain.span_days + 1)
    kept = Retention(chosen.minutes_days, candles_days, chosen.forecasts_days, chosen.equity_days)
    return Housekeeper(journal, kept, lambda: held_since_ms(engine), log).on_quiet


def backups_of(settings: Settings, journal: SqliteJournal, log: Log) -> list[Coroutine[Any, Any, None]]:
    """What makes a backup each day beside the loop; nothing where that is off, or a tape is played as fast as it goes."""
    chosen = settings.backup
    if not chosen.enabled or settings.exchange.paced:
        return []
    state_dir = settings.state_dir.absolute()
    folder = state_dir / "backups" if chosen.folder is None else chosen.folder.absolute()
    words = ["--state-dir", str(state_dir), "--models", str(settings.models_dir.absolute())]
    words += ["--out", str(folder), "--keep", str(chosen.keep), "--json"]
    words += ["--candles"] * chosen.candles + ["--logs"] * chosen.logs
    plan = BackupPlan((*BACKUP, *words), chosen.hour_utc, chosen.timeout_minutes * 60)
    return [NightlyBackup(plan, journal.path, Teller(log, journal, wall_ms), wall_ms).serve()]


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
            # A tape is never traded on with the key of a real account.
            "api_key": SecretStr(API_KEY),
            "api_secret": SecretStr(API_SECRET),
            "api_password": SecretStr(API_PASSPHRASE) if endpoint.exchange_id == "okx" else None,
        }
    )
    return settings.model_copy(update={"exchange": exchange})


def with_account(settings: Settings, sim: SimPlan) -> SimPlan:
    """The plan, with an account that has our money and charges our costs."""
    account = SimAccountPlan(settings.account.starting_cash, settings.costs.to_core())
    return replace(sim, account=account) if settings.mode == "live" else sim
