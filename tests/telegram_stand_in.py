"""A server that speaks Telegram's Bot API over a real socket, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson
from aiohttp import web

TOKEN = "7654321:CanaryTelegramR4kWzXc8VbN2mQs6TdY1uEjHpL0gA"
BOT_NAME = "desk_bot"
CHAT = 1001
STRANGER = 6666


class Canned(NamedTuple):
    """An answer that is given instead of the right one.

    Attributes:
        status: Of HTTP.
        body: Its bytes.
        headers: More of them.
        cut: Whether the connection is closed in the middle.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    cut: bool = False


def refusal(code: int, words: str = "refused", **parameters: Any) -> Canned:
    """A refusal as the API writes it."""
    body = {"ok": False, "error_code": code, "description": words}
    return Canned(code, orjson.dumps(body | ({"parameters": parameters} if parameters else {})))


class TelegramStandIn:
    """What the server knows.

    Attributes:
        url: Where it is.
        updates: What waits to be fetched.
        sent: Chat and text of each answer that it took.
        asked: Method and parameters of each request.
        canned: By method, answers that come before the right ones.
        forget: Whether updates are dropped once a later offset was asked for, as Telegram does.
    """

    def __init__(self) -> None:
        self.url = ""
        self.updates: list[Any] = []
        self.sent: list[tuple[int, str]] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.canned: dict[str, deque[Canned]] = {}
        self.forget = True
        self.paths: list[str] = []
        self._next_id = 500
        self._changed = asyncio.Event()

    def say(
        self, text: str, *, sent_ms: int, chat: int = CHAT, update_id: int | None = None, **more: Any
    ) -> int:
        """A person writes; returns the number of the update."""
        number = self._next_id if update_id is None else update_id
        self._next_id = max(self._next_id, number) + 1
        message = {
            "message_id": number,
            "from": {"id": 42, "is_bot": False},
            "chat": {"id": chat, "type": "private"},
            "date": sent_ms // 1000,
            "text": text,
            **more,
        }
        self.add({"update_id": number, "message": message})
        return number

    def add(self, update: Any) -> None:
        """Something waits to be fetched."""
        self.updates.append(update)
        self._changed.set()

    def answer_next(self, method: str, *answers: Canned) -> None:
        """Give these answers before the right ones."""
        self.canned.setdefault(method, deque()).extend(answers)

    def count(self, method: str) -> int:
        """How often a method was asked for."""
        return sum(name == method for name, _ in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.paths.append(request.path)
        method = request.path.rpartition("/")[2]
        given = orjson.loads(await request.read() or b"{}")
        self.asked.append((method, given))
        if waiting := self.canned.get(method):
            return await self._give(request, waiting.popleft())
        if request.path != f"/bot{TOKEN}/{method}":
            return await self._give(request, refusal(401, "Unauthorized"))
        result = await getattr(self, f"_{method}")(given)
        return web.json_response({"ok": True, "result": result})

    async def _getMe(self, _given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the API's name
        return {"id": 7654321, "is_bot": True, "username": BOT_NAME}

    async def _getUpdates(self, given: dict[str, Any]) -> list[Any]:  # noqa: N802
        offset = given.get("offset")
        if offset is not None and self.forget:
            self.updates = [one for one in self.updates if not _before(one, offset)]
        if not self.updates:
            self._changed.clear()
            try:
                async with asyncio.timeout(given.get("timeout", 0)):
                    await self._changed.wait()
            except TimeoutError:
                return []
        return self.updates[: given.get("limit", 100)]

    async def _sendMessage(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.sent.append((given["chat_id"], given["text"]))
        return {"message_id": len(self.sent)}

    async def _getWebhookInfo(self, _given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"url": ""}

    async def _getChat(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"id": given["chat_id"], "type": "private"}

    @staticmethod
    async def _give(request: web.Request, canned: Canned) -> web.StreamResponse:
        if not canned.cut:
            return web.Response(status=canned.status, body=canned.body, headers=canned.headers)
        response = web.StreamResponse(headers={"Content-Length": str(len(canned.body) + 100)})
        await response.prepare(request)
        await response.write(canned.body)
        assert request.transport is not None
        request.transport.close()
        return response


def _before(update: Any, offset: int) -> bool:
    return (
        isinstance(update, dict) and isinstance(update.get("update_id"), int) and update["update_id"] < offset
    )


@asynccontextmanager
async def telegram() -> AsyncIterator[TelegramStandIn]:
    """A server on loopback, for as long as the block runs."""
    stand_in = TelegramStandIn()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", stand_in.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stand_in
    finally:
        await runner.cleanup()
