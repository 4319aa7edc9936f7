"""How long one forecast takes: the median over single windows, with its interval. No clock but the one passed in."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from models.figures import Figure

WARM_UPS = 20
RUNS = 300
_DEVIATIONS = 1.959964


def median_microseconds(
    call: Callable[[int], object], monotonic_ns: Callable[[], int], *, runs: int = RUNS
) -> Figure:
    """The median time of a call, microseconds, with the 95 % interval of the median by order statistics.

    Args:
        call: Takes the number of the run, from 0, and makes one forecast.
        monotonic_ns: A counter of nanoseconds.
        runs: Calls that are timed, after ``WARM_UPS`` that are not.
    """
    for number in range(WARM_UPS):
        call(number)
    taken = np.empty(runs)
    for number in range(runs):
        began = monotonic_ns()
        call(number)
        taken[number] = (monotonic_ns() - began) / 1000.0
    taken.sort()
    # The rank of the median is binomial: n/2 plus or minus 1.96 deviations of sqrt(n)/2.
    reach = math.ceil(_DEVIATIONS * math.sqrt(runs) / 2.0)
    low, high = max(0, runs // 2 - reach), min(runs - 1, runs // 2 + reach)
    return Figure(float(np.median(taken)), float(taken[low]), float(taken[high]))
