"""Puts together what looks after the model that trades: watch, shadow, succession and retraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bot.clock import SystemClock, wall_ms
from bot.core.market import MINUTE_MS
from bot.core.skill_watch import WatchRules
from bot.daemon.handover import Handover
from bot.daemon.heirs import Heirs
from bot.daemon.live_watch import LiveWatch
from bot.daemon.loop import MODELS_KEY, TradingLoop
from bot.daemon.model_watch import WatchVerdict
from bot.daemon.retrain_follower import RetrainFollower
from bot.daemon.retrainer import Retrainer, RetrainPlan
from bot.daemon.serving import ModelShelf, Serving
from bot.daemon.shadow import ShadowRules
from bot.daemon.succession import Succession
from bot.daemon.telling import Log, Teller
from bot.errors import ConfigError
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from bot.logs import bind_always
from bot.ports import Clock, Feed


@dataclass(frozen=True, slots=True)
class AttendanceRules:
    """How a model is looked after.

    Attributes:
        shelf: The models.
        follows: Whether the champion trades, and not a model that was named for this run.
        shadow: What a challenger must show.
        retrain: How to retrain; None does not.
        watch: When to doubt the model that trades; None never does.
        exposure: Notional held at most, as a fraction of equity.
        diary_dir: The state folder with the diary of another process that retrains; None: the daemon does.
    """

    shelf: ModelShelf
    follows: bool
    shadow: ShadowRules
    retrain: RetrainPlan | None
    watch: WatchRules | None
    exposure: float
    diary_dir: Path | None = None


class Attendance(NamedTuple):
    """What runs beside the loop."""

    succession: Succession
    retrainer: Retrainer | RetrainFollower | None


def attend(
    rules: AttendanceRules,
    serving: Serving,
    loop: TradingLoop,
    journal: SqliteJournal,
    feed: Feed,
    clock: Clock,
    log: Log,
    on_verdict: Callable[[WatchVerdict], None] | None = None,
) -> Attendance:
    """Give a loop that has recovered what looks after its model.

    Raises:
        ConfigError: The schedule is no crontab line, or is left to a process that keeps another time.
        StorageError: The disk refused.
        ModelError: What the journal holds of the model's watch does not fit the model.
    """

    def market_ms() -> int:
        # A market's clock stands at 0 until its first message.
        return max(clock.now_ms(), loop.engine.last_opened_at_ms + MINUTE_MS)

    teller = Teller(log, journal, market_ms)
    past = JournalReader(journal.path)
    try:
        retrainer = _retrainer(rules, past, teller, clock, loop)
    finally:
        past.close()
    watch = LiveWatch(loop.engine, journal, log, rules.watch, rules.exposure, on_verdict)
    watch.recover(serving)
    succession = Succession(
        serving,
        Heirs(rules.shelf),
        follows=rules.follows,
        handover=Handover(loop, journal, feed, teller, bind_always),
        rules=rules.shadow,
        teller=teller,
        watch=watch,
        retrainer=retrainer,
        past=(journal.snapshot() or {}).get(MODELS_KEY) or {},
        monotonic_ns=clock.monotonic_ns,
    )
    loop.attendant = succession
    return Attendance(succession, retrainer)


def _retrainer(
    rules: AttendanceRules, past: JournalReader, teller: Teller, clock: Clock, loop: TradingLoop
) -> Retrainer | RetrainFollower | None:
    """Retraining in the machine's time, or in that of a market that has its own."""
    plan = rules.retrain
    if plan is None:
        return None
    if rules.diary_dir is not None:
        if not isinstance(clock, SystemClock):
            raise ConfigError(
                "retrain.by: service keeps the machine's time; a simulated market has its own: set it to daemon"
            )
        return RetrainFollower(plan, rules.diary_dir, past, teller, wall_ms)
    if isinstance(clock, SystemClock):
        return Retrainer(plan, past, teller, wall_ms, by_alarm=True)
    engine = loop.engine
    return Retrainer(
        plan,
        past,
        teller,
        lambda: max(clock.now_ms(), engine.last_opened_at_ms + MINUTE_MS),
        by_alarm=False,
    )
