"""What can be foretold: an edge that is there is seen, one that is not is not, and volatility is told from noise."""

import json

import numpy as np
import pytest

from bot.audits.martingales import martingale
from bot.audits.planted import planted
from bot.retraining.predictability import Question, predictability
from bot.retraining.scored import WEEK_MS
from models.forecast_trades import TradingCosts

WEEK = 10_080
TRAIN = 3 * WEEK
MINUTES = 1440 + TRAIN + 2 * WEEK


def _question(start_ms, weeks=2):
    first = start_ms + (1440 + TRAIN) * 60_000
    return Question(15, tuple(first + k * WEEK_MS for k in range(weeks)), TRAIN, TradingCosts(0.0011))


@pytest.fixture(scope="module")
def edge():
    """The report on a market with an edge of 58 %."""
    candles = planted(0.58, minutes=MINUTES, seed=2)
    told: list[int] = []
    report = predictability(_question(int(candles.ts[0])), {"BTC/USDT": candles}, on_week=told.append)
    assert told == [1, 2]
    return report


def test_an_edge_that_a_window_shows_is_seen(edge):
    """The ridge regression, which sees windows, surely gains over the base rate, out of sample."""
    found = edge["direction"]
    gains = {name: one["log_loss_gain_millinats"] for name, one in found["forecasts"].items()}
    assert gains["ridge"] > 10.0
    assert found["forecasts"]["ridge"]["log_loss_gain_interval"][0] > 0.0
    assert found["diebold_mariano"]["base_rate"]["p_value"] < 0.05
    assert found["forecasts"]["ridge"]["expectancy"]["trades"] > 100
    assert {"persistence", "base_rate", "last_return_sign", "logistic_regression", "lightgbm"} <= set(gains)


def test_volatility_that_clusters_is_foretold_better_than_as_it_was(edge):
    """GARCH volatility is foretold with a gain whose interval lies above 0."""
    found = edge["volatility"]
    assert found["qlike"]["model"] < found["qlike"]["naive"]
    assert found["qlike_gain"]["low"] > 0.0
    assert found["r2_log_variance"]["model"] > found["r2_log_variance"]["naive"]


def test_the_report_is_plain_json(edge):
    """Everything in it can be written down, and no price level is in it."""
    assert "price_level" not in json.loads(json.dumps(edge))["direction"]
    assert edge["weeks"] == 2
    assert edge["symbols"] == ["BTC/USDT"]


def test_on_a_martingale_nothing_is_shown_and_a_network_is_judged_if_there_is_one():
    """Noise shows no edge; a learner that is given is judged, with the quick one among its rivals."""
    candles = martingale("garch_t", minutes=MINUTES, seed=3)

    class Flipping:
        """Says at random."""

        def __init__(self, series, horizon):
            from bot.retraining.fast import FastLearner

            self._quick = FastLearner(series, horizon=horizon, train_minutes=TRAIN)

        def week(self, start_ms, *, until_ms=None):
            from dataclasses import replace

            week = self._quick.week(start_ms, until_ms=until_ms)
            said = 0.5 + 0.02 * np.random.default_rng(start_ms % 2**32).choice([-1.0, 1.0], len(week))
            return replace(week, probability=said, expected=(said - 0.5) * 0.01)

    report = predictability(_question(int(candles.ts[0])), {"A": candles}, network=Flipping)
    found = report["direction"]
    assert found["verdict"]["edge"] != "shown"
    assert "ridge" in found["forecasts"]
    assert "lstm" in found["forecasts"]
