"""Figures of skill with their intervals, against scikit-learn and against what is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.bootstrap import block_minutes
from models.calibration_skill import calibration_error, calibration_line
from models.figures import Figure
from models.return_skill import return_skill
from models.skill import auc, mcc, skill

MINUTE_MS = 60_000


def minutes(count: int) -> np.ndarray:
    """Consecutive minutes."""
    return np.arange(count, dtype=np.int64) * MINUTE_MS


def logistic(x: np.ndarray) -> np.ndarray:
    """The inverse of the logit."""
    found: np.ndarray = 1.0 / (1.0 + np.exp(-x))
    return found


@pytest.mark.training
@pytest.mark.parametrize("digits", [1, 12])
def test_auc_is_that_of_scikit_learn(digits: int) -> None:
    """With and without ties the area equals the reference's."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    score = np.round(rng.normal(size=5000), digits)
    rose = rng.random(5000) < logistic(0.3 * score)
    found = auc(minutes(5000), score, rose, 240, draws=20)
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(rose, score), abs=1e-12)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


@pytest.mark.training
def test_mcc_is_that_of_scikit_learn() -> None:
    """The correlation of directions equals the reference's, and is 0 where one side never changes."""
    from sklearn.metrics import matthews_corrcoef

    rng = np.random.default_rng(2)
    said, rose = rng.random(4000) < 0.6, rng.random(4000) < 0.5
    said[:1000] = rose[:1000]
    found = mcc(minutes(4000), said, rose, 240)
    assert found is not None
    assert found.value == pytest.approx(matthews_corrcoef(rose, said), abs=1e-12)
    constant = mcc(minutes(4000), np.ones(4000, bool), rose, 240)
    assert constant == (0.0, 0.0, 0.0)


def test_intervals_cover_what_is_true_of_random_forecasts() -> None:
    """Of forecasts that know nothing, about 95 % of intervals hold 0.5 and 0."""
    covered = np.zeros(2)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        wave = np.convolve(rng.normal(size=3014), np.ones(15) / 15, "valid")
        rose = np.convolve(rng.normal(size=3014), np.ones(15) / 15, "valid") > 0.0
        probability = logistic(wave)
        found = [
            auc(minutes(3000), probability, rose, 60, draws=200),
            mcc(minutes(3000), wave > 0.0, rose, 60),
        ]
        for place, (figure, truth) in enumerate(zip(found, (0.5, 0.0), strict=True)):
            assert figure is not None
            assert figure.low is not None
            assert figure.high is not None
            covered[place] += figure.low <= truth <= figure.high
    assert (covered >= 50).all()


def test_ties_are_left_out_and_constants_have_no_slope() -> None:
    """A move of zero changes no figure; a constant forecast has AUC one half and no calibration slope."""
    rng = np.random.default_rng(5)
    realized = rng.normal(size=2000)
    probability = logistic(0.2 * realized + rng.normal(size=2000))
    base = np.full(2000, 0.5)
    ts = minutes(2000)
    plain = skill(ts, realized, probability - 0.5, probability, base, block=240)
    twice = np.concatenate([realized, np.zeros(300)])
    padded = skill(
        minutes(2300),
        twice,
        np.concatenate([probability - 0.5, np.ones(300)]),
        np.concatenate([probability, np.ones(300)]),
        np.full(2300, 0.5),
        block=240,
    )
    assert padded == plain
    constant = skill(ts, realized, base - 0.5, base, base, block=240)
    assert constant.slope is None
    assert constant.intercept is None
    assert constant.brier == (0.25, 0.25, 0.25)
    assert constant.accuracy is None
    assert constant.directions == 0
    assert constant.auc == (0.5, 0.5, 0.5)
    assert constant.gain == (0.0, 0.0, 0.0)


def test_a_forecaster_of_directions_has_no_probabilities() -> None:
    """Its AUC is that of its signs, and what needs a probability is None."""
    rng = np.random.default_rng(6)
    realized = rng.normal(size=2000)
    direction = np.where(rng.random(2000) < 0.7, realized, -realized)
    found = skill(minutes(2000), realized, direction, None, np.full(2000, 0.5), block=240)
    assert (found.log_loss, found.gain, found.slope, found.intercept) == (None, None, None, None)
    assert (found.brier, found.calibration_error, found.theil_u, found.return_r2) == (None, None, None, None)
    assert found.accuracy is not None
    assert found.auc is not None
    assert found.mcc is not None
    assert 0.65 < found.accuracy.value < 0.75
    assert found.auc.value == pytest.approx((found.mcc.value + 1.0) / 2.0, abs=0.01)


def test_too_short_a_sample_has_figures_without_intervals() -> None:
    """Below two blocks a figure stands alone; of nothing there is none."""
    rose = np.arange(100) % 2 == 0
    assert auc(minutes(100), np.arange(100.0), rose, 240) == Figure(0.49, None, None)
    assert auc(minutes(100), np.arange(100.0), np.ones(100, bool), 240) is None
    assert mcc(minutes(0), np.ones(0, bool), np.ones(0, bool), 240) is None


@pytest.mark.training
def test_losses_are_those_of_scikit_learn() -> None:
    """Brier score, log loss, AUC, MCC and accuracy of a forecaster equal the reference's, ties left out."""
    from sklearn import metrics

    rng = np.random.default_rng(7)
    realized = np.where(rng.random(3000) < 0.1, 0.0, rng.normal(size=3000))
    probability = logistic(0.4 * realized + rng.normal(size=3000))
    found = skill(minutes(3000), realized, probability - 0.5, probability, np.full(3000, 0.5), block=240)
    moved = realized != 0.0
    rose, said = realized[moved] > 0.0, probability[moved]
    expected = (
        (found.brier, metrics.brier_score_loss(rose, said)),
        (found.log_loss, metrics.log_loss(rose, said)),
        (found.auc, metrics.roc_auc_score(rose, said)),
        (found.mcc, metrics.matthews_corrcoef(rose, said > 0.5)),
        (found.accuracy, metrics.accuracy_score(rose, said > 0.5)),
    )
    for figure, reference in expected:
        assert figure is not None
        assert figure.value == pytest.approx(reference, abs=1e-12)
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low < figure.value < figure.high
    assert found.directions == moved.sum()


def test_all_figures_of_a_forecaster_stand_together() -> None:
    """Line, error and figures of returns are those of their own functions; no change counts as a return."""
    rng = np.random.default_rng(8)
    realized = np.where(rng.random(3000) < 0.2, 0.0, rng.normal(size=3000))
    score = 0.4 * realized + rng.normal(size=3000)
    ts, block, probability = minutes(3000), block_minutes(15), logistic(score)
    found = skill(ts, realized, score, probability, np.full(3000, 0.5), block=block, expected=0.2 * score)
    moved = realized != 0.0
    line = calibration_line(ts[moved], probability[moved], realized[moved] > 0.0, block)
    error = calibration_error(ts[moved], probability[moved], realized[moved] > 0.0, block)
    returns = return_skill(ts, realized, 0.2 * score, block)
    assert line == (found.intercept, found.slope)
    assert found.calibration_error == error is not None
    assert (found.theil_u, found.return_r2) == returns
    document = found.as_json()
    assert document["theil_u"] == found.theil_u._asdict()  # type: ignore[union-attr]
    assert document["directions"] == moved.sum()
