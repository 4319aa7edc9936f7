"""The one owner of the engine: every candle, timer and command passes through here, one after the other.

For each minute's batch: the broker says what became of orders, the engine settles, observes and decides, the
journal commits, and only then the broker gets the new orders, the log its lines, and the attendant of the model its turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from bot.core.engine import TradingEngine
from bot.core.limits import MarketFacts
from bot.core.market import MINUTE_MS, Symbol
from bot.core.orders import ApprovedOrder, ExecutionReport
from bot.core.state import StateEvent
from bot.daemon.batching import Batch, MinuteBatcher
from bot.daemon.foresight import Attendant, DecidedMinute, foresee
from bot.daemon.input_watch import SNAPSHOT_KEY, InputWatch
from bot.daemon.recovery import BROKER_KEY
from bot.daemon.rehearsal import Rehearsal
from bot.daemon.telling import Listener, Log, tell_batch, tell_interim
from bot.ports import (
    BatchRecord,
    Broker,
    CandleClosed,
    CandleRevised,
    Clock,
    Feed,
    FeedEvent,
    FeedNotice,
    InterimRecord,
    Journal,
    MarketTime,
    Predictor,
    Rehearsing,
)

CATCH_UP_PATIENCE_SECONDS = 60.0
"""How long a minute waits, beyond its deadline, for a symbol whose earlier candles are being fetched."""

MODELS_KEY = "models"
"""Where a batch's snapshot has what the attendant says."""


