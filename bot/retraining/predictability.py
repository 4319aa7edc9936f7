"""What can be foretold of a market, and what not: direction and volatility, week by week out of sample, net of costs.

Each week is forecast by what was fitted on the weeks before it. The network is small and goes on from its last weights,
so that half a year of weekly fits at four horizons takes minutes: it asks whether a sequence holds more than its newest
row does, not how far a large network would get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bot.retraining.fast import FastLearner
from bot.retraining.scored import WEEK_MS, ScoredForecasts, fill_prices, pooled
from models.boosting import fit_boosting
from models.bootstrap import block_interval, block_minutes
from models.candle_arrays import CandleArrays
from models.dataset import RowTable
from models.evaluation import evaluate
from models.forecast_sample import Forecast, Sample
from models.forecast_trades import TradingCosts
from models.volatility import has_history, predictors_along
from models.volatility_fit import fit_volatility, future_variance, qlike
from models.windows import TimeSlices

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

QUICK = "ridge"
NETWORK = "lstm"
BOOSTING_STRIDE = 3


class Learner(Protocol):
    """Whatever is refitted each week."""

    def week(self, start_ms: int, *, until_ms: int | None = None) -> ScoredForecasts:
        """Fit on what lies before a moment, and forecast the week after it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        horizon: Minutes ahead.
        starts: Begins of the weeks, ms, oldest first.
        train_minutes: Minutes that each fit looks back.
        costs: Of a trade.
    """

    horizon: int
    starts: tuple[int, ...]
    train_minutes: int
    costs: TradingCosts


def predictability(
    question: Question,
    series: Mapping[str, CandleArrays],
    *,
    network: Callable[[Mapping[str, CandleArrays], int], Learner] | None = None,
    on_week: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """The report of one horizon, as JSON values.

    Args:
        question: What is asked.
        series: Candles of each symbol.
        network: Makes a learner out of candles and horizon; None leaves it out.
        on_week: Told after each week.

    Returns:
        ``direction``, the report of ``models.evaluation.evaluate`` on the network, or else on the ridge regression, with
        everything else among the baselines; ``volatility``; and ``weeks``.
    """
    quick = FastLearner(series, horizon=question.horizon, train_minutes=question.train_minutes)
    learner = network(series, question.horizon) if network is not None else None
    rows = _row_table(quick, series)
    weeks: list[ScoredForecasts] = []
    deep: list[ScoredForecasts] = []
    boosted: list[Floats] = []
    variances: list[_Variances] = []
    for number, start_ms in enumerate(question.starts, 1):
        week = quick.week(start_ms)
        weeks.append(week)
        boosted.append(_boosted(quick, rows, week, start_ms))
        variances.append(_variances(rows, question, start_ms))
        if learner is not None:
            deep.append(learner.week(start_ms))
        on_week(number)
    return {
        "horizon_minutes": question.horizon,
        "weeks": len(weeks),
        "from_ms": question.starts[0],
        "until_ms": question.starts[-1] + WEEK_MS,
        "symbols": list(weeks[0].symbols),
        "direction": _direction(question, weeks, deep, boosted),
        "volatility": _volatility(variances, question.horizon),
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Variances:
    """What came and what was said of the variance at some minutes, float64 [n]; logs of them too."""

    ts: Indices
    came: Floats
    model: Floats
    naive: Floats
    model_log: Floats
    naive_log: Floats


def _direction(
    question: Question,
    weeks: Sequence[ScoredForecasts],
    deep: Sequence[ScoredForecasts],
    boosted: Sequence[Floats],
) -> dict[str, Any]:
    """The report on directions of the pooled weeks."""
    symbol = np.concatenate([week.symbol for week in weeks])
    order = np.lexsort((np.concatenate([week.ts for week in weeks]), symbol))
    quick = pooled(weeks)
    judged = pooled(deep) if deep else quick
    kept = np.isfinite(quick.realized) & np.isin(quick.moments, judged.moments)
    base = float(quick.baselines["base_rate"][kept].mean())
    boosting = np.concatenate(list(boosted))[order]
    rivals = [
        _probable("logistic_regression", quick.baselines["logistic_regression"][kept]),
        _probable("lightgbm", boosting[kept]),
    ]
    if deep:
        rivals.append(_forecast(QUICK, quick, kept))
    model = _forecast(NETWORK if deep else QUICK, judged, np.isin(judged.moments, quick.moments[kept]))
    sample = Sample(
        ts=quick.ts[kept],
        symbol=quick.symbol[kept],
        close=np.ones(int(kept.sum())),
        realized=quick.realized[kept],
        last_return=np.sign(quick.baselines["last_return_sign"][kept] - base),
        horizon=question.horizon,
        fill=quick.fill[kept],
    )
    report = evaluate(sample, model, rivals, base_rate=base, costs=question.costs)
    # There is no price level here to be fitted.
    return {name: value for name, value in report.items() if name not in {"price_level", "legacy"}}


def _probable(name: str, probability: Floats) -> Forecast:
    """A forecaster of probabilities only."""
    return Forecast(name, probability - 0.5, probability=probability)


def _forecast(name: str, said: ScoredForecasts, kept: npt.NDArray[np.bool_]) -> Forecast:
    """A forecaster of returns and probabilities."""
    return Forecast(
        name, said.expected[kept], said.expected[kept], said.probability[kept], said.uncertainty[kept]
    )


def _row_table(quick: FastLearner, series: Mapping[str, CandleArrays]) -> RowTable:
    """The quick model's rows as the table that boosting and volatility are fitted on; trees need no scaling."""
    table = quick.table
    names = table.symbols
    return RowTable(
        symbols=names,
        symbol=table.symbol,
        ts=table.ts,
        close=np.concatenate([series[name].close for name in names]),
        volatility=table.volatility,
        last_return=table.last_return,
        future_return=table.realized,
        next_open=np.concatenate([fill_prices(series[name], 1) for name in names]),
        scaled=table.sums.matrix[:, 1 : 1 + table.rows].astype(np.float32),
        ends=np.flatnonzero(table.whole).astype(np.int64),
    )


