"""What the simulated exchange knows of orders: requests, orders, executions, refusals, and what the account tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from bot.core.position import held_after
from bot.simexchange.exchange_info import Listing


class OrderKind(StrEnum):
    """Types of orders, by the names that Binance gives them on the perpetuals' API."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"


class TimeInForce(StrEnum):
    """How long a limit order lives; GTX is post-only."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"


class OrderStatus(StrEnum):
    """Where an order stands; TRIGGERED and FINISHED are those of a conditional order whose market order was made."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"


class Refusal(Exception):  # noqa: N818 - an answer of the exchange, not a fault of ours
    """The exchange does not do what was asked; code and text are Binance's own.

    Attributes:
        code: Such as -2019.
        status: Of the HTTP reply.
    """

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order as a client asks for it, its numbers parsed and not yet checked against the listing.

    Attributes:
        symbol: Exchange id (``BTCUSDT``).
        side: ``BUY`` or ``SELL``.
        kind: Its type.
        quantity: Base units.
        client_order_id: The client's, or made up by the exchange.
        price: Of a limit order.
        stop_price: Trigger of a conditional order.
        time_in_force: Of a limit order.
        reduce_only: May only shrink a position (perpetuals).
        close_position: A conditional order that closes whatever is held (perpetuals); its quantity is 0.
        position_side: ``BOTH``, or of a hedged account ``LONG`` or ``SHORT`` (perpetuals).
        label: A word of the exchange's protocol, kept with the order and told again; nothing here reads it.
    """

    symbol: str
    side: str
    kind: OrderKind
    quantity: float
    client_order_id: str
    price: float | None = None
    stop_price: float | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    close_position: bool = False
    position_side: str = "BOTH"
    label: str = ""

    @property
    def is_conditional(self) -> bool:
        """Whether it waits for a price."""
        return self.kind in {OrderKind.STOP_MARKET, OrderKind.TAKE_PROFIT_MARKET}

    @property
    def only_reduces(self) -> bool:
        """Whether it may only shrink a position."""
        return self.reduce_only or self.close_position

    @property
    def sign(self) -> int:
        """+1 of a buying order, -1 of a selling one."""
        return 1 if self.side == "BUY" else -1


@dataclass(slots=True)
class SimOrder:
    """An order on the exchange; what changes is changed in place.

    Attributes:
        order_id: Number of the exchange; conditional orders of the perpetuals have their own series (``algoId``).
        request: As asked.
        status: Where it stands.
        created_at_ms: Exchange time.
        updated_at_ms: Of the last change.
        executed_quantity: Base units.
        executed_notional: Quote currency.
        list_id: Of a pair (OCO) on spot, else -1.
        triggered_order_id: The market order that a conditional order of the perpetuals became; 0 before.
        parent_id: Of that market order: the conditional order's number, else 0.
        reason: Why it was rejected or expired.
    """

    order_id: int
    request: OrderRequest
    status: OrderStatus
    created_at_ms: int
    updated_at_ms: int
    executed_quantity: float = 0.0
    executed_notional: float = 0.0
    list_id: int = -1
    triggered_order_id: int = 0
    parent_id: int = 0
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status in {OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED}

    @property
    def remaining(self) -> float:
        """Base units not executed; 0 of an order that closes whatever is held."""
        return held_after(self.request.quantity, -self.executed_quantity)


@dataclass(frozen=True, slots=True)
class SimPair:
    """Two orders (of spot, or of OKX's swaps) of which one goes when the other fills or is canceled (OCO); the ids are order numbers."""

    list_id: int
    client_id: str
    symbol: str
    stop_id: int
    target_id: int
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class SimTrade:
    """One execution; prices and fees keep every digit, so that a client's sums equal the exchange's."""

    trade_id: int
    order_id: int
    client_order_id: str
    symbol: str
    side: str
    price: float
    quantity: float
    fee: float
    fee_asset: str
    at_ms: int
    is_maker: bool
    realized: float


@dataclass(frozen=True, slots=True)
class SimPosition:
    """What is held of a perpetual: signed base units, average entry price, leverage and margin mode."""

    symbol: str
    quantity: float
    entry_price: float
    leverage: int
    isolated: bool


@dataclass(frozen=True, slots=True)
class SimBalance:
    """Money or coins: free to use, and locked by open orders (spot). Perpetuals have a wallet balance in ``free``."""

    asset: str
    free: float
    locked: float = 0.0


@dataclass(frozen=True, slots=True)
class Income:
    """A line of the perpetuals' income history: ``FUNDING_FEE``, ``COMMISSION`` or ``REALIZED_PNL``."""

    income_id: int
    symbol: str
    kind: str
    amount: float
    asset: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order was made, executed in part or whole, canceled, triggered or expired.

    Attributes:
        order: A copy as it stood right after.
        execution: Binance's word: NEW, TRADE, CANCELED, EXPIRED, REJECTED, TRIGGERED, FINISHED.
        trade: The execution, where it was one.
    """

    order: SimOrder
    execution: str
    at_ms: int
    trade: SimTrade | None = None


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Balances or positions changed.

    Attributes:
        reason: Binance's word: ORDER, FUNDING_FEE, DEPOSIT, ADJUSTMENT.
        balances: Those that changed.
        positions: Those that changed.
    """

    reason: str
    at_ms: int
    balances: tuple[SimBalance, ...]
    positions: tuple[SimPosition, ...] = ()


AccountEvent: TypeAlias = OrderChanged | AccountChanged


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """What an account is opened with.

    Attributes:
        listings: What can be traded, by exchange id.
        balances: Asset and amount.
        taker_fee_bps: Of the notional.
        maker_fee_bps: Of the notional.
        half_spread_bps: A market order pays this...
        slippage_bps: ...and this beyond the price.
    """

    listings: dict[str, Listing]
    balances: dict[str, float] = field(default_factory=lambda: {"USDT": 10_000.0})
    taker_fee_bps: float = 4.0
    maker_fee_bps: float = 2.0
    half_spread_bps: float = 0.5
    slippage_bps: float = 1.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What a fault plan does to an order that an account takes in.

    Attributes:
        refuse: Code and text of a refusal instead.
        fill_shares: Shares of its quantity in which it executes, one trade each (cut to the lot step); what they leave of
            the whole expires where the order may not rest, and rests where it may.
    """

    refuse: tuple[int, str] | None = None
    fill_shares: tuple[float, ...] = (1.0,)
