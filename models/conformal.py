"""Intervals for the return over the horizon that hold as often as they say, whatever the returns' distribution.

Split conformal prediction with normalized residuals: J. Lei, M. G'Sell, A. Rinaldo, R. Tibshirani and L. Wasserman,
Distribution-Free Predictive Inference for Regression (2018), section 5.2. The share of later returns that an interval
holds is its level where the calibrate slice is like the time after it. Returns are not exchangeable: labels overlap and
markets change, so the share that was measured on the test slice stands beside the level.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.bootstrap import block_interval, block_minutes
from models.hashing import canonical_json

FILE_NAME = "conformal.json"
LEVEL = 0.90
LEAST_SAMPLES = 100
"""Fewer residuals than this make no interval."""
BPS = 1e4

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ConformalInterval:
    """expected return ± quantile · expected volatility.

    Attributes:
        level: Share of returns that the interval is meant to hold.
        quantile: Of |return - expected| / volatility on the calibrate slice.
        samples: Residuals that it was taken from.
    """

    level: float
    quantile: float
    samples: int

    def bounds(self, expected: Floats, volatility: Floats) -> tuple[Floats, Floats]:
        """(low, high) of the log return over the horizon, float64 [k] each; NaN where an argument is.

        Args:
            expected: float64 [k], expected log return.
            volatility: float64 [k], its expected standard deviation over the horizon.
        """
        reach = self.quantile * volatility
        return expected - reach, expected + reach

    def to_json(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(asdict(self))


def fit_conformal(
    expected: Floats, volatility: Floats, realized: Floats, *, level: float = LEVEL
) -> ConformalInterval | None:
    """The quantile of normalized residuals on the calibrate slice.

    The ceil((n + 1) · level)-th smallest of n, as the finite-sample guarantee asks. Expected return and volatility must
    come from elsewhere for the guarantee to be exact; the return scale, one number, was fitted on the same slice.

    Args:
        expected: float64 [n], expected log returns.
        volatility: float64 [n]; NaN are left out.
        realized: float64 [n], the log returns that came.
        level: Above 0 and below 1.

    Returns:
        None where fewer than ``LEAST_SAMPLES`` residuals are known, or too few for the level.
    """
    residuals = np.abs(realized - expected) / volatility
    known = np.sort(residuals[np.isfinite(residuals)])
    rank = math.ceil((len(known) + 1) * level)
    if len(known) < LEAST_SAMPLES or rank > len(known):
        return None
    return ConformalInterval(level, float(known[rank - 1]), len(known))


def measure_conformal(
    interval: ConformalInterval,
    ts: Indices,
    expected: Floats,
    volatility: Floats,
    realized: Floats,
    *,
    horizon: int,
) -> dict[str, Any] | None:
    """How many of the returns of unseen candles lay within, overall and in the calmest and the wildest third.

    Args:
        interval: The interval.
        ts: int64 [n], minutes, ms; several symbols repeat a minute.
        expected: float64 [n].
        volatility: float64 [n]; NaN are left out.
        realized: float64 [n].
        horizon: Minutes.

    Returns:
        JSON values: ``level``, ``quantile``, ``rows``, ``coverage`` with its 95 % block-bootstrap interval,
        ``coverage_calm`` and ``coverage_wild``, ``mean_width_bps``. None where no volatility is known.
    """
    known = np.isfinite(volatility)
    if not known.any():
        return None
    low, high = interval.bounds(expected[known], volatility[known])
    came, wide = realized[known], volatility[known]
    inside = ((came >= low) & (came <= high)).astype(np.float64)
    found = block_interval(ts[known], inside, block=block_minutes(horizon))
    calm, wild = np.quantile(wide, [1.0 / 3.0, 2.0 / 3.0])
    return {
        "level": interval.level,
        "quantile": interval.quantile,
        "rows": len(inside),
        "coverage": {
            "value": float(inside.mean()),
            "low": None if found is None else found.low,
            "high": None if found is None else found.high,
        },
        "coverage_calm": float(inside[wide <= calm].mean()),
        "coverage_wild": float(inside[wide >= wild].mean()),
        "mean_width_bps": float(np.mean(high - low)) * BPS,
    }


def conformal_from_json(content: bytes) -> ConformalInterval:
    """Read what ``ConformalInterval.to_json`` wrote; ModelError when it is not that."""
    try:
        document = json.loads(content)
        interval = ConformalInterval(
            float(document["level"]), float(document["quantile"]), int(document["samples"])
        )
    except (ValueError, KeyError, TypeError, OverflowError) as fault:
        raise ModelError(f"{FILE_NAME} is not a conformal interval: {fault}") from fault
    if not (0.0 < interval.level < 1.0 and 0.0 < interval.quantile < math.inf):
        raise ModelError(
            f"{FILE_NAME} holds a level that is not within 0 to 1, or a quantile that is not positive"
        )
    return interval
