"""OKX's trading endpoints: orders, their lists, executions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from bot.simexchange.account import SimAccount
from bot.simexchange.exchange_info import Listing
from bot.simexchange.okx_codes import in_words_of_okx, refused
from bot.simexchange.okx_listing import Swaps, base_units, lot
from bot.simexchange.okx_messages import STATES, Row, order_type
from bot.simexchange.okx_routes import Given, OkxRoute, OkxRoutes, Rows, number_of_rows, text, whole, wrong
from bot.simexchange.okx_rows import ALL, OkxRows
from bot.simexchange.orders import OrderKind, OrderRequest, Refusal, SimOrder, TimeInForce
from bot.simexchange.signing import Security

_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_CLIENT_ID = re.compile(r"[a-zA-Z0-9]{1,32}")
_TYPES = {
    "market": (OrderKind.MARKET, TimeInForce.GTC),
    "optimal_limit_ioc": (OrderKind.MARKET, TimeInForce.GTC),
    "limit": (OrderKind.LIMIT, TimeInForce.GTC),
    "post_only": (OrderKind.LIMIT, TimeInForce.GTX),
    "fok": (OrderKind.LIMIT, TimeInForce.FOK),
    "ioc": (OrderKind.LIMIT, TimeInForce.IOC),
}
TAKEN_AND_CANCELED = {-5021, -5022}
"""What the account refuses and OKX takes in and cancels at once: fill-or-kill that can't fill, post-only that would take."""

_Line = TypeVar("_Line")


class OkxTrading:
    """Carries out the orders of a client."""

    def __init__(
        self,
        account: SimAccount,
        rows: OkxRows,
        swaps: Swaps,
        now_ms: Callable[[], int],
        make_id: Callable[[], str],
    ) -> None:
        """``now_ms``: when an order that comes now is made; ``make_id``: client ids for orders that have none."""
        self._account = account
        self._rows = rows
        self._swaps = swaps
        self._now_ms = now_ms
        self._make_id = make_id

    def routes(self) -> OkxRoutes:
        """What it serves."""
        trade = "/api/v5/trade"
        placing = OkxRoute(self._place, Security.TRADE, _echo, 60)
        canceling = OkxRoute(self._cancel, Security.TRADE, _echo, 60)
        past = OkxRoute(self._past, Security.READ, per_stretch=40)
        fills = OkxRoute(self._fills, Security.READ, per_stretch=60)
        return {
            ("POST", f"{trade}/order"): placing,
            ("POST", f"{trade}/batch-orders"): placing,
            ("GET", f"{trade}/order"): OkxRoute(self._look_up, Security.READ, per_stretch=60),
            ("POST", f"{trade}/cancel-order"): canceling,
            ("POST", f"{trade}/cancel-batch-orders"): canceling,
            ("GET", f"{trade}/orders-pending"): OkxRoute(self._pending, Security.READ, per_stretch=60),
            ("GET", f"{trade}/orders-history"): past,
            ("GET", f"{trade}/orders-history-archive"): past,
            ("GET", f"{trade}/fills"): fills,
            ("GET", f"{trade}/fills-history"): fills,
        }

    # --- orders -----------------------------------------------------------------------------------------------

    def _place(self, given: Given) -> Rows:
        request = order_request(given, self._swaps, text(given, "clOrdId") or self._make_id())
        now_ms = self._now_ms()
        if given.get("attachAlgoOrds"):
            raise wrong("attachAlgoOrds")  # stop and target are made by themselves on this exchange
        if self._has_ever(request.symbol, request.client_order_id):
            raise refused(51016)
        take_margin_mode(self._account, self._rows, request.symbol, text(given, "tdMode"))
        try:
            order = self._account.place(request, now_ms)
        except Refusal as refusal:
            if refusal.code not in TAKEN_AND_CANCELED:
                raise in_words_of_okx(refusal, request) from None
            order = self._account.place_canceled(request, now_ms, str(refusal))
        told = request.client_order_id if text(given, "clOrdId") else ""
        return [{"clOrdId": told, "ordId": str(order.order_id), "ts": str(now_ms)}]

    def _look_up(self, given: Given) -> Rows:
        return [self._rows.order(self._named(given))]

    def _cancel(self, given: Given) -> Rows:
        try:
            order = self._named(given)
            self._account.cancel(order.request.symbol, order_id=order.order_id, now_ms=self._now_ms())
        except Refusal as refusal:
            if refusal.code in {-2011, -2013}:
                raise refused(51400) from None
            raise
        return [{"clOrdId": text(given, "clOrdId"), "ordId": str(order.order_id), "ts": str(self._now_ms())}]

    def _pending(self, given: Given) -> Rows:
        found = self._account.open_orders(self._symbol(given))
        return [self._rows.order(order) for order in self._page(given, found)]

    def _past(self, given: Given) -> Rows:
        """Orders that are over, newest first; those that were canceled without an execution too."""
        found = self._account.orders(self._symbol(given), limit=ALL)
        since, until = whole(given, "begin"), whole(given, "end")
        over = [
            order
            for order in found
            if not order.is_open
            and text(given, "state") in {"", STATES[order.status]}
            and _within(order.created_at_ms, since, until)
        ]
        return [self._rows.order(order) for order in self._page(given, over)]

    def _fills(self, given: Given) -> Rows:
        """Executions, newest first; ``after`` and ``before`` are numbers of bills, which go with those of the executions."""
        trades = self._account.trades(
            self._symbol(given),
            since_ms=whole(given, "begin"),
            until_ms=whole(given, "end"),
            order_id=whole(given, "ordId"),
            limit=ALL,
        )
        rows = [self._rows.fill(trade) for trade in trades]
        return newest(rows, [int(row["billId"]) for row in rows], given)

    # --- which ------------------------------------------------------------------------------------------------

    def _named(self, given: Given) -> SimOrder:
        """The order that a request names, by number or by the client's id; a triggered one has no client's id."""
        listing = self._swaps.named(text(given, "instId"))
        number, client_id = whole(given, "ordId"), text(given, "clOrdId")
        if number is None and not client_id:
            raise Refusal(51003, "Either client order ID or order ID is required.", 200)
        found = self._account.find(listing.symbol, order_id=number, client_order_id=client_id or None)
        if number is None and found.parent_id:
            raise Refusal(-2013, "Order does not exist.")
        return found

    def _has_ever(self, symbol: str, client_id: str) -> bool:
        """Whether any order had this client's id, also one that is over."""
        try:
            return not self._account.find(symbol, client_order_id=client_id).parent_id
        except Refusal:
            return False

    def _symbol(self, given: Given) -> str | None:
        """The symbol that is asked for; None for all. Of other kinds of instruments there is nothing."""
        name = text(given, "instId")
        return self._swaps.named(name).symbol if name else None

    def _page(self, given: Given, orders: Sequence[SimOrder]) -> list[SimOrder]:
        kind, kinds = text(given, "instType"), text(given, "ordType")
        chosen = [
            order
            for order in orders
            if kind in {"", "SWAP"} and (not kinds or order_type(order.request) in kinds.split(","))
        ]
        return newest(chosen, [order.order_id for order in chosen], given)


