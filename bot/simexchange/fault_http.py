"""Faults of REST requests and of the handshakes of streams: a layer around what answers them.

A request that no fault takes goes through as it came. One that a fault takes is carried out or not, answered or not,
as the fault says, and the log gets what was true: whether it was carried out, and with which answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from aiohttp import web

from bot.simexchange.fault_actions import (
    Answer,
    Delay,
    DropAfter,
    DropBefore,
    Refuse,
    Restart,
    Spoil,
    Target,
    text_of,
)
from bot.simexchange.fault_desk import Act, FaultDesk
from bot.simexchange.fault_hiding import OrderHiding
from bot.simexchange.fault_messages import torn
from bot.simexchange.fault_sight import RequestSight
from bot.simexchange.okx_faults import body_params, error_body, is_okx
from bot.simexchange.okx_hiding import OkxHiding

log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

HTML = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
MAINTENANCE = "<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"


class HttpFaults:
    """What a desk decides over requests, carried out."""

    def __init__(
        self,
        desk: FaultDesk,
        *,
        tick: Callable[[], None],
        restart: Callable[[Restart], None],
        now_ms: Callable[[], int],
    ) -> None:
        """``tick`` lets the time set off what is due; ``restart`` ends the process."""
        self._desk = desk
        self._tick = tick
        self._restart = restart
        self._now_ms = now_ms
        self._hiding = OrderHiding(desk)
        self._okx_hiding = OkxHiding(desk)
        self._numbers = count(1)

    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request through ``handler``, as the plan lets it."""
        self._tick()
        is_stream = request.headers.get("Upgrade", "").lower() == "websocket"
        if self._desk.refuses(stream=is_stream):
            return _cut(request)
        if self._desk.in_maintenance:
            return _text(503, MAINTENANCE)
        if not (self._desk.minds(Target.ROUTE) or self._desk.minds(Target.ORDER) or self._desk.hides):
            return await handler(request)  # nothing to look for
        params = await _params(request)
        number = next(self._numbers)
        sight = RequestSight(number, request.method, request.path, params, self._now_ms())
        act = self._desk.on_request(sight)
        if act is not None:
            log.info("fault %s on %s", act.fault.name, sight.name)
            return await _Disturbed(act, sight, request, handler, self).carried_out()
        return await self.answered(request, params, handler)

    async def answered(
        self, request: web.Request, params: Mapping[str, str], handler: Handler
    ) -> web.StreamResponse:
        """The true answer, but for orders that are not to be found yet."""
        of_okx = is_okx(request.path)
        if of_okx:
            code = self._okx_hiding.refusal(request.method, request.path, params)
            refusal = None if code is None else (code, text_of(code, None))
        else:
            refusal = self._hiding.refusal(request.method, params)
        if refusal is not None:
            return _error(request, 400, *refusal)
        response = await handler(request)
        if self._desk.hides and isinstance(response, web.Response) and response.text is not None:
            hiding = self._okx_hiding if of_okx else self._hiding
            shown = hiding.shown(request.method, response.text)
            if shown is not None:
                response.text = shown
        return response

    def truth(self, act: Act, sight: RequestSight, response: web.StreamResponse | None) -> None:
        """Log whether a request was carried out, and the true answer."""
        facts: dict[str, Any] = {"request_id": sight.number, "executed": response is not None}
        if response is not None:
            facts["status"] = response.status
        if isinstance(response, web.Response) and sight.name.split(maxsplit=1)[0] != "GET":
            facts["answer"] = _json(response.text)
        self._desk.truth(act, **facts)

    def restart(self, action: Restart) -> None:
        """End the process as a fault says."""
        self._restart(action)


