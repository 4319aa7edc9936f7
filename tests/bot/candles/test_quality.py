"""Tests of the report on candles."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.candles.columns import from_rows, take
from bot.candles.quality import FlatRun, Gap, RowFault, gap_words, inspect
from bot.candles.store import read_candles
from bot.core.market import MINUTE_MS
from models.candle_arrays import CandleArrays
from tests.shared_data import candle_file

START = 1_714_521_600_000
SYMBOL = "BTC/USDT"


def walk(count: int = 3000) -> CandleArrays:
    """A random walk with one move a minute of about ten bps."""
    rng = np.random.default_rng(3)
    path = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, count + 1)))
    opened, closed = path[:-1].copy(), path[1:].copy()
    high, low = np.maximum(opened, closed), np.minimum(opened, closed)
    return CandleArrays(START + MINUTE_MS * np.arange(count), opened, high, low, closed, np.ones(count))


def test_sound_candles_have_nothing_to_report() -> None:
    """A whole random walk is sound, without gaps, odd moves or flat stretches."""
    report = inspect(walk(), symbol=SYMBOL)
    assert report.sound
    assert (report.rows, report.first_ms, report.last_ms) == (3000, START, START + 2999 * MINUTE_MS)
    nothing = (
        report.gap_count,
        report.missing_minutes,
        report.bad_rows,
        report.outlier_count,
        report.flat_run_count,
    )
    assert nothing == (0, 0, 0, 0, 0)


def test_gaps_are_listed_the_longest_first() -> None:
    """Absent minutes are counted by gap, and do not make candles unsound."""
    kept = np.ones(3000, dtype=bool)
    kept[[5, 100, 101, 102]] = False
    report = inspect(take(walk(), kept), symbol=SYMBOL)
    assert report.gaps == (Gap(START + 100 * MINUTE_MS, 3), Gap(START + 5 * MINUTE_MS, 1))
    assert (report.gap_count, report.missing_minutes, report.sound) == (2, 4, True)
    assert gap_words(report.gaps[0]) == "3 min from 2024-05-01T01:40:00Z"


def test_faults_doubles_and_disorder_are_found_together() -> None:
    """Raw rows with every kind of fault are reported, each kind by itself, and none is repaired."""
    rows = [(START + minute * MINUTE_MS, 1.0, 2.0, 0.5, 1.5, 1.0) for minute in (0, 1, 1, 4, 3)]
    rows += [(START + 5 * MINUTE_MS, 1.0, 0.9, 0.5, 1.5, 1.0), (10**15 * 60, 1.0, 2.0, 0.5, 1.5, 1.0)]
    report = inspect(from_rows(rows), symbol=SYMBOL, unreadable={5: "high 'x' is not a number"})
    assert (report.duplicate_minutes, report.duplicates) == (1, (START + MINUTE_MS,))
    assert report.out_of_order == 1
    assert report.bad_rows == 2
    assert report.faults == (
        RowFault(5, START + 5 * MINUTE_MS, "high 'x' is not a number"),
        RowFault(6, 10**15 * 60, "ts is not between 1970 and 2100"),
    )
    assert not report.sound


def test_a_move_far_beyond_its_surroundings_is_an_outlier() -> None:
    """One spike and its return are found with their size; the same move across a gap is not one."""
    arrays = walk()
    arrays.close[2000] *= 1.1
    arrays.high[2000] *= 1.2
    report = inspect(arrays, symbol=SYMBOL)
    moved = sorted(outlier.opened_at_ms for outlier in report.outliers)
    assert moved == [START + 2000 * MINUTE_MS, START + 2001 * MINUTE_MS]
    assert abs(report.outliers[0].log_return) == pytest.approx(np.log(1.1), abs=0.01)
    assert report.outliers[0].scales > 20
    kept = np.ones(3000, dtype=bool)
    kept[[1999, 2001]] = False
    assert inspect(take(arrays, kept), symbol=SYMBOL).outlier_count == 0


def test_dead_stretches_are_found() -> None:
    """Minutes without trade or change of price are reported as a share and as runs."""
    arrays = walk(200)
    for name in ("open", "high", "low", "close"):
        getattr(arrays, name)[100:150] = 99.0
    arrays.volume[100:150] = 0.0
    report = inspect(arrays, symbol=SYMBOL)
    assert report.flat_runs == (FlatRun(START + 100 * MINUTE_MS, 50, 99.0),)
    assert report.zero_volume_share == 0.25
    assert not report.constant_price
    assert inspect(arrays.rows(100, 150), symbol=SYMBOL).constant_price


def test_swapped_names_and_emptiness_are_not_sound() -> None:
    """Columns under each other's name, or no rows, cannot be traded on."""
    arrays = walk()
    swapped = CandleArrays(arrays.ts, arrays.close, arrays.high, arrays.low, arrays.open, arrays.volume)
    assert inspect(swapped, symbol=SYMBOL).swapped
    assert not inspect(swapped, symbol=SYMBOL).sound
    assert not inspect(from_rows([]), symbol=SYMBOL).sound


number = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(st.integers(-(2**62), 2**62), number, number, number, number, number), max_size=20))
def test_any_rows_can_be_inspected(rows: list[tuple[int, float, float, float, float, float]]) -> None:
    """Whatever is in the columns, there is a report, and it is JSON."""
    report = inspect(from_rows(rows), symbol=SYMBOL)
    assert report.rows == len(rows)
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["sound"] == report.sound


def test_a_real_outage_is_a_gap() -> None:
    """The recording with exchange outages has exactly the gaps that are known of it."""
    report = inspect(read_candles(candle_file("okx-BTCUSDT-1m-2022-01-07_2022-02-26.parquet")), symbol=SYMBOL)
    assert (report.gap_count, report.missing_minutes, report.sound) == (93, 18_598, True)
