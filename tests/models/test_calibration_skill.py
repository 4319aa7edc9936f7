"""Line and error of calibration, against statsmodels and scikit-learn and against what is known."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from models.bootstrap import block_weights, bounds
from models.calibration_skill import (
    _logistic_fit,
    calibration_error,
    calibration_line,
    calibration_slope,
    equal_parts,
)

MINUTE_MS = 60_000


def minutes(count: int) -> np.ndarray:
    """Consecutive minutes."""
    return np.arange(count, dtype=np.int64) * MINUTE_MS


def logistic(x: np.ndarray) -> np.ndarray:
    """The inverse of the logit."""
    found: np.ndarray = 1.0 / (1.0 + np.exp(-x))
    return found


@pytest.mark.parametrize(("bias", "slope"), [(0.1, 0.5), (-0.4, 1.0), (0.0, 1.7)])
def test_the_line_is_that_of_statsmodels(bias: float, slope: float) -> None:
    """Intercept and slope equal those of a logistic regression, for forecasts far from one half too."""
    rng = np.random.default_rng(3)
    logit = 0.8 + rng.normal(size=6000) * 0.4
    rose = rng.random(6000) < logistic(slope * logit + bias)
    found = calibration_line(minutes(6000), logistic(logit), rose, 240)
    reference = sm.Logit(rose.astype(float), sm.add_constant(logit)).fit(disp=0, tol=1e-12)
    assert found is not None
    assert [figure.value for figure in found] == pytest.approx(reference.params.tolist(), abs=1e-8)
    for figure, truth in zip(found, (bias, slope), strict=True):
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low < truth < figure.high
    assert calibration_slope(minutes(6000), logistic(logit), rose, 240) == found.slope


def test_one_newton_step_spans_what_full_fits_span() -> None:
    """The slope's interval is that of fits made anew on each resample, to within a tenth of its width."""
    rng = np.random.default_rng(4)
    logit = rng.normal(size=3000) * 0.5
    rose = rng.random(3000) < logistic(logit)
    found = calibration_slope(minutes(3000), logistic(logit), rose, 60)
    weights = block_weights(minutes(3000), block=60, draws=400)
    assert weights is not None
    slopes = []
    for weight in weights:
        repeated = np.repeat(np.arange(3000), weight.astype(int))
        slopes.append(_logistic_fit(logit[repeated], rose[repeated])[1])
    low, high = bounds(np.array(slopes))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    width = high - low
    assert abs(found.low - low) < 0.1 * width
    assert abs(found.high - high) < 0.1 * width


def test_intervals_of_the_line_cover_what_is_true() -> None:
    """Of 100 samples of dependent forecasts about 95 % of intervals hold the intercept and the slope that made them."""
    covered = np.zeros(2)
    for seed in range(100):
        rng = np.random.default_rng(seed)
        logit = 0.3 + np.convolve(rng.normal(size=3014), np.ones(15) / 4.0, "valid")
        rose = rng.random(3000) < logistic(0.2 + 0.7 * logit)
        found = calibration_line(minutes(3000), logistic(logit), rose, 60)
        assert found is not None
        for place, (figure, truth) in enumerate(zip(found, (0.2, 0.7), strict=True)):
            assert figure.low is not None
            assert figure.high is not None
            covered[place] += figure.low <= truth <= figure.high
    assert ((covered >= 87) & (covered <= 100)).all()


def test_what_never_changes_has_no_line() -> None:
    """Constant forecasts, rises alone and nothing at all have neither intercept nor slope."""
    rose = np.arange(600) % 2 == 0
    assert calibration_line(minutes(600), np.full(600, 0.6), rose, 60) is None
    assert calibration_line(minutes(600), np.linspace(0.1, 0.9, 600), np.ones(600, bool), 60) is None
    assert calibration_line(minutes(0), np.empty(0), np.empty(0, bool), 60) is None
    assert calibration_slope(minutes(0), np.empty(0), np.empty(0, bool), 60) is None


@pytest.mark.training
def test_the_error_is_that_of_scikit_learns_curve() -> None:
    """Over ten parts of equal size the distances of scikit-learn's reliability curve average to the same error."""
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(5)
    said = rng.uniform(0.2, 0.8, 5000)
    rose = rng.random(5000) < 0.5 + 0.4 * (said - 0.5)
    came, mean_said = calibration_curve(rose, said, n_bins=10, strategy="quantile")
    found = calibration_error(minutes(5000), said, rose, 240)
    assert found is not None
    assert found.value == pytest.approx(np.abs(came - mean_said).mean(), abs=1e-12)


def test_the_error_weighs_parts_by_their_size() -> None:
    """Where probabilities repeat, parts are fewer and unequal, and each counts as much as it holds."""
    said = np.repeat([0.3, 0.6], [300, 700])
    rose = np.concatenate([np.arange(300) < 150, np.arange(700) < 420])
    found = calibration_error(minutes(1000), said, rose, 50)
    assert found is not None
    assert found.value == pytest.approx(0.3 * 0.2)
    assert len(np.unique(equal_parts(said))) == 2


@pytest.mark.parametrize("strength", [1.0, 0.8, 0.0])
def test_intervals_of_the_error_cover_what_is_true(strength: float) -> None:
    """Of honest, bold and worthless forecasts at least about 95 % of intervals hold the error of their own parts."""
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        said = rng.uniform(0.3, 0.7, 4000)
        chance = 0.5 + strength * (said - 0.5)
        found = calibration_error(minutes(4000), said, rng.random(4000) < chance, 80)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert 0.0 <= found.low <= found.value <= found.high
        part = equal_parts(said)
        parts = [np.abs((chance - said)[part == number].sum()) for number in range(10)]
        covered += found.low <= sum(parts) / 4000 + 1e-12 and found.high >= sum(parts) / 4000 - 1e-12
    assert covered >= 54


def test_an_honest_forecast_may_have_no_error_and_a_bold_one_has_some() -> None:
    """The interval of an honest forecast begins at 0, that of one twice too bold well above."""
    rng = np.random.default_rng(7)
    said, chance = rng.uniform(0.3, 0.7, 8000), rng.random(8000)
    honest = calibration_error(minutes(8000), said, chance < said, 80)
    bold = calibration_error(minutes(8000), said, chance < 0.25 + 0.5 * said, 80)
    assert honest is not None
    assert bold is not None
    assert honest.low == 0.0
    assert bold.low is not None
    assert bold.low > 0.015


def test_too_short_a_sample_has_figures_without_intervals() -> None:
    """Below two blocks line and error stand alone; of nothing there is no error."""
    rng = np.random.default_rng(6)
    said, rose = rng.uniform(0.3, 0.7, 100), rng.random(100) < 0.5
    line, error = (
        measure(minutes(100), said, rose, 240) for measure in (calibration_line, calibration_error)
    )
    assert line is not None
    assert error is not None
    assert [bound for figure in (*line, error) for bound in figure[1:]] == [None] * 6
    assert calibration_error(minutes(0), np.empty(0), np.empty(0, bool), 240) is None
