"""The control API of a running daemon: HTTP on loopback, commands by a token that only the state folder holds.

``Operator`` is what acts; this module only carries words to it. It runs in the event loop that trades, and nothing that
happens here may end the daemon: a server that fails is told in the log, and trading goes on without it.
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
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from bot.daemon.control_files import Address, keep_token, remove_address, write_address
from bot.daemon.progress import Health
from bot.daemon.telling import Log
from bot.errors import BotError, EngineProtocolError

if TYPE_CHECKING:
    from bot.daemon.control_http import GuestServer

COMMAND_SECONDS: Final = 10.0
END_SECONDS: Final = 2.0


class Operator(Protocol):
    """What carries out commands and knows how things stand; called in the event loop."""

    async def command(
        self, name: Literal["pause", "resume", "halt", "flatten"], reason: str
    ) -> dict[str, Any]:
        """Act, and answer with the state after it as JSON values; raises BotError where it can't be done."""

    def status(self) -> dict[str, Any]:
        """Account, positions, orders, state and model, as JSON values; must be quick."""

    def health(self) -> Health:
        """Whether the daemon gets on; must be quick."""


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
        operator: What acts.
        metrics: The text of ``/metrics``; None has no such page.
        rules: How it is served.
        state_dir: Where token and address are kept.
        log: Bound with run_id and mode.
        monotonic_ns: A counter that never goes back.
        command_seconds: A command that takes longer is answered with 504; it is not broken off.
    """

    def __init__(
        self,
        operator: Operator,
        metrics: Callable[[], Awaitable[bytes]] | None,
        rules: ControlRules,
        state_dir: Path,
        log: Log,
        monotonic_ns: Callable[[], int],
        *,
        command_seconds: float = COMMAND_SECONDS,
    ) -> None:
        self._operator = operator
        self._metrics = metrics
        self._rules = rules
        self._state_dir = state_dir
        self._log = log
        self._monotonic_ns = monotonic_ns
        self._command_seconds = command_seconds
        self._opened: tuple[GuestServer, socket.socket] | None = None
        self._at_work: set[asyncio.Task[dict[str, Any]]] = set()

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
        app = control_app(self._health, self._operator.status, self._give, self._metrics)
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

    async def _give(
        self, name: Literal["pause", "resume", "halt", "flatten"], reason: str
    ) -> tuple[int, dict[str, Any]]:
        """Carry a command to the operator; one that takes long goes on, and its sender is told so."""
        work = asyncio.create_task(self._operator.command(name, reason), name=f"command-{name}")
        self._at_work.add(work)
        work.add_done_callback(self._at_work.discard)
        done, _ = await asyncio.wait({work}, timeout=self._command_seconds)
        if not done:
            work.add_done_callback(self._came_late)
            self._log.warning("control.delayed", command=name, seconds=self._command_seconds)
            sentence = (
                f"{name} is not done after {self._command_seconds:g} seconds; it goes on: ask bot status"
            )
            return 504, {"error": sentence}
        try:
            answer = work.result()
        except EngineProtocolError:
            raise  # a bug of ours: the log gets it whole
        except BotError as refused:
            self._log.error("control.command_failed", command=name, reason=reason, error=str(refused))
            return 503, {"error": str(refused)}
        self._log.warning("control.commanded", command=name, reason=reason, state=answer.get("state"))
        return 200, answer

    def _came_late(self, work: asyncio.Task[dict[str, Any]]) -> None:
        """A command that nobody waits for any more has ended: its fault must not be lost."""
        fault = None if work.cancelled() else work.exception()
        if fault is not None:
            self._log.error("control.command_failed", command=work.get_name(), reason="", error=repr(fault))
