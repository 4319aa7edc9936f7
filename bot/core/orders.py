"""Orders: the wish, the approval, the reports that come back, and the lifecycle as a table.

::

    state             Accepted   Fill(part)        Fill(rest)  Canceled  Rejected  Unknown
    SENT              ACCEPTED   PARTIALLY_FILLED  FILLED      CANCELED  REJECTED  UNKNOWN
    ACCEPTED          ACCEPTED   PARTIALLY_FILLED  FILLED      CANCELED  REJECTED  UNKNOWN
    PARTIALLY_FILLED  same       PARTIALLY_FILLED  FILLED      CANCELED  -         UNKNOWN
    UNKNOWN           ACCEPTED   PARTIALLY_FILLED  FILLED      CANCELED  REJECTED  UNKNOWN
    FILLED, CANCELED, REJECTED are final: whatever comes then is a protocol error.

An illegal transition raises EngineProtocolError and changes nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from bot.core.liquidation import LIQUIDATION
from bot.core.market import MINUTE_MS, Symbol
from bot.errors import EngineProtocolError


class Side(str, Enum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for buy, -1 for sell."""
        return 1 if self is _BUY else -1

    @property
    def opposite(self) -> Side:
        """The side that undoes this one."""
        return _SELL if self is _BUY else _BUY


# Reading a member from its class takes a fifth of a microsecond in Python 3.11: what runs on every bar keeps
# its members in names of the module.
_BUY, _SELL = Side.BUY, Side.SELL


class OrderType(str, Enum):
    """How an order executes; stop and take-profit become market orders when their price is reached.

    A limit order is always post-only: it waits at its price, and is never the side that takes.
    """

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    TAKE_PROFIT = "take_profit"


class Leg(str, Enum):
    """What an order is for; the value is the last letter of its client id."""

    ENTRY = "e"
    EXIT = "x"
    STOP = "s"
    TAKE_PROFIT = "t"
    FLATTEN = "f"
    LIQUIDATION = "l"


EXIT_REASONS: Final = {
    Leg.STOP: "stop_loss",
    Leg.TAKE_PROFIT: "take_profit",
    Leg.FLATTEN: "flatten",
    Leg.LIQUIDATION: LIQUIDATION,
}


class Protection(NamedTuple):
    """Distances of the protective orders from the entry's fill price, as fractions (0.005 = 0.5 %)."""

    stop_loss_fraction: float
    take_profit_fraction: float


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """A wish to trade, before risk has looked at it.

    Attributes:
        client_order_id: Deterministic id; the same decision always asks with the same one.
        symbol: The market.
        side: Buy or sell.
        quantity: Base units, positive, on the lot step.
        type: Market, limit, stop or take-profit.
        leg: What it is for.
        decided_at_ms: Close time of the candle that it was decided on.
        reason: The signal's reason.
        stop_price: Trigger price of a stop or take-profit, on the tick.
        reduce_only: True when it may only shrink a position.
        protection: On an entry: where the protective orders go, measured from the fill.
        limit_price: The price of a limit order, on the tick.
        expires_at_ms: From when on a limit order is to be canceled, if it has not filled.
        taker_fallback: On a limit entry: whether a market order takes its place when it expires, or when the
            exchange would not let it rest.
    """

    client_order_id: str
    symbol: Symbol
    side: Side
    quantity: float
    type: OrderType
    leg: Leg
    decided_at_ms: int
    reason: str
    stop_price: float | None = None
    reduce_only: bool = False
    protection: Protection | None = None
    limit_price: float | None = None
    expires_at_ms: int | None = None
    taker_fallback: bool = False


class ApprovedOrder:
    """An intent that passed the risk review: all that a broker accepts.

    Only ``bot.core.risk`` makes one; any other attempt raises EngineProtocolError.
    """

    __slots__ = ("intent",)

    def __init__(self, intent: OrderIntent, *, seal: object) -> None:
        if seal is not APPROVAL_SEAL:
            raise EngineProtocolError("an approved order is made by the risk review and by nothing else")
        self.intent = intent

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApprovedOrder) and other.intent == self.intent

    def __hash__(self) -> int:
        return hash(self.intent)

    def __repr__(self) -> str:
        return f"ApprovedOrder({self.intent!r})"


APPROVAL_SEAL: Final = object()
"""Held by ``bot.core.risk`` alone (a test reads the sources for other uses)."""


@dataclass(frozen=True, slots=True)
class RefusedOrder:
    """An intent that risk turned down, and why (a stable word in snake case)."""

    intent: OrderIntent
    reason: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The exchange has the order."""

    client_order_id: str
    symbol: Symbol
    at_ms: int
    intent: OrderIntent | None = None
    """An order that the engine has not sent itself: a protective one, the market order that takes the place of a
    limit entry, which is told of before that one's ``Canceled``, or the exchange's own that liquidates. Else None."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The exchange does not want the order; nothing was traded."""

    client_order_id: str
    symbol: Symbol
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Canceled:
    """The rest of the order will not trade."""

    client_order_id: str
    symbol: Symbol
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It is not known what became of the order; nothing new may be sent before it is."""

    client_order_id: str
    symbol: Symbol
    at_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution.

    Attributes:
        trade_id: The exchange's id of the execution, unique.
        client_order_id: The order that executed.
        symbol: The market.
        side: Buy or sell.
        quantity: Base units, positive.
        price: Quote per base unit.
        fee: Paid, in ``fee_asset``, positive.
        fee_asset: Always the quote currency in this version.
        filled_at_ms: When; a fill inside a bar carries the bar's last millisecond.
        spread_bps: Of half the spread in the price, where it is not the fixed figure of the costs; else None.
        slippage_bps: Of the slippage in the price, likewise.
    """

    trade_id: str
    client_order_id: str
    symbol: Symbol
    side: Side
    quantity: float
    price: float
    fee: float
    fee_asset: str
    filled_at_ms: int
    spread_bps: float | None = None
    slippage_bps: float | None = None