def order_request(given: Given, swaps: Swaps, client_id: str) -> OrderRequest:
    """An ordinary order as the account takes it; raises Refusal."""
    listing = swaps.named(text(given, "instId"))
    known = _TYPES.get(text(given, "ordType"))
    if known is None:
        raise wrong("ordType")
    kind, lasting = known
    return OrderRequest(
        symbol=listing.symbol,
        side=side(given),
        kind=kind,
        quantity=size(given, listing),
        client_order_id=checked_id(client_id, "clOrdId"),
        price=decimal(given, "px") if kind is OrderKind.LIMIT else None,
        time_in_force=lasting,
        reduce_only=flag(given, "reduceOnly"),
        position_side=position_side(given),
    )


def take_margin_mode(account: SimAccount, rows: OkxRows, symbol: str, asked: str) -> None:
    """Have a symbol margined as an order says; raises Refusal for another mode than that of what is held or waits.

    OKX could hold a position of each mode side by side; this exchange has one a symbol.
    """
    if asked not in {"cross", "isolated"}:
        raise wrong("tdMode")
    isolated = asked == "isolated"
    if rows.held(symbol).isolated != isolated:
        account.set_isolated(symbol, isolated)


def side(given: Given) -> str:
    """``BUY`` or ``SELL``; raises Refusal."""
    value = text(given, "side")
    if value not in {"buy", "sell"}:
        raise wrong("side")
    return value.upper()


def position_side(given: Given) -> str:
    """``BOTH`` of a net position; raises Refusal for a word that OKX has not."""
    value = text(given, "posSide")
    if value not in {"", "net", "long", "short"}:
        raise wrong("posSide")
    return value.upper() if value in {"long", "short"} else "BOTH"


def size(given: Given, listing: Listing) -> float:
    """The quantity in base units; raises Refusal 51020 below the least, 51121 between two lots."""
    value = text(given, "sz")
    if not _DECIMAL.fullmatch(value) or not Decimal(value):
        raise wrong("sz")
    if Decimal(value) < lot(listing):
        raise refused(51020)
    if Decimal(value) % lot(listing):
        raise refused(51121)
    return base_units(listing, value)


def decimal(given: Given, name: str) -> float:
    """A price; raises Refusal."""
    value = text(given, name)
    if not _DECIMAL.fullmatch(value):
        raise wrong(name)
    return float(value)


def flag(given: Given, name: str) -> bool:
    """A JSON boolean, or its word; raises Refusal for another."""
    value = text(given, name) or "false"
    if value not in {"true", "false"}:
        raise wrong(name)
    return value == "true"


def checked_id(client_id: str, name: str) -> str:
    """A client's id: letters and digits, at most 32; raises Refusal."""
    if not _CLIENT_ID.fullmatch(client_id):
        raise wrong(name)
    return client_id


def newest(lines: Sequence[_Line], numbers: Sequence[int], given: Given) -> list[_Line]:
    """The newest lines with numbers below ``after`` and above ``before``, newest first."""
    after, before = whole(given, "after"), whole(given, "before")
    kept = [
        line
        for line, number in zip(lines, numbers, strict=True)
        if (after is None or number < after) and (before is None or number > before)
    ]
    return list(reversed(kept[-number_of_rows(given) :]))


def _within(at_ms: int, since_ms: int | None, until_ms: int | None) -> bool:
    return (since_ms is None or at_ms >= since_ms) and (until_ms is None or at_ms <= until_ms)


def _echo(given: Given) -> Row:
    """What the answer to an order repeats of it."""
    return {
        "clOrdId": text(given, "clOrdId"),
        "ordId": text(given, "ordId"),
        "tag": text(given, "tag"),
        "ts": "",
    }
