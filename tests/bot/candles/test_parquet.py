"""Tests of reading one Parquet file strictly, and of replacing it in one step."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.candles.parquet import read_candles, replace_candles
from bot.core.market import MINUTE_MS
from bot.errors import DataError, StorageError
from models.candle_arrays import CandleArrays
from tests.shared_data import candle_file

START = 1_714_521_600_000


def candles(count: int = 300) -> CandleArrays:
    """A random walk of sound candles."""
    rng = np.random.default_rng(7)
    path = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, count + 1)))
    opened, closed = path[:-1], path[1:]
    high, low = np.maximum(opened, closed) * 1.001, np.minimum(opened, closed) * 0.999
    return CandleArrays(START + MINUTE_MS * np.arange(count), opened, high, low, closed, rng.random(count))


def columns_of(arrays: CandleArrays) -> dict[str, Any]:
    """A table's columns by name."""
    return {name: getattr(arrays, name).copy() for name in CandleArrays.__slots__}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse to make any file larger than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Columns survive a round trip to the bit, and nothing else is left in the folder."""
    path = tmp_path / "a.parquet"
    replace_candles(path, candles())
    read = read_candles(path)
    assert all(
        np.array_equal(getattr(read, name), getattr(candles(), name)) for name in CandleArrays.__slots__
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]


def test_a_real_file_is_read_whole() -> None:
    """A month of a real exchange passes every rule."""
    arrays = read_candles(candle_file("binanceusdm-FILUSDT-1m-2023-02-01_2023-02-28.parquet"))
    assert len(arrays) == 40_320


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.999])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, keep: float) -> None:
    """However short the rest is, the sentence names the file."""
    path = tmp_path / "cut.parquet"
    replace_candles(path, candles())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(DataError, match=r"cut\.parquet.*not a whole Parquet file"):
        read_candles(path)


def test_any_changed_byte_of_the_pages_is_found(tmp_path: Path) -> None:
    """A flipped bit in the stored values is refused, never read as another price."""
    path = tmp_path / "flipped.parquet"
    replace_candles(path, candles())
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    for at in range(60, len(whole) - footer, 101):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            read = read_candles(path)
        except DataError as error:
            assert "flipped.parquet" in str(error)  # noqa: PT017 - either outcome is checked
        else:
            assert np.array_equal(read.close, candles().close)


def test_an_absent_file_and_a_folder_are_named(tmp_path: Path) -> None:
    """What is not a file is said to be so."""
    with pytest.raises(DataError, match=r"none\.parquet: there is no such file"):
        read_candles(tmp_path / "none.parquet")
    with pytest.raises(DataError, match="it is not a file"):
        read_candles(tmp_path)


@pytest.mark.parametrize(
    ("left", "right"), [("high", "low"), ("close", "volume"), ("open", "high"), ("open", "close")]
)
def test_swapped_columns_are_refused(tmp_path: Path, left: str, right: str) -> None:
    """Two columns that carry each other's name are caught, and one of them is named."""
    columns = columns_of(candles())
    columns[left], columns[right] = columns[right], columns[left]
    path = tmp_path / "swapped.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(
        DataError, match=rf"swapped\.parquet: .*({left}|{right}).*row 0 .*2024-05-01T00:00:00Z"
    ):
        read_candles(path)


def test_the_order_of_columns_and_foreign_columns_do_not_matter(tmp_path: Path) -> None:
    """Columns are found by name, and others are ignored."""
    columns = dict(reversed(columns_of(candles()).items())) | {"trades": np.arange(300)}
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path)
    assert np.array_equal(read_candles(path).low, candles().low)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("volume"), "column volume is missing"),
        (lambda c: c.update(ts=c["ts"].astype(float)), "column ts is double, and must be int64"),
        (lambda c: c.update(close=c["close"].astype(str)), "column close is .*string, and must be double"),
        (lambda c: c.update(open=c["open"].astype(np.float32)), "column open is float, and must be double"),
        (lambda c: c["high"].__setitem__(5, np.nan), r"high is not a finite number in row 5 .*00:05:00Z"),
        (lambda c: c["volume"].__setitem__(6, np.inf), "volume is not a finite number in row 6"),
        (lambda c: c["volume"].__setitem__(6, -1), "volume is negative in row 6"),
        (lambda c: c["ts"].__setitem__(7, START + 7 * MINUTE_MS + 1), "ts is not on a whole minute in row 7"),
        (lambda c: c["ts"].__setitem__(8, c["ts"][7]), "ts repeats the minute of the row before it in row 8"),
        (lambda c: c["ts"].__setitem__(9, c["ts"][3]), "ts is earlier than the row before it in row 9"),
        (lambda c: c.update(ts=c["ts"] * 1000), "ts is no time in milliseconds"),
    ],
)
def test_each_fault_is_named_with_its_column_and_row(tmp_path: Path, change: Any, words: str) -> None:
    """One sentence names the file, the column, and the first bad row."""
    columns = columns_of(candles())
    change(columns)
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError, match=rf"bad\.parquet: {words}") as refusal:
        read_candles(path)
    assert "\n" not in str(refusal.value)


def test_empty_values_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    """A null is no number and no time, and a file without rows is no tape."""
    path = tmp_path / "bad.parquet"
    table = pa.table(columns_of(candles(3)))
    closes = candles(3).close
    pq.write_table(table.set_column(4, "close", pa.array([closes[0], None, closes[2]], pa.float64())), path)
    with pytest.raises(DataError, match="close is not a finite number in row 1"):
        read_candles(path)
    pq.write_table(table.set_column(0, "ts", pa.array([START, None, START], pa.int64())), path)
    with pytest.raises(DataError, match="ts is empty in 1 of 3 rows"):
        read_candles(path)
    pq.write_table(table.slice(0, 0), path)
    with pytest.raises(DataError, match="holds no candles"):
        read_candles(path)


@pytest.mark.parametrize("size", [0, 200, 6000])
def test_a_disk_that_is_full_leaves_the_earlier_file(tmp_path: Path, size: int) -> None:
    """When the kernel refuses the bytes, the old file is intact, the new one is gone, the error names the path."""
    path = tmp_path / "a.parquet"
    replace_candles(path, candles(300))
    before = path.read_bytes()
    with largest_file(size), pytest.raises(StorageError, match=r"a\.parquet: the disk refused.*too large"):
        replace_candles(path, candles(299))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]