class TradingLoop:
    """Drives one engine from one feed.

    Args:
        engine: Restored or new.
        broker: Carries out approved orders.
        predictor: The loaded model, warmed.
        journal: Where batches are committed.
        feed: For who is catching up; its events come through ``run``.
        clock: The exchange's time. A MarketClock is advanced by what the feed sees.
        log: Bound with run_id and mode.
        deadline_ms: How long after the close a batch waits for missing symbols.
        before_batch: Called with each batch before it is matched (funding rates are fetched here).
        after_batch: Called with the close time of each batch once it is committed.
        on_quiet: Called with the close time of each batch once everything of it is done.
        market_speed: Market seconds a second, for who rehearses before a minute ends; 0: nobody does.
        market_facts: Says what is known of these markets beside candles, such as quotes; None where nobody does.

    Attributes:
        attendant: Looks after the model that trades; None where it is to be left alone.
        listener: Hears of what was committed; None where nobody does.
    """

    def __init__(
        self,
        *,
        engine: TradingEngine,
        broker: Broker,
        predictor: Predictor,
        journal: Journal,
        feed: Feed,
        clock: Clock,
        log: Log,
        deadline_ms: int,
        before_batch: Callable[[Batch], Awaitable[None]] | None = None,
        after_batch: Callable[[int], Awaitable[None]] | None = None,
        market_facts: Callable[[Sequence[Symbol]], Sequence[MarketFacts]] | None = None,
        on_quiet: Callable[[int], None] | None = None,
        market_speed: float = 0.0,
    ) -> None:
        self.engine = engine
        self.attendant: Attendant | None = None
        self.listener: Listener | None = None
        self.latencies_ns: deque[int] = deque(maxlen=100_000)
        self.batch_count = 0
        self._broker = broker
        self._predictor = predictor
        self._inputs = InputWatch(predictor)
        self._journal = journal
        self._feed = feed
        self._clock = clock
        self._log = log
        self._before_batch = before_batch
        self._after_batch = after_batch
        self._market_facts = market_facts
        self._on_quiet = on_quiet
        self._rehearsal = Rehearsal(self._rehearse, market_speed, clock.monotonic_ns)
        self._batcher = MinuteBatcher(engine.symbols, deadline_ms, engine.last_opened_at_ms)
        self._blocked_since_ns: int | None = None
        stored = journal.snapshot() or {}
        self._beside = {key: stored[key] for key in (SNAPSHOT_KEY, MODELS_KEY) if key in stored}
        self._deciding = asyncio.Lock()
        self._waiting = asyncio.Event()

    async def run(self, events: AsyncIterator[FeedEvent], stop: asyncio.Event) -> None:
        """Take events until told to stop or until there are no more; a minute that is being decided is finished."""
        tasks = [
            asyncio.ensure_future(self._consume(events, stop)),
            asyncio.ensure_future(self._keep_deadlines()),
        ]
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            async with self._deciding:
                pass
        finally:
            self._rehearsal.rest()
            for task in (*tasks, stopping):
                task.cancel()
            results = await asyncio.gather(*tasks, stopping, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _consume(self, events: AsyncIterator[FeedEvent], stop: asyncio.Event) -> None:
        """Take event after event, and decide each minute in the same step that made it whole."""
        async for event in events:
            self._take(event)
            await self._decide_ready()
            if stop.is_set():
                return

    async def _keep_deadlines(self) -> None:
        """Decide a minute that waits in vain for a symbol: nothing may come that would wake the consumer."""
        while True:
            self._waiting.clear()
            patience = self._patience()
            if patience is None:
                await self._waiting.wait()
            else:
                await asyncio.sleep(patience)
                await self._decide_ready()

    def _patience(self) -> float | None:
        """Seconds to sleep at most."""
        deadline_ms = self._batcher.next_deadline_ms
        if deadline_ms is None:
            return None
        return max((deadline_ms - self._clock.now_ms()) / 1000, 0.05)

    def _take(self, event: FeedEvent) -> None:
        if isinstance(event, CandleClosed):
            if self._batcher.is_late(event.candle):
                self._log.warning(
                    "candle.late", symbol=event.candle.symbol, candle_at_ms=event.candle.opened_at_ms
                )
                return
            self._batcher.add(event)
            self._waiting.set()
        elif isinstance(event, MarketTime):
            self._advance(event.at_ms)
        elif isinstance(event, CandleRevised):
            self._revised(event)
        elif isinstance(event, FeedNotice):
            self._log.warning(event.event, **event.fields)
            self._journal.note(event.event, self._clock.now_ms(), event.fields)

    def _advance(self, at_ms: int) -> None:
        advance = getattr(self._clock, "advance_to", None)
        if advance is not None:
            advance(at_ms)
        self._rehearsal.heard(at_ms)

    def _rehearse(self) -> None:
        if isinstance(self._predictor, Rehearsing):
            self._predictor.rehearse()

    def _revised(self, event: CandleRevised) -> None:
        """A decision that was made stands; the change is kept for whoever asks why."""
        fields = {
            "symbol": event.candle.symbol,
            "new": list(event.candle[1:]),
            "old": list(event.previous[1:]),
        }
        self._log.warning("candle.revised", **fields)
        self._journal.note("candle.revised", self._clock.now_ms(), fields)

    # --- batches ------------------------------------------------------------------------------------------

    async def _decide_ready(self) -> None:
        async with self._deciding:
            while (batch := self._batcher.pop_ready(self._clock.now_ms(), self._catching_up())) is not None:
                self._blocked_since_ns = None
                if self._before_batch is not None:
                    await self._before_batch(batch)
                self.process(batch)
                if self._after_batch is not None:
                    await self._after_batch(batch.opened_at_ms + MINUTE_MS)
                if self.attendant is not None:
                    await self.attendant.between(batch.opened_at_ms + MINUTE_MS)
                self._journal.rest()
                if self._on_quiet is not None:
                    self._on_quiet(batch.opened_at_ms + MINUTE_MS)
                # A feed that never waits would leave nobody else a turn, not even a signal to stop.
                await asyncio.sleep(0)

    def _catching_up(self) -> frozenset[Symbol]:
        """Whom to wait for; nobody any more once patience is over."""
        symbols = frozenset(self._feed.catching_up)
        if not symbols or self._batcher.next_deadline_ms is None:
            self._blocked_since_ns = None
            return frozenset()
        now_ns = self._clock.monotonic_ns()
        if self._blocked_since_ns is None:
            self._blocked_since_ns = now_ns
        waited_seconds = (now_ns - self._blocked_since_ns) / 1e9
        return symbols if waited_seconds < CATCH_UP_PATIENCE_SECONDS else frozenset()

    @property
    def predictor(self) -> Predictor:
        """Who predicts."""
        return self._predictor

    def swap_predictor(self, predictor: Predictor) -> None:
        """From the next minute on another one predicts.

        A minute is decided in one step, so this is always between two. The new one must have observed every candle
        that was committed; it will be shown the next.
        """
        self._predictor = predictor
        self._inputs = InputWatch(predictor)

    def process(self, batch: Batch) -> None:
        """Settle, observe, predict, decide, journal, then act: the walk of one minute."""
        engine, candles = self.engine, batch.candles
        closed_at_ms = batch.opened_at_ms + MINUTE_MS
        self._rehearsal.decided(closed_at_ms)
        now_ms = max(self._clock.now_ms(), closed_at_ms)
        reports = self._broker.on_candles(candles)
        trades = engine.settle(reports)
        engine.observe(candles)
        for candle in candles:
            self._predictor.observe(candle)
        symbols = [candle.symbol for candle in candles]
        foresight = foresee(self._predictor, symbols, self._clock.monotonic_ns)
        facts = () if self._market_facts is None else self._market_facts(symbols)
        decisions = engine.decide(foresight.predictions, now_ms, foresight.absent, facts)
        account = engine.account
        record = BatchRecord(
            closed_at_ms=closed_at_ms,
            now_ms=now_ms,
            candles=candles,
            sources=[arrival.source for arrival in batch.arrivals],
            reports=reports,
            decisions=decisions,
            trades=trades,
            state_changes=engine.take_state_changes(),
            equity=account.equity(),
            cash=account.cash,
            exposure=account.total_notional(),
            snapshot=self._snapshot(closed_at_ms),
            facts=facts,
        )
        self._journal.commit(record)
        committed_ns = self._clock.monotonic_ns()
        for decision in decisions:
            self._broker.submit(decision.approved)
            self._broker.cancel(decision.cancel)
        self.batch_count += 1
        last = max(batch.arrivals, key=lambda arrival: arrival.received_at_ns)
        latency_ns = committed_ns - last.received_at_ns
        streamed = last.source == "stream"
        if streamed:
            self.latencies_ns.append(latency_ns)
        tell_batch(self._log, batch.missing, record, latency_ns // 1000)
        if self.listener is not None:
            self.listener.on_batch(record, latency_ns if streamed else None, foresight.took_ns)
        self._inputs.tell(self._log, symbols, closed_at_ms)
        if self.attendant is not None:
            minute = DecidedMinute(closed_at_ms, candles, foresight, self._predictor.model_id)
            self.attendant.decided(minute)

    # --- between batches ----------------------------------------------------------------------------------

    def settle(self, reports: Sequence[ExecutionReport], approved: Sequence[ApprovedOrder] = ()) -> None:
        """Book what became of orders between two minutes; the journal has it when this returns.

        Args:
            reports: In the order in which it happened.
            approved: Orders made outside of a minute, which the engine counts as sent.
        """
        self._settle(reports, approved, None, flatten=False)

    def _settle(
        self,
        reports: Sequence[ExecutionReport],
        approved: Sequence[ApprovedOrder],
        event: StateEvent | None,
        *,
        flatten: bool,
    ) -> None:
        record = InterimRecord(
            at_ms=self._clock.now_ms(),
            reports=reports,
            approved=approved,
            trades=self.engine.settle(reports),
            state_changes=self.engine.take_state_changes(),
            snapshot=self._snapshot(None),
            event=None if event is None else event.value,
            flatten=flatten,
        )
        self._journal.commit_interim(record)
        tell_interim(self._log, record)
        if self.listener is not None:
            self.listener.on_interim(record)

    def act(self, event: StateEvent | None = None, *, flatten: bool = False) -> None:
        """Carry out a command between two minutes: journaled first, then acted upon."""
        at_ms = self._clock.now_ms()
        if event is not None:
            self.engine.command(event, at_ms)
        approved = self.engine.flatten(at_ms) if flatten else []
        cancel = self.engine.cancel_resting(at_ms)
        self._settle((), approved, event, flatten=flatten)
        if approved:
            self._broker.submit(approved)
        if cancel:
            self._broker.cancel(cancel)

    def _snapshot(self, closed_at_ms: int | None) -> dict[str, Any]:
        """The engine and what a restart needs beside it; between two minutes as it was after the last."""
        if closed_at_ms is not None:
            self._beside[SNAPSHOT_KEY] = self._inputs.snapshot(closed_at_ms)
            if self.attendant is not None:
                self._beside[MODELS_KEY] = self.attendant.snapshot()
        snapshot = self.engine.snapshot() | self._beside
        if broker := self._broker.snapshot():
            snapshot[BROKER_KEY] = broker
        return snapshot
