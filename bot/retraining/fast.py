"""A model that is refitted in milliseconds: ridge regression on the newest row and on means over half an hour.

It goes through the same weeks, slices, calibration, baselines and gate as any recipe, so that the pipeline around a
model can be tried on hundreds of markets. Its inputs see what a window shows and its newest row does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.retraining.scored import WEEK_MS, ScoredForecasts, fill_prices
from bot.retraining.sums import RowSums, ridge, squared_error
from models.calibration import Calibration, fit_calibration, fit_return_scale, return_scale_error
from models.candle_arrays import CandleArrays
from models.features import feature_set
from models.targets import forward_log_return
from models.windows import MINUTE_MS, window_ends

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
Range = tuple[int, int]
Span = tuple[int, int]
Say = Callable[[Indices], Floats]
"""From row numbers to standardized forecasts."""

FEATURES = "scalping-v1"
WINDOW = 60
MEAN_MINUTES = 30
SHARES = (0.70, 0.15, 0.15)
"""Train, early stop (which chooses the penalty), calibrate."""
PENALTIES = (0.001, 0.01, 0.1, 1.0)
TARGET_LIMIT = 5.0
"""Standardized returns beyond this are cut: a few jumps must not speak louder than all the rest."""
_NEWTON_STEPS = 2


@dataclass(frozen=True, slots=True, eq=False)
class RowsOfAll:
    """The rows of all symbols, one symbol after the other; ``sums`` has 1, inputs, target and half-sign as columns."""

    symbols: tuple[str, ...]
    symbol: npt.NDArray[np.int16]
    ts: npt.NDArray[np.int64]
    volatility: Floats
    realized: Floats
    last_return: Floats
    fill: Floats
    late_fill: Floats
    whole: Flags
    spans: tuple[Range, ...]
    rows: int
    inputs: int
    sums: RowSums


class FastLearner:
    """Weekly refits over one set of candles.

    Another kind of model takes its place by another ``learn``.

    Args:
        series: Candles of each symbol, the whole path.
        horizon: Minutes ahead.
        train_minutes: How many minutes each fit looks back.
    """

    def __init__(
        self, series: Mapping[str, CandleArrays], *, horizon: int = 1, train_minutes: int = 16 * 10_080
    ) -> None:
        self.horizon = horizon
        self.train_minutes = train_minutes
        self.table = _table(series, horizon)
        self._logit: Floats | None = None

    def week(self, start_ms: int, *, until_ms: int | None = None) -> ScoredForecasts:
        """Fit on what lies before a moment, and forecast the week after it."""
        table = self.table
        train, stop, calibrate = (self._between(*span) for span in self.bounds(start_ms))
        say = self.learn(train, stop)
        calibration = self._calibrate(say, calibrate)
        logit = self._logistic(train)
        spoken = self._between(start_ms, until_ms or start_ms + WEEK_MS)
        chosen = np.concatenate([np.arange(*span) for span in spoken])
        chosen = chosen[table.whole[chosen]]
        z = say(chosen)
        unit = table.volatility[chosen] * math.sqrt(self.horizon)
        return ScoredForecasts(
            start_ms=start_ms,
            horizon=self.horizon,
            symbols=table.symbols,
            symbol=table.symbol[chosen],
            ts=table.ts[chosen],
            realized=table.realized[chosen],
            probability=calibration.probability(z),
            expected=z * unit * calibration.return_scale,
            uncertainty=calibration.doubt(z * unit),
            fill=table.fill[chosen],
            late_fill=table.late_fill[chosen],
            baselines=self._baselines(chosen, train, logit),
        )

    def _between(self, since_ms: int, until_ms: int) -> list[Range]:
        """Rows of each symbol with times in [since, until)."""
        table = self.table
        found = []
        for start, stop in table.spans:
            first, last = np.searchsorted(table.ts[start:stop], [since_ms, until_ms])
            found.append((start + int(first), start + int(last)))
        return found

    def bounds(self, start_ms: int) -> tuple[Span, Span, Span]:
        """Times of train, early stop and calibrate before a moment, [from, until) in ms.

        No label reaches into the next slice, no window into the one before.
        """
        reach, embargo = self.horizon * MINUTE_MS, max(WINDOW, self.horizon) * MINUTE_MS
        begin = start_ms - self.train_minutes * MINUTE_MS
        edges = [begin + int(share * self.train_minutes) * MINUTE_MS for share in np.cumsum((0.0, *SHARES))]
        train, stop, calibrate = (
            (edges[place] + (embargo if place else 0), edges[place + 1] - reach) for place in range(3)
        )
        return train, stop, calibrate

    def learn(self, train: list[Range], stop: list[Range]) -> Say:
        """Ridge weights with the penalty that does best on the early-stop slice."""
        table = self.table
        target = table.inputs + 1
        seen, watched = table.sums.over(train), table.sums.over(stop)
        tried = [ridge(seen, table.inputs, target, penalty) for penalty in PENALTIES]
        weights = min(tried, key=lambda one: squared_error(watched, one, target))

        def say(rows: Indices) -> Floats:
            said: Floats = table.sums.matrix[rows, : len(weights)] @ weights
            return said

        return say

    def _calibrate(self, say: Say, ranges: list[Range]) -> Calibration:
        """The curve and the return scale, as for any model."""
        table = self.table
        chosen = np.concatenate([np.arange(*span) for span in ranges])
        chosen = chosen[table.whole[chosen]]
        chosen = self.calibration_rows(chosen[table.realized[chosen] != 0.0])
        z = say(chosen)
        followed = table.realized[chosen] / (table.volatility[chosen] * math.sqrt(self.horizon))
        curve = fit_calibration(z, followed > 0.0, horizon=self.horizon)
        scale = fit_return_scale(z, followed, horizon=self.horizon)
        error = return_scale_error(z, followed, table.ts[chosen], horizon=self.horizon)
        return Calibration(curve.slope, curve.samples, scale, error)

    def calibration_rows(self, rows: Indices) -> Indices:
        """The rows that calibration looks at, of those that it may."""
        return rows

    def _logistic(self, train: list[Range]) -> Floats:
        """Logistic regression on the newest row, by Newton's method from last week's weights."""
        table = self.table
        width = 1 + table.rows
        rise = table.inputs + 2
        if self._logit is None:
            # The first step from 0 is a linear regression: P(up) is about one half + a quarter of the log odds.
            self._logit = 4.0 * ridge(table.sums.over(train), table.rows, rise, 1e-6)
        weights = self._logit
        matrix = table.sums.matrix
        for _ in range(_NEWTON_STEPS):
            curvature, slope = 1e-6 * np.eye(width), np.zeros(width)
            for start, stop in train:
                rows = np.ascontiguousarray(matrix[start:stop, :width])
                fitted = 1.0 / (1.0 + np.exp(-(rows @ weights)))
                counted = rows[:, 0] * (matrix[start:stop, rise] != 0.0)
                curvature += (rows * (fitted * (1.0 - fitted) * counted)[:, None]).T @ rows
                slope += rows.T @ ((matrix[start:stop, rise] + 0.5 - fitted) * counted)
            weights = weights + np.linalg.solve(curvature, slope)
        self._logit = weights
        return weights

    def _baselines(self, chosen: Indices, train: list[Range], logit: Floats) -> dict[str, Floats]:
        """What costs nothing, fitted on the train slice."""
        table = self.table
        width = 1 + table.rows
        half = np.concatenate([table.sums.matrix[start:stop, table.inputs + 2] for start, stop in train])
        last = np.concatenate([table.last_return[start:stop] for start, stop in train])
        moved = half != 0.0
        base = _share(half[moved] > 0.0)
        by_sign = {sign: _share(half[moved & (np.sign(last) == sign)] > 0.0) for sign in (-1.0, 0.0, 1.0)}
        sign_now = np.sign(np.nan_to_num(table.last_return[chosen]))
        size = len(chosen)
        return {
            "base_rate": np.full(size, base),
            "persistence": np.full(size, 0.5),
            "last_return_sign": np.select([sign_now < 0, sign_now > 0], [by_sign[-1.0], by_sign[1.0]], base),
            "logistic_regression": 1.0 / (1.0 + np.exp(-(table.sums.matrix[chosen, :width] @ logit))),
        }


def _share(flags: Flags) -> float:
    """Share of rises, drawn a little towards one half so that it is never 0 or 1."""
    return float((np.count_nonzero(flags) + 1.0) / (len(flags) + 2.0))


def _table(series: Mapping[str, CandleArrays], horizon: int) -> RowsOfAll:
    """Every symbol's features, labels and prices in one table."""
    features = feature_set(FEATURES)
    pieces: list[dict[str, npt.NDArray[np.generic]]] = []
    spans: list[Range] = []
    start = 0
    names = tuple(sorted(series))
    for number, name in enumerate(names):
        candles = series[name]
        piece = _columns(candles, horizon) | {"symbol": np.full(len(candles), number, np.int16)}
        pieces.append(piece)
        spans.append((start, start + len(candles)))
        start += len(candles)
    joined = {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}
    matrix = joined.pop("matrix")
    return RowsOfAll(
        symbols=names,
        spans=tuple(spans),
        rows=len(features.columns),
        inputs=matrix.shape[1] - 3,
        sums=RowSums(matrix),
        **joined,
    )


