"""Forecasts are measured against what came at their horizon, and against what knows nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backtests.inputs import BacktestInput, PredictionColumns
from backtests.report_quality import deciles, forecast_quality, outcomes_of
from bot.core.market import MINUTE_MS
from models.candle_arrays import CandleArrays
from tests.random_market import START_MS, random_candles, random_input


def with_forecasts(count: int, expected_of) -> BacktestInput:
    """Random candles, and forecasts over ten minutes that are made of what will come (NaN at the end)."""
    data = random_input(5, count=count, gaps=False)
    (symbol,) = data.symbols
    arrays = data.candles[symbol]
    came = np.full(count, np.nan)
    came[:-10] = np.log(arrays.close[10:] / arrays.close[:-10])
    columns = PredictionColumns(arrays.ts, np.nan_to_num(expected_of(came)), "model", 10)
    return replace(data, predictions={symbol: columns})


def figures_of(data: BacktestInput) -> dict[str, Any]:
    """The figures of forecasts that are there."""
    found = forecast_quality(data)
    assert found is not None
    return found


def test_an_outcome_is_the_move_from_the_close_to_the_horizon():
    """Only forecasts with a candle then and one at the horizon count, and the outcome is the log return between."""
    closes = np.array([100.0, 101.0, 102.0, 103.0, 104.0])
    ts = START_MS + np.array([0, 1, 2, 3, 5]) * MINUTE_MS
    arrays = CandleArrays(ts, closes, closes, closes, closes, closes)
    columns = PredictionColumns(START_MS + np.arange(6) * MINUTE_MS, np.full(6, 0.01), "model", 2)
    found = outcomes_of(arrays, columns)
    assert ((found.ts - START_MS) // MINUTE_MS).tolist() == [0, 1, 3]
    assert found.realized == pytest.approx(np.log([102 / 100, 103 / 101, 104 / 103]))


def test_a_perfect_forecaster_is_seen_as_one():
    """Forecasts that are the outcome correlate fully, name every direction and have no error."""
    found = figures_of(with_forecasts(6000, lambda came: came))
    assert found["correlation"] == pytest.approx(1.0)
    assert found["direction_accuracy"] == 1.0
    assert found["rmse_bps"] == pytest.approx(0.0, abs=1e-9)
    assert found["persistence_rmse_bps"] > 1
    for row in found["deciles"]:
        assert row["forecast_bps"] == pytest.approx(row["outcome_bps"])
    assert found["coverage"] == 1.0
    assert found["forecasts"] == 5990


def test_a_forecaster_of_noise_is_within_its_interval_of_nothing():
    """Noise: the intervals hold 0 and one half, and persistence has the smaller error."""
    rng = np.random.default_rng(3)
    found = figures_of(with_forecasts(8000, lambda came: rng.normal(0, 0.003, len(came))))
    low, high = found["correlation_interval"]
    assert low < 0 < high
    low, high = found["direction_interval"]
    assert low < 0.5 < high
    assert found["rmse_bps"] > found["persistence_rmse_bps"]
    assert 0.5 <= found["always_accuracy"] < 0.6


def test_ties_are_left_out_of_the_direction():
    """Moves of exactly zero and forecasts of exactly zero have no direction."""
    closes = np.tile([100.0, 101.0, 101.0], 40)
    arrays = CandleArrays(START_MS + np.arange(120) * MINUTE_MS, closes, closes, closes, closes, closes)
    data = random_input(1, count=120, gaps=False)
    (symbol,) = data.symbols
    columns = PredictionColumns(arrays.ts, np.where(np.arange(120) % 2, 0.001, 0.0), "model", 1)
    found = figures_of(replace(data, candles={symbol: arrays}, predictions={symbol: columns}))
    moved = np.diff(closes) != 0
    assert found["direction_samples"] == int((moved & (np.arange(119) % 2 == 1)).sum())


def test_the_accuracy_that_pays_follows_from_costs_and_moves():
    """One half plus cost over twice the mean move; above 1 where moves are smaller than costs."""
    data = with_forecasts(3000, lambda came: came)
    found = figures_of(data)
    cost = data.config.entry.round_trip(data.config.costs)
    assert found["needed_accuracy"] == pytest.approx(0.5 + cost / (2 * found["mean_move_bps"] / 10_000))


def test_nobody_who_forecasts_is_none_and_one_without_outcome_has_no_figures():
    """Without forecasts there is nothing to say; forecasts beyond the last candle have no outcome."""
    data = random_input(3, count=100)
    (symbol,) = data.symbols
    assert forecast_quality(replace(data, predictions={})) is None
    late = PredictionColumns(data.candles[symbol].ts[-2:], np.array([0.1, 0.2]), "model", 15)
    found = figures_of(replace(data, predictions={symbol: late}))
    assert found["forecasts"] == 0
    assert found["correlation"] is None
    assert found["deciles"] == []


def test_deciles_are_of_equal_size_and_in_order():
    """Ten parts, each a tenth, from the lowest forecast to the highest."""
    arrays = random_candles(3, 1001, gaps=False)
    rng = np.random.default_rng(1)
    columns = PredictionColumns(arrays.ts, rng.normal(0, 0.001, 1001), "model", 1)
    rows = deciles(outcomes_of(arrays, columns))
    assert [row["count"] for row in rows] == [100] * 10
    assert [row["forecast_bps"] for row in rows] == sorted(row["forecast_bps"] for row in rows)
