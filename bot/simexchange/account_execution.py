"""What happens to the orders of a simulated account: taken in, executed, triggered, ended; each step is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.core.costs import Costs
from bot.core.market import Instrument, kind_of
from bot.core.orders import Side
from bot.core.position import held_after
from bot.simexchange.account_book import OrderBook
from bot.simexchange.account_ledger import Ledger, PriceNow
from bot.simexchange.account_money import MarginLedger
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import Listing
from bot.simexchange.orders import (
    AccountEvent,
    AccountTerms,
    Income,
    OrderChanged,
    OrderKind,
    OrderRequest,
    OrderStatus,
    SimOrder,
    SimTrade,
    TimeInForce,
)

NOTHING_TO_REDUCE = "Reduce Only reject"
_RESTING = {TimeInForce.GTC, TimeInForce.GTX}


class Execution:
    """Changes orders and money together, and keeps what is to be told.

    Attributes:
        book: The orders.
        ledger: The money.
        costs: Fees, spread and slippage.
        events: Not told yet.
        shares: By series and number of an order: the shares in which a fault plan wants it to execute first.
    """

    def __init__(self, market: Market, terms: AccountTerms, book: OrderBook, ledger: Ledger) -> None:
        self.book = book
        self.ledger = ledger
        self.costs = Costs(
            taker_fee_bps=terms.taker_fee_bps,
            half_spread_bps=terms.half_spread_bps,
            slippage_bps=terms.slippage_bps,
            maker_fee_bps=terms.maker_fee_bps,
        )
        self.events: list[AccountEvent] = []
        self.shares: dict[tuple[bool, int], tuple[float, ...]] = {}
        self._listings = terms.listings
        self._market = market
        self._cuts = {
            symbol: _instrument(listing, market).cut_quantity for symbol, listing in terms.listings.items()
        }

    def fill_price(self, request: OrderRequest, base: float) -> float:
        """The price at which an order takes: moved against it, but never beyond its limit."""
        moved = self.costs.market_price(Side(request.side.lower()), base)
        if request.kind is not OrderKind.LIMIT or request.price is None:
            return moved
        return min(moved, request.price) if request.side == "BUY" else max(moved, request.price)

    def take_in(
        self,
        request: OrderRequest,
        now_ms: int,
        *,
        list_id: int = -1,
        parent_id: int = 0,
        shares: tuple[float, ...] | None = None,
    ) -> SimOrder:
        """Make an order and tell so."""
        order = self.book.add(request, now_ms, list_id=list_id, parent_id=parent_id)
        if shares is not None:
            self.shares[self._key(order)] = shares
        self.tell(order, "NEW", now_ms)
        return order

    def execute(self, order: SimOrder, price: float, at_ms: int, *, is_maker: bool = False) -> None:
        """Fill an order as far as it may be, in its shares; what can't be and may not rest expires."""
        self._end_twin(order, OrderStatus.EXPIRED, "the other order of the pair was executed", at_ms)
        shares = self.shares.pop(self._key(order), (1.0,))
        wanted = self.ledger.available_to(order)
        is_cut = wanted < order.remaining
        for quantity in self._parts(order.request.symbol, wanted, shares):
            self._trade(order, quantity, price, at_ms, is_maker=is_maker)
        if not order.is_open:
            return
        if is_cut or not (order.request.kind is OrderKind.LIMIT and order.request.time_in_force in _RESTING):
            self.end(order, OrderStatus.EXPIRED, NOTHING_TO_REDUCE if is_cut else "", at_ms)

    def trigger(self, order: SimOrder, base: float, at_ms: int, price: PriceNow) -> None:
        """A conditional order's level was reached, at the price ``base``.

        On spot it executes itself; on the perpetuals a market order with a number of its own does.
        """
        quantity = self.ledger.available_to(order)
        if quantity == 0.0:
            self.end(order, OrderStatus.EXPIRED, NOTHING_TO_REDUCE, at_ms)
            self._end_twin(order, OrderStatus.EXPIRED, "the other order of the pair found nothing", at_ms)
            return
        self._end_twin(order, OrderStatus.EXPIRED, "the other order of the pair was executed", at_ms)
        fill = self.fill_price(order.request, base)
        refusal = self.ledger.covers(order, fill, self.costs.fee(quantity * fill), price)
        if refusal:
            status = OrderStatus.EXPIRED if self._market is Market.SPOT else OrderStatus.REJECTED
            self.end(order, status, refusal, at_ms)
        elif self._market is Market.SPOT:
            self.execute(order, fill, at_ms)
        else:
            self._become_market(order, fill, at_ms)

    def fill_resting(self, order: SimOrder, at_ms: int) -> None:
        """The price went through a resting limit order: it executes at its price."""
        if order.request.price is None or self.ledger.available_to(order) == 0.0:
            self.end(order, OrderStatus.EXPIRED, NOTHING_TO_REDUCE, at_ms)
        else:
            self.execute(order, order.request.price, at_ms, is_maker=True)

    def end(self, order: SimOrder, status: OrderStatus, reason: str, at_ms: int) -> None:
        """Close an order that trades no more, without its twin."""
        self.shares.pop(self._key(order), None)
        order.status, order.reason, order.updated_at_ms = status, reason, at_ms
        self.book.touch(order)
        self.tell(order, status.value, at_ms)

    def cancel(self, order: SimOrder, at_ms: int) -> None:
        """Cancel an order, and the other one of its pair."""
        self.end(order, OrderStatus.CANCELED, "", at_ms)
        self._end_twin(order, OrderStatus.CANCELED, "the other order of the pair was canceled", at_ms)

    def tell(self, order: SimOrder, execution: str, at_ms: int, trade: SimTrade | None = None) -> None:
        """Keep an event of an order, and of the money that it moved or locked."""
        self.events.append(OrderChanged(replace(order), execution, at_ms, trade))
        waits = order.request.kind is not OrderKind.MARKET or execution != "NEW"
        if trade is not None or (self._market is Market.SPOT and waits):
            listing = self._listings[order.request.symbol]
            self.events.append(self.ledger.changed(listing, "ORDER", at_ms))

    def earn(self, listing: Listing, kind: str, amount: float, at_ms: int) -> None:
        """Add a line to the income history."""
        incomes = self.book.incomes
        incomes.append(Income(len(incomes) + 1, listing.symbol, kind, amount, listing.quote, at_ms))

    def pay_funding(self, symbol: str, rate: float, mark_price: float, at_ms: int) -> None:
        """Book a funding time of the perpetuals; nothing happens without a position."""
        ledger, listing = self.ledger, self._listings[symbol]
        if not isinstance(ledger, MarginLedger) or ledger.holding(symbol).quantity == 0.0:
            return
        self.earn(listing, "FUNDING_FEE", -ledger.pay_funding(listing, rate, mark_price), at_ms)
        self.events.append(ledger.changed(listing, "FUNDING_FEE", at_ms))

    def shares_state(self) -> list[list[Any]]:
        """The shares of open orders, as JSON values."""
        return [[series, number, list(shares)] for (series, number), shares in self.shares.items()]

    def load_shares(self, state: list[list[Any]]) -> None:
        """Take up what ``shares_state`` gave."""
        self.shares = {(series, number): tuple(shares) for series, number, shares in state}

    def _become_market(self, order: SimOrder, fill: float, at_ms: int) -> None:
        """The market order of a conditional one: its own number, the same client id."""
        request = order.request
        quantity = self.ledger.available_to(order) if request.close_position else request.quantity
        asked = replace(
            request,
            kind=OrderKind.MARKET,
            quantity=quantity,
            stop_price=None,
            close_position=False,
            reduce_only=request.only_reduces,
        )
        shares = self.shares.pop(self._key(order), None)
        order.status, order.updated_at_ms = OrderStatus.TRIGGERED, at_ms
        self.book.touch(order)
        market = self.book.add(asked, at_ms, parent_id=order.order_id)
        order.triggered_order_id = market.order_id
        self.tell(order, "TRIGGERED", at_ms)
        if shares is not None:
            self.shares[self._key(market)] = shares
        self.tell(market, "NEW", at_ms)
        self.execute(market, fill, at_ms)
        order.executed_quantity, order.executed_notional = market.executed_quantity, market.executed_notional
        self.end(order, OrderStatus.FINISHED, "", at_ms)

    def _trade(self, order: SimOrder, quantity: float, price: float, at_ms: int, *, is_maker: bool) -> None:
        """One execution: its fee, the money, the order, what is told."""
        request, listing = order.request, self._listings[order.request.symbol]
        notional = quantity * price
        fee = self.costs.maker_fee(notional) if is_maker else self.costs.fee(notional)
        realized = self.ledger.book(listing, request.side, quantity, price, fee)
        trades = self.book.trades
        trade = SimTrade(
            len(trades) + 1,
            order.order_id,
            request.client_order_id,
            request.symbol,
            request.side,
            price,
            quantity,
            fee,
            listing.quote,
            at_ms,
            is_maker,
            realized,
        )
        trades.append(trade)
        order.executed_quantity = round(order.executed_quantity + quantity, 12)
        order.executed_notional += notional
        order.status = OrderStatus.FILLED if order.remaining <= 0 else OrderStatus.PARTIALLY_FILLED
        order.updated_at_ms = at_ms
        self.book.touch(order)
        if self._market is not Market.SPOT:
            if realized:
                self.earn(listing, "REALIZED_PNL", realized, at_ms)
            self.earn(listing, "COMMISSION", -fee, at_ms)
        self.tell(order, "TRADE", at_ms, trade)

    def _parts(self, symbol: str, whole: float, shares: tuple[float, ...]) -> list[float]:
        """A quantity in shares, each cut to the lot step; shares that sum to one leave nothing."""
        parts, done, share = [], 0.0, 0.0
        for more in shares:
            share += more
            until = whole if share >= 1 - 1e-9 else self._cuts[symbol](whole * share)
            part = held_after(until, -done)
            if part > 0:
                parts.append(part)
                done = until
        return parts

    def _end_twin(self, order: SimOrder, status: OrderStatus, reason: str, at_ms: int) -> None:
        twin = self.book.twin(order)
        if twin is not None and twin.is_open:
            self.end(twin, status, reason, at_ms)

    def _key(self, order: SimOrder) -> tuple[bool, int]:
        return self.book.series_of(order.request), order.order_id


def _instrument(listing: Listing, market: Market) -> Instrument:
    """The listing as the core knows it, whose way of cutting to the lot step is everyone's."""
    name = listing.unified(market)
    return Instrument(name, kind_of(name), listing.tick, listing.step, listing.step, listing.min_notional)
