"""When and at what price the market reaches an order of the simulated exchange.

The rules are those of ``bot.core.matching``: a stop or target triggers at its level, or where the first price after it
was made is already beyond, at that price. A limit order is filled only where the price goes through it.
"""

from __future__ import annotations

from typing import NamedTuple

from bot.errors import EngineProtocolError
from bot.simexchange.bars import MINUTE_MS, Bar, partial_bar, turns
from bot.simexchange.orders import OrderKind, OrderRequest, SimOrder, TimeInForce


class Path(NamedTuple):
    """What an order sees of a bar: the first price after it was made, and the extremes from there on."""

    first: float
    high: float
    low: float


def path_after(bar: Bar, made_at_ms: int) -> Path | None:
    """The part of a bar that came after an order was made; None where that was after the bar.

    An order made at the bar's open, or before, sees all of it.
    """
    elapsed = made_at_ms - bar.opened_at_ms
    if elapsed <= 0:
        return Path(bar.open, bar.high, bar.low)
    if elapsed >= MINUTE_MS:
        return None
    first = partial_bar(bar, elapsed).close
    ahead = (first, *turns(bar)[min(int(elapsed / MINUTE_MS * 3), 2) + 1 :])
    return Path(first, max(ahead), min(ahead))


def is_triggered(request: OrderRequest, price: float) -> bool:
    """Whether a conditional order would trigger at a price; at its level it does."""
    level = _level(request)
    return price <= level if _from_above(request) else price >= level


def trigger_price(request: OrderRequest, path: Path) -> float | None:
    """The price at which a path triggers a conditional order, or None."""
    level = _level(request)
    if _from_above(request):
        return min(path.first, level) if path.low <= level else None
    return max(path.first, level) if path.high >= level else None


def goes_through(request: OrderRequest, path: Path) -> bool:
    """Whether a path goes beyond the price of a limit order; touching it is not enough."""
    limit = request.price or 0.0
    return path.low < limit if request.side == "BUY" else path.high > limit


def crosses(request: OrderRequest, price: float, half_spread_bps: float) -> bool:
    """Whether a limit order meets the other side of the book at once.

    The book begins half a spread off the price. A post-only order counts as meeting it from the price itself on, as
    ``bot.core.matching`` has it: at worst it is refused where it could just have rested.
    """
    limit = request.price or 0.0
    if request.time_in_force is not TimeInForce.GTX:
        price *= 1 + request.sign * half_spread_bps / 10_000
    return limit >= price if request.side == "BUY" else limit <= price


def in_order_of_matching(orders: list[SimOrder]) -> list[SimOrder]:
    """Stops, then targets, then limit orders; those of a kind as they were made."""
    rank = {OrderKind.STOP_MARKET: 0, OrderKind.TAKE_PROFIT_MARKET: 1}
    return sorted(orders, key=lambda order: (rank.get(order.request.kind, 2), order.order_id))


def _from_above(request: OrderRequest) -> bool:
    """A selling stop and a buying target trigger from above, the other two from below."""
    return (request.side == "SELL") == (request.kind is OrderKind.STOP_MARKET)


def _level(request: OrderRequest) -> float:
    if request.stop_price is None:
        raise EngineProtocolError(
            f"order {request.client_order_id} has no trigger price: a filter let it pass"
        )
    return request.stop_price
