"""A small exchange for tests of execution, and a rig that drives execution, a real desk and the journal against it.

The exchange is honest and exact; what lies between it and the bot is not: answers are lost, requests come late or never,
the stream repeats, reorders and loses, and the process dies anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.account import Account
from bot.core.desk import Desk
from bot.core.execution import Alarm, ExecutionRules, LiveExecution
from bot.core.market import Instrument, InstrumentKind, Symbol
from bot.core.orders import (
    Accepted,
    ExecutionReport,
    Fill,
    Leg,
    OrderIntent,
    OrderRecord,
    OrderType,
    Side,
)
from bot.core.position import Position
from bot.core.records import order_from_json, order_to_json
from bot.core.venue import (
    CancelOrder,
    CancelRefused,
    CommandFailed,
    FundingSeen,
    LookUpOrder,
    OrderAbsent,
    OrderRefused,
    OrderSeen,
    OrderUncertain,
    PlaceOrder,
    PlacePair,
    ReadState,
    ReadTrades,
    StreamLost,
    StreamRestored,
    TradeSeen,
    VenueCommand,
    VenueEvent,
    VenueState,
    VenueStatus,
)
from bot.core.window import Window
from tests.core_builders import PERPETUAL, Follower, approved, instrument

FEE = 0.0004
START = 1_704_067_200_000
RECV_WINDOW_MS = 5000


@dataclass
class Resting:
    """An order on the exchange."""

    intent: OrderIntent
    number: str
    made_ms: int
    status: VenueStatus = VenueStatus.OPEN
    filled: float = 0.0
    twin: str = ""
    reason: str = ""


@dataclass
class ModelExchange:
    """Orders, trades, positions, money; everything happens at once and is told through ``stream``.

    Attributes:
        now_ms: Its time.
        parts: In how many trades the next market orders execute.
        fill_share: Which part of a market order executes; the rest expires.
        refuse: Refuses what it says a code and a text for.
        hidden_ms: How long an order cannot be looked up after it was made.
        nameless: Trades are told without the client id of their order.
        stream: What the user stream will say.
    """

    instruments: dict[Symbol, Instrument]
    now_ms: int = START
    price: dict[Symbol, float] = field(default_factory=dict)
    parts: int = 1
    fill_share: float = 1.0
    refuse: Callable[[OrderIntent], tuple[str, str] | None] = lambda intent: None
    hidden_ms: int = 0
    nameless: bool = False
    wallet: float = 10_000.0
    positions: dict[Symbol, Position] = field(default_factory=dict)
    orders: dict[str, Resting] = field(default_factory=dict)
    trades: list[TradeSeen] = field(default_factory=list)
    fundings: list[FundingSeen] = field(default_factory=list)
    stream: list[VenueEvent] = field(default_factory=list)
    fees: float = 0.0
    placed: list[str] = field(default_factory=list)

    def held(self, symbol: Symbol) -> float:
        """Signed base units."""
        return self.positions.get(symbol, Position(symbol)).quantity

    # --- requests -----------------------------------------------------------------------------------------

    def place(self, intent: OrderIntent) -> VenueEvent:
        """Take an order in; market orders execute at once."""
        code = self._refusal(intent)
        if code is not None:
            return OrderRefused(intent.client_order_id, intent.symbol, self.now_ms, *code)
        order = self._make(intent)
        if intent.type is OrderType.MARKET:
            self._execute(order, self.price[intent.symbol])
        else:
            self._tell(order)
        return self.seen(order)

    def place_pair(self, stop: OrderIntent, target: OrderIntent) -> list[VenueEvent]:
        """Take both or none."""
        code = self._refusal(stop) or self._refusal(target)
        if code is not None:
            return [
                OrderRefused(one.client_order_id, one.symbol, self.now_ms, *code) for one in (stop, target)
            ]
        first, second = self._make(stop), self._make(target)
        first.twin, second.twin = target.client_order_id, stop.client_order_id
        self._tell(first)
        self._tell(second)
        return [self.seen(first), self.seen(second)]

    def _refusal(self, intent: OrderIntent) -> tuple[str, str] | None:
        code = self.refuse(intent)
        if code is not None:
            return code
        known = self.orders.get(intent.client_order_id)
        if known is not None and known.status is VenueStatus.OPEN:
            return "-4116", "ClientOrderId is duplicated."
        held = self.held(intent.symbol)
        spot = self.instruments[intent.symbol].kind is InstrumentKind.SPOT
        if spot and intent.side is Side.SELL and intent.quantity > held - self._locked(intent.symbol) + 1e-9:
            return "-2010", "Account has insufficient balance for requested action."
        reduces = intent.reduce_only and not spot
        if reduces and intent.type is OrderType.MARKET and held * intent.side.sign >= 0:
            return "-2022", "ReduceOnly Order is rejected."
        if intent.stop_price is not None and self._reached(intent):
            return "-2021", "Order would immediately trigger."
        return None

    def _locked(self, symbol: Symbol) -> float:
        stops = [
            o for o in self.orders.values() if o.status is VenueStatus.OPEN and o.intent.symbol == symbol
        ]
        return sum(o.intent.quantity for o in stops if o.intent.leg is Leg.STOP)

    def _reached(self, intent: OrderIntent) -> bool:
        assert intent.stop_price is not None
        price = self.price[intent.symbol]
        if (intent.side is Side.SELL) == (intent.leg is Leg.STOP):
            return price <= intent.stop_price
        return price >= intent.stop_price

    def _make(self, intent: OrderIntent) -> Resting:
        self.placed.append(intent.client_order_id)
        order = Resting(intent, str(len(self.placed)), self.now_ms)
        self.orders[intent.client_order_id] = order
        return order

    def cancel(self, intent: OrderIntent) -> VenueEvent:
        """Cancel, with its twin."""
        order = self.orders.get(intent.client_order_id)
        if order is None or order.status is not VenueStatus.OPEN:
            text = "Unknown order sent."
            return CancelRefused(intent.client_order_id, intent.symbol, self.now_ms, "-2011", text)
        self.end(order, VenueStatus.CANCELED)
        return self.seen(order)

    def end(self, order: Resting, status: VenueStatus, reason: str = "") -> None:
        """An order is over, and so is its twin."""
        order.status, order.reason = status, reason
        self._tell(order)
        twin = self.orders.get(order.twin)
        if twin is not None and twin.status is VenueStatus.OPEN:
            self.end(twin, VenueStatus.EXPIRED)

    def look_up(self, intent: OrderIntent) -> list[VenueEvent]:
        """By client id."""
        order = self.orders.get(intent.client_order_id)
        if order is None or self.now_ms - order.made_ms < self.hidden_ms:
            return [OrderAbsent(intent.client_order_id, intent.symbol, self.now_ms)]
        return [self.seen(order)]

    def state(self, since_ms: dict[Symbol, int]) -> VenueState:
        """Everything."""
        return VenueState(
            self.now_ms,
            tuple(self.seen(one) for one in self.orders.values() if one.status is VenueStatus.OPEN),
            tuple(t for t in self.trades if t.fill.filled_at_ms >= since_ms.get(t.fill.symbol, 0)),
            tuple(f for f in self.fundings if f.paid_at_ms >= since_ms.get(f.symbol, 0)),
            {name: one.quantity for name, one in self.positions.items() if not one.is_flat},
            self.wallet,
            {name: one.entry_price for name, one in self.positions.items() if not one.is_flat},
        )

    def seen(self, order: Resting) -> OrderSeen:
        """An order as the exchange shows it."""
        intent = order.intent
        return OrderSeen(
            intent.client_order_id,
            intent.symbol,
            self.now_ms,
            order.number,
            order.status,
            order.filled,
            intent.quantity,
            order.reason,
        )

    def _tell(self, order: Resting) -> None:
        self.stream.append(self.seen(order))

    # --- the market ---------------------------------------------------------------------------------------

    def move(self, symbol: Symbol, price: float) -> None:
        """Another price: stops first, then targets."""
        self.price[symbol] = price
        resting = [
            o for o in self.orders.values() if o.intent.symbol == symbol and o.intent.stop_price is not None
        ]
        for order in sorted(resting, key=lambda one: one.intent.leg is not Leg.STOP):
            if order.status is VenueStatus.OPEN and self._reached(order.intent):
                self._execute(order, price)

    def _execute(self, order: Resting, price: float) -> None:
        """Trade in parts; what only reduces no more than is held, the rest expires."""
        intent = order.intent
        quantity = intent.quantity - order.filled
        if intent.reduce_only:
            held = self.held(intent.symbol)
            quantity = min(quantity, abs(held)) if held * intent.side.sign < 0 else 0.0
        elif self.fill_share < 1:
            quantity = self.instruments[intent.symbol].cut_quantity(quantity * self.fill_share)
        lots = self.instruments[intent.symbol].cut_quantity(quantity / self.parts)
        pieces = [lots] * (self.parts - 1) if lots > 0 else []
        pieces.append(round(quantity - sum(pieces), 9))
        for number, piece in enumerate(pieces):
            if piece > 0:
                self.trade(order, piece, round(price * (1 + 1e-4 * number), 4))
        if order.status is VenueStatus.OPEN:
            order.status = (
                VenueStatus.FILLED if order.filled >= intent.quantity - 1e-9 else VenueStatus.EXPIRED
            )
            self._tell(order)
        twin = self.orders.get(order.twin)
        if twin is not None and twin.status is VenueStatus.OPEN:
            self.end(twin, VenueStatus.EXPIRED)

    def trade(self, order: Resting, quantity: float, price: float) -> None:
        """One execution."""
        intent = order.intent
        order.filled = round(order.filled + quantity, 9)
        number = f"{intent.symbol}-{len(self.trades) + 1}"
        fee = quantity * price * FEE
        name = "" if self.nameless else intent.client_order_id
        fill = Fill(number, name, intent.symbol, intent.side, quantity, price, fee, "USDT", self.now_ms)
        self._book(fill)
        self.trades.append(TradeSeen(fill, order.number))
        self.stream.append(self.trades[-1])
        if order.filled >= intent.quantity - 1e-9:
            order.status = VenueStatus.FILLED
        self._tell(order)

    def _book(self, fill: Fill) -> None:
        """An account of its own, so that ours is compared with another hand's."""
        spot = self.instruments[fill.symbol].kind is InstrumentKind.SPOT
        before = self.positions.get(fill.symbol, Position(fill.symbol))
        signed = fill.side.sign * fill.quantity
        after = round(before.quantity + signed, 9)
        entry = before.entry_price
        if spot:
            self.wallet -= signed * fill.price
        elif before.quantity * signed < 0:
            closed = min(abs(signed), abs(before.quantity))
            self.wallet += closed * (fill.price - before.entry_price) * (1 if before.quantity > 0 else -1)
        if before.quantity * signed >= 0:
            entry = (before.entry_price * before.quantity + fill.price * signed) / after
        self.wallet -= fill.fee
        self.fees += fill.fee
        self.positions[fill.symbol] = Position(fill.symbol, after, entry)

    def pay_funding(self, symbol: Symbol, rate: float) -> None:
        """A funding time."""
        paid = self.held(symbol) * self.price[symbol] * rate
        if paid:
            self.wallet -= paid
            self.fundings.append(FundingSeen(f"f{len(self.fundings)}", symbol, paid, self.now_ms))


