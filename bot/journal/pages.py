"""What pages ask a journal: bounded questions, each answered at once, so that no reader keeps the log from beginning anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson

from bot.core.market import MINUTE_MS, Symbol
from bot.core.position import Trade
from bot.errors import StorageError
from bot.journal.reader import EquityPoint, JournalReader

MINUTES_SCHEMA = 2
"""From this version on minutes and notes have tables of their own."""
PERFORMANCE_SCHEMA = 3
INTERIMS_SCHEMA = 4
PAGE = 256
"""Rows that are read at once."""


class PageMinute(NamedTuple):
    """A decided minute, as far as pages show it.

    Attributes:
        closed_at_ms: Close of its candles.
        now_ms: The exchange's time when it was decided.
        candles: Rows of symbol, open time, open, high, low, close, volume, and where they came from.
        reports: What the broker reported, JSON values.
        decisions: JSON values, as ``decision_to_json`` made them.
    """

    closed_at_ms: int
    now_ms: int
    candles: list[list[Any]]
    reports: list[dict[str, Any]]
    decisions: list[dict[str, Any]]


class PageReader(JournalReader):
    """``JournalReader`` with what pages ask; a connection of one is used in one thread and closed soon."""

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """All questions of the block see the same commit; keep it short, for the log grows meanwhile.

        Raises:
            StorageError: The journal can't be read.
        """
        self._rows("BEGIN")
        try:
            yield
        finally:
            self._rows("COMMIT")

    def is_readable(self) -> bool:
        """Whether its tables are those that pages know; an older journal is brought up by the next start of the bot."""
        return self.schema() >= MINUTES_SCHEMA

    def newest_note_id(self) -> int:
        """Grows with each note; 0 without any."""
        found: int = self._rows("SELECT coalesce(max(id), 0) FROM notes")[0][0]
        return found

    def newest_minute(self) -> PageMinute | None:
        """The last minute that was decided."""
        return next(iter(self.minutes_before(None, 1)), None)

    def minutes_before(self, before_ms: int | None, limit: int = PAGE) -> list[PageMinute]:
        """The newest minutes that closed before this time (None: of all), newest first, ``PAGE`` of them at most."""
        rows = self._rows(
            "SELECT closed_at_ms, payload FROM batches WHERE closed_at_ms < ? ORDER BY closed_at_ms DESC LIMIT ?",
            2**62 if before_ms is None else before_ms,
            min(limit, PAGE),
        )
        return [_minute(at_ms, payload) for at_ms, payload in rows]

    def minutes_after(self, after_ms: int, until_ms: int, limit: int = PAGE) -> list[PageMinute]:
        """Minutes with after_ms < closed_at_ms <= until_ms, oldest first, ``PAGE`` of them at most."""
        rows = self._rows(
            "SELECT closed_at_ms, payload FROM batches WHERE closed_at_ms > ? AND closed_at_ms <= ?"
            " ORDER BY closed_at_ms LIMIT ?",
            after_ms,
            until_ms,
            min(limit, PAGE),
        )
        return [_minute(at_ms, payload) for at_ms, payload in rows]

    def minutes_at(self, times_ms: Sequence[int]) -> list[PageMinute]:
        """The minutes that closed at these times, newest first; at most ``PAGE`` times."""
        wanted = list(times_ms)[:PAGE]
        rows = self._rows(
            f"SELECT closed_at_ms, payload FROM batches WHERE closed_at_ms IN ({','.join('?' * len(wanted))})"  # noqa: S608 - marks
            " ORDER BY closed_at_ms DESC",
            *wanted,
        )
        return [_minute(at_ms, payload) for at_ms, payload in rows]

    def ordered_times(self, symbol: Symbol | None, before_ms: int | None, limit: int = PAGE) -> list[int]:
        """Times at which orders were decided, newest first, each once."""
        rows = self._rows(
            "SELECT DISTINCT decided_at_ms FROM orders WHERE decided_at_ms < ?1 AND (?2 IS NULL OR symbol = ?2)"
            " ORDER BY decided_at_ms DESC LIMIT ?3",
            2**62 if before_ms is None else before_ms,
            symbol,
            min(limit, PAGE),
        )
        return [row[0] for row in rows]

    def legs_of(self, order_ids: Sequence[str]) -> dict[str, str]:
        """What orders are for: client id -> the journal's letter of the leg."""
        found: dict[str, str] = {}
        for first in range(0, len(order_ids), PAGE):
            some = order_ids[first : first + PAGE]
            found |= dict(
                self._rows(
                    f"SELECT client_order_id, leg FROM orders WHERE client_order_id IN ({','.join('?' * len(some))})",  # noqa: S608 - marks
                    *some,
                )
            )
        return found

    def candle_rows(self, symbol: Symbol, since_ms: int, until_ms: int) -> list[tuple[Any, ...]]:
        """Rows of open time, open, high, low, close, volume, source with since_ms <= open time < until_ms, in order."""
        return self._rows(
            "SELECT opened_at_ms, open, high, low, close, volume, source FROM candles"
            " WHERE symbol = ? AND opened_at_ms >= ? AND opened_at_ms < ? ORDER BY opened_at_ms",
            symbol,
            since_ms,
            until_ms,
        )

    def newest_candle_ms(self, symbol: Symbol) -> int | None:
        """Open time of the newest candle of a symbol; None where there is none."""
        rows = self._rows(
            "SELECT opened_at_ms FROM candles WHERE symbol = ? ORDER BY opened_at_ms DESC LIMIT 1", symbol
        )
        return rows[0][0] if rows else None

    def close_at(self, symbol: Symbol, at_ms: int, patience_ms: int) -> float | None:
        """The close of the candle that closed at a time, or of the newest before it that is not older than so much."""
        rows = self._rows(
            "SELECT close FROM candles WHERE symbol = ? AND opened_at_ms <= ? AND opened_at_ms >= ?"
            " ORDER BY opened_at_ms DESC LIMIT 1",
            symbol,
            at_ms - MINUTE_MS,
            at_ms - MINUTE_MS - patience_ms,
        )
        return rows[0][0] if rows else None

    def interims_between(self, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
        """What was settled between minutes with since_ms <= time < until_ms, in order; nothing in an older journal."""
        if self.schema() < INTERIMS_SCHEMA:
            return []
        rows = self._rows(
            "SELECT at_ms, payload FROM interims WHERE at_ms >= ? AND at_ms < ? ORDER BY id",
            since_ms,
            until_ms,
        )
        return [{"at_ms": at_ms, **orjson.loads(payload)} for at_ms, payload in rows]

    def trades_between(self, symbol: Symbol, since_ms: int, until_ms: int) -> list[Trade]:
        """Round trips of a symbol that ended with since_ms <= time < until_ms, in order."""
        rows = self._rows(
            "SELECT symbol, direction, entry_at_ms, entry_price, exit_at_ms, exit_price, quantity, fees, funding,"
            " pnl, exit_reason FROM trades WHERE symbol = ? AND exit_at_ms >= ? AND exit_at_ms < ? ORDER BY id",
            symbol,
            since_ms,
            until_ms,
        )
        return [Trade(*row) for row in rows]

    def equity_after(self, after_ms: int, limit: int) -> list[EquityPoint]:
        """The account after the minutes that closed later than this, oldest first."""
        rows = self._rows(
            "SELECT at_ms, equity, cash, exposure FROM equity WHERE at_ms > ? ORDER BY at_ms LIMIT ?",
            after_ms,
            limit,
        )
        return [EquityPoint(*row) for row in rows]

    def newest_notes(self, kinds: Sequence[str], limit: int) -> list[dict[str, Any]]:
        """The newest events of these kinds, newest first, each with its ``kind`` and ``at_ms``."""
        rows = self._rows(
            f"SELECT kind, at_ms, payload FROM notes WHERE kind IN ({','.join('?' * len(kinds))})"  # noqa: S608 - marks
            " ORDER BY id DESC LIMIT ?",
            *kinds,
            limit,
        )
        return [{"kind": kind, "at_ms": at_ms, **orjson.loads(payload)} for kind, at_ms, payload in rows]


def _minute(at_ms: int, payload: bytes) -> PageMinute:
    """A row of the table ``batches``; a damaged one is the disk's fault, and said to be."""
    try:
        row = orjson.loads(payload)
        return PageMinute(at_ms, row["now_ms"], row["candles"], row["reports"], row["decisions"])
    except (ValueError, KeyError, TypeError) as fault:
        raise StorageError(f"the journal's minute of {at_ms} is damaged: {fault}") from fault
