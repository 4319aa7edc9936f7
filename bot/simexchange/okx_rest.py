"""The REST side of OKX: finds the route, checks the signature, answers in OKX's envelope.

Every answer is ``{"code": …, "data": […], "msg": …}``, and almost every error too, with HTTP status 200. A route that
trades tells of each order by itself (``sCode``, ``sMsg``): the code above them is 0 where all went well, 1 where none
did, and 2 where some did. A route that is not served is answered with 404 and logged as an error.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from bot.simexchange.okx_codes import FIRST_OF_AN_ORDER, in_words_of_okx
from bot.simexchange.okx_routes import Given, OkxLimits, OkxRoute, OkxRoutes, Rows
from bot.simexchange.okx_signing import OkxGate
from bot.simexchange.orders import Refusal

log = logging.getLogger(__name__)


class OkxRest:
    """Answers REST requests; ``routes`` may be added to."""

    def __init__(
        self,
        gate: OkxGate,
        limits: OkxLimits,
        *,
        loop_s: Callable[[], float],
        settle: Callable[[], object],
    ) -> None:
        """``loop_s`` counts wall seconds; ``settle`` stores and tells what a request changed, before its answer."""
        self.routes: OkxRoutes = {}
        self._gate = gate
        self._limits = limits
        self._loop_s = loop_s
        self._settle = settle

    async def respond(self, request: web.Request) -> web.Response:
        """Answer one request; never raises for what a client did wrong."""
        route = self.routes.get((request.method, request.path))
        if route is None:
            log.error("no such route: %s %s%s", request.method, request.host, request.path)
            return envelope(
                "404", [], f"{request.method} {request.path} is not served by the simulated exchange", 404
            )
        return self.answer(request, route, await request.text())

    def answer(self, request: web.Request, route: OkxRoute, body: str) -> web.Response:
        """Carry out a request of which everything has come in, without a pause; ``body`` is JSON."""
        try:
            self._limits.charge(self._loop_s(), f"{request.method} {request.path}", route.per_stretch)
            self._gate.admit(route.security, request.headers, request.method, request.raw_path, body)
            if request.method == "GET":
                return envelope("0", route.answer(dict(parse_qsl(request.raw_path.partition("?")[2]))))
            return self._posted(route, _json(body))
        except Refusal as refusal:
            told = in_words_of_okx(refusal)
            # Its parameters are not logged: they are signed.
            log.warning("refused: %s %s: %s %s", request.method, request.path, told.code, told)
            return envelope(str(told.code), [], str(told), told.status)
        finally:
            self._settle()

    @staticmethod
    def _posted(route: OkxRoute, asked: Any) -> web.Response:
        given = asked if isinstance(asked, list) else [asked]
        if not given or not all(isinstance(one, dict) for one in given):
            raise Refusal(50002, "JSON syntax error", 400)
        if route.echo is None:
            return envelope("0", route.answer(given[0]))
        rows = [row for one in given for row in _each(route, route.echo, one)]
        failed = sum(row["sCode"] != "0" for row in rows)
        code = "0" if not failed else "1" if failed == len(rows) else "2"
        return envelope(
            code,
            rows,
            {"1": "All operations failed", "2": "Bulk operation partially succeeded."}.get(code, ""),
        )


def envelope(code: str, rows: Rows, message: str = "", status: int = 200) -> web.Response:
    """An answer in OKX's shape."""
    body = json.dumps({"code": code, "data": rows, "msg": message}, separators=(",", ":"))
    return web.Response(text=body, status=status, content_type="application/json")


def _each(route: OkxRoute, echo: Callable[[Given], dict[str, Any]], one: Given) -> Rows:
    """One order of a request that trades: what came of it."""
    repeated = echo(one)
    try:
        return [{**repeated, **row, "sCode": "0", "sMsg": ""} for row in route.answer(one)]
    except Refusal as refusal:
        told = in_words_of_okx(refusal)
        if told.code < FIRST_OF_AN_ORDER:
            raise
        log.warning("refused: an order: %s %s", told.code, told)
        return [{**repeated, "sCode": str(told.code), "sMsg": str(told)}]


def _json(body: str) -> Any:
    try:
        return json.loads(body) if body else {}
    except ValueError:
        raise Refusal(50002, "JSON syntax error", 400) from None