@dataclass(frozen=True, slots=True)
class Funding:
    """A funding time passed while a perpetual was held: longs pay ``rate`` times notional, shorts receive.

    Attributes:
        symbol: The market.
        rate: As a fraction; 0 where the exchange only said what was paid.
        mark_price: Of the notional; 0 likewise.
        paid_at_ms: The funding time.
        paid: What the exchange booked, quote currency (negative: received); None to work it out.
    """

    symbol: Symbol
    rate: float
    mark_price: float
    paid_at_ms: int
    paid: float | None = None


@dataclass(frozen=True, slots=True)
class Adopted:
    """A position that was none of ours is taken as ours from here on, by setting; no money moves.

    Attributes:
        symbol: The market.
        quantity: Signed base units.
        price: What it was entered at, quote per base unit.
        at_ms: When.
    """

    symbol: Symbol
    quantity: float
    price: float
    at_ms: int


ExecutionReport: TypeAlias = Accepted | Rejected | Canceled | Unknown | Fill | Funding | Adopted


class OrderState(str, Enum):
    """Where an order stands."""

    SENT = "sent"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


FINAL_STATES: Final = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED})
_S = OrderState
_ANY = {
    "accepted": _S.ACCEPTED,
    "part": _S.PARTIALLY_FILLED,
    "filled": _S.FILLED,
    "canceled": _S.CANCELED,
    "rejected": _S.REJECTED,
    "unknown": _S.UNKNOWN,
}
TRANSITIONS: Final[dict[tuple[OrderState, str], OrderState]] = {
    **{
        (state, event): after for state in (_S.SENT, _S.ACCEPTED, _S.UNKNOWN) for event, after in _ANY.items()
    },
    (_S.PARTIALLY_FILLED, "accepted"): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, "part"): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, "filled"): _S.FILLED,
    (_S.PARTIALLY_FILLED, "canceled"): _S.CANCELED,
    (_S.PARTIALLY_FILLED, "unknown"): _S.UNKNOWN,
}
_DUST = 1e-12  # relative: far above the rounding of a sum of fills, far below a lot
_EVENTS = {Accepted: "accepted", Canceled: "canceled", Rejected: "rejected", Unknown: "unknown"}


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order and how far it has come.

    Attributes:
        intent: What was asked for.
        state: Where it stands.
        filled_quantity: Base units executed so far.
        cancel_reason: Why it is to be canceled, once that was wished for.
    """

    intent: OrderIntent
    state: OrderState = OrderState.SENT
    filled_quantity: float = 0.0
    cancel_reason: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.state not in FINAL_STATES

    def after(self, report: Accepted | Rejected | Canceled | Unknown | Fill) -> OrderRecord:
        """The record once this report is known.

        Raises:
            EngineProtocolError: The table has no such transition, more was filled than ordered, or a fill that
                is no fill of this order: of the other side, or with a quantity or price that is not positive.
        """
        filled = self.filled_quantity
        if isinstance(report, Fill):
            if report.side is not self.intent.side or not (report.quantity > 0 and report.price > 0):
                raise EngineProtocolError(
                    f"order {self.intent.client_order_id} can't {report.side.value} {report.quantity} at {report.price}"
                )
            filled = round(filled + report.quantity, 12)
            if filled > self.intent.quantity * (1 + _DUST):
                raise EngineProtocolError(
                    f"order {self.intent.client_order_id} filled {filled} of {self.intent.quantity}"
                )
            event = "filled" if filled >= self.intent.quantity * (1 - _DUST) else "part"
        else:
            event = _EVENTS[type(report)]
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            raise EngineProtocolError(
                f"order {self.intent.client_order_id} is {self.state.value}: it can't become {event}"
            )
        return OrderRecord(self.intent, state, filled, self.cancel_reason)


_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def _base36(number: int) -> str:
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = _ALPHABET[rest] + digits
        if not number:
            return digits


@lru_cache(maxsize=4096)
def _symbol_code(symbol: Symbol) -> str:
    """Six characters that stand for a symbol in an order id."""
    digest = hashlib.blake2s(symbol.encode(), digest_size=4).digest()
    return _base36(int.from_bytes(digest)).rjust(7, "0")[-6:]


def client_order_id(run_id: str, symbol: Symbol, closed_at_ms: int, leg: Leg) -> str:
    """The id of an order: a pure function of (run, symbol, closed_at, leg), so a retry is recognised.

    Only ``[a-z0-9]`` and at most 32 characters, which Binance, OKX and Bybit all accept.
    """
    return f"{run_id}{_symbol_code(symbol)}{_base36(closed_at_ms // MINUTE_MS)}{leg.value}"


def protective_id(entry_id: str, leg: Leg, generation: int = 0) -> str:
    """The id of an order that follows from an entry: the entry's id with the last letter changed.

    Args:
        entry_id: The entry.
        leg: What the order is for.
        generation: How many of this kind there were before; appended from the second on.
    """
    return entry_id[:-1] + leg.value + (_base36(generation) if generation else "")
