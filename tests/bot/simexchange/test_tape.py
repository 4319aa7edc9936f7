"""Reading tapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.errors import DataError
from bot.simexchange.tape import COLUMNS, TapeSource, join_tapes, read_funding, read_tape
from tests.shared_data import candle_file, shared_file


def _columns(bars) -> dict[str, np.ndarray]:
    return {name: getattr(bars("A", 5), name).copy() for name in COLUMNS}


def _spoil(columns: dict[str, np.ndarray], fault: str) -> dict[str, np.ndarray]:
    match fault:
        case "doubled":
            columns["ts"][3] = columns["ts"][2]
        case "backwards":
            columns["ts"][3] -= 10 * 60_000
        case "odd":
            columns["ts"][3] += 1
        case "nan":
            columns["volume"][3] = np.nan
        case "negative":
            columns["volume"][3] = -1
        case "upside down":
            columns["high"][3], columns["low"][3] = columns["low"][3] - 1, columns["high"][3]
        case "outside":
            columns["close"][3] = columns["high"][3] + 1
        case "free":
            columns["low"][3] = 0
    return columns


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("doubled", "column ts, row 3 repeats"),
        ("backwards", "column ts, row 3 is earlier"),
        ("odd", "column ts, row 3 is not on a whole minute"),
        ("nan", "column volume, row 3 is not a finite"),
        ("negative", "column volume, row 3 is negative"),
        ("upside down", "column high, row 3 is below low"),
        ("outside", "column close, row 3 is outside"),
        ("free", "column low, row 3 is not positive"),
    ],
)
def test_a_bad_row_is_refused_by_file_column_and_row(tmp_path: Path, bars, fault: str, words: str) -> None:
    """Every rule that a row can break is named with file, column and row."""
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table(_spoil(_columns(bars), fault)), path)
    with pytest.raises(DataError, match=words) as caught:
        read_tape(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: {k: v for k, v in c.items() if k != "close"}, "wants one column close"),
        (lambda c: {**c, "ts": c["ts"].astype(float)}, "column ts is double, not int64"),
        (lambda c: {**c, "volume": pa.array([1.0, None, 1.0, 1.0, 1.0])}, "column volume, row 1 is missing"),
        (lambda c: {k: v[:0] for k, v in c.items()}, "no rows"),
    ],
)
def test_a_bad_table_is_refused_by_its_column(tmp_path: Path, bars, change, words: str) -> None:
    """Missing columns, wrong types, missing values and empty files are refused."""
    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table(change(_columns(bars))), path)
    with pytest.raises(DataError, match=words):
        read_tape(path)


def test_a_broken_file_is_refused(tmp_path: Path, make_tape) -> None:
    """A truncated file and a missing one are DataErrors that name the file."""
    path = make_tape()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=f"{path.name}: not a readable Parquet"):
        read_tape(path)
    with pytest.raises(DataError, match="no such file"):
        read_tape(tmp_path / "absent.parquet")


def test_a_tape_is_read_as_it_was_written(make_tape, bars) -> None:
    """What was written comes back to the bit."""
    tape = read_tape(make_tape(minutes=7))
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(tape, name), getattr(bars("BTCUSDT", 7), name))


def test_files_of_one_symbol_are_joined_unless_they_overlap(bars, start_ms: int) -> None:
    """Stretches that follow one another make one tape; overlapping ones are refused."""
    first, second = bars("A", 5), bars("A", 5, start_ms=start_ms + 10 * 60_000)
    assert len(join_tapes([(Path("b"), second), (Path("a"), first)])) == 10
    with pytest.raises(DataError, match="lies inside"):
        join_tapes([(Path("a"), first), (Path("b"), bars("A", 5, start_ms=start_ms + 60_000))])


def test_the_next_minute_is_that_of_any_symbol(bars, start_ms: int) -> None:
    """A minute counts when one symbol has it; after the last there is none."""
    source = TapeSource({"A": bars("A", 3, holes=(1,)), "B": bars("B", 2)})
    assert source.next_minute(start_ms + 1) == start_ms + 60_000
    assert source.next_minute(start_ms + 120_000) == start_ms + 120_000
    assert source.next_minute(start_ms + 120_001) is None


def test_two_tapes_that_differ_have_different_fingerprints(bars) -> None:
    """A single changed close changes the fingerprint."""
    one, two = bars("A", 5), bars("A", 5)
    two.close[2] += 0.01
    assert (
        TapeSource({"A": one}).describe()["fingerprint"] != TapeSource({"A": two}).describe()["fingerprint"]
    )


def test_a_real_tape_and_real_funding_rates_are_read() -> None:
    """A recorded file with an exchange outage is played with its hole."""
    tape = read_tape(candle_file("binance-ADAUSDT-1m-2023-03-16_2023-05-01.parquet"))
    assert int(np.diff(tape.ts).max()) == 81 * 60_000
    funding = shared_file("funding", "binanceusdm-BTCUSDT-funding-2023-07-04_2023-08-17.parquet")
    assert len(read_funding(funding)) == 131
