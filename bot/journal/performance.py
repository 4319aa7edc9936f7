"""The part of the journal that keeps what models said live and what came of it.

Written between two minutes, in a transaction of its own: no decision waits for it.
"""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import orjson

from bot.core.market import Symbol
from bot.core.performance import LiveForecast, Matured
from bot.core.prediction import Prediction

_FORECAST = (
    "model_id, symbol, closed_at_ms, role, horizon_minutes, probability_up, expected_return, base_rate, close"
)


class WatchState(NamedTuple):
    """What the watch over a model knew after a minute.

    Attributes:
        model_id: The model.
        at_ms: Close of that minute.
        payload: The watch's snapshot, JSON values.
    """

    model_id: str
    at_ms: int
    payload: Mapping[str, Any]


class PerformanceTables:
    """Mixed into the journal's writer."""

    _db: sqlite3.Connection

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""

    @abstractmethod
    def _mapped(self) -> AbstractContextManager[None]:
        """SQLite's errors as ours."""

    @abstractmethod
    def rest(self) -> None:
        """Tidy up after a commit."""

    def store_performance(
        self,
        forecasts: Sequence[LiveForecast],
        matured: Sequence[Matured],
        watch: WatchState | None = None,
    ) -> None:
        """Append one minute's forecasts and outcomes, and replace what the watch knows, in one transaction.

        A forecast that is there already stays as it is, and so does an outcome.

        Raises:
            StorageError: The disk refused; nothing was stored.
        """
        if not (forecasts or matured or watch):
            return
        with self._transaction():
            if forecasts:
                self._db.executemany(
                    "INSERT OR IGNORE INTO model_performance VALUES (?,?,?,?,?,?,?,?,?,NULL,NULL)", forecasts
                )
            if matured:
                self._db.executemany(
                    "UPDATE model_performance SET realized = ?, matured_at_ms = ? WHERE model_id = ?"
                    " AND symbol = ? AND closed_at_ms = ? AND matured_at_ms IS NULL",
                    [(one.realized, one.matured_at_ms, *one.forecast[:3]) for one in matured],
                )
            if watch is not None:
                self._db.execute(
                    "INSERT OR REPLACE INTO model_watch VALUES (?,?,?)",
                    (watch.model_id, watch.at_ms, orjson.dumps(watch.payload)),
                )
        self.rest()

    def pending_forecasts(self) -> list[LiveForecast]:
        """Forecasts whose outcome is not known yet, oldest first."""
        with self._mapped():
            rows = self._db.execute(
                f"SELECT {_FORECAST} FROM model_performance WHERE matured_at_ms IS NULL"  # noqa: S608 - constant names
                " ORDER BY closed_at_ms, symbol, model_id"
            ).fetchall()
        return [LiveForecast(*row) for row in rows]

    def matured_after(
        self, model_id: str, symbols: Sequence[Symbol], at_ms: int, since_ms: int
    ) -> list[Matured]:
        """What came of a model's forecasts and was found after a minute, oldest first.

        Args:
            model_id: The model.
            symbols: Whose.
            at_ms: Found in minutes that closed after this one.
            since_ms: Of forecasts made from here on: the rest is not looked through.
        """
        found = []
        with self._mapped():
            for symbol in symbols:
                found += self._db.execute(
                    f"SELECT {_FORECAST}, realized, matured_at_ms FROM model_performance"  # noqa: S608 - constant names
                    " WHERE model_id = ? AND symbol = ? AND closed_at_ms >= ? AND matured_at_ms > ?",
                    (model_id, symbol, since_ms, at_ms),
                ).fetchall()
        rows = [Matured(LiveForecast(*row[:9]), row[9], row[10]) for row in found]
        return sorted(
            rows, key=lambda row: (row.matured_at_ms, row.forecast.closed_at_ms, row.forecast.symbol)
        )

    def watch_state(self, model_id: str) -> WatchState | None:
        """What the watch over a model knew when it was last stored."""
        with self._mapped():
            row = self._db.execute(
                "SELECT at_ms, payload FROM model_watch WHERE model_id = ?", (model_id,)
            ).fetchone()
        return None if row is None else WatchState(model_id, row[0], orjson.loads(row[1]))

    def newest_predictions(self) -> list[tuple[Prediction, float]]:
        """The champion's predictions of the last batch, each with the close that it was made on.

        A kill between a batch and its forecasts leaves these unwritten in ``model_performance``.
        """
        with self._mapped():
            row = self._db.execute(
                "SELECT payload FROM batches ORDER BY closed_at_ms DESC LIMIT 1"
            ).fetchone()
        if row is None:
            return []
        batch = orjson.loads(row[0])
        closes = {candle[0]: candle[5] for candle in batch["candles"]}
        made = [
            decision["prediction"] for decision in batch["decisions"] if decision["prediction"] is not None
        ]
        # JSON has no NaN: a forecast that was none is journaled as null.
        return [
            (Prediction(**fields), closes[fields["symbol"]])
            for fields in made
            if fields["expected_return"] is not None
        ]
