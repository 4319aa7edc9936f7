"""The forecast of how far the price moves."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ModelError
from models.feature_stream import FeatureStream
from models.features import feature_set
from models.scaling import fit_scaler
from models.volatility import (
    CLOSES,
    COEFFICIENTS,
    FLOOR,
    SPANS,
    VolatilityModel,
    predictors_along,
    predictors_of,
    volatility_from_json,
)
from tests.random_candles import random_candles

MODEL = VolatilityModel(15, (-4.0, 0.3, 0.2, 0.1, 0.05, -0.05, 0.02, 0.01), 1.1, 0.9)
MINUTE_MS = 60_000


def test_the_predictors_are_the_mean_squared_returns_of_each_span() -> None:
    """The log of the mean squared return of the last 15, 60 and 240 minutes, then sines and cosines of the day."""
    arrays = random_candles(400, seed=1)
    moves = np.diff(np.log(arrays.close[400 - CLOSES :]))
    found = predictors_along(arrays.close, arrays.ts, np.array([399]))[0]
    for place, span in enumerate(SPANS):
        assert found[place] == pytest.approx(math.log(np.mean(moves[-span:] ** 2)), rel=1e-9)
    angle = 2 * math.pi * (arrays.ts[399] // MINUTE_MS % 1440) / 1440
    season = [math.sin(angle), math.cos(angle), math.sin(2 * angle), math.cos(2 * angle)]
    np.testing.assert_allclose(found[3:], season, atol=1e-12)


@given(seed=st.integers(0, 10_000), cut=st.integers(CLOSES, 700))
@settings(deadline=None, max_examples=30)
def test_a_forecast_is_the_same_alone_in_a_batch_and_in_a_stream(seed: int, cut: int) -> None:
    """One window, all windows, and the closes that a stream holds give the same bits, whatever follows."""
    arrays = random_candles(700, seed=seed)
    ends = np.arange(CLOSES - 1, 700)
    together = MODEL.along(arrays.close, arrays.ts, ends)
    last = cut - 1
    alone = MODEL.at_windows(arrays.close[None, cut - CLOSES : cut], arrays.ts[[last]])[0]
    shorter = MODEL.along(arrays.close[:cut], arrays.ts[:cut], np.array([last]))[0]
    assert alone == together[last - CLOSES + 1] == shorter


def test_a_stream_has_the_closes_that_a_forecast_needs() -> None:
    """Over many slides of its buffer and a gap, the trailing closes are the last contiguous ones, NaN before."""
    arrays = random_candles(2600, seed=3)
    features = feature_set("scalping-v1")
    scaler = fit_scaler("standard", features.columns, np.random.default_rng(1).normal(size=(9, 20)))
    stream = FeatureStream(features, 60, scaler)
    for row, ts in enumerate(arrays.ts.tolist()):
        if row == 1500:  # a minute is missing
            continue
        columns = (arrays.open, arrays.high, arrays.low, arrays.close, arrays.volume)
        stream.append(ts, *(float(column[row]) for column in columns))
        if row in (100, 240, 1400, 1550, 2599):
            first = 1501 if row > 1500 else 0
            held = arrays.close[max(first, row + 1 - CLOSES) : row + 1]
            closes = stream.trailing_closes(CLOSES)
            np.testing.assert_array_equal(closes[CLOSES - len(held) :], held)
            assert np.isnan(closes[: CLOSES - len(held)]).all()
            wanted = MODEL.along(arrays.close, arrays.ts, np.array([row]))[0]
            if len(held) == CLOSES:
                assert MODEL.at_windows(closes[None], np.array([ts]))[0] == wanted
            else:
                assert np.isnan(MODEL.at_windows(closes[None], np.array([ts]))[0])
    with pytest.raises(ValueError, match="keeps"):
        stream.trailing_closes(10_000)


def test_without_contiguous_history_there_is_no_forecast() -> None:
    """A row with fewer than 240 contiguous minutes before it gets NaN; the others are as ever."""
    arrays = random_candles(800, seed=4)
    ts = arrays.ts.copy()
    ts[400:] += MINUTE_MS
    found = MODEL.along(arrays.close, ts, np.arange(800))
    known = np.isfinite(found)
    assert np.flatnonzero(~known).tolist() == [*range(240), *range(400, 640)]
    assert not len(MODEL.along(arrays.close, ts, np.array([], np.int64)))


def test_more_than_the_window_changes_nothing_and_later_candles_do_not_either() -> None:
    """Altered candles after a row, or before its 241, leave its forecast as it is to the bit."""
    arrays = random_candles(600, seed=5)
    changed = arrays.close.copy()
    changed[450:] *= 1.5
    changed[: 449 - CLOSES] *= 0.5
    at = np.array([449])
    assert MODEL.along(changed, arrays.ts, at)[0] == MODEL.along(arrays.close, arrays.ts, at)[0]


def test_a_market_that_stands_still_has_a_least_volatility() -> None:
    """Where nothing moved the forecast is finite and positive."""
    ts = np.arange(CLOSES, dtype=np.int64) * MINUTE_MS
    found = predictors_of(np.zeros((1, CLOSES)), ts[-1:])
    np.testing.assert_allclose(found[0, :3], math.log(FLOOR))
    assert MODEL.along(np.full(CLOSES, 100.0), ts, np.array([CLOSES - 1]))[0] > 0.0


def test_what_was_written_reads_back_and_its_parts_multiply() -> None:
    """JSON keeps every bit; level and return share scale the variance."""
    assert volatility_from_json(MODEL.to_json(), 15) == MODEL
    arrays = random_candles(400, seed=6)
    found = predictors_along(arrays.close, arrays.ts, np.array([300]))
    plain = VolatilityModel(15, MODEL.coefficients, 1.0, 1.0)
    assert MODEL.variance(found)[0] == pytest.approx(1.1 * plain.variance(found)[0])
    assert MODEL.forecast(found)[0] == pytest.approx(math.sqrt(15 * 1.1 * 0.9 * plain.variance(found)[0]))


@pytest.mark.parametrize(
    "changes",
    [
        {"coefficients": [0.0] * (COEFFICIENTS - 1)},
        {"coefficients": [float("nan")] * COEFFICIENTS},
        {"coefficients": None},
        {"level": 0.0},
        {"level": float("inf")},
        {"return_share": -1.0},
        {"horizon": 30},
        {"horizon": "x"},
    ],
)
def test_a_damaged_file_is_refused(changes: dict[str, object]) -> None:
    """Whatever is not a usable model of this horizon is refused by the file's name."""
    document = json.loads(MODEL.to_json()) | changes
    with pytest.raises(ModelError, match=r"volatility\.json"):
        volatility_from_json(json.dumps(document).encode(), 15)
    for content in (b"{}", b"[]", b"\xff"):
        with pytest.raises(ModelError, match=r"volatility\.json"):
            volatility_from_json(content, 15)