class _Disturbed:
    """One request that a fault took."""

    def __init__(
        self, act: Act, sight: RequestSight, request: web.Request, handler: Handler, faults: HttpFaults
    ) -> None:
        self._act = act
        self._sight = sight
        self._request = request
        self._handler = handler
        self._faults = faults

    async def carried_out(self) -> web.StreamResponse:
        """Do what the fault says; the answer that the client gets, if it gets one."""
        match self._act.action:
            case DropBefore(delay_ms=delay_ms):
                await self._true_answer(executed=False)
                await asyncio.sleep(delay_ms / 1000)
                return _cut(self._request)
            case DropAfter(delay_ms=delay_ms):
                await self._true_answer()
                await asyncio.sleep(delay_ms / 1000)
                return _cut(self._request)
            case Delay(delay_ms=delay_ms, when=when):
                return await self._late(delay_ms / 1000, when)
            case Answer() as answer:
                return await self._another(answer)
            case Spoil(how=how):
                return _spoilt(await self._true_answer(), how)
            case Refuse(code=code, text=text, status=status):
                await self._true_answer(executed=False)
                return _error(self._request, status, code, text)
            case Restart() as restart:
                await self._true_answer(executed=restart.executed)
                self._faults.restart(restart)
                return _cut(self._request)
        return await self._true_answer() or _cut(self._request)

    async def _true_answer(self, *, executed: bool = True) -> web.StreamResponse | None:
        """Carry the request out or not, and log which."""
        response = None
        if executed:
            response = await self._faults.answered(self._request, self._sight.params, self._handler)
        self._faults.truth(self._act, self._sight, response)
        return response

    async def _late(self, seconds: float, when: str) -> web.StreamResponse:
        if when == "before":
            await asyncio.sleep(seconds)
        response = await self._true_answer()
        if when == "after":
            await asyncio.sleep(seconds)
        return response or _cut(self._request)

    async def _another(self, answer: Answer) -> web.StreamResponse:
        await self._true_answer(executed=answer.executed)
        await asyncio.sleep(answer.delay_ms / 1000)
        headers = {} if answer.retry_after_s is None else {"Retry-After": str(answer.retry_after_s)}
        if answer.body is not None:
            return _text(answer.status, answer.body, headers)
        if answer.code is None:
            return _text(answer.status, answer.text or "", headers)
        if is_okx(self._request.path):
            body = error_body(self._request.method, self._request.path, answer.code, answer.text)
            return _text(answer.status, json.dumps(body, separators=(",", ":")), headers)
        return _error(self._request, answer.status, answer.code, answer.text, headers)


async def _params(request: web.Request) -> dict[str, str]:
    """The parameters of a request, of its URL and of its form; aiohttp keeps the body for who reads it next."""
    body = await request.text()
    given = body_params(body) if is_okx(request.path) else None
    return {**(dict(parse_qsl(body)) if given is None else given), **request.query}


def _cut(request: web.Request) -> web.Response:
    """Cut the connection; the response goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


def _error(
    request: web.Request, status: int, code: int, text: str | None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error in the exchange's shape; those of OKX come with status 200."""
    body: dict[str, Any] = {"code": code, "msg": text_of(code, text)}
    if is_okx(request.path):
        status, body = 200, error_body(request.method, request.path, code, text)
    return _text(status, json.dumps(body, separators=(",", ":")), headers)


def _text(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    kind = "text/html" if text.lstrip().startswith("<") else "application/json"
    return web.Response(status=status, text=text, content_type=kind, headers=dict(headers or {}))


def _spoilt(response: web.StreamResponse | None, how: str) -> web.Response:
    """An answer with status 200 that cannot be used."""
    text = response.text if isinstance(response, web.Response) else None
    match how:
        case "html":
            return _text(200, HTML)
        case "empty":
            return _text(200, "")
        case "cut":
            return _text(200, torn(text or "{}", 0.5))
    return _text(200, json.dumps(_nulled(_json(text), how)))


def _nulled(value: Any, how: str) -> Any:
    """Rows as null, or with values of null; OKX's are in an envelope, which stays."""
    if isinstance(value, dict) and isinstance(value.get("data"), list) and "code" in value:
        return {**value, "data": _nulled(value["data"], how)}
    if isinstance(value, list):
        return [None if how == "null_rows" else _nulled_row(row) for row in value]
    return _nulled_row(value) if how == "null_fields" else None


def _nulled_row(row: Any) -> Any:
    if isinstance(row, dict):
        return dict.fromkeys(row)
    return [None] * len(row) if isinstance(row, list) else None


def _json(text: str | None) -> Any:
    """What a text says, or the text where it is no JSON."""
    try:
        return json.loads(text or "null")
    except ValueError:
        return text
