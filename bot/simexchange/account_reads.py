"""What may be asked of a simulated account: orders, executions, income, positions, balances. Nothing here changes any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from bot.simexchange.account_book import OrderBook
from bot.simexchange.account_ledger import Ledger
from bot.simexchange.account_rows import row_of_order, row_of_value
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import Listing
from bot.simexchange.filters import listed
from bot.simexchange.orders import (
    AccountTerms,
    Income,
    Refusal,
    SimBalance,
    SimOrder,
    SimPair,
    SimPosition,
    SimTrade,
)

_Line = TypeVar("_Line", SimOrder, SimTrade, Income)
_NO_ID = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"


class AccountReads:
    """The questions that an account answers; orders that it hands out are copies."""

    def __init__(self, market: Market, terms: AccountTerms, book: OrderBook, ledger: Ledger) -> None:
        self.market = market
        self._book = book
        self._ledger = ledger
        self._listings = terms.listings
        self._dual_side = False

    @property
    def symbols(self) -> list[str]:
        """What can be traded, by exchange id."""
        return sorted(self._listings)

    def listing(self, symbol: str) -> Listing:
        """The listing of a symbol; raises Refusal -1121 for one that is not traded."""
        return listed(self._listings, symbol)

    def pair(self, list_id: int) -> SimPair:
        """A pair by its number; raises Refusal -2018 for one that is not there."""
        found = self._book.pairs.get(list_id)
        if found is None:
            raise Refusal(-2018, "Order list does not exist.")
        return found

    def find(
        self,
        symbol: str | None,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        conditional: bool = False,
    ) -> SimOrder:
        """An order by number, or the latest of a client id; without a symbol: of any; raises Refusal -2013."""
        order = self._get(symbol, order_id, client_order_id, conditional=conditional)
        if order is None:
            raise Refusal(-2013, "Order does not exist.")
        return replace(order)

    def open_orders(self, symbol: str | None = None, *, conditional: bool = False) -> list[SimOrder]:
        """Those that may still trade, by number; on the perpetuals of one series."""
        return [
            replace(order) for order in self._book.open_orders(symbol, conditional=self._series(conditional))
        ]

    def orders(
        self,
        symbol: str | None,
        *,
        conditional: bool = False,
        since_ms: int | None = None,
        until_ms: int | None = None,
        from_id: int | None = None,
        limit: int = 500,
    ) -> list[SimOrder]:
        """Every order by number: the first ones from a time or number on, else the last ones."""
        rows = [
            order
            for order in self._book.orders(symbol, conditional=conditional)
            if _within(order.created_at_ms, since_ms, until_ms) and order.order_id >= (from_id or 0)
        ]
        return [replace(order) for order in _page(rows, limit, newest=since_ms is None and from_id is None)]

    def trades(
        self,
        symbol: str | None,
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        from_id: int | None = None,
        order_id: int | None = None,
        limit: int = 500,
    ) -> list[SimTrade]:
        """Executions by number: the first ones from a time or number on, else the last ones."""
        rows = [
            trade
            for trade in self._book.trades
            if symbol in {None, trade.symbol}
            and _within(trade.at_ms, since_ms, until_ms)
            and trade.trade_id >= (from_id or 0)
            and order_id in {None, trade.order_id}
        ]
        return _page(rows, limit, newest=since_ms is None and from_id is None)

    def income(
        self,
        *,
        symbol: str | None = None,
        kind: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        limit: int = 100,
    ) -> list[Income]:
        """Gains, fees and funding of the perpetuals: the first ones from a time on, else the last ones."""
        rows = [
            line
            for line in self._book.incomes
            if symbol in {None, line.symbol}
            and kind in {None, line.kind}
            and _within(line.at_ms, since_ms, until_ms)
        ]
        return _page(rows, limit, newest=since_ms is None)

    def positions(self) -> list[SimPosition]:
        """By symbol, the flat ones of every listing too; none on spot."""
        return self._ledger.positions()

    def balances(self) -> list[SimBalance]:
        """By asset: wallets of the perpetuals, coins of spot."""
        return self._ledger.balances()

    def truth(self) -> dict[str, Any]:
        """Everything about the account, as JSON values, for comparing with what a client believes."""
        book = self._book
        return {
            "market": self.market.value,
            "dual_side": self._dual_side,
            "balances": [row_of_value(balance) for balance in self.balances()],
            "positions": [row_of_value(held) for held in self.positions() if held.quantity],
            "orders": [row_of_order(order) for order in book.orders(None, conditional=False)],
            "conditional_orders": [row_of_order(order) for order in book.conditional_orders()],
            "pairs": [row_of_value(pair) for pair in book.pairs.values()],
            "trades": [row_of_value(trade) for trade in book.trades],
            "income": [row_of_value(line) for line in book.incomes],
        }

    def _get(
        self, symbol: str | None, order_id: int | None, client_order_id: str | None, *, conditional: bool
    ) -> SimOrder | None:
        if order_id is None and not client_order_id:
            raise Refusal(-1102, _NO_ID)
        if symbol is not None:
            self.listing(symbol)
        return self._book.get(symbol, order_id, client_order_id, conditional=conditional)

    def _series(self, conditional: bool) -> bool | None:
        return conditional if self.market is not Market.SPOT else None


def _within(at_ms: int, since_ms: int | None, until_ms: int | None) -> bool:
    return (since_ms is None or at_ms >= since_ms) and (until_ms is None or at_ms <= until_ms)


def _page(rows: Sequence[_Line], limit: int, *, newest: bool) -> list[_Line]:
    """The last or the first ``limit`` rows."""
    if limit <= 0:
        return []
    return list(rows[-limit:] if newest else rows[:limit])
