"""What a model, and the baselines fitted beside it, say on candles that neither was made from."""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.assessment import forecasts_at
from models.baselines import Baselines, fit_baselines
from models.boosting import Boosting, calibrated, fit_boosting
from models.calibration import Calibration
from models.candle_arrays import CandleArrays
from models.dataset import Dataset, RowTable, build_rows, compute_tables
from models.forecaster import Forecaster
from models.score_slope import SCORE_SLOPE
from models.windows import MINUTE_MS, TimeSlices, purged_slices

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

SHARES = (0.65, 0.10, 0.10, 0.15)
"""Slices of the baselines of a model whose own slices lie in other candles."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """One forecaster's words at n moments, in order of symbol and time.

    Attributes:
        name: ``model``, or the name of a baseline.
        direction: float64 [n]; the sign is the direction, 0 or NaN is none.
        probability: float64 [n], P(up); None for a forecaster of directions only.
        expected: float64 [n], log return over the horizon; None for one that is not traded.
        uncertainty: float64 [n], standard deviation of ``expected``, NaN where not known; None as ``expected``.
    """

    name: str
    direction: Floats
    probability: Floats | None = None
    expected: Floats | None = None
    uncertainty: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The whole windows of some candles; arrays of length n.

    Attributes:
        symbols: Names; ``symbol`` holds their numbers.
        symbol: int16.
        ts: int64, open time of each window's last candle, ms.
        realized: Log return over the horizon; NaN where the future is not there.
        last_return: Of the last minute; NaN after a gap.
        volatility: Causal, of a minute.
        rows: float32 [n, f], the last scaled row.
        given: Where the model gives a forecast; it abstains on windows unlike its training.
    """

    symbols: tuple[str, ...]
    symbol: npt.NDArray[np.int16]
    ts: Indices
    realized: Floats
    last_return: Floats
    volatility: Floats
    rows: npt.NDArray[np.float32]
    given: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """How many."""
        return len(self.ts)


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """The baselines of one train slice, and how long each took to fit.

    Attributes:
        baselines: Base rate and logistic regression.
        boosting: LightGBM.
        logit: The return scale of the logistic regression.
        seconds: Name -> seconds.
        horizon: Minutes ahead.
    """

    baselines: Baselines
    boosting: Boosting
    logit: Calibration
    seconds: dict[str, float]
    horizon: int

    def outlooks(self, moments: Moments) -> list[Outlook]:
        """Base rate, persistence, the last return's sign, logistic regression and LightGBM."""
        size = len(moments)
        base = np.full(size, self.baselines.base_rate)
        odds = self.logistic_score(moments.rows)
        logistic = 1.0 / (1.0 + np.exp(-odds * SCORE_SLOPE))
        unit = moments.volatility * math.sqrt(self.horizon)
        score = self.boosting.score(moments.rows)
        boosted = self.boosting.probability(score)
        edge = odds * unit * self.logit.return_scale
        return [
            Outlook("base_rate", base - 0.5, base),
            # A price that is expected to stay is as likely to rise as to fall.
            Outlook("persistence", np.zeros(size), np.full(size, 0.5)),
            Outlook("last_return_sign", np.sign(moments.last_return)),
            Outlook("logistic_regression", logistic - 0.5, logistic, edge, self.logit.doubt(odds * unit)),
            Outlook(
                "lightgbm",
                score,
                boosted,
                self.boosting.expected_return(score, moments.volatility),
                self.boosting.calibration.doubt(score * unit),
            ),
        ]

    def logistic_score(self, rows: npt.NDArray[np.float32]) -> Floats:
        """The regression's log odds for scaled rows, in units of a standardized return."""
        return _logistic_score(self.baselines, rows)


