"""What a forecast is worth: the probability of a rise, and how much of the expected return to believe.

The probability is a logistic curve on the standardized forecast, after J. Platt, Probabilistic Outputs for
Support Vector Machines (1999), with the slope as its only parameter: P(up) is above one half exactly where the
expected return is above zero. An intercept would be the base rate of a few days, whose noise alone costs more
millinats than a forecast of minutes can earn.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.hashing import canonical_json

Floats = npt.NDArray[np.float64]

PRIOR_SLOPE = 1.6
"""The logistic slope of a normal forecast that is exactly right (the probit is about logistic(1.6 z)): slopes
far beyond it are not believed. It is the deviation of the slope's prior around 0."""

LEAST_SCALE = 0.01
"""A forecast that was worth nothing keeps a hundredth: nothing to a strategy, but its sign can still be judged."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(up) = 1 / (1 + exp(-slope · z)), z = decoded return / (volatility · sqrt(horizon)).

    Attributes:
        slope: 0 or more; 0 says one half whatever the forecast.
        samples: Labels that it was fitted on.
        return_scale: ``LEAST_SCALE`` to 1: the expected return is the decoded one times this. A model that boasts is cut down
            to what its forecasts were worth on a slice that it did not see.
    """

    slope: float
    samples: int
    return_scale: float = 1.0

    def probability(self, z: Floats) -> Floats:
        """P(return > 0) of standardized forecasts."""
        probability: Floats = 1.0 / (1.0 + np.exp(-self.slope * z))
        return probability

    def to_json(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(asdict(self))


def fit_calibration(z: Floats, up: npt.NDArray[np.bool_], *, horizon: int) -> Calibration:
    """Fit the slope by Newton's method (maximum a posteriori) on labels without ties.

    Labels that look ``horizon`` minutes ahead overlap: n of them a minute apart weigh as n / horizon. A negative
    slope would mean trading against the model on the word of one slice: it becomes 0.

    Raises:
        ModelError: There are fewer than 50 labels, or a forecast is not a number.
    """
    if len(z) < 50 or not np.isfinite(z).all():
        raise ModelError(f"a calibration needs at least 50 labels and finite forecasts, not {len(z)}")
    weight = 1.0 / horizon
    slope = 0.0
    for _ in range(50):
        probability = 1.0 / (1.0 + np.exp(-slope * z))
        gradient = weight * float(np.sum(z * (probability - up))) + slope / PRIOR_SLOPE**2
        curvature = weight * float(np.sum(z * z * probability * (1.0 - probability))) + 1.0 / PRIOR_SLOPE**2
        step = gradient / curvature
        slope -= step
        if abs(step) < 1e-10:
            break
    return Calibration(max(slope, 0.0), len(z))


def fit_return_scale(z: Floats, outcome: Floats, *, horizon: int) -> float:
    """Least-squares slope, through the origin, of what happened on what was forecast, kept within ``LEAST_SCALE`` to 1.

    A ridge of one unit (a normal prior of deviation 1 around 0, in standardized returns) keeps few labels from
    saying much; labels that overlap weigh as in ``fit_calibration``.

    Args:
        z: Standardized forecasts.
        outcome: Standardized returns that followed.
        horizon: Minutes by which neighbouring labels overlap.
    """
    weight = 1.0 / horizon
    slope = weight * float(np.sum(z * outcome)) / (weight * float(np.sum(z * z)) + 1.0)
    return min(max(slope, LEAST_SCALE), 1.0)


def calibration_from_json(content: bytes) -> Calibration:
    """Read what ``Calibration.to_json`` wrote; ModelError when it is not that."""
    try:
        document = json.loads(content)
        calibration = Calibration(
            float(document["slope"]), int(document["samples"]), float(document["return_scale"])
        )
    except (ValueError, KeyError, TypeError) as fault:
        raise ModelError(f"calibration.json is not a calibration: {fault}") from fault
    if not (np.isfinite(calibration.slope) and calibration.slope >= 0.0):
        raise ModelError("calibration.json holds a slope that is negative or not finite")
    if not LEAST_SCALE <= calibration.return_scale <= 1.0:
        raise ModelError(f"calibration.json holds a return_scale that is not within {LEAST_SCALE} to 1")
    return calibration
