"""Binance's rate limits: weight of requests by the minute, numbers of orders by several stretches. Pure.

::

    free --over a limit--> 429 until the stretch is over --goes on asking--> 418 until the ban is over --> free

Limits count wall seconds. Each ban of the same client is twice as long as the one before, up to three days.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bot.simexchange.config import Market
from bot.simexchange.orders import Refusal

WARNINGS = 10
"""How many requests beyond a limit are answered with 429 before the client is banned."""

FIRST_BAN_S = 120
LONGEST_BAN_S = 3 * 86_400


@dataclass(frozen=True, slots=True)
class OrderLimit:
    """So many orders in each stretch of so many seconds."""

    header: str
    seconds: int
    orders: int
    words: str


ORDER_LIMITS = {
    Market.USDM: (OrderLimit("10S", 10, 300, "10 SECONDS"), OrderLimit("1M", 60, 1200, "MINUTE")),
    Market.SPOT: (OrderLimit("10S", 10, 100, "10 SECONDS"), OrderLimit("1D", 86_400, 200_000, "DAY")),
}
WEIGHT_LIMITS = {Market.USDM: 2400, Market.SPOT: 6000}


@dataclass(slots=True)
class _Count:
    """What was used in the running stretch."""

    seconds: int
    stretch: int = -1
    used: int = 0

    def add(self, now_s: float, number: int) -> int:
        stretch = int(now_s // self.seconds)
        if stretch != self.stretch:
            self.stretch, self.used = stretch, 0
        self.used += number
        return self.used

    def left_s(self, now_s: float) -> int:
        """Whole seconds until the stretch is over."""
        return int((self.stretch + 1) * self.seconds - now_s) + 1


@dataclass(slots=True)
class Charge:
    """What came of counting a request: headers of its reply, and the refusal where it went over a limit."""

    headers: dict[str, str] = field(default_factory=dict)
    refusal: Refusal | None = None


class RateLimits:
    """Counts the requests of the one client address that there is."""

    def __init__(self, market: Market, *, enforced: bool) -> None:
        """Limits that are not enforced are counted and told, and refuse nothing."""
        self._weight_limit = WEIGHT_LIMITS[market]
        self._order_limits = ORDER_LIMITS[market]
        self._enforced = enforced
        self._weight = _Count(60)
        self._orders = {limit.header: _Count(limit.seconds) for limit in self._order_limits}
        self._warned = 0
        self._bans = 0
        self._banned_until_s = 0.0

    def told(self) -> list[dict[str, Any]]:
        """The weight used, as replies of the WebSocket API tell it."""
        return [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._weight_limit,
                "count": self._weight.used,
            }
        ]

    def charge(self, now_s: float, now_ms: int, weight: int, orders: int) -> Charge:
        """Count a request.

        Args:
            now_s: Wall seconds, from any start.
            now_ms: The exchange's time, which the text of a ban names.
            weight: Of the request.
            orders: How many orders it makes.
        """
        if self._enforced and now_s < self._banned_until_s:
            return self._banned(now_s, now_ms)
        minute = self._weight.stretch
        charge = Charge({"X-MBX-USED-WEIGHT-1M": str(self._weight.add(now_s, weight))})
        if self._weight.stretch != minute:
            self._warned = 0
        if self._enforced and self._weight.used > self._weight_limit:
            return self._over_weight(charge, now_s, now_ms)
        for limit in self._order_limits if orders else ():
            count = self._orders[limit.header]
            used = count.add(now_s, orders)
            charge.headers[f"X-MBX-ORDER-COUNT-{limit.header}"] = str(used)
            if self._enforced and used > limit.orders:
                count.used -= orders  # an order that was not taken is not counted
                text = f"Too many new orders; current limit is {limit.orders} orders per {limit.words}."
                charge.refusal = Refusal(-1015, text, 429)
                charge.headers["Retry-After"] = str(count.left_s(now_s))
                return charge
        return charge

    def _over_weight(self, charge: Charge, now_s: float, now_ms: int) -> Charge:
        self._warned += 1
        if self._warned > WARNINGS:
            length = min(FIRST_BAN_S * 2**self._bans, LONGEST_BAN_S)
            self._bans += 1
            self._warned = 0
            self._banned_until_s = now_s + length
            return self._banned(now_s, now_ms)
        text = (
            f"Too many requests; current limit is {self._weight_limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )
        charge.refusal = Refusal(-1003, text, 429)
        charge.headers["Retry-After"] = str(self._weight.left_s(now_s))
        return charge

    def _banned(self, now_s: float, now_ms: int) -> Charge:
        left = int(self._banned_until_s - now_s) + 1
        text = (
            f"Way too much request weight used; IP banned until {now_ms + left * 1000}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        return Charge({"Retry-After": str(left)}, Refusal(-1003, text, 418))
