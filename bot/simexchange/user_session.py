"""One WebSocket client that listens to the account."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Self

from aiohttp import WSMessage, WSMsgType, web

from bot.simexchange.binance_stream import CLOSE_SECONDS, Session
from bot.simexchange.fault_stream import Line


class UserSession(Session):
    """A session that can be waited for: whether its client has read everything that it was sent.

    Attributes:
        key: The listen key that it came with (perpetuals).
        subscriptions: Numbers of its subscriptions (spot).
    """

    def __init__(self, socket: web.WebSocketResponse, line: Line, key: str = "") -> None:
        super().__init__(socket, wrapped=False, line=line)
        self.key = key
        self.subscriptions: set[int] = set()
        self._numbers = itertools.count(1)
        self._awaited: dict[bytes, asyncio.Event] = {}

    @classmethod
    async def accept(cls, request: web.Request, key: str = "") -> Self:
        """Take in a client."""
        socket = web.WebSocketResponse(
            compress=False, autoping=False, max_msg_size=1 << 20, timeout=CLOSE_SECONDS
        )
        await socket.prepare(request)
        return cls(socket, Line(request.transport), key)

    async def messages(self) -> AsyncIterator[str]:
        """The texts that the client sends, until it closes; its pings are answered."""
        async for message in self.socket:
            if message.type is WSMsgType.TEXT:
                yield message.data
            elif message.type is WSMsgType.PING:
                await self.line.pong(self.socket, message.data)
            else:
                self._take_pong(message)

    async def caught_up(self) -> None:
        """Return when the client has read what was queued for it until now; a client that is gone never does."""
        await self._queue.join()
        sign = b"read-%d" % next(self._numbers)
        arrived = self._awaited[sign] = asyncio.Event()
        try:
            if not self.line.deaf:
                await self.socket.ping(sign)
            await arrived.wait()
        finally:
            del self._awaited[sign]

    def _take_pong(self, message: WSMessage) -> None:
        if message.type is WSMsgType.PONG and (arrived := self._awaited.get(bytes(message.data))):
            arrived.set()
