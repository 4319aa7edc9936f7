"""Fit the volatility model on the train slice, and measure it on candles that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.bootstrap import block_interval, block_minutes
from models.dataset import RowTable
from models.volatility import COEFFICIENTS, FLOOR, VolatilityModel, has_history, predictors_along

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LEAST_ROWS = 20 * COEFFICIENTS
"""Fewer rows than this fit nothing."""
MOST_ROWS = 200_000
"""At most so many rows are fitted on, evenly spaced: neighbouring minutes say nearly the same."""


def fit_volatility(rows: RowTable, bounds: tuple[int, int], *, horizon: int) -> VolatilityModel | None:
    """Least squares of the log of realized variance over the horizon on what ``predictors_along`` gives.

    Args:
        rows: The row table.
        bounds: The train slice, [from, until) in ms.
        horizon: Minutes ahead that ``rows.future_return`` looks.

    Returns:
        None where the slice holds fewer than ``LEAST_ROWS`` rows with history and future.
    """
    ends = _usable(rows, bounds)
    ends = ends[:: -(-len(ends) // MOST_ROWS) or 1]
    if len(ends) < LEAST_ROWS:
        return None
    found = predictors_along(rows.close, rows.ts, ends)
    came = future_variance(rows, ends, horizon)
    design = np.column_stack([np.ones(len(ends)), found])
    coefficients = np.linalg.lstsq(design, np.log(came), rcond=None)[0]
    shape = VolatilityModel(horizon, tuple(coefficients.tolist()), 1.0, 1.0)
    level = float(np.mean(came / np.exp(shape.log_variance(found))))
    # Each move in units of its own forecast: a ratio of plain means would be that of the wildest days.
    plain = VolatilityModel(horizon, shape.coefficients, level, 1.0)
    share = float(np.mean((rows.future_return[ends] / plain.forecast(found)) ** 2))
    return replace(plain, return_share=max(share, FLOOR))


def measure_volatility(
    model: VolatilityModel, rows: RowTable, train: tuple[int, int], test: tuple[int, int]
) -> dict[str, Any] | None:
    """How well realized variance is foretold, beside ``volatility stays as it was``.

    The naive forecast is the causal volatility of the features, its level corrected on the train slice as the model's
    is: it may lose by its shape only. QLIKE is what came / forecast - log of that - 1 (A. Patton, Volatility forecast
    comparison using imperfect volatility proxies, 2011): 0 is perfect. R² is that of the log of realized variance.

    Returns:
        JSON values; gains are naive loss less model loss with a 95 % block-bootstrap interval, above 0 where the model
        is better; that of R² takes the spread of the test slice as fixed. ``standardized_variance`` is the mean square of
        the returns in units of their forecast deviation, 1 where that is right on the whole. None where a slice holds no rows.
    """
    seen, ends = _usable(rows, train), _usable(rows, test)
    if not len(seen) or not len(ends):
        return None
    before, came = future_variance(rows, seen, model.horizon), future_variance(rows, ends, model.horizon)
    flat_seen, flat = rows.volatility[seen] ** 2, rows.volatility[ends] ** 2
    level, shift = float(np.mean(before / flat_seen)), float(np.mean(np.log(before / flat_seen)))
    found = predictors_along(rows.close, rows.ts, ends)
    losses = {"model": qlike(came, model.variance(found)), "naive": qlike(came, flat * level)}
    logs = np.log(came)
    missed = {
        "model": (logs - model.log_variance(found)) ** 2,
        "naive": (logs - np.log(flat) - shift) ** 2,
    }
    spread = float(np.var(logs))
    block = block_minutes(model.horizon)
    return {
        "horizon_minutes": model.horizon,
        "rows": len(ends),
        "qlike": {name: float(np.mean(loss)) for name, loss in losses.items()},
        "qlike_gain": _gain(rows.ts[ends], losses["naive"] - losses["model"], block),
        "r2_log_variance": {
            name: 1.0 - float(np.mean(error)) / spread if spread > 0.0 else None
            for name, error in missed.items()
        },
        "r2_gain": (
            _gain(rows.ts[ends], (missed["naive"] - missed["model"]) / spread, block)
            if spread > 0.0
            else None
        ),
        "standardized_variance": float(np.mean((rows.future_return[ends] / model.forecast(found)) ** 2)),
    }


def levelled(came: Floats, forecast: Floats) -> Floats:
    """A forecast of a variance with the level that makes its QLIKE least on what came."""
    raised: Floats = forecast * float(np.mean(came / forecast))
    return raised


def compare_shapes(
    ts: Indices,
    came: Sequence[Floats],
    forecast: Sequence[Floats],
    rival: Sequence[Floats],
    *,
    horizon: int,
) -> dict[str, Any]:
    """QLIKE of two forecasts of variance on unseen rows, each with the level that was best on earlier ones.

    Args:
        ts: int64 [n], minutes of the unseen rows, ms.
        came: Variances of (the earlier, the unseen) rows; so are the following.
        forecast: Of the forecast in question.
        rival: Of the other.
        horizon: Minutes.

    Returns:
        JSON values: ``qlike``, ``qlike_regression`` and ``qlike_gain`` of the first over the second with its interval.
    """
    losses = [
        qlike(came[1], later * float(np.mean(came[0] / earlier))) for earlier, later in (forecast, rival)
    ]
    return {
        "qlike": float(np.mean(losses[0])),
        "qlike_regression": float(np.mean(losses[1])),
        "qlike_gain": _gain(ts, losses[1] - losses[0], block_minutes(horizon)),
    }


def qlike(came: Floats, forecast: Floats) -> Floats:
    """The loss of each forecast of a variance, 0 where it is exact."""
    ratio = came / forecast
    loss: Floats = ratio - np.log(ratio) - 1.0
    return loss


def future_variance(rows: RowTable, ends: Indices, horizon: int) -> Floats:
    """Mean squared one-minute log return over the horizon after each row, at least ``FLOOR``, float64 [k].

    Args:
        rows: The row table.
        ends: Rows with a known ``future_return``.
        horizon: Minutes.
    """
    logs = np.log(rows.close)
    total = np.zeros(len(ends))
    for ahead in range(1, horizon + 1):
        total += (logs[ends + ahead] - logs[ends + ahead - 1]) ** 2
    return np.maximum(total / horizon, FLOOR)


def _usable(rows: RowTable, bounds: tuple[int, int]) -> Indices:
    """Window ends of a slice with the history and the future that volatility needs."""
    ends = rows.ends_within(bounds)
    usable: Indices = ends[has_history(rows.ts, ends)]
    return usable


def _gain(ts: Indices, better: Floats, block: int) -> dict[str, float | None]:
    """The mean of a difference of losses with its 95 % interval."""
    interval = block_interval(ts, better, block=block)
    if interval is None:
        return {"value": float(np.mean(better)), "low": None, "high": None}
    return {"value": interval.mean, "low": interval.low, "high": interval.high}