def _boosted(quick: FastLearner, rows: RowTable, week: ScoredForecasts, start_ms: int) -> Floats:
    """P(up) by gradient-boosted trees, fitted on the week's own slices, at the week's moments."""
    train, stop, calibrate = quick.bounds(start_ms)
    slices = TimeSlices(train, stop, calibrate, (start_ms, start_ms + WEEK_MS))
    boosting = fit_boosting(rows, slices, horizon=quick.horizon, stride=BOOSTING_STRIDE)
    chosen = rows.ends_within(slices.test)
    if len(chosen) != len(week):
        raise AssertionError("the week's rows are not the table's")  # one table, one rule: our own mistake
    return boosting.probability(boosting.score(rows.scaled[chosen]))


def _variances(rows: RowTable, question: Question, start_ms: int) -> _Variances:
    """The heterogeneous autoregression of the weeks before, and volatility as it was, on one week."""
    train = (start_ms - question.train_minutes * 60_000, start_ms - question.horizon * 60_000)
    model = fit_volatility(rows, train, horizon=question.horizon)
    ends = rows.ends_within((start_ms, start_ms + WEEK_MS))
    ends = ends[has_history(rows.ts, ends)]
    if model is None:
        empty = np.empty(0)
        return _Variances(np.empty(0, np.int64), *[empty] * 5)
    seen = rows.ends_within(train)
    seen = seen[has_history(rows.ts, seen)][:: question.horizon]
    before, flat = future_variance(rows, seen, question.horizon), rows.volatility[seen] ** 2
    level, shift = float(np.mean(before / flat)), float(np.mean(np.log(before / flat)))
    found = predictors_along(rows.close, rows.ts, ends)
    now = rows.volatility[ends] ** 2
    return _Variances(
        ts=rows.ts[ends],
        came=future_variance(rows, ends, question.horizon),
        model=model.variance(found),
        naive=now * level,
        model_log=model.log_variance(found),
        naive_log=np.log(now) + shift,
    )


def _volatility(weeks: Sequence[_Variances], horizon: int) -> dict[str, Any] | None:
    """How much better than ``it stays as it was`` volatility is foretold; None where nothing could be fitted."""
    ts = np.concatenate([week.ts for week in weeks])
    if not len(ts):
        return None
    came = np.concatenate([week.came for week in weeks])
    logs = np.log(came)
    spread = float(np.var(logs))
    found: dict[str, Any] = {"rows": len(ts)}
    losses, errors = {}, {}
    for name in ("model", "naive"):
        losses[name] = qlike(came, np.concatenate([getattr(week, name) for week in weeks]))
        errors[name] = (logs - np.concatenate([getattr(week, f"{name}_log") for week in weeks])) ** 2
    found["qlike"] = {name: float(loss.mean()) for name, loss in losses.items()}
    found["r2_log_variance"] = {name: 1.0 - float(error.mean()) / spread for name, error in errors.items()}
    block = block_minutes(horizon)
    gains = {
        "qlike_gain": losses["naive"] - losses["model"],
        "r2_gain": (errors["naive"] - errors["model"]) / spread,
    }
    for name, gain in gains.items():
        interval = block_interval(ts, gain, block=block)
        found[name] = None if interval is None else interval._asdict()
    return found
