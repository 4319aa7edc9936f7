"""Journals of real daemons for tests that read them: lives with restarts, commands, lateness, days; and how to forge one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from backtests.recorded import Recording, Rules
from bot.brokers.paper import PaperBroker
from bot.clock import MarketClock
from bot.core.engine import TradingEngine
from bot.core.engine_config import EngineConfig
from bot.core.market import MINUTE_MS, Candle, Instrument, InstrumentKind
from bot.core.matching import Costs, FundingRates
from bot.core.state import StateEvent
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.ports import Predictor
from strategies import strategy_factory
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Daemon, random_market, random_predictions

STRATEGY = "lstm_scalping:aggressive"


@dataclass(frozen=True, slots=True)
class Life:
    """One life of the daemon.

    Attributes:
        until: Minute, counted from midnight, at which it ends.
        commands: By minute: what somebody tells it then.
        late_ms: How late every minute is decided.
        costs: Other than usual.
    """

    until: int
    commands: Mapping[int, str] = field(default_factory=dict)
    late_ms: int = 0
    costs: Mapping[str, float] = field(default_factory=dict)


class LateClock(MarketClock):
    """A market's clock that is ahead: everything is decided so late."""

    late_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.late_ms


EVENTS = {
    "pause": StateEvent.PAUSE,
    "halt": StateEvent.HALT,
    "resume": StateEvent.RESUME,
    "flatten": StateEvent.PAUSE,
    "reconciliation": StateEvent.RECONCILIATION,
}


async def live_through(
    folder: Path,
    lives: Sequence[Life],
    *,
    seed: int = 21,
    minutes: int = 300,
    missing: float = 0.0,
    market: Sequence[Candle] | None = None,
    predictor: Callable[[], Predictor] | None = None,
) -> Path:
    """Let a daemon live through a random market; gives its state folder."""
    candles = list(market) if market is not None else random_market(seed, minutes, missing=missing)
    first = SqliteJournal(folder / "journal.sqlite")
    first.meta("run_id", "run")
    first.meta("simulated", "true")
    first.close()
    began = MIDNIGHT
    for life in lives:
        made = random_predictions(seed, candles) if predictor is None else predictor()
        daemon = Daemon(folder, candles, made, now_ms=began)
        daemon.clock = LateClock(began)
        daemon.clock.late_ms = life.late_ms
        _charge(daemon, life.costs)
        await daemon.start()
        assert daemon.loop is not None
        daemon.journal.note("service.rules", began, rules_row(daemon))
        daemon.journal.note(
            "service.ready",
            began,
            {"model_id": made.model_id, "proven": True, "mode": "paper", "recovered": False},
        )
        for minute, command in sorted(dict(life.commands).items()):
            await daemon.run(until_ms=MIDNIGHT + minute * MINUTE_MS)
            _restream(daemon)
            if command == "shrink":
                daemon.engine.set_size_factor(0.5, "log_loss_doubted")
                continue
            daemon.journal.note(
                "control.commanded", daemon.clock.now_ms(), {"command": command, "reason": "test"}
            )
            daemon.loop.act(EVENTS[command], flatten=command == "flatten")
        await daemon.run(until_ms=MIDNIGHT + life.until * MINUTE_MS)
        daemon.journal.note("service.stopped", daemon.clock.now_ms(), {"batches": daemon.loop.batch_count})
        daemon.close()
        began = MIDNIGHT + life.until * MINUTE_MS
    return folder


def _charge(daemon: Daemon, changed: Mapping[str, Any]) -> None:
    """Let it trade by other costs."""
    config = replace(daemon.engine.config, costs=replace(daemon.engine.config.costs, **changed))
    daemon.engine = TradingEngine(config, strategy_factory(STRATEGY))
    funding = FundingRates(config.costs.funding_rate)
    daemon.broker = PaperBroker(config.costs, config.instruments, funding, config.starting_cash)


def _restream(daemon: Daemon) -> None:
    """The next stretch of the same life begins after what was decided."""
    for symbol in daemon.feed.symbols:
        daemon.feed.start_from(symbol, daemon.engine.last_opened_at_ms)


def rules_row(daemon: Daemon) -> dict[str, Any]:
    """What a start journals of its rules; of the settings a test needs none but the mode."""
    config = daemon.engine.config
    return {
        "batch_ms": daemon.engine.last_opened_at_ms,
        "model_id": daemon.predictor.model_id,
        "settings": {
            "mode": "paper",
            "strategy": {"name": STRATEGY},
            "costs": {"taker_fee_bps": config.costs.taker_fee_bps},
        },
        "instruments": {symbol: asdict(rules) for symbol, rules in config.instruments.items()},
        "starting_cash": config.starting_cash,
    }


def rules_of(row: Mapping[str, Any], **costs: float) -> Rules:
    """The harness's rules."""
    instruments = {
        symbol: Instrument(**{**told, "kind": InstrumentKind(told["kind"])})
        for symbol, told in row["instruments"].items()
    }
    told = replace(Costs(), **{**row["settings"]["costs"], **costs})
    config = EngineConfig("run", instruments, told, starting_cash=row["starting_cash"])
    return Rules(config, strategy_factory(row["settings"]["strategy"]["name"]))


def recording(folder: Path, since_ms: int = 0, until_ms: int = 2**62) -> Recording:
    """What a state folder recorded."""
    return Recording(JournalReader(folder / "journal.sqlite"), since_ms, until_ms)


def forged(folder: Path, target: Path, change: Callable[[sqlite3.Connection], object]) -> Path:
    """A copy of a state folder in which something was changed."""
    shutil.copytree(folder, target)
    database = sqlite3.connect(target / "journal.sqlite")
    change(database)
    database.commit()
    database.close()
    return target


def change_batch(
    database: sqlite3.Connection, closed_at_ms: int, change: Callable[[dict[str, Any]], None]
) -> None:
    """Change what a batch holds."""
    (payload,) = database.execute(
        "SELECT payload FROM batches WHERE closed_at_ms = ?", (closed_at_ms,)
    ).fetchone()
    row = orjson.loads(payload)
    change(row)
    database.execute(
        "UPDATE batches SET payload = ? WHERE closed_at_ms = ?", (json.dumps(row).encode(), closed_at_ms)
    )
