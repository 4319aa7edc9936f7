"""Sums over any rows, and the regressions that are made of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from bot.retraining.sums import BLOCK_ROWS, RowSums, ridge, squared_error

RNG = np.random.default_rng(3)
SIZE = 3 * BLOCK_ROWS + 77
INPUTS = RNG.normal(size=(SIZE, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0]
TARGET = INPUTS @ [0.3, -0.02, 2.0] + RNG.normal(size=SIZE)
MATRIX = np.column_stack([np.ones(SIZE), INPUTS, TARGET])
SUMS = RowSums(MATRIX)


@given(st.integers(0, SIZE), st.integers(0, SIZE))
def test_sums_of_any_range_are_those_of_its_rows(one, other):
    """Whatever the range, the sums are those of the rows in it."""
    start, stop = min(one, other), max(one, other)
    piece = MATRIX[start:stop]
    np.testing.assert_allclose(SUMS.between(start, stop), piece.T @ piece, rtol=1e-9, atol=1e-6)


def test_several_ranges_add_up():
    """Sums over ranges are the sum of sums, and nothing sums to nothing."""
    both = SUMS.over([(0, 100), (3000, 4000)])
    np.testing.assert_allclose(both, SUMS.between(0, 100) + SUMS.between(3000, 4000))
    assert not SUMS.over([]).any()


@pytest.mark.parametrize("penalty", [0.001, 0.1, 1.0])
def test_weights_are_those_of_scikit_learn(penalty):
    """The ridge weights equal those of an independent library on standardized inputs."""
    piece = slice(50, 2500)
    mean, spread = INPUTS[piece].mean(axis=0), INPUTS[piece].std(axis=0)
    count = 2450
    theirs = Ridge(alpha=penalty * count).fit((INPUTS[piece] - mean) / spread, TARGET[piece])
    weights = ridge(SUMS.between(50, 2500), 3, 4, penalty)
    np.testing.assert_allclose(weights[1:], theirs.coef_ / spread, rtol=1e-6)
    said = theirs.predict((INPUTS[piece] - mean) / spread)
    np.testing.assert_allclose(MATRIX[piece, :4] @ weights, said, rtol=1e-6, atol=1e-6)


def test_the_error_is_that_of_the_forecasts():
    """The mean squared error out of sums is that of the residuals."""
    weights = ridge(SUMS.between(0, 2000), 3, 4, 0.01)
    residual = TARGET[2000:4000] - MATRIX[2000:4000, :4] @ weights
    assert squared_error(SUMS.between(2000, 4000), weights, 4) == pytest.approx(np.mean(residual**2))