def _columns(candles: CandleArrays, horizon: int) -> dict[str, npt.NDArray[np.generic]]:
    """The table's columns for one symbol."""
    features = feature_set(FEATURES)
    table = features.compute(candles)
    size = len(candles)
    whole = np.zeros(size, np.bool_)
    whole[window_ends(candles.ts, table.valid, WINDOW)] = True
    realized = forward_log_return(candles, horizon)
    whole &= np.isfinite(realized)  # what cannot be scored is neither learnt from nor forecast
    rows = np.where(table.valid[:, None], table.matrix, 0.0)
    averaged = [place for place, name in enumerate(features.columns) if not name.startswith("time_")]
    sums = np.concatenate([np.zeros((1, len(averaged))), np.cumsum(rows[:, averaged], axis=0)])
    means = np.zeros((size, len(averaged)))
    means[MEAN_MINUTES - 1 :] = (sums[MEAN_MINUTES:] - sums[:-MEAN_MINUTES]) / MEAN_MINUTES
    unit = table.volatility * math.sqrt(horizon)
    target = np.clip(np.where(whole, realized / unit, 0.0), -TARGET_LIMIT, TARGET_LIMIT)
    half = np.where(whole, np.sign(realized) * 0.5, 0.0)
    matrix = np.column_stack([np.ones(size), rows, means, target, half])
    last = np.full(size, np.nan)
    last[1:] = np.where(np.diff(candles.ts) == MINUTE_MS, np.diff(np.log(candles.close)), np.nan)
    matrix[~whole] = 0.0
    return {
        "matrix": matrix,
        "ts": candles.ts,
        "volatility": table.volatility,
        "realized": realized,
        "last_return": last,
        "fill": fill_prices(candles, 1),
        "late_fill": fill_prices(candles, 2),
        "whole": whole,
    }
