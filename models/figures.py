"""A figure with its interval: what every table of forecasters is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.bootstrap import block_interval

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Figure(NamedTuple):
    """A figure with the bounds of its 95 % interval; None where the sample is too short for one."""

    value: float
    low: float | None
    high: float | None


def mean_figure(ts: Indices, values: Floats, block: int) -> Figure | None:
    """The mean of what is not NaN; None when nothing is."""
    present = values[np.isfinite(values)]
    if not len(present):
        return None
    interval = block_interval(ts, values, block=block)
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return Figure(float(present.mean()), low, high)
