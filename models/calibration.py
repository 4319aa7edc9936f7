"""What a forecast is worth: the probability of a rise, and how much of the expected return to believe.

The probability is a logistic curve on the standardized forecast, after J. Platt, Probabilistic Outputs for
Support Vector Machines (1999), with the slope as its only parameter: P(up) is above one half exactly where the
expected return is above zero. An intercept would be the base rate of a few days, whose noise alone costs more
millinats than a forecast of minutes can earn.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.bootstrap import block_minutes
from models.hashing import canonical_json

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

PRIOR_SLOPE = 1.6
"""The logistic slope of a normal forecast that is exactly right (the probit is about logistic(1.6 z)): slopes
far beyond it are not believed. It is the deviation of the slope's prior around 0."""

LEAST_SCALE = 0.01
"""A forecast that was worth nothing keeps a hundredth: nothing to a strategy, but its sign can still be judged."""

LEAST_BLOCKS = 8
"""Fewer blocks of time than this tell nothing of how much a scale varies: its error is then that of the prior."""

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(up) = 1 / (1 + exp(-slope · z)), z = decoded return / (volatility · sqrt(horizon)).

    Attributes:
        slope: 0 or more; 0 says one half whatever the forecast.
        samples: Labels that it was fitted on.
        return_scale: ``LEAST_SCALE`` to 1: the expected return is the decoded one times this. A model that boasts is cut down
            to what its forecasts were worth on a slice that it did not see.
        return_scale_error: Standard error of ``return_scale``, 0 to 1; None where nobody measured it, as in artifacts of
            older versions.
        volatility_scale: What the network's own volatility forecast is multiplied by; None where it has none, or the
            regression on trailing volatility was better on the calibrate slice.
    """

    slope: float
    samples: int
    return_scale: float = 1.0
    return_scale_error: float | None = None
    volatility_scale: float | None = None

    def probability(self, z: Floats) -> Floats:
        """P(return > 0) of standardized forecasts."""
        probability: Floats = 1.0 / (1.0 + np.exp(-self.slope * z))
        return probability

    def doubt(self, decoded: Floats) -> Floats:
        """Standard deviation of the expected return that decoded returns stand for, as a fraction; NaN where not known."""
        error = self.return_scale_error
        unsure: Floats = np.abs(decoded) * (math.nan if error is None else error)
        return unsure

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


def return_scale_error(z: Floats, outcome: Floats, ts: Indices, *, horizon: int) -> float:
    """Standard error of ``fit_return_scale``, of the scale before it is kept within its bounds.

    The scale is a ratio of sums, so its sampling variance is that of a ratio estimator over non-overlapping blocks of
    time (W. G. Cochran, Sampling Techniques, 1977, section 6.4), which is the cluster-robust variance of the slope:
    sum u_k² · K / (K - 1) / (sum z²)², with u_k the sum of z · residual in block k. Blocks are as long as those of the
    bootstrap and hold all symbols of their minutes: overlapping labels, clustered volatility and coins that move
    together are counted in. The prior of deviation 1 then bounds it: 1 / error² = 1 / variance + 1.

    Args:
        z: Standardized forecasts, float64 [n].
        outcome: Standardized returns that followed.
        ts: int64 [n], ms, in any order and with repeats.
        horizon: Minutes that a label looks ahead.

    Returns:
        Above 0 where forecasts vary, at most 1: the prior's own, where fewer than ``LEAST_BLOCKS`` blocks hold labels or
        the forecasts are all zero.
    """
    squares = float(np.sum(z * z))
    _, block = np.unique(ts // (block_minutes(horizon) * MINUTE_MS), return_inverse=True)
    count = int(block.max()) + 1 if len(block) else 0
    if count < LEAST_BLOCKS or squares <= 0.0:
        return 1.0
    residual = outcome - float(np.sum(z * outcome)) / squares * z
    scores = np.bincount(block, weights=z * residual)
    spread = float(np.sum(scores * scores)) * count / (count - 1)
    # variance / (1 + variance) of spread / squares²; written so that tiny forecasts do not overflow.
    return math.sqrt(spread / (spread + squares * squares)) if spread > 0.0 else 0.0


def calibration_from_json(content: bytes) -> Calibration:
    """Read what ``Calibration.to_json`` wrote; ModelError when it is not that."""
    try:
        document = json.loads(content)
        error, wide = document.get("return_scale_error"), document.get("volatility_scale")
        calibration = Calibration(
            float(document["slope"]),
            int(document["samples"]),
            float(document["return_scale"]),
            None if error is None else float(error),
            None if wide is None else float(wide),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ModelError(f"calibration.json is not a calibration: {fault}") from fault
    if not (np.isfinite(calibration.slope) and calibration.slope >= 0.0):
        raise ModelError("calibration.json holds a slope that is negative or not finite")
    if not LEAST_SCALE <= calibration.return_scale <= 1.0:
        raise ModelError(f"calibration.json holds a return_scale that is not within {LEAST_SCALE} to 1")
    if calibration.return_scale_error is not None and not 0.0 <= calibration.return_scale_error <= 1.0:
        raise ModelError("calibration.json holds a return_scale_error that is not within 0 to 1")
    if calibration.volatility_scale is not None and not 0.0 < calibration.volatility_scale < math.inf:
        raise ModelError("calibration.json holds a volatility_scale that is not positive")
    return calibration
