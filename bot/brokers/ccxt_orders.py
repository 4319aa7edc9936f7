"""Orders into ccxt: an intent becomes the arguments of a call, exact or not at all. Pure.

What a market may be sent is what ccxt would send: it cuts amounts and rounds prices without a word, so a number that
is not the same afterwards is refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bot.brokers.ccxt_habits import VenueHabits
from bot.brokers.ccxt_outcomes import Outcome
from bot.brokers.contracts import contracts_of
from bot.core import guarding
from bot.core.entry import WOULD_CROSS
from bot.core.orders import OrderIntent, OrderType, Side
from bot.exchange_client import Exchange

NOT_EXACT: Final = "precision"
"""Code of a refusal of ours: a quantity or a price is not on the market's step."""

WOULD_TRIGGER: Final = guarding.WOULD_TRIGGER
"""Code of a refusal: the trigger price is reached already."""

EXACT = 1e-12
"""How much of itself a number may change by being written with the market's digits."""

LIMIT_BEYOND_STOP = 0.05
"""How far beyond its trigger the limit of a stop is, where a market takes no stop at market."""

_CONDITIONAL = frozenset({OrderType.STOP, OrderType.TAKE_PROFIT})


class InexactError(Exception):
    """A number of an order cannot be sent as it is; nothing was sent."""


def is_conditional(intent: OrderIntent) -> bool:
    """Whether an order waits for a price to become a market order."""
    return intent.type in _CONDITIONAL


def order_arguments(
    exchange: Exchange, habits: VenueHabits, intent: OrderIntent, margin_mode: str = "isolated"
) -> dict[str, Any]:
    """The arguments of ``create_order``; raises InexactError.

    ``margin_mode`` (isolated or cross) is told where the exchange wants it with each order.
    """
    params: dict[str, Any] = {habits.client_id: intent.client_order_id}
    if habits.margin_mode is not None:
        params[habits.margin_mode] = margin_mode
    if habits.conditional_id is not None and is_conditional(intent):
        params[habits.conditional_id] = intent.client_order_id
    if habits.reduce_only and intent.reduce_only:
        params["reduceOnly"] = True
    price: float | str | None = None
    if intent.type is OrderType.LIMIT:
        price = exact_price(exchange, intent, intent.limit_price)
        params["postOnly"] = True
    elif is_conditional(intent):
        trigger = exact_price(exchange, intent, intent.stop_price)
        params[habits.stop_price if intent.type is OrderType.STOP else habits.target_price] = trigger
        if not triggers_at_market(exchange.market(intent.symbol)):
            price = limit_beyond(exchange, intent, trigger)
    return {
        "symbol": intent.symbol,
        "type": "market" if price is None else "limit",
        "side": intent.side.value,
        "amount": exact_amount(exchange, intent),
        "price": price,
        "params": params,
    }


def pair_arguments(exchange: Exchange, stop: OrderIntent, target: OrderIntent) -> dict[str, Any]:
    """The parameters of Binance's OCO on spot; raises InexactError.

    Where the market takes none at market, both are limit orders (``limit_beyond``).
    """
    market = exchange.market(stop.symbol)
    amount = exact_amount(exchange, stop)
    if amount != exact_amount(exchange, target):
        raise InexactError(f"stop and target are of unequal quantity: {stop.quantity} and {target.quantity}")
    at_market = triggers_at_market(market)
    above, below = (target, stop) if stop.side is Side.SELL else (stop, target)
    request: dict[str, Any] = {
        "symbol": market["id"],
        "side": stop.side.value.upper(),
        "quantity": exchange.amount_to_precision(stop.symbol, amount),
        "listClientOrderId": stop.client_order_id[:-1] + "o",
        "newOrderRespType": "RESULT",
    }
    for place, intent in (("above", above), ("below", below)):
        kind = "STOP_LOSS" if intent.type is OrderType.STOP else "TAKE_PROFIT"
        trigger = exact_price(exchange, intent, intent.stop_price)
        request[f"{place}ClientOrderId"] = intent.client_order_id
        request[f"{place}Type"] = kind if at_market else f"{kind}_LIMIT"
        request[f"{place}StopPrice"] = exchange.price_to_precision(intent.symbol, trigger)
        if not at_market:
            request[f"{place}Price"] = limit_beyond(exchange, intent, trigger)
            request[f"{place}TimeInForce"] = "GTC"
    return request


def triggers_at_market(market: Mapping[str, Any]) -> bool:
    """Whether a stop and a take-profit may be market orders: always on perpetuals, on spot as the market says."""
    return not market["spot"] or {"STOP_LOSS", "TAKE_PROFIT"} <= set(market["info"].get("orderTypes") or ())


def limit_beyond(exchange: Exchange, intent: OrderIntent, trigger: float) -> str:
    """The limit of a triggered order that trades at once all the same: so far beyond its trigger, on the tick."""
    limit = trigger * (1 + intent.side.sign * LIMIT_BEYOND_STOP)
    return str(exchange.price_to_precision(intent.symbol, limit))


def asking_for(habits: VenueHabits, intent: OrderIntent) -> dict[str, Any]:
    """The parameters by which an order is canceled or looked up."""
    return {
        habits.client_id: intent.client_order_id,
        **(habits.conditional if is_conditional(intent) else {}),
    }


def refusal_code(habits: VenueHabits, intent: OrderIntent, outcome: Outcome) -> str:
    """The exchange's code of a refusal, or our word where something hangs on it."""
    if intent.type is OrderType.LIMIT and outcome.code in habits.crosses_codes:
        return WOULD_CROSS
    if is_conditional(intent) and outcome.code in habits.triggers_codes:
        return WOULD_TRIGGER
    return outcome.code


def exact_amount(exchange: Exchange, intent: OrderIntent) -> float:
    """The quantity in what the market counts in (contracts, or base units); raises InexactError."""
    amount = contracts_of(exchange.market(intent.symbol), intent.quantity)
    return _exact(f"quantity {intent.quantity}", amount, exchange.amount_to_precision, intent)


def exact_price(exchange: Exchange, intent: OrderIntent, price: float | None) -> float:
    """A price of an order; raises InexactError, also where there is none."""
    if price is None:
        raise InexactError(f"order {intent.client_order_id} of type {intent.type.value} has no price")
    return _exact(f"price {price}", price, exchange.price_to_precision, intent)


def _exact(name: str, value: float, to_precision: Any, intent: OrderIntent) -> float:
    """A number that its text gives back."""
    try:
        text = to_precision(intent.symbol, value)
    except Exception as error:  # ccxt's classes differ by what is wrong with it
        raise InexactError(f"{name} of {intent.symbol} cannot be sent: {error}") from error
    if not value > 0 or abs(float(text) - value) > EXACT * value:
        raise InexactError(f"{name} of {intent.symbol} would be sent as {text}")
    return value
