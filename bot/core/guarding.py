"""Keeps every position protected: carries out what ``bot.core.protection`` plans, and judges how protective orders ended."""

from __future__ import annotations

from typing import Any, Final

from bot.core.execution_rules import ExecutionRules
from bot.core.live_ledger import LiveLedger
from bot.core.live_order import LiveOrder, Phase
from bot.core.market import Symbol
from bot.core.orders import Leg, OrderIntent, OrderType, Protection, Side, client_order_id
from bot.core.position import Position
from bot.core.protection import (
    POSITION_FLAT,
    TWIN_CHECK_MS,
    Guard,
    Plan,
    guard_from_json,
    guard_to_json,
    plan,
)
from bot.core.risk import emergency_exit
from bot.core.venue import VenueStatus

WOULD_TRIGGER: Final = "would_trigger"
"""A gateway's code of a conditional order that was refused since its price is reached already."""

_TRIGGER_CODES = frozenset({WOULD_TRIGGER, "-2021"})
_RETRY_MS = (2000, 5000, 15_000, 30_000)
_MARKET_CAUSES = frozenset({"take_profit", "stop_hit"})


def would_trigger(code: str, reason: str) -> bool:
    """Whether a conditional order was refused since its price is reached already."""
    return (
        code in _TRIGGER_CODES
        or "immediately trigger" in reason.lower()
        or "trigger immediately" in reason.lower()
    )


