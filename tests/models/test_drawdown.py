"""The path of likely drawdowns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bot.core.drawdown_path import DrawdownWatch
from bot.errors import DataError
from models.drawdown import drawdown_path, greatest_drawdowns, stationary_indices


def rng(seed: int = 1) -> np.random.Generator:
    """A source of chance."""
    return np.random.default_rng(seed)


def test_most_paths_of_the_same_returns_stay_within_on_all_days() -> None:
    """Fresh orders of the returns leave the path on any day in about 5 % of cases."""
    daily = rng(2).normal(0.0005, 0.01, 120)
    path = np.array(drawdown_path(daily, rng(), days=60))
    drawn = np.log1p(daily)[stationary_indices(120, 60, 4000, 5.0, rng(3))]
    left = (greatest_drawdowns(drawn) > path).any(axis=1).mean()
    assert 0.03 < left < 0.07


def test_the_path_never_falls_and_grows_with_the_returns_spread() -> None:
    """A wilder model is given more room; the same seed gives the same path."""
    calm = rng(4).normal(0.0, 0.002, 60)
    path = drawdown_path(calm, rng())
    assert len(path) == 90
    assert all(later >= earlier > 0.0 for earlier, later in pairwise(path))
    assert path == drawdown_path(calm, rng())
    assert np.array(drawdown_path(3.0 * calm, rng()))[-1] > 2.0 * path[-1]


def test_the_core_takes_every_path() -> None:
    """Days without trades, only gains, or one great loss: each gives a path that the live watch accepts."""
    for daily in (np.zeros(30), np.full(30, 0.01), np.r_[np.full(29, 0.001), -0.9]):
        DrawdownWatch(drawdown_path(daily, rng(), draws=100))
    assert drawdown_path(np.zeros(30), rng(), days=3, draws=50) == [0.0, 0.0, 0.0]


def test_the_greatest_drawdown_counts_the_start_as_a_peak() -> None:
    """Loss, gain to a new peak, loss: by hand."""
    logs = np.log(np.array([[0.9, 1.2 / 0.9, 0.5]]))
    assert greatest_drawdowns(logs)[0] == pytest.approx([0.1, 0.1, 0.5])


def test_blocks_follow_the_days_they_begin_with() -> None:
    """Each drawn day follows the one before in about four of five cases, around the end too."""
    indices = stationary_indices(50, 200, 200, 5.0, rng(5))
    follows = (indices[:, 1:] - indices[:, :-1]) % 50 == 1
    assert 0.78 < follows.mean() < 0.84
    assert set(np.unique(indices)) == set(range(50))


@pytest.mark.parametrize("daily", [np.zeros(19), np.full(30, np.nan), np.full(30, -1.0)])
def test_too_little_or_impossible_returns_are_refused(daily: np.ndarray) -> None:
    """Fewer than 20 days, no numbers, or more lost than there is."""
    with pytest.raises(DataError):
        drawdown_path(daily, rng())
