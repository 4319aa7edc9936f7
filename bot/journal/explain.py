"""What the journal holds about one decision: for ``bot explain`` and the page of the same name.

A journal of any older schema is read as it lies, without being changed: until a daemon starts on it, it stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from bot.core.market import Symbol
from bot.core.position import Trade
from bot.journal.reader import JournalReader

_ALWAYS = 2**62
_PAGE = 256
_BATCHES_SCHEMA = 2
"""From this version on minutes and notes have tables of their own; before, both were in ``events``."""
_PERFORMANCE_SCHEMA = 3

_TRADE = (
    "symbol, direction, entry_at_ms, entry_price, exit_at_ms, exit_price, quantity, fees, funding, pnl,"
    " exit_reason"
)
_ORDER = (
    "client_order_id",
    "symbol",
    "decided_at_ms",
    "side",
    "type",
    "leg",
    "quantity",
    "stop_price",
    "reason",
    "state",
)
_FILL = ("trade_id", "client_order_id", "symbol", "side", "quantity", "price", "fee", "filled_at_ms")
_CANDLE = ("opened_at_ms", "open", "high", "low", "close", "volume", "source")


class KeptMinute(NamedTuple):
    """A decided minute as it was journaled, as far as a decision needs it.

    Attributes:
        closed_at_ms: Close of its candles.
        now_ms: The exchange's time when it was decided.
        decisions: JSON values, as ``decision_to_json`` made them.
        size: What entries were multiplied by, and why.
        facts: What was known of the markets beside candles: rows of symbol, spread in bps, funding rate.
    """

    closed_at_ms: int
    now_ms: int
    decisions: list[dict[str, Any]]
    size: tuple[float, str] = (1.0, "")
    facts: tuple[tuple[Any, ...], ...] = ()


class ExplainReader(JournalReader):
    """``JournalReader`` with the questions that an explanation asks.

    Args:
        path: The database file.

    Raises:
        NotRunningError: There is no journal yet.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._schema = self.schema()

    # --- minutes ------------------------------------------------------------------------------------------

    def minutes(
        self, since_ms: int = 0, until_ms: int = _ALWAYS, *, newest_first: bool = False
    ) -> Iterator[KeptMinute]:
        """Every minute with since_ms <= closed_at_ms <= until_ms, page by page."""
        low, high = since_ms, until_ms
        while page := self._page(low, high, newest_first=newest_first):
            yield from page
            if newest_first:
                high = page[-1].closed_at_ms - 1
            else:
                low = page[-1].closed_at_ms + 1

    def _page(self, low: int, high: int, *, newest_first: bool) -> list[KeptMinute]:
        source = (
            "batches"
            if self._schema >= _BATCHES_SCHEMA
            else "(SELECT at_ms AS closed_at_ms, payload FROM events WHERE kind = 'batch')"
        )
        order = "DESC" if newest_first else "ASC"
        rows = self._rows(
            f"SELECT closed_at_ms, payload FROM {source} WHERE closed_at_ms BETWEEN ? AND ?"  # noqa: S608 - constant words
            f" ORDER BY closed_at_ms {order} LIMIT {_PAGE}",
            low,
            high,
        )
        return [_minute(at_ms, payload) for at_ms, payload in rows]

    def kept_notes(self, kinds: Sequence[str]) -> list[dict[str, Any]]:
        """As ``notes_in_order``, of a journal of any schema."""
        if self._schema >= _BATCHES_SCHEMA:
            return self.notes_in_order(kinds)
        marks = ",".join("?" * len(kinds))
        rows = self._rows(
            f"SELECT kind, at_ms, payload FROM events WHERE kind IN ({marks}) ORDER BY seq",  # noqa: S608 - marks
            *kinds,
        )
        return [{"kind": kind, "at_ms": at_ms, **orjson.loads(payload)} for kind, at_ms, payload in rows]

    # --- the market ---------------------------------------------------------------------------------------

    def symbols(self) -> list[Symbol]:
        """Every symbol that the journal has candles of, by name."""
        found: list[Symbol] = []
        last = ""
        # Each look goes straight to the next name in the key: a year of candles is not read for it.
        while rows := self._rows("SELECT symbol FROM candles WHERE symbol > ? ORDER BY symbol LIMIT 1", last):
            last = rows[0][0]
            found.append(last)
        return found

    def candle_rows(self, symbol: Symbol, since_ms: int, until_ms: int) -> list[dict[str, Any]]:
        """The candles of a symbol with since_ms <= opened_at_ms < until_ms, oldest first, each with its source."""
        rows = self._rows(
            f"SELECT {', '.join(_CANDLE)} FROM candles WHERE symbol = ? AND opened_at_ms >= ?"  # noqa: S608 - constant names
            " AND opened_at_ms < ? ORDER BY opened_at_ms",
            symbol,
            since_ms,
            until_ms,
        )
        return [dict(zip(_CANDLE, row, strict=True)) for row in rows]

    # --- what came of it ----------------------------------------------------------------------------------

    def orders_like(self, beginning: str) -> list[dict[str, Any]]:
        """Orders whose client id begins so, in the order of the ids, each with how it stands now."""
        rows = self._rows(
            f"SELECT {', '.join(_ORDER)} FROM orders WHERE client_order_id >= ? AND client_order_id < ?"  # noqa: S608 - constant names
            " ORDER BY client_order_id",
            beginning,
            beginning + "\x7f",  # ids are of [a-z0-9]
        )
        return [dict(zip(_ORDER, row, strict=True)) for row in rows]

    def fills_of(self, order_ids: Iterable[str]) -> list[dict[str, Any]]:
        """Executions of some orders, in order of time."""
        wanted = list(order_ids)
        rows = self._rows(
            f"SELECT {', '.join(_FILL)} FROM fills WHERE client_order_id IN ({','.join('?' * len(wanted))})"  # noqa: S608 - names and marks
            " ORDER BY filled_at_ms, trade_id",
            *wanted,
        )
        return [dict(zip(_FILL, row, strict=True)) for row in rows]

    def held_before(self, symbol: Symbol, at_ms: int) -> float:
        """Signed base units that the executions before this time add up to."""
        rows = self._rows(
            "SELECT total(CASE side WHEN 'buy' THEN quantity ELSE -quantity END), total(quantity) FROM fills"
            " WHERE symbol = ? AND filled_at_ms < ?",
            symbol,
            at_ms,
        )
        held, turned_over = rows[0]
        # A sum of decimal quantities misses zero by the rounding of its parts.
        return 0.0 if abs(held) <= 1e-12 * turned_over else round(held, 12)

    def trade_over(self, symbol: Symbol, since_ms: int, until_ms: int) -> Trade | None:
        """The newest round trip that was begun by ``until_ms`` and not over before ``since_ms``."""
        rows = self._rows(
            f"SELECT {_TRADE} FROM trades WHERE symbol = ? AND entry_at_ms <= ? AND exit_at_ms >= ?"  # noqa: S608 - constant names
            " ORDER BY entry_at_ms DESC, id DESC LIMIT 1",
            symbol,
            until_ms,
            since_ms,
        )
        return Trade(*rows[0]) if rows else None

    def decided_of_fill(self, symbol: Symbol, filled_at_ms: int, *, entry: bool) -> int | None:
        """When the order of an execution was decided; None where none of that time is known.

        Args:
            symbol: The market.
            filled_at_ms: Of the execution.
            entry: Whether an entry is looked for, or an order that ends one.
        """
        rows = self._rows(
            "SELECT orders.decided_at_ms FROM fills JOIN orders USING (client_order_id) WHERE fills.symbol = ?"
            " AND fills.filled_at_ms = ? AND (orders.leg = 'e') = ? ORDER BY orders.decided_at_ms DESC LIMIT 1",
            symbol,
            filled_at_ms,
            entry,
        )
        return None if not rows else int(rows[0][0])

    def equity_at(self, at_ms: int) -> float | None:
        """Equity at the close of a minute; None where that was not kept."""
        rows = self._rows("SELECT equity FROM equity WHERE at_ms = ?", at_ms)
        return None if not rows else float(rows[0][0])

    def outcome_of(self, model_id: str, symbol: Symbol, closed_at_ms: int) -> dict[str, Any] | None:
        """What the watch over the model found came of a forecast; None where it did not look, or not yet."""
        if self._schema < _PERFORMANCE_SCHEMA:
            return None
        rows = self._rows(
            "SELECT role, realized, matured_at_ms FROM model_performance"
            " WHERE model_id = ? AND symbol = ? AND closed_at_ms = ?",
            model_id,
            symbol,
            closed_at_ms,
        )
        return dict(zip(("role", "realized", "matured_at_ms"), rows[0], strict=True)) if rows else None


def _minute(closed_at_ms: int, payload: bytes) -> KeptMinute:
    row = orjson.loads(payload)
    factor, reason = row.get("size", (1.0, ""))
    facts = tuple(tuple(known) for known in row.get("facts", ()))
    return KeptMinute(closed_at_ms, row["now_ms"], row["decisions"], (float(factor), str(reason)), facts)
