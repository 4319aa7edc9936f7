"""Theil's U and R² of returns, against scikit-learn and against what is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.return_skill import return_skill


def minutes(count: int) -> np.ndarray:
    """Consecutive minutes."""
    return np.arange(count, dtype=np.int64) * 60_000


def returns(count: int, seed: int, drift: float = 2e-4) -> tuple[np.ndarray, np.ndarray]:
    """What came, a tenth of it no change, and a forecast that knows some of it."""
    rng = np.random.default_rng(seed)
    known = rng.normal(size=count) * 5e-4
    came = drift + known + rng.normal(size=count) * 1e-3
    return np.where(rng.random(count) < 0.1, 0.0, came), known + drift


@pytest.mark.training
def test_both_are_those_of_scikit_learn() -> None:
    """R² and the ratio of root mean squared errors equal the reference's, missing forecasts left out."""
    from sklearn.metrics import r2_score, root_mean_squared_error

    came, expected = returns(3000, 1)
    expected[::5] = np.nan
    there = np.isfinite(expected)
    theil, r2 = return_skill(minutes(3000), came, expected, 60)
    assert theil is not None
    assert r2 is not None
    zero = np.zeros(int(there.sum()))
    ratio = root_mean_squared_error(came[there], expected[there]) / root_mean_squared_error(came[there], zero)
    assert theil.value == pytest.approx(ratio, abs=1e-12)
    assert r2.value == pytest.approx(r2_score(came[there], expected[there]), abs=1e-12)


def test_persistence_is_one_and_perfection_is_nothing() -> None:
    """Expecting no change has U 1 in every resample; expecting what comes has U 0 and R² 1."""
    came, _ = returns(2000, 2)
    theil, r2 = return_skill(minutes(2000), came, np.zeros(2000), 60)
    assert theil == (1.0, 1.0, 1.0)
    assert r2 is not None
    assert r2.value < 0.0
    assert return_skill(minutes(2000), came, came, 60) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_intervals_cover_what_is_true() -> None:
    """Of 100 samples about 95 % of intervals hold the figures of a very long one."""
    long_ago, long_said = returns(2_000_000, 3)
    truth = [
        figure.value for figure in return_skill(minutes(2_000_000), long_ago, long_said, 10**7) if figure
    ]
    covered = np.zeros(2)
    for seed in range(100, 200):
        came, expected = returns(2000, seed)
        for place, figure in enumerate(return_skill(minutes(2000), came, expected, 30)):
            assert figure is not None
            assert figure.low is not None
            assert figure.high is not None
            assert figure.low < figure.value < figure.high
            covered[place] += figure.low <= truth[place] <= figure.high
    assert ((covered >= 87) & (covered <= 100)).all()


def test_where_nothing_moves_there_is_no_figure() -> None:
    """Without moves there is neither; without differences no R²; without forecasts neither."""
    said = np.full(500, 1e-4)
    assert return_skill(minutes(500), np.zeros(500), said, 60) == (None, None)
    theil, r2 = return_skill(minutes(500), np.full(500, 2e-4), said, 60)
    assert theil is not None
    assert theil.value == pytest.approx(0.5)
    assert r2 is None
    assert return_skill(minutes(500), said, np.full(500, np.nan), 60) == (None, None)


def test_too_short_a_sample_has_figures_without_intervals() -> None:
    """Below two blocks both stand alone."""
    came, expected = returns(100, 4)
    for figure in return_skill(minutes(100), came, expected, 60):
        assert figure is not None
        assert figure[1:] == (None, None)
