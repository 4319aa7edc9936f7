"""From weeks out of sample to the evidence that the gate judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bot.core.promotion import GateRules, RecipeEvidence, RefitEvidence, judge_recipe
from bot.retraining.scored import WEEK_MS, ScoredForecasts, pooled
from models.bootstrap import block_minutes, lower_bound
from models.calibration_skill import calibration_slope
from models.evaluation import log_loss
from models.forecast_trades import DAY_MS, ForecastTrades, TradingCosts, forecast_trades
from models.overfitting import probability_of_overfitting
from models.sharpe import deflated_sharpe, sharpe_ratio
from models.skill import MILLI
from models.superior import superior_ability

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SPA_DRAWS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """What another trial said of the same minutes.

    Attributes:
        moments: int64 [m], strictly increasing, as ``ScoredForecasts.moments``.
        probability: float64 [m], P(up).
    """

    moments: npt.NDArray[np.int64]
    probability: Floats

    def at(self, moments: npt.NDArray[np.int64], otherwise: Floats) -> Floats:
        """Its word at some moments; what it left out counts as ``otherwise``."""
        if not len(self.moments):
            return otherwise
        place = np.minimum(np.searchsorted(self.moments, moments), len(self.moments) - 1)
        there = self.moments[place] == moments
        said: Floats = np.where(there, self.probability[place], otherwise)
        return np.where(np.isfinite(said), said, otherwise)


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """A model's words about n moments, and what came.

    Attributes:
        moments: int64 [n], as ``ScoredForecasts.moments``.
        ts: int64 [n], minutes, ms.
        probability: float64 [n], P(up); NaN where none was given.
        realized: float64 [n], log return over the horizon; NaN where it is not known.
        horizon: Minutes ahead.
    """

    moments: npt.NDArray[np.int64]
    ts: npt.NDArray[np.int64]
    probability: Floats
    realized: Floats
    horizon: int


@dataclass(frozen=True, slots=True)
class Trials:
    """What has been tried before on these minutes: it makes a claim weaker.

    Attributes:
        count: Distinct trials, this one included.
        sharpes: Sharpe ratios of the daily net returns of those that are known.
        rivals: Name -> what they said.
    """

    count: int = 1
    sharpes: tuple[float, ...] = ()
    rivals: Mapping[str, Rival] = field(default_factory=dict)


def recipe_evidence(
    weeks: Sequence[ScoredForecasts],
    rules: GateRules,
    costs: TradingCosts,
    *,
    trials: Trials | None = None,
    champion: tuple[str, Rival] | None = None,
    confidence: float = 1.0,
    until_refused: bool = False,
) -> RecipeEvidence:
    """Evidence of a recipe that is not proven.

    Args:
        weeks: Walk-forward weeks in order of time.
        rules: Confidences and stress factors are taken from them.
        costs: Of a trade.
        trials: Earlier trials on these minutes.
        champion: Id and forecasts of a proven champion of another recipe.
        confidence: So many deviations are taken off an expected return before it is traded.
        until_refused: Leave out what is dear once a test has failed; the verdict is the same.
    """
    pool = pooled(weeks)
    trials = trials or Trials()
    scores = _Scores.of(pool)
    found = RecipeEvidence(
        weeks=len(weeks),
        minutes=int(np.count_nonzero(pool.scored)),
        best_baseline=scores.best,
        gain_millinats=_mean(scores.gain) * MILLI,
        weekly_gains_millinats=_weekly(scores, weeks),
    )
    if until_refused and _refused(found, rules):
        return found
    found = replace(found, slope=_slope(pool, scores))
    if until_refused and _refused(found, rules):
        return found
    block = block_minutes(pool.horizon)
    low = lower_bound(scores.ts, scores.gain * MILLI, block=block, confidence=rules.gain_confidence)
    found = replace(found, gain_low_millinats=low)
    if until_refused and _refused(found, rules):
        return found
    found = _with_trades(found, pool, rules, costs, trials, confidence)
    if until_refused and _refused(found, rules):
        return found
    if champion is not None:
        name, rival = champion
        found = replace(
            found,
            champion=name,
            champion_gain_low_millinats=_paired_low(scores, rival, block, rules.gain_confidence),
        )
    gains = _gains_of_all(scores, trials)
    return replace(
        found,
        spa_p=superior_ability(gains, scores.ts, block=block, draws=SPA_DRAWS).consistent,
        overfitting=_overfitting(scores, trials),
    )


def daily_net_returns(
    weeks: Sequence[ScoredForecasts], costs: TradingCosts, *, confidence: float = 1.0
) -> Floats:
    """Net return of each day of the weeks, on the notional of an equal share for each symbol, float64 [days]."""
    pool = pooled(weeks)
    trades = _traded(pool, pool.fill, costs, confidence)
    return trades.daily(costs, int(pool.ts.min()), int(pool.ts.max()) + 1, len(pool.symbols))


def refit_evidence(refit: Spoken, champion: Rival, rules: GateRules) -> RefitEvidence:
    """Evidence of a refit beside the champion of its recipe, on minutes that neither was made from."""
    theirs = champion.at(refit.moments, np.full(len(refit.moments), np.nan))
    both = np.isfinite(theirs) & np.isfinite(refit.probability) & np.isfinite(refit.realized)
    both &= refit.realized != 0.0
    minutes = int(np.count_nonzero(both))
    if minutes < 2:
        return RefitEvidence(minutes)
    held, said, realized = theirs[both], refit.probability[both], refit.realized[both]
    ts, block = refit.ts[both], block_minutes(refit.horizon)
    gain = (log_loss(held, realized) - log_loss(said, realized)) * MILLI
    slope = calibration_slope(ts, said, realized > 0.0, block)
    return RefitEvidence(
        minutes=minutes,
        paired_gain_millinats=_mean(gain),
        paired_low_millinats=lower_bound(ts, gain, block=block, confidence=rules.refit_confidence),
        slope=None if slope is None else slope.value,
        correlation=_correlation(said, held),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Losses at the minutes that count; ``gain`` is over the best baseline, nats."""

    pool: ScoredForecasts
    chosen: Flags
    ts: npt.NDArray[np.int64]
    realized: Floats
    losses: dict[str, Floats]
    loss: Floats
    best: str
    gain: Floats

    @classmethod
    def of(cls, pool: ScoredForecasts) -> _Scores:
        chosen = pool.scored
        realized = pool.realized[chosen]
        losses = {name: log_loss(said[chosen], realized) for name, said in pool.baselines.items()}
        loss = log_loss(pool.probability[chosen], realized)
        best = min(losses, key=lambda name: _mean(losses[name])) if len(realized) else next(iter(losses))
        return cls(pool, chosen, pool.ts[chosen], realized, losses, loss, best, losses[best] - loss)


