"""What a Sharpe ratio proves, given how long it was watched, how its returns fall and how many were tried.

Ratios are per observation and not annualized, with the sample's deviation (n - 1); skewness and kurtosis are those of the
population of returns. Returns that never vary, or fewer than two, show no risk to divide by: their ratio is 0, with a
normal's skewness and kurtosis, so that nothing is ever proven by them.

After D. H. Bailey and M. López de Prado, The Sharpe Ratio Efficient Frontier (2012) and The Deflated Sharpe Ratio (2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from bot.errors import DataError

Floats = npt.NDArray[np.float64]

EULER_MASCHERONI = 0.577_215_664_901_532_9
_NORMAL = NormalDist()
_LEAST_DEVIATION = 1e-12
"""In shares of the greatest return: a smaller deviation is rounding."""
_LEAST_VARIANCE = 1e-12


def sharpe_ratio(returns: Floats) -> float:
    """Mean over deviation of returns.

    Args:
        returns: float64 [n], fractions, each of one period.

    Raises:
        DataError: A return is not finite.
    """
    if not np.isfinite(returns).all():
        raise DataError("a Sharpe ratio needs finite returns")
    return float(returns.mean() / returns.std(ddof=1)) if _varies(returns) else 0.0


def probabilistic_sharpe(returns: Floats, benchmark: float = 0.0) -> float:
    """The probability that the true ratio is above ``benchmark`` (a ratio per observation): 0 to 1.

    Raises:
        DataError: A return is not finite.
    """
    ratio = sharpe_ratio(returns)
    observed = math.sqrt(max(len(returns) - 1, 0))
    return _NORMAL.cdf((ratio - benchmark) * observed / math.sqrt(_unit_variance(returns, ratio)))


def deflated_sharpe(
    returns: Floats, *, trial_count: int, trial_sharpes: Sequence[float] | Floats = ()
) -> float:
    """The probability that the true ratio is above what the best of so many worthless trials would show: 0 to 1.

    Args:
        returns: float64 [n], fractions, of the trial that was chosen.
        trial_count: How many were tried, this one included; one trial deflates nothing.
        trial_sharpes: Ratios of the trials, per observation. Their variance tells how far trials lie apart; of fewer
            than two it is taken to be 1 / (n - 1), which is that of a worthless trial's ratio.

    Raises:
        DataError: A return or a ratio is not finite, or ``trial_count`` is below 1.
    """
    ratios = np.asarray(trial_sharpes, dtype=np.float64)
    if not np.isfinite(ratios).all():
        raise DataError("the Sharpe ratios of trials must be finite")
    variance = float(ratios.var(ddof=1)) if len(ratios) >= 2 else 1.0 / max(len(returns) - 1, 1)
    return probabilistic_sharpe(returns, expected_maximum(trial_count, variance))


def expected_maximum(trial_count: int, variance: float) -> float:
    """The greatest ratio to expect of so many worthless trials, whose ratios have this variance; 0 of a single one.

    Raises:
        DataError: ``trial_count`` is below 1.
    """
    if trial_count < 1:
        raise DataError(f"there is no best of {trial_count} trials")
    if trial_count == 1:
        return 0.0
    likely = _NORMAL.inv_cdf(1.0 - 1.0 / trial_count)
    rare = _NORMAL.inv_cdf(1.0 - 1.0 / (trial_count * math.e))
    return math.sqrt(variance) * ((1.0 - EULER_MASCHERONI) * likely + EULER_MASCHERONI * rare)


def minimum_track_record(returns: Floats, *, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """How many observations like these it takes to be so sure that the true ratio is above ``benchmark``.

    Args:
        returns: float64 [n], fractions.
        benchmark: A ratio per observation.
        confidence: From 0.5 to below 1.

    Returns:
        Observations, not rounded; infinite where the ratio is not above the benchmark.

    Raises:
        DataError: A return is not finite.
    """
    ratio = sharpe_ratio(returns)
    if ratio <= benchmark:
        return math.inf
    distance = _NORMAL.inv_cdf(confidence) / (ratio - benchmark)
    return 1.0 + _unit_variance(returns, ratio) * distance * distance


def _unit_variance(returns: Floats, ratio: float) -> float:
    """Variance of an estimated ratio, times n - 1; never 0, which two values in the worst proportion would give."""
    skewness, kurtosis = 0.0, 3.0
    if _varies(returns):
        z = (returns - returns.mean()) / returns.std()
        skewness, kurtosis = float(np.mean(z**3)), float(np.mean(z**4))
    return max(1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio * ratio, _LEAST_VARIANCE)


def _varies(returns: Floats) -> bool:
    """Whether there are two returns that differ by more than rounding."""
    return len(returns) >= 2 and bool(returns.std() > _LEAST_DEVIATION * np.abs(returns).max())
