"""A figure with its interval."""

from __future__ import annotations

import numpy as np

from models.bootstrap import block_interval
from models.figures import Figure, mean_figure


def minutes(count: int) -> np.ndarray:
    """Consecutive minutes."""
    return np.arange(count, dtype=np.int64) * 60_000


def test_a_mean_has_the_interval_of_its_blocks() -> None:
    """The figure is the mean of what is there, with the bootstrap's bounds."""
    values = np.random.default_rng(1).normal(size=1000)
    values[::3] = np.nan
    interval = block_interval(minutes(1000), values, block=50)
    assert interval is not None
    found = mean_figure(minutes(1000), values, 50)
    assert found == Figure(float(np.nanmean(values)), interval.low, interval.high)


def test_too_short_a_sample_has_no_interval() -> None:
    """Below two blocks the mean stands alone; of nothing there is none."""
    assert mean_figure(minutes(100), np.ones(100), 240) == (1.0, None, None)
    assert mean_figure(minutes(100), np.full(100, np.nan), 240) is None
