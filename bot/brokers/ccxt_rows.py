"""Orders out of ccxt: its structures become events of ours, each checked before it is believed. Pure.

A reply with HTTP status 200 is no proof: pages of HTML and rows of nothing come back as structures of None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from bot.brokers.contracts import base_units
from bot.brokers.venue_rows import ConditionalRow
from bot.core.market import Symbol, quote_of
from bot.core.orders import Fill, Side
from bot.core.venue import FundingSeen, OrderSeen, TradeSeen, VenueStatus
from bot.errors import DataError
from bot.exchange_client import Exchange

_STATUS: Final = {
    "open": VenueStatus.OPEN,
    "canceling": VenueStatus.OPEN,
    "closed": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELED,
    "expired": VenueStatus.EXPIRED,
    "rejected": VenueStatus.REJECTED,
    # A liquidation's and an auto-deleveraging's own words; ccxt passes them on.
    "NEW_INSURANCE": VenueStatus.OPEN,
    "NEW_ADL": VenueStatus.OPEN,
}
_REASONS: Final = ("r", "rejectReason", "eR", "expireReason", "rm", "cancelSourceReason")
_NO_REASON: Final = frozenset({"", "NONE", "None", "0"})
_UNEXPECTED: Final = frozenset({VenueStatus.EXPIRED, VenueStatus.REJECTED})


class OrderOwners:
    """Which client id an order of the exchange has; the oldest are forgotten."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._owners: dict[tuple[Symbol, str], str] = {}

    def learn(self, symbol: Symbol, exchange_id: str, client_order_id: str) -> None:
        """Take note of an order; what is known already stays, since it was learned from its conditional order."""
        if not exchange_id or not client_order_id or (symbol, exchange_id) in self._owners:
            return
        self._owners[symbol, exchange_id] = client_order_id
        while len(self._owners) > self._most:
            del self._owners[next(iter(self._owners))]

    def of(self, symbol: Symbol, exchange_id: str) -> str:
        """The client id; "" where it is not known."""
        return self._owners.get((symbol, exchange_id), "")


def order_seen(exchange: Exchange, row: Any, client_order_id: str, now_ms: int) -> OrderSeen:
    """Read an order structure as one of this client id; raises DataError.

    Args:
        exchange: For the market's contract size.
        row: ccxt's structure.
        client_order_id: Whose it is; the structure of a cancel's answer carries the cancel's own id.
        now_ms: Stands in where the structure tells no time.
    """
    _require(isinstance(row, Mapping), "an order is no structure")
    market = _market(exchange, row)
    status = _STATUS.get(row.get("status") or "")
    if status is None:
        raise DataError(f"an order has the status {row.get('status')!r}")
    exchange_id = _text(row, "id", "an order")
    return OrderSeen(
        client_order_id=client_order_id,
        symbol=market["symbol"],
        at_ms=_time(row, now_ms),
        exchange_id=exchange_id,
        status=status,
        filled_quantity=base_units(market, _number(row, "filled", "an order", least=0.0)),
        quantity=base_units(market, _number(row, "amount", "an order", least=0.0, default=0.0)),
        reason=_reason(row) if status in _UNEXPECTED else "",
    )


def client_id_of(row: Any) -> str:
    """The client id that an order structure carries; raises DataError."""
    _require(isinstance(row, Mapping), "an order is no structure")
    return _text(row, "clientOrderId", "an order")


def conditional_seen(
    exchange: Exchange, row: ConditionalRow, symbol: Symbol, now_ms: int
) -> OrderSeen | None:
    """A conditional order as an event; None of one whose market order has come to an end: that one says more."""
    if row.status is None:
        return None
    at_ms = now_ms if row.at_ms is None else row.at_ms
    quantity = base_units(_market(exchange, {"symbol": symbol}), row.quantity)
    return OrderSeen(row.client_order_id, symbol, at_ms, row.algo_id, row.status, 0.0, quantity, row.reason)


