"""OKX's endpoints for conditional orders: a stop, a target, either of the two (OCO), a trigger.

Each becomes a market order when the last price reaches its level. A limit price after the level is not simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.simexchange.account import SimAccount
from bot.simexchange.okx_codes import in_words_of_okx, refused
from bot.simexchange.okx_listing import Swaps
from bot.simexchange.okx_messages import ALGO_STATES, Row
from bot.simexchange.okx_routes import Given, OkxRoute, OkxRoutes, Rows, text, whole, wrong
from bot.simexchange.okx_rows import ALL, OkxRows
from bot.simexchange.okx_trading import (
    checked_id,
    decimal,
    flag,
    newest,
    position_side,
    side,
    size,
    take_margin_mode,
)
from bot.simexchange.orders import OrderKind, OrderRequest, Refusal, SimOrder
from bot.simexchange.signing import Security

_AT_MARKET = "-1"


class OkxAlgos:
    """Carries out the conditional orders of a client."""

    def __init__(
        self,
        account: SimAccount,
        rows: OkxRows,
        swaps: Swaps,
        price: Callable[[str, int], float | None],
        now_ms: Callable[[], int],
        make_id: Callable[[], str],
    ) -> None:
        """``price`` is the current one at a time; ``now_ms`` and ``make_id`` as of ordinary orders."""
        self._account = account
        self._rows = rows
        self._swaps = swaps
        self._price = price
        self._now_ms = now_ms
        self._make_id = make_id

    def routes(self) -> OkxRoutes:
        """What it serves."""
        trade = "/api/v5/trade"
        return {
            ("POST", f"{trade}/order-algo"): OkxRoute(self._place, Security.TRADE, _echo),
            ("GET", f"{trade}/order-algo"): OkxRoute(self._look_up, Security.READ),
            ("POST", f"{trade}/cancel-algos"): OkxRoute(self._cancel, Security.TRADE, _echo),
            ("GET", f"{trade}/orders-algo-pending"): OkxRoute(self._pending, Security.READ),
            ("GET", f"{trade}/orders-algo-history"): OkxRoute(self._past, Security.READ),
        }

    def _place(self, given: Given) -> Rows:
        kind = text(given, "ordType")
        if kind not in {"conditional", "oco", "trigger"}:
            raise wrong("ordType")
        client_id = text(given, "algoClOrdId")
        listing = self._swaps.named(text(given, "instId"))
        if client_id and self._has_ever(listing.symbol, client_id):
            raise refused(51016)
        asked = self._requests(given, kind, checked_id(client_id or self._make_id(), "algoClOrdId"))
        take_margin_mode(self._account, self._rows, listing.symbol, text(given, "tdMode"))
        order = self._placed(asked)
        # `clOrdId` is an old parameter that OKX takes and does nothing with.
        return [
            {
                "algoId": str(order.order_id),
                "algoClOrdId": client_id,
                "clOrdId": "",
                "tag": text(given, "tag"),
            }
        ]

    def _placed(self, asked: list[OrderRequest]) -> SimOrder:
        now_ms = self._now_ms()
        stop = asked[0]
        try:
            if len(asked) == 1:
                return self._account.place(stop, now_ms)
            return self._account.place_pair(stop, asked[1], stop.client_order_id, now_ms)[1]
        except Refusal as refusal:
            if refusal.code in {-1014, -2010} and len(asked) > 1:
                raise wrong("slTriggerPx or tpTriggerPx") from None
            raise in_words_of_okx(refusal, stop) from None

    def _requests(self, given: Given, kind: str, client_id: str) -> list[OrderRequest]:
        """The order that the account takes, or the two of an OCO: its stop, then its target."""
        if kind == "trigger":
            level = _level(given, "triggerPx", "orderPx" if text(given, "orderPx") else "ordPx")
            return [self._request(given, self._kind_at(given, level), level, client_id, "trigger")]
        found = [
            (sort, _level(given, f"{name}TriggerPx", f"{name}OrdPx"))
            for name, sort in (("sl", OrderKind.STOP_MARKET), ("tp", OrderKind.TAKE_PROFIT_MARKET))
            if text(given, f"{name}TriggerPx")
        ]
        if len(found) != (2 if kind == "oco" else 1):
            raise wrong("slTriggerPx or tpTriggerPx")
        ids = (client_id, self._make_id())
        return [
            self._request(given, sort, level, one, kind)
            for (sort, level), one in zip(found, ids, strict=False)
        ]

    def _request(
        self, given: Given, kind: OrderKind, level: float, client_id: str, label: str
    ) -> OrderRequest:
        listing = self._swaps.named(text(given, "instId"))
        closes = text(given, "closeFraction") == "1"
        if closes and not flag(given, "reduceOnly"):
            raise Refusal(51328, "closeFraction is only available for reduceOnly orders.", 200)
        if text(given, "closeFraction") and not closes:
            raise wrong("closeFraction")
        return OrderRequest(
            symbol=listing.symbol,
            side=side(given),
            kind=kind,
            quantity=0.0 if closes else size(given, listing),
            client_order_id=client_id,
            stop_price=level,
            reduce_only=flag(given, "reduceOnly") and not closes,
            close_position=closes,
            position_side=position_side(given),
            label=label,
        )

    def _kind_at(self, given: Given, level: float) -> OrderKind:
        """A trigger works either way: a stop where the price has to come against the order's side, else a target."""
        symbol = self._swaps.named(text(given, "instId")).symbol
        price = self._price(symbol, self._now_ms())
        above = price is not None and level > price
        return OrderKind.STOP_MARKET if above == (side(given) == "BUY") else OrderKind.TAKE_PROFIT_MARKET

    def _look_up(self, given: Given) -> Rows:
        number, client_id = whole(given, "algoId"), text(given, "algoClOrdId")
        found = self._account.find(None, order_id=number, client_order_id=client_id or None, conditional=True)
        return [self._rows.algo(found, self._now_ms())]

    def _cancel(self, given: Given) -> Rows:
        listing = self._swaps.named(text(given, "instId"))
        number, client_id = whole(given, "algoId"), text(given, "algoClOrdId")
        try:
            canceled = self._account.cancel(
                listing.symbol,
                order_id=number,
                client_order_id=client_id or None,
                conditional=True,
                now_ms=self._now_ms(),
            )
        except Refusal as refusal:
            if refusal.code in {-2011, -2013}:
                raise refused(51400) from None
            raise
        return [
            {"algoId": str(canceled.order_id), "algoClOrdId": canceled.request.client_order_id, "clOrdId": ""}
        ]

    def _pending(self, given: Given) -> Rows:
        if not text(given, "ordType"):
            raise wrong("ordType")
        return self._told(given, self._account.open_orders(self._symbol(given), conditional=True))

    def _past(self, given: Given) -> Rows:
        """Conditional orders that are over; OKX wants to know in which state, or which one."""
        state, number = text(given, "state"), whole(given, "algoId")
        if not text(given, "ordType") or (not state and number is None):
            raise wrong("ordType" if not text(given, "ordType") else "state")
        found = self._account.orders(self._symbol(given), conditional=True, limit=ALL)
        over = [
            order
            for order in found
            if not order.is_open and state in {"", self._state(order)} and number in {None, order.order_id}
        ]
        return self._told(given, over)

    def _state(self, order: SimOrder) -> str:
        twin = self._rows.twin(order) if self._rows.is_primary(order) else None
        shown = twin if twin is not None and twin.triggered_order_id else order
        return ALGO_STATES[shown.status]

    def _told(self, given: Given, orders: list[SimOrder]) -> Rows:
        now_ms = self._now_ms()
        kinds = text(given, "ordType").split(",")
        rows: list[Row] = [self._rows.algo(order, now_ms) for order in orders if self._rows.is_primary(order)]
        rows = [
            row
            for row in rows
            if row["ordType"] in kinds
            and text(given, "instType") in {"", "SWAP"}
            and text(given, "algoId") in {"", row["algoId"]}
            and text(given, "algoClOrdId") in {"", row["algoClOrdId"]}
        ]
        return newest(rows, [int(row["algoId"]) for row in rows], given)

    def _has_ever(self, symbol: str, client_id: str) -> bool:
        try:
            self._account.find(symbol, client_order_id=client_id, conditional=True)
        except Refusal:
            return False
        return True

    def _symbol(self, given: Given) -> str | None:
        name = text(given, "instId")
        return self._swaps.named(name).symbol if name else None


def _level(given: Given, name: str, price_name: str) -> float:
    """A trigger's level; what follows it has to be a market order."""
    if text(given, price_name) != _AT_MARKET:
        raise wrong(price_name)
    if text(given, f"{name}Type") not in {"", "last", "mark", "index"}:
        raise wrong(f"{name}Type")
    return decimal(given, name)


def _echo(given: Given) -> dict[str, Any]:
    """What the answer to a conditional order repeats of it."""
    return {
        "algoId": text(given, "algoId"),
        "algoClOrdId": text(given, "algoClOrdId"),
        "clOrdId": "",
        "tag": "",
    }
