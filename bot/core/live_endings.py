"""How an order ends, and what takes its place."""

from __future__ import annotations

from bot.core.entry import LIMIT_EXPIRED, WOULD_CROSS, fallback_intent
from bot.core.live_ledger import LiveLedger
from bot.core.live_order import Asked, LiveOrder, Move, Phase
from bot.core.orders import OrderType
from bot.core.venue import VenueStatus

ABSENT = "the exchange does not have it"
"""Why an order ended that was looked for and not found."""

_CROSS_CODES = frozenset({WOULD_CROSS, "-5022"})


def would_cross(code: str, reason: str) -> bool:
    """Whether a post-only order was refused since it would have traded at once."""
    return code in _CROSS_CODES or "immediately match" in reason.lower()


class Endings:
    """Ends orders, and tells the engine.

    Args:
        ledger: The orders.
    """

    def __init__(self, ledger: LiveLedger) -> None:
        self._ledger = ledger
        self._ended: list[LiveOrder] = []

    def take(self) -> list[LiveOrder]:
        """Orders that ended since this was last called, and not by our dropping them."""
        ended, self._ended = self._ended, []
        return ended

    def drop(self, order: LiveOrder, reason: str, at_ms: int, now_ms: int, *, rejected: bool = False) -> None:
        """It was not sent, or is surely not on the exchange, and is not to be sent any more."""
        order.move(Move.DROP)
        order.words = reason
        order.done_ms = now_ms
        self._ledger.tell_end(order, at_ms, reason, rejected=rejected)

    def finish(self, at_ms: int, now_ms: int) -> None:
        """End what is filled, and what is final with every trade known."""
        for order in list(self._ledger.orders.values()):
            if not order.is_live:
                continue
            if order.phase is not Phase.PLANNED and order.is_filled:
                order.answered(*Asked)
                order.believe()
                order.move(Move.COMPLETE)
                self.over(order, at_ms, now_ms)
            elif order.phase is Phase.CLOSING and not order.lacks_trades:
                order.move(Move.COMPLETE)
                self.over(order, at_ms, now_ms, rejected=order.final is VenueStatus.REJECTED)

    def over(self, order: LiveOrder, at_ms: int, now_ms: int, *, rejected: bool = False) -> None:
        """It is over: tell the engine, after what takes its place."""
        order.done_ms = now_ms
        crossed = would_cross(order.code, order.words) or order.final is VenueStatus.EXPIRED
        crossed = crossed and order.intent.type is OrderType.LIMIT and order.filled == 0.0
        reason = WOULD_CROSS if crossed else order.cancel_words or order.words or self._ending_of(order)
        if order.cancel_words == LIMIT_EXPIRED or (crossed and not order.cancel_words):
            self._fall_back(order, at_ms)
        self._ledger.tell_end(order, at_ms, reason, rejected=rejected and not crossed)
        self._ended.append(order)

    def _ending_of(self, order: LiveOrder) -> str:
        if order.final is None or order.final is VenueStatus.FILLED:
            return "no more was held"
        return f"{order.final.value} by the exchange"

    def _fall_back(self, order: LiveOrder, at_ms: int) -> None:
        """A market order takes the place of a limit entry of which nothing has filled."""
        intent = order.intent
        if not intent.taker_fallback or order.filled > 0 or order.record is None or not order.record.is_open:
            return
        market = LiveOrder(fallback_intent(intent, at_ms))
        self._ledger.orders[market.id] = market
        self._ledger.tell_new(market, at_ms)
