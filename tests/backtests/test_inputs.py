"""Arrays become the batches of each minute: complete, in order, each prediction with its candle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtests import inputs
from backtests.inputs import BacktestInput, PredictionColumns, minute_batches, rounded
from bot.core.market import MINUTE_MS
from bot.errors import DataError
from tests.random_market import PERPETUALS, random_input


@given(seed=st.integers(0, 1000), width=st.integers(1, 3), count=st.integers(40, 200))
@settings(max_examples=30, deadline=None)
def test_batches_hold_every_candle_once_in_order_with_its_prediction(seed: int, width: int, count: int):
    """The batches are exactly the candles grouped by minute, by name within it, each with the prediction of its ts."""
    data = random_input(seed, symbols=PERPETUALS[:width], count=count)
    batches = list(minute_batches(data))
    minutes = [candles[0].opened_at_ms for candles, _ in batches]
    assert minutes == sorted({int(ts) for arrays in data.candles.values() for ts in arrays.ts})
    assert len(batches) == data.minute_count()
    for symbol, arrays in data.candles.items():
        mine = [candle for candles, _ in batches for candle in candles if candle.symbol == symbol]
        assert [candle.opened_at_ms for candle in mine] == arrays.ts.tolist()
        assert [candle.close for candle in mine] == arrays.close.tolist()
        known = dict(
            zip(
                data.predictions[symbol].ts.tolist(),
                data.predictions[symbol].expected_return.tolist(),
                strict=True,
            )
        )
        made = {
            prediction.closed_at_ms - MINUTE_MS: prediction.expected_return
            for _, predictions in batches
            for prediction in predictions
            if prediction.symbol == symbol
        }
        assert made == known
    for candles, predictions in batches:
        names = [candle.symbol for candle in candles]
        assert names == sorted(names)
        assert {candle.opened_at_ms for candle in candles} == {candles[0].opened_at_ms}
        assert all(p.closed_at_ms == candles[0].closed_at_ms for p in predictions)


def test_chunks_change_nothing(monkeypatch):
    """Where a chunk of rows ends shows in no batch."""
    data = random_input(4, symbols=PERPETUALS[:2], count=200)
    whole = list(minute_batches(data))
    monkeypatch.setattr(inputs, "CHUNK_ROWS", 7)
    assert list(minute_batches(data)) == whole


def test_predictions_without_a_candle_are_left_out():
    """A prediction for a minute in a hole, before or after the candles reaches nobody."""
    data = random_input(6, count=100)
    (symbol,) = data.symbols
    ts = data.candles[symbol].ts
    stray = np.concatenate([[ts[0] - MINUTE_MS], ts, [ts[-1] + MINUTE_MS]])
    columns = PredictionColumns(stray, np.zeros(len(stray)), "m", 15)
    batches = list(minute_batches(replace(data, predictions={symbol: columns})))
    assert sum(len(predictions) for _, predictions in batches) == len(ts)


def test_values_are_python_numbers_and_nan_is_none():
    """The core sees plain floats and ints, and None where a probability is missing."""
    data = random_input(8, count=300)
    predictions = [prediction for _, found in minute_batches(data) for prediction in found]
    assert {type(p.probability_up) for p in predictions} == {float, type(None)}
    assert all(type(p.expected_return) is float and type(p.closed_at_ms) is int for p in predictions)
    candles = [candle for found, _ in minute_batches(data) for candle in found]
    assert all(type(candle.opened_at_ms) is int and type(candle.open) is float for candle in candles)


def test_rounding_is_that_of_inference_and_leaves_no_negative_zero():
    """Numbers are rounded to 1e-6 and a tiny negative one becomes a plain zero."""
    values = rounded([1.23456789e-3, -1e-9, -0.0000015])
    assert values.tolist() == [0.001235, 0.0, -2e-06]
    assert str(values[1]) == "0.0"


def test_candles_must_be_those_of_the_instruments():
    """An instrument without candles, or candles without rows, is refused."""
    data = random_input(1, symbols=PERPETUALS[:2], count=50)
    with pytest.raises(DataError, match="for instruments"):
        BacktestInput({PERPETUALS[0]: data.candles[PERPETUALS[0]]}, {}, data.config, data.make_strategy)
    empty = {symbol: arrays.rows(0, 0) for symbol, arrays in data.candles.items()}
    with pytest.raises(DataError, match="has no candles"):
        BacktestInput(empty, {}, data.config, data.make_strategy)
