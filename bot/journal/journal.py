"""The journal's one writer: each minute's batch is one transaction, on the disk before it is acted upon.

A minute that sends and cancels nothing has nothing to wait for: its commit is written, so that a kill loses nothing, and
it is forced to the disk by ``rest``, right after. Should the power fail in between, it is as if it had failed before the
minute was decided.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from bot.core.decision import decision_to_json
from bot.core.market import DAY_MS, MINUTE_MS, Candle, Symbol
from bot.core.orders import Accepted, Adopted, ExecutionReport, Fill, Funding, OrderIntent, OrderState
from bot.core.position import Trade
from bot.core.records import intent_to_json, report_to_json
from bot.core.risk import StateChange
from bot.errors import StorageError
from bot.journal.performance import PerformanceTables
from bot.journal.retention import PrunableTables
from bot.journal.schema import connect, lengthen_log, migrate, start_log_over
from bot.ports import BatchRecord, InterimRecord

REST_COMMITS = 64
"""Commits between two tidyings; each takes some pages of the log."""

_FULL_SIZE = [1.0, ""]
"""Of entries, as a snapshot has it; a batch tells only another one."""


class SqliteJournal(PerformanceTables, PrunableTables):
    """Adapter of the Journal port.

    Args:
        path: The database file; made when missing.

    Raises:
        StorageError: The disk refuses, or the file is of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the folder {path.parent} can't be made: {error.strerror}") from error
        self._db = connect(str(path))
        self._commits = 0
        self._waits = True
        self._behind = False
        with self._mapped():
            migrate(self._db, str(path))
            lengthen_log(self._db)
            self._day: int = self._db.execute("SELECT coalesce(max(day), -1) FROM day_snapshots").fetchone()[
                0
            ]

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # --- what is written ----------------------------------------------------------------------------------

    def meta(self, key: str, default: str) -> str:
        """A value that stays for the life of the journal: the first one given for a key."""
        with self._transaction():
            self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, default))
        with self._mapped():
            value: str = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]
        return value

    def note(self, kind: str, at_ms: int, fields: Mapping[str, Any]) -> None:
        """Append an event that is not a batch."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO notes (kind, at_ms, payload) VALUES (?,?,?)", (kind, at_ms, orjson.dumps(fields))
            )
        self.rest()

    def commit(self, record: BatchRecord) -> None:
        """Store a batch: the event, what is derived from it, and the engine's snapshot, whole or not at all.

        The disk has it when this returns, if an order or a cancel follows from it; else when ``rest`` does.
        """
        closed_at_ms = record.closed_at_ms
        decisions = [decision_to_json(decision) for decision in record.decisions]
        payload = {
            "now_ms": record.now_ms,
            "candles": [
                [*candle, source] for candle, source in zip(record.candles, record.sources, strict=True)
            ],
            "reports": [report_to_json(report) for report in record.reports],
            "decisions": decisions,
            "state_changes": [_state_change_to_json(change) for change in record.state_changes],
        }
        if record.facts:
            payload["facts"] = [list(known) for known in record.facts]
        if (size := record.snapshot.get("risk", {}).get("size", _FULL_SIZE)) != _FULL_SIZE:
            payload["size"] = size
        day = (closed_at_ms - MINUTE_MS) // DAY_MS
        acts = any(decision.approved or decision.cancel for decision in record.decisions)
        with self._transaction(waits=acts):
            if day > self._day:
                self._keep_day(day)
            self._db.execute("INSERT INTO batches VALUES (?,?)", (closed_at_ms, orjson.dumps(payload)))
            self._store_candles(record)
            for decision in record.decisions:
                for order in decision.approved:
                    self._store_order(order.intent, OrderState.SENT)
            self._store_reports(record.reports)
            self._store_trades(record.trades)
            self._db.execute(
                "INSERT OR REPLACE INTO equity VALUES (?,?,?,?)",
                (closed_at_ms, record.equity, record.cash, record.exposure),
            )
            self._store_snapshot(closed_at_ms, record.snapshot)
        self._day = max(self._day, day)

    def commit_interim(self, record: InterimRecord) -> None:
        """Store what happened between two batches, whole or not at all."""
        payload: dict[str, Any] = {
            "batch_ms": record.snapshot.get("batch_ms"),
            "reports": [report_to_json(report) for report in record.reports],
            "approved": [intent_to_json(order.intent) for order in record.approved],
            "state_changes": [_state_change_to_json(change) for change in record.state_changes],
        }
        if record.event is not None or record.flatten:
            payload |= {"event": record.event, "flatten": record.flatten}
        with self._transaction():
            self._db.execute(
                "INSERT INTO interims (at_ms, payload) VALUES (?,?)", (record.at_ms, orjson.dumps(payload))
            )
            for order in record.approved:
                self._store_order(order.intent, OrderState.SENT)
            self._store_reports(record.reports)
            self._store_trades(record.trades)
            self._store_snapshot(record.at_ms, record.snapshot)
        self.rest()

    def rest(self) -> None:
        """Tidy up after a commit, when nothing waits: force to the disk what was only written, keep the log short."""
        with self._mapped():
            if self._behind:
                self._set_waits(waits=True)
                # A transaction by itself; the log is one file, so that it takes along all before it.
                self._db.execute("UPDATE snapshot SET at_ms = at_ms WHERE id = 1")
                self._behind = False
            self._set_waits(waits=False)
        self._commits += 1
        if self._commits % REST_COMMITS == 0:
            with self._mapped():
                start_log_over(self._db)

    def store_warm_up(self, candles: Sequence[Candle]) -> None:
        """Keep candles that were read as history before the first decision, so that a restart has them."""
        with self._transaction():
            self._db.executemany("INSERT OR IGNORE INTO candles VALUES (?,?,?,?,?,?,?,'history')", candles)

    def _store_candles(self, record: BatchRecord) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO candles VALUES (?,?,?,?,?,?,?,?)",
            [(*candle, source) for candle, source in zip(record.candles, record.sources, strict=True)],
        )

    def _store_trades(self, trades: Sequence[Trade]) -> None:
        if trades:
            self._db.executemany(
                "INSERT INTO trades (symbol, direction, entry_at_ms, entry_price, exit_at_ms, exit_price,"
                " quantity, fees, funding, pnl, exit_reason) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                trades,
            )

    def _store_snapshot(self, at_ms: int, snapshot: Mapping[str, Any]) -> None:
        self._db.execute("INSERT OR REPLACE INTO snapshot VALUES (1, ?, ?)", (at_ms, orjson.dumps(snapshot)))

    def _keep_day(self, day: int) -> None:
        """Keep the snapshot before the first minute of a day; there is none before the first of all."""
        self._db.execute(
            "INSERT OR IGNORE INTO day_snapshots SELECT ?, at_ms, payload FROM snapshot WHERE id = 1", (day,)
        )

    def _store_order(self, intent: OrderIntent, state: OrderState) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO orders VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                intent.client_order_id,
                intent.symbol,
                intent.decided_at_ms,
                intent.side.value,
                intent.type.value,
                intent.leg.value,
                intent.quantity,
                intent.stop_price,
                intent.reason,
                state.value,
            ),
        )

    def _store_reports(self, reports: Sequence[ExecutionReport]) -> None:
        for report in reports:
            if isinstance(report, Funding | Adopted):
                continue
            if isinstance(report, Accepted) and report.intent is not None:
                self._store_order(report.intent, OrderState.ACCEPTED)
                continue
            if isinstance(report, Fill):
                self._store_fill(report)
                continue
            self._db.execute(
                "UPDATE orders SET state = ? WHERE client_order_id = ?",
                (type(report).__name__.lower(), report.client_order_id),
            )

    def _store_fill(self, fill: Fill) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO fills VALUES (?,?,?,?,?,?,?,?,?)",
            (
                fill.trade_id,
                fill.client_order_id,
                fill.symbol,
                fill.side.value,
                fill.quantity,
                fill.price,
                fill.fee,
                fill.fee_asset,
                fill.filled_at_ms,
            ),
        )
        self._db.execute(
            "UPDATE orders SET state = CASE WHEN (SELECT sum(quantity) FROM fills WHERE client_order_id = ?1)"
            " >= quantity * (1 - 1e-9) THEN 'filled' ELSE 'partially_filled' END WHERE client_order_id = ?1",
            (fill.client_order_id,),
        )

    # --- what a start reads -------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any] | None:
        """The engine's last snapshot; None when nothing was committed yet."""
        with self._mapped():
            row = self._db.execute("SELECT payload FROM snapshot WHERE id = 1").fetchone()
        return None if row is None else orjson.loads(row[0])

    def recent_candles(self, symbol: Symbol, count: int) -> list[Candle]:
        """The newest candles of a symbol that were committed, oldest first."""
        with self._mapped():
            rows = self._db.execute(
                "SELECT symbol, opened_at_ms, open, high, low, close, volume FROM candles WHERE symbol = ?"
                " ORDER BY opened_at_ms DESC LIMIT ?",
                (symbol, count),
            ).fetchall()
        return [Candle(*row) for row in reversed(rows)]

    # --- transactions -------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, *, waits: bool = True) -> Iterator[None]:
        """All or nothing; the commit returns when the disk has it, or where nothing waits for that, when it is written."""
        with self._mapped():
            if waits:
                self._set_waits(waits=True)
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
                self._behind = not self._waits
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _set_waits(self, *, waits: bool) -> None:
        """Whether commits wait for the disk; asking SQLite costs as much as a row, so only a change is told."""
        if waits is not self._waits:
            self._db.execute(f"PRAGMA synchronous={'FULL' if waits else 'NORMAL'}")
            self._waits = waits

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"the journal {self.path} can't be used: {error}; free space on its disk, then start again"
            ) from error


def _state_change_to_json(change: StateChange) -> list[Any]:
    """A move of the trading state as JSON values."""
    return [change.before.value, change.after.value, change.reason, change.at_ms]
