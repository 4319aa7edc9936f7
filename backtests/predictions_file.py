"""Predictions from a Parquet file: checked, sorted out by symbol, and held against the candles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from backtests.inputs import Floats, PredictionColumns, rounded
from bot.candles.columns import LATEST_TS, iso_utc
from bot.core.market import MINUTE_MS, Symbol
from bot.errors import DataError
from models.candle_arrays import CandleArrays

DEFAULT_HORIZON = 15
"""Minutes, where the metadata of the file's schema does not tell ``horizon_minutes``."""

_FURTHER = ("probability_up", "uncertainty", "volatility")
"""Columns that a file may have, each 0 to 1 or empty, named as the columns of a backtest."""

_COLUMNS = ("ts", "expected_return", *_FURTHER, "symbol")


@dataclass(frozen=True, slots=True)
class MatchedPredictions:
    """Predictions by symbol, in words what did not fit, and whether the file told how far ahead it looks."""

    columns: dict[Symbol, PredictionColumns]
    warnings: tuple[str, ...]
    told_horizon: bool = True


def read_predictions(path: Path, candles: Mapping[Symbol, CandleArrays]) -> MatchedPredictions:
    """Read a file of predictions for these candles.

    Columns: ``ts`` (int64, open time of the candle on whose close the prediction is known, ms),
    ``expected_return`` (fraction over the horizon), and where they exist ``probability_up`` (0 to 1; may be empty),
    ``uncertainty`` and ``volatility`` (standard deviation of the expected return, and of the return itself over the
    horizon; fractions of 0 to 1, may be empty) and ``symbol`` (needed when several symbols are traded). The metadata of
    the schema may tell ``model_id`` and ``horizon_minutes``.

    Returns:
        The predictions of the symbols in ``candles``, rounded to 1e-6, in order of time.

    Raises:
        DataError: The file can't be read, a column is missing or of a wrong type, a row is unsound, a minute
            comes twice, or no prediction at all belongs to a candle; the sentence names file, column and row.
    """
    table = _read_table(path)
    about = table.schema.metadata or {}
    model_id = about.get(b"model_id", f"file:{path.stem}".encode()).decode(errors="replace")
    horizon = _horizon(path, about.get(b"horizon_minutes"))
    ts = _times(path, table)
    expected = _fractions(path, table, "expected_return", low=-1.0, high=1.0)
    further = {
        name: _fractions(path, table, name, low=0.0, high=1.0, may_be_empty=True)
        for name in _FURTHER
        if name in table.column_names
    }
    columns: dict[Symbol, PredictionColumns] = {}
    for symbol, rows in _rows_by_symbol(path, table, tuple(candles)).items():
        order = rows[np.argsort(ts[rows], kind="stable")]
        _refuse_doubles(path, symbol, ts[order], order)
        known: dict[str, Any] = {name: rounded(values[order]) for name, values in further.items()}
        columns[symbol] = PredictionColumns(
            ts=ts[order],
            expected_return=rounded(expected[order]),
            model_id=model_id,
            horizon_minutes=horizon,
            **known,
        )
    return MatchedPredictions(columns, _match(path, columns, candles), b"horizon_minutes" in about)


