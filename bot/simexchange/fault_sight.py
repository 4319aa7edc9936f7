"""What a fault plan looks at: a request, a message or an order, with fields that are named by their paths. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from bot.simexchange.fault_actions import Target
from bot.simexchange.fault_fields import plain
from bot.simexchange.okx_faults import opened, symbol_of
from bot.simexchange.orders import OrderRequest

CLIENT_ORDER_ID = "clientOrderId"
"""Names the client's id of an order wherever it stands."""

_ALIASES: Mapping[Target, tuple[str, ...]] = {
    Target.ROUTE: (
        "newClientOrderId", "origClientOrderId", "clientAlgoId", "listClientOrderId", "aboveClientOrderId",
        "belowClientOrderId", "algoClOrdId", "clOrdId",
    ),
    Target.STREAM: ("o.c", "o.caid", "C", "c", "data.algoClOrdId", "data.clOrdId"),
}  # fmt: skip


class Sight:
    """Something that faults may fit."""

    def __init__(self, target: Target, name: str, at_ms: int) -> None:
        """``name``: ``METHOD /path``, the stream, or the state; ``at_ms``: market time."""
        self.target = target
        self.name = name
        self.at_ms = at_ms

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """Nested JSON values; nothing where there is nothing to look into."""
        return {}

    @cached_property
    def symbol(self) -> str | None:
        """The exchange's id of the symbol, where it names one."""
        return self.value("symbol")

    @cached_property
    def client_order_id(self) -> str | None:
        """The client's id of the order that it is about."""
        for alias in _ALIASES.get(self.target, ()):
            if found := self._at(alias):
                return found
        return self._at(CLIENT_ORDER_ID)

    def value(self, path: str) -> str | None:
        """A field's value as text, booleans as in JSON; None where there is no such field."""
        return self.client_order_id if path == CLIENT_ORDER_ID else self._at(path)

    def noted(self) -> dict[str, Any]:
        """What the log says of it, as JSON values."""
        noted = {"target": self.target.value, "name": self.name, "at_ms": self.at_ms}
        more = {"symbol": self.symbol, "client_order_id": self.client_order_id}
        return {**noted, **{name: value for name, value in more.items() if value is not None}}

    def _at(self, path: str) -> str | None:
        found: Any = self.fields
        for name in path.split("."):
            if not isinstance(found, Mapping) or name not in found:
                return None
            found = found[name]
        return None if isinstance(found, (Mapping, list)) else plain(found)


class RequestSight(Sight):
    """A REST request, or the handshake of a stream."""

    def __init__(self, number: int, method: str, path: str, params: Mapping[str, str], at_ms: int) -> None:
        """``number``: of the request, as the log names it."""
        super().__init__(Target.ROUTE, f"{method} {path}", at_ms)
        self.number = number
        self.params = params

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The parameters, of the URL and of the body."""
        return self.params

    @cached_property
    def symbol(self) -> str | None:
        """By the parameter ``symbol``, or by OKX's ``instId``."""
        return self.value("symbol") or symbol_of(self.value("instId"))

    def noted(self) -> dict[str, Any]:
        """With the number of the request."""
        return {**super().noted(), "request_id": self.number}


class MessageSight(Sight):
    """A message of a stream."""

    def __init__(self, stream: str, text: str, now_ms: int) -> None:
        super().__init__(Target.STREAM, stream, now_ms)
        self.text = text

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The message itself; of OKX's rows the first."""
        found = opened(json.loads(self.text))
        return found if isinstance(found, dict) else {}

    @cached_property
    def symbol(self) -> str | None:
        """By the name of the stream, or by the message."""
        name, at, _ = self.name.partition("@")
        if at:
            return name.upper()
        return self._at("s") or self._at("o.s") or symbol_of(self._at("data.instId"))

    def noted(self) -> dict[str, Any]:
        """With the message as it would have gone out."""
        return {**super().noted(), "message": self.text}


class OrderSight(Sight):
    """An order that the account is about to take in; its fields have the names of Binance's parameters."""

    def __init__(self, request: OrderRequest, at_ms: int) -> None:
        super().__init__(Target.ORDER, Target.ORDER.value, at_ms)
        self.request = request

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """The order, by the names of Binance's parameters."""
        request = self.request
        return {
            "symbol": request.symbol,
            "side": request.side,
            "type": request.kind.value,
            "quantity": request.quantity,
            "price": request.price,
            "stopPrice": request.stop_price,
            "timeInForce": request.time_in_force.value,
            "reduceOnly": request.reduce_only,
            "closePosition": request.close_position,
            "conditional": request.is_conditional,
            CLIENT_ORDER_ID: request.client_order_id,
        }
