"""Read-only views of a journal for commands, pages and replays; safe while the daemon writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from bot.core.limits import MarketFacts
from bot.core.market import DAY_MS, Candle
from bot.core.performance import LiveForecast, Matured
from bot.core.position import Trade
from bot.errors import DataError, NotRunningError, StorageError
from bot.journal.schema import SCHEMA_VERSION, connect, known_version, stand_in

DAY_SNAPSHOTS_SCHEMA = 5
"""From this version on a journal keeps the engine as it was before each day."""

_ALWAYS = 2**62


class StoredBatch(NamedTuple):
    """A batch as the journal holds it; reports and decisions are the JSON values that were written."""

    closed_at_ms: int
    now_ms: int
    candles: list[Candle]
    reports: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    facts: tuple[MarketFacts, ...] = ()
    sources: tuple[str, ...] = ()
    state_changes: tuple[tuple[str, str, str, int], ...] = ()
    size: tuple[float, str] = (1.0, "")
    """What entries were multiplied by, and why."""


class EquityPoint(NamedTuple):
    """The account after a batch, quote currency."""

    at_ms: int
    equity: float
    cash: float
    exposure: float


class JournalReader:
    """Queries over a journal file.

    Args:
        path: The database file.

    Raises:
        NotRunningError: There is no journal yet.
        StorageError: It was written by a newer version of the bot. One of an older version is read as it is.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotRunningError(
                f"there is no journal at {path}: start the bot with `bot run` or `make run` first"
            )
        self.path = path
        self._db = connect(str(path), read_only=True)
        try:
            self._begin()
        except BaseException:
            self._db.close()
            raise

    def _begin(self) -> None:
        """Look at the version, and put what an older one lacks beside it."""
        try:
            version = known_version(self._db, str(self.path))
            stand_in(self._db, version or SCHEMA_VERSION)
        except sqlite3.Error as error:
            raise StorageError(f"the journal {self.path} can't be read: {error}") from error
        if not version:
            raise NotRunningError(
                f"the journal {self.path} holds nothing yet: start the bot with `bot run` first"
            )

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def schema(self) -> int:
        """The version of its tables."""
        version: int = self._rows("PRAGMA user_version")[0][0]
        return version

    def meta(self) -> dict[str, str]:
        """What was set when the journal was made."""
        return dict(self._rows("SELECT key, value FROM meta"))

    def batches(self, since_ms: int = 0, until_ms: int = _ALWAYS) -> Iterator[StoredBatch]:
        """Every batch with since_ms <= closed_at_ms <= until_ms, in order of time."""
        query = "SELECT closed_at_ms, payload FROM batches WHERE closed_at_ms BETWEEN ? AND ? ORDER BY closed_at_ms"
        try:
            for at_ms, payload in self._db.execute(query, (since_ms, until_ms)):
                yield _batch(at_ms, payload)
        except sqlite3.Error as error:
            raise StorageError(f"the journal {self.path} can't be read: {error}") from error

    def newest_batches(self, limit: int) -> list[StoredBatch]:
        """The newest batches, newest first."""
        rows = self._rows(
            "SELECT closed_at_ms, payload FROM batches ORDER BY closed_at_ms DESC LIMIT ?", limit
        )
        return [_batch(*row) for row in rows]

    def batch_times(self) -> tuple[int, int] | None:
        """When the candles of the first and of the last batch closed; None where nothing was decided."""
        first, last = self._rows("SELECT min(closed_at_ms), max(closed_at_ms) FROM batches")[0]
        return None if first is None else (first, last)

    def batch(self, closed_at_ms: int) -> StoredBatch:
        """The batch of the candles that closed at this time; DataError when there is none."""
        rows = self._rows("SELECT closed_at_ms, payload FROM batches WHERE closed_at_ms = ?", closed_at_ms)
        if not rows:
            raise DataError(f"the journal {self.path} holds no candles that closed at {closed_at_ms}")
        return _batch(*rows[0])

    def interims(self, since_ms: int = 0) -> list[dict[str, Any]]:
        """What was settled between two batches since then, in order: time, reports, orders approved, moves of the state.

        ``batch_ms`` is the open time of the batch before, where the journal is new enough to tell.
        """
        # A market's clock stands at 0 until its first message: such a row belongs to any time.
        rows = self._rows(
            "SELECT at_ms, payload FROM interims WHERE at_ms >= ? OR at_ms = 0 ORDER BY id", since_ms
        )
        return [{"at_ms": at_ms, **orjson.loads(payload)} for at_ms, payload in rows]

    def day_snapshot(self, at_ms: int) -> dict[str, Any] | None:
        """The newest of the snapshots that are kept before a day's first batch, of before ``at_ms``; None where none is."""
        if self.schema() < DAY_SNAPSHOTS_SCHEMA:
            return None
        rows = self._rows(
            "SELECT payload FROM day_snapshots WHERE day <= ? ORDER BY day DESC LIMIT 2", at_ms // DAY_MS
        )
        # A day that was begun by an older version, or with the journal, has its snapshot from later that day.
        kept = (orjson.loads(payload) for (payload,) in rows)
        return next((snapshot for snapshot in kept if snapshot["batch_ms"] < at_ms), None)

    def fills(self, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
        """The table of executions with since_ms <= filled_at_ms < until_ms, in order of time."""
        names = ("trade_id", "client_order_id", "symbol", "side", "quantity", "price", "fee", "filled_at_ms")
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM fills WHERE filled_at_ms >= ? AND filled_at_ms < ?"  # noqa: S608 - constant names
            " ORDER BY filled_at_ms, trade_id",
            since_ms,
            until_ms,
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def trades(self, limit: int | None = None) -> list[Trade]:
        """Round trips, newest first."""
        rows = self._rows(
            "SELECT symbol, direction, entry_at_ms, entry_price, exit_at_ms, exit_price, quantity, fees, funding,"
            " pnl, exit_reason FROM trades ORDER BY id DESC LIMIT ?",
            -1 if limit is None else limit,
        )
        return [Trade(*row) for row in rows]

    def equity(self, since_ms: int = 0) -> list[EquityPoint]:
        """The account after each batch, in order of time."""
        rows = self._rows(
            "SELECT at_ms, equity, cash, exposure FROM equity WHERE at_ms >= ? ORDER BY at_ms", since_ms
        )
        return [EquityPoint(*row) for row in rows]

    def last_equity(self) -> EquityPoint | None:
        """The account now."""
        rows = self._rows("SELECT at_ms, equity, cash, exposure FROM equity ORDER BY at_ms DESC LIMIT 1")
        return EquityPoint(*rows[0]) if rows else None

    def snapshot(self) -> dict[str, Any] | None:
        """The engine after the last batch."""
        rows = self._rows("SELECT payload FROM snapshot WHERE id = 1")
        return orjson.loads(rows[0][0]) if rows else None

    def open_orders(self) -> list[dict[str, Any]]:
        """Orders that may still trade."""
        names = (
            "client_order_id",
            "symbol",
            "decided_at_ms",
            "side",
            "type",
            "leg",
            "quantity",
            "stop_price",
            "state",
        )
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM orders WHERE state NOT IN ('filled', 'canceled', 'rejected')"  # noqa: S608 - constant names
            " ORDER BY decided_at_ms, client_order_id"
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        tables = ("batches", "notes", "candles", "orders", "fills", "trades")
        return {name: self._rows(f"SELECT count(*) FROM {name}")[0][0] for name in tables}  # noqa: S608 - constant names

    def notes(self, kind: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest events of a kind that are not batches, newest first."""
        rows = self._rows(
            "SELECT at_ms, payload FROM notes WHERE kind = ? ORDER BY id DESC LIMIT ?", kind, limit
        )
        return [{"at_ms": at_ms, **orjson.loads(payload)} for at_ms, payload in rows]

    def orders_between(self, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
        """Orders that were decided with since_ms <= time < until_ms, in order, each with how it stands now."""
        names = (
            "client_order_id",
            "symbol",
            "decided_at_ms",
            "side",
            "type",
            "leg",
            "quantity",
            "reason",
            "state",
        )
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM orders WHERE decided_at_ms >= ? AND decided_at_ms < ?"  # noqa: S608 - constant names
            " ORDER BY decided_at_ms, client_order_id",
            since_ms,
            until_ms,
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def notes_in_order(self, kinds: Sequence[str]) -> list[dict[str, Any]]:
        """Every event of these kinds, oldest first, each with its ``kind`` and ``at_ms``."""
        rows = self._rows(
            f"SELECT kind, at_ms, payload FROM notes WHERE kind IN ({','.join('?' * len(kinds))}) ORDER BY id",  # noqa: S608 - marks
            *kinds,
        )
        return [{"kind": kind, "at_ms": at_ms, **orjson.loads(payload)} for kind, at_ms, payload in rows]

    def newest_note(self, kinds: Sequence[str]) -> dict[str, Any] | None:
        """The newest event of any of these kinds, with its ``kind``; None where there is none."""
        rows = self._rows(
            f"SELECT kind, at_ms, payload FROM notes WHERE kind IN ({','.join('?' * len(kinds))})"  # noqa: S608 - marks
            " ORDER BY id DESC LIMIT 1",
            *kinds,
        )
        return {"kind": rows[0][0], "at_ms": rows[0][1], **orjson.loads(rows[0][2])} if rows else None

    def notes_of_run(self, prefixes: Sequence[str], limit: int) -> list[dict[str, Any]]:
        """The newest events whose names begin so, newest first, of the latest start that became ready and what came after.

        Each has its ``kind`` and ``at_ms``.
        """
        ended = (
            "SELECT coalesce(max(id), 0) FROM notes WHERE kind IN ('service.stopped', 'service.interrupted')"
            " AND id < (SELECT coalesce(max(id), 0) FROM notes WHERE kind = 'service.ready')"
        )
        wanted = " OR ".join("substr(kind, 1, ?) = ?" for _ in prefixes)
        rows = self._rows(
            f"SELECT kind, at_ms, payload FROM notes WHERE id > ({ended}) AND ({wanted})"  # noqa: S608 - marks
            " ORDER BY id DESC LIMIT ?",
            *(value for prefix in prefixes for value in (len(prefix), prefix)),
            limit,
        )
        return [{"kind": kind, "at_ms": at_ms, **orjson.loads(payload)} for kind, at_ms, payload in rows]

    def performance(self, model_id: str, since_ms: int = 0) -> list[Matured]:
        """What came of a model's forecasts, as far as that was found, in order of symbol and time.

        Those with a missing minute in their horizon are among them, without a return.
        """
        rows = self._rows(
            "SELECT model_id, symbol, closed_at_ms, role, horizon_minutes, probability_up, expected_return,"
            " base_rate, close, realized, matured_at_ms FROM model_performance"
            " WHERE model_id = ? AND closed_at_ms >= ? AND matured_at_ms IS NOT NULL"
            " ORDER BY symbol, closed_at_ms",
            model_id,
            since_ms,
        )
        return [Matured(LiveForecast(*row[:9]), row[9], row[10]) for row in rows]

    def performing_models(self) -> list[str]:
        """Ids of the models that predicted live, the latest last."""
        rows = self._rows(
            "SELECT model_id FROM model_performance GROUP BY model_id ORDER BY max(closed_at_ms), model_id"
        )
        return [row[0] for row in rows]

    def watch_report(self, model_id: str) -> dict[str, Any] | None:
        """What the watch over a model last said, as ``bot status`` shows it; None before it said anything."""
        rows = self._rows("SELECT at_ms, payload FROM model_watch WHERE model_id = ?", model_id)
        return {"at_ms": rows[0][0], **orjson.loads(rows[0][1])["report"]} if rows else None

    def candles(self, symbol: str, since_ms: int, until_ms: int) -> list[Candle]:
        """The candles of a symbol with since_ms <= opened_at_ms < until_ms, oldest first."""
        rows = self._rows(
            "SELECT symbol, opened_at_ms, open, high, low, close, volume FROM candles"
            " WHERE symbol = ? AND opened_at_ms >= ? AND opened_at_ms < ? ORDER BY opened_at_ms",
            symbol,
            since_ms,
            until_ms,
        )
        return [Candle(*row) for row in rows]

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"the journal {self.path} can't be read: {error}") from error


def _batch(at_ms: int, payload: bytes) -> StoredBatch:
    row = orjson.loads(payload)
    candles = [Candle(*fields[:7]) for fields in row["candles"]]
    facts = tuple(MarketFacts(*known) for known in row.get("facts", ()))
    return StoredBatch(
        at_ms,
        row["now_ms"],
        candles,
        row["reports"],
        row["decisions"],
        facts,
        tuple(fields[7] if len(fields) > 7 else "" for fields in row["candles"]),
        tuple(tuple(change) for change in row.get("state_changes", ())),
        tuple(row.get("size", (1.0, ""))),
    )
