"""A file of predictions is read exactly, or refused with a sentence that names file, column and row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtests.predictions_file import DEFAULT_HORIZON, read_predictions
from bot.core.market import MINUTE_MS
from bot.errors import DataError
from tests.random_market import START_MS, random_candles

BTC, ETH = "BTC/USDT", "ETH/USDT"
CANDLES = {BTC: random_candles(1, 50, gaps=False)}
TS = CANDLES[BTC].ts


@pytest.fixture
def write(tmp_path):
    """Write columns to a Parquet file and return its path."""

    def write(metadata=None, **columns):
        path = tmp_path / "predictions.parquet"
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
        return path

    return write


def test_a_sound_file_is_read_rounded_and_in_order(write):
    """Rows may come in any order; values are rounded to 1e-6, and the metadata tells model and horizon."""
    path = write(
        {"model_id": "m1", "horizon_minutes": "30"},
        ts=TS[::-1],
        expected_return=np.linspace(-0.01, 0.01, 50),
        probability_up=[None, *np.linspace(0, 1, 49)],
        uncertainty=[None, *np.linspace(0, 0.01, 49)],
        volatility=np.linspace(0.001, 0.002, 50),
    )
    found = read_predictions(path, CANDLES)
    columns = found.columns[BTC]
    assert (columns.ts == TS).all()
    np.testing.assert_array_equal(
        columns.expected_return, np.round(np.linspace(-0.01, 0.01, 50), 6)[::-1] + 0.0
    )
    assert columns.probability_up is not None
    assert np.isnan(columns.probability_up[-1])
    assert columns.uncertainty is not None
    np.testing.assert_array_equal(columns.uncertainty[::-1][1:], np.round(np.linspace(0, 0.01, 49), 6))
    assert np.isnan(columns.uncertainty[-1])
    assert columns.volatility is not None
    np.testing.assert_array_equal(columns.volatility[::-1], np.round(np.linspace(0.001, 0.002, 50), 6))
    assert (columns.model_id, columns.horizon_minutes) == ("m1", 30)
    assert found.warnings == ()


def test_without_metadata_the_file_is_the_model(write):
    """A bare file is named after itself and has the default horizon."""
    columns = read_predictions(write(ts=TS, expected_return=np.zeros(50)), CANDLES).columns[BTC]
    assert (columns.model_id, columns.horizon_minutes) == ("file:predictions", DEFAULT_HORIZON)
    assert columns.probability_up is None
    assert columns.uncertainty is None
    assert columns.volatility is None


@pytest.mark.parametrize("kind", ["plain", "dictionary"])
def test_symbols_are_sorted_out(write, kind):
    """A file of several symbols gives each its own rows; those of symbols that are not traded are left out."""
    names = pa.array([BTC] * 50 + [ETH] * 50 + ["X/USDT"] * 50)
    path = write(
        ts=np.concatenate([TS, TS, TS]),
        expected_return=np.repeat([0.001, 0.002, 0.003], 50),
        symbol=names.dictionary_encode() if kind == "dictionary" else names,
    )
    columns = read_predictions(path, {BTC: CANDLES[BTC], ETH: CANDLES[BTC]}).columns
    assert set(columns) == {BTC, ETH}
    assert set(columns[ETH].expected_return) == {0.002}


def test_what_does_not_fit_is_counted(write):
    """Candles without a prediction and predictions without a candle are counted in a warning each."""
    ts = np.arange(START_MS + 10 * MINUTE_MS, START_MS + 70 * MINUTE_MS, MINUTE_MS)
    found = read_predictions(write(ts=ts, expected_return=np.zeros(60)), CANDLES)
    assert found.warnings == (
        "10 of 50 candles of BTC/USDT have no prediction",
        "20 of 60 predictions of BTC/USDT have no candle",
    )


def changed(column, row, value):
    """A sound column with one value changed."""
    values = list(column)
    values[row] = value
    return values


ZEROS = [0.0] * 50
BAD_FILES: dict[str, dict[str, Any]] = {
    "column ts is missing": {"expected_return": ZEROS},
    "column expected_return is missing": {"ts": TS},
    "column ts is double, and must be int64": {"ts": TS * 1.0, "expected_return": ZEROS},
    "column expected_return is string, and must be float64": {"ts": TS, "expected_return": ["a"] * 50},
    "ts is not on a whole minute in row 3": {"ts": changed(TS, 3, int(TS[3]) + 1), "expected_return": ZEROS},
    "ts is no time in milliseconds between 1970 and 2100 in row 0": {
        "ts": TS * 1000,
        "expected_return": ZEROS,
    },
    "ts is empty in 1 of 50 rows": {
        "ts": pa.array(changed(TS.tolist(), 5, None), pa.int64()),
        "expected_return": ZEROS,
    },
    "expected_return is nan in row 7": {"ts": TS, "expected_return": changed(ZEROS, 7, float("nan"))},
    "expected_return is inf in row 7": {"ts": TS, "expected_return": changed(ZEROS, 7, float("inf"))},
    "expected_return is 2.5 in row 9": {"ts": TS, "expected_return": changed(ZEROS, 9, 2.5)},
    "probability_up is 1.5 in row 2": {
        "ts": TS,
        "expected_return": ZEROS,
        "probability_up": changed(ZEROS, 2, 1.5),
    },
    "uncertainty is -0.001 in row 4": {
        "ts": TS,
        "expected_return": ZEROS,
        "uncertainty": changed(ZEROS, 4, -0.001),
    },
    "volatility is 1.5 in row 6": {
        "ts": TS,
        "expected_return": ZEROS,
        "volatility": changed(ZEROS, 6, 1.5),
    },
    "of BTC/USDT comes twice, again in row 8": {"ts": changed(TS, 8, int(TS[7])), "expected_return": ZEROS},
    "column symbol is int64": {"ts": TS, "expected_return": ZEROS, "symbol": [1] * 50},
    "no prediction belongs to any candle": {"ts": TS + 10**9 * 60, "expected_return": ZEROS},
    "none of these symbols": {"ts": TS, "expected_return": ZEROS, "symbol": ["Y/USDT"] * 50},
    "it holds no predictions": {
        "ts": np.array([], dtype=np.int64),
        "expected_return": np.array([], dtype=np.float64),
    },
}


@pytest.mark.parametrize("sentence", BAD_FILES)
def test_a_bad_file_is_refused_by_name(write, sentence):
    """Every fault is a DataError that names the file and what is wrong where."""
    path = write(**BAD_FILES[sentence])
    with pytest.raises(DataError) as caught:
        read_predictions(path, CANDLES)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)


def test_several_symbols_need_a_symbol_column(write):
    """Rows that could belong to either of two symbols are refused."""
    with pytest.raises(DataError, match="column symbol is missing, and 2 symbols are traded"):
        read_predictions(write(ts=TS, expected_return=ZEROS), {BTC: CANDLES[BTC], ETH: CANDLES[BTC]})


def test_a_truncated_or_absent_file_is_refused(tmp_path, write):
    """Half a Parquet file, and none at all, are DataErrors."""
    path = write(ts=TS, expected_return=ZEROS)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_predictions(path, CANDLES)
    with pytest.raises(DataError, match="there is no such file"):
        read_predictions(tmp_path / "none.parquet", CANDLES)


def test_a_horizon_that_is_no_number_is_refused(write):
    """Metadata that can't be read is no reason to guess."""
    for told in ("soon", "0"):
        with pytest.raises(DataError, match="horizon_minutes"):
            read_predictions(write({"horizon_minutes": told}, ts=TS, expected_return=ZEROS), CANDLES)
