"""The stream of feature rows against the whole series at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.candles.store import read_candles
from bot.errors import DataError
from models.candle_arrays import CandleArrays
from models.feature_stream import FeatureStream
from models.features import FEATURE_SETS, FeatureSet, feature_set
from models.scaling import Scaler, fit_scaler
from models.windows import window_ends
from tests.random_candles import START_MS, random_candles
from tests.shared_data import candle_file

WINDOW = 60
SETS = [pytest.param(found, id=tag) for tag, found in FEATURE_SETS.items()]


def rows_of(arrays: CandleArrays) -> list[tuple[Any, ...]]:
    """One tuple a candle, as ``append`` takes them."""
    columns = (arrays.ts, arrays.open, arrays.high, arrays.low, arrays.close, arrays.volume)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def scaler_of(features: FeatureSet) -> Scaler:
    """A scaler whose range not every row keeps to."""
    rows = features.compute(random_candles(800, seed=99)).matrix[-400:]
    return fit_scaler("standard", features.columns, rows, clip=3.0)


def stream_of(features: FeatureSet) -> FeatureStream:
    """A stream with that scaler."""
    return FeatureStream(features, WINDOW, scaler_of(features))


def check(features: FeatureSet, arrays: CandleArrays, stream: FeatureStream, start: int) -> int:
    """Append candles from ``start`` on, rehearse now and then, and compare each window; how many were whole."""
    table, scaler = features.compute(arrays), scaler_of(features)
    outside = scaler.outside(table.matrix)
    whole = set(window_ends(arrays.ts, table.valid, WINDOW).tolist())
    compared = 0
    for index, row in enumerate(rows_of(arrays)[start:], start=start):
        assert stream.append(*row) == stream.ready == (index in whole)
        if index % 11 == 0:
            stream.rehearse()
        assert stream.last_ts == arrays.ts[index]
        assert stream.close == arrays.close[index]
        if stream.ready:
            rows = slice(index - WINDOW + 1, index + 1)
            np.testing.assert_array_equal(stream.window(), scaler.transform_table(table.matrix[rows]))
            assert stream.outside == outside[rows].sum()
            assert stream.newest_outside == outside[index]
            assert stream.volatility == table.volatility[index]
            compared += 1
    return compared


@pytest.mark.parametrize("features", SETS)
@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10_000), gaps=st.lists(st.integers(1, 2199), max_size=2), offset=st.integers(0, 240)
)
def test_stream_equals_batch(features: FeatureSet, seed: int, gaps: list[int], offset: int) -> None:
    """Candle by candle, over gaps and longer than the buffer, every window equals the batch's to the bit."""
    arrays = random_candles(
        2200, seed=seed, gaps=tuple(gaps), start_ms=START_MS + offset * 60_000, quiet_share=0.1
    )
    compared = check(features, arrays, stream_of(features), 0)
    assert compared > 0


@pytest.mark.parametrize("features", SETS)
def test_stream_equals_batch_on_real_candles(features: FeatureSet) -> None:
    """The same over real candles with an exchange outage."""
    arrays = read_candles(candle_file("binance-BTCUSDT-1m-2021-04-01_2021-07-31.parquet"))
    hole = int(np.flatnonzero(np.diff(arrays.ts) != 60_000)[0])
    assert check(features, arrays.rows(hole - 1000, hole + 1000), stream_of(features), 0) > 1000


@pytest.mark.parametrize("features", SETS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(800, 1500))
def test_a_loaded_stream_goes_on_exactly(features: FeatureSet, seed: int, cut: int) -> None:
    """A stream loaded with ``history_minutes`` candles is where an uninterrupted one would be."""
    arrays = random_candles(1600, seed=seed)
    stream = stream_of(features)
    stream.load(arrays.rows(cut - features.history_minutes(WINDOW), cut))
    assert stream.ready
    whole = features.compute(arrays)
    expected = scaler_of(features).transform(whole.matrix[cut - WINDOW : cut])
    np.testing.assert_array_equal(stream.window(), expected)
    assert check(features, arrays, stream, cut) == 1600 - cut


def test_a_gap_in_what_is_loaded_empties() -> None:
    """What lies before a gap in the loaded candles is forgotten."""
    features = feature_set("scalping-v1")
    arrays = random_candles(700, seed=2, gaps=(400,))
    stream = stream_of(features)
    stream.load(arrays)
    assert stream.ready
    rows = features.compute(arrays.rows(400, 700)).matrix[-WINDOW:]
    np.testing.assert_array_equal(stream.window(), scaler_of(features).transform(rows))
    stream.load(arrays.rows(0, 450))
    assert not stream.ready


def test_loading_nothing_empties() -> None:
    """Loading no candles leaves an empty stream that takes up any candle."""
    stream = stream_of(feature_set("scalping-v1"))
    arrays = random_candles(400, seed=2)
    stream.load(arrays)
    stream.load(arrays.rows(0, 0))
    stream.rehearse()
    assert not stream.ready
    assert stream.last_ts is None
    assert not stream.append(*rows_of(arrays)[0])


def test_an_old_candle_is_refused_and_changes_nothing() -> None:
    """A candle that is not newer raises, and the window stays as it was."""
    features = feature_set("scalping-v1")
    arrays = random_candles(400, seed=2)
    stream = stream_of(features)
    stream.load(arrays)
    before = stream.window().copy()
    for row in rows_of(arrays)[-2:]:
        with pytest.raises(DataError, match="after the one of"):
            stream.append(*row)
    assert stream.ready
    np.testing.assert_array_equal(stream.window(), before)


def test_the_farthest_column_is_named() -> None:
    """Of the window's columns the one with the most values beyond the range, whole history or slid; None where none."""
    features = feature_set("scalping-v1")
    arrays = random_candles(2600, seed=4)
    rows = features.compute(arrays).matrix
    stream, calm = (
        stream_of(features),
        FeatureStream(features, WINDOW, fit_scaler("standard", features.columns, rows[900:])),
    )
    for index, row in enumerate(rows_of(arrays)):
        stream.append(*row)
        calm.append(*row)
        if index in {900, 2400, 2599}:
            counts = scaler_of(features).beyond(rows[index - WINDOW + 1 : index + 1]).sum(axis=0)
            assert counts.max() > 0
            assert stream.farthest_column() == features.columns[int(counts.argmax())]
    assert calm.outside == 0
    assert calm.farthest_column() is None


def test_the_newest_row_is_told_finite_or_not() -> None:
    """None before the first candle; then the last row of the whole table, as a copy that later candles leave alone."""
    features = feature_set("scalping-v1")
    arrays, stream = random_candles(700, seed=12), stream_of(features)
    assert stream.newest_row() is None
    rows = rows_of(arrays)
    for row in rows[:-1]:
        stream.append(*row)
    kept = stream.newest_row()
    stream.append(*rows[-1])
    scaled = scaler_of(features).transform_table(features.compute(arrays).matrix)
    np.testing.assert_array_equal(kept, scaled[-2])
    np.testing.assert_array_equal(stream.newest_row(), scaled[-1])
