"""A running daemon with everything that makes it a service: real journal, loop, control API and notifications."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.core.market import MINUTE_MS
from bot.daemon.control import ControlRules
from bot.daemon.lock import state_lock
from bot.daemon.operator import LoopOperator
from bot.daemon.service import Service
from bot.daemon.service_rules import ServiceRules, WatchdogAction, notify_rules
from bot.daemon.telling import Teller
from bot.logs import close, configure, get_logger
from bot.ports import CandleClosed, FeedEvent, MarketTime
from bot.settings import load_settings
from tests.bot.test_log_taps import Config
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS, Daemon, drained, random_market, random_predictions


def service_rules(
    *addresses: str,
    port: int = 0,
    unhealthy_seconds: float = 180.0,
    blind_seconds: float | None = None,
    blind_action: WatchdogAction = "halt",
) -> ServiceRules:
    """Rules as shipped, with these addresses."""
    notify = load_settings(overrides={"notify.urls": " ".join(addresses) or None}, environ={}).notify
    return ServiceRules(
        control=ControlRules(port=port),
        unhealthy_seconds=unhealthy_seconds,
        metrics=True,
        pulse_seconds=0.1,
        notify=notify_rules(notify) if addresses else None,
        stalled_seconds=300.0,
        summary_hour=6,
        blind_seconds=blind_seconds,
        blind_action=blind_action,
    )


class Running:
    """A daemon that waits for minutes.

    Attributes:
        folder: Its state folder.
        daemon: Journal, engine, loop and market.
        service: What stands beside it.
        text: What its log has written.
    """

    def __init__(self, folder: Path, rules: ServiceRules, *, seed: int = 61, minutes: int = 400) -> None:
        self.folder = folder
        candles = random_market(seed, minutes)
        self.daemon = Daemon(folder, candles, random_predictions(seed, candles), now_ms=MIDNIGHT)
        self.daemon.log = get_logger("test")  # type: ignore[assignment]
        self.service = Service(rules, folder, SYMBOLS, 1.5, self.daemon.clock, get_logger("test"))
        self.text = io.BytesIO()
        self.queue: asyncio.Queue[FeedEvent] = asyncio.Queue()
        self._minutes = 0

    async def minutes(self, count: int) -> None:
        """Let so many minutes of the market pass and be decided."""
        loop = self.daemon.loop
        assert loop is not None
        upto_ms = MIDNIGHT + (self._minutes + count) * MINUTE_MS
        for candle in self.daemon.feed.candles:
            if MIDNIGHT + self._minutes * MINUTE_MS <= candle.opened_at_ms < upto_ms:
                self.queue.put_nowait(CandleClosed(candle, "stream", self.daemon.clock.monotonic_ns()))
        self.queue.put_nowait(MarketTime(upto_ms))
        self._minutes += count
        async with asyncio.timeout(60):
            while loop.engine.last_opened_at_ms + MINUTE_MS < upto_ms:
                await asyncio.sleep(0.002)


@asynccontextmanager
async def running(folder: Path, rules: ServiceRules | None = None) -> AsyncIterator[Running]:
    """A daemon that runs while the block does."""
    one = Running(folder, rules or service_rules())
    configure(Config(), stream=one.text, run_id="r1", mode="paper", simulated=True)
    stop = asyncio.Event()
    daemon, service = one.daemon, one.service
    try:
        with state_lock(folder), service:
            service.recover(daemon.journal.path, mode="paper", simulated=True)
            await daemon.start()
            loop = daemon.loop
            assert loop is not None
            loop.listener = service
            teller = Teller(get_logger("test"), daemon.journal, daemon.clock.now_ms)
            service.open(LoopOperator(loop, service.progress, teller, {"run_id": "r1", "mode": "paper"}))
            daemon.journal.note("service.ready", MIDNIGHT, {"model_id": "stored", "proven": None})
            tasks = [asyncio.create_task(loop.run(drained(one.queue), stop))]
            tasks += [asyncio.create_task(work) for work in service.beside(stop)]
            try:
                while not (folder / "control.json").exists():
                    await asyncio.sleep(0.002)
                yield one
            finally:
                stop.set()
                await tasks[0]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        close()
        daemon.close()
