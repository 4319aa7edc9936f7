"""Weights of training windows by volatility."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import DataError
from models.recipe_sections import SampleWeightSection
from models.sample_weights import sample_weights

VOLATILITIES = st.lists(st.floats(1e-8, 1.0), min_size=1, max_size=50).map(np.array)
SECTIONS = st.builds(SampleWeightSection, power=st.floats(-2.0, 2.0), limit=st.floats(1.0, 100.0))


def section(power: float, limit: float = 4.0) -> SampleWeightSection:
    """Power and limit."""
    return SampleWeightSection(power=power, limit=limit)


def test_weights_by_hand() -> None:
    """Ratios 1/8, 1/2, 1, 2, 8 to the median become 1/4, 1/2, 1, 2, 4 within a limit of 4, over their mean 1.55."""
    volatility = np.array([0.001, 0.004, 0.008, 0.016, 0.064])
    raw = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
    weights = sample_weights(volatility, section(1.0))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, raw / 1.55, rtol=1e-6)
    np.testing.assert_allclose(sample_weights(volatility, section(-1.0)), raw[::-1] / 1.55, rtol=1e-6)
    np.testing.assert_allclose(
        sample_weights(volatility, section(0.5, 100.0)), (volatility / 0.008) ** 0.5 / 1.2606602, rtol=1e-6
    )


@given(VOLATILITIES, SECTIONS)
def test_weights_are_fair_and_bounded(volatility: np.ndarray, chosen: SampleWeightSection) -> None:
    """Their mean is 1, none is 0 or below, and none is more than limit² times another."""
    weights = sample_weights(volatility, chosen)
    assert weights.shape == volatility.shape
    assert weights.mean(dtype=np.float64) == pytest.approx(1.0, rel=1e-5)
    assert weights.min() > 0.0
    assert weights.max() <= weights.min() * chosen.limit**2 * (1 + 1e-5)


@given(VOLATILITIES, SECTIONS)
def test_weights_follow_volatility(volatility: np.ndarray, chosen: SampleWeightSection) -> None:
    """Where the power is above 0 a wilder window weighs no less, where it is below 0 no more."""
    weights = sample_weights(volatility, chosen)[np.argsort(volatility, kind="stable")]
    assert (np.diff(weights) * np.sign(chosen.power) >= -1e-6 * weights.max()).all()


def test_a_power_of_zero_weighs_all_alike() -> None:
    """Without a power every weight is 1, even where a window does not move at all."""
    np.testing.assert_array_equal(sample_weights(np.array([0.0, 0.1, 5.0]), section(0.0)), np.ones(3))


def test_a_window_that_does_not_move_has_the_greatest_weight_or_the_least() -> None:
    """Volatility 0 among others is cut to the limit, without a warning, on the side that the power asks for."""
    volatility = np.array([0.0, 1.0, 1.0])
    np.testing.assert_allclose(sample_weights(volatility, section(-1.0)), [2.0, 0.5, 0.5])
    np.testing.assert_allclose(sample_weights(volatility, section(1.0)), np.array([1.0, 4.0, 4.0]) / 3.0)


@pytest.mark.parametrize(
    ("volatility", "sentence"),
    [
        ([], "for each"),
        ([1.0, np.nan], "for each"),
        ([1.0, np.inf], "for each"),
        ([1.0, -1.0], "for each"),
        ([0.0, 0.0, 1.0], "do not move"),
    ],
)
def test_what_has_no_weights_is_refused(volatility: list[float], sentence: str) -> None:
    """Missing, unknown or negative volatility, and a market where half does not move, are refused."""
    with pytest.raises(DataError, match=sentence):
        sample_weights(np.array(volatility), section(1.0))
