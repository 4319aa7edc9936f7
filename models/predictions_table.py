"""The table of predictions that files and artifacts hold: ts, expected_return, probability_up, symbol, and more."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

FILE_NAME = "predictions.parquet"
DIGITS = 6
"""Processors differ in the last digits; decisions are made on numbers rounded so."""


def predictions_table(
    ts: npt.NDArray[np.int64],
    expected_return: npt.NDArray[np.float64],
    probability_up: npt.NDArray[np.float64],
    symbols: Mapping[str, int],
    about: Mapping[str, str],
    **further: npt.NDArray[np.float64],
) -> pa.Table:
    """Predictions as a table, in the order given.

    Args:
        ts: Open time of the candle on whose close each is known, ms.
        expected_return: Log return over the horizon, as a fraction.
        probability_up: P(up).
        symbols: Symbol -> how many rows are its own, in order of rows.
        about: What the file says of itself, such as the model's id.
        further: Other columns by name, such as ``uncertainty``; NaN becomes empty.
    """
    names = np.repeat(np.array(list(symbols), dtype=object), list(symbols.values()))
    columns = {
        "ts": pa.array(ts),
        "expected_return": pa.array(np.round(expected_return, DIGITS)),
        "probability_up": pa.array(np.round(probability_up, DIGITS)),
        **{name: pa.array(np.round(values, DIGITS), from_pandas=True) for name, values in further.items()},
        "symbol": pa.array(names, pa.string()),
    }
    return pa.table(columns).replace_schema_metadata(dict(about))


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as a Parquet file; the same table gives the same bytes."""
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    return content.getvalue()


def about_model(model_id: str, horizon_minutes: int, **further: Any) -> dict[str, str]:
    """What a file of predictions says of itself."""
    return {"model_id": model_id, "horizon_minutes": str(horizon_minutes)} | {
        name: str(value) for name, value in further.items()
    }
