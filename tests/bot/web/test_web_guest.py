"""A server as a guest: small answers go out at once, and a taken port is named."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bot.errors import ConfigError
from bot.web.asgi import Receive, Scope, Send
from bot.web.guest import bound_socket, guest_server


async def test_an_answer_does_not_wait_for_the_one_before() -> None:
    """Connections are without Nagle's delay: head and body of a small answer leave at once."""
    seen: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for connection in server.server_state.connections:
            made = connection.transport.get_extra_info("socket")
            seen.append(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    taken = bound_socket("127.0.0.1", 0, setting="x.port", backlog=8)
    server = guest_server(app, lambda _: None, most_connections=8)
    serving = asyncio.create_task(server.serve(sockets=[taken]))
    reader, writer = await asyncio.open_connection(*taken.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 204")
    writer.close()
    server.should_exit = True
    await asyncio.wait_for(serving, 10)
    assert seen
    assert all(seen)


def test_a_taken_port_is_named_with_its_setting() -> None:
    """One sentence that says which setting to change."""
    taken = bound_socket("127.0.0.1", 0, setting="x.port", backlog=1)
    try:
        with pytest.raises(ConfigError, match=r"x\.port: cannot listen on 127\.0\.0\.1 port \d+"):
            bound_socket("127.0.0.1", taken.getsockname()[1], setting="x.port", backlog=1)
    finally:
        taken.close()
