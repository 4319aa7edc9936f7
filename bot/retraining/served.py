"""Walk-forward as served: which model would have predicted in each minute, had the daemon run all that time.

Every retraining of the schedule is fitted on the candles before it, judged by ``bot.retraining.run.retrain`` in a folder
of models of its own, and serves only after it was fitted, promoted and has stood beside the champion. Ungated, each
model serves from the moment when it is fitted until the next one is. Nothing here reads a clock, and no model is instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.core.market import DAY_MS
from bot.core.promotion import GateRules
from bot.errors import BotError, DataError
from bot.retraining.folds import week_starts
from bot.retraining.run import RetrainPlan
from bot.retraining.served_fits import FitDone, FitJob, FitWorld, KeptFits, failed
from bot.retraining.served_schedule import Retraining
from bot.retraining.served_steps import GateSteps, Judged
from bot.retraining.served_succession import Event, Piece, ShadowTerms, Succession, Turn
from bot.retraining.served_watch import Watch
from bot.retraining.served_words import ModelWords, words_of
from models.forecast_trades import TradingCosts

Spread = Callable[[Mapping[str, FitJob], FitWorld, Callable[[str, "FitDone | BotError"], None]], None]
"""Does fits, wherever that is: jobs by key, what they share, and who is told of each outcome."""


@dataclass(frozen=True, slots=True)
class ServedPlan:
    """What is served, and how.

    Attributes:
        world: What every fit has in common.
        cache: Folder of fits and decisions.
        runs: The retrainings, oldest first.
        since_ms: First minute that may be traded.
        until_ms: End of the time, not included.
        max_weeks: Weeks of evidence, at most.
        rules: The gate.
        costs: Of a trade, for the gate.
        shadow: What a challenger must show.
        gated: Whether the gate decides; else every model serves.
        fits_here: Whether fits see this machine's disk.
    """

    world: FitWorld
    cache: Path
    runs: tuple[Retraining, ...]
    since_ms: int
    until_ms: int
    max_weeks: int
    rules: GateRules
    costs: TradingCosts
    shadow: ShadowTerms
    gated: bool
    fits_here: bool = True


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told of progress.

    Attributes:
        fits: Fits done and fits in all; those that were kept from before are not among them.
        weeks: Retrainings done and retrainings in all.
    """

    fits: Callable[[int, int], None]
    weeks: Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class ServedRun:
    """One retraining and what its model said afterwards.

    Attributes:
        run: When.
        model_id: Its model.
        judged: What the gate said; None ungated.
        words: What the model says from when it is ready until the next one is, whether it served or not.
    """

    run: Retraining
    model_id: str
    judged: Judged | None
    words: ModelWords


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Who would have served.

    Attributes:
        plan: As it was asked for.
        runs: The retrainings, oldest first.
        events: Shadows, promotions and rollbacks, in order.
        pieces: Who served when, in order; minutes of none belong to nobody.
        turns: What the engine must be told, in order.
        fits_made: Fits that were not kept from before.
        decisions_made: Decisions of the gate that were not kept from before.
    """

    plan: ServedPlan
    runs: tuple[ServedRun, ...]
    events: tuple[Event, ...]
    pieces: tuple[Piece, ...]
    turns: tuple[Turn, ...]
    fits_made: int
    decisions_made: int


def serve(
    plan: ServedPlan, *, spread: Spread, new_watch: Callable[[Path], Watch], telling: Telling
) -> Served:
    """Fit, judge and serve.

    Every fit and every decision of the gate is durable before the next one: a run that was killed goes on where it
    stood, and ends with the same result.

    Args:
        plan: What, and how.
        spread: Does the fits.
        new_watch: A watch over the model in a folder.
        telling: Who is told of progress.

    Raises:
        ConfigError, DataError, ModelError, StorageError: As ``bot.retraining.run.retrain`` does.
    """
    _check(plan)
    fits = KeptFits(plan.world, plan.cache)
    made = _fit_all(plan, fits, spread, telling)
    if plan.gated:
        return _gated(plan, fits, made, new_watch, telling)
    runs = _runs(plan, fits, [None] * len(plan.runs), telling)
    pieces = [
        Piece(max(one.run.ready_ms, plan.since_ms), end_ms, one.words)
        for one, end_ms in zip(runs, _ends(plan), strict=True)
        if max(one.run.ready_ms, plan.since_ms) < end_ms
    ]
    turns = [Turn(piece.from_ms, piece.words.model_id) for piece in pieces]
    return Served(plan, runs, (), tuple(pieces), tuple(turns), made, 0)


def moments(plan: ServedPlan) -> tuple[set[int], set[int]]:
    """The moments whose models are wanted, and those whose weeks the gate will look at."""
    models = {run.began_ms for run in plan.runs}
    if not plan.gated:
        return models, set()
    weeks: set[int] = set()
    for run in plan.runs:
        series = {name: one.between(0, run.began_ms) for name, one in plan.world.series.items()}
        weeks.update(week_starts(series, run.began_ms, train_days=plan.world.train_days, most=plan.max_weeks))
    return models, weeks


def _check(plan: ServedPlan) -> None:
    """Refuse candles that begin too late for the first model."""
    world, first = plan.world, plan.runs[0].began_ms
    for name, candles in world.series.items():
        begins = int(candles.ts[0]) if len(candles) else plan.until_ms
        short = -((begins - first) // DAY_MS) if begins < first else 0
        if short < world.train_days:
            raise DataError(
                f"{name}: there are {short} days of candles before the first retraining, and each model is made of "
                f"{world.train_days}; begin later (--from, --weeks), or train on less (--train-days)"
            )


def _fit_all(plan: ServedPlan, fits: KeptFits, spread: Spread, telling: Telling) -> int:
    """Make the fits that are missing; how many that were."""
    models, weeks = moments(plan)
    jobs = fits.missing(models, weeks, here=plan.fits_here)
    done = 0
    telling.fits(0, len(jobs))

    def keep(key: str, outcome: FitDone | BotError) -> None:
        nonlocal done
        if isinstance(outcome, BotError):
            raise failed(_day(jobs[key].at_ms), outcome)
        fits.store(outcome, keep=outcome.at_ms in models)
        done += 1
        telling.fits(done, len(jobs))

    if jobs:
        spread(jobs, plan.world, keep)
    return done


def _gated(
    plan: ServedPlan,
    fits: KeptFits,
    made: int,
    new_watch: Callable[[Path], Watch],
    telling: Telling,
) -> Served:
    """The whole system: each retraining is judged beside whoever is champion then."""
    world, first = plan.world, plan.runs[0].began_ms
    steps = GateSteps(_retrain_plan(plan, fits), world.series, fits)
    succession = Succession(
        root=steps.root,
        ask=lambda model_id, from_ms, until_ms, rows: words_of(
            steps.root / model_id, world.series, from_ms, until_ms, rows=rows
        ),
        new_watch=lambda model_id: new_watch(steps.root / model_id),
        terms=plan.shadow,
        symbol_count=len(world.series),
        until_ms=plan.until_ms,
        now_ms=first,
    )
    judged: list[Judged | None] = []
    decided = 0
    for place, run in enumerate(plan.runs):
        succession.advance(run.began_ms)
        one, known = steps.judge(run, world.monotonic_ns)
        judged.append(one)
        decided += not known
        following = plan.runs[place + 1].began_ms if place + 1 < len(plan.runs) else plan.until_ms
        if one.promote and run.ready_ms <= following:
            succession.advance(run.ready_ms)
            succession.challenge(one.model_id, run.ready_ms)
        telling.weeks(place + 1, len(plan.runs))
    succession.advance(plan.until_ms)
    runs = _runs(plan, fits, judged, telling)
    return Served(
        plan,
        runs,
        tuple(succession.events),
        tuple(succession.pieces),
        tuple(succession.turns),
        made,
        decided,
    )


def _retrain_plan(plan: ServedPlan, fits: KeptFits) -> RetrainPlan:
    world = plan.world
    return RetrainPlan(
        recipe=world.recipe,
        root=fits.root,
        now_ms=0,
        train_days=world.train_days,
        max_weeks=plan.max_weeks,
        max_minutes=world.max_minutes,
        rules=plan.rules,
        costs=plan.costs,
    )


def _runs(
    plan: ServedPlan, fits: KeptFits, judged: list[Judged | None], telling: Telling
) -> tuple[ServedRun, ...]:
    """Each retraining with its model's words about the time until the next model is ready."""
    found = []
    for run, end_ms, verdict in zip(plan.runs, _ends(plan), judged, strict=True):
        model = fits.model(run.began_ms)
        words = words_of(model, plan.world.series, run.ready_ms, max(end_ms, run.ready_ms))
        found.append(ServedRun(run, words.model_id, verdict, words))
        if not plan.gated:
            telling.weeks(len(found), len(plan.runs))
    return tuple(found)


def _ends(plan: ServedPlan) -> list[int]:
    """When each model gives way to the next one, as far as that is not the end."""
    return [*(min(run.ready_ms, plan.until_ms) for run in plan.runs[1:]), plan.until_ms]


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"
