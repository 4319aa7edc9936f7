"""The control API's server: a guest in the daemon's event loop."""

from __future__ import annotations

import socket
from typing import Final

from bot.daemon.telling import Log
from bot.web import guest
from bot.web.asgi import App

MOST_CONNECTIONS: Final = 64


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that is bound and takes connections in; ConfigError where the address is taken or not ours."""
    return guest.bound_socket(host, port, setting="control.port", backlog=MOST_CONNECTIONS)


def guest_server(app: App, log: Log) -> guest.GuestServer:
    """A server for an application, ready to be given a bound socket; what it complains of is told at debug."""

    def complain(line: str) -> None:
        log.debug("control.complained", line=line)

    return guest.guest_server(app, complain, most_connections=MOST_CONNECTIONS)
