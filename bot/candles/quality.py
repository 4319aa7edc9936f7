"""What is noteworthy about a stretch of candles; it reports and never repairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.candles.columns import (
    LATEST_TS,
    ROW_FAULTS,
    iso_utc,
    open_and_close_swapped,
    row_faults,
    take,
)
from bot.core.market import MINUTE_MS, Symbol
from models.candle_arrays import CandleArrays

MAX_LISTED = 1000
"""Entries of each list in a report; the counts beside the lists are of all."""

OUTLIER_SCALES = 20.0
OUTLIER_LEAST = 0.005
OUTLIER_BLOCK = 1440
FLAT_MINUTES = 30


@dataclass(frozen=True, slots=True)
class Gap:
    """Minutes that are absent, from the first of them."""

    start_ms: int
    minutes: int


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that is no sound candle: its index, counted from 0, its time and the rule that it breaks."""

    row: int
    opened_at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Outlier:
    """A close-to-close move between neighbouring minutes that is ``scales`` robust deviations large."""

    opened_at_ms: int
    log_return: float
    scales: float


@dataclass(frozen=True, slots=True)
class FlatRun:
    """Minutes in a row with one and the same price."""

    start_ms: int
    minutes: int
    price: float


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What was found; times in ms UTC, shares as fractions of the sound rows.

    Attributes:
        symbol: Whose candles.
        rows: All rows, sound or not.
        first_ms: Open time of the earliest sound row, None where there is none; so is ``last_ms`` of the latest.
        missing_minutes: Absent minutes between them, in ``gap_count`` gaps, the longest ``gaps`` first.
        duplicate_minutes: Rows that repeat a minute; ``duplicates`` holds such minutes.
        out_of_order: Rows earlier than the row before.
        bad_rows: How many rows break a rule of a candle; ``faults`` names them.
        swapped: The columns open and close carry each other's name.
        outliers: The largest moves first, of ``outlier_count``. A deviation is 1.4826 times the larger of median and
            mean absolute return among 1440 neighbouring returns; a move counts from 20 of them and 50 bps on.
        zero_volume_share: Rows in which nothing was traded.
        flat_runs: Runs of 30 or more minutes without any change of price, the longest first, of ``flat_run_count``.
        constant_price: No price ever changes.
    """

    symbol: Symbol
    rows: int
    first_ms: int | None
    last_ms: int | None
    gap_count: int
    missing_minutes: int
    gaps: tuple[Gap, ...]
    duplicate_minutes: int
    duplicates: tuple[int, ...]
    out_of_order: int
    bad_rows: int
    faults: tuple[RowFault, ...]
    swapped: bool
    outlier_count: int
    outliers: tuple[Outlier, ...]
    zero_volume_share: float
    flat_run_count: int
    flat_runs: tuple[FlatRun, ...]
    constant_price: bool

    @property
    def sound(self) -> bool:
        """Whether the rows could be traded on: gaps and odd moves are facts of the market, faults are not."""
        faults = self.bad_rows + self.duplicate_minutes + self.out_of_order
        return self.rows > 0 and not faults and not self.swapped

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values, with ``sound``."""
        return {**asdict(self), "sound": self.sound}


def inspect(
    arrays: CandleArrays, *, symbol: Symbol, unreadable: Mapping[int, str] | None = None
) -> QualityReport:
    """Report on candles, validated or not.

    Args:
        arrays: Columns of equal length; any values, any order.
        symbol: Whose they are; only named in the report.
        unreadable: Why a row could not be read, by its index, where the reader knows better than the rules.
    """
    faults = row_faults(arrays)
    faulty = (faults >= 0) | (arrays.ts < 0) | (arrays.ts >= LATEST_TS)
    sound = take(arrays, ~faulty)
    _, first_of_minute = np.unique(sound.ts, return_index=True)
    candles = take(sound, first_of_minute)
    gaps = _gaps(candles.ts)
    repeated = np.unique(np.delete(sound.ts, first_of_minute))
    outliers, flat_runs = _outliers(candles), _flat_runs(candles)
    count = len(candles)
    return QualityReport(
        symbol=symbol,
        rows=len(arrays),
        first_ms=int(candles.ts[0]) if count else None,
        last_ms=int(candles.ts[-1]) if count else None,
        gap_count=len(gaps),
        missing_minutes=sum(gap.minutes for gap in gaps),
        gaps=tuple(gaps[:MAX_LISTED]),
        duplicate_minutes=len(sound) - count,
        duplicates=tuple(repeated[:MAX_LISTED].tolist()),
        out_of_order=int((np.diff(arrays.ts) < 0).sum()),
        bad_rows=int(faulty.sum()),
        faults=_faults(arrays, faults, faulty, unreadable or {}),
        swapped=open_and_close_swapped(candles),
        outlier_count=len(outliers),
        outliers=tuple(outliers[:MAX_LISTED]),
        zero_volume_share=float((candles.volume == 0).mean()) if count else 0.0,
        flat_run_count=len(flat_runs),
        flat_runs=tuple(flat_runs[:MAX_LISTED]),
        constant_price=bool(count and candles.high.max() == candles.low.min()),
    )


