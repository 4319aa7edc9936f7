"""How good the forecasts were that the money was made with: at every minute that has one, traded or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.inputs import BacktestInput, Floats, PredictionColumns
from bot.core.market import MINUTE_MS
from models.bootstrap import block_minutes, block_totals, bounds
from models.calibration_skill import equal_parts
from models.candle_arrays import CandleArrays

BPS = 10_000.0
DRAWS = 1000
_HOUR_MS = 60 * MINUTE_MS
_LEAST_DAYS = 60


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Forecasts whose outcome is known; arrays of length n.

    Attributes:
        ts: int64, open time of the candle that each was made on, ms.
        expected: float64, log return expected over the horizon.
        realized: float64, log return that came.
    """

    ts: npt.NDArray[np.int64]
    expected: Floats
    realized: Floats


def forecast_quality(data: BacktestInput) -> dict[str, Any] | None:
    """Figures of all forecasts together, as JSON values; None where nobody forecast anything.

    Returns:
        ``coverage``: share of candles with a forecast. ``correlation`` of what was expected with what came.
        ``direction_accuracy``: share of right signs, moves and forecasts of exactly 0 left out; ``base_rate``: share of
        rises among the same; ``always_accuracy``: what naming the commoner direction every time would reach.
        ``needed_accuracy``: what it takes to pay the costs of a round trip at every horizon, ½ + cost / (2 · mean
        move), more than 1 where no accuracy would do. ``rmse_bps`` beside that of ``persistence``, which expects no
        move. ``deciles``: mean forecast and mean outcome of ten parts of equal size. Intervals are of 95 %, by the
        stationary block bootstrap over hours.
    """
    columns = {symbol: one for symbol, one in data.predictions.items() if len(one) and symbol in data.candles}
    if not columns:
        return None
    parts = {symbol: outcomes_of(data.candles[symbol], one) for symbol, one in columns.items()}
    joined = Outcomes(
        *(np.concatenate([getattr(part, name) for part in parts.values()]) for name in Outcomes.__slots__)
    )
    horizons = sorted({one.horizon_minutes for one in columns.values()})
    candles = sum(map(len, data.candles.values()))
    known = {
        "models": sorted({one.model_id for one in columns.values()}),
        "horizon_minutes": horizons,
        "coverage": sum(_matched(data, columns).values()) / candles,
        "forecasts": len(joined.ts),
    }
    return known | _figures(joined, max(horizons), data.config.entry.round_trip(data.config.costs))


def outcomes_of(arrays: CandleArrays, columns: PredictionColumns) -> Outcomes:
    """The forecasts of a symbol that have a candle then and one at the horizon, and what came."""
    begins = _rows(arrays.ts, columns.ts)
    ends = _rows(arrays.ts, columns.ts + columns.horizon_minutes * MINUTE_MS)
    known = (begins >= 0) & (ends >= 0) & np.isfinite(columns.expected_return)
    came = np.log(arrays.close[ends[known]] / arrays.close[begins[known]])
    return Outcomes(columns.ts[known], columns.expected_return[known], came)


