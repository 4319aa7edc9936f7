"""Binance's REST endpoints for market data, spot and USD-M, on the visible part of a market.

An error is Binance's JSON, ``{"code": -1121, "msg": "Invalid symbol."}``. A route that is not served here is
answered with 404 and logged as an error: a client that needs it must not believe that it works.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from aiohttp import web

from bot.simexchange import exchange_info
from bot.simexchange.bars import number, rest_row
from bot.simexchange.config import Market
from bot.simexchange.market import FUNDING_INTERVAL_MS, INTEREST_RATE, INTERVALS_MS, VisibleMarket

log = logging.getLogger(__name__)

Params: TypeAlias = Mapping[str, str]
Handler: TypeAlias = Callable[[Params], Any]


class ApiError(Exception):
    """An error in Binance's shape."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def reply(self) -> web.Response:
        """The error as a response."""
        return _json({"code": self.code, "msg": str(self)}, self.status)


class Route(NamedTuple):
    """What answers a request (JSON values, or text that is JSON), and its weight against the rate limit."""

    answer: Handler
    weight: Callable[[Params], int]


class BinanceRest:
    """Answers REST requests; ``routes`` may be added to."""

    def __init__(self, market: VisibleMarket, now_ms: Callable[[], int], loop_s: Callable[[], float]) -> None:
        """``now_ms`` is market time; ``loop_s`` counts the seconds of the rate limit."""
        self._market = market
        self._now_ms = now_ms
        self._loop_s = loop_s
        self._weights: dict[int, int] = {}
        self.routes: dict[tuple[str, str], Route] = dict(self._common())
        self.routes.update(self._spot() if market.market is Market.SPOT else self._futures())

    def respond(self, request: web.Request) -> web.Response:
        """Answer one request; never raises for what a client did wrong."""
        route = self.routes.get((request.method, request.path))
        if route is None:
            log.error("no such route: %s %s%s", request.method, request.host, request.path_qs)
            message = f"Path {request.path}, Method {request.method} is not served by the simulated exchange"
            return ApiError(-5000, message, 404).reply()
        params = dict(request.query)
        try:
            answer = route.answer(params)
            reply = _json(answer) if not isinstance(answer, str) else _text(answer, 200)
            weight = route.weight(params)
        except ApiError as error:
            log.warning("refused: %s %s: %s", request.method, request.path_qs, error)
            reply, weight = error.reply(), 1
        reply.headers["X-MBX-USED-WEIGHT-1M"] = str(self._weigh(weight))
        return reply

    def _common(self) -> dict[tuple[str, str], Route]:
        """What ccxt asks of every market, played here or not: one that is not has no symbols."""
        routes: dict[tuple[str, str], Route] = {}
        for prefix in ("/api/v3", "/fapi/v1", "/dapi/v1"):
            routes["GET", f"{prefix}/ping"] = Route(lambda _: {}, _one)
            routes["GET", f"{prefix}/time"] = Route(lambda _: {"serverTime": self._now_ms()}, _one)
        routes["GET", "/api/v3/exchangeInfo"] = Route(
            lambda _: exchange_info.spot_info(self._listed(Market.SPOT), self._now_ms()), lambda _: 20
        )
        routes["GET", "/fapi/v1/exchangeInfo"] = Route(
            lambda _: exchange_info.futures_info(self._listed(Market.USDM), self._now_ms()), _one
        )
        routes["GET", "/dapi/v1/exchangeInfo"] = Route(
            lambda _: exchange_info.futures_info([], self._now_ms()), _one
        )
        return routes

    def _spot(self) -> dict[tuple[str, str], Route]:
        return {("GET", "/api/v3/klines"): Route(lambda params: self._klines(params, 1000), lambda _: 2)}

    def _futures(self) -> dict[tuple[str, str], Route]:
        return {
            ("GET", "/fapi/v1/klines"): Route(lambda params: self._klines(params, 1500), _klines_weight),
            ("GET", "/fapi/v1/fundingRate"): Route(self._funding_rates, _one),
            ("GET", "/fapi/v1/fundingInfo"): Route(self._funding_terms, _one),
            ("GET", "/fapi/v1/premiumIndex"): Route(
                self._premium_index, lambda params: 1 if "symbol" in params else 10
            ),
        }

    def _listed(self, market: Market) -> list[exchange_info.Listing]:
        return list(self._market.listings.values()) if market is self._market.market else []

    def _klines(self, params: Params, most: int) -> str:
        symbol = self._symbol(params)
        interval = _needed(params, "interval")
        if interval not in INTERVALS_MS:
            raise ApiError(-1120, "Invalid interval.")
        limit = _integer(params, "limit", 500)
        if limit is None or limit < 1:
            raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
        since, until = _integer(params, "startTime"), _integer(params, "endTime")
        if since is not None and until is not None and since > until:
            raise ApiError(-1101, "Start time is greater than end time.")
        duration = INTERVALS_MS[interval]
        bars = self._market.klines(symbol, duration, since, until, min(limit, most), self._now_ms())
        return f"[{','.join([rest_row(bar, duration) for bar in bars])}]"

    def _funding_rates(self, params: Params) -> list[dict[str, Any]]:
        now = self._now_ms()
        symbols = [self._symbol(params)] if "symbol" in params else list(self._market.listings)
        since, until = _integer(params, "startTime"), _integer(params, "endTime")
        limit = min(_integer(params, "limit", 100) or 100, 1000)
        last = now if until is None else min(until, now)
        rows: list[dict[str, Any]] = []
        for symbol in symbols:
            times = self._market.funding_times(symbol, since if since is not None else 0, last)
            for time in times[:limit] if since is not None else times[-limit:]:
                rate = f"{self._market.funding_rate(symbol, time):.8f}"
                price = self._market.last_price(symbol, time)
                mark = number(price) if price is not None else ""
                rows.append({"symbol": symbol, "fundingTime": time, "fundingRate": rate, "markPrice": mark})
        rows.sort(key=lambda row: row["fundingTime"])
        return rows[:limit] if since is not None else rows[-limit:]

    def _funding_terms(self, params: Params) -> list[dict[str, Any]]:
        del params
        terms = {
            "adjustedFundingRateCap": "0.02",
            "adjustedFundingRateFloor": "-0.02",
            "fundingIntervalHours": 8,
        }
        return [{"symbol": symbol, **terms, "disclaimer": False} for symbol in self._market.listings]

    def _premium_index(self, params: Params) -> Any:
        if "symbol" in params:
            return self._premium(self._symbol(params))
        return [self._premium(symbol) for symbol in self._market.listings]

    def _premium(self, symbol: str) -> dict[str, Any]:
        now = self._now_ms()
        price = number(self._market.last_price(symbol, now) or 0.0)
        due = now - now % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS
        return {
            "symbol": symbol,
            "markPrice": price,
            "indexPrice": price,
            "estimatedSettlePrice": price,
            "lastFundingRate": f"{self._market.funding_rate(symbol, due):.8f}",
            "interestRate": f"{INTEREST_RATE:.8f}",
            "nextFundingTime": due,
            "time": now,
        }

    def _symbol(self, params: Params) -> str:
        symbol = _needed(params, "symbol")
        if symbol not in self._market.listings:
            raise ApiError(-1121, "Invalid symbol.")
        return symbol

    def _weigh(self, weight: int) -> int:
        """Count towards the running minute of this machine's time."""
        minute = int(self._loop_s() // 60)
        self._weights = {minute: self._weights.get(minute, 0) + weight}
        return self._weights[minute]


def _json(body: Any, status: int = 200) -> web.Response:
    return _text(json.dumps(body, separators=(",", ":")), status)


def _text(text: str, status: int) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/json")


def _one(params: Params) -> int:
    del params
    return 1


def _klines_weight(params: Params) -> int:
    limit = _integer(params, "limit", 500) or 500
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def _needed(params: Params, name: str) -> str:
    value = params.get(name)
    if not value:
        raise ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def _integer(params: Params, name: str, default: int | None = None) -> int | None:
    text = params.get(name)
    if text is None:
        return default
    if not text.lstrip("-").isdigit():
        raise ApiError(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
        )
    return int(text)
