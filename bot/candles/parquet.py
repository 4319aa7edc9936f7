"""One Parquet file of candles: read and refused unless sound, written in one step.

A write puts the whole file beside the old one, makes it durable and renames it: a reader, a crash or a full disk
meets the old file or the new one, never a part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bot.candles.columns import COLUMNS, first_fault
from bot.errors import BotError, DataError, StorageError
from models.candle_arrays import CandleArrays

_TYPES = dict.fromkeys(COLUMNS, pa.float64()) | {"ts": pa.int64()}


def read_candles(path: Path) -> CandleArrays:
    """Read a Parquet file of candles and refuse it unless every row is sound.

    The columns are ``ts`` (int64, open time in ms UTC) and ``open high low close volume`` (float64), found by
    name; others are ignored.

    Raises:
        DataError: The file is absent, truncated or not Parquet, lacks a column or has it in another type, or a
            row breaks a rule; one sentence names the file, the column, and the first bad row.
    """
    table = _read_table(path)
    _check_types(path, table.schema)
    if not table.num_rows:
        raise DataError(f"{path}: it holds no candles")
    nulls = table["ts"].null_count
    if nulls:
        raise DataError(f"{path}: ts is empty in {nulls} of {table.num_rows} rows")
    # A null in a value column becomes NaN, which the row rules name.
    arrays = CandleArrays(*(table[name].to_numpy() for name in COLUMNS))
    fault = first_fault(arrays)
    if fault:
        raise DataError(f"{path}: {fault}")
    return arrays


def _read_table(path: Path) -> pa.Table:
    """Read the candle columns that a Parquet file has; what is not readable is a DataError."""
    if not path.is_file():
        raise DataError(
            f"{path}: there is no such file" if not path.exists() else f"{path}: it is not a file"
        )
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            present = [name for name in COLUMNS if name in file.schema_arrow.names]
            return file.read(columns=present, use_threads=False)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: it is not a whole Parquet file ({reason})") from error


def _check_types(path: Path, schema: pa.Schema) -> None:
    """Refuse a file that lacks a column or has it in another type."""
    for name, wanted in _TYPES.items():
        if name not in schema.names:
            raise DataError(f"{path}: column {name} is missing")
        found = schema.field(name).type
        if found != wanted:
            hint = "`bot data import` converts what can be converted"
            raise DataError(f"{path}: column {name} is {found}, and must be {wanted}; {hint}")


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StorageError that names the path."""
    try:
        yield
    except BotError:
        raise
    except (OSError, pa.ArrowException) as error:
        code = getattr(error, "errno", None)
        where, reason = getattr(error, "filename", None) or path, os.strerror(code) if code else str(error)
        raise StorageError(
            f"{where}: the disk refused the candles ({reason}); what was stored is as it was"
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each of them durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def replace_candles(path: Path, arrays: CandleArrays) -> None:
    """Write a month beside its file, make it durable, and put it in its place in one step."""
    table = pa.table(
        [pa.array(getattr(arrays, name), type=_TYPES[name]) for name in COLUMNS], names=list(COLUMNS)
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with disk(path):
        try:
            with temporary.open("wb") as handle:
                pq.write_table(table, handle, compression="zstd", write_page_checksum=True)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
