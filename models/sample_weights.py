"""How much each training window counts, by how wild its market was."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.recipe_sections import SampleWeightSection


def sample_weights(
    volatility: npt.NDArray[np.float64], section: SampleWeightSection
) -> npt.NDArray[np.float32]:
    """(volatility / median)^power within 1/limit to limit, divided by its mean.

    Args:
        volatility: float64 [n], of the last candle of each training window; only ratios matter.
        section: Power and limit.

    Returns:
        float32 [n] with mean 1.

    Raises:
        DataError: There is no volatility, one is not a number or below 0, or the median is 0.
    """
    if not len(volatility) or not (np.isfinite(volatility) & (volatility >= 0.0)).all():
        raise DataError(
            "samples are weighed by their volatility, which must be a number, 0 or more, for each"
        )
    median = float(np.median(volatility))
    if median == 0.0:
        raise DataError("samples cannot be weighed by volatility where half of the prices do not move")
    with np.errstate(divide="ignore"):  # 0 to a power below 0 is infinite, and is cut like all that is large
        ratio = np.power(volatility / median, section.power)
    bounded = np.clip(ratio, 1.0 / section.limit, section.limit)
    weights: npt.NDArray[np.float32] = (bounded / bounded.mean()).astype(np.float32)
    return weights
