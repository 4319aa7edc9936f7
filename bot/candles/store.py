"""Candles on disk: one Parquet file a symbol and month, or any Parquet file in the same columns.

Layout: ``ROOT/EXCHANGE/BASE_QUOTE[_SETTLE]/2024-05.parquet`` (zstd, with page checksums). A write merges by minute
and replaces a month's file in one step, so that a reader sees the old month or the new one, never a part.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bot.candles.columns import COLUMNS, concatenate, first_fault, from_candles, iso_utc, take, to_candles
from bot.candles.names import folder_of, parse_tape, symbol_of, symbol_of_folder
from bot.candles.parquet import disk, make_folder, read_candles, replace_candles
from bot.core.market import Symbol
from bot.errors import DataError
from models.candle_arrays import CandleArrays

__all__ = [
    "CandleStore",
    "StoredSeries",
    "WriteOutcome",
    "from_candles",
    "parse_tape",
    "read_candles",
    "symbol_of",
    "to_candles",
]

_EXCHANGE = re.compile(r"[a-z][a-z0-9_]*")
_MONTH_FILE = re.compile(r"\d{4}-\d{2}\.parquet")


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """What a write changed, in rows."""

    added: int
    identical: int
    revised: int


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """One symbol in the store; times in milliseconds UTC, ``bytes_on_disk`` over all its months."""

    exchange: str
    symbol: Symbol
    rows: int
    first_ms: int
    last_ms: int
    months: int
    bytes_on_disk: int


class CandleStore:
    """The candles of any number of exchanges and symbols under one folder.

    Safe for several processes: a write holds a lock on the symbol's folder, a read needs none.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self, exchange: str, symbol: Symbol, arrays: CandleArrays, *, revise: bool = False
    ) -> WriteOutcome:
        """Add closed candles; rows that are stored already with the same values change nothing.

        All months are merged and checked before the first is written.

        Args:
            exchange: ccxt id.
            symbol: Unified name.
            arrays: Sound candles in order.
            revise: Replace stored rows that differ.

        Raises:
            DataError: A row is unsound, a stored file is damaged, or a stored row differs and ``revise`` is off.
            StorageError: The disk refused; the month being written is as it was before.
        """
        fault = first_fault(arrays)
        if fault:
            raise DataError(f"{symbol} of {exchange}: {fault}; nothing was stored")
        folder = self._folder(exchange, symbol)
        if not len(arrays):
            return WriteOutcome(0, 0, 0)
        with disk(folder):
            make_folder(folder)
            with _lock(folder):
                return self._merge_and_write(folder, arrays, revise=revise)

    def read(self, exchange: str, symbol: Symbol, since_ms: int, until_ms: int) -> CandleArrays:
        """The stored candles with since_ms <= ts < until_ms, in order; empty where there are none.

        Raises:
            DataError: A month's file is damaged.
        """
        months = [path for path in self._months(exchange, symbol) if _overlaps(path, since_ms, until_ms)]
        return concatenate([_read_month(path) for path in months]).between(since_ms, until_ms)

    def last_opened_at_ms(self, exchange: str, symbol: Symbol) -> int | None:
        """Open time of the newest stored candle, or None where there is none."""
        months = self._months(exchange, symbol)
        return int(_read_month(months[-1]).ts[-1]) if months else None

    def listing(self) -> list[StoredSeries]:
        """What is stored, by exchange and symbol; reads only the files' footers."""
        folders = sorted(
            {path.parent for path in self.root.glob("*/*/*.parquet") if _MONTH_FILE.fullmatch(path.name)}
        )
        return [
            _series(folder.parent.name, symbol_of_folder(folder.name), _month_files(folder))
            for folder in folders
        ]

    def _folder(self, exchange: str, symbol: Symbol) -> Path:
        if not _EXCHANGE.fullmatch(exchange):
            raise DataError(f"{exchange!r} is no exchange id: write it as ccxt does, such as binanceusdm")
        return self.root / exchange / folder_of(symbol)

    def _months(self, exchange: str, symbol: Symbol) -> list[Path]:
        return _month_files(self._folder(exchange, symbol))

    @staticmethod
    def _merge_and_write(folder: Path, arrays: CandleArrays, *, revise: bool) -> WriteOutcome:
        """Merge every month in memory, then write those that changed."""
        stems = np.datetime_as_string(arrays.ts.astype("datetime64[ms]").astype("datetime64[M]"))
        changed: list[tuple[Path, CandleArrays]] = []
        added = identical = revised = 0
        for stem in np.unique(stems).tolist():
            path = folder / f"{stem}.parquet"
            fresh = take(arrays, stems == stem)
            merged, outcome = _merge(path, fresh, revise=revise)
            added, identical, revised = added + outcome[0], identical + outcome[1], revised + outcome[2]
            if outcome[0] or outcome[2]:
                changed.append((path, merged))
        for path, merged in changed:
            replace_candles(path, merged)
        return WriteOutcome(added, identical, revised)