def _refused(found: RecipeEvidence, rules: GateRules) -> bool:
    """Whether something that is known already does not pass."""
    return any(reason.known and not reason.passed for reason in judge_recipe(found, rules).reasons)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _weekly(scores: _Scores, weeks: Sequence[ScoredForecasts]) -> tuple[float, ...]:
    """Mean gain over the pooled best baseline in each week, millinats."""
    gains = []
    for week in weeks:
        within = (scores.ts >= week.start_ms) & (scores.ts < week.start_ms + WEEK_MS)
        gains.append(_mean(scores.gain[within]) * MILLI)
    return tuple(gains)


def _slope(pool: ScoredForecasts, scores: _Scores) -> float | None:
    """Logistic slope of what came on what was said."""
    rose = scores.realized > 0.0
    figure = calibration_slope(scores.ts, pool.probability[scores.chosen], rose, block_minutes(pool.horizon))
    return None if figure is None else figure.value


def _with_trades(
    found: RecipeEvidence,
    pool: ScoredForecasts,
    rules: GateRules,
    costs: TradingCosts,
    trials: Trials,
    confidence: float,
) -> RecipeEvidence:
    """The same evidence with what the forecasts would have earned."""
    trades = _traded(pool, pool.fill, costs, confidence)
    if not len(trades):
        return replace(found, trades=0)
    net = trades.net(costs)
    daily = trades.daily(costs, int(pool.ts.min()), int(pool.ts.max()) + 1, len(pool.symbols))
    late = _traded(pool, pool.late_fill, costs, confidence).net(costs)
    return replace(
        found,
        trades=len(trades),
        net_return=_mean(net),
        net_return_low=_expectancy_low(trades, net, pool, rules.expectancy_confidence),
        stressed_net_return=_mean(trades.net(costs.times(rules.stressed_costs))),
        without_best_day=float(daily.sum() - daily.max()),
        delayed_net_return=_mean(late) if len(late) else None,
        daily_sharpe=sharpe_ratio(daily),
        deflated_sharpe=deflated_sharpe(daily, trial_count=trials.count, trial_sharpes=trials.sharpes),
    )


