"""The orders, pairs, executions and income lines of a simulated account, and what of them is not journaled yet.

Conditional orders of the perpetuals have their own series of numbers and of client ids; on spot there is one series.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.simexchange.account_rows import (
    income_of_row,
    order_of_row,
    pair_of_row,
    row_of_order,
    row_of_value,
    trade_of_row,
)
from bot.simexchange.config import Market
from bot.simexchange.orders import Income, OrderRequest, OrderStatus, SimOrder, SimPair, SimTrade

FIRST_CONDITIONAL = 1_000_000_001
"""Number of the first conditional order of the perpetuals: a client (ccxt is one) may keep both series in one table."""

Key = tuple[bool, int]
"""An order: whether it is of the conditional series, and its number there."""


class OrderBook:
    """Everything that was ever asked of an account, by number.

    Attributes:
        trades: In order of time.
        incomes: In order of time (perpetuals).
        pairs: By list id (spot).
    """

    def __init__(self, market: Market) -> None:
        self.trades: list[SimTrade] = []
        self.incomes: list[Income] = []
        self.pairs: dict[int, SimPair] = {}
        self._market = market
        self._orders: dict[bool, dict[int, SimOrder]] = {False: {}, True: {}}
        self._open: dict[Key, SimOrder] = {}
        self._by_client: dict[tuple[bool, str, str], int] = {}
        self._symbols: set[str] = set()
        self._changed: dict[Key, None] = {}
        self._saved_trades = self._saved_incomes = self._saved_pairs = 0

    def series_of(self, request: OrderRequest) -> bool:
        """Whether a request goes to the conditional series."""
        return self._market is not Market.SPOT and request.is_conditional

    def add(self, request: OrderRequest, now_ms: int, *, list_id: int = -1, parent_id: int = 0) -> SimOrder:
        """Make an order, numbered next in its series."""
        series = self.series_of(request)
        number = self._next_number(series)
        order = SimOrder(
            number, request, OrderStatus.NEW, now_ms, now_ms, list_id=list_id, parent_id=parent_id
        )
        self._put(order)
        self.touch(order)
        return order

    def touch(self, order: SimOrder) -> None:
        """Note that an order changed; call it after each change."""
        key = self._key(order)
        self._changed[key] = None
        if not order.is_open:
            self._open.pop(key, None)

    def add_pair(self, client_id: str, symbol: str, now_ms: int) -> SimPair:
        """Make a list for the next two orders, the stop first; conditional ones, but for spot."""
        first = self._next_number(self._market is not Market.SPOT)
        pair = SimPair(len(self.pairs) + 1, client_id, symbol, first, first + 1, now_ms)
        self.pairs[pair.list_id] = pair
        return pair

    def twin(self, order: SimOrder) -> SimOrder | None:
        """The other order of a pair."""
        pair = self.pairs.get(order.list_id)
        if pair is None:
            return None
        orders = self._orders[self.series_of(order.request)]
        return orders[pair.target_id if order.order_id == pair.stop_id else pair.stop_id]

    def get(
        self, symbol: str | None, order_id: int | None, client_order_id: str | None, *, conditional: bool
    ) -> SimOrder | None:
        """An order by its number, else the latest of a client id; without a symbol: of any."""
        series = conditional and self._market is not Market.SPOT
        if order_id is None and client_order_id is not None:
            symbols = [symbol] if symbol else self._symbols
            found = (self._by_client.get((series, name, client_order_id)) for name in symbols)
            order_id = max((number for number in found if number is not None), default=None)
        order = self._orders[series].get(order_id) if order_id is not None else None
        return order if order and symbol in {None, order.request.symbol} else None

    def open_orders(self, symbol: str | None = None, *, conditional: bool | None = None) -> list[SimOrder]:
        """Those that may still trade, by number; of one series of the perpetuals, or of both."""
        kept = [
            (key, order)
            for key, order in self._open.items()
            if symbol in {None, order.request.symbol} and conditional in {None, key[0]}
        ]
        return [order for _, order in sorted(kept, key=lambda item: item[0])]

    def orders(self, symbol: str | None, *, conditional: bool) -> list[SimOrder]:
        """Every order of a series, by number."""
        series = conditional and self._market is not Market.SPOT
        return [order for order in self._orders[series].values() if symbol in {None, order.request.symbol}]

    def conditional_orders(self) -> list[SimOrder]:
        """Those of the perpetuals' own series, by number; none on spot."""
        return list(self._orders[True].values())

    def has_open_id(self, request: OrderRequest) -> bool:
        """Whether an open order of the symbol has the request's client id already."""
        number = self._by_client.get((self.series_of(request), request.symbol, request.client_order_id))
        return number is not None and (self.series_of(request), number) in self._open

    def delta(self, *, whole: bool = False) -> dict[str, Any]:
        """What was added or changed since ``saved`` was called last, or everything, as JSON values; empty parts left out."""
        orders: Iterable[SimOrder]
        if whole:
            orders = [*self._orders[False].values(), *self._orders[True].values()]
        else:
            orders = [self._orders[series][number] for series, number in self._changed]
        trades, incomes, pairs = (
            (0, 0, 0) if whole else (self._saved_trades, self._saved_incomes, self._saved_pairs)
        )
        parts = {
            "orders": [row_of_order(order) for order in orders],
            "trades": [row_of_value(trade) for trade in self.trades[trades:]],
            "incomes": [row_of_value(line) for line in self.incomes[incomes:]],
            "pairs": [row_of_value(pair) for pair in list(self.pairs.values())[pairs:]],
        }
        return {name: rows for name, rows in parts.items() if rows}

    def saved(self) -> None:
        """Take everything there is as journaled."""
        self._changed.clear()
        self._saved_trades, self._saved_incomes = len(self.trades), len(self.incomes)
        self._saved_pairs = len(self.pairs)

    def apply(self, delta: dict[str, Any]) -> None:
        """Take up what ``delta`` gave."""
        for row in delta.get("orders", ()):
            self._put(order_of_row(row))
        self.trades += [trade_of_row(row) for row in delta.get("trades", ())]
        self.incomes += [income_of_row(row) for row in delta.get("incomes", ())]
        for row in delta.get("pairs", ()):
            pair = pair_of_row(row)
            self.pairs[pair.list_id] = pair
        self.saved()

    def _next_number(self, series: bool) -> int:
        return len(self._orders[series]) + (FIRST_CONDITIONAL if series else 1)

    def _put(self, order: SimOrder) -> None:
        key = self._key(order)
        self._orders[key[0]][order.order_id] = order
        request = order.request
        client = (key[0], request.symbol, request.client_order_id)
        self._by_client[client] = max(order.order_id, self._by_client.get(client, 0))
        self._symbols.add(request.symbol)
        self._open.pop(key, None)
        if order.is_open:
            self._open[key] = order

    def _key(self, order: SimOrder) -> Key:
        return self.series_of(order.request), order.order_id
