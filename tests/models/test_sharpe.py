"""Sharpe ratios and what they prove, against scipy and against what is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bot.errors import DataError
from models.sharpe import (
    deflated_sharpe,
    expected_maximum,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_ratio,
)


def skewed(count: int, seed: int, mean: float = 0.001) -> np.ndarray:
    """Daily returns with rare great losses."""
    rng = np.random.default_rng(seed)
    return mean + 0.01 * (1.0 - rng.gamma(2.0, 0.5, size=count))


def reference_error(returns: np.ndarray) -> float:
    """Standard error of a ratio, by scipy's moments."""
    ratio = np.mean(returns) / stats.tstd(returns)
    skewness, kurtosis = stats.skew(returns), stats.kurtosis(returns, fisher=False)
    return float(np.sqrt((1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2) / (len(returns) - 1)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("benchmark", [0.0, 0.05, -0.1])
def test_the_probability_is_that_of_scipy(seed: int, benchmark: float) -> None:
    """Ratio and probability equal a computation from scipy's moments and its normal distribution."""
    returns = skewed(400, seed)
    ratio = 1.0 / stats.variation(returns, ddof=1)
    assert sharpe_ratio(returns) == pytest.approx(ratio, rel=1e-12)
    expected = stats.norm.cdf((ratio - benchmark) / reference_error(returns))
    assert probabilistic_sharpe(returns, benchmark) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("trial_count", [2, 10, 400])
def test_the_deflated_probability_is_that_of_scipy(trial_count: int) -> None:
    """The benchmark of N trials equals the formula with scipy's quantiles, with known ratios and without."""
    returns = skewed(300, 6, 0.002)
    gamma = -stats.gumbel_l.mean()
    quantiles = stats.norm.ppf([1 - 1 / trial_count, 1 - 1 / (trial_count * math.e)])
    shape = (1 - gamma) * quantiles[0] + gamma * quantiles[1]
    ratios = np.random.default_rng(6).normal(size=9) * 0.04
    for known, deviation in (
        (ratios, stats.tstd(ratios)),
        ((0.3,), math.sqrt(1 / 299)),
        ((), math.sqrt(1 / 299)),
    ):
        benchmark = deviation * shape
        expected = stats.norm.cdf((sharpe_ratio(returns) - benchmark) / reference_error(returns))
        found = deflated_sharpe(returns, trial_count=trial_count, trial_sharpes=known)
        assert found == pytest.approx(expected, abs=1e-9)


def test_one_trial_deflates_nothing() -> None:
    """A single trial keeps its probability, whatever ratios others had."""
    returns = skewed(300, 7)
    assert deflated_sharpe(returns, trial_count=1) == probabilistic_sharpe(returns)
    assert deflated_sharpe(returns, trial_count=1, trial_sharpes=(0.5, -0.5)) == probabilistic_sharpe(returns)


def test_more_trials_prove_less() -> None:
    """The probability falls with every further trial, and with ratios that lie further apart."""
    returns = skewed(300, 8, 0.003)
    found = [deflated_sharpe(returns, trial_count=count) for count in (1, 2, 5, 20, 100, 10_000)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)
    near, far = (deflated_sharpe(returns, trial_count=20, trial_sharpes=(-d, d)) for d in (0.02, 0.1))
    assert far < near


def test_the_expected_maximum_is_that_of_simulated_trials() -> None:
    """The best of N normal ratios is about the formula's, to within a few hundredths of a deviation."""
    rng = np.random.default_rng(9)
    for count, within in ((10, 0.05), (100, 0.04), (1000, 0.04)):
        drawn = 0.1 * rng.normal(size=(2000, count)).max(axis=1).mean()
        assert expected_maximum(count, 0.01) == pytest.approx(drawn, abs=0.1 * within)


def test_the_best_of_worthless_trials_is_not_believed() -> None:
    """The best of 50 worthless trials looks proven by itself almost always, deflated almost never."""
    plain = deflated = 0
    for seed in range(200):
        trials = np.random.default_rng(seed).normal(size=(250, 50)) * 0.01
        ratios = [sharpe_ratio(column) for column in trials.T]
        best = trials[:, int(np.argmax(ratios))]
        plain += probabilistic_sharpe(best) > 0.95
        deflated += deflated_sharpe(best, trial_count=50, trial_sharpes=ratios) > 0.95
    assert plain > 150
    assert deflated <= 10


@pytest.mark.parametrize(("benchmark", "confidence"), [(0.0, 0.95), (0.02, 0.99), (-0.05, 0.9)])
def test_the_track_record_is_just_long_enough(benchmark: float, confidence: float) -> None:
    """With as many observations of the same moments the probability is the confidence asked for."""
    returns = skewed(500, 10, 0.001)
    needed = minimum_track_record(returns, benchmark=benchmark, confidence=confidence)
    error = reference_error(returns) * math.sqrt(499 / (needed - 1))
    found = stats.norm.cdf((sharpe_ratio(returns) - benchmark) / error)
    assert found == pytest.approx(confidence, abs=1e-9)


def test_no_record_is_long_enough_for_what_is_not_there() -> None:
    """A ratio at or below the benchmark is never proven."""
    returns = skewed(500, 11, 0.001)
    assert minimum_track_record(-returns) == math.inf
    assert minimum_track_record(returns, benchmark=sharpe_ratio(returns)) == math.inf


@pytest.mark.parametrize("returns", [[], [0.01], [0.0] * 9, [0.1] * 30, [0.3, 0.3 + 1e-17, 0.3]])
def test_returns_that_never_vary_prove_nothing(returns: list[float]) -> None:
    """Constant or missing returns have ratio 0 and one half as probability, or less after many trials."""
    values = np.array(returns, dtype=np.float64)
    assert sharpe_ratio(values) == 0.0
    assert probabilistic_sharpe(values) == 0.5
    assert deflated_sharpe(values, trial_count=20, trial_sharpes=(0.1, 0.2)) <= 0.5
    assert deflated_sharpe(values, trial_count=20) <= 0.5
    assert minimum_track_record(values) == math.inf


@given(
    st.lists(st.floats(-1, 1), min_size=0, max_size=30),
    st.integers(1, 1000),
    st.lists(st.floats(-3, 3), max_size=4),
)
def test_every_answer_is_a_probability(returns: list[float], trial_count: int, ratios: list[float]) -> None:
    """Whatever the returns, probabilities lie within 0 and 1, and deflation never raises one."""
    values = np.array(returns, dtype=np.float64)
    plain = probabilistic_sharpe(values)
    assert 0.0 <= plain <= 1.0
    assert 0.0 <= deflated_sharpe(values, trial_count=trial_count, trial_sharpes=ratios) <= plain
    assert minimum_track_record(values) >= 1.0


def test_what_is_no_number_is_refused() -> None:
    """Gaps in returns or ratios and less than one trial are data errors."""
    with pytest.raises(DataError, match="finite"):
        sharpe_ratio(np.array([0.1, math.nan]))
    with pytest.raises(DataError, match="finite"):
        deflated_sharpe(np.array([0.1, 0.2]), trial_count=2, trial_sharpes=(math.inf, 0.1))
    with pytest.raises(DataError, match="0 trials"):
        deflated_sharpe(np.array([0.1, 0.2]), trial_count=0)
