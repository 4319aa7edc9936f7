"""Questions to an exchange about the account: what became of an order, executions, the whole state.

Everything raises: ccxt's exceptions as they are, DataError for an answer that cannot be believed. An answer is given
whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.brokers.ccxt_habits import VenueHabits
from bot.brokers.ccxt_orders import EXACT, asking_for, is_conditional
from bot.brokers.ccxt_outcomes import Meaning, outcome_of
from bot.brokers.ccxt_reading import fundings, holdings, trade_rows
from bot.brokers.ccxt_rows import (
    OrderOwners,
    client_id_of,
    conditional_seen,
    order_seen,
    rows_of,
    trade_seen,
)
from bot.brokers.venue_rows import ConditionalRow
from bot.core.market import Symbol, quote_of
from bot.core.orders import OrderIntent
from bot.core.venue import OrderAbsent, OrderSeen, TradeSeen, VenueEvent, VenueState, VenueStatus
from bot.errors import DataError
from bot.exchange_client import Exchange

MOST_OWNERS_ASKED = 100
"""Orders that one answer asks after to learn whose its executions are."""

STEADY_READS = 3
"""How often a state is read anew that changed while it was read."""

BEFORE_DECISION_MS = 1_000
"""How much earlier than the decision an order's executions are looked for; clocks differ."""


