"""The faults of one exchange, wired: plan, desk, log, and the edges around requests and streams."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bot.simexchange.fault_actions import Cut, Expire, Restart
from bot.simexchange.fault_desk import FaultDesk
from bot.simexchange.fault_files import LOG_NAME, FaultLog, read_plan, running_plan
from bot.simexchange.fault_http import HttpFaults
from bot.simexchange.fault_plan import parse_plan
from bot.simexchange.fault_stream import StreamFaults

log = logging.getLogger(__name__)


class Faults:
    """What misbehaves in an exchange; without a plan, nothing.

    Attributes:
        desk: Decides.
        http: Stands around requests.
        streams: Stands around messages.
        expire_listen_keys: Called when a plan says so; set by whoever keeps the keys.
        leave: Ends the process, ``kill`` or ``stop``; a test within a process replaces it.
    """

    def __init__(
        self,
        folder: Path,
        plan_file: Path | None,
        *,
        resume: bool,
        now_ms: Callable[[], int],
        start_ms: Callable[[], int],
    ) -> None:
        """Read the plan, or with ``resume`` go on with the one that ran; raises ConfigError or StorageError.

        ``now_ms`` is market time, ``start_ms`` the market's start.
        """
        given = None if plan_file is None else read_plan(plan_file)
        self._file = FaultLog(folder / LOG_NAME, resume=resume)
        plan, since = running_plan(given, self._file.before)
        self.desk = FaultDesk(plan, now_ms=now_ms, now_s=_loop_s, start_ms=start_ms, record=self._file.write)
        if since:
            self.desk.restore(since)
        if not since or plan is given:
            self.desk.begin(origin="start")
        self.streams = StreamFaults(self.desk)
        self.http = HttpFaults(self.desk, tick=self.tick, restart=self._restart, now_ms=now_ms)
        self.expire_listen_keys: Callable[[], object] | None = None
        self.leave: Callable[[str], None] = leave

    def tick(self, at_ms: int | None = None) -> None:
        """Let market time set off what is due; ``at_ms`` of the event that is about to be sent."""
        for act in self.desk.tick(at_ms):
            log.info("fault %s", act.fault.name)
            match act.action:
                case Cut() as cut:
                    self.streams.cut_all(cut)
                case Restart() as restart:
                    self._restart(restart)
                case Expire() if self.expire_listen_keys is not None:
                    self.expire_listen_keys()

    def replace(self, given: Any) -> None:
        """Go on with another plan, of plain values; raises ConfigError that names what is wrong in it."""
        self.desk.replace(parse_plan(given), origin="control")

    def state(self) -> Mapping[str, Any]:
        """Plan and counts, as JSON values."""
        return {"plan": self.desk.plan.written(), "counts": self.desk.counts()}

    def close(self) -> None:
        """Write the counts, so that a resumed exchange goes on with them."""
        self.desk.save()
        self._file.close()

    def _restart(self, restart: Restart) -> None:
        if restart.delay_ms:
            asyncio.get_running_loop().call_later(restart.delay_ms / 1000, self.leave, restart.how)
        else:
            self.leave(restart.how)


def leave(how: str) -> None:
    """End this process: ``kill`` leaves nothing in order, ``stop`` asks it to end."""
    os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGTERM)


def _loop_s() -> float:
    """The wall clock that durations count in."""
    return asyncio.get_running_loop().time()
