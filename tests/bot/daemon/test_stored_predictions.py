"""Forecasts made elsewhere, read candle by candle."""

from __future__ import annotations

import numpy as np

from backtests.inputs import PredictionColumns
from bot.core.market import MINUTE_MS
from bot.daemon.stored_predictions import StoredPredictor
from tests.core_builders import PERPETUAL, at, candle


def predictor() -> StoredPredictor:
    """Forecasts on minutes 0 and 2."""
    ts = np.array([at(0), at(2)], dtype=np.int64)
    columns = PredictionColumns(
        ts,
        np.array([0.001, -0.002]),
        "mine",
        15,
        np.array([0.6, np.nan]),
        uncertainty=np.array([0.0005, np.nan]),
        volatility=np.array([np.nan, 0.002]),
    )
    return StoredPredictor({PERPETUAL: columns})


def test_a_forecast_is_told_on_the_candle_that_it_was_made_on_and_on_no_other() -> None:
    """Minute 0 has one, minute 1 has none, minute 2 has one without a probability."""
    stored = predictor()
    told = []
    for minute in range(3):
        stored.observe(candle(minute))
        told.append(stored.predict([PERPETUAL]))
    assert told[1] == []
    first, last = told[0][0], told[2][0]
    assert (first.closed_at_ms, first.expected_return, first.probability_up) == (
        at(0) + MINUTE_MS,
        0.001,
        0.6,
    )
    assert (last.expected_return, last.probability_up, last.model_id) == (-0.002, None, "mine")
    assert (first.uncertainty, last.uncertainty) == (0.0005, None)
    assert (first.volatility, last.volatility) == (None, 0.002)


def test_after_a_start_the_last_candle_of_history_counts() -> None:
    """Warming up puts it where it was."""
    stored = predictor()
    stored.warm(PERPETUAL, [candle(1), candle(2)])
    assert [prediction.expected_return for prediction in stored.predict([PERPETUAL])] == [-0.002]


def test_a_symbol_without_forecasts_has_none() -> None:
    """Nothing is made up."""
    assert predictor().predict(["ETH/USDT"]) == []
