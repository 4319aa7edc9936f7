"""The test of Diebold and Mariano, against statsmodels and against what is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import DataError
from models.forecast_tests import diebold_mariano
from tests.arch_runs import autoregressive


@pytest.mark.parametrize(("length", "lags"), [(500, 0), (2000, 15), (6000, 300), (40, 39), (20, 60)])
def test_it_is_the_hac_test_of_statsmodels(length: int, lags: int) -> None:
    """Mean, statistic and p-value equal those of a regression on a constant with Newey and West's errors."""
    first = autoregressive(length, 0.7, seed=1) ** 2
    second = first * 0.9 + autoregressive(length, 0.3, seed=2) ** 2
    found = diebold_mariano(first, second, lags=lags)
    reference = sm.OLS(first - second, np.ones(length)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}
    )
    assert found.mean == pytest.approx(reference.params[0], rel=1e-9)
    assert found.statistic == pytest.approx(reference.tvalues[0], rel=1e-8)
    assert found.p_value == pytest.approx(reference.pvalues[0], rel=1e-6, abs=1e-12)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=2, max_size=60), st.integers(0, 80))
def test_exchanging_the_forecasters_changes_only_the_sign(
    pairs: list[tuple[float, float]], lags: int
) -> None:
    """The test is antisymmetric, and its p-value is a probability."""
    one, other = np.array(pairs).T
    there, back = diebold_mariano(one, other, lags=lags), diebold_mariano(other, one, lags=lags)
    assert there.mean == -back.mean
    assert there.statistic == -back.statistic
    assert there.p_value == back.p_value
    assert 0.0 <= there.p_value <= 1.0


def test_losses_too_small_to_square_are_compared_like_others() -> None:
    """The statistic does not depend on the unit of the losses, down to those whose squares are 0."""
    tiny = diebold_mariano(np.zeros(3), np.array([0.0, 1e-271, 2e-271]), lags=0)
    plain = diebold_mariano(np.zeros(3), np.array([0.0, 1.0, 2.0]), lags=0)
    assert tiny.statistic == pytest.approx(plain.statistic, rel=1e-12)


def test_equal_forecasters_are_told_apart_as_seldom_as_chance_says() -> None:
    """Of 400 pairs of equally good forecasters with dependent losses about one in twenty has p below 0.05."""
    found = [
        diebold_mariano(
            autoregressive(1500, 0.5, seed), autoregressive(1500, 0.5, seed + 1000), lags=25
        ).p_value
        for seed in range(400)
    ]
    assert 8 <= sum(p < 0.05 for p in found) <= 42


def test_without_lags_dependence_is_overlooked() -> None:
    """The error of overlapping losses is much greater than that of single ones."""
    losses = autoregressive(5000, 0.95, seed=3)
    plain = diebold_mariano(losses, np.zeros(5000), lags=0)
    wide = diebold_mariano(losses, np.zeros(5000), lags=100)
    assert abs(plain.statistic) > 3.0 * abs(wide.statistic)


def test_a_difference_that_never_varies_has_no_error() -> None:
    """Equal losses give statistic 0 and p 1; one that is always less by the same is surely less."""
    losses = np.random.default_rng(4).normal(size=100)
    assert diebold_mariano(losses, losses, lags=5) == (0.0, 0.0, 1.0)
    assert diebold_mariano(np.full(9, 0.1), np.full(9, 0.3), lags=2)[1:] == (-math.inf, 0.0)


def test_half_a_million_losses_are_no_matter() -> None:
    """Long series with many lags keep their exact variance: that of white noise, which Bartlett's weights leave."""
    first, second = np.random.default_rng(5).normal(size=(2, 500_000))
    found = diebold_mariano(first, second + 0.01, lags=300)
    assert found.mean == pytest.approx(-0.01, abs=0.008)
    assert found.statistic == pytest.approx(found.mean / np.sqrt(2.0 / 500_000), rel=0.1)


@pytest.mark.parametrize(
    ("first", "second", "lags"),
    [
        ([1.0], [2.0], 0),
        ([1.0, 2.0], [1.0, 2.0, 3.0], 0),
        ([1.0, 2.0], [2.0, 5.0], -1),
        ([1.0, math.nan, 2.0], [1.0, 2.0, 3.0], 1),
    ],
)
def test_what_cannot_be_compared_is_refused(first: list[float], second: list[float], lags: int) -> None:
    """Too few losses, different numbers of them, gaps and negative lags are data errors."""
    with pytest.raises(DataError):
        diebold_mariano(np.array(first), np.array(second), lags=lags)
