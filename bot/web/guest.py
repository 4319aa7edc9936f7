"""uvicorn as a guest in an event loop: no signals of its own, no log of its own, no connection that lingers."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot.errors import ConfigError
from bot.web.asgi import App

REQUEST_SECONDS: Final = 5.0
LARGEST_HEAD: Final = 16_384
GRACE_SECONDS: Final = 1
KEEP_ALIVE_SECONDS: Final = 1


class GuestServer(uvicorn.Server):
    """A server that leaves the signals to its host, who sets ``should_exit``."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none: SIGTERM ends the host in order, and the host ends this."""
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
    """Hands on what uvicorn says: a malformed request is no event of ours."""

    def __init__(self, complain: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._complain = complain

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._complain(record.getMessage().strip()[:200])


def bound_socket(host: str, port: int, *, setting: str, backlog: int) -> socket.socket:
    """A socket that is bound and takes connections in.

    Args:
        host: An IP address.
        port: 0 takes a free one.
        setting: What names the port in the settings, for the sentence of a refusal.
        backlog: Connections that wait in line.

    Raises:
        ConfigError: The address is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, for asyncio turns Nagle's delay off only where it is; else small answers wait 40 ms.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(backlog)  # who finds the address waits in line until we serve
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"{setting}: cannot listen on {host} port {port}: {error.strerror or error}; "
            "set another port, or 0 for a free one"
        ) from error
    return made


def guest_server(
    app: App,
    complain: Callable[[str], object],
    *,
    most_connections: int,
    protocol: type[PatientProtocol] = PatientProtocol,
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS,
) -> GuestServer:
    """A server for an application, ready to be given a bound socket.

    Args:
        app: What answers.
        complain: Gets a line for what uvicorn complains of.
        most_connections: More are answered with 503.
        protocol: How a connection behaves.
        keep_alive_seconds: A connection that asks nothing more for so long is closed.
    """
    config: dict[str, Any] = {
        "http": protocol,
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "limit_concurrency": most_connections,
        "h11_max_incomplete_event_size": LARGEST_HEAD,
        "timeout_keep_alive": keep_alive_seconds,
        "timeout_graceful_shutdown": GRACE_SECONDS,
        "backlog": most_connections,
    }
    complaints = logging.getLogger("uvicorn.error")
    complaints.handlers = [_Complaints(complain)]
    complaints.propagate = False
    return GuestServer(uvicorn.Config(app, **config))