class Rig:
    """Execution, a real desk and account for each symbol, a journal in memory, and the exchange.

    Attributes:
        sent: Every command that was performed.
        told: Every report that the engine was told.
        alarms: Every alarm.
    """

    def __init__(
        self, symbols: Sequence[Symbol] = (PERPETUAL,), rules: ExecutionRules | None = None, **exchange: Any
    ) -> None:
        self.instruments = {symbol: instrument(symbol) for symbol in symbols}
        self.exchange = ModelExchange(self.instruments, price=dict.fromkeys(symbols, 100.0), **exchange)
        self.rules = rules or ExecutionRules()
        self.sent: list[VenueCommand] = []
        self.told: list[ExecutionReport] = []
        self.alarms: list[Alarm] = []
        self.waiting: list[VenueCommand] = []
        self.late: list[tuple[int, VenueCommand]] = []
        self.stream_up = True
        self.answer: Callable[[VenueCommand], str] = lambda command: "answered"
        self.exposed: dict[Symbol, int] = {}
        self.worst_exposure_ms = 0
        self.account = Account(10_000.0, self.instruments)
        self.desks = self._new_desks()
        self.execution = LiveExecution(self.instruments, self.rules)
        self.journal: str = self._written()
        self.execution.restore(None, [], [], self.now_ms)
        self.turn()

    @property
    def now_ms(self) -> int:
        """Of the exchange, which is the rig's."""
        return self.exchange.now_ms

    def _new_desks(self) -> dict[Symbol, Desk]:
        return {
            symbol: Desk(rules, Follower(symbol), Window(3), rules.kind is not InstrumentKind.SPOT)
            for symbol, rules in self.instruments.items()
        }

    # --- the daemon's part --------------------------------------------------------------------------------

    def submit(self, *intents: OrderIntent) -> None:
        """Orders of the engine: journaled, then given to execution."""
        for intent in intents:
            self.desks[intent.symbol].orders[intent.client_order_id] = OrderRecord(intent)
        self.journal = self._written()
        self.execution.submit([approved(intent) for intent in intents], self.now_ms)
        self.turn()

    def turn(self) -> None:
        """Settle, journal; then what is asked for waits to be performed."""
        while True:
            reports, alarms = self.execution.take_reports(), self.execution.take_alarms()
            commands = self.execution.take_commands()
            if not (reports or alarms or commands):
                return
            self.settle(reports)
            self.alarms += alarms
            self.journal = self._written()
            self.waiting += commands

    def settle(self, reports: Sequence[ExecutionReport]) -> None:
        """Book; an illegal report raises."""
        for report in reports:
            self.desks[report.symbol].book(report, self.account)
        self.told += reports

    def _written(self) -> str:
        """The journal's last snapshot."""
        orders = [order_to_json(record) for desk in self.desks.values() for record in desk.orders.values()]
        state = {
            "orders": orders,
            "account": self.account.snapshot(),
            "execution": self.execution.snapshot(),
        }
        text = json.dumps(state, allow_nan=False)
        assert json.loads(text) == state, "a snapshot is JSON, exactly"
        return text

    def crash(self, performed: int = 0) -> None:
        """The process dies; of the commands that waited the first few had been sent. Another one starts."""
        for command in self.waiting[:performed]:
            self._carry_out(command)
        self.waiting.clear()
        self.exchange.stream.clear()
        self.late = [
            (at_ms, one) for at_ms, one in self.late if isinstance(one, PlaceOrder | PlacePair | CancelOrder)
        ]
        state = json.loads(self.journal)
        self.account = Account(10_000.0, self.instruments)
        self.account.restore(state["account"])
        self.desks = self._new_desks()
        records = [order_from_json(row) for row in state["orders"]]
        for record in records:
            self.desks[record.intent.symbol].orders[record.intent.client_order_id] = record
        self.execution = LiveExecution(self.instruments, self.rules)
        self.execution.restore(state["execution"], records, self.account.positions(), self.now_ms)
        self.stream_up = True
        self.turn()

    # --- the wire -----------------------------------------------------------------------------------------

    def deliver(self, event: VenueEvent) -> None:
        """The exchange says something."""
        self.execution.on_event(event, self.now_ms)
        self.turn()
        self.watch()

    def perform(self) -> None:
        """Send the command that waits longest, and hear its answer, or not."""
        command = self.waiting.pop(0)
        self.sent.append(command)
        how = self.answer(command)
        if isinstance(command, LookUpOrder | ReadTrades | ReadState):
            if how == "answered":
                for event in self._carry_out(command):
                    self.deliver(event)
            else:
                self.deliver(CommandFailed(command, self.now_ms, "no answer"))
            return
        if how == "late":
            self.late.append((self.now_ms + RECV_WINDOW_MS - 500, command))
        events = self._carry_out(command) if how in {"answered", "unheard"} else []
        if how != "answered":
            intents = (command.stop, command.target) if isinstance(command, PlacePair) else (command.intent,)
            events = [
                OrderUncertain(one.client_order_id, one.symbol, self.now_ms, "timed out") for one in intents
            ]
        for event in events:
            self.deliver(event)

    def _carry_out(self, command: VenueCommand) -> list[VenueEvent]:
        exchange = self.exchange
        if isinstance(command, PlaceOrder):
            return [exchange.place(command.intent)]
        if isinstance(command, PlacePair):
            return exchange.place_pair(command.stop, command.target)
        if isinstance(command, CancelOrder):
            return [exchange.cancel(command.intent)]
        if isinstance(command, LookUpOrder):
            return exchange.look_up(command.intent)
        if isinstance(command, ReadTrades):
            return [
                one
                for one in exchange.trades
                if one.fill.symbol == command.symbol and one.fill.filled_at_ms >= command.since_ms
            ]
        return [exchange.state(dict(command.since_ms))]

    def hear(self, index: int = 0, *, keep: bool = False) -> None:
        """One message of the stream arrives; or is lost, where the stream is down."""
        event = self.exchange.stream[index] if keep else self.exchange.stream.pop(index)
        if self.stream_up:
            self.deliver(event)

    def cut(self) -> None:
        """The stream goes down."""
        self.stream_up = False
        self.deliver(StreamLost(self.now_ms, "cut"))

    def mend(self) -> None:
        """It is up again; what was said meanwhile is lost."""
        self.exchange.stream.clear()
        self.stream_up = True
        self.deliver(StreamRestored(self.now_ms))

    def drain(self) -> None:
        """Perform and hear until nothing waits."""
        for _ in range(2000):
            if self.waiting:
                self.perform()
            elif self.exchange.stream:
                self.hear()
            else:
                return
        raise AssertionError("it never comes to rest")

    def pass_time(self, milliseconds: int, *, drained: bool = True) -> None:
        """Time goes by; execution is woken when it asked for it."""
        until = self.now_ms + milliseconds
        for _ in range(5000):
            wake = self.execution.next_wake_ms
            due = [at_ms for at_ms, _ in self.late if at_ms <= until]
            times = [until, *due] + ([max(wake, self.now_ms)] if wake is not None and wake <= until else [])
            self.exchange.now_ms = min(times)
            for entry in [one for one in self.late if one[0] <= self.now_ms]:
                self.late.remove(entry)
                self._carry_out(entry[1])
            self.execution.on_time(self.now_ms)
            self.turn()
            self.watch()
            if drained:
                self.drain()
            if self.now_ms >= until:
                return
        raise AssertionError("it asks to be woken again and again")

    def rest(self, seconds: int = 300) -> None:
        """Let it settle: no more faults; ends when execution is quiet."""
        self.answer = lambda command: "answered"
        if not self.stream_up:
            self.mend()
        for _ in range(seconds):
            self.drain()
            if self.execution.is_quiet and not self.late:
                return
            self.pass_time(1000)
        raise AssertionError(f"never quiet: {self.execution.snapshot()}")

    # --- what must always hold ----------------------------------------------------------------------------

    def watch(self) -> None:
        """Measure how long a position that we know of has neither a stop on the exchange nor an exit on its way."""
        for symbol, desk in self.desks.items():
            held = abs(self.account.position(symbol).quantity)
            leaving = any(record.intent.leg in {Leg.EXIT, Leg.FLATTEN} for record in desk.orders.values())
            stops = [
                one.intent.quantity - one.filled
                for one in self.exchange.orders.values()
                if one.intent.symbol == symbol
                and one.intent.leg is Leg.STOP
                and one.status is VenueStatus.OPEN
            ]
            rules = self.instruments[symbol]
            worth = held * self.account.position(symbol).entry_price
            if rules.kind is InstrumentKind.SPOT and worth < rules.min_notional:
                held = 0.0  # too small for any order: it is told, and nothing can be done
            told = any(record.intent.leg is Leg.STOP for record in desk.orders.values())
            believed = told and symbol not in self.execution.unprotected(self.now_ms)
            if not held or leaving or believed or max(stops, default=0.0) >= held - 1e-9:
                self.exposed.pop(symbol, None)
            else:
                since = self.exposed.setdefault(symbol, self.now_ms)
                self.worst_exposure_ms = max(self.worst_exposure_ms, self.now_ms - since)

    def words(self) -> list[str]:
        """The names of the alarms so far."""
        return [alarm.event for alarm in self.alarms]

    def placed(self, leg: Leg | None = None) -> list[OrderIntent]:
        """Intents that were sent, in order."""
        intents = []
        for command in self.sent:
            if isinstance(command, PlaceOrder):
                intents.append(command.intent)
            elif isinstance(command, PlacePair):
                intents += [command.stop, command.target]
        return [one for one in intents if leg is None or one.leg is leg]

    def reports(self, kind: type[Any]) -> list[Any]:
        """Reports of one kind, in order."""
        return [report for report in self.told if isinstance(report, kind)]

    def born(self) -> list[OrderIntent]:
        """Orders that execution made, as the engine heard of them."""
        return [one.intent for one in self.reports(Accepted) if one.intent is not None]


def agrees(rig: Rig) -> None:
    """The engine's positions, fees and cash are the exchange's, and so are its open orders."""
    for symbol, desk in rig.desks.items():
        ours, theirs = rig.account.position(symbol), rig.exchange.held(symbol)
        assert abs(ours.quantity - theirs) < 1e-9, (symbol, ours, theirs)
        resting = {
            one.intent.client_order_id
            for one in rig.exchange.orders.values()
            if one.status is VenueStatus.OPEN and one.intent.symbol == symbol
        }
        assert set(desk.orders) == resting, symbol
    assert abs(rig.account.fees_paid - rig.exchange.fees) < 1e-6
    assert abs(rig.account.cash - rig.exchange.wallet) < 1e-6
