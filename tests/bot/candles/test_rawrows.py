"""Tests of reading rows as they are, from CSV in many forms and Parquet in any types."""

from __future__ import annotations

import gzip
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.candles.rawrows import read_raw, time_ms
from bot.errors import DataError
from tests.shared_data import shared_file

AT_MS = 1_714_521_600_000
MINUTE = "1,2,0.5,1.5,7"


def csv_file(tmp_path: Path, text: str, name: str = "a.csv") -> Path:
    """A CSV file of this text."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "1714521600",
        "1714521600000",
        "1714521600000000",
        "1714521600000000000",
        "1714521600.0",
        " 1714521600 ",
        "2024-05-01",
        "2024-05-01 00:00:00",
        "2024-05-01T00:00Z",
        "2024-05-01 00:00:00 UTC",
        "2024-05-01T02:00:00+02:00",
    ],
)
def test_a_time_is_read_in_any_unit(text: str) -> None:
    """Seconds to nanoseconds by magnitude, ISO with or without an offset: all the same instant."""
    assert time_ms(text) == AT_MS


@given(st.integers(10**8, 4 * 10**9))
def test_the_unit_never_changes_the_instant(seconds: int) -> None:
    """From 1973 to 2096 the four units of one second agree."""
    assert {time_ms(str(seconds * scale)) for scale in (1, 10**3, 10**6, 10**9)} == {seconds * 1000}


@pytest.mark.parametrize(
    "text", ["", "soon", "nan", "-5", "1.5", "1714521600000001", "2024-13-01", "2024-05-01T00:00:00.0001"]
)
def test_what_is_no_time_is_an_error(text: str) -> None:
    """A time is read exactly or not at all: a rest below a millisecond is not cut off."""
    with pytest.raises(ValueError, match="ts"):
        time_ms(text)


@pytest.mark.parametrize(
    "text",
    [
        f"ts,open,high,low,close,volume\n{AT_MS},{MINUTE}\n",
        f"Timestamp;Open;High;Low;Close;Volume\n{AT_MS};{MINUTE.replace(',', ';')}\n",
        "\ufeffdate,symbol,volume,close,low,high,open\n2024-05-01 00:00,BTC,7,1.5,0.5,2,1\n",
        f"{AT_MS},{MINUTE}\n",
        f"{AT_MS * 1000},{MINUTE},0,0,0,0,0,0\n\n",
        f"Open time,Open,High,Low,Close,Volume,Close time\r\n{AT_MS},{MINUTE},9\r\n",
    ],
)
def test_csv_forms_are_understood(tmp_path: Path, text: str) -> None:
    """With a header of any order, with none, with other delimiters: the same candle."""
    raw = read_raw(csv_file(tmp_path, text))
    row = [getattr(raw.arrays, name).tolist() for name in ("ts", "open", "high", "low", "close", "volume")]
    assert row == [[AT_MS], [1.0], [2.0], [0.5], [1.5], [7.0]]
    assert raw.unreadable == {}


@pytest.mark.parametrize(
    ("name", "first", "close"),
    [
        ("spot-BTCUSDT-1m-2024-03-05.csv", datetime(2024, 3, 5, tzinfo=UTC), 68157.84),
        ("spot-BTCUSDT-1m-2025-01-20.csv", datetime(2025, 1, 20, tzinfo=UTC), 100984.07),
        ("usdm-ETHUSDT-1m-2023-03-10.csv", datetime(2023, 3, 10, tzinfo=UTC), 1435.12),
    ],
)
def test_real_download_files_are_read(name: str, first: datetime, close: float) -> None:
    """Binance's own files, in ms, in µs and with a header, are 1440 whole minutes."""
    raw = read_raw(shared_file("exchange", "binance", "raw-klines", name))
    assert len(raw.arrays) == 1440
    assert raw.arrays.ts[0] == int(first.timestamp() * 1000)
    assert set(np.diff(raw.arrays.ts)) == {60_000}
    assert raw.arrays.close[0] == close
    assert raw.unreadable == {}


