"""A stand-in for systemd: it speaks the manager's side of sd_notify(3) with one service.

What it does as systemd does: it listens to the main process alone (``NotifyAccess=main``, by the sender's credentials that the
kernel attaches), starts the watchdog's clock at READY=1 and again at each WATCHDOG=1, kills a silent one with SIGABRT, starts it
again after a failure unless the exit code is one that a restart does not mend, gives a start and a stop their time and more on
EXTEND_TIMEOUT_USEC, and stops with SIGTERM to the main process alone (``KillMode=mixed``).
"""

from __future__ import annotations

import array
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PREVENTED: Final = frozenset({2, 4, 6, 7})
"""``RestartPreventExitStatus`` of the unit."""

_CREDENTIALS: Final = struct.Struct("3i")
_LOOK_SECONDS: Final = 0.02

Launch = Callable[[Mapping[str, str]], "subprocess.Popen[bytes]"]


@dataclass(slots=True)
class Life:
    """One process, from its start to its end.

    Attributes:
        process: Its main process.
        messages: What it said, in order.
        began: When it was started, on the monotonic clock.
        fed: When its watchdog was last heard; None before READY=1.
        allowed: Until when a start or stop may take.
        result: ``watchdog``, ``timeout``, ``success`` or ``exit-code``, as systemd calls it.
        strangers: Messages of processes that are not the main one.
    """

    process: subprocess.Popen[bytes]
    began: float
    allowed: float
    messages: list[dict[str, str]] = field(default_factory=list)
    fed: float | None = None
    result: str | None = None
    strangers: int = 0

    def said(self, name: str) -> list[str]:
        """All values of a variable, in order."""
        return [message[name] for message in self.messages if name in message]

    @property
    def is_ready(self) -> bool:
        """Whether READY=1 came."""
        return bool(self.said("READY"))


class StandIn:
    """Runs one service; a context manager that leaves no process behind.

    Args:
        folder: Where its socket is made.
        launch: Starts the service, given the variables of the manager.
        watchdog_seconds: WatchdogSec.
        start_seconds: TimeoutStartSec.
        stop_seconds: TimeoutStopSec.
        abstract: A socket without a file.
    """

    def __init__(
        self,
        folder: Path,
        launch: Launch,
        *,
        watchdog_seconds: float,
        start_seconds: float = 60.0,
        stop_seconds: float = 30.0,
        abstract: bool = False,
    ) -> None:
        self._launch = launch
        self._watchdog_seconds = watchdog_seconds
        self._start_seconds, self._stop_seconds = start_seconds, stop_seconds
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.settimeout(_LOOK_SECONDS)
        name = f"@stand-in-{os.getpid()}-{id(self)}" if abstract else str(folder / "notify")
        self._socket.bind("\0" + name[1:] if abstract else name)
        self.variables = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(int(watchdog_seconds * 1e6))}
        self.lives: list[Life] = []

    def __enter__(self) -> Self:
        """Start the service."""
        self._start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _fault: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Kill what still runs."""
        if self.life.process.poll() is None:
            self.life.process.kill()
            self.life.process.wait()
        self._socket.close()

    @property
    def life(self) -> Life:
        """The present one."""
        return self.lives[-1]

    def pump(self, until: Callable[[], bool], seconds: float) -> None:
        """Do a manager's work until something holds; fails where it does not within so many seconds."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, self.lives[-1].messages[-5:]
            self._hear()
            self._look_after(restart=True)

    def stop(self) -> Life:
        """``systemctl stop``; gives the life that ended."""
        life = self.life
        life.allowed = time.monotonic() + self._stop_seconds
        life.process.send_signal(signal.SIGTERM)
        while life.result is None:
            self._hear()
            self._look_after(restart=False)
        return life

    def _start(self) -> None:
        now = time.monotonic()
        self.lives.append(Life(self._launch(self.variables), now, now + self._start_seconds))

    def _hear(self) -> None:
        """Take what was said until now, and wait a moment where nothing was."""
        room = socket.CMSG_SPACE(_CREDENTIALS.size)
        try:
            text, ancillary, _flags, _address = self._socket.recvmsg(8192, room)
        except TimeoutError:
            return
        sender = next(
            _CREDENTIALS.unpack(array.array("B", data).tobytes()[: _CREDENTIALS.size])[0]
            for level, kind, data in ancillary
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)
        )
        if sender != self.life.process.pid:
            self.life.strangers += 1
            return
        self._take(dict(line.split("=", 1) for line in text.decode().splitlines()))

    def _take(self, told: dict[str, str]) -> None:
        life, now = self.life, time.monotonic()
        life.messages.append(told)
        if "EXTEND_TIMEOUT_USEC" in told:
            life.allowed = max(life.allowed, now + int(told["EXTEND_TIMEOUT_USEC"]) / 1e6)
        if "READY" in told or ("WATCHDOG" in told and life.fed is not None):
            life.fed = now

    def _look_after(self, *, restart: bool) -> None:
        """End who is silent or late; begin again after a failure."""
        life, now = self.life, time.monotonic()
        if life.process.poll() is None:
            if restart and life.fed is not None and now - life.fed > self._watchdog_seconds:
                life.result = "watchdog"
                life.process.send_signal(signal.SIGABRT)
                life.process.wait(10)
            elif (life.fed is None or not restart) and now > life.allowed:
                life.result = "timeout"
                life.process.kill()
                life.process.wait()
            else:
                return
        code = life.process.returncode
        life.result = life.result or ("success" if code == 0 else "exit-code")
        if restart and life.result != "success" and code not in PREVENTED:
            self._start()
