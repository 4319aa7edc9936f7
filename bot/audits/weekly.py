"""The weekly pipeline on one market: a fit and a decision of the gate every week, then a watch over who was promoted.

The same code as ``bot retrain``: purged slices, calibration, baselines, pooled weeks out of sample, the gate, and the
watch of the daemon. Only the model is quicker to fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from bot.audits.paths import WEEK_MINUTES, PathResult, Progress
from bot.core.matching import Costs
from bot.core.promotion import GateRules, RecipeEvidence, judge_recipe
from bot.core.skill_watch import Outcome, SkillWatch, WatchRules
from bot.errors import ConfigError
from bot.retraining.evidence import recipe_evidence
from bot.retraining.fast import FastLearner
from bot.retraining.scored import WEEK_MS, ScoredForecasts
from models.candle_arrays import CandleArrays
from models.forecast_trades import TradingCosts
from models.windows import MINUTE_MS

DAY_MINUTES = 1440
HORIZON = 15
TRAIN_WEEKS = 16
MOST_WEEKS = 26
"""Weeks that evidence is pooled over, at most."""
WARM_UP_MINUTES = 780
HEALTHY_DAYS = 3
"""Days before the flip from which the watch looks on: a champion has been trading for a while."""


class WeeklyLearner(Protocol):
    """Whatever is refitted each week."""

    def week(self, start_ms: int, *, until_ms: int | None = None) -> ScoredForecasts:
        """Fit on what lies before a moment, and forecast the week after it, or the time until another moment."""


LearnerMaker = Callable[[Mapping[str, CandleArrays], int], WeeklyLearner]
"""From candles and a seed to a learner."""


def fast_learner(series: Mapping[str, CandleArrays], seed: int) -> WeeklyLearner:
    """Ridge regression; nothing of it is random."""
    del seed
    return FastLearner(series, horizon=HORIZON, train_minutes=TRAIN_WEEKS * WEEK_MINUTES)


def _lstm_learner(series: Mapping[str, CandleArrays], seed: int) -> WeeklyLearner:
    """An LSTM; TensorFlow is imported only now."""
    from bot.audits.lstm import LstmLearner

    return LstmLearner(series, seed=seed, horizon=HORIZON, train_minutes=TRAIN_WEEKS * WEEK_MINUTES)


@dataclass(frozen=True, slots=True)
class WeeklyAudit:
    """The pipeline over one market.

    Attributes:
        model: ``fast`` or ``lstm``.
        weeks: Weeks out of sample; the gate decides at the end of each.
        watch_minutes: Minutes after the last decision in which the champion is only watched.
        rules: Of the gate.
        watch: Of the watch.
    """

    model: str
    weeks: int
    watch_minutes: int = 0
    rules: GateRules = field(default_factory=GateRules)
    watch: WatchRules = field(default_factory=WatchRules)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that the outcome depends on, as JSON values."""
        return asdict(self) | {"horizon": HORIZON, "train_weeks": TRAIN_WEEKS, "most_weeks": MOST_WEEKS}

    @property
    def history_minutes(self) -> int:
        """Candles before the first decision: the training of the first fit, and its week."""
        return WARM_UP_MINUTES + (TRAIN_WEEKS + 1) * WEEK_MINUTES

    def __call__(
        self, series: dict[str, CandleArrays], costs: Costs, seed: int, progress: Progress
    ) -> PathResult:
        """Run on the candles of each symbol."""
        learner = _maker(self.model)(series, seed)
        trading = TradingCosts(costs.round_trip)
        first = min(int(candles.ts[0]) for candles in series.values())
        begin = first + (WARM_UP_MINUTES + TRAIN_WEEKS * WEEK_MINUTES) * MINUTE_MS
        weeks: list[ScoredForecasts] = []
        stopped: Counter[str] = Counter()
        promoted: int | None = None
        found = RecipeEvidence(weeks=0, minutes=0)
        for number in range(1, self.weeks + 1):
            progress((number - 1) / (self.weeks + 1), f"week {number} of {self.weeks}")
            weeks.append(learner.week(begin + (number - 1) * WEEK_MS))
            found = self._evidence(weeks, trading)
            verdict = judge_recipe(found, self.rules)
            if verdict.promote:
                promoted = number
                break
            stopped.update(one.name for one in verdict.reasons if one.known and not one.passed)
        half, flat = (None, None)
        if promoted is not None and self.watch_minutes:
            half, flat = self._after_flip(learner, begin + self.weeks * WEEK_MS)
        return PathResult(
            seed=seed,
            kind="",
            promoted_week=promoted,
            decisions=len(weeks),
            stopped_by=dict(stopped),
            figures=_figures(found),
            half_after_minutes=half,
            flat_after_minutes=flat,
        )

    def _evidence(self, weeks: list[ScoredForecasts], costs: TradingCosts) -> RecipeEvidence:
        """What the gate is shown; with too few weeks nothing else needs to be known."""
        pool = weeks[-MOST_WEEKS:]
        if len(pool) < self.rules.min_weeks:
            return RecipeEvidence(weeks=len(pool), minutes=sum(len(week) for week in pool))
        return recipe_evidence(pool, self.rules, costs, until_refused=True)

    def _after_flip(self, learner: WeeklyLearner, flip_ms: int) -> tuple[int | None, int | None]:
        """Minutes from the flip until entries were halved, and until nothing was traded any more."""
        # The champion as it is refitted when the week of the flip begins; it looks back on healthy days of its own.
        since = flip_ms - HEALTHY_DAYS * DAY_MINUTES * MINUTE_MS
        until = flip_ms + self.watch_minutes * MINUTE_MS
        said = learner.week(since, until_ms=until)
        base = said.baselines["base_rate"]
        watch = SkillWatch(self.watch)
        half: int | None = None
        order = np.argsort(said.ts, kind="stable")
        for row in order[said.scored[order]].tolist():
            closed_ms = int(said.ts[row]) + MINUTE_MS
            # An outcome is known when its horizon has passed.
            now_ms = closed_ms + said.horizon * MINUTE_MS
            if now_ms > until:
                break
            outcome = Outcome(
                symbol=said.symbols[said.symbol[row]],
                closed_at_ms=closed_ms,
                horizon_minutes=said.horizon,
                probability_up=float(said.probability[row]),
                base_rate=float(base[row]),
                realized=float(said.realized[row]),
            )
            watch.add(outcome)
            doubt = watch.doubt(now_ms)
            passed = (now_ms - flip_ms) // MINUTE_MS
            if passed <= 0:
                if doubt.size_factor == 0.0:
                    return passed, passed  # taken out while it was healthy
                continue
            if doubt.size_factor < 1.0 and half is None:
                half = passed
            if doubt.size_factor == 0.0:
                return half, passed
        return half, None


def weekly_audit(*, model: str = "fast", weeks: int = 26, watch_minutes: int = 0) -> WeeklyAudit:
    """The pipeline of an audit; ConfigError for a model that there is none of."""
    _maker(model)
    return WeeklyAudit(model, weeks, watch_minutes)


def _maker(model: str) -> LearnerMaker:
    """The learner behind a name."""
    if model == "fast":
        return fast_learner
    if model == "lstm":
        return _lstm_learner
    raise ConfigError(f"there is no model {model!r} for an audit: use fast or lstm")


def _figures(found: RecipeEvidence) -> dict[str, float]:
    """The last decision's figures, as far as they were needed."""
    values = {
        "gain_millinats": found.gain_millinats,
        "gain_low_millinats": found.gain_low_millinats,
        "slope": found.slope,
        "trades": None if found.trades is None else float(found.trades),
        "net_return_bps": None if found.net_return is None else found.net_return * 1e4,
        "spa_p": found.spa_p,
        "overfitting": found.overfitting,
        "deflated_sharpe": found.deflated_sharpe,
    }
    return {name: value for name, value in values.items() if value is not None and np.isfinite(value)}
