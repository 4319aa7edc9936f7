"""Forecasts beside what came, and the path from one moment."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bot.errors import DataError
from models.forecast_path import forecast_path, forecast_stretch
from models.inspection_sample import read_sample
from models.targets import TrendAndDirection, trend_to_score
from tests.inspected_model import one_column_model, path_model
from tests.random_candles import random_candles

CANDLES = random_candles(800, seed=4, gaps=(700,))


def test_a_forecast_stands_where_it_is_due(tmp_path: Path) -> None:
    """Expected is close · exp(expected return), due a horizon later, beside the close that came; NaN over a gap."""
    sample = read_sample(one_column_model(tmp_path), {"BTC/USDT": CANDLES})
    ends = sample.ends[100:]
    held = np.zeros(len(ends), np.bool_)
    stretch = forecast_stretch(sample.forecaster, sample.rows, ends, held)
    np.testing.assert_array_equal(stretch.due_ts - stretch.made_ts, 15 * 60_000)
    np.testing.assert_array_equal(stretch.persistence, CANDLES.close[ends])
    score = -sample.rows.scaled[ends, 1].astype(np.float64) / 1.702
    expected = CANDLES.close[ends] * np.exp(score * sample.rows.volatility[ends] * np.sqrt(15.0))
    np.testing.assert_allclose(stretch.expected, expected, rtol=1e-7)
    for place, end in enumerate(ends):
        there = end + 15 < 800 and CANDLES.ts[end + 15] - CANDLES.ts[end] == 15 * 60_000
        if there:
            assert stretch.realized[place] == pytest.approx(CANDLES.close[end + 15])
        else:
            assert np.isnan(stretch.realized[place])
    assert np.isnan(stretch.realized).any()
    json.dumps(stretch.as_json(), allow_nan=False)
    with pytest.raises(DataError, match="no whole window"):
        forecast_stretch(sample.forecaster, sample.rows, ends[:0], held[:0])


def test_a_path_has_a_price_for_every_minute(tmp_path: Path) -> None:
    """A path target's prices are close · exp of each step's return; its last step is the forecast that is traded on."""
    sample = read_sample(path_model(tmp_path), {"BTC/USDT": CANDLES})
    end = int(sample.ends[50])
    path = forecast_path(sample.forecaster, sample.rows, end, withheld=False)
    assert path.minutes.tolist() == list(range(31))
    volatility = sample.rows.volatility[end]
    steps = np.arange(1.0, 31.0)
    moves = np.concatenate([[0.0], steps / 100.0 * volatility * np.sqrt(steps)])
    np.testing.assert_allclose(path.expected, CANDLES.close[end] * np.exp(moves), rtol=1e-7)
    np.testing.assert_array_equal(path.realized, CANDLES.close[end : end + 31])
    stretch = forecast_stretch(sample.forecaster, sample.rows, sample.ends[50:51], np.zeros(1, np.bool_))
    assert path.expected[-1] == pytest.approx(stretch.expected[0], rel=1e-12)


def test_what_has_not_come_is_not_made_up(tmp_path: Path) -> None:
    """At the end of the candles, and over a gap, realized closes are missing: NaN, and null as JSON."""
    sample = read_sample(one_column_model(tmp_path), {"BTC/USDT": CANDLES.rows(0, 700)})
    path = forecast_path(sample.forecaster, sample.rows, 695, withheld=True)
    assert path.minutes.tolist() == [0, 15]
    np.testing.assert_array_equal(np.isnan(path.realized), [False] * 5 + [True] * 11)
    document = path.as_json()
    assert document["realized"][5:] == [None] * 11
    assert document["withheld"] is True


def test_a_path_stays_with_its_symbol(tmp_path: Path) -> None:
    """The closes after a symbol's last candle are not those of the next symbol."""
    series = {"A/X": CANDLES.rows(0, 500), "B/X": CANDLES.rows(0, 600)}
    sample = read_sample(one_column_model(tmp_path), series)
    path = forecast_path(sample.forecaster, sample.rows, 499, withheld=False)
    assert np.isnan(path.realized[1:]).all()


def test_two_horizons_are_two_points() -> None:
    """``trend_and_direction`` says a return at each of its horizons, by its two trend scores."""
    target = TrendAndDirection(15, 60)
    raw = np.array([[0.2, 0.0, 0.0, -0.5, 0.0, 0.0]])
    moves = target.log_path(raw, np.array([1e-3]))
    expected = trend_to_score(np.array([0.2, -0.5])) * 1e-3 * np.sqrt([15.0, 60.0])
    np.testing.assert_allclose(moves[0], expected, rtol=1e-12)
