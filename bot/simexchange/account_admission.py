"""Whether a simulated account takes an order in: filters, client ids, counts, the current price, and the money."""

from __future__ import annotations

from collections.abc import Callable

from bot.simexchange.account_execution import Execution
from bot.simexchange.account_ledger import PriceNow
from bot.simexchange.account_matching import crosses, is_triggered
from bot.simexchange.config import Market
from bot.simexchange.filters import check_client_id, check_open_count, check_request, is_post_only, listed
from bot.simexchange.orders import AccountTerms, Disturbance, OrderKind, OrderRequest, Refusal, TimeInForce

Disturb = Callable[[OrderRequest], Disturbance | None]


class Admission:
    """Refuses what Binance would refuse, in its words."""

    def __init__(self, market: Market, terms: AccountTerms, execution: Execution) -> None:
        self._market = market
        self._terms = terms
        self._execution = execution
        self._book = execution.book

    def admit(self, request: OrderRequest, price: PriceNow, *, dual_side: bool) -> float | None:
        """Check everything about an order; changes nothing.

        Returns:
            The price at which it executes at once, None where it waits.

        Raises:
            Refusal: It is not taken.
        """
        listing = listed(self._terms.listings, request.symbol)
        if dual_side or request.position_side != "BOTH":
            raise Refusal(-4061, "Order's position side does not match user's setting.")
        now = price(request.symbol)
        check_request(request, listing, self._market, now)
        self._check_book(request)
        fill = self._immediate(request, now)
        fee = self._execution.costs.fee(request.quantity * (fill or 0.0))
        self._execution.ledger.admit(request, fill, fee, price)
        return fill

    def admit_pair(self, stop: OrderRequest, target: OrderRequest, client_id: str, price: PriceNow) -> None:
        """Check a pair, of spot or of OKX's swaps; the money has to cover the larger of the two, not both."""
        if self._market is Market.USDM:
            raise Refusal(-1020, "This operation is not supported.")
        listing = listed(self._terms.listings, stop.symbol)
        now = price(stop.symbol)
        check_client_id(client_id, self._market, "listClientOrderId")
        for request in (stop, target):
            check_request(request, listing, self._market, now)
            self._check_book(request)
        twice = {stop.client_order_id, target.client_order_id}
        if len(twice) < 2 or self._has_open_list(client_id):
            raise Refusal(-2010, "Duplicate order sent.")
        _check_relation(stop, target, now)
        for request in (stop, target):
            self._immediate(request, now)
            self._execution.ledger.admit(request, None, 0.0, price)

    def shares(self, request: OrderRequest, disturb: Disturb | None) -> tuple[float, ...] | None:
        """What the fault plan does to an order that passed; raises its Refusal."""
        disturbance = disturb(request) if disturb else None
        if disturbance is None:
            return None
        if disturbance.refuse is not None:
            code, text = disturbance.refuse
            raise Refusal(code, text)
        return disturbance.fill_shares

    def _check_book(self, request: OrderRequest) -> None:
        """What the account's other open orders forbid."""
        if self._book.has_open_id(request):
            if self._market is Market.SPOT:
                raise Refusal(-2010, "Duplicate order sent.")
            raise Refusal(-4116, "ClientOrderId is duplicated.")
        waiting = self._book.open_orders(request.symbol)
        conditional = [order.request for order in waiting if order.request.is_conditional]
        check_open_count(request, self._market, len(waiting), len(conditional))
        same = (
            other.close_position and (other.side, other.kind) == (request.side, request.kind)
            for other in conditional
        )
        if request.close_position and any(same):
            raise Refusal(
                -4130,
                "An open stop or take profit order with GTE and closePosition in the direction is existing.",
            )

    def _has_open_list(self, client_id: str) -> bool:
        lists = self._book.pairs
        return any(
            lists[order.list_id].client_id == client_id
            for order in self._book.open_orders()
            if order.list_id > 0
        )

    def _immediate(self, request: OrderRequest, price: float | None) -> float | None:
        """The price at which an order executes at once; refuses what the current price forbids."""
        spot = self._market is Market.SPOT
        if price is None:
            if request.kind is OrderKind.MARKET:
                raise Refusal(-2010, "Market is closed.") if spot else Refusal(-4141, "Symbol is closed.")
            return None
        if request.is_conditional:
            if is_triggered(request, price):
                text = "Stop price would trigger immediately."
                raise Refusal(-2010, text) if spot else Refusal(-2021, "Order would immediately trigger.")
            return None
        at_once = request.kind is OrderKind.MARKET or crosses(request, price, self._terms.half_spread_bps)
        if at_once and is_post_only(request):
            if spot:
                raise Refusal(-2010, "Order would immediately match and take.")
            raise Refusal(-5022, _unrecorded("executed as maker", "Post Only order will be"))
        if not at_once and request.time_in_force is TimeInForce.FOK and not spot:
            raise Refusal(-5021, _unrecorded("filled immediately", "FOK order has been"))
        return self._execution.fill_price(request, price) if at_once else None


def _check_relation(stop: OrderRequest, target: OrderRequest, price: float | None) -> None:
    """A pair is of one symbol, side and quantity, and the price lies between its two levels."""
    same = (stop.symbol, stop.side, stop.quantity) == (target.symbol, target.side, target.quantity)
    if not same or stop.kind is not OrderKind.STOP_MARKET:
        raise Refusal(-1014, "Unsupported order combination.")
    if not is_post_only(target) and target.kind is not OrderKind.TAKE_PROFIT_MARKET:
        raise Refusal(-1014, "Unsupported order combination.")
    near, far = stop.stop_price or 0.0, target.price or target.stop_price or 0.0
    low, high = (near, far) if stop.side == "SELL" else (far, near)
    if low >= high or (price is not None and not low < price < high):
        raise Refusal(-2010, "The relationship of the prices for the orders is not correct.")


def _unrecorded(could_not: str, what: str) -> str:
    """The text of a limit order that the perpetuals refuse without keeping it."""
    return (
        f"Due to the order could not be {could_not}, the {what} rejected. "
        "The order will not be recorded in the order history"
    )
