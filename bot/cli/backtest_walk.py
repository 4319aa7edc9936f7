"""``bot backtest --walk-forward``: what the whole system would have done, retrainings and gate included."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bot.cli.backtest_input import Prepared, Wishes, candles_of, prepare_on, rules_of, symbols_of
from bot.cli.backtest_walk_options import CACHE, DEFAULT_WEEKS, WalkWishes
from bot.errors import DataError, UsageError

if TYPE_CHECKING:
    from backtests.results import BacktestResult
    from bot.core.market import Symbol
    from bot.retraining.served import Served, ServedPlan, Telling
    from bot.retraining.served_fits import FitDone, FitJob, FitWorld
    from bot.settings.model import Settings
    from bot.settings.retraining import RetrainSettings
    from models.candle_arrays import CandleArrays


def prepare_walk(wishes: Wishes, walk: WalkWishes, engine: str) -> Prepared:
    """Fit, judge and serve, and put the backtest of it together for an engine.

    Raises:
        UsageError: Flags that contradict each other.
        ConfigError: An unknown recipe or setting, or a schedule that is none.
        DataError: The candles are refused, or too few.
        ModelError, StorageError: As a retraining does.
    """
    from bot.cli.train import default_models_root
    from bot.retraining.served import serve
    from bot.retraining.served_columns import served_columns
    from bot.retraining.served_summary import engine_turns, sentence

    _refuse_other_forecasts(wishes)
    if engine == "kernel" and walk.gate != "off":
        raise UsageError(
            "--engine kernel knows no change of who predicts: a gated walk-forward runs on --engine fast or backtrader"
        )
    rules_of(
        wishes, symbols_of(wishes)
    )  # a wrong parameter is found before the candles are read, and the hours of fits
    series = candles_of(replace(wishes, since=None))
    since_ms, until_ms = _period(wishes, walk, series)
    traded = {name: one.between(since_ms, until_ms) for name, one in series.items()}
    if any(not len(one) for one in traded.values()):
        empty = ", ".join(name for name, one in traded.items() if not len(one))
        raise DataError(f"there are no candles of {empty} in the time that is traded")
    prepared = prepare_on(wishes, traded)
    plan = _plan(prepared.settings, walk, series, since_ms, until_ms)
    with _telling() as telling:
        served = serve(plan, spread=_spread(walk), new_watch=_watches(prepared.settings), telling=telling)
    _record(served, wishes.models_root or default_models_root())
    terms = _terms(prepared.settings.retrain, walk, plan)
    data = replace(
        prepared.data,
        predictions=served_columns(served.pieces, prepared.data.symbols),
        turns=engine_turns(served),
    )
    return replace(
        prepared,
        data=data,
        warnings=[*prepared.warnings, f"walk-forward: {sentence(served)}"],
        further=lambda result: _further(served, terms, result),
    )


def print_walk(part: Mapping[str, Any]) -> None:
    """The part of the summary about the walk, for people."""
    from bot.cli.data_tables import print_table

    headings = ["trained", "gate", "served, hours", "trades", "profit", "gain, millinats"]
    rows = [_walk_row(row) for row in part["retrainings"]]
    print_table(headings, rows, title=f"walk-forward, gate {part['gate']}")


def _walk_row(row: Mapping[str, Any]) -> list[str]:
    """One retraining."""
    gate = {None: "not asked", True: "promoted", False: "refused"}[row["promoted"]]
    gain = row["gain_millinats"]
    return [
        str(row["began"])[:10],
        gate,
        f"{row['served_minutes'] / 60.0:,.0f}",
        f"{row['trades']:,}",
        f"{row['pnl']:+,.2f}",
        "–" if gain is None else f"{gain:+.3f}",
    ]


def _further(served: Served, terms: Mapping[str, Any], result: BacktestResult) -> dict[str, Any]:
    """What the summary of such a backtest has besides: who made the forecasts, and the walk itself."""
    from bot.retraining.served_summary import walk_summary

    models = sorted({piece.words.model_id for piece in served.pieces})
    part = walk_summary(served, result.trades, terms)
    # The word that every page shows as a banner; a gated walk trades proven models or none.
    unproven = {} if served.plan.gated else {"unproven": part["sentence"]}
    return {"models": models, "walk_forward": part, **unproven}


def _record(served: Served, models_root: Path) -> None:
    """Write the look into the ledger of the user's models: one line, whatever was tried inside."""
    from bot.clock import wall_ms
    from models.hashing import data_digest
    from models.trials import Trial, record_trial

    plan = served.plan
    recipe = plan.world.recipe
    trial = Trial(
        kind="walk_forward",
        at_ms=wall_ms(),
        recipe=recipe.name,
        digest=recipe.digest(),
        data=data_digest(plan.world.series),
        test_from_ms=plan.since_ms,
        test_until_ms=plan.until_ms,
        note=f"backtest of {len(plan.runs)} retrainings, gate {'on' if plan.gated else 'off'}",
    )
    record_trial(models_root, trial)