class Guarding:
    """The guards of all positions.

    Args:
        ledger: Orders and positions.
        rules: Bounds in time.

    Attributes:
        trusted: Whether positions of unknown origin may be closed: only once the exchange showed them too.
        wants_reading: An exit did not do what it should: the exchange may know more than we do.
    """

    def __init__(self, ledger: LiveLedger, rules: ExecutionRules) -> None:
        self._ledger = ledger
        self._rules = rules
        self._guards: dict[Symbol, Guard] = {}
        self._wakes: dict[Symbol, int] = {}
        self.trusted = False
        self.wants_reading = False

    @property
    def is_quiet(self) -> bool:
        """Whether every position is protected."""
        for symbol in self._ledger.positions:
            guard = self._guards.get(symbol)
            if guard is None or (guard.exposed_ms is not None and not guard.too_small):
                return False
        return True

    def unprotected(self) -> dict[Symbol, int]:
        """Since when a position has had no confirmed stop."""
        since = {symbol: guard.exposed_ms for symbol, guard in sorted(self._guards.items())}
        return {
            symbol: ms for symbol, ms in since.items() if ms is not None and symbol in self._ledger.positions
        }

    def wake_ms(self) -> int | None:
        """When to look again if nothing happens."""
        return min(self._wakes.values(), default=None)

    # --- what happened ------------------------------------------------------------------------------------

    def entered(self, order: LiveOrder, now_ms: int) -> None:
        """A trade of an entry was booked."""
        symbol = order.intent.symbol
        guard = self._guards.get(symbol)
        if guard is None or guard.entry.client_order_id != order.id:
            self._guards[symbol] = Guard(order.intent, now_ms)

    def adopted(self, position: Position, protection: Protection | None, now_ms: int) -> None:
        """A position is held that no entry of ours explains."""
        side = Side.BUY if position.quantity > 0 else Side.SELL
        entry = OrderIntent(
            client_order_id=client_order_id("held", position.symbol, position.opened_at_ms, Leg.ENTRY),
            symbol=position.symbol,
            side=side,
            quantity=abs(position.quantity),
            type=OrderType.MARKET,
            leg=Leg.ENTRY,
            decided_at_ms=position.opened_at_ms,
            reason="adopted",
            protection=protection,
        )
        self._guards[position.symbol] = Guard(entry, now_ms)

    def ended(self, order: LiveOrder, now_ms: int) -> None:
        """An order is over: what that means for the position."""
        twin = self._ledger.orders.get(order.twin_id)
        if twin is not None and twin.phase is Phase.OPEN and twin.look_ms is None:
            twin.look_ms = now_ms
        guard = self._guards.get(order.intent.symbol)
        if guard is None or not self._ledger.held(order.intent.symbol):
            return
        if order.is_exit:
            self.wants_reading = True
            if order.id == guard.exit_id:
                wait = _RETRY_MS[min(guard.emergencies - 1, len(_RETRY_MS) - 1)]
                guard.exit_failed(now_ms, wait)
        elif order.cancel_words or order.is_filled:
            return
        elif order.intent.leg is Leg.STOP:
            self._stop_ended(guard, order, now_ms)
        elif order.intent.leg is Leg.TAKE_PROFIT:
            self._target_ended(guard, order, now_ms)

    def _stop_ended(self, guard: Guard, order: LiveOrder, now_ms: int) -> None:
        if would_trigger(order.code, order.words):
            guard.distrust("stop_hit", now_ms)
        elif order.final is None or order.final is VenueStatus.REJECTED:
            guard.distrust("stop_refused", now_ms)
        else:  # perhaps since its target has filled: then nothing is held, once that is known
            targets = [
                one
                for one in self._ledger.live(order.intent.symbol)
                if one.intent.leg is Leg.TAKE_PROFIT and one.phase in {Phase.OPEN, Phase.CLOSING}
            ]
            for target in targets:
                target.look_ms = now_ms if target.phase is Phase.OPEN else None
            guard.distrust(f"stop_{order.final.value}", now_ms + TWIN_CHECK_MS if targets else now_ms)

    def _target_ended(self, guard: Guard, order: LiveOrder, now_ms: int) -> None:
        if would_trigger(order.code, order.words):
            guard.take_profit = True
            return
        guard.target_refused(now_ms)
        self._ledger.alarm(
            "target.refused",
            symbol=order.intent.symbol,
            client_order_id=order.id,
            code=order.code,
            reason=order.words or (order.final.value if order.final else ""),
        )

    # --- what to do ---------------------------------------------------------------------------------------

    def keep_all(self, now_ms: int) -> None:
        """Do what is due for every symbol."""
        self._wakes.clear()
        for symbol in self._ledger.active_symbols():
            self._keep(symbol, now_ms)

    def _keep(self, symbol: Symbol, now_ms: int) -> None:
        position = self._ledger.positions.get(symbol)
        live = self._ledger.live(symbol)
        if position is None:
            self._flat(symbol, live)
            return
        if symbol not in self._guards:
            self.adopted(position, None, now_ms)
        guard = self._guards[symbol]
        made = plan(guard, position, live, self._ledger.instruments[symbol], self._rules, now_ms)
        for order, words in made.cancel:
            order.want_cancel(words)
        self._place(guard, made)
        if made.exit_cause and (self.trusted or guard.entry.protection is not None):
            self._close(guard, position, made.exit_cause, now_ms)
        if made.wake_ms is not None:
            self._wakes[symbol] = made.wake_ms
        self._note_size(guard, made, position)

    def _flat(self, symbol: Symbol, live: list[LiveOrder]) -> None:
        """Nothing is held: nothing needs protection."""
        for order in live:
            if order.is_protective:
                order.want_cancel(POSITION_FLAT)
            elif order.intent.leg is Leg.ENTRY and order.filled > 0:
                order.want_cancel("its position is closed")
        guard = self._guards.get(symbol)
        if guard is None:
            return
        guard.exposed_ms, guard.fault, guard.take_profit = None, "", False
        guard.warned = guard.too_small = False
        if not live:
            del self._guards[symbol]

    def _place(self, guard: Guard, made: Plan) -> None:
        if not made.place:
            return
        orders = [LiveOrder(intent, generation=guard.generation) for intent in made.place]
        guard.generation += 1
        if made.as_pair and len(orders) == 2:
            orders[0].twin_id, orders[1].twin_id = orders[1].id, orders[0].id
        for order in orders:
            self._ledger.orders[order.id] = order

    def _close(self, guard: Guard, position: Position, cause: str, now_ms: int) -> None:
        """Close a position at market; the engine hears of it before it is sent."""
        reason = "take_profit" if cause == "take_profit" else "emergency_exit"
        approved = emergency_exit(guard.entry.client_order_id, position, now_ms, guard.emergencies, reason)
        order = LiveOrder(approved.intent)
        guard.emergencies += 1
        guard.exit_id = order.id
        self._ledger.orders[order.id] = order
        self._ledger.tell_new(order, now_ms)
        expected = cause in _MARKET_CAUSES
        fields: dict[str, Any] = {"symbol": position.symbol, "held": position.quantity, "cause": cause}
        if not expected and not guard.warned:
            guard.warned = True
            self._ledger.alarm("position.unprotected", halt=True, since_ms=guard.exposed_ms, **fields)
        event = "target.hit" if reason == "take_profit" else "position.emergency_exit"
        self._ledger.alarm(event, halt=not expected, client_order_id=order.id, **fields)

    def _note_size(self, guard: Guard, made: Plan, position: Position) -> None:
        if made.too_small and not guard.too_small:
            self._ledger.alarm(
                "position.too_small", halt=True, symbol=position.symbol, held=position.quantity
            )
        guard.too_small = made.too_small

    # --- restarts -----------------------------------------------------------------------------------------

    def snapshot(self) -> list[dict[str, Any]]:
        """The guards as JSON values."""
        return [guard_to_json(guard) for _, guard in sorted(self._guards.items())]

    def restore(self, state: list[dict[str, Any]], now_ms: int) -> None:
        """Take up the guards of a snapshot; what was not protected then has as long as ever, from now on."""
        guards = [guard_from_json(row) for row in state]
        for guard in guards:
            if guard.exposed_ms is not None:
                guard.exposed_ms = now_ms
        self._guards = {guard.entry.symbol: guard for guard in guards}
