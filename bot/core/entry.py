"""How a position is entered: at market, or by a limit order that waits for the market to come to it.

A maker entry is a post-only limit at the touch: the close of the candle decided on, moved half a spread in our favour
and on to the tick that is farther from the market. It rests for some minutes. Then it is canceled, and where the rule
says so a market order takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from bot.core.costs import Costs
from bot.core.market import MINUTE_MS, Instrument
from bot.core.orders import OrderIntent, OrderType, Side
from bot.errors import EngineProtocolError

LIMIT_EXPIRED: Final = "limit_expired"
"""Why an order was canceled that waited in vain."""

WOULD_CROSS: Final = "post_only_would_cross"
"""Why an order was canceled that would have traded at once."""

OVER_PARTICIPATION: Final = "over_participation"
"""Why the rest of an entry was canceled that was larger than its share of a candle's volume."""

FALLBACK_LETTER: Final = "m"
"""Last letter of the id of the market order that takes the place of a limit entry."""


class EntryStyle(str, Enum):
    """Who waits for whom."""

    TAKER = "taker"
    MAKER = "maker"


@dataclass(frozen=True, slots=True)
class EntryRule:
    """How entries are sent.

    Attributes:
        style: ``taker`` sends a market order, ``maker`` a post-only limit order.
        limit_minutes: How many minutes a limit order waits.
        taker_fallback: Whether a market order takes its place then, or when it would have traded at once.
    """

    style: EntryStyle = EntryStyle.TAKER
    limit_minutes: int = 3
    taker_fallback: bool = False

    @property
    def is_maker(self) -> bool:
        """Whether entries wait."""
        return self.style is EntryStyle.MAKER

    def round_trip(self, costs: Costs) -> float:
        """Cost of entering by this rule and leaving at market, as a fraction of the notional.

        A rule that may fall back to a market order is charged as one that does.
        """
        if self.is_maker and not self.taker_fallback:
            return costs.round_trip / 2 + costs.maker_fee_bps / 10_000
        return costs.round_trip

    def applied(self, entry: OrderIntent, close: float, costs: Costs, instrument: Instrument) -> OrderIntent:
        """A market entry as this rule sends it.

        Args:
            entry: The wish, at market.
            close: Of the candle that it was decided on.
            costs: For half the spread.
            instrument: For the tick.
        """
        if not self.is_maker:
            return entry
        return replace(
            entry,
            type=OrderType.LIMIT,
            limit_price=touch_price(entry.side, close, costs, instrument),
            expires_at_ms=entry.decided_at_ms + self.limit_minutes * MINUTE_MS,
            taker_fallback=self.taker_fallback,
        )


def touch_price(side: Side, close: float, costs: Costs, instrument: Instrument) -> float:
    """The best bid (to buy) or offer (to sell) that a close stands for, on the tick and never nearer than that.

    At least one tick, so that it is a price.
    """
    price = close * (1 - side.sign * costs.half_spread_bps / 10_000)
    if side is Side.BUY:
        return max(instrument.floor_price(price), instrument.tick_size)
    return instrument.ceil_price(price)


def fallback_intent(entry: OrderIntent, at_ms: int) -> OrderIntent:
    """The market order that takes the place of a limit entry of which nothing has filled.

    It was approved with the entry: the same market, side, quantity and protection. Its id is the entry's with the
    last letter changed, so that both have the same protective orders, one after the other in the same round trip.

    Args:
        entry: A limit entry that may fall back.
        at_ms: When the limit order was given up: a market order counts as decided then.

    Raises:
        EngineProtocolError: The entry is no such order.
    """
    if entry.type is not OrderType.LIMIT or not entry.taker_fallback or entry.reduce_only:
        raise EngineProtocolError(f"order {entry.client_order_id} has no market order to fall back to")
    return replace(
        entry,
        client_order_id=entry.client_order_id[:-1] + FALLBACK_LETTER,
        type=OrderType.MARKET,
        decided_at_ms=at_ms,
        limit_price=None,
        expires_at_ms=None,
        taker_fallback=False,
    )