def _refuse_other_forecasts(wishes: Wishes) -> None:
    given = {"--model": wishes.model, "--predictions": wishes.predictions, "--seed": wishes.seed}
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise UsageError(f"{named[0]} and --walk-forward: a walk-forward makes its own models; leave one out")


def _period(wishes: Wishes, walk: WalkWishes, series: Mapping[Symbol, CandleArrays]) -> tuple[int, int]:
    """[from, until) of what is traded, ms UTC: the last weeks of the candles, or what two of three flags say."""
    from bot.cli.train import moment_ms
    from bot.core.market import MINUTE_MS
    from bot.retraining.scored import WEEK_MS

    if None not in (wishes.since, wishes.until, walk.weeks):
        raise UsageError("--from, --to and --weeks: two of them say which time is traded; leave one out")
    ends = max((int(one.ts[-1]) + MINUTE_MS for one in series.values() if len(one)), default=0)
    span_ms = (walk.weeks or DEFAULT_WEEKS) * WEEK_MS
    until_ms = min(moment_ms("--to", wishes.until, ends), ends)
    if wishes.since is None:
        return until_ms - span_ms, until_ms
    since_ms = moment_ms("--from", wishes.since, 0)
    if walk.weeks is not None:
        until_ms = min(since_ms + span_ms, ends)
    if since_ms >= until_ms:
        raise UsageError(f"--from {wishes.since} is not before the end of the candles")
    return since_ms, until_ms


def _plan(
    settings: Settings, walk: WalkWishes, series: Mapping[Symbol, CandleArrays], since_ms: int, until_ms: int
) -> ServedPlan:
    """Everything that decides what is served: the daemon's settings, with the flags above them."""
    from bot.clock import monotonic_ns
    from bot.daemon.shadow import LEAST_DUE_SHARE, LEAST_SHARE, PATIENCE
    from bot.retraining.served import ServedPlan
    from bot.retraining.served_fits import FitWorld
    from bot.retraining.served_schedule import retrainings
    from bot.retraining.served_succession import ShadowTerms
    from models.forecast_trades import TradingCosts
    from models.recipe import load_recipe

    chosen = _chosen(settings.retrain, walk)
    recipe = load_recipe(chosen.recipe)
    world = FitWorld(recipe, series, chosen.train_days, chosen.max_minutes, monotonic_ns)
    runs = retrainings(
        _next_fire(chosen),
        since_ms=since_ms,
        until_ms=until_ms,
        fit_ms=_fit_ms(chosen.max_minutes, walk.fit_minutes),
    )
    return ServedPlan(
        world=world,
        cache=_cache(walk, world),
        runs=runs,
        since_ms=since_ms,
        until_ms=until_ms,
        max_weeks=chosen.max_weeks,
        rules=settings.gate.to_core(),
        costs=TradingCosts(settings.costs.to_core().round_trip),
        shadow=ShadowTerms(chosen.shadow_hours, LEAST_SHARE, LEAST_DUE_SHARE, PATIENCE),
        gated=walk.gate != "off",
        fits_here=walk.ray is None,
    )


