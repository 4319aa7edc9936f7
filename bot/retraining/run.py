"""One retraining: weeks out of sample, a model of the newest candles, the gate, and what is kept of all that.

A recipe that has not won yet is judged on pooled walk-forward weeks. A refit of the recipe that trades is judged beside
the champion on the refit's test slice, which neither was made from. Whatever the verdict, it is written down with every
reason; only a verdict that promotes names a challenger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from bot.core.market import DAY_MS
from bot.core.promotion import (
    NO_TRADE,
    GateRules,
    PromotionVerdict,
    RecipeEvidence,
    RefitEvidence,
    judge_recipe,
    judge_refit,
)
from bot.errors import DataError
from bot.retraining.evidence import (
    Rival,
    Spoken,
    Trials,
    daily_net_returns,
    recipe_evidence,
    refit_evidence,
)
from bot.retraining.folds import (
    FoldPlan,
    rivals_of,
    walk_forward,
    week_starts,
)
from bot.retraining.scored import WEEK_MS, ScoredForecasts
from models.assessment import unseen
from models.candle_arrays import CandleArrays
from models.champions import promote
from models.comparison import moment_keys
from models.drawdown import LEAST_DAYS, drawdown_path
from models.fit_progress import OnProgress
from models.forecast_trades import TradingCosts
from models.forecaster import load_forecaster
from models.hashing import data_digest
from models.out_of_sample import look_ahead
from models.recipe import Recipe
from models.registry import champion, read_member, set_challenger
from models.training import TrainedModel, train, with_training
from models.trials import Trial, count_distinct, read_trials, record_trial, trials_overlapping
from models.verdicts import StoredVerdict, VerdictReason, is_proven, read_verdict, write_verdict

_DRAWDOWN_SEED = 20_210_519


@dataclass(frozen=True, slots=True)
class RetrainPlan:
    """What is retrained, and how it is judged.

    Attributes:
        recipe: What is fitted.
        root: The folder of models.
        now_ms: Nothing at or after it is looked at, ms UTC.
        train_days: Days of candles that each fit is made of.
        max_weeks: Weeks of walk-forward, at most.
        max_minutes: Time limit of each fit.
        rules: The gate.
        costs: Of a trade.
        empties: Whether no-trade is named where nobody is champion and the gate refuses; not where somebody trades an
            unproven model knowingly.
    """

    recipe: Recipe
    root: Path
    now_ms: int
    train_days: int
    max_weeks: int
    max_minutes: float
    rules: GateRules
    costs: TradingCosts
    empties: bool = True


@dataclass(frozen=True, slots=True)
class Telling:
    """Who is told of progress.

    Attributes:
        phase: A sentence for each step.
        week: Weeks done and weeks in all.
        fit: Of the fit at hand.
    """

    phase: Callable[[str], None]
    week: Callable[[int, int], None]
    fit: OnProgress | None = None


@dataclass(frozen=True, slots=True)
class RetrainOutcome:
    """What came of it.

    Attributes:
        model_id: The new model.
        kind: ``recipe`` or ``refit``.
        verdict: Of the gate.
        evidence: What it was judged on.
        path: Where the verdict is written.
        champion: Who trades, or ``no-trade``.
    """

    model_id: str
    kind: str
    verdict: PromotionVerdict
    evidence: RecipeEvidence | RefitEvidence
    path: Path
    champion: str | None


def retrain(
    plan: RetrainPlan,
    series: Mapping[str, CandleArrays],
    *,
    monotonic_ns: Callable[[], int],
    telling: Telling,
    fit: Callable[..., TrainedModel] = train,
) -> RetrainOutcome:
    """Retrain once.

    Args:
        plan: What, and how it is judged.
        series: Candles of each symbol; those from ``plan.now_ms`` on are left out.
        monotonic_ns: A local clock.
        telling: Who is told of progress.
        fit: Makes the model of the newest candles, with the arguments of ``models.training.train``.

    Raises:
        ConfigError, DataError, ModelError, StorageError: As ``models.training.train`` does; the champion is who it was.
    """
    series = {name: candles.between(0, plan.now_ms) for name, candles in series.items()}
    if any(not len(candles) for candles in series.values()):
        empty = ", ".join(name for name, candles in series.items() if not len(candles))
        raise DataError(f"there are no candles of {empty} before the time of the retraining")
    before = champion(plan.root)
    refit = before not in {None, NO_TRADE} and _same_recipe(plan, before or "")
    kind = "refit" if refit else "recipe"
    weeks = [] if refit else _weeks(plan, series, monotonic_ns, telling)
    telling.phase("a model of the newest candles is fitted")
    trained = fit(
        plan.recipe,
        {
            name: one.between(plan.now_ms - plan.train_days * DAY_MS, plan.now_ms)
            for name, one in series.items()
        },
        plan.root,
        created_at_ms=plan.now_ms,
        monotonic_ns=monotonic_ns,
        max_seconds=plan.max_minutes * 60.0,
        on_progress=telling.fit,
    )
    telling.phase("the gate judges")
    evidence: RecipeEvidence | RefitEvidence
    if refit:
        evidence = _refit_evidence(plan, series, trained.folder, before or "")
        verdict = judge_refit(evidence, plan.rules)
    else:
        evidence = _recipe_evidence(plan, series, weeks, before)
        verdict = judge_recipe(evidence, plan.rules)
    path = write_verdict(
        plan.root,
        StoredVerdict(
            model_id=trained.model_id,
            at_ms=plan.now_ms,
            kind=kind,
            promote=verdict.promote,
            reasons=tuple(VerdictReason(one.name, one.passed, one.sentence) for one in verdict.reasons),
            evidence=asdict(evidence) | {"drawdown_path": _drawdown_path(plan, weeks, before)},
            proven=verdict.promote,
            champion_then=before,
        ),
    )
    if verdict.promote:
        set_challenger(plan.root, trained.model_id)
    elif before is None and plan.empties:
        promote(plan.root, NO_TRADE, at_ms=plan.now_ms, why="nothing has beaten the baselines")
    return RetrainOutcome(trained.model_id, kind, verdict, evidence, path, champion(plan.root))


def _drawdown_path(plan: RetrainPlan, weeks: list[ScoredForecasts], before: str | None) -> list[float] | None:
    """How deep the equity may fall by which day before the model is doubted; a refit inherits its champion's.

    None where the weeks are too few, or hold no trade: then there is nothing to measure a fall by.
    """
    if not weeks:
        held = read_verdict(plan.root, before) if before not in {None, NO_TRADE} and before else None
        return None if held is None else held.evidence.get("drawdown_path")
    daily = daily_net_returns(weeks, plan.costs)
    if len(daily) < LEAST_DAYS or not daily.any():
        return None
    return drawdown_path(daily, np.random.default_rng(_DRAWDOWN_SEED))


def _same_recipe(plan: RetrainPlan, model_id: str) -> bool:
    """Whether the champion is a proven model of this very recipe."""
    if not is_proven(plan.root, model_id):
        return False
    return read_member(plan.root, model_id).hashes.get("config") == _with_limits(plan).digest()


def _with_limits(plan: RetrainPlan) -> Recipe:
    """The recipe as it is trained: its time limit is part of what a model is made of."""
    return with_training(plan.recipe, max_seconds=plan.max_minutes * 60.0)


def _weeks(
    plan: RetrainPlan,
    series: Mapping[str, CandleArrays],
    monotonic_ns: Callable[[], int],
    telling: Telling,
) -> list[ScoredForecasts]:
    """The walk-forward weeks; none where the candles do not reach back so far."""
    starts = week_starts(series, plan.now_ms, train_days=plan.train_days, most=plan.max_weeks)
    telling.phase(f"{len(starts)} weeks of walk-forward")
    done = 0

    def counted(_: int, __: bool) -> None:
        nonlocal done
        done += 1
        telling.week(done, len(starts))

    return walk_forward(
        fold_plan(plan), series, starts, monotonic_ns=monotonic_ns, on_progress=telling.fit, on_week=counted
    )


def fold_plan(plan: RetrainPlan) -> FoldPlan:
    """The folds of a retraining."""
    return FoldPlan(plan.recipe, plan.train_days, plan.max_minutes, plan.root)


def _recipe_evidence(
    plan: RetrainPlan,
    series: Mapping[str, CandleArrays],
    weeks: list[ScoredForecasts],
    before: str | None,
) -> RecipeEvidence:
    """Evidence of the walk-forward weeks, deflated by all that was tried on them; and the trial is written down."""
    if not weeks:
        return RecipeEvidence(weeks=0, minutes=0)
    since, until = weeks[0].start_ms, weeks[-1].start_ms + WEEK_MS
    trial = Trial(
        kind="walk_forward",
        at_ms=plan.now_ms,
        recipe=plan.recipe.name,
        digest=plan.recipe.digest(),
        data=data_digest(series),
        test_from_ms=since,
        test_until_ms=until,
        note=f"{len(weeks)} weeks",
    )
    record_trial(plan.root, trial)
    # The same recipe a week later is no new idea: it counts once, whatever candles it was tried on.
    others = [
        one
        for one in trials_overlapping(read_trials(plan.root), since, until)
        if one.digest != plan.recipe.digest()
    ]
    trials = Trials(
        count=1 + count_distinct(others),
        sharpes=tuple(one.sharpe for one in others if one.sharpe is not None),
        rivals=rivals_of(fold_plan(plan), weeks),
    )
    held = _champion_words(plan, series, weeks, before)
    found = recipe_evidence(weeks, plan.rules, plan.costs, trials=trials, champion=held)
    gain, sharpe = _known(found.gain_millinats), _known(found.daily_sharpe)
    record_trial(plan.root, replace(trial, gain_millinats=gain, sharpe=sharpe))
    return found


def _known(value: float | None) -> float | None:
    """A finite figure, or None."""
    return value if value is not None and math.isfinite(value) else None


def _champion_words(
    plan: RetrainPlan,
    series: Mapping[str, CandleArrays],
    weeks: list[ScoredForecasts],
    before: str | None,
) -> tuple[str, Rival] | None:
    """What a proven champion of another recipe says of the same weeks, from after its own training on."""
    if before in {None, NO_TRADE} or not is_proven(plan.root, before or ""):
        return None
    champion_id = str(before)
    if read_member(plan.root, champion_id).horizon_minutes != weeks[0].horizon:
        return None
    return champion_id, _words(plan, series, champion_id, weeks[0].start_ms, weeks[0].symbols)


def _refit_evidence(
    plan: RetrainPlan,
    series: Mapping[str, CandleArrays],
    folder: Path,
    before: str,
) -> RefitEvidence:
    """The refit beside the champion, on the refit's test slice."""
    forecaster = load_forecaster(folder, threads=2)
    since = forecaster.passport.ranges["test"][0]
    moments, outlook = look_ahead(forecaster, series, since)
    if outlook.probability is None:
        return RefitEvidence(0)
    said = Spoken(
        moments=moment_keys(moments.symbol, moments.ts),
        ts=moments.ts,
        probability=np.where(moments.given, outlook.probability, np.nan),
        realized=moments.realized,
        horizon=forecaster.target.horizon,
    )
    return refit_evidence(said, _words(plan, series, before, since, moments.symbols), plan.rules)


def _words(
    plan: RetrainPlan,
    series: Mapping[str, CandleArrays],
    model_id: str,
    since_ms: int,
    symbols: tuple[str, ...],
) -> Rival:
    """What a stored model says from a moment on, where it was not made from; nothing about other symbols."""
    forecaster = load_forecaster(plan.root / model_id, threads=2)
    moments, outlook = look_ahead(forecaster, series, since_ms)
    if outlook.probability is None or moments.symbols != symbols:
        return Rival(np.empty(0, np.int64), np.empty(0))
    fresh = unseen(forecaster, moments.ts) & moments.given
    return Rival(moment_keys(moments.symbol, moments.ts)[fresh], outlook.probability[fresh])
