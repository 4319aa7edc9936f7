"""Forecast metrics beside baselines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bot.errors import DataError
from models.evaluation import best_baseline, compared, evaluate, gain_over
from models.forecast_sample import Forecast, Sample, unfitted_forecasts
from models.forecast_trades import TradingCosts
from models.trials import Record

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
        fill=100 * np.exp(np.cumsum(rng.normal(size=count) * 5e-4)),
    )


def report(moments: Sample, expected: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    """The report of one model, with a logistic regression that knows nothing."""
    model = Forecast("model", expected, expected, probability)
    blank = np.full(len(expected), 0.5001)
    return evaluate(
        moments, model, [Forecast("logistic_regression", blank - 0.5, None, blank)], base_rate=0.5
    )


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
    assert found["verdict"]["sentence"].startswith("No edge shown: worse than the best baseline")


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
    assert found["price_level"]["rmse_share_model"] == found["price_level"]["rmse_share_persistence"] > 0.0


def test_an_empty_sample_is_refused() -> None:
    """Nothing to evaluate on is a data error, not a table of dashes."""
    with pytest.raises(DataError, match="no whole window"):
        report(sample(0, 1), np.empty(0), np.empty(0))


NAMES = (
    "auc", "mcc", "brier", "ece", "probability_slope", "probability_intercept", "theil_u", "return_r2", "log_loss",
)  # fmt: skip


def informed(count: int, seed: int, strength: float) -> tuple[Sample, Forecast]:
    """A sample whose outcomes and fills are partly known to a calibrated forecaster."""
    rng = np.random.default_rng(seed)
    known, unknown = rng.normal(size=(2, count)) * 1e-3
    realized = strength * known + np.sqrt(1 - strength**2) * unknown
    base = sample(count, seed)
    # Each minute's move comes to the next open alone, so that a trade of one horizon earns its minutes' moves.
    moments = Sample(base.ts, base.symbol, base.close, realized, base.last_return, 15, base.fill)
    said = strength * known
    return moments, Forecast("model", said, said, 1 / (1 + np.exp(-1.7 * said / 1e-3)))


def test_every_figure_has_its_interval() -> None:
    """A forecaster that knows something has all figures of return space, each within its own interval."""
    moments, model = informed(20_000, 6, 0.3)
    found = evaluate(moments, model, [], base_rate=0.5)["forecasts"]["model"]
    for name in NAMES:
        low, high = found[f"{name}_interval"]
        assert low <= found[name] <= high or name == "ece", name
        assert low < high
    assert found["auc"] > 0.55
    assert found["theil_u"] < 1.0
    assert found["probability_slope_interval"][0] < 1.0 < found["probability_slope_interval"][1]


def test_the_best_baseline_is_the_one_to_beat() -> None:
    """A model that repeats the best baseline gains nothing over it, however much it gains over the base rate."""
    moments, known = informed(20_000, 7, 0.3)
    assert known.probability is not None
    twin = Forecast("lightgbm", known.direction, known.expected, known.probability)
    found = evaluate(moments, known, [twin], base_rate=0.5)
    assert found["forecasts"]["model"]["log_loss_gain_interval"][0] > 0
    assert found["verdict"]["best_baseline"] == "lightgbm"
    assert found["verdict"]["gain_millinats"] == 0.0
    assert found["verdict"]["edge"] == "not_shown"
    assert found["diebold_mariano"]["lightgbm"]["p_value"] == 1.0
    best, losses = best_baseline(moments, [*unfitted_forecasts(moments, 0.5), twin])
    assert best is twin
    gain = gain_over(moments, known, losses)
    assert gain is not None
    assert gain.value == 0.0


def test_the_test_of_diebold_and_mariano_tells_who_knows() -> None:
    """Against persistence by log loss and against the last sign by directions, a forecaster that knows is better."""
    moments, model = informed(20_000, 8, 0.3)
    found = evaluate(moments, model, [], base_rate=0.5)["diebold_mariano"]
    assert found["persistence"]["loss"] == "log_loss_millinats"
    assert found["last_return_sign"]["loss"] == "wrong_direction"
    for name in ("persistence", "base_rate", "last_return_sign"):
        assert found[name]["mean"] > 0
        assert found[name]["p_value"] < 0.01
    gain = found["base_rate"]["mean"]
    assert gain == pytest.approx(
        evaluate(moments, model, [], base_rate=0.5)["forecasts"]["model"]["log_loss_gain_millinats"]
    )


def test_symbols_of_one_minute_are_one_observation() -> None:
    """The same series twice under two names is no more evidence than once."""
    moments, model = informed(5000, 9, 0.3)
    rival = unfitted_forecasts(moments, 0.5)[0]
    once = compared(moments, model, rival)

    def twice(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, values])

    double = Sample(
        twice(moments.ts),
        np.repeat(np.array([0, 1], np.int16), 5000),
        twice(moments.close),
        twice(moments.realized),
        twice(moments.last_return),
        15,
    )
    assert model.expected is not None
    assert model.probability is not None
    both = Forecast("model", twice(model.direction), twice(model.expected), twice(model.probability))
    again = compared(double, both, unfitted_forecasts(double, 0.5)[0])
    assert once is not None
    assert again is not None
    assert again["statistic"] == pytest.approx(once["statistic"])


def test_trials_deflate_the_verdict_and_are_reported() -> None:
    """The interval of the verdict is wider by the trials on these minutes; the figures themselves are as they were."""
    moments, model = informed(20_000, 10, 0.2)
    alone = evaluate(moments, model, [], base_rate=0.5)
    among = evaluate(moments, model, [], base_rate=0.5, record=Record(40, 55))
    assert among["trials"] == {"trials": 40, "accesses": 55, "confidence": pytest.approx(0.95 ** (1 / 40))}
    assert among["verdict"]["gain_interval"][0] < alone["verdict"]["gain_interval"][0]
    assert among["forecasts"] == alone["forecasts"]


def test_costs_are_counted_where_they_are_given() -> None:
    """With costs the model and every baseline that expects returns have trades, and the verdict says what is left."""
    moments, model = informed(20_000, 11, 0.3)
    found = evaluate(moments, model, [], base_rate=0.5, costs=TradingCosts(0.0005))
    assert found["costs"] == {"round_trip_bps": pytest.approx(5.0)}
    earned = found["forecasts"]["model"]["expectancy"]
    assert earned["trades"] > 50
    assert earned["at_1x"]["net_bps"] == pytest.approx(earned["gross_bps"] - 5.0)
    assert found["forecasts"]["persistence"]["expectancy"]["trades"] == 0
    assert found["forecasts"]["base_rate"]["expectancy"] is None
    assert found["verdict"]["net"] in {"shown", "not_shown"}
    assert "after costs" in found["verdict"]["sentence"]
    free = evaluate(moments, model, [], base_rate=0.5)
    assert free["costs"] is None
    assert free["forecasts"]["model"]["expectancy"] is None
    assert free["verdict"]["net"] is None
    assert free["verdict"]["sentence"].endswith("Costs are not counted.")