def _chosen(settings: RetrainSettings, walk: WalkWishes) -> RetrainSettings:
    """The settings of retraining, flags above them."""
    names = ("recipe", "train_days", "max_minutes", "schedule")
    given = {name: getattr(walk, name) for name in names if getattr(walk, name) is not None}
    return settings.model_copy(update=given)


def _next_fire(settings: RetrainSettings) -> Callable[[int], int | None]:
    """The first fire time of the schedule after a moment, ms UTC."""
    from bot.daemon.schedule import cron_trigger

    trigger = cron_trigger(settings.schedule, settings.zone)

    def after(at_ms: int) -> int | None:
        found = trigger.get_next_fire_time(None, datetime.fromtimestamp((at_ms + 1) / 1000, UTC))
        return None if found is None else int(found.timestamp() * 1000)

    return after


def _fit_ms(max_minutes: float, fit_minutes: float | None) -> int:
    """How long a retraining takes, in whole minutes: a daemon fits the newest week and the newest model."""
    from bot.core.market import MINUTE_MS

    minutes = 2.0 * max_minutes if fit_minutes is None else fit_minutes
    return math.ceil(minutes) * MINUTE_MS


def _cache(walk: WalkWishes, world: FitWorld) -> Path:
    """The folder of fits: one for each recipe and way to fit it."""
    from models.hashing import sha256

    if walk.cache is not None:
        return walk.cache
    key = sha256(f"{world.limited.digest()}\n{world.train_days}\n{sorted(world.series)}".encode())
    root = Path(os.environ.get("BOT_STATE_DIR") or "var") / CACHE
    return root / f"{world.recipe.name}-{key[:12]}"


def _watches(settings: Settings) -> Callable[[Path], Any]:
    from bot.cli.backtest_walk_watch import watch_over

    rules = settings.watch.to_core() if settings.watch.enabled else None
    return lambda model: watch_over(model, rules)


def _spread(walk: WalkWishes) -> Callable[..., None]:
    """Fits in processes of this machine or of a cluster."""
    from backtests.cluster import Failure, Where, spread
    from bot.retraining.served_fits import fit_once

    def run(jobs: Mapping[str, FitJob], world: FitWorld, on_done: Callable[[str, Any], None]) -> None:
        def told(key: str, outcome: FitDone | Failure) -> None:
            on_done(key, outcome.fault if isinstance(outcome, Failure) else outcome)

        spread(jobs, fit_once, where=Where(jobs=walk.jobs, ray=walk.ray), on_done=told, shared=world)

    return run


@contextmanager
def _telling() -> Iterator[Telling]:
    """Bars on a terminal, lines elsewhere; on standard error, out of the way of what programs read."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from bot.retraining.served import Telling

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks = {name: progress.add_task(name, total=None) for name in ("fits", "retrainings")}

        def tell(name: str) -> Callable[[int, int], None]:
            def told(done: int, total: int) -> None:
                progress.update(tasks[name], completed=done, total=total)
                if not console.is_terminal:
                    typer.echo(f"walk-forward: {done} of {total} {name}", err=True)

            return told

        yield Telling(fits=tell("fits"), weeks=tell("retrainings"))


def _terms(settings: RetrainSettings, walk: WalkWishes, plan: ServedPlan) -> dict[str, Any]:
    """What was asked for, as JSON values."""
    chosen = _chosen(settings, walk)
    run = plan.runs[0]
    return {
        "recipe": plan.world.recipe.name,
        "recipe_sha256": plan.world.recipe.digest(),
        "schedule": chosen.schedule,
        "time_zone": chosen.time_zone,
        "train_days": chosen.train_days,
        "max_minutes": chosen.max_minutes,
        "fit_minutes": (run.ready_ms - run.began_ms) / 60_000,
        "max_weeks": chosen.max_weeks,
        "shadow_hours": chosen.shadow_hours,
    }
