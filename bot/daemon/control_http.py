"""uvicorn as a guest in the daemon's event loop: no signals of its own, no log of its own, no connection that lingers."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot.daemon.control_guard import App
from bot.daemon.telling import Log
from bot.errors import ConfigError

MOST_CONNECTIONS: Final = 64
REQUEST_SECONDS: Final = 5.0
LARGEST_HEAD: Final = 16_384
GRACE_SECONDS: Final = 1


class GuestServer(uvicorn.Server):
    """A server that leaves the signals to its host, who sets ``should_exit``."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none: SIGTERM ends the daemon in order, and the daemon ends this."""
        yield


class PatientProtocol(H11Protocol):
    """A connection that is given some seconds to say what it wants."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._hanging_up = self.loop.call_later(REQUEST_SECONDS, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop it."""
        self._hanging_up.cancel()
        super().connection_lost(exc)

    def _hang_up(self) -> None:
        begun: object = (
            self.cycle
        )  # None as long as no whole head of a request has come, whatever its type says
        if begun is None and not self.transport.is_closing():
            self.transport.close()


class _Complaints(logging.Handler):
    """Hands what uvicorn says to our log, at debug: a malformed request is no event of the bot's."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._log.debug("control.complained", line=record.getMessage().strip()[:200])


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that is bound and takes connections in; ConfigError where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(MOST_CONNECTIONS)  # who finds the address waits in line until we serve
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"control.port: cannot listen on {host} port {port}: {error.strerror or error}; "
            "set another port, or 0 for a free one"
        ) from error
    return made


def guest_server(app: App, log: Log) -> GuestServer:
    """A server for an application, ready to be given a bound socket."""
    config: dict[str, Any] = {
        "http": PatientProtocol,
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "limit_concurrency": MOST_CONNECTIONS,
        "h11_max_incomplete_event_size": LARGEST_HEAD,
        "timeout_keep_alive": 1,
        "timeout_graceful_shutdown": GRACE_SECONDS,
        "backlog": MOST_CONNECTIONS,
    }
    complaints = logging.getLogger("uvicorn.error")
    complaints.handlers = [_Complaints(log)]
    complaints.propagate = False
    return GuestServer(uvicorn.Config(app, **config))
