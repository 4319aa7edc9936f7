"""What exchanges' own rows are read into where ccxt's structures do not say enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bot.core.venue import VenueStatus


@dataclass(frozen=True, slots=True)
class ConditionalRow:
    """A conditional order.

    Attributes:
        client_order_id: Ours, or a stranger's.
        algo_id: The algo service's number of it.
        market_id: The exchange's name of the market.
        status: Where it stands; None once its market order has come to an end.
        order_id: The market order that it became; "" before.
        quantity: As ordered, in what the market counts in.
        at_ms: Of the last change; None where it is not told.
        reason: Why its market order was refused.
    """

    client_order_id: str
    algo_id: str
    market_id: str
    status: VenueStatus | None
    order_id: str
    quantity: float
    at_ms: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class UserRows:
    """What a message of the user stream says of one order, in ccxt's structures.

    Attributes:
        trades: Executions.
        orders: Orders of the matching engine.
        conditional: A conditional order.
        client_order_id: Whose the executions are, by the message.
    """

    trades: list[Any] = field(default_factory=list)
    orders: list[Any] = field(default_factory=list)
    conditional: ConditionalRow | None = None
    client_order_id: str = ""
