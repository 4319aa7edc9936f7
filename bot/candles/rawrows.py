"""Candle rows as a file has them, sound or not: CSV in many forms, and Parquet in any types.

Nothing is corrected here. What cannot be read as a number or a time is kept as a named fault, so that `check` can
report it and `import` can refuse it.

CSV: any header with a time column (``ts``, ``timestamp``, ``open_time``, ``date``…) and ``open high low close
volume``; or no header and either six columns in that order or the twelve of Binance's download files. Plain,
``.gz``, or a ``.zip`` with one file in it. Times: whole numbers of s, ms, µs or ns, told apart by their magnitude row by row
(Binance changed from ms to µs in 2025), or ISO dates, in UTC unless they name an offset.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from math import nan
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bot.candles.columns import VALUE_COLUMNS
from bot.errors import DataError
from models.candle_arrays import CandleArrays

_TIME_NAMES = ("ts", "timestamp", "open_time", "opentime", "unix", "time", "datetime", "date")
_VALUE_NAMES = {
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "base_volume", "volume_base"),
}
_BARE_WIDTHS = {6, 12}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNREADABLE_TS = -1

MOST_SHOWN = 20
"""Names of columns that a refusal repeats."""


@dataclass(slots=True)
class RawRows:
    """The rows of a file.

    Attributes:
        arrays: Columns of length n in the file's order, not validated: an unreadable value is NaN, an unreadable
            time -1.
        numbers: Shape (n,), int64: where each row stands in the file.
        counted_in: ``line`` (CSV, the first is 1) or ``row`` (Parquet, the first is 0).
        unreadable: Index into ``arrays`` -> why that row could not be read.
    """

    arrays: CandleArrays
    numbers: npt.NDArray[np.int64]
    counted_in: str
    unreadable: dict[int, str] = field(default_factory=dict)


def read_raw(path: Path) -> RawRows:
    """Read a candle file without judging its rows.

    Raises:
        DataError: The file is absent, is neither CSV nor Parquet, or lacks a column.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        with path.open("rb") as handle:
            is_parquet = handle.read(4) == b"PAR1"
        if is_parquet or path.suffix == ".parquet":
            return _read_parquet(path)
        with _open_text(path) as text:
            return _read_csv(path, text)
    except (OSError, EOFError, zipfile.BadZipFile, pa.ArrowException) as error:
        raise DataError(f"{path}: it cannot be read ({_reason(error)})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: it is neither Parquet nor text in UTF-8") from error


def _reason(error: Exception) -> str:
    """What a reader says, without the name that it gave to our bytes."""
    return " ".join(str(error).split()).removeprefix("Could not open Parquet input source '<Buffer>': ")


def time_ms(text: str) -> int:
    """Read a time as milliseconds UTC; ValueError says what is wrong with it."""
    text = text.strip()
    try:
        whole = int(text)
    except ValueError:
        whole = None
    if whole is not None:  # judged as it is written: a float would round nanoseconds to what they are not
        return _number_ms(whole)
    try:
        number = float(text)
    except ValueError:
        return _iso_ms(text)
    if not number.is_integer():
        raise ValueError("ts is not a whole number")
    return _number_ms(int(number))


def _number_ms(number: int) -> int:
    """Seconds below 1e11, milliseconds below 1e14, microseconds below 1e17, then nanoseconds."""
    if number < 0:
        raise ValueError("ts is negative")
    if number < 10**11:
        return number * 1000
    divisor = 1 if number < 10**14 else 1000 if number < 10**17 else 1_000_000
    whole, rest = divmod(number, divisor)
    if rest:
        raise ValueError("ts is not on a whole minute")
    return whole


def _iso_ms(text: str) -> int:
    """Read ``2024-05-01 00:00``, ``2024-05-01T00:00:00Z``, ``… UTC``, ``…+02:00``."""
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        raise ValueError(f"ts {text!r} is not a time") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    whole, rest = divmod(moment - _EPOCH, timedelta(milliseconds=1))
    if rest:
        raise ValueError("ts is not on a whole minute")
    return whole


