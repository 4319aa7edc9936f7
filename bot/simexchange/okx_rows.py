"""What the account holds, looked up and put into OKX's rows: an order with its executions, a conditional one with its child."""

from __future__ import annotations

from collections.abc import Callable

from bot.simexchange.account import SimAccount
from bot.simexchange.okx_listing import Swaps
from bot.simexchange.okx_messages import Row, algo_row, fill_row, order_push, order_row
from bot.simexchange.orders import OrderChanged, SimOrder, SimPosition, SimTrade

ALL = 1_000_000


class OkxRows:
    """Tells orders and executions of an account.

    An OCO order of OKX is a pair of the account's conditional orders, told by the number of its stop.
    """

    def __init__(self, account: SimAccount, swaps: Swaps, price: Callable[[str, int], float | None]) -> None:
        """``price``: the current one of a symbol at a time."""
        self._account = account
        self._swaps = swaps
        self._price = price

    def positions(self) -> list[SimPosition]:
        """Of every symbol, flat ones too."""
        return self._account.positions()

    def held(self, symbol: str) -> SimPosition:
        """Position, leverage and margin mode of a symbol."""
        return next(held for held in self._account.positions() if held.symbol == symbol)

    def order(self, order: SimOrder) -> Row:
        """An ordinary order as it stands."""
        return self._order(order, self._account.trades(None, order_id=order.order_id, limit=ALL))

    def push(self, event: OrderChanged) -> Row:
        """An ordinary order as it stood right after an event."""
        order, trade = event.order, event.trade
        until = trade.trade_id if trade else ALL
        done = self._account.trades(None, order_id=order.order_id, limit=ALL)
        counted = [one for one in done if one.trade_id <= until] if order.executed_quantity else []
        return order_push(self._order(order, counted), trade, self._swaps[order.request.symbol])

    def algo(self, order: SimOrder, at_ms: int) -> Row:
        """A conditional order as it stands; ``order`` may be either of a pair."""
        first = self.primary(order)
        twin = self.twin(first)
        number = first.triggered_order_id or (twin.triggered_order_id if twin else 0)
        symbol = first.request.symbol
        child = self._account.find(symbol, order_id=number) if number else None
        price = self._price(symbol, at_ms)
        return algo_row(first, self._swaps[symbol], self.held(symbol), child, twin, price)

    def fill(self, trade: SimTrade) -> Row:
        """An execution."""
        order = self._account.find(trade.symbol, order_id=trade.order_id)
        return fill_row(trade, order, self._swaps[trade.symbol])

    def is_primary(self, order: SimOrder) -> bool:
        """Whether a conditional order is told under its own number."""
        return order.list_id < 0 or self._account.pair(order.list_id).stop_id == order.order_id

    def primary(self, order: SimOrder) -> SimOrder:
        """The conditional order under whose number this one is told."""
        if self.is_primary(order):
            return order
        return self._conditional(order, self._account.pair(order.list_id).stop_id)

    def twin(self, stop: SimOrder) -> SimOrder | None:
        """The target of a pair's stop."""
        if stop.list_id < 0:
            return None
        return self._conditional(stop, self._account.pair(stop.list_id).target_id)

    def _order(self, order: SimOrder, trades: list[SimTrade]) -> Row:
        symbol = order.request.symbol
        parent = self.primary(self._conditional(order, order.parent_id)) if order.parent_id else None
        return order_row(order, trades, self._swaps[symbol], self.held(symbol), parent)

    def _conditional(self, order: SimOrder, number: int) -> SimOrder:
        return self._account.find(order.request.symbol, order_id=number, conditional=True)
