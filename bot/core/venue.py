"""What the bot asks of an exchange, and what the exchange says: the language between execution and its gateway.

Commands are what ``bot.core.execution`` wants done; a gateway carries each out once and answers with events. Events
also come by themselves, from the user stream. None of them is trusted to come once, or in order: execution
recognises a trade by its id and an order by its client id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from bot.core.market import Symbol
from bot.core.orders import Fill, OrderIntent


class VenueStatus(str, Enum):
    """Where an order stands on the exchange."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        """Whether nothing more can come of it."""
        return self is not VenueStatus.OPEN


# --- commands -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Send one order, once."""

    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class PlacePair:
    """Send a stop and a target of which the exchange itself cancels one when the other fills (spot), once."""

    stop: OrderIntent
    target: OrderIntent


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel an order by its client id."""

    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class LookUpOrder:
    """Ask what became of an order: among orders by client id, and where it is not there among trades since it was decided."""

    intent: OrderIntent


@dataclass(frozen=True, slots=True)
class ReadTrades:
    """Read the account's executions of a symbol at or after a time."""

    symbol: Symbol
    since_ms: int


@dataclass(frozen=True, slots=True)
class ReadState:
    """Read everything for a reconciliation: open orders, trades since the cursors, positions, balances.

    Attributes:
        since_ms: By symbol, from when on trades are wanted.
    """

    since_ms: Mapping[Symbol, int] = field(default_factory=dict)


VenueCommand: TypeAlias = PlaceOrder | PlacePair | CancelOrder | LookUpOrder | ReadTrades | ReadState


# --- events ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """The exchange shows an order: in the answer to its placing or cancelling, on the stream, or when looked up.

    Attributes:
        client_order_id: Ours, or a stranger's.
        symbol: The market.
        at_ms: Exchange time.
        exchange_id: The exchange's id of it.
        status: Where it stands.
        filled_quantity: Base units executed so far.
        quantity: Base units ordered; 0 where the exchange did not say.
        reason: The exchange's words for a status that is not ours to expect (a reject on trigger, an expiry).
    """

    client_order_id: str
    symbol: Symbol
    at_ms: int
    exchange_id: str
    status: VenueStatus
    filled_quantity: float
    quantity: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """The exchange surely did not take the order: nothing of it can trade.

    Attributes:
        code: The exchange's code, or a word of ours.
        reason: Its text.
    """

    client_order_id: str
    symbol: Symbol
    at_ms: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderUncertain:
    """A request for an order (its placing or cancelling) had no answer that says whether it was carried out."""

    client_order_id: str
    symbol: Symbol
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class OrderAbsent:
    """Looked up: the exchange knows no order of this client id, and no trade of it."""

    client_order_id: str
    symbol: Symbol
    at_ms: int


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The exchange would not cancel: mostly since the order is not open any more; look it up."""

    client_order_id: str
    symbol: Symbol
    at_ms: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class CommandFailed:
    """A question (look-up, trades, state) had no answer; nothing was changed by it, so it can be asked again."""

    command: VenueCommand
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class TradeSeen:
    """The exchange shows an execution; ``fill.client_order_id`` is empty where it is not known whose order it was.

    Attributes:
        fill: With the exchange's trade id, and the fee in quote currency.
        exchange_order_id: The order's id there.
    """

    fill: Fill
    exchange_order_id: str


@dataclass(frozen=True, slots=True)
class FundingSeen:
    """A funding payment as the exchange booked it.

    Attributes:
        payment_id: The exchange's id of it, unique.
        paid: Quote currency; negative when received.
    """

    payment_id: str
    symbol: Symbol
    paid: float
    paid_at_ms: int


@dataclass(frozen=True, slots=True)
class VenueState:
    """Everything the exchange says of the account at one time.

    Attributes:
        at_ms: Exchange time when it was read.
        orders: Every open order, conditional ones too, of every symbol of the account.
        trades: Executions since the cursors, in order of time.
        fundings: Funding payments since the cursors.
        positions: Signed base units by symbol; of spot what is owned of the base currency, locked or not.
        wallet: Quote currency: wallet balance of perpetuals, free and locked of spot.
        entry_prices: Average entry prices by symbol, of positions where the exchange tells them.
    """

    at_ms: int
    orders: tuple[OrderSeen, ...]
    trades: tuple[TradeSeen, ...]
    fundings: tuple[FundingSeen, ...]
    positions: Mapping[Symbol, float]
    wallet: float
    entry_prices: Mapping[Symbol, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamLost:
    """The user stream is down: what happens now is not heard of."""

    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class StreamRestored:
    """The user stream is up (again): reconcile, for something may have been missed."""

    at_ms: int


VenueEvent: TypeAlias = (
    OrderSeen
    | OrderRefused
    | OrderUncertain
    | OrderAbsent
    | CancelRefused
    | CommandFailed
    | TradeSeen
    | FundingSeen
    | VenueState
    | StreamLost
    | StreamRestored
)
