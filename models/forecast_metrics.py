"""The figures of one forecaster at the moments of a sample, as JSON values.

Those with an interval have it beside them, ``auc`` and ``auc_interval``: 95 %, by the stationary block bootstrap. Every
figure is of returns or of probabilities; none is of the price level.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.bootstrap import block_minutes
from models.calibration_skill import equal_parts
from models.figures import Figure
from models.forecast_sample import Forecast, Sample
from models.log_loss import log_loss
from models.skill import MILLI, Skill, skill

Floats = npt.NDArray[np.float64]

BPS = 1e4


def metrics_of(sample: Sample, forecast: Forecast, base_rate: float) -> dict[str, Any]:
    """Every figure of one forecaster; None where it does not apply."""
    found = skill(
        sample.ts,
        sample.realized,
        forecast.direction,
        forecast.probability,
        np.full(len(sample.ts), base_rate),
        block=block_minutes(sample.horizon),
        expected=forecast.expected,
    )
    return _point_errors(sample.realized, forecast.expected) | _with_intervals(found)


def point_metrics(sample: Sample, forecast: Forecast, base_rate: float) -> dict[str, Any]:
    """The figures that seeds are compared by, without intervals: quick."""
    said = (sample.realized != 0.0) & np.isfinite(forecast.direction) & (forecast.direction != 0.0)
    right = np.sign(forecast.direction[said]) == np.sign(sample.realized[said])
    found: dict[str, Any] = {
        "direction_accuracy": float(right.mean()) if len(right) else None,
        "log_loss_gain_millinats": None,
        "return_r2": None,
    }
    moved = sample.realized != 0.0
    if forecast.probability is not None and moved.any():
        loss = log_loss(forecast.probability, sample.realized)[moved]
        base = log_loss(np.full(len(moved), base_rate), sample.realized)[moved]
        found["log_loss_gain_millinats"] = float((base - loss).mean()) * MILLI
    if forecast.expected is not None:
        spread = float(np.sum((sample.realized - sample.realized.mean()) ** 2))
        error = float(np.sum((sample.realized - forecast.expected) ** 2))
        found["return_r2"] = 1.0 - error / spread if spread > 0.0 else None
    return found | _point_errors(sample.realized, forecast.expected)


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
    part = equal_parts(said)
    return [
        {
            "said": float(said[part == k].mean()),
            "came": float(came[part == k].mean()),
            "count": int((part == k).sum()),
        }
        for k in np.unique(part)
    ]


def _with_intervals(found: Skill) -> dict[str, Any]:
    """Figures and their intervals under the names of the report."""
    named: dict[str, Figure | None] = {
        "direction_accuracy": found.accuracy,
        "log_loss": found.log_loss,
        "log_loss_gain_millinats": found.gain,
        "auc": found.auc,
        "mcc": found.mcc,
        "brier": found.brier,
        "probability_slope": found.slope,
        "probability_intercept": found.intercept,
        "ece": found.calibration_error,
        "theil_u": found.theil_u,
        "return_r2": found.return_r2,
    }
    values: dict[str, Any] = {"direction_samples": found.directions}
    for name, figure in named.items():
        values[name] = None if figure is None else figure.value
        values[interval_name(name)] = interval_of(figure)
    return values


def interval_name(name: str) -> str:
    """The key of a figure's interval."""
    short = {"direction_accuracy": "direction", "log_loss_gain_millinats": "log_loss_gain"}
    return f"{short.get(name, name)}_interval"


def interval_of(figure: Figure | None) -> list[float] | None:
    """The interval as JSON; None where there is none."""
    if figure is None or figure.low is None or figure.high is None:
        return None
    return [figure.low, figure.high]


def _point_errors(realized: Floats, expected: Floats | None) -> dict[str, Any]:
    """Errors of expected returns; a slope below 1 means that the forecasts are too bold."""
    names = ("mae_bps", "rmse_bps", "correlation", "calibration_slope")
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
        covariance / deviations if moving and deviations > 0.0 else None,
        covariance / spread if moving else None,
    )
    return dict(zip(names, values, strict=True))
