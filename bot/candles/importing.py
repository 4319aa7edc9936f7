"""Candle files of others into the store: every row judged, none repaired.

The order of a file's rows is free, as the store keeps them by minute. A row that breaks a rule, or says a minute a
second time, is named with its place in the file, and then nothing is imported unless the caller asks for the rest.
Whether the last row of a file is a finished minute cannot be known from the file: import what an exchange
published as history, or leave out the last row of what was cut from a running stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bot.candles.columns import COLUMNS, LATEST_TS, ROW_FAULTS, iso_utc, row_faults, take
from bot.candles.rawrows import UNREADABLE_TS, RawRows, read_raw
from bot.candles.store import CandleStore, WriteOutcome
from bot.core.market import Symbol
from bot.errors import DataError
from models.candle_arrays import CandleArrays

_NAMED_IN_SENTENCE = 3


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is refused: its place in the file, its time if it has one, and why."""

    number: int
    opened_at_ms: int | None
    reason: str


class BadRowsError(DataError):
    """A file has rows that are refused, and nothing of it was imported; ``bad_rows`` holds all of them."""

    def __init__(self, path: Path, counted_in: str, bad_rows: list[BadRow]) -> None:
        self.bad_rows = bad_rows
        named = ", ".join(f"{counted_in} {row.number}: {row.reason}" for row in bad_rows[:_NAMED_IN_SENTENCE])
        more = len(bad_rows) - _NAMED_IN_SENTENCE
        super().__init__(
            f"{path}: {len(bad_rows)} bad row{'s' if len(bad_rows) != 1 else ''}, so nothing was imported ({named}{f', and {more} more' if more > 0 else ''}); "
            "--skip-bad imports the others"
        )


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What became of a file: rows in it, what the store made of the good ones, and the rows left out."""

    path: Path
    exchange: str
    symbol: Symbol
    rows: int
    stored: WriteOutcome
    skipped: tuple[BadRow, ...]


def import_file(
    path: Path,
    store: CandleStore,
    exchange: str,
    symbol: Symbol,
    *,
    skip_bad: bool = False,
    revise: bool = False,
) -> ImportOutcome:
    """Import one CSV or Parquet file.

    Args:
        path: See ``bot.candles.rawrows`` for the forms understood.
        store: Where the candles go.
        exchange: ccxt id.
        symbol: Unified name.
        skip_bad: Import the good rows of a file with bad ones.
        revise: Replace stored rows that differ.

    Raises:
        BadRowsError: The file has bad rows and ``skip_bad`` is off.
        DataError: The file cannot be read, has no good row, or differs from what is stored.
        StorageError: The disk refused.
    """
    raw = read_raw(path)
    bad_rows, good = judge(raw)
    if bad_rows and not skip_bad:
        raise BadRowsError(path, raw.counted_in, bad_rows)
    if not len(good):
        raise DataError(f"{path}: it holds no sound candle")
    try:
        stored = store.write(exchange, symbol, good, revise=revise)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return ImportOutcome(path, exchange, symbol, len(raw.numbers), stored, tuple(bad_rows))


def judge(raw: RawRows) -> tuple[list[BadRow], CandleArrays]:
    """Part the rows of a file into the bad ones, in the file's order, and the good ones, in order of time.

    Of rows that say the same minute with the same values the first is good; where the values differ none is,
    as nobody can tell which is right.
    """
    reasons = dict(raw.unreadable)
    faults = row_faults(raw.arrays)
    for index in np.flatnonzero(faults >= 0).tolist():
        reasons.setdefault(index, ROW_FAULTS[faults[index]])
    outside = (raw.arrays.ts < 0) | (raw.arrays.ts >= LATEST_TS)
    for index in np.flatnonzero(outside).tolist():
        reasons.setdefault(index, "ts is not between 1970 and 2100")
    reasons |= _repetitions(raw, reasons)
    kept = np.ones(len(raw.numbers), dtype=bool)
    kept[list(reasons)] = False
    good = take(raw.arrays, kept)
    good = take(good, np.argsort(good.ts, kind="stable"))
    return [_bad_row(raw, index, reasons[index]) for index in sorted(reasons)], good


def _repetitions(raw: RawRows, reasons: dict[int, str]) -> dict[int, str]:
    """Find sound rows that say a minute which another sound row has said."""
    sound = np.array([index for index in range(len(raw.numbers)) if index not in reasons], dtype=np.int64)
    order = sound[np.argsort(raw.arrays.ts[sound], kind="stable")]
    starts = np.flatnonzero(np.diff(raw.arrays.ts[order], prepend=-1))
    found: dict[int, str] = {}
    for group in np.split(order, starts[1:]) if len(starts) != len(order) else []:
        if len(group) == 1:
            continue
        rows = [tuple(getattr(raw.arrays, name)[index] for name in COLUMNS) for index in group]
        first = f"{raw.counted_in} {raw.numbers[group[0]]}"
        if len(set(rows)) == 1:
            found |= {int(index): f"ts repeats the minute of {first}" for index in group[1:]}
        else:
            others = f"ts is the minute of {len(group)} rows that differ, the first in {first}"
            found |= {int(index): others for index in group}
    return found


def _bad_row(raw: RawRows, index: int, reason: str) -> BadRow:
    at_ms = int(raw.arrays.ts[index])
    known = at_ms != UNREADABLE_TS
    return BadRow(
        int(raw.numbers[index]), at_ms if known else None, f"{reason} ({iso_utc(at_ms)})" if known else reason
    )