class AccountReader:
    """Asks and reads.

    Args:
        exchange: The ccxt instance, its markets loaded.
        habits: Of that exchange.
        symbols: What is traded here.
        owners: Is added to.
        now_ms: Exchange time.
    """

    def __init__(
        self,
        exchange: Exchange,
        habits: VenueHabits,
        symbols: Sequence[Symbol],
        owners: OrderOwners,
        now_ms: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._habits = habits
        self._symbols = tuple(symbols)
        self._owners = owners
        self._now_ms = now_ms

    # --- one order ----------------------------------------------------------------------------------------

    async def look_up(self, intent: OrderIntent) -> list[VenueEvent]:
        """What became of an order: among orders by client id, else among executions since it was decided."""
        try:
            row = await self._exchange.fetch_order(None, intent.symbol, asking_for(self._habits, intent))
        except Exception as error:
            if outcome_of(error, self._habits).meaning is not Meaning.UNKNOWN_ORDER:
                raise
            return await self._look_in_trades(intent)
        return [await self.read_order(row, intent)]

    async def read_order(self, row: Any, intent: OrderIntent) -> OrderSeen:
        """Read an order of ours, a conditional one that was triggered by way of the market order that it became."""
        if client_id_of(row) != intent.client_order_id:
            raise DataError(
                f"asked for {intent.client_order_id}, the exchange told of {row['clientOrderId']}"
            )
        conditional = self.conditional(row) if is_conditional(intent) else None
        if conditional is None:
            seen = order_seen(self._exchange, row, intent.client_order_id, self._now_ms())
            self._owners.learn(intent.symbol, seen.exchange_id, intent.client_order_id)
            return seen
        return await self._follow(conditional, intent)

    def conditional(self, row: Any) -> ConditionalRow | None:
        """The conditional order that a structure is of; None of any other."""
        info = row.get("info")
        return self._habits.conditional_row(info) if isinstance(info, Mapping) else None

    async def _follow(self, row: ConditionalRow, intent: OrderIntent) -> OrderSeen:
        if row.order_id:
            self._owners.learn(intent.symbol, row.order_id, intent.client_order_id)
            became = await self._exchange.fetch_order(row.order_id, intent.symbol)
            return order_seen(self._exchange, became, intent.client_order_id, self._now_ms())
        seen = conditional_seen(self._exchange, row, intent.symbol, self._now_ms())
        if seen is None:
            raise DataError(f"{intent.client_order_id} was triggered, and its market order is not told")
        return seen

    async def _look_in_trades(self, intent: OrderIntent) -> list[VenueEvent]:
        """An order that the exchange does not show may have traded all the same, and be shown later."""
        trades = await self.trades(intent.symbol, intent.decided_at_ms - BEFORE_DECISION_MS)
        own = [trade for trade in trades if trade.fill.client_order_id == intent.client_order_id]
        if not own:
            if any(not trade.fill.client_order_id and trade.fill.side is intent.side for trade in trades):
                raise DataError(
                    f"{intent.client_order_id} is not shown, and whose the latest executions are is not known"
                )
            return [OrderAbsent(intent.client_order_id, intent.symbol, self._now_ms())]
        filled = sum(trade.fill.quantity for trade in own)
        whole = filled >= intent.quantity * (1 - EXACT)
        seen = OrderSeen(
            client_order_id=intent.client_order_id,
            symbol=intent.symbol,
            at_ms=own[-1].fill.filled_at_ms,
            exchange_id=own[-1].exchange_order_id,
            status=VenueStatus.FILLED if whole else VenueStatus.OPEN,
            filled_quantity=filled,
            quantity=intent.quantity,
        )
        return [*own, seen]

    # --- the account --------------------------------------------------------------------------------------

    async def trades(self, symbol: Symbol, since_ms: int) -> list[TradeSeen]:
        """Executions of a symbol at or after a time, in order, each with its order's client id where that is known."""
        rows = await trade_rows(self._exchange, self._habits, symbol, since_ms, self._now_ms())
        await self._learn_owners(symbol, rows)
        return [
            trade_seen(self._exchange, row, self._owners.of(symbol, str(row.get("order")))) for row in rows
        ]

    async def state(self, since_ms: Mapping[Symbol, int]) -> VenueState:
        """Everything, read between two looks at what is held that show the same; DataError if it never stands still."""
        quote = quote_of(self._symbols[0])
        for _ in range(STEADY_READS):
            at_ms = self._now_ms()
            before = await holdings(self._exchange, self._habits, self._symbols, quote)
            orders = await self._open_orders()
            trades: list[TradeSeen] = []
            for symbol, cursor_ms in sorted(since_ms.items()):
                trades += await self.trades(symbol, cursor_ms)
            trades.sort(key=lambda trade: trade.fill.filled_at_ms)
            paid = await fundings(self._exchange, self._habits, dict(since_ms), self._now_ms())
            after = await holdings(self._exchange, self._habits, self._symbols, quote)
            if before == after:
                return VenueState(
                    at_ms=at_ms,
                    orders=tuple(orders),
                    trades=tuple(trades),
                    fundings=tuple(paid),
                    positions=after.positions,
                    wallet=after.wallet,
                    entry_prices=after.entry_prices,
                )
        raise DataError(f"the account changed {STEADY_READS} times while it was read")

    async def _open_orders(self) -> list[OrderSeen]:
        rows: list[Any] = []
        for asked in self._habits.open_lists:
            answer = await self._exchange.fetch_open_orders(params=dict(asked))
            told = rows_of(answer, "open orders")
            if 0 < self._habits.most_open <= len(told):
                raise DataError(f"there are {len(told)} open orders and perhaps more: not all can be read")
            rows += told
        seen = [self._read_open(row) for row in rows]
        return [order for order in seen if order is not None]

    def _read_open(self, row: Any) -> OrderSeen | None:
        client_id = client_id_of(row)
        conditional = self.conditional(row)
        if conditional is not None:
            return conditional_seen(self._exchange, conditional, row["symbol"], self._now_ms())
        seen = order_seen(self._exchange, row, client_id, self._now_ms())
        self._owners.learn(seen.symbol, seen.exchange_id, client_id)
        return seen

    async def _learn_owners(self, symbol: Symbol, rows: Sequence[Any]) -> None:
        """Ask whose executions are; after a start nothing is known of the orders before it."""
        numbers = dict.fromkeys(str(row.get("order")) for row in reversed(rows))
        unknown = [number for number in numbers if not self._owners.of(symbol, number)]
        for number in unknown[:MOST_OWNERS_ASKED]:
            try:
                row = await self._exchange.fetch_order(number, symbol)
            except Exception as error:
                if outcome_of(error, self._habits).meaning is not Meaning.UNKNOWN_ORDER:
                    raise
            else:
                self._owners.learn(symbol, number, client_id_of(row))
