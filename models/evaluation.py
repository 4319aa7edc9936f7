"""How good a forecast is, beside what costs nothing. Money is measured by a backtest, not here.

Direction accuracy is the share of forecasts whose sign is that of the move from the last close, ties left
out. Log-loss gains are in thousandths of a nat against the base rate of the training data. Intervals are
95 %, by block bootstrap. The seeds' accuracy (signs of differences between consecutive predicted levels)
and fits of the price level are given only as legacy figures and beside those of repeating the last price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.bootstrap import Interval, block_interval, block_minutes
from models.verdict import judge

Floats = npt.NDArray[np.float64]

BPS = 1e4
RELIABILITY_PARTS = 10
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Out-of-sample moments with known outcomes, in order of symbol and time; arrays of length n.

    Attributes:
        ts: int64, open time of the last candle of the window, ms.
        symbol: int16, number of the symbol.
        close: Last close.
        realized: Log return over the horizon that came.
        last_return: Log return of the last minute; NaN after a gap.
        horizon: Minutes.
    """

    ts: npt.NDArray[np.int64]
    symbol: npt.NDArray[np.int16]
    close: Floats
    realized: Floats
    last_return: Floats
    horizon: int


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What one forecaster said at each moment of a sample.

    Attributes:
        name: For the table.
        direction: Signed: its sign is the direction forecast; 0 or NaN is none.
        expected: Expected log returns, or None for a forecaster of directions only.
        probability: P(up), or None.
    """

    name: str
    direction: Floats
    expected: Floats | None = None
    probability: Floats | None = None


def baseline_forecasts(sample: Sample, base_rate: float, logistic: Floats) -> list[Forecast]:
    """Persistence, base rate, last return's sign, and the logistic regression's probabilities."""
    size = len(sample.ts)
    zero = np.zeros(size)
    return [
        Forecast("persistence", zero, expected=zero),
        Forecast("base_rate", np.full(size, base_rate - 0.5), probability=np.full(size, base_rate)),
        Forecast("last_return_sign", sample.last_return),
        Forecast("logistic_regression", logistic - 0.5, probability=logistic),
    ]


def evaluate(sample: Sample, model: Forecast, base_rate: float, logistic: Floats) -> dict[str, Any]:
    """The whole report as JSON values; ``forecasts`` has the model first, then the baselines.

    Raises:
        DataError: The sample is empty.
    """
    if not len(sample.ts):
        raise DataError("no whole window with a known future is left to evaluate on")
    forecasts = [model, *baseline_forecasts(sample, base_rate, logistic)]
    metrics = {forecast.name: _metrics(sample, forecast, base_rate) for forecast in forecasts}
    moves = int(np.count_nonzero(sample.realized))
    report: dict[str, Any] = {
        "samples": len(sample.ts),
        "ties": len(sample.ts) - moves,
        "from_ms": int(sample.ts.min()),
        "until_ms": int(sample.ts.max()),
        "horizon_minutes": sample.horizon,
        "block_minutes": block_minutes(sample.horizon),
        "base_rate_train": base_rate,
        "share_up": _share(np.where(sample.realized != 0.0, sample.realized > 0.0, np.nan)),
        "forecasts": metrics,
    }
    if model.probability is not None:
        report["reliability"] = reliability(model.probability, sample.realized)
    if model.expected is not None:
        report["price_level"] = _price_level(sample, model.expected)
        report["legacy"] = _legacy(sample, model.expected)
    blocks = len(np.unique(sample.ts)) / block_minutes(sample.horizon)
    return report | {"verdict": judge(metrics[model.name], moves=moves, blocks=blocks)}


def _metrics(sample: Sample, forecast: Forecast, base_rate: float) -> dict[str, Any]:
    """Every figure of one forecaster; None where it does not apply."""
    block = block_minutes(sample.horizon)
    decided = (sample.realized != 0.0) & np.isfinite(forecast.direction) & (forecast.direction != 0.0)
    right = np.where(decided, np.sign(forecast.direction) == np.sign(sample.realized), np.nan)
    found: dict[str, Any] = {
        "direction_accuracy": _share(right),
        "direction_interval": _bounds(block_interval(sample.ts, right, block=block)),
        "direction_samples": int(decided.sum()),
        "log_loss": None,
        "log_loss_gain_millinats": None,
        "log_loss_gain_interval": None,
    }
    if forecast.probability is not None:
        loss = log_loss(forecast.probability, sample.realized)
        base = log_loss(np.full(len(loss), base_rate), sample.realized)
        gain = (base - loss) * 1000.0
        found["log_loss"] = _mean(loss)
        found["log_loss_gain_millinats"] = _mean(gain)
        found["log_loss_gain_interval"] = _bounds(block_interval(sample.ts, gain, block=block))
    return found | _return_metrics(forecast.expected, sample.realized)


def log_loss(probability: Floats, realized: Floats) -> Floats:
    """-log of the probability given to what came, nats; NaN for ties."""
    bounded = np.clip(probability, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY)
    loss = -np.log(np.where(realized > 0.0, bounded, 1.0 - bounded))
    return np.where(realized == 0.0, np.nan, loss)


def reliability(probability: Floats, realized: Floats) -> list[dict[str, float]]:
    """What came where a rise was said to be so likely: ten parts of equal size, ties left out.

    Returns:
        Rows ``said`` (mean P(up)), ``came`` (share of rises), ``count``, from the least likely part to the most;
        fewer where probabilities repeat.
    """
    moved = (realized != 0.0) & np.isfinite(probability)
    said, came = probability[moved], realized[moved] > 0.0
    if not len(said):
        return []
    edges = np.unique(np.quantile(said, np.linspace(0.0, 1.0, RELIABILITY_PARTS + 1)))
    part = np.searchsorted(edges[1:-1], said, side="right")
    return [
        {
            "said": float(said[part == k].mean()),
            "came": float(came[part == k].mean()),
            "count": int((part == k).sum()),
        }
        for k in np.unique(part)
    ]


def _return_metrics(expected: Floats | None, realized: Floats) -> dict[str, Any]:
    """Errors of expected returns; a slope below 1 means that the forecasts are too bold."""
    names = ("mae_bps", "rmse_bps", "return_r2", "correlation", "calibration_slope")
    if expected is None:
        return dict.fromkeys(names)
    error = realized - expected
    spread = float(expected.var())
    covariance = float(np.mean((expected - expected.mean()) * (realized - realized.mean())))
    moving = spread > 1e-30
    deviations = float(expected.std() * realized.std())
    values = (
        float(np.abs(error).mean()) * BPS,
        float(np.sqrt(np.mean(error * error))) * BPS,
        1.0 - float(np.sum(error * error)) / max(float(np.sum((realized - realized.mean()) ** 2)), 1e-300),
        covariance / deviations if moving and deviations > 0.0 else None,
        covariance / spread if moving else None,
    )
    return dict(zip(names, values, strict=True))


def _price_level(sample: Sample, expected: Floats) -> dict[str, Any]:
    """R² of the price level, which says nothing by itself: persistence stands beside it."""
    actual = sample.close * np.exp(sample.realized)
    # Several symbols: each about its own mean, or the distance between their prices would count as fit.
    sizes = np.maximum(np.bincount(sample.symbol), 1)
    means = np.bincount(sample.symbol, weights=actual) / sizes
    total = float(np.sum((actual - means[sample.symbol]) ** 2))
    errors = {
        "r2_model": float(np.sum((actual - sample.close * np.exp(expected)) ** 2)),
        "r2_persistence": float(np.sum((actual - sample.close) ** 2)),
    }
    return {name: 1.0 - error / total if total > 0.0 else None for name, error in errors.items()}


def _legacy(sample: Sample, expected: Floats) -> dict[str, Any]:
    """Signs of differences between consecutive levels, predicted and actual: the seeds' definition."""
    predicted = np.diff(sample.close * np.exp(expected))
    actual = np.diff(sample.close * np.exp(sample.realized))
    persistent = np.diff(sample.close)
    follows = (np.diff(sample.ts) == 60_000) & (np.diff(sample.symbol) == 0)
    return {
        "label": "legacy: sign of differences between consecutive predicted levels, not a forecast from the last close",
        "direction_accuracy": _share(np.where(follows, np.sign(predicted) == np.sign(actual), np.nan)),
        "direction_accuracy_persistence": _share(
            np.where(follows, np.sign(persistent) == np.sign(actual), np.nan)
        ),
    }


def _share(flags: Floats) -> float | None:
    """Mean of what is not NaN."""
    return _mean(flags)


def _mean(values: Floats) -> float | None:
    """Mean of what is not NaN; None when nothing is."""
    present = values[np.isfinite(values)]
    return float(present.mean()) if len(present) else None


def _bounds(interval: Interval | None) -> list[float] | None:
    """The interval as JSON."""
    return None if interval is None else [interval.low, interval.high]
