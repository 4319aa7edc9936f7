"""One symbol's share of the engine: its window, its strategy, its open orders, and how they change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bot.core.account import Account
from bot.core.decision import CancelWish
from bot.core.entry import LIMIT_EXPIRED, fallback_intent
from bot.core.market import Candle, Instrument
from bot.core.orders import (
    EXIT_REASONS,
    Accepted,
    Adopted,
    ExecutionReport,
    Fill,
    Funding,
    Leg,
    OrderIntent,
    OrderRecord,
    OrderState,
    OrderType,
    Protection,
    Side,
    client_order_id,
)
from bot.core.position import Position, Trade
from bot.core.signal import Direction, Signal, Strategy
from bot.core.window import Window
from bot.errors import EngineProtocolError

_UNKNOWN, _MARKET, _LIMIT = OrderState.UNKNOWN, OrderType.MARKET, OrderType.LIMIT  # read on every bar
_BUY, _SELL, _LONG = Side.BUY, Side.SELL, Direction.LONG


@dataclass(slots=True)
class Desk:
    """Where one symbol is traded.

    Attributes:
        instrument: Its rules.
        strategy: Its own instance.
        window: Its lookback.
        can_short: False on spot.
        seen_ms: Open time of its last candle, -1 before the first.
        orders: Those that may still trade, by client id, in the order in which they were made.
    """

    instrument: Instrument
    strategy: Strategy
    window: Window
    can_short: bool
    seen_ms: int = -1
    orders: dict[str, OrderRecord] = field(default_factory=dict)

    def observe(self, candle: Candle) -> None:
        """Take in the next closed candle."""
        if not self.window.push(candle):
            self.strategy.forget()
        self.strategy.observe(candle)
        self.seen_ms = candle.opened_at_ms

    def waiting(self) -> str | None:
        """Why no new order may be sent for this symbol."""
        for record in self.orders.values():
            if record.state is _UNKNOWN:
                return "order_unknown"
            if record.intent.type is _MARKET or record.intent.type is _LIMIT:
                return "order_pending"
        return None

    def cancel_resting(self, at_ms: int, reason: str) -> tuple[CancelWish, ...]:
        """Wish that every entry that rests is canceled, or with ``LIMIT_EXPIRED`` each whose time is over.

        What was wished before is left out, but for an expiry that another reason overtakes: then no market order takes
        the place of the entry.
        """
        expiring = reason == LIMIT_EXPIRED
        wished = (None,) if expiring else (None, LIMIT_EXPIRED)
        resting = [
            record
            for record in self.orders.values()
            if record.intent.type is _LIMIT
            and record.cancel_reason in wished
            and (not expiring or _is_over(record.intent, at_ms))
        ]
        for record in resting:
            self.orders[record.intent.client_order_id] = replace(record, cancel_reason=reason)
        return tuple(
            CancelWish(record.intent.client_order_id, record.intent.symbol, at_ms, reason)
            for record in resting
        )

    def pending_entry_quantity(self) -> float:
        """Base units of entries sent and not yet filled."""
        return sum(
            record.intent.quantity - record.filled_quantity
            for record in self.orders.values()
            if not record.intent.reduce_only
        )

    def book(self, report: ExecutionReport, account: Account) -> Trade | None:
        """Book one report; returns the trade if it completed one.

        Raises:
            EngineProtocolError: An order that is not open, or an illegal transition.
        """
        if isinstance(report, Funding):
            account.apply_funding(report)
            return None
        if isinstance(report, Adopted):
            account.adopt(report)
            return None
        order_id = report.client_order_id
        record = self.orders.get(order_id)
        if record is None:
            if not isinstance(report, Accepted) or report.intent is None:
                raise EngineProtocolError(f"a report of order {order_id}, which is not open")
            held = account.position(report.symbol).quantity
            self.orders[order_id] = self._brought_to_life(report, report.intent, held)
            return None
        after = record.after(report)
        trade = account.apply_fill(report, _exit_reason(record.intent)) if isinstance(report, Fill) else None
        if after.is_open:
            self.orders[order_id] = after
        else:
            del self.orders[order_id]
        return trade

    def _brought_to_life(self, report: Accepted, intent: OrderIntent, held: float) -> OrderRecord:
        """The record of an order that no review has seen.

        A protective order must shrink what is held; any other must be what a resting entry falls back to.
        """
        order_id = report.client_order_id
        named = (intent.client_order_id, intent.symbol) == (order_id, report.symbol)
        if intent.reduce_only:
            if not named or held * intent.side.sign >= 0:
                raise EngineProtocolError(f"order {order_id} protects nothing that is held")
        elif not named or not any(_falls_back_to(record, intent) for record in self.orders.values()):
            raise EngineProtocolError(f"order {order_id} takes the place of no entry that rests")
        return OrderRecord(intent, OrderState.ACCEPTED)

    def exit_intent(
        self, run_id: str, position: Position, closed_at_ms: int, leg: Leg, reason: str
    ) -> OrderIntent:
        """The wish to close what is held, at market."""
        symbol = self.instrument.symbol
        return OrderIntent(
            client_order_id=client_order_id(run_id, symbol, closed_at_ms, leg),
            symbol=symbol,
            side=Side.SELL if position.quantity > 0 else Side.BUY,
            quantity=abs(position.quantity),
            type=OrderType.MARKET,
            leg=leg,
            decided_at_ms=closed_at_ms,
            reason=reason,
            reduce_only=True,
        )

    def entry_intent(self, run_id: str, closed_at_ms: int, signal: Signal, quantity: float) -> OrderIntent:
        """The wish to take a position, at market, with the signal's protection or the strategy's."""
        symbol = self.instrument.symbol
        return OrderIntent(
            client_order_id=client_order_id(run_id, symbol, closed_at_ms, Leg.ENTRY),
            symbol=symbol,
            side=entry_side(signal),
            quantity=quantity,
            type=OrderType.MARKET,
            leg=Leg.ENTRY,
            decided_at_ms=closed_at_ms,
            reason=signal.reason,
            protection=self.protection_of(signal),
        )

    def protection_of(self, signal: Signal) -> Protection:
        """Where the protective orders of an entry go: where the signal says, else where the strategy does."""
        return signal.protection or self.strategy.protection


def entry_side(signal: Signal) -> Side:
    """Which side takes the position that a signal wants."""
    return _BUY if signal.direction is _LONG else _SELL


def _is_over(intent: OrderIntent, at_ms: int) -> bool:
    """Whether a limit order has waited long enough."""
    return intent.expires_at_ms is not None and at_ms >= intent.expires_at_ms


def _falls_back_to(record: OrderRecord, intent: OrderIntent) -> bool:
    """Whether an entry that rests, and has not traded, may be replaced by this order."""
    return (
        record.intent.taker_fallback
        and record.filled_quantity == 0.0
        and fallback_intent(record.intent, intent.decided_at_ms) == intent
    )


def _exit_reason(intent: OrderIntent) -> str:
    """The word in a trade's exit_reason: of a protective order its kind, else the signal's reason."""
    return EXIT_REASONS.get(intent.leg, intent.reason)
