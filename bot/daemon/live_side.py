"""The start and the end of live trading: books compared before the first decision, nothing left in the air at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from bot.core.execution import LiveExecution
from bot.core.execution_rules import ExecutionRules
from bot.core.market import Instrument, Symbol
from bot.core.state import StateEvent
from bot.core.venue import CommandFailed, ReadState, VenueState
from bot.daemon.batching import Batch
from bot.daemon.live import LiveBroker, LiveMinute, steady
from bot.daemon.loop import TradingLoop
from bot.daemon.telling import Teller
from bot.errors import DataError, EngineProtocolError, TransientError
from bot.ports import OrderGateway

RECONCILE_SECONDS = 60.0
"""How long a start waits for its reconciliation before it goes on without taking new risk."""

END_SECONDS = 3.0
"""How long an end waits for orders in flight; what is still unknown then is looked up by the next start."""

TRIES = 8
"""How often a start asks an exchange that does not answer."""


def pause_seconds(failures: int) -> float:
    """How long to wait after so many failures: doubled each time from half a second, half a minute at most."""
    return float(min(0.5 * 2.0 ** (failures - 1), 30.0))


class LiveSide:
    """A gateway and an execution, from open to end.

    Args:
        gateway: The way to the exchange.
        rules: Bounds of execution.
        settle_wait_seconds: How long a minute's decision waits for orders in flight.
        teller: Log and journal.
        monotonic_ns: A counter that never goes back.
        pause: Seconds to wait after so many failures of the start.
        reconcile_seconds: How long the start waits for its reconciliation.
    """

    def __init__(
        self,
        gateway: OrderGateway,
        rules: ExecutionRules,
        settle_wait_seconds: float,
        teller: Teller,
        monotonic_ns: Callable[[], int],
        *,
        pause: Callable[[int], float] = pause_seconds,
        reconcile_seconds: float = RECONCILE_SECONDS,
    ) -> None:
        self._pause = pause
        self._reconcile_seconds = reconcile_seconds
        self._gateway = gateway
        self._rules = rules
        self._settle_wait_seconds = settle_wait_seconds
        self._teller = teller
        self._monotonic_ns = monotonic_ns
        self._serving: asyncio.Task[None] | None = None
        self._broker: LiveBroker | None = None
        self._minute: LiveMinute | None = None

    async def open(self, instruments: Mapping[Symbol, Instrument], exchange_ms: int) -> LiveBroker:
        """Connect, and make the broker.

        Args:
            instruments: The rules of each symbol.
            exchange_ms: The exchange's time.

        Raises:
            ConfigError: The keys are refused. TransientError, DataError: The exchange does not answer, or with nothing that
                can be read, however often it is asked.
        """
        now_ms = steady(exchange_ms, self._monotonic_ns)
        failures = 0
        while True:
            try:
                await self._gateway.open()
                break
            except (
                TransientError,
                DataError,
            ) as error:  # an answer that cannot be read may be whole the next time
                failures += 1
                if failures == TRIES:
                    raise
                await self._wait(failures, str(error))
        execution = LiveExecution(instruments, self._rules)
        self._broker = LiveBroker(execution, self._gateway, now_ms, self._teller)
        return self._broker

    async def synchronise(self) -> None:
        """Set the clock of signed requests anew; raises TransientError or DataError where the exchange tells no time."""
        await self._gateway.synchronise()

    async def wallet(self) -> float:
        """What an account that trades for the first time begins with, quote currency; raises TransientError."""
        reason = "it did not answer"
        for failures in range(1, TRIES + 1):
            for event in await self._gateway.perform(ReadState()):
                if isinstance(event, VenueState):
                    return event.wallet
                if isinstance(event, CommandFailed):
                    reason = event.reason
            if failures < TRIES:
                await self._wait(failures, reason)
        raise TransientError(f"the exchange does not tell the account's balance: {reason}")

    async def _wait(self, failures: int, cause: str) -> None:
        """Say that the start waits, and wait."""
        seconds = self._pause(failures)
        self._teller.warn("service.waiting", cause=cause, failures=failures, wait_seconds=round(seconds, 1))
        await asyncio.sleep(seconds)

    async def begin(self, loop: TradingLoop, *, recovered: bool) -> bool:
        """Compare the books with the exchange's, before the first decision; in doubt no new risk is taken.

        Returns:
            True.

        Raises:
            BotError: What went wrong within.
        """
        broker, engine = self._taken(), loop.engine
        broker.attach(loop)
        if not recovered:
            broker.recover([], [], {}, {})
        self._minute = LiveMinute(
            broker,
            lambda symbol: not engine.account.position(symbol).is_flat,
            engine.last_opened_at_ms,
            self._settle_wait_seconds,
        )
        self._serving = asyncio.create_task(broker.serve(), name="live")
        broker.ask()
        waiting = asyncio.create_task(broker.quiet(self._reconcile_seconds), name="reconciliation")
        try:
            await asyncio.wait({waiting, self._serving}, return_when=asyncio.FIRST_COMPLETED)
            if self._serving.done():
                self._serving.result()
            elif not waiting.result():
                self._teller.warn("reconciliation.late", seconds=self._reconcile_seconds)
                loop.act(StateEvent.RECONCILIATION)
        finally:
            waiting.cancel()
        return True

    async def before_batch(self, batch: Batch) -> None:
        """What comes before a minute's decision."""
        if self._minute is not None:
            await self._minute.before_batch(batch)

    async def settled(self) -> None:
        """Wait until nothing is in flight: a market that waits for us may then go on."""
        await self._taken().quiet(self._rules.lookup_seconds + self._rules.protection_seconds)

    def beside(self) -> Coroutine[Any, Any, None]:
        """What runs beside the loop."""
        return self._joined()

    async def _joined(self) -> None:
        if self._serving is None:
            raise EngineProtocolError("a live side that has not begun")
        await asyncio.shield(self._serving)

    async def end(self) -> None:
        """Let orders in flight come down, within limits, then let go of the exchange; stops stay where they are."""
        if self._broker is not None and self._serving is not None and not self._serving.done():
            await self._broker.quiet(END_SECONDS)
        if self._serving is not None:
            self._serving.cancel()
            with suppress(asyncio.CancelledError):
                await self._serving
        await self._gateway.close()

    def _taken(self) -> LiveBroker:
        if self._broker is None:
            raise EngineProtocolError("a live side that was not opened")
        return self._broker
