"""Tests of the month files: merging, revisions, damage, two writers, a full disk."""

from __future__ import annotations

import multiprocessing
import resource
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.candles.columns import concatenate, from_rows, take
from bot.candles.store import CandleStore, WriteOutcome
from bot.core.market import MINUTE_MS
from bot.errors import DataError, StorageError
from models.candle_arrays import CandleArrays

SYMBOL = "BTC/USDT:USDT"
TURN = int(datetime(2024, 6, 1, tzinfo=UTC).timestamp()) * 1000
FOREVER = 2**60


def candles(minutes: range | list[int], close: float = 1.5) -> CandleArrays:
    """Candles at minutes counted from the turn of a month."""
    return from_rows([(TURN + m * MINUTE_MS, 1.0, 2.0, 0.5, close, float(abs(m))) for m in minutes])


def same(left: CandleArrays, right: CandleArrays) -> bool:
    """Equal in every column."""
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in CandleArrays.__slots__)


def test_candles_lie_in_month_files_and_come_back_in_order(tmp_path: Path) -> None:
    """A write over the turn of a month makes two files, and a read joins them."""
    store = CandleStore(tmp_path)
    assert store.write("binanceusdm", SYMBOL, candles(range(-5, 5))) == WriteOutcome(10, 0, 0)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet"))
    assert files == ["binanceusdm/BTC_USDT_USDT/2024-05.parquet", "binanceusdm/BTC_USDT_USDT/2024-06.parquet"]
    assert same(store.read("binanceusdm", SYMBOL, 0, FOREVER), candles(range(-5, 5)))
    assert same(store.read("binanceusdm", SYMBOL, TURN - MINUTE_MS, TURN + MINUTE_MS), candles(range(-1, 1)))
    assert store.last_opened_at_ms("binanceusdm", SYMBOL) == TURN + 4 * MINUTE_MS


def test_what_is_not_stored_is_empty(tmp_path: Path) -> None:
    """An unknown symbol, and an empty write, give nothing and make nothing."""
    store = CandleStore(tmp_path / "new")
    assert len(store.read("binance", "ETH/USDT", 0, FOREVER)) == 0
    assert store.last_opened_at_ms("binance", "ETH/USDT") is None
    assert store.write("binance", "ETH/USDT", candles([])) == WriteOutcome(0, 0, 0)
    assert store.listing() == []
    assert not (tmp_path / "new").exists()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.integers(-6, 6), min_size=1), min_size=1, max_size=5))
def test_writes_in_any_order_end_as_the_union(
    tmp_path_factory: pytest.TempPathFactory, parts: list[set[int]]
) -> None:
    """However the candles arrive, overlapping or not, the store holds each minute once, in order."""
    store = CandleStore(tmp_path_factory.mktemp("store"))
    known: set[int] = set()
    for part in parts:
        outcome = store.write("binance", SYMBOL, candles(sorted(part)))
        assert outcome == WriteOutcome(len(part - known), len(part & known), 0)
        known |= part
    assert same(store.read("binance", SYMBOL, 0, FOREVER), candles(sorted(known)))


def test_a_differing_row_is_refused_and_nothing_of_it_is_written(tmp_path: Path) -> None:
    """A stored candle is not overwritten in passing: not in its month, nor in the month before."""
    store = CandleStore(tmp_path)
    store.write("binance", SYMBOL, candles(range(3)))
    changed = concatenate([candles(range(-3, 0)), candles([0]), candles([1], close=1.25)])
    with pytest.raises(
        DataError, match=r"2024-06\.parquet: close at 2024-06-01T00:01:00Z is stored as 1\.5 .* 1\.25"
    ):
        store.write("binance", SYMBOL, changed)
    assert same(store.read("binance", SYMBOL, 0, FOREVER), candles(range(3)))
    assert store.write("binance", SYMBOL, changed, revise=True) == WriteOutcome(3, 1, 1)
    assert store.read("binance", SYMBOL, 0, FOREVER).close.tolist() == [1.5, 1.5, 1.5, 1.5, 1.25, 1.5]


