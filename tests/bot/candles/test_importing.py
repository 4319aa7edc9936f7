"""Tests of bringing files of others into the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bot.candles.importing import BadRowsError, import_file
from bot.candles.store import CandleStore, WriteOutcome, read_candles
from bot.errors import DataError
from tests.shared_data import candle_file, shared_file

AT_MS = 1_714_521_600_000
SYMBOL = "BTC/USDT"
FOREVER = 2**60


def line(minute: int, values: str = "1,2,0.5,1.5,7") -> str:
    """A CSV row of this minute."""
    return f"{AT_MS + minute * 60_000},{values}"


def csv_file(tmp_path: Path, *lines: str) -> Path:
    """A CSV file of these rows, without header."""
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines))
    return path


def test_rows_are_imported_in_any_order_and_once(tmp_path: Path) -> None:
    """A file with the newest row first fills the store in order, and a second import changes nothing."""
    store = CandleStore(tmp_path / "store")
    path = csv_file(tmp_path, line(2), line(1), line(0))
    outcome = import_file(path, store, "binance", SYMBOL)
    assert (outcome.rows, outcome.stored, outcome.skipped) == (3, WriteOutcome(3, 0, 0), ())
    assert np.diff(store.read("binance", SYMBOL, 0, FOREVER).ts).tolist() == [60_000, 60_000]
    assert import_file(path, store, "binance", SYMBOL).stored == WriteOutcome(0, 3, 0)


BAD_LINES = [
    line(0),
    line(1, "1,0.9,0.5,1.5,7"),
    line(2, "1,2,0.5,x,7"),
    line(3),
    line(3),
    line(4),
    line(4, "1,2,0.5,1.6,7"),
    f"{AT_MS + 7},1,2,0.5,1.5,7",
    "9999999999999,1,2,0.5,1.5,7",
    line(5),
]
BAD = {
    2: "open is outside low..high (2024-05-01T00:01:00Z)",
    3: "close 'x' is not a number (2024-05-01T00:02:00Z)",
    5: "ts repeats the minute of line 4 (2024-05-01T00:03:00Z)",
    6: "ts is the minute of 2 rows that differ, the first in line 6 (2024-05-01T00:04:00Z)",
    7: "ts is the minute of 2 rows that differ, the first in line 6 (2024-05-01T00:04:00Z)",
    8: "ts is not on a whole minute (2024-05-01T00:00:00.007Z)",
    9: "ts is not on a whole minute (2286-11-20T17:46:39.999Z)",
}


def test_a_file_with_bad_rows_is_refused_and_each_is_named(tmp_path: Path) -> None:
    """All bad rows are listed by line and reason, the sentence tells the first, and nothing is written."""
    store = CandleStore(tmp_path / "store")
    with pytest.raises(
        BadRowsError, match=r"a\.csv: 7 bad rows.*line 2: open is outside.*and 4 more.*--skip-bad"
    ) as refusal:
        import_file(csv_file(tmp_path, *BAD_LINES), store, "binance", SYMBOL)
    assert {row.number: row.reason for row in refusal.value.bad_rows} == BAD
    assert store.listing() == []


def test_bad_rows_can_be_left_out_but_are_never_changed(tmp_path: Path) -> None:
    """With skip_bad the good rows are stored as they are; of two that disagree about a minute neither is."""
    store = CandleStore(tmp_path / "store")
    outcome = import_file(csv_file(tmp_path, *BAD_LINES), store, "binance", SYMBOL, skip_bad=True)
    assert {row.number: row.reason for row in outcome.skipped} == BAD
    stored = store.read("binance", SYMBOL, 0, FOREVER)
    assert ((stored.ts - AT_MS) // 60_000).tolist() == [0, 3, 5]
    assert set(stored.close) == {1.5}


def test_a_file_without_a_good_row_is_refused(tmp_path: Path) -> None:
    """Skipping every row is not an import."""
    with pytest.raises(DataError, match="holds no sound candle"):
        import_file(
            csv_file(tmp_path, line(0, "0,0,0,0,0")),
            CandleStore(tmp_path / "s"),
            "binance",
            SYMBOL,
            skip_bad=True,
        )


def test_a_file_that_contradicts_the_store_is_refused(tmp_path: Path) -> None:
    """A differing candle is named with the imported file, and replaced only when asked."""
    store = CandleStore(tmp_path / "store")
    import_file(csv_file(tmp_path, line(0)), store, "binance", SYMBOL)
    path = csv_file(tmp_path, line(0, "1,2,0.5,1.6,7"))
    with pytest.raises(DataError, match=r"a\.csv: .*close at 2024-05-01T00:00:00Z is stored as 1\.5"):
        import_file(path, store, "binance", SYMBOL)
    assert import_file(path, store, "binance", SYMBOL, revise=True).stored == WriteOutcome(0, 0, 1)


def test_a_real_day_equals_the_same_day_from_elsewhere(tmp_path: Path) -> None:
    """Binance's own file of a day, in microseconds, holds the candles that the long recording has of that day."""
    store = CandleStore(tmp_path)
    raw = shared_file("exchange", "binance", "raw-klines", "spot-BTCUSDT-1m-2025-01-20.csv")
    import_file(raw, store, "binance", SYMBOL)
    stored = store.read("binance", SYMBOL, 0, FOREVER)
    recording = read_candles(candle_file("binance-BTCUSDT-1m-2023-01-01_2025-03-31.parquet"))
    same_day = recording.between(int(stored.ts[0]), int(stored.ts[-1]) + 1)
    assert len(stored) == 1440
    for name in ("ts", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(stored, name), getattr(same_day, name))