def _read_table(path: Path) -> pa.Table:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        with pq.ParquetFile(path) as file:
            present = [name for name in _COLUMNS if name in file.schema_arrow.names]
            table = file.read(columns=present, use_threads=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: it is not a whole Parquet file ({reason})") from error
    for name in ("ts", "expected_return"):
        if name not in table.column_names:
            raise DataError(f"{path}: column {name} is missing")
    if not table.num_rows:
        raise DataError(f"{path}: it holds no predictions")
    return table


def _horizon(path: Path, told: bytes | None) -> int:
    if told is None:
        return DEFAULT_HORIZON
    try:
        horizon = int(told)
    except ValueError as error:
        raise DataError(
            f"{path}: its metadata horizon_minutes is {told.decode(errors='replace')!r}, and must be a number"
        ) from error
    if horizon < 1:
        raise DataError(f"{path}: its metadata horizon_minutes is {horizon}, and must be positive")
    return horizon


def _times(path: Path, table: pa.Table) -> npt.NDArray[np.int64]:
    column = table["ts"]
    if column.type != pa.int64():
        raise DataError(f"{path}: column ts is {column.type}, and must be int64 (UTC milliseconds)")
    if column.null_count:
        raise DataError(f"{path}: ts is empty in {column.null_count} of {table.num_rows} rows")
    ts: npt.NDArray[np.int64] = column.to_numpy()
    for fault, bad in (
        ("is no time in milliseconds between 1970 and 2100", (ts < 0) | (ts >= LATEST_TS)),
        ("is not on a whole minute", ts % MINUTE_MS != 0),
    ):
        if bad.any():
            row = int(bad.argmax())
            raise DataError(f"{path}: ts {fault} in row {row} (counted from 0; {int(ts[row])})")
    return ts


def _fractions(
    path: Path, table: pa.Table, name: str, *, low: float, high: float, may_be_empty: bool = False
) -> Floats:
    """A column of numbers within bounds."""
    column = table[name]
    if not pa.types.is_floating(column.type):
        raise DataError(f"{path}: column {name} is {column.type}, and must be float64")
    values: Floats = column.to_numpy().astype(np.float64)
    with np.errstate(invalid="ignore"):
        bad = ~((values >= low) & (values <= high))
    if may_be_empty:
        bad &= ~np.isnan(values)
    if bad.any():
        row = int(bad.argmax())
        hint = " (0.001 is 10 bps)" if name == "expected_return" else ""
        raise DataError(
            f"{path}: {name} is {values[row]} in row {row} (counted from 0), and must be a fraction "
            f"between {low:g} and {high:g}{hint}"
        )
    return values


def _rows_by_symbol(
    path: Path, table: pa.Table, symbols: tuple[Symbol, ...]
) -> dict[Symbol, npt.NDArray[np.intp]]:
    """Which rows belong to which of our symbols."""
    if "symbol" not in table.column_names:
        if len(symbols) > 1:
            raise DataError(f"{path}: column symbol is missing, and {len(symbols)} symbols are traded")
        return {symbols[0]: np.arange(table.num_rows)}
    column = table["symbol"]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DataError(f"{path}: column symbol is {column.type}, and must be a string such as BTC/USDT:USDT")
    names = column.to_numpy().astype(object)
    return {symbol: rows for symbol in symbols if len(rows := np.flatnonzero(names == symbol))}


def _refuse_doubles(
    path: Path, symbol: Symbol, ts: npt.NDArray[np.int64], rows: npt.NDArray[np.intp]
) -> None:
    doubled = np.flatnonzero(np.diff(ts) == 0)
    if len(doubled):
        place = int(doubled[0]) + 1
        raise DataError(
            f"{path}: ts {iso_utc(int(ts[place]))} of {symbol} comes twice, again in row {int(rows[place])} "
            "(counted from 0)"
        )


def _match(
    path: Path, columns: Mapping[Symbol, PredictionColumns], candles: Mapping[Symbol, CandleArrays]
) -> tuple[str, ...]:
    """What does not fit, in words; DataError when nothing fits."""
    warnings: list[str] = []
    total = 0
    for symbol, arrays in candles.items():
        known = columns.get(symbol)
        matched = 0 if known is None else int(np.isin(known.ts, arrays.ts, assume_unique=True).sum())
        total += matched
        if matched < len(arrays):
            warnings.append(
                f"{len(arrays) - matched} of {len(arrays)} candles of {symbol} have no prediction"
            )
        if known is not None and matched < len(known):
            warnings.append(f"{len(known) - matched} of {len(known)} predictions of {symbol} have no candle")
    if not total:
        found = ", ".join(
            f"{symbol} {iso_utc(int(known.ts[0]))} to {iso_utc(int(known.ts[-1]))}"
            for symbol, known in columns.items()
        )
        wanted = ", ".join(
            f"{symbol} {iso_utc(int(arrays.ts[0]))} to {iso_utc(int(arrays.ts[-1]))}"
            for symbol, arrays in candles.items()
        )
        raise DataError(
            f"{path}: no prediction belongs to any candle: it has {found or 'none of these symbols'}, "
            f"the candles are {wanted}"
        )
    return tuple(warnings)
