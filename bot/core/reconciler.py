"""Carries out a reconciliation: books what the exchange shows, and settles or tells what differs."""

from __future__ import annotations

from typing import Any

from bot.core.execution_rules import ExecutionRules
from bot.core.guarding import Guarding
from bot.core.live_answers import Answers
from bot.core.live_ledger import LiveLedger
from bot.core.live_requests import Requests
from bot.core.market import Symbol
from bot.core.orders import Leg, OrderIntent, OrderType, Side
from bot.core.reconciliation import (
    WALLET,
    Difference,
    Schedule,
    differences,
    missing,
    schedule_from_json,
    schedule_to_json,
    strangers,
    unsettled,
    wallet_difference,
)
from bot.core.venue import CancelOrder, CancelRefused, OrderSeen, ReadState, VenueState

_KEEP_FACTOR = 2
_STRAY_TYPES = (OrderType.MARKET, OrderType.STOP)


class Reconciler:
    """Reads the exchange's state when it is time, and compares.

    Args:
        ledger: Ours.
        answers: Takes in how orders stand.
        requests: Where requests go out.
        guarding: What protects an adopted position.
        rules: Bounds, and what becomes of strangers.
    """

    def __init__(
        self,
        ledger: LiveLedger,
        answers: Answers,
        requests: Requests,
        guarding: Guarding,
        rules: ExecutionRules,
    ) -> None:
        self._ledger = ledger
        self._answers = answers
        self._requests = requests
        self._guarding = guarding
        self._rules = rules
        self.schedule = Schedule()
        self._strays: dict[str, int] = {}
        self._last: dict[str, Any] | None = None

    # --- when ---------------------------------------------------------------------------------------------

    def work(self, now_ms: int) -> None:
        """Ask for a reading when it is due; by itself only when nothing is on its way."""
        schedule = self.schedule
        if schedule.asked_ms is not None:
            if now_ms - schedule.asked_ms < self._rules.answer_seconds * 1000:
                return
            schedule.failed(now_ms, 0)
        if now_ms < schedule.due_ms:
            return
        schedule.ask(now_ms, self._ledger.bookings)
        self._requests.commands.append(ReadState(dict(self._ledger.floors)))

    def wake_ms(self) -> int:
        """When the next reading is due."""
        schedule = self.schedule
        if schedule.asked_ms is not None:
            return schedule.asked_ms + int(self._rules.answer_seconds * 1000)
        return schedule.due_ms

    def failed(self, now_ms: int) -> None:
        """A reading had no answer."""
        self.schedule.failed(now_ms, self._rules.backoff_ms(self.schedule.failures))

    # --- what it shows ------------------------------------------------------------------------------------

    def book(self, state: VenueState, now_ms: int) -> None:
        """First half: trades, fundings, and how open orders stand."""
        for trade in state.trades:
            order = self._ledger.on_trade(trade, now_ms)
            if order is not None and order.intent.leg is Leg.ENTRY:
                self._guarding.entered(order, now_ms)
        for funding in state.fundings:
            self._ledger.on_funding(funding)
        foreign = strangers(self._ledger, state)
        for seen in state.orders:
            if seen in foreign:
                self.on_stranger(seen)
            elif not self._is_back(seen, now_ms):
                self._answers.on_seen(seen, now_ms)

    def _is_back(self, seen: OrderSeen, now_ms: int) -> bool:
        """Whether an open order was over before this reading was asked for: a request that arrived very late."""
        order = self._ledger.find(seen.symbol, seen.client_order_id, seen.exchange_id)
        asked_ms = self.schedule.asked_ms
        if order is None or order.is_live or asked_ms is None or order.done_ms >= asked_ms:
            return False
        if seen.status.is_final or order.is_filled:
            return False
        self._answers.revive(order, seen, now_ms, halt=not order.intent.reduce_only)
        return True

    def judge(self, state: VenueState, now_ms: int) -> None:
        """Second half, once what was booked is settled: look for what is missing or differs."""
        schedule, ledger = self.schedule, self._ledger
        asked_ms = now_ms if schedule.asked_ms is None else schedule.asked_ms
        moved = schedule.asked_bookings != ledger.bookings
        for order in missing(ledger, state, asked_ms):
            order.look_ms = now_ms
        busy = unsettled(ledger)
        held = {symbol: position.quantity for symbol, position in ledger.positions.items()}
        found = {one.name: one for one in differences(held, state, ledger.instruments, busy)}
        for difference in found.values():
            if schedule.confirmed(difference, ledger.bookings):
                self._differs(difference, state, now_ms)
        for symbol in ledger.instruments:
            if symbol not in found and symbol not in busy:
                schedule.agree(symbol)
                floor_ms = state.at_ms - self._rules.trade_overlap_ms
                ledger.settle_floor(symbol, floor_ms, now_ms, _KEEP_FACTOR * self._rules.trade_overlap_ms)
        if not busy and not ledger.has_orphans:
            self._guarding.trusted = self._guarding.trusted or not found
            self._compare_wallet(state, clean=not found and not moved)
        outcome = "differs" if found else "unsettled" if busy else "agreed"
        self._last = {"at_ms": state.at_ms, "outcome": outcome, "symbols": sorted(found or busy)}
        for name in [name for name in schedule.suspicions if name in busy]:
            schedule.suspicions.pop(name)
        schedule.done(now_ms, self._rules)

    def _compare_wallet(self, state: VenueState, *, clean: bool) -> None:
        ours = self._ledger.wallet
        if ours is None:
            if clean:
                self._ledger.wallet = state.wallet
            return
        difference = wallet_difference(ours, state, self._rules.wallet_tolerance)
        if difference is None:
            self.schedule.agree(WALLET)
        elif self.schedule.confirmed(difference, self._ledger.bookings):
            self._ledger.alarm(
                "reconciliation.wallet", ours=ours, theirs=state.wallet, difference=state.wallet - ours
            )
            self._ledger.wallet = state.wallet
            self.schedule.agree(WALLET)

    def _differs(self, difference: Difference, state: VenueState, now_ms: int) -> None:
        """A position differs, seen twice."""
        symbol, price = difference.name, state.entry_prices.get(difference.name, 0.0)
        fields: dict[str, Any] = {"symbol": symbol, "ours": difference.ours, "theirs": difference.theirs}
        if difference.ours != 0.0:
            self._ledger.alarm("reconciliation.difference", halt=True, **fields)
        elif self._rules.stray_positions == "adopt" and self._can_adopt(symbol, difference.theirs, price):
            self._ledger.alarm("account.position_adopted", price=price, **fields)
            self._ledger.adopt(symbol, difference.theirs, price, state.at_ms)
            position = self._ledger.positions[symbol]
            self._guarding.adopted(position, self._rules.adopted_protection, now_ms)
            self.schedule.agree(symbol)
        else:
            self._ledger.alarm("account.foreign_position", halt=True, **fields)

    def _can_adopt(self, symbol: Symbol, quantity: float, price: float) -> bool:
        rules = self._ledger.instruments.get(symbol)
        if rules is None or not price > 0:
            return False
        return quantity > 0 or ":" in symbol

    # --- strangers' orders --------------------------------------------------------------------------------

    def on_stranger(self, seen: OrderSeen) -> None:
        """An open order that is none of ours: told once, and canceled where that is the rule."""
        if seen.status.is_final or seen.client_order_id in self._strays:
            return
        self._strays[seen.client_order_id] = 0
        cancel = self._rules.stray_orders == "cancel"
        self._ledger.alarm(
            "account.foreign_order",
            halt=True,
            symbol=seen.symbol,
            client_order_id=seen.client_order_id,
            exchange_id=seen.exchange_id,
            quantity=seen.quantity,
            then="canceled" if cancel else "left alone",
        )
        if cancel:
            self._cancel_stray(seen)

    def _cancel_stray(self, seen: OrderSeen | CancelRefused) -> None:
        """Ask for it as a plain order first, then as a conditional one: the exchange keeps them in two books."""
        tried = self._strays[seen.client_order_id]
        if tried >= len(_STRAY_TYPES):
            return
        self._strays[seen.client_order_id] = tried + 1
        intent = OrderIntent(
            client_order_id=seen.client_order_id,
            symbol=seen.symbol,
            side=Side.SELL,
            quantity=max(seen.quantity, 1e-12) if isinstance(seen, OrderSeen) else 1e-12,
            type=_STRAY_TYPES[tried],
            leg=Leg.EXIT,
            decided_at_ms=seen.at_ms,
            reason="foreign_order",
        )
        self._requests.commands.append(CancelOrder(intent))

    def on_cancel_refused(self, refused: CancelRefused) -> bool:
        """The answer to a stranger's cancel; False where it is no stranger's."""
        if refused.client_order_id not in self._strays:
            return False
        self._cancel_stray(refused)
        return True

    # --- restarts -----------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values; ``last`` is only for whoever looks: when, and what came of it."""
        return {**schedule_to_json(self.schedule), "strays": dict(self._strays), "last": self._last}

    def restore(self, state: dict[str, Any], now_ms: int) -> None:
        """Take up a snapshot; a reading is due at once."""
        self.schedule = schedule_from_json(state)
        self.schedule.due_ms = now_ms
        self._strays = dict(state["strays"])
        self._last = state.get("last")