def _merge(path: Path, fresh: CandleArrays, *, revise: bool) -> tuple[CandleArrays, tuple[int, int, int]]:
    """Merge rows into a month; returns the whole month and (added, identical, revised)."""
    if not path.exists():
        return fresh, (len(fresh), 0, 0)
    stored = _read_month(path)
    _, in_stored, in_fresh = np.intersect1d(stored.ts, fresh.ts, assume_unique=True, return_indices=True)
    old, new = take(stored, in_stored), take(fresh, in_fresh)
    differs = np.any([getattr(old, name) != getattr(new, name) for name in COLUMNS], axis=0)
    if differs.any() and not revise:
        at = int(differs.argmax())
        name = next(name for name in COLUMNS if getattr(old, name)[at] != getattr(new, name)[at])
        raise DataError(
            f"{path}: {name} at {iso_utc(int(old.ts[at]))} is stored as {getattr(old, name)[at]} and would become "
            f"{getattr(new, name)[at]} ({int(differs.sum())} rows differ); nothing was stored; --revise replaces them"
        )
    kept = np.ones(len(stored), dtype=bool)
    kept[in_stored] = False
    joined = concatenate([take(stored, kept), fresh])
    merged = take(joined, np.argsort(joined.ts, kind="stable"))
    return merged, (len(fresh) - len(in_fresh), int((~differs).sum()), int(differs.sum()))


def _read_month(path: Path) -> CandleArrays:
    """Read a month of the store, whose rows must lie in that month."""
    arrays = read_candles(path)
    start, end = _month_bounds(path)
    if arrays.ts[0] < start or arrays.ts[-1] >= end:
        outside = int(arrays.ts[0] if arrays.ts[0] < start else arrays.ts[-1])
        raise DataError(f"{path}: ts {iso_utc(outside)} is not of that month")
    return arrays


def _month_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet") if _MONTH_FILE.fullmatch(path.name))


def _month_bounds(path: Path) -> tuple[int, int]:
    """The first instant of a month's file and of the month after it, ms."""
    year, month = int(path.stem[:4]), int(path.stem[5:])
    if not 1 <= month <= 12:
        raise DataError(f"{path}: {path.stem} is no month")
    after = (year + month // 12, month % 12 + 1)
    start, end = (datetime(y, m, 1, tzinfo=UTC) for y, m in ((year, month), after))
    return int(start.timestamp()) * 1000, int(end.timestamp()) * 1000


def _overlaps(path: Path, since_ms: int, until_ms: int) -> bool:
    start, end = _month_bounds(path)
    return start < until_ms and since_ms < end


def _series(exchange: str, symbol: Symbol, months: list[Path]) -> StoredSeries:
    """Sum up one symbol's files: rows from the footers, the ends from the first and last month."""
    rows = 0
    for path in months:
        try:
            rows += pq.read_metadata(path).num_rows
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path}: it is not a whole Parquet file ({error})") from error
    first, last = int(_read_month(months[0]).ts[0]), int(_read_month(months[-1]).ts[-1])
    return StoredSeries(
        exchange, symbol, rows, first, last, len(months), sum(p.stat().st_size for p in months)
    )


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the folder for one writer; the lock ends with the process, whatever happens to it."""
    with (folder / ".lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
