"""Means and slopes over blocks: equal to plain formulas, and their errors cover."""

import math

import numpy as np
import pytest
from scipy import stats

from bot.core.outcome_blocks import Block, gain_estimate, slope_estimate, student_quantile


def _blocks(rng, count, size, beta=0.0):
    blocks = []
    for number in range(count):
        x = rng.normal(0.0, 0.1, size)
        y = rng.random(size) < 1.0 / (1.0 + np.exp(-beta * x))
        gain = rng.normal(0.001, 0.04, size)
        block = Block(number, size, float(gain.sum()), float(x.sum()), float((x * x).sum()), int(y.sum()))
        block.xy = float((x * y).sum())
        blocks.append(block)
    return blocks


@pytest.mark.parametrize("freedom", [11, 23, 100])
@pytest.mark.parametrize("confidence", [0.65, 0.8, 0.95, 0.99])
def test_the_quantile_is_students(confidence, freedom):
    """The expansion is within a hundredth of scipy's quantile."""
    assert student_quantile(confidence, freedom) == pytest.approx(stats.t.ppf(confidence, freedom), abs=0.01)


def test_the_mean_is_that_of_all_outcomes_and_its_error_covers():
    """The mean is the sum of gains over outcomes, and its upper bound holds as often as it says."""
    held = 0
    for seed in range(300):
        blocks = _blocks(np.random.default_rng(seed), 30, 30)
        found = gain_estimate(blocks, 12, 100, overlap=False)
        assert found is not None
        assert found.value == pytest.approx(math.fsum(one.gain for one in blocks) / 900)
        held += found.upper(0.9) > 0.001
    assert 0.85 <= held / 300 <= 0.95


def test_the_slope_is_one_where_forecasts_are_right_and_minus_one_where_they_are_turned():
    """Over many blocks the slope is that by which outcomes were drawn."""
    for beta in (1.0, 0.0, -1.0):
        found = slope_estimate(_blocks(np.random.default_rng(3), 400, 60, beta), 12, 100, overlap=True)
        assert found is not None
        assert abs(found.value - beta) < 3.0 * found.error
        assert found.error < 0.2


def test_too_little_says_nothing():
    """Fewer blocks or outcomes than asked for, or a forecast that never changes, give no estimate."""
    blocks = _blocks(np.random.default_rng(1), 11, 30)
    assert gain_estimate(blocks, 12, 100, overlap=False) is None
    assert slope_estimate(blocks, 12, 100, overlap=False) is None
    assert gain_estimate(blocks, 11, 10_000, overlap=False) is None
    flat = [Block(number, 30, 0.1, 3.0, 0.3, 15, 1.5) for number in range(20)]
    assert slope_estimate(flat, 12, 100, overlap=False) is None
