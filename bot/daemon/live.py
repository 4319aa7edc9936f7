"""Orders that go to an exchange: execution decides, the journal is written, and only then is anything sent.

Each thing that the exchange says, and each moment that execution waits for, is one turn: what it means for the engine is
settled and journaled together with execution's own state, then what it asks for is sent. What is asked for by the
engine's decisions was journaled with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bot.core.decision import CancelWish
from bot.core.execution import LiveExecution
from bot.core.execution_rules import Alarm
from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.orders import ApprovedOrder, ExecutionReport, OrderRecord
from bot.core.position import Position
from bot.core.state import StateEvent
from bot.core.venue import CancelOrder, PlaceOrder, PlacePair, VenueCommand, VenueEvent
from bot.daemon.batching import Batch
from bot.daemon.telling import Teller
from bot.errors import EngineProtocolError
from bot.ports import OrderGateway

HOUR_MS = 60 * MINUTE_MS
FUNDING_SECONDS = 5.0
"""How long the minute of a funding time waits for what was paid."""


class Host(Protocol):
    """The part of the trading loop that settles."""

    def settle(self, reports: Sequence[ExecutionReport], approved: Sequence[ApprovedOrder] = ()) -> None:
        """Book and journal."""

    def act(self, event: StateEvent | None = None, *, flatten: bool = False) -> None:
        """Carry out a command."""


def steady(exchange_ms: int, monotonic_ns: Callable[[], int]) -> Callable[[], int]:
    """The exchange's time now, going on at the pace of this machine: a simulated market may stand or jump."""
    anchor_ns = monotonic_ns()
    return lambda: exchange_ms + (monotonic_ns() - anchor_ns) // 1_000_000