def trade_seen(exchange: Exchange, row: Any, client_order_id: str) -> TradeSeen:
    """Read a trade structure; raises DataError, also where its fee cannot be told in quote currency.

    The exchange numbers trades by market, so the market's name is put before the number.
    """
    _require(isinstance(row, Mapping), "an execution is no structure")
    market = _market(exchange, row)
    symbol: Symbol = market["symbol"]
    price = _number(row, "price", "an execution", least=0.0, open_end=True)
    amount = _number(row, "amount", "an execution", least=0.0, open_end=True)
    side = row.get("side")
    if side not in {"buy", "sell"}:
        raise DataError(f"an execution has the side {side!r}")
    fill = Fill(
        trade_id=f"{market['id']}-{_text(row, 'id', 'an execution')}",
        client_order_id=client_order_id,
        symbol=symbol,
        side=Side(side),
        quantity=base_units(market, amount),
        price=price,
        fee=_fee(row, symbol, price),
        fee_asset=quote_of(symbol),
        filled_at_ms=_time(row, None),
    )
    return TradeSeen(fill, _text(row, "order", "an execution"))


def funding_seen(exchange: Exchange, row: Any) -> FundingSeen:
    """Read a payment of funding; raises DataError."""
    _require(isinstance(row, Mapping), "a payment is no structure")
    symbol: Symbol = _market(exchange, row)["symbol"]
    if row.get("code") != quote_of(symbol):
        raise DataError(f"a funding payment of {symbol} was booked in {row.get('code')!r}")
    paid = 0.0 - _number(row, "amount", "a payment")
    return FundingSeen(_text(row, "id", "a payment"), symbol, paid, _time(row, None))


def rows_of(reply: Any, name: str) -> list[Any]:
    """A reply that must be a list; raises DataError."""
    if not isinstance(reply, list):
        raise DataError(f"{name}: the reply is no list but {type(reply).__name__}")
    return reply


def finite(value: Any, name: str) -> float:
    """A number as it should be; raises DataError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise DataError(f"{name} is {value!r}, not a number")
    return float(value)


def _fee(row: Mapping[str, Any], symbol: Symbol, price: float) -> float:
    """The fee in quote currency: as told, or from base currency at the execution's own price."""
    fee = row.get("fee") or {}
    cost = fee.get("cost")
    if cost is None or finite(cost, "a fee") == 0:
        return 0.0
    currency = fee.get("currency")
    if currency == quote_of(symbol):
        return finite(cost, "a fee")
    if currency == symbol.split("/")[0]:
        return finite(cost, "a fee") * price
    raise DataError(f"a fee of {symbol} was paid in {currency!r}: switch off paying fees in that coin")


def _market(exchange: Exchange, row: Mapping[str, Any]) -> Mapping[str, Any]:
    market: Mapping[str, Any] | None = exchange.markets.get(row.get("symbol"))
    if market is None:
        raise DataError(f"a row is of {row.get('symbol')!r}, which is not listed")
    return market


def _reason(row: Mapping[str, Any]) -> str:
    """The exchange's words for an end that was not asked for."""
    info = row.get("info")
    words = [str(info.get(name, "")) for name in _REASONS] if isinstance(info, Mapping) else []
    return next((word for word in words if word not in _NO_REASON), "")


def _time(row: Mapping[str, Any], default: int | None) -> int:
    """When it changed last; raises DataError where that is not told and there is nothing to stand in."""
    for key in ("lastUpdateTimestamp", "lastTradeTimestamp", "timestamp"):
        value = row.get(key)
        if isinstance(value, int) and value > 0:
            return value
    if default is None:
        raise DataError("a row has no time")
    return default


def _text(row: Mapping[str, Any], key: str, name: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise DataError(f"{name} has no {key}: {value!r}")
    return value


def _number(
    row: Mapping[str, Any],
    key: str,
    name: str,
    *,
    least: float = -math.inf,
    open_end: bool = False,
    default: float | None = None,
) -> float:
    value = row.get(key)
    if value is None and default is not None:
        return default
    read = finite(value, f"{key} of {name}")
    if read < least or (open_end and read == least):
        raise DataError(f"{key} of {name} is {read}")
    return read


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise DataError(sentence)
