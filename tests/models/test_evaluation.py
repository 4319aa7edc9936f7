"""Forecast metrics beside baselines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bot.errors import DataError
from models.evaluation import Forecast, Sample, evaluate, log_loss, reliability

MINUTE_MS = 60_000


def sample(count: int, seed: int) -> Sample:
    """Moments with random outcomes, a few ties, one symbol."""
    rng = np.random.default_rng(seed)
    realized = rng.normal(size=count) * 1e-3
    realized[::50] = 0.0
    return Sample(
        ts=np.arange(count, dtype=np.int64) * MINUTE_MS,
        symbol=np.zeros(count, np.int16),
        close=100 * np.exp(np.cumsum(rng.normal(size=count) * 5e-4)),
        realized=realized,
        last_return=rng.normal(size=count),
        horizon=15,
    )


def report(moments: Sample, expected: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """The report of one model, with a logistic regression that knows nothing."""
    model = Forecast("model", expected, expected, probability)
    return evaluate(moments, model, 0.5, np.full(len(expected), 0.5001))


def test_a_perfect_forecast_is_right_every_time() -> None:
    """Saying the outcome scores 1 in direction, R² and slope, and no error; ties are left out."""
    moments = sample(8000, 1)
    found = report(moments, moments.realized, np.where(moments.realized > 0, 0.99, 0.01))
    model = found["forecasts"]["model"]
    assert found["ties"] == 160
    assert model["direction_samples"] == 8000 - 160
    assert model["direction_accuracy"] == 1.0
    assert model["rmse_bps"] == 0.0
    assert model["return_r2"] == pytest.approx(1.0)
    assert model["calibration_slope"] == pytest.approx(1.0)
    assert model["log_loss"] == pytest.approx(-np.log(0.99))
    assert model["log_loss_gain_millinats"] == pytest.approx(1000 * (np.log(2) + np.log(0.99)))
    assert found["verdict"]["edge"] == "shown"


def test_noise_shows_no_edge() -> None:
    """Random forecasts of random outcomes score a coin's accuracy, lose log loss, and get no edge."""
    moments = sample(20_000, 2)
    rng = np.random.default_rng(3)
    said = rng.normal(size=20_000) * 1e-3
    found = report(moments, said, 1 / (1 + np.exp(-said * 400)))
    model = found["forecasts"]["model"]
    assert model["direction_accuracy"] == pytest.approx(0.5, abs=0.02)
    low, high = model["direction_interval"]
    assert low < 0.5 < high
    assert model["log_loss_gain_millinats"] < 0
    assert model["return_r2"] < 0
    assert found["verdict"]["edge"] == "not_shown"
    assert found["verdict"]["sentence"].startswith("No edge shown: worse than the base rate")


def test_baselines_stand_beside_the_model() -> None:
    """Persistence expects no change and has no direction; the last return's sign is taken as a forecast."""
    moments = sample(5000, 4)
    zero = np.zeros(5000)
    found = report(moments, zero, zero + 0.5)["forecasts"]
    assert set(found) == {"model", "persistence", "base_rate", "last_return_sign", "logistic_regression"}
    assert found["persistence"]["direction_accuracy"] is None
    assert found["persistence"]["rmse_bps"] == pytest.approx(1e4 * np.sqrt(np.mean(moments.realized**2)))
    moved = moments.realized != 0
    right = np.sign(moments.last_return[moved]) == np.sign(moments.realized[moved])
    assert found["last_return_sign"]["direction_accuracy"] == pytest.approx(right.mean())
    assert found["base_rate"]["log_loss_gain_millinats"] == 0.0
    assert found["logistic_regression"]["direction_accuracy"] == pytest.approx(
        (moments.realized[moved] > 0).mean()
    )


def test_level_metrics_stand_beside_persistence_and_legacy_is_labelled() -> None:
    """Repeating the last price has a splendid price-level R²; the seeds' accuracy is labelled legacy."""
    moments = sample(5000, 5)
    found = report(moments, np.zeros(5000), np.full(5000, 0.5))
    assert found["price_level"]["r2_model"] == found["price_level"]["r2_persistence"] > 0.9
    assert found["legacy"]["label"].startswith("legacy")
    actual = np.diff(moments.close * np.exp(moments.realized))
    expected = np.mean(np.sign(np.diff(moments.close)) == np.sign(actual))
    assert found["legacy"]["direction_accuracy"] == pytest.approx(expected)


def test_log_loss_is_bounded_and_ignores_ties() -> None:
    """A certain forecast that is wrong costs a finite loss; a tie costs nothing at all."""
    found = log_loss(np.array([0.0, 1.0, 0.5]), np.array([1.0, 1.0, 0.0]))
    assert found[0] == pytest.approx(-np.log(1e-6))
    assert found[1] == pytest.approx(0.0, abs=1e-5)
    assert np.isnan(found[2])


def test_an_empty_sample_is_refused() -> None:
    """Nothing to evaluate on is a data error, not a table of dashes."""
    with pytest.raises(DataError, match="no whole window"):
        report(sample(0, 1), np.empty(0), np.empty(0))


def test_reliability_tells_what_came_where_it_was_said() -> None:
    """Parts are of equal size and in order, an honest forecast came as it was said, and ties count nowhere."""
    rng = np.random.default_rng(8)
    said = rng.uniform(0.3, 0.7, 40_000)
    realized = np.where(rng.random(40_000) < said, 1e-4, -1e-4)
    realized[:1000] = 0.0
    found = reliability(said, realized)
    assert len(found) == 10
    assert sum(row["count"] for row in found) == 39_000
    assert [row["said"] for row in found] == sorted(row["said"] for row in found)
    assert all(abs(row["said"] - row["came"]) < 0.03 for row in found)


def test_reliability_of_one_probability_is_one_part() -> None:
    """A forecaster that always says the same has one row; no forecast at all has none."""
    (row,) = reliability(np.full(10, 0.5), np.array([1.0, -1.0] * 5))
    assert (row["said"], row["came"], row["count"]) == (0.5, 0.5, 10)
    assert reliability(np.full(3, 0.5), np.zeros(3)) == []
