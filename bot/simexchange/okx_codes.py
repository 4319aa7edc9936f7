"""OKX's words for what the account refuses.

The account's refusals have the codes of Binance's perpetuals; a client of OKX gets OKX's own. Codes and texts are those
of OKX's documentation. A fault plan may name codes of either: one that is positive is OKX's already.
"""

from __future__ import annotations

from bot.simexchange.orders import OrderKind, OrderRequest, Refusal

MARGIN_SHORT = 51008
NOTHING_HELD = 51169
UNKNOWN_ORDER = 51603
NOT_CANCELED = 51400
DUPLICATE_ID = 51016
FIRST_OF_AN_ORDER = 51_000
"""Codes below are of the exchange as a whole: they are never told order by order, and have an HTTP status of their own."""

TEXTS: dict[int, str] = {
    50001: "Service temporarily unavailable. Try again later",
    50004: "API endpoint request timeout (does not mean that the request was successful or failed, please check the result).",
    50011: "Too Many Requests",
    50013: "Systems are busy. Please try again later.",
    50026: "System error. Try again later",
    50061: "Sub-account rate limit exceeded",
    50102: "Timestamp request expired",
    50111: "Invalid OK-ACCESS-KEY",
    50113: "Invalid Sign",
    51000: "Parameter error",
    51008: "Order failed. Insufficient USDT margin in account",
    51016: "Client order ID already exists.",
    51020: "Your order should meet or exceed the minimum order amount.",
    51022: "Contract suspended",
    51025: "Order count exceeds the limit",
    51121: "Order quantity must be a multiple of the lot size.",
    51169: "Order failed because you don't have any positions in this direction for this contract to reduce or close.",
    51202: "Market order amount exceeds the maximum amount.",
    51277: "TP trigger price cannot be higher than the last price",
    51278: "SL trigger price cannot be lower than the last price",
    51279: "TP trigger price cannot be lower than the last price",
    51280: "SL trigger price cannot be higher than the last price",
    51400: "Cancellation failed as the order has been filled, canceled or does not exist.",
    51603: "Order does not exist",
    59000: "Settings failed. Close any open positions or orders before modifying settings.",
    59102: "Leverage exceeds the maximum leverage. Please lower the leverage.",
    59108: "Low leverage and insufficient margin, please adjust the leverage",
}

_OF_BINANCE: dict[int, int] = {
    -1000: 50026,
    -1001: 50026,
    -1003: 50011,
    -1007: 50004,
    -1008: 50013,
    -1015: 50061,
    -1111: 51121,
    -1121: 51001,
    -2010: MARGIN_SHORT,
    -2011: NOT_CANCELED,
    -2013: UNKNOWN_ORDER,
    -2019: MARGIN_SHORT,
    -2022: NOTHING_HELD,
    -2025: 51025,
    -2028: 59108,
    -4003: 51020,
    -4005: 51202,
    -4016: 51137,
    -4024: 51138,
    -4028: 59102,
    -4045: 51025,
    -4047: 59000,
    -4048: 59000,
    -4067: 59000,
    -4068: 59000,
    -4116: DUPLICATE_ID,
    -4141: 51022,
    -4164: 51020,
}
_PARAMETERS: dict[int, str] = {
    -1100: "clOrdId",
    -4001: "px",
    -4002: "px",
    -4006: "slTriggerPx",
    -4007: "slTriggerPx",
    -4014: "px",
    -4061: "posSide",
}
"""Refusals of a parameter, by which one it is."""

_TRIGGERED: dict[tuple[OrderKind, str], int] = {
    (OrderKind.TAKE_PROFIT_MARKET, "BUY"): 51277,
    (OrderKind.STOP_MARKET, "BUY"): 51278,
    (OrderKind.TAKE_PROFIT_MARKET, "SELL"): 51279,
    (OrderKind.STOP_MARKET, "SELL"): 51280,
}


def in_words_of_okx(refusal: Refusal, request: OrderRequest | None = None) -> Refusal:
    """The refusal as OKX would tell it; ``request`` is the order that it is about."""
    code = refusal.code
    if code > 0:
        return Refusal(code, str(refusal), 200 if code >= FIRST_OF_AN_ORDER else refusal.status)
    if code == -2021 and request is not None:
        return refused(_TRIGGERED[request.kind, request.side])
    if code in _PARAMETERS:
        return Refusal(51000, f"Parameter {_PARAMETERS[code]} error", 200)
    known = _OF_BINANCE.get(code)
    if known is None or known not in TEXTS:
        return Refusal(known or 51000, str(refusal), 200)
    return refused(known)


def refused(code: int) -> Refusal:
    """A refusal in OKX's text."""
    return Refusal(code, TEXTS[code], 200)