def look_ahead(
    forecaster: Forecaster, series: Mapping[str, CandleArrays], since_ms: int
) -> tuple[Moments, Outlook]:
    """Everything that a model says from a moment on; the candles before it are its history.

    Args:
        forecaster: The model.
        series: Candles of each symbol.
        since_ms: Open time of the last candle of the first window.

    Raises:
        DataError: The candles are malformed, or hold no whole window from then on.
    """
    begin = since_ms - forecaster.history_minutes * MINUTE_MS
    recent = {name: candles.between(begin, 2**62) for name, candles in series.items()}
    tables = compute_tables(forecaster.features, recent)
    outside = np.concatenate([forecaster.scaler.outside(tables[name].matrix) for name in tables])
    rows = build_rows(recent, tables, forecaster.scaler, forecaster.target, forecaster.passport.window)
    if not len(rows.ends) or int(rows.ts[rows.ends].max()) < since_ms:
        raise DataError(
            f"the candles hold no whole window of model {forecaster.passport.model_id} in the time compared"
        )
    prefix = np.concatenate([[0], np.cumsum(outside)])
    beyond = prefix[rows.ends + 1] - prefix[rows.ends + 1 - forecaster.passport.window]
    said = forecasts_at(forecaster, rows, rows.ends)
    seen = rows.ts[rows.ends] >= since_ms
    ends = rows.ends[seen]
    given = (beyond <= forecaster.most_outside)[seen]
    expected = said.expected_return[seen]
    outlook = Outlook("model", expected, said.probability_up[seen], expected, said.uncertainty[seen])
    return _moments(rows, ends, given), outlook


def fit_references(
    forecaster: Forecaster,
    series: Mapping[str, CandleArrays],
    *,
    seconds: Callable[[], float],
) -> References:
    """Fit the baselines on the train slice of a model, in its own scaled features.

    Args:
        forecaster: The model.
        series: Candles of each symbol, all from before the time compared.
        seconds: A monotonic clock, in seconds.

    Raises:
        DataError: The candles are too few for four slices.
        ModelError: A slice knows only rises or only falls.
    """
    tables = compute_tables(forecaster.features, series)
    rows = build_rows(series, tables, forecaster.scaler, forecaster.target, forecaster.passport.window)
    slices = slices_of(forecaster, rows)
    horizon = forecaster.target.horizon
    # The baselines learn from the returns alone; the model's own labels are not theirs.
    unlabelled = np.empty((len(rows.ts), 0), np.float32)
    for library in ("sklearn.linear_model", "lightgbm"):  # importing them is no part of a fit
        if importlib.util.find_spec(library.partition(".")[0]) is not None:
            importlib.import_module(library)
    began = seconds()
    baselines = fit_baselines(Dataset(rows, unlabelled, forecaster.scaler, slices))
    between = seconds()
    boosting = fit_boosting(rows, slices, horizon=horizon)
    ended = seconds()
    logit = calibrated(rows, slices, lambda chosen: _logistic_score(baselines, chosen), horizon)
    spent = {"logistic_regression": between - began, "lightgbm": ended - between}
    return References(baselines, boosting, logit, spent, horizon)


def slices_of(forecaster: Forecaster, rows: RowTable) -> TimeSlices:
    """The model's own slices where these rows cover them; else new ones, cut from these rows."""
    ranges = forecaster.passport.ranges
    times = rows.ts[rows.ends]
    if ranges and covers(ranges, rows):
        return TimeSlices(**{name: (first, last) for name, (first, last) in ranges.items()})
    window, reach = forecaster.passport.window, forecaster.target.reach
    return purged_slices(times, SHARES, horizon=reach, embargo=max(window, reach))


def covers(ranges: Mapping[str, list[int]], rows: RowTable) -> bool:
    """Whether there are windows at both ends of what a model was made from, to within an hour."""
    times = rows.ts[rows.ends]
    hour = 60 * MINUTE_MS
    first = min(bounds[0] for bounds in ranges.values())
    last = max(ranges[name][1] for name in ("train", "early_stop", "calibrate"))
    return bool(len(times)) and int(times.min()) <= first + hour and int(times.max()) >= last - hour


def _moments(rows: RowTable, ends: Indices, given: npt.NDArray[np.bool_]) -> Moments:
    """The rows at some window ends."""
    return Moments(
        symbols=rows.symbols,
        symbol=rows.symbol[ends],
        ts=rows.ts[ends],
        realized=rows.future_return[ends],
        last_return=rows.last_return[ends],
        volatility=rows.volatility[ends],
        rows=rows.scaled[ends],
        given=given,
    )


def _logistic_score(baselines: Baselines, rows: npt.NDArray[np.float32]) -> Floats:
    """Log odds over 1.702 for scaled rows [k, f]."""
    ends = np.arange(len(rows), dtype=np.int64)
    probability = baselines.logistic(rows, ends)
    odds: Floats = np.log(probability / (1.0 - probability)) / SCORE_SLOPE
    return odds
