"""The REST side of the exchange: finds the route, counts, checks the signature, answers in Binance's shape.

An error is Binance's JSON, ``{"code": -1121, "msg": "Invalid symbol."}``. A route that is not served is answered
with 404 and logged as an error: a client that needs it must not believe that it works.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from bot.simexchange.orders import Refusal
from bot.simexchange.rate_limits import RateLimits
from bot.simexchange.routes import Route, Routes
from bot.simexchange.signing import ExchangeTime, Gate

log = logging.getLogger(__name__)


class RestServer:
    """Answers REST requests; ``routes`` may be added to."""

    def __init__(
        self,
        gate: Gate,
        limits: RateLimits,
        time: ExchangeTime,
        *,
        loop_s: Callable[[], float],
        settle: Callable[[], object],
    ) -> None:
        """``loop_s`` counts wall seconds; ``settle`` stores and tells what a request changed, before its answer."""
        self.routes: Routes = {}
        self._gate = gate
        self._limits = limits
        self._time = time
        self._loop_s = loop_s
        self._settle = settle

    async def respond(self, request: web.Request) -> web.Response:
        """Answer one request; never raises for what a client did wrong."""
        route = self.routes.get((request.method, request.path))
        if route is None:
            log.error("no such route: %s %s%s", request.method, request.host, request.path)
            message = f"Path {request.path}, Method {request.method} is not served by the simulated exchange"
            return _refused(Refusal(-5000, message, 404))
        query = request.raw_path.partition("?")[2]
        body = await request.text()
        return self.answer(request, route, query, body)

    def answer(self, request: web.Request, route: Route, query: str, body: str) -> web.Response:
        """Carry out a request of which everything has come in, without a pause; ``body`` is a form."""
        params = {name: value for text in (body, query) for name, value in parse_qsl(text)}
        weight = 1
        headers: dict[str, str] = {}
        try:
            weight = route.weight(params)
            charge = self._limits.charge(self._loop_s(), self._time.told(), weight, route.orders)
            headers = charge.headers
            if charge.refusal is not None:
                raise charge.refusal
            self._gate.admit(route.security, request.headers.get("X-MBX-APIKEY"), query + body, params)
            answer = route.answer(params)
            reply = _text(answer, 200) if isinstance(answer, str) else _json(answer)
        except Refusal as refusal:
            # Its parameters are not logged: they are signed.
            log.warning("refused: %s %s: %s %s", request.method, request.path, refusal.code, refusal)
            reply = _refused(refusal)
        finally:
            self._settle()
        reply.headers.update(headers)
        return reply


def _refused(refusal: Refusal) -> web.Response:
    return _json({"code": refusal.code, "msg": str(refusal)}, refusal.status)


def _json(body: Any, status: int = 200) -> web.Response:
    return _text(json.dumps(body, separators=(",", ":")), status)


def _text(text: str, status: int) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/json")
