"""The day in a few figures, told as ``summary.daily`` at a set hour of the exchange's time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bot.core.market import DAY_MS
from bot.daemon.telling import Log
from bot.ports import BatchRecord, InterimRecord

HOUR_MS: Final = DAY_MS // 24


class DailySummary:
    """Adds up what happens, and tells it once a day.

    Args:
        log: Where it is told.
        hour: Of the day, UTC.
    """

    def __init__(self, log: Log, hour: int) -> None:
        self._log = log
        self._offset_ms = hour * HOUR_MS
        self._began_ms: int | None = None
        self._equity = 0.0
        self._levels: dict[str, int] = {}
        self._start_over()

    def _start_over(self) -> None:
        self._minutes = self._trades = self._won = 0
        self._pnl = self._fees = 0.0
        self._levels = {"warning": 0, "error": 0}

    def on_line(self, event: str, level: str, fields: Mapping[str, Any]) -> None:  # noqa: ARG002 - a tap of the log
        """A line of the log, in any thread: those that a person should look at are counted."""
        if level in self._levels:
            self._levels[level] += 1

    def on_interim(self, record: InterimRecord) -> None:
        """Something happened between two minutes."""
        self._count_trades(record)

    def on_batch(self, record: BatchRecord) -> None:
        """A minute was decided; tells the summary where it is the first one of a new day."""
        self._count_trades(record)
        self._minutes += 1
        if self._began_ms is None:
            self._began_ms, self._equity = record.closed_at_ms, record.equity
        elif self._day(record.closed_at_ms) > self._day(self._began_ms):
            self._log.info("summary.daily", **self._fields(record, record.closed_at_ms - self._began_ms))
            self._began_ms, self._equity = record.closed_at_ms, record.equity
            self._start_over()

    def _day(self, at_ms: int) -> int:
        return (at_ms - self._offset_ms) // DAY_MS

    def _count_trades(self, record: BatchRecord | InterimRecord) -> None:
        for trade in record.trades:
            self._trades += 1
            self._won += trade.pnl > 0
            self._pnl += trade.pnl
            self._fees += trade.fees

    def _fields(self, record: BatchRecord, elapsed_ms: int) -> dict[str, Any]:
        account, risk = record.snapshot["account"], record.snapshot["risk"]
        return {
            "hours": round(elapsed_ms / HOUR_MS, 1),
            "equity": round(record.equity, 2),
            "change": round(record.equity / self._equity - 1, 6) if self._equity > 0 else None,
            "trades": self._trades,
            "won": self._won,
            "pnl": round(self._pnl, 2),
            "fees": round(self._fees, 2),
            "positions": [f"{row[0]} {row[1]:+g}" for row in account["positions"]],
            "state": risk["state"],
            "minutes": self._minutes,
            "warnings": self._levels["warning"],
            "errors": self._levels["error"],
        }
