"""The table that files of predictions hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from backtests.predictions_file import read_predictions
from models.predictions_table import about_model, parquet_bytes, predictions_table
from tests.random_candles import random_candles


def table():
    """Five rows of two symbols."""
    ts = np.array([0, 60_000, 120_000, 0, 60_000], np.int64)
    numbers = np.array([0.00123456789, -0.002, 0.0, 0.5e-6, 1e-3])
    about = about_model("m-1", 15, note="test")
    doubt = np.array([1.23456789e-4, np.nan, 0.0, 0.1, 0.2])
    return predictions_table(ts, numbers, numbers + 0.5, {"A/B": 3, "C/D": 2}, about, uncertainty=doubt)


def test_rows_carry_their_symbol_and_six_digits() -> None:
    """Each symbol has as many rows as it was given, and numbers are rounded as decisions see them."""
    found = table().to_pydict()
    assert found["symbol"] == ["A/B"] * 3 + ["C/D"] * 2
    assert found["expected_return"][0] == 0.001235
    assert found["uncertainty"] == [0.000123, None, 0.0, 0.1, 0.2]
    assert list(found) == ["ts", "expected_return", "probability_up", "uncertainty", "symbol"]


def test_the_same_table_has_the_same_bytes_and_can_be_traded(tmp_path: Path) -> None:
    """A backtest reads the file; what it says of itself comes back."""
    content = parquet_bytes(table())
    assert content == parquet_bytes(table())
    path = tmp_path / "predictions.parquet"
    path.write_bytes(content)
    assert pq.read_schema(path).metadata == {b"model_id": b"m-1", b"horizon_minutes": b"15", b"note": b"test"}
    candles = {name: random_candles(3, seed=1, start_ms=0) for name in ("A/B", "C/D")}
    found = read_predictions(path, candles)
    assert found.columns["A/B"].expected_return.tolist() == [0.001235, -0.002, 0.0]
    assert found.columns["C/D"].horizon_minutes == 15
