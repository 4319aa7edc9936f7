"""The curve from forecast to probability."""

from __future__ import annotations

import numpy as np
import pytest

from bot.errors import ModelError
from models.calibration import (
    LEAST_SCALE,
    Calibration,
    calibration_from_json,
    fit_calibration,
    fit_return_scale,
)


def labels(slope: float, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts and outcomes that follow a logistic curve."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=count)
    return z, rng.random(count) < 1.0 / (1.0 + np.exp(-slope * z))


def test_a_slope_is_found() -> None:
    """With plenty of labels the fitted slope is the one that made them."""
    z, up = labels(0.8, 200_000, 1)
    assert fit_calibration(z, up, horizon=1).slope == pytest.approx(0.8, abs=0.02)


def test_probability_follows_the_sign_of_the_forecast() -> None:
    """P(up) is one half at zero, above it for rises, and symmetric."""
    curve = Calibration(1.3, 100)
    found = curve.probability(np.array([-0.5, 0.0, 0.5]))
    assert found[1] == 0.5
    assert found[2] > 0.5
    assert found[0] + found[2] == pytest.approx(1.0)


def test_a_forecast_that_is_wrong_is_not_turned_around() -> None:
    """Labels against the forecast give a flat curve."""
    z, up = labels(-0.8, 5000, 2)
    assert fit_calibration(z, up, horizon=15).slope == 0.0


def test_overlapping_labels_weigh_less() -> None:
    """The longer the horizon, the nearer to zero the slope of the same labels."""
    z, up = labels(0.8, 300, 3)
    slopes = [fit_calibration(z, up, horizon=horizon).slope for horizon in (1, 15, 300)]
    assert slopes[0] > slopes[1] > slopes[2] >= 0.0


def test_a_forecast_without_scale_stays_bounded() -> None:
    """Tiny forecasts that happen to be right get no slope without bound."""
    z = np.array([1e-9, -1e-9] * 50)
    assert fit_calibration(z, z > 0, horizon=15).slope < 1.0


@pytest.mark.parametrize("z", [np.zeros(10), np.full(100, np.nan)])
def test_too_little_is_refused(z: np.ndarray) -> None:
    """Few labels or forecasts that are no numbers raise."""
    with pytest.raises(ModelError):
        fit_calibration(z, z > 0, horizon=1)


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"[]",
        b'{"slope": "x", "samples": 1, "return_scale": 1}',
        b'{"slope": -1, "samples": 1, "return_scale": 1}',
        b'{"slope": 1, "samples": 1, "return_scale": 1.5}',
        b'{"slope": 1, "samples": 1}',
    ],
)
def test_a_document_that_is_no_calibration_is_refused(content: bytes) -> None:
    """Missing fields and a negative slope raise; what was written reads back."""
    with pytest.raises(ModelError, match=r"calibration\.json"):
        calibration_from_json(content)
    curve = Calibration(0.123456789, 42, 0.25)
    assert calibration_from_json(curve.to_json()) == curve


def test_a_forecast_that_boasts_is_cut_down_to_what_followed() -> None:
    """Forecasts ten times too large get a scale near a tenth; honest ones keep nearly all; never more than one."""
    generator = np.random.default_rng(5)
    edge = generator.normal(0, 0.3, 50_000)
    followed = edge + generator.normal(0, 1, 50_000)
    assert fit_return_scale(edge * 10, followed, horizon=1) == pytest.approx(0.1, abs=0.01)
    assert fit_return_scale(edge, followed, horizon=1) == pytest.approx(1.0, abs=0.03)
    assert fit_return_scale(edge / 10, followed, horizon=1) == 1.0


def test_a_forecast_without_skill_or_with_the_wrong_sign_is_believed_next_to_nothing() -> None:
    """Noise is scaled to about zero, and a forecast that is wrong as a rule to the least there is."""
    generator = np.random.default_rng(6)
    noise, followed = generator.normal(0, 1, 50_000), generator.normal(0, 1, 50_000)
    assert fit_return_scale(noise, followed, horizon=15) < 0.02
    assert fit_return_scale(-followed, followed, horizon=15) == LEAST_SCALE
