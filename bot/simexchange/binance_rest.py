"""Binance's REST endpoints for market data, spot and USD-M, on the visible part of a market."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from bot.simexchange import exchange_info
from bot.simexchange.bars import number, rest_row
from bot.simexchange.config import Market
from bot.simexchange.market import FUNDING_INTERVAL_MS, INTEREST_RATE, INTERVALS_MS, VisibleMarket
from bot.simexchange.orders import Refusal
from bot.simexchange.parameters import Params, integer, needed, rows
from bot.simexchange.routes import Route, Routes, weighing


class BinanceRest:
    """Answers with what everybody may see."""

    def __init__(
        self,
        market: VisibleMarket,
        now_ms: Callable[[], int],
        told_ms: Callable[[], int],
        half_spread_bps: float,
    ) -> None:
        """``now_ms``: market time; ``told_ms``: the time as clients are told it, which may be wrong."""
        self._market = market
        self._now_ms = now_ms
        self._told_ms = told_ms
        self._half_spread = half_spread_bps / 10_000

    def routes(self) -> Routes:
        """What it serves."""
        played = self._spot() if self._market.market is Market.SPOT else self._futures()
        return {**self._common(), **played}

    def _common(self) -> Routes:
        """What ccxt asks of every market, played here or not: one that is not has no symbols."""
        routes: Routes = {}
        for prefix in ("/api/v3", "/fapi/v1", "/dapi/v1"):
            routes["GET", f"{prefix}/ping"] = Route(lambda _: {})
            routes["GET", f"{prefix}/time"] = Route(lambda _: {"serverTime": self._told_ms()})
        routes["GET", "/api/v3/exchangeInfo"] = Route(
            lambda _: exchange_info.spot_info(self._listed(Market.SPOT), self._now_ms()), weighing(20)
        )
        routes["GET", "/fapi/v1/exchangeInfo"] = Route(
            lambda _: exchange_info.futures_info(self._listed(Market.USDM), self._now_ms())
        )
        routes["GET", "/dapi/v1/exchangeInfo"] = Route(
            lambda _: exchange_info.futures_info([], self._now_ms())
        )
        return routes

    def _spot(self) -> Routes:
        return {
            ("GET", "/api/v3/klines"): Route(lambda params: self._klines(params, 1000), weighing(2)),
            ("GET", "/api/v3/ticker/bookTicker"): Route(self._spot_touch, weighing(2, 4)),
        }

    def _futures(self) -> Routes:
        return {
            ("GET", "/fapi/v1/klines"): Route(lambda params: self._klines(params, 1500), _klines_weight),
            ("GET", "/fapi/v1/fundingRate"): Route(self._funding_rates),
            ("GET", "/fapi/v1/fundingInfo"): Route(self._funding_terms),
            ("GET", "/fapi/v1/premiumIndex"): Route(self._premium_index, weighing(1, 10)),
            ("GET", "/fapi/v1/ticker/bookTicker"): Route(self._futures_touch, weighing(2, 5)),
        }

    def _listed(self, market: Market) -> list[exchange_info.Listing]:
        return list(self._market.listings.values()) if market is self._market.market else []

    def _klines(self, params: Params, most: int) -> str:
        symbol = self._symbol(params)
        interval = needed(params, "interval")
        if interval not in INTERVALS_MS:
            raise Refusal(-1120, "Invalid interval.")
        limit = rows(params, 500, most)
        since, until = integer(params, "startTime"), integer(params, "endTime")
        if since is not None and until is not None and since > until:
            raise Refusal(-1101, "Start time is greater than end time.")
        duration = INTERVALS_MS[interval]
        bars = self._market.klines(symbol, duration, since, until, limit, self._now_ms())
        return f"[{','.join([rest_row(bar, duration) for bar in bars])}]"

    def _funding_rates(self, params: Params) -> list[dict[str, Any]]:
        now = self._now_ms()
        symbols = [self._symbol(params)] if "symbol" in params else list(self._market.listings)
        since, until = integer(params, "startTime"), integer(params, "endTime")
        limit = min(integer(params, "limit", 100) or 100, 1000)
        last = now if until is None else min(until, now)
        paid: list[dict[str, Any]] = []
        for symbol in symbols:
            times = self._market.funding_times(symbol, since if since is not None else 0, last)
            for time in times[:limit] if since is not None else times[-limit:]:
                rate = f"{self._market.funding_rate(symbol, time):.8f}"
                price = self._market.trading_price(symbol, time)
                mark = number(price) if price is not None else ""
                paid.append({"symbol": symbol, "fundingTime": time, "fundingRate": rate, "markPrice": mark})
        paid.sort(key=lambda row: row["fundingTime"])
        return paid[:limit] if since is not None else paid[-limit:]

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

    def _spot_touch(self, params: Params) -> Any:
        if "symbol" in params:
            return self._touch(self._symbol(params))
        try:
            wanted = json.loads(params["symbols"]) if "symbols" in params else list(self._market.listings)
        except ValueError as error:
            raise Refusal(-1100, "Illegal characters found in parameter 'symbols'.") from error
        if not isinstance(wanted, list):
            raise Refusal(-1100, "Illegal characters found in parameter 'symbols'.")
        return [self._touch(self._symbol({"symbol": str(symbol)})) for symbol in wanted]

    def _futures_touch(self, params: Params) -> Any:
        now = self._now_ms()
        more = {"time": now, "lastUpdateId": now}
        if "symbol" in params:
            return {**self._touch(self._symbol(params)), **more}
        return [{**self._touch(symbol), **more} for symbol in self._market.listings]

    def _touch(self, symbol: str) -> dict[str, Any]:
        """Best bid and ask: half a spread off the price, on the tick; how much is there is made up."""
        listing = self._market.listings[symbol]
        price = self._market.last_price(symbol, self._now_ms()) or 0.0
        digits = len(number(listing.tick).partition(".")[2])
        bid = round(math.floor(price * (1 - self._half_spread) / listing.tick + 1e-9) * listing.tick, digits)
        ask = round(math.ceil(price * (1 + self._half_spread) / listing.tick - 1e-9) * listing.tick, digits)
        if ask <= bid:
            ask = round(bid + listing.tick, digits)
        there = number(1_000 * listing.step)
        return {
            "symbol": symbol,
            "bidPrice": number(bid),
            "bidQty": there,
            "askPrice": number(ask),
            "askQty": there,
        }

    def _symbol(self, params: Params) -> str:
        symbol = needed(params, "symbol")
        if symbol not in self._market.listings:
            raise Refusal(-1121, "Invalid symbol.")
        return symbol


def _klines_weight(params: Params) -> int:
    limit = integer(params, "limit", 500) or 500
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