def test_packed_files_are_read(tmp_path: Path) -> None:
    """gzip, and zip with one file in it; a zip with two is refused."""
    text = f"{AT_MS},{MINUTE}\n"
    with gzip.open(tmp_path / "a.csv.gz", "wt") as packed:
        packed.write(text)
    for name, count in (("one.zip", 1), ("two.zip", 2)):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for index in range(count):
                archive.writestr(f"{index}.csv", text)
    assert read_raw(tmp_path / "a.csv.gz").arrays.ts.tolist() == [AT_MS]
    assert read_raw(tmp_path / "one.zip").arrays.ts.tolist() == [AT_MS]
    with pytest.raises(DataError, match=r"two\.zip: it holds 2 files"):
        read_raw(tmp_path / "two.zip")


def test_unreadable_rows_are_kept_and_named_by_line(tmp_path: Path) -> None:
    """A row that cannot be parsed stays in its place with the reason, and line numbers are the file's."""
    lines = [
        "ts,open,high,low,close,volume",
        f"{AT_MS},{MINUTE}",
        "",
        f"{AT_MS},1,2,0.5,many,7",
        "never,1,2,0.5,1.5,7",
        f"{AT_MS},1,2",
        f"{AT_MS},1,2,0.5,1.5,",
    ]
    raw = read_raw(csv_file(tmp_path, "\n".join(lines)))
    assert raw.numbers.tolist() == [2, 4, 5, 6, 7]
    assert raw.unreadable == {
        1: "close 'many' is not a number",
        2: "ts 'never' is not a time",
        3: "it has 3 fields, and the first line has 6",
        4: "volume is empty",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("ts,open,high,low,close\n", "column volume is missing among ts, open, high, low, close"),
        ("ts,open,high,low,close,volume,volume\n", "column volume is there twice"),
        ("1,2,3\n", "3 columns without names"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """The sentence names the file and what is missing in it."""
    with pytest.raises(DataError, match=rf"a\.csv: .*{words}"):
        read_raw(csv_file(tmp_path, text))


def test_what_is_neither_text_nor_parquet_is_refused(tmp_path: Path) -> None:
    """Foreign bytes, a damaged archive and an absent file are named, whatever reads them."""
    for name, content in (
        ("a.csv", b"\xff\xfe\x00\x01"),
        ("a.zip", b"PK"),
        ("a.gz", b"\x1f\x8b"),
        ("a.parquet", b"PAR1"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read_raw(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        read_raw(tmp_path / "none.csv")


@pytest.mark.parametrize(
    "stamps",
    [
        pa.array([AT_MS, AT_MS + 60_000]),
        pa.array([AT_MS // 1000, AT_MS // 1000 + 60]),
        pa.array([AT_MS * 1000, (AT_MS + 60_000) * 1000], pa.timestamp("us", "UTC")),
        pa.array([AT_MS, AT_MS + 60_000], pa.timestamp("ms")),
        pa.array(["2024-05-01 00:00", "2024-05-01 00:01"]),
    ],
)
def test_parquet_of_other_types_is_read(tmp_path: Path, stamps: Any) -> None:
    """Times as integers, timestamps or text, prices as integers, small floats or text."""
    path = tmp_path / "a.parquet"
    two = {"open": [1, 1], "high": ["2", "2"], "low": pa.array([0.5, 0.5], pa.float32()), "close": [1.5, 1.5]}
    pq.write_table(pa.table({"timestamp": stamps, **two, "vol": [7, 7]}), path)
    raw = read_raw(path)
    assert raw.arrays.ts.tolist() == [AT_MS, AT_MS + 60_000]
    assert raw.arrays.high.tolist() == [2.0, 2.0]
    assert raw.unreadable == {}


def test_nulls_and_words_in_parquet_are_named(tmp_path: Path) -> None:
    """What is empty or no number is kept as such, with its row."""
    path = tmp_path / "a.parquet"
    ones = [1.0, 1.0, 1.0]
    pq.write_table(
        pa.table(
            {
                "ts": [AT_MS, None, AT_MS],
                "open": ones,
                "high": ones,
                "low": ones,
                "close": ["1", "1", "x"],
                "volume": ones,
            }
        ),
        path,
    )
    assert read_raw(path).unreadable == {1: "ts is empty", 2: "close is 'x', which is not a number"}


def test_a_nanosecond_off_the_minute_is_refused_and_not_rounded_away() -> None:
    """Whole numbers are judged as they are written, beyond what a float can hold too."""
    assert time_ms("1700000040000000000") == 1_700_000_040_000
    with pytest.raises(ValueError, match="whole minute"):
        time_ms("1700000040000000001")
