"""The risk review: the only door from a wish to an order.

Limits are judged at the close of the candle decided on; a fill at the next open may stand a little beyond them.
Every refusal is a value with a stable reason; nothing over a limit is ever approved.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from bot.core.guards import Guards, entry_room
from bot.core.limits import RiskLimits, Situation
from bot.core.market import DAY_MS, MINUTE_MS, Instrument, InstrumentKind
from bot.core.orders import (
    APPROVAL_SEAL,
    ApprovedOrder,
    Fill,
    Leg,
    OrderIntent,
    OrderType,
    Protection,
    RefusedOrder,
    Side,
    protective_id,
)
from bot.core.position import Position
from bot.core.state import StateEvent, TradingState, next_state
from bot.errors import EngineProtocolError

__all__ = [
    "SPOT_CASH_SHARE",
    "RiskGate",
    "RiskLimits",
    "Situation",
    "StateChange",
    "protective_orders",
]

SPOT_CASH_SHARE = 0.99
"""Share of spot cash that may be committed: the rest covers fees and a fill above the close."""


class StateChange(NamedTuple):
    """The trading state moved."""

    before: TradingState
    after: TradingState
    reason: str
    at_ms: int


class RiskGate:
    """Watches equity, keeps the trading state, and reviews every intent.

    Attributes:
        limits: What must hold.
        state: Whether risk may be taken on.
        reason: Why the state is what it is.
        peak_equity: Highest equity seen since the start or the last resume.
        day_start_equity: Equity at 00:00 UTC.
        size_factor: What the size of entries is multiplied by; 0 opens nothing.
        size_reason: Why it is below 1.
        guards: What is remembered of trades and funding.
    """

    def __init__(self, limits: RiskLimits, starting_equity: float) -> None:
        self.limits = limits
        self.state = TradingState.WARMING_UP
        self.reason = "starting"
        self.peak_equity = starting_equity
        self.day_start_equity = starting_equity
        self.size_factor, self.size_reason = 1.0, ""
        self.guards = Guards(limits)
        self._day = -1
        self._recent: deque[int] = deque()

    @property
    def may_open(self) -> bool:
        """Whether new risk is allowed."""
        return self.state is TradingState.TRADING

    def on_equity(self, equity: float, at_ms: int) -> list[StateChange]:
        """Take note of equity at a candle's close; returns the state changes that follow."""
        changes: list[StateChange] = []
        day = at_ms // DAY_MS
        if day != self._day:
            if self._day >= 0:
                changes += self.on_event(StateEvent.NEW_DAY, at_ms)
            self._day = day
            self.day_start_equity = equity
        if equity >= self.peak_equity:
            self.peak_equity = equity
            return changes
        if equity <= self.peak_equity * (1 - self.limits.max_drawdown_fraction):
            changes += self.on_event(StateEvent.DRAWDOWN, at_ms)
        elif equity <= self.day_start_equity * (1 - self.limits.max_daily_loss_fraction):
            changes += self.on_event(StateEvent.LOSS_LIMIT, at_ms)
        return changes

    def on_equities(self, equities: Sequence[float], at_ms: int) -> list[StateChange]:
        """``on_equity`` for each of some minutes in a row, the first of which closed at ``at_ms``."""
        lowest, peak = min(equities), max(self.peak_equity, max(equities))  # noqa: PLW3301  # twice as fast
        days = (at_ms // DAY_MS, (at_ms + (len(equities) - 1) * MINUTE_MS) // DAY_MS)
        if (
            days == (self._day, self._day)
            and lowest > peak * (1 - self.limits.max_drawdown_fraction)
            and lowest > self.day_start_equity * (1 - self.limits.max_daily_loss_fraction)
        ):  # what is over both limits with the last peak is so with every earlier one
            self.peak_equity = peak
            return []
        changes: list[StateChange] = []
        for place, equity in enumerate(equities):
            changes += self.on_equity(equity, at_ms + place * MINUTE_MS)
        return changes

    def on_event(self, event: StateEvent, at_ms: int, *, equity: float | None = None) -> list[StateChange]:
        """Let an event act on the state.

        A resume that ends something also starts drawdown, daily loss and losing streak over at ``equity``. A person's pause
        while the day's loss reduces makes it the person's: the next day does not end it.
        """
        after = next_state(self.state, event, reason=self.reason)
        if after is self.state:
            if event is StateEvent.PAUSE and after is TradingState.REDUCING:
                self.reason = event.value
            return []
        if event is StateEvent.RESUME and equity is not None:
            self.peak_equity = equity
            self.day_start_equity = equity
            self.guards.start_over()
        change = StateChange(self.state, after, event.value, at_ms)
        self.state, self.reason = after, event.value
        return [change]

    def set_size_factor(self, factor: float, reason: str) -> None:
        """Multiply the size of entries until it is set again, over restarts too; exits are as ever.

        Args:
            factor: 0 (open nothing) to 1.
            reason: A stable word in snake case: why a decision opened nothing.

        Raises:
            EngineProtocolError: It is no factor, or one below 1 without a reason.
        """
        if not 0.0 <= factor <= 1.0 or (factor < 1.0 and not reason):
            raise EngineProtocolError(f"{factor} with reason {reason!r} is no size factor")
        self.size_factor, self.size_reason = float(factor), reason

    def room(self, instrument: Instrument, at: Situation) -> float:
        """Notional that the limits leave for a new entry, quote currency."""
        limits = self.limits
        symbol_limit = limits.max_symbol_notional_fraction * at.equity
        total_limit = limits.max_total_notional_fraction * at.equity
        if limits.max_symbol_notional is not None:
            symbol_limit = min(symbol_limit, limits.max_symbol_notional)
        if limits.max_total_notional is not None:
            total_limit = min(total_limit, limits.max_total_notional)
        room = min(symbol_limit - at.symbol_notional, total_limit - at.total_notional)
        if instrument.kind is InstrumentKind.SPOT:
            room = min(room, at.cash * SPOT_CASH_SHARE - at.pending_notional)
        return max(room, 0.0)

    def entry_room(
        self, instrument: Instrument, at: Situation, side: Side, protection: Protection | None
    ) -> float:
        """Notional that limits and guards leave for a new entry on one side, quote currency."""
        return min(self.room(instrument, at), entry_room(self.limits, at, side, protection))

    def review(
        self, intent: OrderIntent, instrument: Instrument, at: Situation
    ) -> ApprovedOrder | RefusedOrder:
        """Approve an intent or say why not; an approval counts towards the orders of its minute."""
        reason = (
            self._reduction_fault(intent, at)
            if intent.reduce_only
            else self._entry_fault(intent, instrument, at)
        )
        if reason is not None:
            return RefusedOrder(intent, reason)
        self._recent.append(at.closed_at_ms)
        return ApprovedOrder(intent, seal=APPROVAL_SEAL)

    def _reduction_fault(self, intent: OrderIntent, at: Situation) -> str | None:
        """An exit is always allowed as long as it does shrink the position."""
        if at.held == 0.0 or (at.held > 0) == (intent.side is Side.BUY):
            return "nothing_to_reduce"
        if not 0 < intent.quantity <= abs(at.held):
            return "more_than_held"
        return None

    def _entry_fault(self, intent: OrderIntent, instrument: Instrument, at: Situation) -> str | None:
        """The first rule that an entry breaks."""
        if not self.may_open:
            return self.state.value
        if at.equity <= 0:
            return "no_equity"
        if instrument.kind is InstrumentKind.SPOT and intent.side is Side.SELL:
            return "spot_cannot_go_short"
        if intent.protection is None or not _protects(intent.protection):
            return "no_protection"
        # Asked so that a number that is not one (NaN) is refused too.
        if not (intent.quantity > 0 and intent.quantity >= instrument.min_quantity):
            return "below_min_quantity"
        notional = intent.quantity * at.price
        if not notional >= instrument.min_notional:
            return "below_min_notional"
        if not notional <= self.room(instrument, at) * (1 + 1e-12):
            return "over_notional_limit"
        if (reason := self.guards.fault(intent, notional, at)) is not None:
            return reason
        while self._recent and self._recent[0] <= at.closed_at_ms - MINUTE_MS:
            self._recent.popleft()
        if len(self._recent) >= self.limits.max_orders_per_minute:
            return "too_many_orders"
        return None

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values."""
        return {
            "state": self.state.value,
            "reason": self.reason,
            "peak_equity": self.peak_equity,
            "day_start_equity": self.day_start_equity,
            "day": self._day,
            "recent": list(self._recent),
            "size": [self.size_factor, self.size_reason],
            "guards": self.guards.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""
        self.state = TradingState(state["state"])
        self.reason = state["reason"]
        self.peak_equity = state["peak_equity"]
        self.day_start_equity = state["day_start_equity"]
        self._day = state["day"]
        self._recent = deque(state["recent"])
        self.size_factor, self.size_reason = state.get("size", (1.0, ""))  # older journals have none
        self.guards.restore(state.get("guards", {}))  # nor these


def _protects(protection: Protection) -> bool:
    """Whether the stop lies between the fill and nothing, and the target on the other side of the fill."""
    return 0 < protection.stop_loss_fraction < 1 and 0 < protection.take_profit_fraction < math.inf


def protective_orders(
    entry: OrderIntent, fill: Fill, instrument: Instrument, generation: int = 0
) -> tuple[ApprovedOrder, ApprovedOrder]:
    """The stop-loss and take-profit that an entry's fill brings to life, approved since they only reduce.

    The stop is rounded to the tick, so is the target.

    Args:
        entry: With its protection.
        fill: What is held of it: side, quantity and (average) price.
        instrument: For the tick.
        generation: How often the orders were replaced, since more was filled; part of their ids.

    Raises:
        EngineProtocolError: An entry without protection.
    """
    if entry.protection is None:
        raise EngineProtocolError(f"entry {entry.client_order_id} carries no protection")
    sign = fill.side.sign
    levels = (
        (Leg.STOP, OrderType.STOP, -sign * entry.protection.stop_loss_fraction),
        (Leg.TAKE_PROFIT, OrderType.TAKE_PROFIT, sign * entry.protection.take_profit_fraction),
    )
    stop, target = (
        _reduction(entry, fill, leg, kind, instrument.round_price(fill.price * (1 + distance)), generation)
        for leg, kind, distance in levels
    )
    return stop, target


def _reduction(
    entry: OrderIntent, fill: Fill, leg: Leg, kind: OrderType, price: float, generation: int
) -> ApprovedOrder:
    intent = OrderIntent(
        client_order_id=protective_id(entry.client_order_id, leg, generation),
        symbol=entry.symbol,
        side=fill.side.opposite,
        quantity=fill.quantity,
        type=kind,
        leg=leg,
        decided_at_ms=entry.decided_at_ms,
        reason=leg.name.lower(),
        stop_price=price,
        reduce_only=True,
    )
    return ApprovedOrder(intent, seal=APPROVAL_SEAL)


def emergency_exit(
    entry_id: str, position: Position, now_ms: int, attempt: int, reason: str = "emergency_exit"
) -> ApprovedOrder:
    """The market order that closes what is held since its stop can't be relied on; approved since it only reduces.

    Args:
        entry_id: Of the entry that is held; the id is made of it and the attempt.
        position: What is held.
        now_ms: Counts as the time of the decision.
        attempt: How many such orders there were before.
        reason: A stable word in snake case.

    Raises:
        EngineProtocolError: Nothing is held.
    """
    if position.is_flat:
        raise EngineProtocolError(f"nothing is held of {position.symbol}: there is no emergency")
    intent = OrderIntent(
        client_order_id=protective_id(entry_id, Leg.EXIT, attempt + 1),
        symbol=position.symbol,
        side=Side.SELL if position.quantity > 0 else Side.BUY,
        quantity=abs(position.quantity),
        type=OrderType.MARKET,
        leg=Leg.EXIT,
        decided_at_ms=now_ms,
        reason=reason,
        reduce_only=True,
    )
    return ApprovedOrder(intent, seal=APPROVAL_SEAL)