def test_unsound_rows_are_never_stored(tmp_path: Path) -> None:
    """A write with a bad row, or out of order, is refused as a whole."""
    store = CandleStore(tmp_path)
    with pytest.raises(DataError, match=r"close is outside low..high in row 2 .*nothing was stored"):
        store.write("binance", SYMBOL, concatenate([candles(range(2)), candles([2], close=9.0)]))
    with pytest.raises(DataError, match="ts is earlier"):
        store.write("binance", SYMBOL, candles([1, 0]))
    assert store.listing() == []


@pytest.mark.parametrize(("exchange", "symbol"), [("../x", SYMBOL), ("binance", "../../etc"), ("", SYMBOL)])
def test_names_cannot_leave_the_store(tmp_path: Path, exchange: str, symbol: str) -> None:
    """An exchange or symbol that is no name is refused before any file is touched."""
    with pytest.raises(DataError, match="is no"):
        CandleStore(tmp_path / "store").write(exchange, symbol, candles(range(1)))
    assert not (tmp_path / "store").exists()


def test_a_damaged_month_is_named_and_not_merged_over(tmp_path: Path) -> None:
    """A truncated stored file, or one with another month's rows, stops reading and writing, and stays as it is."""
    store = CandleStore(tmp_path)
    store.write("binance", SYMBOL, candles(range(-3, 3)))
    may, june = sorted(tmp_path.rglob("*.parquet"))
    june.write_bytes(may.read_bytes())
    with pytest.raises(DataError, match=r"2024-06\.parquet: ts 2024-05-31T23:57:00Z is not of that month"):
        store.read("binance", SYMBOL, 0, FOREVER)
    june.write_bytes(june.read_bytes()[:500])
    for touch in (lambda: store.write("binance", SYMBOL, candles([9])), store.listing):
        with pytest.raises(DataError, match=r"2024-06\.parquet"):
            touch()
    assert june.stat().st_size == 500
    june.rename(june.with_name("2024-13.parquet"))
    with pytest.raises(DataError, match="2024-13 is no month"):
        store.read("binance", SYMBOL, 0, FOREVER)


def test_the_listing_sums_up_each_series(tmp_path: Path) -> None:
    """Rows, ends and months of every symbol of every exchange; what lies beside them is passed over."""
    store = CandleStore(tmp_path)
    store.write("binanceusdm", SYMBOL, candles(range(-2, 3)))
    store.write("binance", "BTC/USDT", candles([7]))
    (tmp_path / "binance" / "BTC_USDT" / "notes.parquet").write_text("mine")
    spot, perpetual = store.listing()
    assert (spot.exchange, spot.symbol, spot.rows, spot.months) == ("binance", "BTC/USDT", 1, 1)
    assert (perpetual.symbol, perpetual.rows, perpetual.months) == (SYMBOL, 5, 2)
    assert (perpetual.first_ms, perpetual.last_ms) == (TURN - 2 * MINUTE_MS, TURN + 2 * MINUTE_MS)
    assert perpetual.bytes_on_disk > 0


def test_a_full_disk_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """When the kernel refuses the bytes, StorageError names the path and the stored candles are intact."""
    store = CandleStore(tmp_path)
    store.write("binance", SYMBOL, candles(range(100)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(StorageError, match=r"2024-06\.parquet"):
            store.write("binance", SYMBOL, candles(range(100, 5000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert same(store.read("binance", SYMBOL, 0, FOREVER), candles(range(100)))
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def test_a_store_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    """A file where the folder should be is named."""
    (tmp_path / "store").write_text("")
    with pytest.raises(StorageError, match="store"):
        CandleStore(tmp_path / "store").write("binance", SYMBOL, candles(range(1)))


def _write_some(root: Path, offset: int) -> None:
    for minute in range(offset, 40, 2):
        CandleStore(root).write("binance", SYMBOL, candles([minute]))


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """Writers to the same month take turns: the month holds what both wrote."""
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_some, args=(tmp_path, offset)) for offset in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    stored = CandleStore(tmp_path).read("binance", SYMBOL, 0, FOREVER)
    assert same(stored, take(candles(range(40)), np.arange(40)))
