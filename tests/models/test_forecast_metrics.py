"""The figures of one forecaster."""

from __future__ import annotations

import numpy as np
import pytest

from models.forecast_metrics import interval_name, metrics_of, point_metrics, reliability
from models.forecast_sample import Forecast, Sample


def moments(count: int, seed: int) -> tuple[Sample, Forecast]:
    """A sample with ties, and a forecaster that knows a little."""
    rng = np.random.default_rng(seed)
    said = rng.normal(size=count) * 1e-3
    realized = 0.2 * said + rng.normal(size=count) * 1e-3
    realized[::50] = 0.0
    ts = np.arange(count, dtype=np.int64) * 60_000
    sample = Sample(ts, np.zeros(count, np.int16), np.full(count, 100.0), realized, np.zeros(count), 15)
    return sample, Forecast("model", said, 0.2 * said, 1 / (1 + np.exp(-said * 300)))


def test_the_quick_figures_are_those_of_the_report() -> None:
    """What seeds are compared by is the same number as in the report, without its interval."""
    sample, forecast = moments(3000, 1)
    quick, whole = point_metrics(sample, forecast, 0.48), metrics_of(sample, forecast, 0.48)
    assert set(quick) < set(whole)
    for name, value in quick.items():
        assert value == pytest.approx(whole[name]), name


def test_what_does_not_apply_is_none() -> None:
    """A forecaster of directions has no probabilities and no errors; one without directions no accuracy."""
    sample, forecast = moments(3000, 2)
    signs = metrics_of(sample, Forecast("signs", forecast.direction), 0.5)
    for name in ("log_loss", "brier", "ece", "probability_slope", "theil_u", "return_r2", "mae_bps"):
        assert signs[name] is None
        assert signs.get(interval_name(name)) is None
    assert signs["direction_samples"] == 3000 - 60
    silent = metrics_of(sample, Forecast("silent", np.zeros(3000), np.zeros(3000)), 0.5)
    assert silent["direction_accuracy"] is None
    assert silent["theil_u"] == pytest.approx(1.0)
    assert silent["correlation"] is None


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
