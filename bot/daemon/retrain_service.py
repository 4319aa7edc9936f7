"""A retrainer in a process of its own, such as a container that alone has TensorFlow: by the schedule, beside any daemon.

It shares the state folder with the daemon and nothing else. What the two hand over is files that are replaced in one step:
models, verdicts and the challenger's name, under the locks of ``models.durable``, and the diary of its events.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from bot.daemon.lock import RETRAINER_LOCK, state_lock
from bot.daemon.retrain_diary import RetrainDiary
from bot.daemon.retrainer import Retrainer, RetrainPlan
from bot.daemon.telling import Log, Teller


async def serve_retrainer(
    plan: RetrainPlan,
    state_dir: Path,
    log: Log,
    now_ms: Callable[[], int],
    stop: asyncio.Event | None = None,
) -> None:
    """Retrain whenever it is due, until a signal or ``stop``; a run that is at work is then ended, and is due again.

    Args:
        plan: How to retrain.
        state_dir: The state folder that is shared with the daemon.
        log: Where it tells what it does.
        now_ms: The machine's time.
        stop: Set it to end.

    Raises:
        ConfigError: The schedule is no crontab line, or another retrainer works on the state folder.
        StorageError: The state folder can't be written, or holds a diary that is damaged.
    """
    stop = stop or asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(number, stop.set)
    with state_lock(state_dir, RETRAINER_LOCK, "a retrainer"):
        diary = RetrainDiary(state_dir)
        teller = Teller(log, diary, now_ms)
        retrainer = Retrainer(plan, diary, teller, now_ms, by_alarm=True, whose="the retrainer")
        log.info("retrainer.ready", schedule=plan.schedule, next_ms=retrainer.calendar.next_ms)
        await _until_stopped(retrainer, stop)
        log.info("retrainer.stopped")


async def _until_stopped(retrainer: Retrainer, stop: asyncio.Event) -> None:
    """Serve until told to stop; what goes wrong is raised."""
    serving = asyncio.create_task(retrainer.serve(), name="retrainer")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
    finally:
        for task in (serving, stopping):
            task.cancel()
        await asyncio.gather(serving, stopping, return_exceptions=True)