def _open_text(path: Path) -> TextIO:
    """Open a CSV file, unpacked where it is packed."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise DataError(f"{path}: it holds {len(names)} files, and must hold one")
            return io.StringIO(archive.read(names[0]).decode("utf-8-sig"))
    return path.open(encoding="utf-8-sig", newline="")


def _read_csv(path: Path, text: TextIO) -> RawRows:
    """Read all rows of a CSV file; empty lines are passed over, others never."""
    first_line = text.readline()
    text.seek(0)
    reader = csv.reader(text, delimiter=max(",;\t", key=first_line.count))
    try:
        rows = ((reader.line_num, fields) for fields in reader if fields)
        first = next(rows, None)
        if first is None:
            raise DataError(f"{path}: it is empty")
        if _is_header(first[1]):
            return _collect(rows, _named_columns(path, first[1]), len(first[1]))
        if len(first[1]) not in _BARE_WIDTHS:
            raise DataError(
                f"{path}: line 1 is no header, and {len(first[1])} columns without names are not known "
                "(six are ts,open,high,low,close,volume; twelve are Binance's)"
            )
        return _collect(chain([first], rows), list(range(6)), len(first[1]))
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is not CSV ({error})") from error


def _is_header(fields: list[str]) -> bool:
    """A header names its columns: none of the first six fields is a number."""
    return not any(_float(text) is not None for text in fields[:6])


def _named_columns(path: Path, names: list[str]) -> list[int]:
    """Where ts, open, high, low, close and volume stand among a file's columns."""
    plain = [name.strip().lower().replace(" ", "_") for name in names]
    found: list[int] = []
    for wanted, spellings in {"ts": _TIME_NAMES, **_VALUE_NAMES}.items():
        spelling = next((spelling for spelling in spellings if spelling in plain), None)
        if spelling is None:
            shown = ", ".join(name[:40] for name in names[:MOST_SHOWN])
            more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
            raise DataError(f"{path}: column {wanted} is missing among {shown}{more}")
        if plain.count(spelling) > 1:
            raise DataError(f"{path}: column {spelling} is there twice")
        found.append(plain.index(spelling))
    return found


def _collect(rows: Iterable[tuple[int, list[str]]], columns: list[int], width: int) -> RawRows:
    """Parse rows of text, each with its line number."""
    numbers, stamps = array("q"), array("q")
    values = [array("d") for _ in VALUE_COLUMNS]
    unreadable: dict[int, str] = {}
    for index, (number, fields) in enumerate(rows):
        at_ms, parsed, reason = _parse_row(fields, columns, width)
        numbers.append(number)
        stamps.append(at_ms)
        for column, value in zip(values, parsed, strict=True):
            column.append(value)
        if reason:
            unreadable[index] = reason
    ts = np.array(stamps, dtype=np.int64)
    arrays = CandleArrays(ts, *(np.array(column, dtype=np.float64) for column in values))
    return RawRows(arrays, np.array(numbers, dtype=np.int64), "line", unreadable)


def _parse_row(fields: list[str], columns: list[int], width: int) -> tuple[int, list[float], str | None]:
    """Read one row: its time, its five values, and what is first wrong with it."""
    if len(fields) != width:
        return UNREADABLE_TS, [nan] * 5, f"it has {len(fields)} fields, and the first line has {width}"
    reason = None
    try:
        at_ms = time_ms(fields[columns[0]])
    except ValueError as error:
        at_ms, reason = UNREADABLE_TS, str(error)
    parsed = []
    for name, column in zip(VALUE_COLUMNS, columns[1:], strict=True):
        value = _float(fields[column])
        if value is None and reason is None:
            text = fields[column].strip()
            reason = f"{name} {text!r} is not a number" if text else f"{name} is empty"
        parsed.append(nan if value is None else value)
    return at_ms, parsed, reason


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _read_parquet(path: Path) -> RawRows:
    """Read a Parquet file whose columns may have other names or types than the store's."""
    table = pq.read_table(pa.BufferReader(path.read_bytes()), use_threads=False)
    places = _named_columns(path, table.column_names)
    unreadable: dict[int, str] = {}
    ts = _time_column(table.column(places[0]), unreadable)
    values = [
        _value_column(name, table.column(place), unreadable)
        for name, place in zip(VALUE_COLUMNS, places[1:], strict=True)
    ]
    return RawRows(CandleArrays(ts, *values), np.arange(len(ts), dtype=np.int64), "row", unreadable)


def _time_column(column: pa.ChunkedArray, unreadable: dict[int, str]) -> npt.NDArray[np.int64]:
    """Read times from integers, timestamps or text."""
    if pa.types.is_timestamp(column.type) and not column.null_count:
        whole, rest = np.divmod(
            column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64()).to_numpy(), 10**6
        )
        unreadable |= dict.fromkeys(np.flatnonzero(rest).tolist(), "ts is not on a whole minute")
        return np.where(rest == 0, whole, UNREADABLE_TS)
    if pa.types.is_int64(column.type) and not column.null_count and len(column):
        ts: npt.NDArray[np.int64] = column.to_numpy()
        if ts.min() >= 10**11 and ts.max() < 10**14:
            return ts
    stamps = np.full(len(column), UNREADABLE_TS, dtype=np.int64)
    for index, value in enumerate(column.to_pylist()):
        try:
            stamps[index] = time_ms("" if value is None else str(value))
        except ValueError as error:
            unreadable.setdefault(index, "ts is empty" if value is None else str(error))
    return stamps


def _value_column(name: str, column: pa.ChunkedArray, unreadable: dict[int, str]) -> npt.NDArray[np.float64]:
    """Read numbers from any numeric type or from text."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        numbers: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
        return numbers
    parsed = np.full(len(column), nan)
    for index, value in enumerate(column.to_pylist()):
        number = None if value is None else _float(str(value))
        if number is None:
            text = "empty" if value is None else f"{str(value)!r}, which is not a number"
            unreadable.setdefault(index, f"{name} is {text}")
        else:
            parsed[index] = number
    return parsed