def _faults(
    arrays: CandleArrays,
    codes: npt.NDArray[np.int8],
    faulty: npt.NDArray[np.bool_],
    unreadable: Mapping[int, str],
) -> tuple[RowFault, ...]:
    """Name the first faulty rows."""
    rows = np.flatnonzero(faulty)[:MAX_LISTED].tolist()
    beyond = "ts is not between 1970 and 2100"
    reasons = {row: ROW_FAULTS[codes[row]] if codes[row] >= 0 else beyond for row in rows} | dict(unreadable)
    return tuple(RowFault(row, int(arrays.ts[row]), reasons[row]) for row in rows)


def _gaps(ts: npt.NDArray[np.int64]) -> list[Gap]:
    """Find absent minutes, the longest stretch first."""
    steps = np.diff(ts)
    holes = np.flatnonzero(steps > MINUTE_MS)
    gaps = [Gap(int(ts[at]) + MINUTE_MS, int(steps[at]) // MINUTE_MS - 1) for at in holes.tolist()]
    return sorted(gaps, key=lambda gap: (-gap.minutes, gap.start_ms))


def _outliers(candles: CandleArrays) -> list[Outlier]:
    """Find moves far beyond their surroundings, the largest first."""
    at = np.flatnonzero(np.diff(candles.ts) == MINUTE_MS) + 1
    returns = np.log(candles.close[at]) - np.log(candles.close[at - 1])
    found: list[Outlier] = []
    for start in range(0, len(returns), OUTLIER_BLOCK):
        # The last block may be short: it borrows from the one before.
        around = np.abs(returns[max(0, min(start, len(returns) - OUTLIER_BLOCK)) : start + OUTLIER_BLOCK])
        scale = 1.4826 * max(float(np.median(around)), float(around.mean()))
        block = np.abs(returns[start : start + OUTLIER_BLOCK])
        for offset in np.flatnonzero((block >= OUTLIER_LEAST) & (block >= OUTLIER_SCALES * scale)).tolist():
            where = start + offset
            found.append(
                Outlier(int(candles.ts[at[where]]), float(returns[where]), float(block[offset] / scale))
            )
    return sorted(found, key=lambda outlier: -abs(outlier.log_return))


def _flat_runs(candles: CandleArrays) -> list[FlatRun]:
    """Find neighbouring minutes with one price, the longest run first."""
    if not len(candles):
        return []
    flat = candles.high == candles.low
    joined = (
        flat[1:] & flat[:-1] & (candles.close[1:] == candles.close[:-1]) & (np.diff(candles.ts) == MINUTE_MS)
    )
    starts = np.flatnonzero(np.concatenate([[True], ~joined]))
    lengths = np.diff(np.append(starts, len(candles)))
    runs = [
        FlatRun(int(candles.ts[start]), int(length), float(candles.close[start]))
        for start, length in zip(starts, lengths, strict=True)
        if length >= FLAT_MINUTES
    ]
    return sorted(runs, key=lambda run: (-run.minutes, run.start_ms))


def gap_words(gap: Gap) -> str:
    """Name a gap: ``80 min from 2023-03-24T12:40:00Z``."""
    return f"{gap.minutes} min from {iso_utc(gap.start_ms)}"
