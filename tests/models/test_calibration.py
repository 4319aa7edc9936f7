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
    return_scale_error,
)

MINUTE_MS = 60_000


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
        b'{"slope": 1, "samples": 1, "return_scale": 1, "return_scale_error": -0.1}',
        b'{"slope": 1, "samples": 1, "return_scale": 1, "return_scale_error": NaN}',
        b'{"slope": 1, "samples": 1, "return_scale": 1, "return_scale_error": "x"}',
        b'{"slope": 1, "samples": 1, "return_scale": 1, "volatility_scale": 0}',
    ],
)
def test_a_document_that_is_no_calibration_is_refused(content: bytes) -> None:
    """Missing fields and a negative slope raise; what was written reads back."""
    with pytest.raises(ModelError, match=r"calibration\.json"):
        calibration_from_json(content)
    for curve in (Calibration(0.123456789, 42, 0.25), Calibration(0.5, 42, 0.25, 0.0625, 1.25)):
        assert calibration_from_json(curve.to_json()) == curve


def test_a_calibration_of_an_older_version_is_read_with_its_error_unknown() -> None:
    """Without return_scale_error the doubt is not a number, so that nobody takes it for certainty."""
    curve = calibration_from_json(b'{"slope": 1, "samples": 99, "return_scale": 0.5}')
    assert curve.return_scale_error is None
    assert np.isnan(curve.doubt(np.array([0.001, -0.002]))).all()
    assert Calibration(1.0, 99, 0.5, 0.25).doubt(np.array([0.001, -0.002])).tolist() == [0.00025, 0.0005]


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


def overlapping(
    count: int, horizon: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forecasts that last an hour and outcomes that overlap by the horizon, a minute apart, without any skill."""
    z = np.convolve(generator.normal(size=count + 59), np.ones(60), "valid") / np.sqrt(60)
    came = np.convolve(generator.normal(size=count + horizon - 1), np.ones(horizon), "valid") / np.sqrt(
        horizon
    )
    return z, came, np.arange(count, dtype=np.int64) * MINUTE_MS


def test_the_error_of_the_scale_is_its_spread_over_repetitions() -> None:
    """Over 200 slices with overlapping labels the mean error is the deviation of the slopes, not sqrt(1/n)."""
    generator = np.random.default_rng(11)
    slopes, errors = [], []
    for _ in range(200):
        z, came, ts = overlapping(9600, 15, generator)
        slopes.append(float(np.sum(z * came) / np.sum(z * z)))
        errors.append(return_scale_error(z, came, ts, horizon=15))
    assert np.mean(errors) == pytest.approx(np.std(slopes), rel=0.15)
    assert np.mean(errors) > 2.5 / np.sqrt(9600)


def test_the_error_is_the_cluster_robust_one_of_an_independent_library() -> None:
    """For a slope through the origin it is statsmodels' cluster-robust error over blocks, but for the prior."""
    sm = pytest.importorskip("statsmodels.api")
    z, came, ts = overlapping(4800, 30, np.random.default_rng(12))
    groups = ts // (240 * MINUTE_MS)
    fitted = sm.OLS(came, z).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True, "df_correction": True}
    )
    # statsmodels corrects by (n - 1) / (n - k) too, which is 1 for one parameter.
    variance = float(fitted.bse[0]) ** 2
    assert return_scale_error(z, came, ts, horizon=30) == pytest.approx(
        np.sqrt(variance / (1 + variance)), rel=1e-9
    )


def test_symbols_that_move_together_are_no_more_evidence_than_one() -> None:
    """A second symbol with the same forecasts and outcomes leaves the error as it is."""
    z, came, ts = overlapping(9600, 15, np.random.default_rng(13))
    twice = return_scale_error(np.tile(z, 2), np.tile(came, 2), np.tile(ts, 2), horizon=15)
    assert twice == pytest.approx(return_scale_error(z, came, ts, horizon=15))


@pytest.mark.parametrize("count", [0, 60, 7 * 240])
def test_too_few_blocks_leave_the_error_of_the_prior(count: int) -> None:
    """Where fewer than eight blocks hold labels, or forecasts are zero, nothing is known: the error is 1."""
    z, came, ts = overlapping(max(count, 1), 15, np.random.default_rng(14))
    assert return_scale_error(z[:count], came[:count], ts[:count], horizon=15) == 1.0
    assert return_scale_error(np.zeros(9600), np.ones(9600), np.arange(9600) * MINUTE_MS, horizon=15) == 1.0


def test_tiny_forecasts_are_as_uncertain_as_the_prior() -> None:
    """Forecasts of next to nothing, however right, get an error near 1 and no overflow."""
    z, came, ts = overlapping(9600, 15, np.random.default_rng(15))
    assert return_scale_error(z * 1e-9, came, ts, horizon=15) == pytest.approx(1.0)
