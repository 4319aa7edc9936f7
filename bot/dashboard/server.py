"""The dashboard put together: files, journal, watcher and gate, served until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from bot.dashboard.api import json_app
from bot.dashboard.contracts import ADDRESS_FILE, TOKEN_FILE, DashboardRules, Log, Sources
from bot.dashboard.desk import Desk
from bot.dashboard.door import JournalDoor
from bot.dashboard.gate import Admission, Gate
from bot.dashboard.pages_app import Pages
from bot.dashboard.static import PAGES, Assets
from bot.dashboard.stream import Hub
from bot.dashboard.watcher import Watcher
from bot.errors import StorageError
from bot.web.files import Address, keep_token, read_address, remove_address, write_address
from bot.web.guest import GuestServer, PatientProtocol, bound_socket, guest_server

MOST_CONNECTIONS: Final = 512
"""128 pages with a stream each, and what they ask."""

KEEP_ALIVE_SECONDS: Final = 20
SLOW_SECONDS: Final = 20.0
"""A client that takes nothing for so long is gone."""

END_SECONDS: Final = 3.0


class ImpatientProtocol(PatientProtocol):
    """A connection whose client has to take what it asked for: a stream that nobody reads is cut."""

    _cutting: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The client takes nothing."""
        super().pause_writing()
        if self._cutting is None:
            self._cutting = self.loop.call_later(SLOW_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It takes something again."""
        super().resume_writing()
        self._keep()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._keep()
        super().connection_lost(exc)

    def _keep(self) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None


class Dashboard:
    """Serves the pages of one state folder; to be made inside an event loop.

    Args:
        rules: How it is served and what it reads.
        sources: What the rooms above hand down.
        log: For what it has to say.
        pages: The folder of pages.
    """

    def __init__(self, rules: DashboardRules, sources: Sources, log: Log, pages: Path = PAGES) -> None:
        self._rules = rules
        self._sources = sources
        self._log = log
        self._pages = pages
        self._hub = Hub(log)
        self._door = JournalDoor(rules.journal)
        self._watcher = Watcher(rules, sources, self._door, self._hub, log)
        self._taken: socket.socket | None = None
        self._server: GuestServer | None = None
        self.token = ""

    @property
    def address_file(self) -> Path:
        """Says where it listens while it does."""
        return self._rules.state_dir / ADDRESS_FILE

    def open(self) -> Address:
        """Take the port and make everything ready; who connects from now on is answered when ``serve`` runs.

        Raises:
            ConfigError: The port is taken, the address is none of this machine's, or a page is missing.
            StorageError: The state folder can't be written.
        """
        rules = self._rules
        try:
            rules.state_dir.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise StorageError(
                f"the state folder {rules.state_dir} can't be made: {fault.strerror}"
            ) from fault
        self.token, renewed = keep_token(rules.state_dir / TOKEN_FILE)
        if renewed is not None:
            self._log.warning("dashboard.renewed", reason=renewed)
        desk = Desk(rules, self._sources, self._door, self._watcher)
        pages = Pages(Assets(self._pages), json_app(desk), self._hub, self._watcher)
        admission = Admission(self.token, rules.loopback, rules.host)
        gate = Gate(pages, admission, self._log, self._sources.monotonic_ns)
        self._taken = bound_socket(rules.host, rules.port, setting="dashboard.port", backlog=MOST_CONNECTIONS)
        self._server = guest_server(
            gate,
            self._complain,
            most_connections=MOST_CONNECTIONS,
            protocol=ImpatientProtocol,
            keep_alive_seconds=KEEP_ALIVE_SECONDS,
        )
        host, port = self._taken.getsockname()[:2]
        address = Address(host, port, os.getpid())
        write_address(self.address_file, address)
        self._log.info("dashboard.opened", host=address.host, port=address.port)
        return address

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until told to stop; ``open`` was called before. A fault of the server is raised."""
        server, taken = self._server, self._taken
        if server is None or taken is None:
            raise RuntimeError("the dashboard was not opened")
        serving = asyncio.create_task(server.serve(sockets=[taken]), name="dashboard")
        watching = asyncio.create_task(self._watcher.watch(), name="dashboard-watch")
        stopping = asyncio.create_task(stop.wait(), name="dashboard-stop")
        try:
            await asyncio.wait({serving, watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, watching):
                if task.done():
                    task.result()
        finally:
            stopping.cancel()
            watching.cancel()
            self._hub.close()
            server.should_exit = True
            await asyncio.wait({serving}, timeout=END_SECONDS)
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(serving, watching, return_exceptions=True)
            self.close()

    def close(self) -> None:
        """Give back the port and the address; safe to call twice."""
        if self._taken is not None:
            self._taken.close()
        address = read_address(self.address_file)
        if address is not None and address.pid == os.getpid():
            remove_address(self.address_file)
        self._door.close()

    def _complain(self, line: str) -> None:
        self._log.debug("dashboard.complained", line=line)