class LiveBroker:
    """Adapter of the Broker port over execution and a gateway.

    Args:
        execution: The pure part.
        gateway: The way to the exchange.
        now_ms: Time as execution counts it, see ``steady``.
        teller: Tells alarms.
    """

    def __init__(
        self, execution: LiveExecution, gateway: OrderGateway, now_ms: Callable[[], int], teller: Teller
    ) -> None:
        self.execution = execution
        self._gateway = gateway
        self._now_ms = now_ms
        self._teller = teller
        self._host: Host | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._broken: asyncio.Future[None] | None = None
        self._turning = False
        self._journaled: set[str] = set()

    def attach(self, host: Host) -> None:
        """Say who settles; before anything else."""
        self._host = host

    # --- the Broker port ----------------------------------------------------------------------------------

    def submit(self, orders: Sequence[ApprovedOrder]) -> None:
        """Send orders that the journal has."""
        if not orders:
            return
        self._journaled = {order.intent.client_order_id for order in orders}
        self.execution.submit(orders, self._now_ms())
        self._turn()
        self._journaled = set()

    def on_candles(self, candles: Sequence[Candle]) -> list[ExecutionReport]:  # noqa: ARG002 - the exchange fills
        """Nothing: what the exchange did was settled when it said so."""
        return []

    def snapshot(self) -> dict[str, Any]:
        """Execution's state."""
        return self.execution.snapshot()

    def warm(self, candles: Sequence[Candle]) -> None:
        """Nothing: what a fill costs is the exchange's business."""

    def recover(
        self,
        orders: Sequence[OrderRecord],
        positions: Sequence[Position],
        seen_ms: Mapping[Symbol, int],  # noqa: ARG002 - the exchange knows what it has filled
        state: Mapping[str, Any],
    ) -> None:
        """Take up execution's state; ``serve`` then finds out what happened meanwhile."""
        self.execution.restore(dict(state) or None, orders, positions, self._now_ms())

    def cancel(self, wishes: Sequence[CancelWish]) -> None:
        """Cancel entries that rest; the journal has the wishes."""
        if wishes:
            self.execution.cancel(wishes, self._now_ms())
            self._turn()

    def ask(self) -> None:
        """Have everything compared with the exchange now."""
        self.execution.request_state(self._now_ms())
        self._turn()

    def note_market_time(self, at_ms: int) -> None:
        """The exchange's time was seen: limit orders expire by it."""
        self.execution.note_market_time(at_ms, self._now_ms())
        self._turn()

    # --- turns --------------------------------------------------------------------------------------------

    def deliver(self, event: VenueEvent) -> None:
        """Take in what the exchange says."""
        self.execution.on_event(event, self._now_ms())
        self._turn()

    def _turn(self) -> None:
        """Tell, settle, journal, then send; until there is nothing more."""
        if self._turning:  # a command of ours within the turn: its outcome is taken up by the turn
            return
        host = self._host
        if host is None:
            raise EngineProtocolError("a live broker that is attached to nothing")
        self._turning = True
        try:
            while self._step(host):
                pass
        finally:
            self._turning = False
        self._changed.set()

    def _step(self, host: Host) -> bool:
        execution = self.execution
        alarms, reports = execution.take_alarms(), execution.take_reports()
        commands = execution.take_commands()
        if reports or any(self._must_be_journaled(command) for command in commands):
            host.settle(reports)
        for alarm in alarms:
            self._sound(host, alarm)
        for command in commands:
            self._start(command)
        return bool(alarms or reports or commands)

    def _must_be_journaled(self, command: VenueCommand) -> bool:
        if isinstance(command, PlaceOrder):
            return command.intent.client_order_id not in self._journaled
        return isinstance(command, PlacePair | CancelOrder)

    def _sound(self, host: Host, alarm: Alarm) -> None:
        self._teller.warn(alarm.event, **alarm.fields)
        if alarm.halt:
            host.act(StateEvent.RECONCILIATION)

    def _start(self, command: VenueCommand) -> None:
        task = asyncio.get_running_loop().create_task(self._perform(command), name="venue")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _perform(self, command: VenueCommand) -> None:
        for event in await self._gateway.perform(command):
            self.deliver(event)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._broken is not None and not self._broken.done():
            self._broken.set_exception(error)

    # --- beside the loop ----------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Follow the user stream and the time, until cancelled; what goes wrong within our own code is raised."""
        self._broken = asyncio.get_running_loop().create_future()
        watching = asyncio.ensure_future(self._gateway.watch(self.deliver))
        timing = asyncio.ensure_future(self._keep_time())
        tasks: list[asyncio.Future[Any]] = [watching, timing, self._broken]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, *self._tasks):
                task.cancel()
            results = await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _keep_time(self) -> None:
        """Wake execution when it waits for a moment."""
        while True:
            self._changed.clear()
            wake_ms = self.execution.next_wake_ms
            seconds = None if wake_ms is None else max(wake_ms - self._now_ms(), 0) / 1000
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                self.execution.on_time(self._now_ms())
                self._turn()
            await asyncio.sleep(0)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way to the exchange or unknown of it."""
        return not self._tasks and self.execution.is_quiet

    async def quiet(self, seconds: float) -> bool:
        """Wait until nothing is on its way or unknown, at most so long; False if something still is."""
        try:
            async with asyncio.timeout(seconds):
                while not self.is_quiet:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


class LiveMinute:
    """What comes before and after each minute's decision where orders go to an exchange.

    Args:
        broker: Whose orders.
        is_held: Tells whether a position in a symbol is open.
        checked_ms: Open time of the last candle before this run.
        settle_wait_seconds: How long a decision waits for orders in flight: it is better made on what is known.
    """

    def __init__(
        self,
        broker: LiveBroker,
        is_held: Callable[[Symbol], bool],
        checked_ms: int,
        settle_wait_seconds: float,
    ) -> None:
        self._broker = broker
        self._is_held = is_held
        self._checked_ms = checked_ms
        self._settle_wait_seconds = settle_wait_seconds
        self._was_held = False

    async def before_batch(self, batch: Batch) -> None:
        """Let orders in flight come down; about a full hour with a position held, read what funding was paid.

        Twice: what is booked at the hour itself belongs before this minute's exits, and an exchange that takes a moment
        has booked it a minute later, for a position that may be closed by then.
        """
        closed_ms = batch.opened_at_ms + MINUTE_MS
        self._broker.note_market_time(closed_ms)
        await self._broker.quiet(self._settle_wait_seconds)
        since_ms, self._checked_ms = self._checked_ms, batch.opened_at_ms
        held = any(self._is_held(arrival.candle.symbol) for arrival in batch.arrivals)
        was_held, self._was_held = self._was_held, held
        passed = since_ms // HOUR_MS != batch.opened_at_ms // HOUR_MS
        if (held and closed_ms % HOUR_MS == 0) or (passed and (held or was_held)):
            self._broker.ask()
            await self._broker.quiet(FUNDING_SECONDS)