def _traded(pool: ScoredForecasts, fill: Floats, costs: TradingCosts, confidence: float) -> ForecastTrades:
    """The trades that the forecasts would have made at these prices."""
    return forecast_trades(
        pool.ts,
        pool.symbol,
        pool.expected,
        fill,
        horizon=pool.horizon,
        costs=costs,
        uncertainty=pool.uncertainty,
        confidence=confidence,
    )


def _expectancy_low(
    trades: ForecastTrades, net: Floats, pool: ScoredForecasts, confidence: float
) -> float | None:
    """Lower bound of the mean net return, by blocks of trades that span what blocks of minutes do."""
    minutes = len(np.unique(pool.ts))
    moments = len(np.unique(trades.left))
    block = max(1, -(-block_minutes(pool.horizon) * moments // minutes))
    return lower_bound(trades.left, net, block=block, confidence=confidence)


def _paired_low(scores: _Scores, rival: Rival, block: int, confidence: float) -> float | None:
    """Lower bound of the gain over another's forecasts, where it has any, millinats."""
    moments = scores.pool.moments[scores.chosen]
    theirs = rival.at(moments, np.full(len(moments), np.nan))
    both = np.isfinite(theirs)
    if not both.any():
        return None
    gain = log_loss(theirs[both], scores.realized[both]) - scores.loss[both]
    return lower_bound(scores.ts[both], gain * MILLI, block=block, confidence=confidence)


def _rival_losses(scores: _Scores, trials: Trials) -> dict[str, Floats]:
    """Losses of the other trials; where they said nothing they are taken to have said the base rate."""
    moments = scores.pool.moments[scores.chosen]
    otherwise = scores.pool.baselines["base_rate"][scores.chosen]
    return {
        name: log_loss(rival.at(moments, otherwise), scores.realized) for name, rival in trials.rivals.items()
    }


def _gains_of_all(scores: _Scores, trials: Trials) -> Floats:
    """Gains over the best baseline of this trial and all others, float64 [n, k]."""
    benchmark = scores.losses[scores.best]
    others = [benchmark - loss for loss in _rival_losses(scores, trials).values()]
    return np.column_stack([scores.gain, *others])


def _overfitting(scores: _Scores, trials: Trials) -> float | None:
    """Probability that who was best in one half of the days is below the median in the other.

    The field are this trial, the baselines and all other trials, measured by their mean loss of a day.
    """
    field_ = [scores.loss, *scores.losses.values(), *_rival_losses(scores, trials).values()]
    day = scores.ts // DAY_MS
    day -= day.min()
    counts = np.bincount(day)
    kept = counts > 0
    daily = [-np.bincount(day, weights=loss)[kept] / counts[kept] for loss in field_]
    return probability_of_overfitting(np.column_stack(daily))


def _correlation(one: Floats, other: Floats) -> float | None:
    """Of two forecasts, in log odds; None where one of them never changes."""
    first, second = np.log(one / (1.0 - one)), np.log(other / (1.0 - other))
    spread = float(first.std() * second.std())
    if spread < 1e-12:
        return None
    return float(np.mean((first - first.mean()) * (second - second.mean()))) / spread
