"""Live execution: what orders become on an exchange that may answer late, twice, wrongly or not at all.

Pure: events and the time come in, commands, reports for the engine and alarms come out. It never waits; everything that
was said is taken note of, then the same questions are asked each time: which orders are over, what must protect each
position, which request does each order need next, is it time to compare everything with the exchange?

==================  ======================================================================================
module              holds
==================  ======================================================================================
``live_order``      one order's life, as a table
``live_ledger``     orders, trades, positions; what the engine is told
``live_answers``    what the exchange's words mean for an order
``live_requests``   which request an order needs next
``live_endings``    how an order ends, and what takes its place
``protection``      what must protect a position
``guarding``        doing that
``reconciliation``  the exchange against the ledger: differences, and when to look
``reconciler``      doing that
==================  ======================================================================================

``now_ms`` is a clock that goes on steadily; times within events are the exchange's. The two are never compared, except
for an entry's age and expiry, which count from the later one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from bot.core.decision import CancelWish
from bot.core.execution_rules import Alarm, ExecutionRules
from bot.core.guarding import Guarding
from bot.core.live_answers import Answers
from bot.core.live_endings import Endings
from bot.core.live_ledger import LiveLedger
from bot.core.live_order import Asked, LiveOrder, Phase
from bot.core.live_requests import Requests
from bot.core.market import Instrument, Symbol
from bot.core.orders import ApprovedOrder, ExecutionReport, Leg, OrderRecord
from bot.core.position import Position
from bot.core.reconciler import Reconciler
from bot.core.venue import (
    CancelRefused,
    CommandFailed,
    FundingSeen,
    OrderAbsent,
    OrderRefused,
    OrderSeen,
    OrderUncertain,
    ReadState,
    StreamLost,
    StreamRestored,
    TradeSeen,
    VenueCommand,
    VenueEvent,
    VenueState,
)

__all__ = ["Alarm", "ExecutionRules", "LiveExecution"]

OrderEvent: TypeAlias = (
    OrderSeen | OrderRefused | OrderUncertain | OrderAbsent | CancelRefused | CommandFailed
)

_ROUNDS = 8  # each lets an order go that had waited for another; more than any chain of ours is long


class LiveExecution:
    """Orders on an exchange, from approval to the last trade.

    Args:
        instruments: The rules of each symbol that is traded.
        rules: Bounds in time, and what becomes of strangers.
    """

    def __init__(self, instruments: Mapping[Symbol, Instrument], rules: ExecutionRules | None = None) -> None:
        self.rules = rules or ExecutionRules()
        self._ledger = LiveLedger(instruments)
        self._endings = Endings(self._ledger)
        self._answers = Answers(self._ledger, self._endings, self.rules)
        self._requests = Requests(self._ledger, self._answers, self._endings, self.rules)
        self._guarding = Guarding(self._ledger, self.rules)
        self._reconciler = Reconciler(self._ledger, self._answers, self._requests, self._guarding, self.rules)
        self._exchange_ms = 0

    # --- in -----------------------------------------------------------------------------------------------

    def submit(self, orders: Sequence[ApprovedOrder], now_ms: int) -> None:
        """Take in new orders of the engine, which the journal has."""
        for approved in orders:
            intent = approved.intent
            self._note_time(intent.decided_at_ms)
            self._ledger.orders[intent.client_order_id] = LiveOrder(intent, OrderRecord(intent))
        self._pump(now_ms)

    def cancel(self, wishes: Sequence[CancelWish], now_ms: int) -> None:
        """Cancel entries that rest; one that is over stays as it is."""
        for wish in wishes:
            order = self._ledger.orders.get(wish.client_order_id)
            if order is not None and order.is_live:
                order.want_cancel(wish.reason)
        self._pump(now_ms)

    def request_state(self, now_ms: int) -> None:
        """Have everything compared with the exchange now."""
        self._reconciler.schedule.want(now_ms)
        self._pump(now_ms)

    def note_market_time(self, at_ms: int, now_ms: int) -> None:
        """The exchange's time was seen elsewhere: limit orders expire by it."""
        self._note_time(at_ms)
        self._pump(now_ms)

    def on_time(self, now_ms: int) -> None:
        """Do what is due."""
        self._pump(now_ms)

    def on_event(self, event: VenueEvent, now_ms: int) -> None:
        """Take in what the exchange says."""
        self._take_in(event, now_ms)
        self._pump(now_ms)
        if isinstance(event, VenueState):
            self._reconciler.judge(event, now_ms)
            self._pump(now_ms)

    def _take_in(self, event: VenueEvent, now_ms: int) -> None:
        reconciler = self._reconciler
        self._note_time(_time_of(event))
        match event:
            case TradeSeen():
                self._entered(self._ledger.on_trade(event, now_ms), now_ms)
            case FundingSeen():
                self._ledger.on_funding(event)
            case VenueState():
                reconciler.book(event, now_ms)
            case CommandFailed(command=ReadState()):
                reconciler.failed(now_ms)
            case StreamLost():
                reconciler.schedule.stream_is_up = False
                reconciler.schedule.want(now_ms, int(self.rules.blind_reconcile_seconds * 1000))
            case StreamRestored():
                reconciler.schedule.stream_is_up = True
                reconciler.schedule.want(now_ms)
            case _:
                self._hear(event, now_ms)

    def _hear(self, event: OrderEvent, now_ms: int) -> None:
        """What is said of one order."""
        answers, reconciler = self._answers, self._reconciler
        match event:
            case OrderSeen():
                if not answers.on_seen(event, now_ms):
                    reconciler.on_stranger(event)
            case OrderRefused():
                answers.on_refused(event, now_ms)
            case OrderUncertain():
                answers.on_uncertain(event, now_ms)
            case OrderAbsent():
                answers.on_absent(event, now_ms)
            case CancelRefused():
                if not reconciler.on_cancel_refused(event):
                    answers.on_cancel_refused(event, now_ms)
            case CommandFailed():
                answers.on_failed(event.command, event.reason, event.at_ms, now_ms)

    def _entered(self, order: LiveOrder | None, now_ms: int) -> None:
        if order is not None and order.intent.leg is Leg.ENTRY:
            self._guarding.entered(order, now_ms)

    def _note_time(self, at_ms: int) -> None:
        self._exchange_ms = max(self._exchange_ms, at_ms)

    def _pump(self, now_ms: int) -> None:
        """Ask the same questions until no answer changes anything."""
        guarding = self._guarding
        exchange_ms = self._exchange_ms or now_ms
        for _ in range(_ROUNDS):
            self._settle_trades(now_ms)
            self._endings.finish(exchange_ms, now_ms)
            for order in self._endings.take():
                guarding.ended(order, now_ms)
            guarding.keep_all(now_ms)
            if not self._requests.work(exchange_ms, now_ms):
                break
        if guarding.wants_reading:
            guarding.wants_reading = False
            self._reconciler.schedule.want(now_ms)
        self._reconciler.work(now_ms)

    def _settle_trades(self, now_ms: int) -> None:
        for order in self._ledger.claim_orphans(now_ms):
            self._entered(order, now_ms)

    # --- out ----------------------------------------------------------------------------------------------

    def take_reports(self) -> list[ExecutionReport]:
        """Reports for the engine since this was last called, in order."""
        reports, self._ledger.reports = self._ledger.reports, []
        return reports

    def take_commands(self) -> list[VenueCommand]:
        """What is to be performed, once the journal has the snapshot."""
        commands, self._requests.commands = self._requests.commands, []
        return commands

    def take_alarms(self) -> list[Alarm]:
        """What a person must read, since this was last called."""
        alarms, self._ledger.alarms = self._ledger.alarms, []
        return alarms

    @property
    def next_wake_ms(self) -> int | None:
        """When ``on_time`` has something to do, if nothing else happens."""
        times = (self._requests.wake_ms(), self._guarding.wake_ms(), self._reconciler.wake_ms())
        return min((at_ms for at_ms in times if at_ms is not None), default=None)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is in flight, uncertain or being looked up, and every position is protected."""
        return (
            not self._requests.is_reading
            and not self._ledger.has_orphans
            and all(order.is_settled for order in self._ledger.orders.values())
            and self._guarding.is_quiet
            and self._reconciler.schedule.is_idle
        )

    def unprotected(self, now_ms: int) -> dict[Symbol, int]:
        """Since when (execution's time, not after ``now_ms``) a position has had no confirmed stop."""
        return {symbol: min(since, now_ms) for symbol, since in self._guarding.unprotected().items()}

    # --- restarts -----------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values; reports and alarms not taken yet are part of it, commands are not."""
        return {
            "ledger": self._ledger.snapshot(),
            "guards": self._guarding.snapshot(),
            "reconciler": self._reconciler.snapshot(),
            "exchange_ms": self._exchange_ms,
        }

    def restore(
        self,
        state: Mapping[str, Any] | None,
        open_orders: Sequence[OrderRecord],
        positions: Sequence[Position],
        now_ms: int,
    ) -> None:
        """Take up where the journal ends; every order that may have been sent is uncertain until it was looked up.

        Args:
            state: What ``snapshot`` gave; None where there is none.
            open_orders: The engine's orders that may still trade.
            positions: What the engine holds.
            now_ms: Execution's time.
        """
        if state:
            self._ledger.restore(state["ledger"])
            self._guarding.restore(state["guards"], now_ms)
            self._reconciler.restore(state["reconciler"], now_ms)
            self._exchange_ms = state["exchange_ms"]
        self._reconciler.schedule.due_ms = now_ms
        self._agree_with_engine(open_orders, positions)
        for order in self._ledger.orders.values():
            self._doubt(order, now_ms)
        oldest = min((record.intent.decided_at_ms for record in open_orders), default=now_ms)
        for symbol in self._ledger.instruments:
            self._ledger.floors.setdefault(symbol, min(oldest, now_ms) - self.rules.trade_overlap_ms)
        self._pump(now_ms)

    def _agree_with_engine(self, open_orders: Sequence[OrderRecord], positions: Sequence[Position]) -> None:
        """The engine's word counts for what it knows, unless there are reports that it has not heard yet."""
        ledger = self._ledger
        known = {record.intent.client_order_id: record for record in open_orders}
        for name, record in known.items():
            order = ledger.orders.get(name)
            if order is None:
                order = LiveOrder(record.intent, record, Phase.SENT, filled=record.filled_quantity)
                ledger.orders[name] = order
            if record.cancel_reason is not None:
                order.want_cancel(record.cancel_reason)
        if ledger.reports:
            return
        for name, order in ledger.orders.items():
            if name in known:
                order.record, order.filled = known[name], known[name].filled_quantity
            elif order.record is not None and order.record.is_open:
                order.record = None
                order.want_cancel("the engine does not know it")
        ledger.positions = {position.symbol: position for position in positions if not position.is_flat}

    def _doubt(self, order: LiveOrder, now_ms: int) -> None:
        """What was in flight when the last run ended may have arrived or not."""
        sent = order.phase is Phase.SENT
        order.asked, order.asked_ms, order.read_back = Asked.NOTHING, now_ms, 0
        if sent or order.phase is Phase.UNCERTAIN:
            order.phase = Phase.UNCERTAIN
            order.never_sure = order.never_sure or sent
            order.doubt(now_ms, self.rules.lookup_ms, 0)
        elif order.phase is Phase.OPEN:
            order.believe()
            order.look_ms = now_ms


def _time_of(event: VenueEvent) -> int:
    if isinstance(event, TradeSeen):
        return event.fill.filled_at_ms
    if isinstance(event, FundingSeen):
        return event.paid_at_ms
    return event.at_ms
