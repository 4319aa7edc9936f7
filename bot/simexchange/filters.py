"""What a request must be like to be taken at all: Binance's parameters and filters, with its codes and texts.

The numbers of the filters (largest quantity and price, percentages, counts) are those that ``exchange_info`` lists. The
average price that spot measures by is taken to be the current one, and so is the perpetuals' mark price.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal

from bot.simexchange.bars import number
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import Listing
from bot.simexchange.orders import OrderKind, OrderRequest, Refusal, TimeInForce

MAX_OPEN_ORDERS = 200
MAX_CONDITIONAL_ORDERS = {Market.SPOT: 5, Market.USDM: 10, Market.OKX: 100}

_MAX_PRICE = 1_000_000.0
_MAX_QUANTITY = {Market.SPOT: 9_000_000.0, Market.USDM: 10_000_000.0}
_MAX_MARKET_QUANTITY = {Market.SPOT: 900_000.0, Market.USDM: 1_000_000.0}
_MAX_SPOT_NOTIONAL = 9_000_000.0
_PERCENT_UP, _PERCENT_DOWN = 1.05, 0.95
_SPOT_UP, _SPOT_DOWN = 5.0, 0.2
_DIGITS = 8
"""Decimals that a number may have at most, on either market."""

_IDS = {
    Market.SPOT: (re.compile(r"[a-zA-Z0-9-_.]{1,36}"), "^[a-zA-Z0-9-_.]{1,36}$"),
    Market.USDM: (re.compile(r"[.A-Z:/a-z0-9_-]{1,36}"), r"^[\.A-Z\:/a-z0-9_-]{1,36}$"),
    Market.OKX: (re.compile(r"[a-zA-Z0-9]{1,32}"), "^[a-zA-Z0-9]{1,32}$"),
}


def listed(listings: Mapping[str, Listing], symbol: str) -> Listing:
    """The listing of a symbol; refuses one that is not traded."""
    listing = listings.get(symbol)
    if listing is None:
        raise Refusal(-1121, "Invalid symbol.")
    return listing


def check_request(request: OrderRequest, listing: Listing, market: Market, price: float | None) -> None:
    """Refuse a request that breaks a rule of its listing, whatever the account holds.

    Args:
        request: As parsed.
        listing: Of its symbol.
        market: Spot or perpetuals: their codes differ.
        price: The current one; where there is none, the filters that need it are passed.

    Raises:
        Refusal: The first rule that it breaks.
    """
    _check_composition(request, market)
    if market is Market.SPOT:
        _check_spot(request, listing, price)
    else:
        _check_perpetual(request, listing, price)


def check_client_id(client_id: str, market: Market, parameter: str = "newClientOrderId") -> None:
    """Refuse an id of a client that has other characters than allowed, none, or too many."""
    allowed, shown = _IDS[market]
    if market is Market.USDM and len(client_id) > 36:
        raise Refusal(-4015, "Client order id length should not be more than 36 chars")
    if not allowed.fullmatch(client_id):
        raise Refusal(
            -1100, f"Illegal characters found in parameter '{parameter}'; legal range is '{shown}'."
        )


def check_open_count(request: OrderRequest, market: Market, orders: int, conditional: int) -> None:
    """Refuse one order more than may be open; the counts are those of its symbol before it."""
    if request.is_conditional and conditional >= MAX_CONDITIONAL_ORDERS[market]:
        if market is Market.SPOT:
            raise _filter("MAX_NUM_ALGO_ORDERS")
        raise Refusal(-4045, "Reach max stop order limit.")
    if orders >= MAX_OPEN_ORDERS and request.kind is not OrderKind.MARKET:
        if market is Market.SPOT:
            raise _filter("MAX_NUM_ORDERS")
        raise Refusal(-2025, "Reach max open order limit.")


def _check_composition(request: OrderRequest, market: Market) -> None:
    """Parameters that belong together."""
    check_client_id(request.client_order_id, market)
    if request.side not in {"BUY", "SELL"}:
        raise Refusal(-1117, "Invalid side.")
    if request.kind is OrderKind.LIMIT and request.price is None:
        raise _missing("price")
    if request.is_conditional and request.stop_price is None:
        raise _missing("stopPrice" if market is Market.SPOT else "triggerPrice")
    if market is Market.SPOT:
        if request.only_reduces:
            name = "reduceOnly" if request.reduce_only else "closePosition"
            raise Refusal(-1106, f"Parameter '{name}' sent when not required.")
        return
    if request.close_position:
        if not request.is_conditional:
            raise Refusal(
                -4136, f"Target strategy invalid for orderType {request.kind.value},closePosition true"
            )
        if request.reduce_only:
            raise Refusal(-1106, "Parameter 'reduceonly' sent when not required.")
        if request.quantity:
            raise Refusal(-1106, "Parameter 'quantity' sent when not required.")


def _check_spot(request: OrderRequest, listing: Listing, price: float | None) -> None:
    _check_spot_number("quantity", request.quantity)
    if request.quantity > _MAX_QUANTITY[Market.SPOT] or not on_step(request.quantity, listing.step):
        raise _filter("LOT_SIZE")
    limit = request.price if request.kind is OrderKind.LIMIT else None
    for name, value in (("price", limit), ("stopPrice", request.stop_price)):
        if value is None:
            continue
        _check_spot_number(name, value)
        if value > _MAX_PRICE or not on_step(value, listing.tick):
            raise _filter("PRICE_FILTER")
    at_market = limit is None
    if at_market and request.quantity > _MAX_MARKET_QUANTITY[Market.SPOT]:
        raise _filter("MARKET_LOT_SIZE")
    asked = limit or request.stop_price
    if asked and price and not price * _SPOT_DOWN <= asked <= price * _SPOT_UP:
        raise _filter("PERCENT_PRICE_BY_SIDE")
    notional = request.quantity * (asked or price or 0.0)
    if (asked or price) and notional < listing.min_notional:
        raise _filter("NOTIONAL")
    if not at_market and notional > _MAX_SPOT_NOTIONAL:
        raise _filter("NOTIONAL")


def _check_spot_number(name: str, value: float) -> None:
    if not value > 0:
        raise Refusal(-1013, f"Invalid {name}.")
    if _decimals(value) > _DIGITS:
        raise Refusal(-1111, f"Parameter '{name}' has too much precision.")


def _check_perpetual(request: OrderRequest, listing: Listing, price: float | None) -> None:
    if not request.close_position:
        _check_quantity(request, listing)
    limit = request.price if request.kind is OrderKind.LIMIT else None
    if limit is not None:
        _check_price(limit, listing, -4001, "Price less than 0.", -4002, "Price greater than max price.")
        _check_percent(request.side, limit, listing, price)
    if request.stop_price is not None:
        _check_price(
            request.stop_price,
            listing,
            -4006,
            "Stop price less than zero.",
            -4007,
            "Stop price greater than max price.",
        )
    asked = limit or request.stop_price or price
    if not request.only_reduces and asked and request.quantity * asked < listing.min_notional:
        least = number(listing.min_notional).removesuffix(".0")
        raise Refusal(
            -4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only)."
        )


def _check_quantity(request: OrderRequest, listing: Listing) -> None:
    quantity = request.quantity
    if not quantity > 0:
        raise Refusal(-4003, "Quantity less than or equal to zero.")
    if not on_step(quantity, listing.step):
        raise Refusal(-1111, "Precision is over the maximum defined for this asset.")
    largest = _MAX_QUANTITY if request.kind is OrderKind.LIMIT else _MAX_MARKET_QUANTITY
    if quantity > largest[Market.USDM]:
        raise Refusal(-4005, "Quantity greater than max quantity.")


def _check_price(
    price: float, listing: Listing, low_code: int, too_low: str, high_code: int, too_high: str
) -> None:
    if not price > 0:
        raise Refusal(low_code, too_low)
    if price > _MAX_PRICE:
        raise Refusal(high_code, too_high)
    if _decimals(price) > _DIGITS:
        raise Refusal(-1111, "Precision is over the maximum defined for this asset.")
    if not on_step(price, listing.tick):
        raise Refusal(-4014, "Price not increased by tick size.")


def _check_percent(side: str, limit: float, listing: Listing, price: float | None) -> None:
    """A buyer may not bid far above the price, nor a seller ask far below it."""
    if price is None:
        return
    digits = _decimals(listing.tick)
    if side == "BUY" and limit > price * _PERCENT_UP:
        raise Refusal(-4016, f"Limit price can't be higher than {price * _PERCENT_UP:.{digits}f}.")
    if side == "SELL" and limit < price * _PERCENT_DOWN:
        raise Refusal(-4024, f"Limit price can't be lower than {price * _PERCENT_DOWN:.{digits}f}.")


def is_post_only(request: OrderRequest) -> bool:
    """Whether it may only rest: GTX on the perpetuals, LIMIT_MAKER on spot."""
    return request.kind is OrderKind.LIMIT and request.time_in_force is TimeInForce.GTX


def on_step(value: float, step: float) -> bool:
    """Whether a number, as its shortest decimal text, is a whole multiple of a step."""
    return math.isfinite(value) and Decimal(repr(value)) % Decimal(repr(step)) == 0


def _decimals(value: float) -> int:
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else _DIGITS + 1


def _filter(name: str) -> Refusal:
    return Refusal(-1013, f"Filter failure: {name}")


def _missing(name: str) -> Refusal:
    return Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
