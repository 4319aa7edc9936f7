"""Recorded bars, read from Parquet files: ``ts`` int64 (open time, ms UTC), five float64 columns.

A file that breaks a rule is refused with its name, column and row; nothing is repaired.
"""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bot.errors import DataError
from bot.simexchange.bars import MINUTE_MS
from models.candle_arrays import CandleArrays

PRICES = ("open", "high", "low", "close")
COLUMNS = ("ts", *PRICES, "volume")


class TapeSource:
    """Tapes of several symbols, played together; minutes that a tape lacks stay holes."""

    def __init__(self, tapes: dict[str, CandleArrays]) -> None:
        """Take the bars by exchange id, at least one symbol, each with at least one bar."""
        self.symbols = tuple(sorted(tapes))
        self._tapes = tapes
        self._minutes: npt.NDArray[np.int64] = np.unique(np.concatenate([tape.ts for tape in tapes.values()]))
        self.start_ms = int(self._minutes[0])
        self.end_ms: int | None = int(self._minutes[-1]) + MINUTE_MS

    def between(self, symbol: str, since_ms: int, until_ms: int) -> CandleArrays:
        """The bars with since_ms <= ts < until_ms, as views."""
        return self._tapes[symbol].between(since_ms, until_ms)

    def next_minute(self, at_ms: int) -> int | None:
        """The first minute at or after ``at_ms`` in which any tape has a bar."""
        index = int(np.searchsorted(self._minutes, at_ms))
        return int(self._minutes[index]) if index < len(self._minutes) else None

    def describe(self) -> dict[str, Any]:
        """Say what is played, with a hash of its times and closes."""
        digest = hashlib.sha256()
        for symbol in self.symbols:
            tape = self._tapes[symbol]
            digest.update(symbol.encode())
            digest.update(tape.ts.tobytes())
            digest.update(tape.close.tobytes())
        bars = {symbol: len(self._tapes[symbol]) for symbol in self.symbols}
        return {"kind": "tape", "bars": bars, "fingerprint": digest.hexdigest()[:16]}


def read_tape(path: Path) -> CandleArrays:
    """Read and check one file; raises DataError that names file, column and row."""
    table = _read_table(path)
    columns = {name: _column(path, table, name) for name in COLUMNS}
    ts = columns["ts"]
    if len(ts) == 0:
        raise DataError(f"{path}: no rows")
    _require(path, "ts", ts % MINUTE_MS == 0, "is not on a whole minute")
    steps = np.diff(ts, prepend=ts[0] - MINUTE_MS)
    _require(path, "ts", steps != 0, "repeats the minute before it")
    _require(path, "ts", steps > 0, "is earlier than the row before it")
    for name in COLUMNS[1:]:
        _require(path, name, np.isfinite(columns[name]), "is not a finite number")
    _require(path, "low", columns["low"] > 0, "is not positive")
    _require(path, "high", columns["high"] >= columns["low"], "is below low")
    for name in ("open", "close"):
        inside = (columns["low"] <= columns[name]) & (columns[name] <= columns["high"])
        _require(path, name, inside, "is outside low..high")
    _require(path, "volume", columns["volume"] >= 0, "is negative")
    return CandleArrays(**columns)


def read_funding(path: Path) -> dict[int, float]:
    """Read funding rates by payment time; raises DataError that names file and column."""
    table = _read_table(path)
    times = _column(path, table, "ts")
    rates = _column(path, table, "funding_rate")
    _require(path, "funding_rate", np.isfinite(rates), "is not a finite number")
    return dict(zip(times.tolist(), rates.tolist(), strict=True))


def join_tapes(parts: list[tuple[Path, CandleArrays]]) -> CandleArrays:
    """Several files of one symbol as one tape; raises DataError where they overlap."""
    parts = sorted(parts, key=lambda part: int(part[1].ts[0]))
    for (first_path, first), (second_path, second) in itertools.pairwise(parts):
        if second.ts[0] <= first.ts[-1]:
            raise DataError(f"{second_path}: column ts, row 0 lies inside {first_path}")
    tapes = [tape for _, tape in parts]
    if len(tapes) == 1:
        return tapes[0]
    return CandleArrays(**{name: np.concatenate([getattr(tape, name) for tape in tapes]) for name in COLUMNS})


def write_tape(path: Path, bars: CandleArrays) -> None:
    """Write bars as a tape."""
    table = pa.table({name: getattr(bars, name) for name in COLUMNS})
    pq.write_table(table, path, compression="zstd")


def _read_table(path: Path) -> Any:
    try:
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split()).removeprefix(f"Could not open Parquet input source '{path}': ")
        raise DataError(f"{path}: not a readable Parquet file: {reason}") from error


def _column(path: Path, table: Any, name: str) -> npt.NDArray[Any]:
    """One column as an array of its proper type, without missing values."""
    wanted = pa.int64() if name == "ts" else pa.float64()
    if table.column_names.count(name) != 1:
        raise DataError(f"{path}: wants one column {name}, has {', '.join(table.column_names)}")
    column = table.column(name)
    if column.type != wanted:
        raise DataError(f"{path}: column {name} is {column.type}, not {wanted}")
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        raise DataError(f"{path}: column {name}, row {row} is missing")
    array: npt.NDArray[Any] = column.to_numpy()
    return array


def _require(path: Path, name: str, holds: npt.NDArray[np.bool_], fault: str) -> None:
    if not holds.all():
        raise DataError(f"{path}: column {name}, row {int(np.argmin(holds))} {fault}")