def deciles(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Ten parts of equal size from the lowest forecast to the highest: ``forecast_bps``, ``outcome_bps``, ``count``.

    Fewer parts where forecasts repeat.
    """
    if not len(outcomes.ts):
        return []
    part = equal_parts(outcomes.expected)
    return [
        {
            "forecast_bps": float(outcomes.expected[part == number].mean() * BPS),
            "outcome_bps": float(outcomes.realized[part == number].mean() * BPS),
            "count": int((part == number).sum()),
        }
        for number in np.unique(part)
    ]


def _figures(outcomes: Outcomes, horizon: int, round_trip: float) -> dict[str, Any]:
    names = (
        "correlation",
        "correlation_interval",
        "direction_accuracy",
        "direction_interval",
        "base_rate",
        "always_accuracy",
        "needed_accuracy",
        "mean_move_bps",
        "rmse_bps",
        "persistence_rmse_bps",
    )
    found: dict[str, Any] = {**dict.fromkeys(names), "direction_samples": 0, "deciles": []}
    if not len(outcomes.ts):
        return found
    error = outcomes.realized - outcomes.expected
    move = float(np.abs(outcomes.realized).mean())
    found |= {
        "mean_move_bps": move * BPS,
        "needed_accuracy": 0.5 + round_trip / (2 * move) if move > 0 else None,
        "rmse_bps": float(np.sqrt(np.mean(error**2)) * BPS),
        "persistence_rmse_bps": float(np.sqrt(np.mean(outcomes.realized**2)) * BPS),
        "deciles": deciles(outcomes),
    }
    return found | _correlation(outcomes, horizon) | _direction(outcomes, horizon)


def _correlation(outcomes: Outcomes, horizon: int) -> dict[str, Any]:
    """Of what was expected with what came."""
    x, y = outcomes.expected, outcomes.realized
    x, y = x - x.mean(), y - y.mean()  # sums of squares of what is far from 0 would lose their digits
    columns = [np.ones(len(x)), x, y, x * x, y * y, x * y]
    value = _ratio(np.array([[column.sum() for column in columns]]))
    if not np.isfinite(value[0]):
        return {}
    drawn = _drawn(outcomes.ts, columns, horizon)
    ratios = None if drawn is None else _ratio(drawn)
    return {
        "correlation": float(value[0]),
        "correlation_interval": None if ratios is None else list(bounds(ratios[np.isfinite(ratios)])),
    }


def _ratio(totals: Floats) -> Floats:
    """Correlations out of sums; NaN where something never changes."""
    count, x, y, xx, yy, xy = totals.T
    spread = (xx - x * x / count) * (yy - y * y / count)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(spread > 0, (xy - x * y / count) / np.sqrt(np.maximum(spread, 0.0)), np.nan)
    return found


def _direction(outcomes: Outcomes, horizon: int) -> dict[str, Any]:
    """Right signs among the moves and forecasts that have one."""
    said = (outcomes.expected != 0.0) & (outcomes.realized != 0.0)
    if not said.any():
        return {}
    rose = outcomes.realized[said] > 0
    right = ((outcomes.expected[said] > 0) == rose).astype(np.float64)
    drawn = _drawn(outcomes.ts[said], [right, np.ones(len(right))], horizon)
    rate = float(rose.mean())
    return {
        "direction_accuracy": float(right.mean()),
        "direction_interval": None if drawn is None else list(bounds(drawn[:, 0] / drawn[:, 1])),
        "direction_samples": int(said.sum()),
        "base_rate": rate,
        "always_accuracy": max(rate, 1 - rate),
    }


def _drawn(ts: npt.NDArray[np.int64], columns: list[Floats], horizon: int) -> Floats | None:
    """Sums of some columns over resamples; hours are drawn, which are quicker than minutes and as dependent.

    Blocks are of a day where there are days enough: longer ones keep more of what hangs together.
    """
    hours, place = np.unique(ts // _HOUR_MS, return_inverse=True)
    sums = [np.bincount(place, weights=column).astype(np.float64) for column in columns]
    needed = -(-block_minutes(horizon) // 60)
    block = max(needed, 24) if len(hours) >= _LEAST_DAYS * 24 else needed
    return block_totals(hours, sums, block=block, draws=DRAWS)


def _matched(data: BacktestInput, columns: Mapping[str, PredictionColumns]) -> dict[str, int]:
    """How many candles of each symbol have a forecast."""
    return {
        symbol: int((_rows(data.candles[symbol].ts, one.ts) >= 0).sum()) for symbol, one in columns.items()
    }


def _rows(ts: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each time stands; -1 where it does not."""
    rows = np.minimum(np.searchsorted(ts, wanted), len(ts) - 1)
    return np.where(ts[rows] == wanted, rows, -1)
