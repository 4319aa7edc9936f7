"""The part of the journal that lets go of what is old: a few rows at a time, and the pages that become free.

Never removed: orders, fills, trades, the account's last value of each day, starts and stops, commands, what became of
models, and the rest of ``notes`` but what the feed reported. Whole days go, and only up to a day of which the journal keeps
the engine as it was before its first minute: whatever is left can be replayed from its own beginning.
"""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from bot.core.market import DAY_MS, MINUTE_MS

HISTORY_DAYS: Final = 14
"""Candles are kept so much longer than minutes: features look back on them when forecasts are made again."""

SLICE_MINUTES: Final = 32
"""Minutes' worth of rows that one slice removes at most; it takes a few milliseconds."""

SLICE_SNAPSHOTS: Final = 4
FREED_PAGES: Final = 256
"""Pages that one call gives back to the disk at most."""

RESERVE_PAGES: Final = 2_048
"""Free pages that stay in the file, for the rows to come."""

THINNED_KEY: Final = "equity_thinned_ms"
"""Up to where each day of ``equity`` has one row, in ``meta``."""

FEED_NOTES: Final = ("feed.", "candle.")
"""Beginnings of the notes that go with the minutes; all others stay."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days something is kept, back from the newest minute.

    Attributes:
        minutes_days: Decided minutes: candles as they came, reports, forecasts, decisions; what a replay needs.
        candles_days: Candles; at least ``HISTORY_DAYS`` more than minutes.
        forecasts_days: Live forecasts and what came of them.
        equity_days: The account's value minute by minute; older than that, the last one of each day.
    """

    minutes_days: int
    candles_days: int
    forecasts_days: int
    equity_days: int

    def cutoffs(self, newest_ms: int, held_since_ms: int | None = None) -> Cutoffs:
        """Before which times rows may go; whole days, UTC.

        Args:
            newest_ms: Close of the newest minute.
            held_since_ms: Since when the oldest open position is held or the oldest open order is wanted; None without any.
        """
        today = (newest_ms - MINUTE_MS) // DAY_MS
        minutes = today - self.minutes_days
        if held_since_ms is not None:
            minutes = min(minutes, held_since_ms // DAY_MS - 1)
        return Cutoffs(
            minutes * DAY_MS,
            min(today - self.candles_days, minutes - HISTORY_DAYS) * DAY_MS,
            (today - self.forecasts_days) * DAY_MS,
            (today - self.equity_days) * DAY_MS,
        )


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Midnights before which rows may go, ms UTC."""

    minutes_ms: int
    candles_ms: int
    forecasts_ms: int
    equity_ms: int


@dataclass(frozen=True, slots=True)
class Pages:
    """How large the journal's file is.

    Attributes:
        page_bytes: Of one page.
        page_count: All of them.
        free_count: Those that hold nothing.
        can_shrink: Whether free pages can be given back while the journal is in use.
    """

    page_bytes: int
    page_count: int
    free_count: int
    can_shrink: bool


class PrunableTables:
    """Mixed into the journal's writer."""

    _db: sqlite3.Connection

    @abstractmethod
    def _transaction(self, *, waits: bool = True) -> AbstractContextManager[None]:
        """All or nothing."""

    @abstractmethod
    def _mapped(self) -> AbstractContextManager[None]:
        """SQLite's errors as ours."""

    @abstractmethod
    def rest(self) -> None:
        """Tidy up after a commit."""

    def prune(self, cutoffs: Cutoffs) -> dict[str, int]:
        """Remove a slice of what is older; returns how many rows of each table, empty once nothing is left to remove.

        One transaction that does not wait for the disk: a death before, in or after it leaves a whole journal.

        Raises:
            StorageError: The disk refused; nothing was removed.
        """
        with self._transaction(waits=False):
            kept_from_ms = self._replayable_from(cutoffs.minutes_ms)
            removed = {
                "batches": self._prune_batches(kept_from_ms),
                "interims": self._prune_interims(kept_from_ms),
                "notes": self._prune_notes(kept_from_ms),
                "day_snapshots": self._prune_snapshots(kept_from_ms),
                "candles": self._prune_candles(min(cutoffs.candles_ms, kept_from_ms - HISTORY_DAYS * DAY_MS)),
                "model_performance": self._prune_forecasts(cutoffs.forecasts_ms),
                "equity": self._thin_equity(cutoffs.equity_ms),
            }
        return {name: count for name, count in removed.items() if count}

    def pages(self) -> Pages:
        """How large the file is, and how much of it is free."""
        with self._mapped():
            size, count, free, kind = (
                int(self._value(f"PRAGMA {name}"))
                for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
            )
        return Pages(size, count, free, kind != 0)

    def give_back(self) -> int:
        """Give some free pages back to the disk; returns how many, 0 where only the reserve is left or the file is an old one.

        Journals from before version 0.1 have no map of their pages: they use free ones again, and do not shrink.
        """
        pages = self.pages()
        spare = min(pages.free_count - max(RESERVE_PAGES, pages.page_count // 8), FREED_PAGES)
        if not pages.can_shrink or spare <= 0:
            return 0
        with self._transaction(waits=False):
            # One step of the statement frees one page.
            self._db.execute(f"PRAGMA incremental_vacuum({spare})").fetchall()
        return spare

    # --- tables -------------------------------------------------------------------------------------------

    def _replayable_from(self, minutes_ms: int) -> int:
        """The newest midnight up to there of which the engine's state is kept; 0 where there is none."""
        day = self._value("SELECT max(day) FROM day_snapshots WHERE day <= ?", minutes_ms // DAY_MS)
        return 0 if day is None else int(day) * DAY_MS

    def _prune_batches(self, before_ms: int) -> int:
        # A minute that closed at midnight belongs to the day before.
        return self._removed(
            "DELETE FROM batches WHERE closed_at_ms IN"
            " (SELECT closed_at_ms FROM batches WHERE closed_at_ms <= ? ORDER BY closed_at_ms LIMIT ?)",
            before_ms,
            SLICE_MINUTES,
        )

    def _prune_interims(self, before_ms: int) -> int:
        # Before a market's first message its clock stands at 0: such a row goes with those after it.
        last = self._value(
            "SELECT max(id) FROM (SELECT id, at_ms FROM interims ORDER BY id LIMIT ?)"
            " WHERE at_ms > 0 AND at_ms < ?",
            SLICE_MINUTES,
            before_ms,
        )
        return 0 if last is None else self._removed("DELETE FROM interims WHERE id <= ?", last)

    def _prune_notes(self, before_ms: int) -> int:
        removed = 0
        for prefix in FEED_NOTES:
            end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            for (kind,) in self._skipping("SELECT min(kind) FROM notes WHERE kind > ?", prefix):
                if kind >= end:
                    break
                removed += self._removed(
                    "DELETE FROM notes WHERE id IN (SELECT id FROM notes WHERE kind = ? ORDER BY id LIMIT ?)"
                    " AND at_ms < ?",
                    kind,
                    SLICE_MINUTES,
                    before_ms,
                )
        return removed

    def _prune_snapshots(self, before_ms: int) -> int:
        return self._removed(
            "DELETE FROM day_snapshots WHERE day IN (SELECT day FROM day_snapshots WHERE day < ? ORDER BY day LIMIT ?)",
            before_ms // DAY_MS,
            SLICE_SNAPSHOTS,
        )

    def _prune_candles(self, before_ms: int) -> int:
        removed = 0
        for (symbol,) in self._skipping("SELECT min(symbol) FROM candles WHERE symbol > ?", ""):
            first = self._value("SELECT min(opened_at_ms) FROM candles WHERE symbol = ?", symbol)
            until = min(before_ms, int(first) + SLICE_MINUTES * MINUTE_MS)
            removed += self._removed(
                "DELETE FROM candles WHERE symbol = ? AND opened_at_ms < ?", symbol, until
            )
        return removed

    def _prune_forecasts(self, before_ms: int) -> int:
        removed = 0
        for (model_id,) in self._skipping(
            "SELECT min(model_id) FROM model_performance WHERE model_id > ?", ""
        ):
            query = "SELECT min(symbol) FROM model_performance WHERE model_id = ? AND symbol > ?"
            for (symbol,) in self._skipping(query, "", model_id):
                where = "model_id = ? AND symbol = ?"
                first = self._value(
                    f"SELECT min(closed_at_ms) FROM model_performance WHERE {where}",  # noqa: S608 - constant words
                    model_id,
                    symbol,
                )
                until = min(before_ms, int(first) + SLICE_MINUTES * MINUTE_MS)
                removed += self._removed(
                    f"DELETE FROM model_performance WHERE {where} AND closed_at_ms < ?",  # noqa: S608 - constant words
                    model_id,
                    symbol,
                    until,
                )
        return removed

    def _thin_equity(self, before_ms: int) -> int:
        """Leave the last row of the oldest day that is still whole."""
        done_ms = int(self._value("SELECT value FROM meta WHERE key = ?", THINNED_KEY) or 0)
        first = self._value("SELECT min(at_ms) FROM equity WHERE at_ms > ?", done_ms)
        if first is None:
            return 0
        end_ms = ((int(first) - MINUTE_MS) // DAY_MS + 1) * DAY_MS
        if end_ms > before_ms:
            return 0
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (THINNED_KEY, str(end_ms)))
        removed = self._removed(
            "DELETE FROM equity WHERE at_ms BETWEEN ?1 AND ?2 AND at_ms <"
            " (SELECT max(at_ms) FROM equity WHERE at_ms <= ?2)",
            int(first),
            end_ms,
        )
        return max(removed, 1)  # a day with one row was looked at too: there may be more to do

    # --- queries ------------------------------------------------------------------------------------------

    def _removed(self, statement: str, *values: Any) -> int:
        return self._db.execute(statement, values).rowcount

    def _value(self, query: str, *values: Any) -> Any:
        row = self._db.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _skipping(self, query: str, after: str, *values: Any) -> Iterator[tuple[str]]:
        """Each value of an index's first column: one seek a value, where DISTINCT would read every row."""
        while (found := self._value(query, *values, after)) is not None:
            yield (found,)
            after = found
