"""Whether the best of many models beats a benchmark by more than the best of as many lucky ones would.

P. R. Hansen, A Test for Superior Predictive Ability (2005), with the stationary bootstrap. The statistic is the greatest
mean gain in units of its standard error. The three p-values differ in what they take the poor models to be:

- upper: as good as the benchmark (the most cautious, and H. White's Reality Check of 2000, studentized);
- consistent: as good as the benchmark unless worse than sampling error allows; the one to go by;
- lower: as poor as they looked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.bootstrap import SEED, block_totals

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

DRAWS = 1000
_LEAST_DEVIATION = 1e-12
"""A column whose standard error is a smaller share of its mean does not vary but for rounding."""


class Superiority(NamedTuple):
    """P-values of "no model beats the benchmark"; lower <= consistent <= upper."""

    lower: float
    consistent: float
    upper: float


NOTHING_SHOWN = Superiority(1.0, 1.0, 1.0)


def superior_ability(
    gains: Floats, ts: Indices, *, block: int, draws: int = DRAWS, seed: int = SEED
) -> Superiority:
    """Test whether any model beats the benchmark, given how many were tried.

    Args:
        gains: float64 [n, k], the benchmark's loss less each model's, finite.
        ts: int64 [n], the minute of each row, ms, in any order; symbols may repeat one, and are drawn together.
        block: Mean length of a block, in minutes that have rows.
        draws: How many resamples.
        seed: Same seed, same resamples.

    Returns:
        All 1 where nothing can be shown: fewer than two blocks, or no model whose gain varies. A gain that is the
        same in every minute, 0 above all, has no error to measure it by and is left out.

    Raises:
        DataError: The shapes do not fit, or a gain is not finite.
    """
    if gains.ndim != 2 or ts.shape != gains.shape[:1]:
        raise DataError(f"gains of shape {gains.shape} do not fit {ts.shape} minutes: [n, k] and [n]")
    if not np.isfinite(gains).all():
        raise DataError("gains to test must be finite")
    totals = block_totals(ts, [*gains.T, np.ones(len(gains))], block=block, draws=draws, seed=seed)
    if totals is None:
        return NOTHING_SHOWN
    return p_values(gains, ts, totals[:, :-1] / totals[:, -1:], block=block)


def p_values(gains: Floats, ts: Indices, resampled: Floats, *, block: int) -> Superiority:
    """The test on resamples that were drawn elsewhere.

    Args:
        gains: float64 [n, k], as in ``superior_ability``.
        ts: int64 [n].
        resampled: float64 [draws, k], the mean gains of each resample.
        block: Mean length of a block that the resamples were drawn with.
    """
    means = gains.mean(axis=0)
    length = len(np.unique(ts))
    error = np.sqrt(mean_variance(gains, ts, block=block))
    varies = error > _LEAST_DEVIATION * np.abs(means)
    if not varies.any():
        return NOTHING_SHOWN
    means, error, resampled = means[varies], error[varies], resampled[:, varies]
    greatest = float((means / error).max())
    # By the law of the iterated logarithm a model as good as the benchmark stays above this, in the long run.
    least = -error * np.sqrt(2.0 * np.log(np.log(max(length, 3))))
    centres = (np.maximum(means, 0.0), np.where(means >= least, means, 0.0), means)
    # A draw that equals what was found counts against the models.
    found = [((resampled - centre) / error).max(axis=1) >= greatest for centre in centres]
    return Superiority(*(float(reached.mean()) for reached in found))


def mean_variance(gains: Floats, ts: Indices, *, block: int) -> Floats:
    """Variance of each column's mean under the stationary bootstrap, without drawing: float64 [k].

    Lemma 1 of Politis and Romano (1994): circular autocovariances weighed by (1 - i/T)(1 - 1/block)^i. Where symbols
    repeat minutes, the mean is a ratio of two sums over minutes, and the variance that of its linear part.
    """
    minutes, place = np.unique(ts, return_inverse=True)
    length = len(minutes)
    lag = np.arange(length)
    weights = 2.0 * (1.0 - lag / length) * (1.0 - 1.0 / block) ** lag
    weights[0] = 1.0
    found = np.empty(gains.shape[1])
    for number, column in enumerate(gains.T):
        # Sums of a minute over the mean number of rows per minute: their plain mean over minutes is the mean gain.
        scores = np.bincount(place, weights=column - column.mean(), minlength=length) * (length / len(ts))
        spectrum = np.fft.rfft(scores)
        covariances = np.fft.irfft((spectrum * spectrum.conj()).real, n=length) / length
        found[number] = max(float(weights @ covariances), 0.0) / length
    return found
