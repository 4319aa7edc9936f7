"""The control API of a running daemon: HTTP on loopback, commands by a token that only the state folder holds.

``bot.daemon.commanding`` carries commands to what acts; this module only serves. It runs in the event loop that trades,
and nothing that happens here may end the daemon: a server that fails is told in the log, and trading goes on without it.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bot.daemon.commanding import CONTROL_API, CommandDesk, CommandName, Operator, Outcome
from bot.daemon.control_files import Address, keep_token, remove_address, write_address
from bot.daemon.control_reads import Recordings
from bot.daemon.telling import Log

if TYPE_CHECKING:
    from bot.web.guest import GuestServer

END_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class ControlRules:
    """How the API is served.

    Attributes:
        host: Address that it listens on.
        port: Port; 0 takes a free one.
        loopback: Whether only this machine can reach that address.
    """

    host: str = "127.0.0.1"
    port: int = 0
    loopback: bool = True


class ControlServer:
    """Serves the API while the daemon runs.

    Args:
        operator: Knows how things stand.
        desk: Carries commands to it.
        recordings: Journal and log, to be read.
        metrics: The text of ``/metrics``; None has no such page.
        rules: How it is served.
        state_dir: Where token and address are kept.
        log: Bound with run_id and mode.
        monotonic_ns: A counter that never goes back.
    """

    def __init__(
        self,
        operator: Operator,
        desk: CommandDesk,
        recordings: Recordings,
        metrics: Callable[[], Awaitable[bytes]] | None,
        rules: ControlRules,
        state_dir: Path,
        log: Log,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._operator = operator
        self._desk = desk
        self._recordings = recordings
        self._metrics = metrics
        self._rules = rules
        self._state_dir = state_dir
        self._log = log
        self._monotonic_ns = monotonic_ns
        self._opened: tuple[GuestServer, socket.socket] | None = None

    @staticmethod
    def prepare() -> None:
        """Import what answers requests: that takes half a second, and must not be in a minute's way."""
        importlib.import_module("bot.daemon.control_api")
        importlib.import_module("bot.daemon.control_http")

    def open(self) -> tuple[GuestServer, socket.socket]:
        """Take the port and make what answers; called before the daemon is ready.

        Raises:
            ConfigError: The port is taken, or the address is none of this machine's.
            StorageError: The state folder can't be written.
        """
        from bot.daemon.control_api import OPEN_PATHS, control_app
        from bot.daemon.control_guard import Admission, Guard
        from bot.daemon.control_http import bound_socket, guest_server

        token, renewed = keep_token(self._state_dir)
        if renewed is not None:
            self._log.warning("control.renewed", reason=renewed)
        rules = self._rules
        taken = bound_socket(rules.host, rules.port)
        app = control_app(self._health, self._operator.status, self._give, self._recordings, self._metrics)
        app.openapi()  # made once, and not when the first one asks
        admission = Admission(token, rules.loopback, rules.host, OPEN_PATHS)
        server = guest_server(Guard(app, admission, self._log, self._monotonic_ns), self._log)
        self._opened = (server, taken)
        return self._opened

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until told to stop, or until cancelled; ``open`` was called before, or is called now."""
        server, taken = self._opened or self.open()
        serving = asyncio.create_task(server.serve(sockets=[taken]), name="control")
        stopping = asyncio.create_task(stop.wait(), name="control-stop")
        try:
            address = self._address(taken)
            write_address(self._state_dir, address)
            self._log.info("control.opened", host=address.host, port=address.port)
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                self._failed(serving)
                await stopping  # trading goes on without it
        finally:
            remove_address(self._state_dir)
            stopping.cancel()
            await self._end(server, serving)

    def close(self) -> None:
        """Give the port back where ``serve`` never ran; safe to call twice."""
        if self._opened is not None:
            self._opened[1].close()

    async def _end(self, server: GuestServer, serving: asyncio.Task[None]) -> None:
        """Let answers that are under way go out, within limits."""
        server.should_exit = True
        await asyncio.wait({serving}, timeout=END_SECONDS)
        if not serving.done():
            serving.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(serving, return_exceptions=True)
        self.close()

    def _failed(self, serving: asyncio.Task[None]) -> None:
        fault = None if serving.cancelled() else serving.exception()
        self._log.error("control.failed", error="it ended by itself" if fault is None else repr(fault))

    def _address(self, taken: socket.socket) -> Address:
        host, port = taken.getsockname()[:2]
        return Address(host, port, os.getpid())

    def _health(self) -> tuple[bool, dict[str, Any]]:
        health = self._operator.health()
        return health.healthy, health.as_json()

    async def _give(self, name: CommandName, reason: str) -> Outcome:
        return await self._desk.give(name, reason, CONTROL_API)
