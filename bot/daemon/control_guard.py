"""What stands before the control API: only whole, small requests of those who may ask reach it.

A request is refused for its host (a page of the web that points its own name at this machine), its length, its pace, and
for want of the token. What goes wrong behind is told in the log and answered with 500: it never ends the daemon.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson

from bot.daemon.telling import Log
from bot.web.asgi import App, Knocks, Message, Receive, Refused, Scope, Send, is_meant_for

LARGEST_BODY: Final = 4096
"""Bytes; a command is some fifty."""

MOST_HEADERS: Final = 100
BODY_SECONDS: Final = 5.0
MOST_DRAINED: Final = 65_536
DRAIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may ask what.

    Attributes:
        token: What commands need.
        loopback: Whether the API listens to this machine only.
        host: The address that it listens on.
        open_paths: Need no token as long as only this machine can ask.
    """

    token: str
    loopback: bool
    host: str
    open_paths: frozenset[str]

    def fault(self, path: str, headers: Mapping[bytes, bytes]) -> Refused | None:
        """Why a request is refused, judged by its head; None where it is not."""
        if self.loopback and not is_meant_for(headers.get(b"host"), self.host):
            return Refused(421, "this API answers to 127.0.0.1 and localhost only")
        if path in self.open_paths and self.loopback:
            return None
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not given:
            return Refused(
                401, "the token is missing: send Authorization: Bearer and what control.token holds"
            )
        if not secrets.compare_digest(given.strip(), self.token.encode()):
            return Refused(401, "the token is wrong: it is in control.token, in the daemon's state folder")
        return None


class Guard:
    """An ASGI application around another one.

    Args:
        app: What answers a request that is let through.
        admission: Who may ask what.
        log: Where refusals and faults are told.
        monotonic_ns: A counter that never goes back.
    """

    def __init__(
        self,
        app: App,
        admission: Admission,
        log: Log,
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._app = app
        self._admission = admission
        self._log = log
        self._knocks = Knocks(monotonic_ns)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        answered = _Answer(send)
        try:
            refused = await self._judged(scope, receive, answered)
            if refused is not None:
                self._tell(scope, refused)
                if refused.status == 413:
                    await self._drain(receive)
                await answered.refuse(refused)
        except Exception:  # noqa: BLE001 - nothing is swallowed: the log has it with its traceback
            self._log.error("control.request_failed", path=str(scope["path"])[:100], exc_info=True)
            if not answered.begun:
                await answered.refuse(Refused(500, "the request failed; the log says why"))

    async def _judged(self, scope: Scope, receive: Receive, answered: _Answer) -> Refused | None:
        """Pass a request on, or say why not."""
        if len(scope["headers"]) > MOST_HEADERS:
            return Refused(431, f"a request must not have more than {MOST_HEADERS} headers")
        headers = dict(scope["headers"])
        refused = self._admission.fault(scope["path"], headers)
        if refused is not None:
            return refused
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return Refused(413, f"the body must not be longer than {LARGEST_BODY} bytes")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._body(receive)
        except TimeoutError:
            return Refused(408, f"the body did not come within {BODY_SECONDS:g} seconds")
        if body is None:
            return Refused(413, f"the body must not be longer than {LARGEST_BODY} bytes")
        await self._app(scope, _replayed(body, receive), answered)
        return None

    @staticmethod
    async def _body(receive: Receive) -> bytes | None:
        """The whole body; None where it is too long, or its sender is gone."""
        body = b""
        while True:
            message = await receive()
            body += bytes(message.get("body", b""))
            if message["type"] != "http.request" or len(body) > LARGEST_BODY:
                return None
            if not message.get("more_body", False):
                return body

    @staticmethod
    async def _drain(receive: Receive) -> None:
        """Read what its sender is still sending, within limits: closed in its face it would never read the answer."""
        left = MOST_DRAINED
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _tell(self, scope: Scope, refused: Refused) -> None:
        """One line a minute at most."""
        if (fields := self._knocks.told(scope, refused)) is not None:
            self._log.warning("control.refused", **fields)


class _Answer:
    """Sends an answer; every connection ends with it, so that none can be held open."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            extra = [
                (b"connection", b"close"),
                (b"cache-control", b"no-store"),
                (b"x-content-type-options", b"nosniff"),
            ]
            message = {**message, "headers": [*message.get("headers", []), *extra]}
        await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        """Answer with a sentence."""
        body = orjson.dumps({"error": refused.sentence})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if refused.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body that was read already, then what else comes."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
