"""OKX's REST endpoints for what everybody may see: swaps, candles, funding rates, best prices, on the visible market."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.simexchange.bars import MINUTE_MS, Bar, number
from bot.simexchange.exchange_info import Listing
from bot.simexchange.leverage import maintenance_ratio
from bot.simexchange.market import FUNDING_INTERVAL_MS, INTERVALS_MS, VisibleMarket
from bot.simexchange.okx_listing import MAX_LEVERAGE, Swaps, contracts, family, inst_id
from bot.simexchange.okx_routes import Given, OkxRoute, OkxRoutes, Rows, number_of_rows, text, whole, wrong

RECENT_BARS = 1_440
"""How far back ``market/candles`` goes; older bars are in ``market/history-candles``."""

MOST_BARS, MOST_RATES = 300, 400
DAY_MS = 1_440 * MINUTE_MS
TOUCH_SIZE = "1000"
"""What the best bid and ask are told to hold, contracts."""

BARS_MS = {
    **{name: width for name, width in INTERVALS_MS.items() if name.endswith("m")},
    **{name.upper(): INTERVALS_MS[name] for name in ("1h", "2h", "4h")},
    **{f"{name.upper()}utc": INTERVALS_MS[name] for name in ("6h", "12h", "1d")},
}
"""By OKX's word for it: 1m, 1H, 6Hutc; days and half days that begin in Hong Kong are not served."""


class OkxMarketData:
    """Answers with what everybody may see."""

    def __init__(
        self,
        market: VisibleMarket,
        swaps: Swaps,
        now_ms: Callable[[], int],
        told_ms: Callable[[], int],
        half_spread_bps: float,
    ) -> None:
        """``now_ms``: market time; ``told_ms``: the time as clients are told it, which may be wrong."""
        self._market = market
        self._swaps = swaps
        self._now_ms = now_ms
        self._told_ms = told_ms
        self._half_spread = half_spread_bps / 10_000

    def routes(self) -> OkxRoutes:
        """What it serves."""
        public, market = "/api/v5/public", "/api/v5/market"
        return {
            ("GET", f"{public}/time"): OkxRoute(lambda _: [{"ts": str(self._told_ms())}]),
            ("GET", f"{public}/instruments"): OkxRoute(self._instruments),
            ("GET", f"{public}/funding-rate"): OkxRoute(self._funding_rate),
            ("GET", f"{public}/funding-rate-history"): OkxRoute(self._funding_history),
            ("GET", f"{public}/mark-price"): OkxRoute(self._mark_prices),
            ("GET", f"{public}/position-tiers"): OkxRoute(self._tiers),
            ("GET", f"{market}/candles"): OkxRoute(self._recent, per_stretch=40),
            ("GET", f"{market}/history-candles"): OkxRoute(self._history),
            ("GET", f"{market}/ticker"): OkxRoute(self._ticker),
            ("GET", f"{market}/tickers"): OkxRoute(self._tickers),
            ("GET", f"{market}/books"): OkxRoute(self._book, per_stretch=40),
            ("GET", "/api/v5/system/status"): OkxRoute(lambda _: []),
        }

    def _instruments(self, given: Given) -> Rows:
        kind = text(given, "instType")
        if kind not in {"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION"}:
            raise wrong("instType")
        rows = self._swaps.rows() if kind == "SWAP" else []
        wanted = text(given, "instId")
        return [row for row in rows if wanted in {"", row["instId"]}]

    # --- candles ----------------------------------------------------------------------------------------------

    def _recent(self, given: Given) -> Rows:
        return self._candles(given, history=False)

    def _history(self, given: Given) -> Rows:
        return self._candles(given, history=True)

    def _candles(self, given: Given, *, history: bool) -> Rows:
        """The newest bars older than ``after`` and newer than ``before``, newest first; history has no open bar."""
        listing = self._swaps.named(text(given, "instId"))
        width = BARS_MS.get(text(given, "bar") or "1m")
        if width is None:
            raise wrong("bar")
        now = self._now_ms()
        begun = now - now % width
        limit = number_of_rows(given, most=MOST_BARS)
        after, before = whole(given, "after"), whole(given, "before")
        newest = begun - width if history else begun
        until = newest if after is None else min(newest, after - 1)
        oldest = 0 if history else begun - (RECENT_BARS - 1) * width
        since = oldest if before is None else max(oldest, before + 1)
        bars = self._market.klines(listing.symbol, width, None, until, limit, now) if until >= since else []
        kept = [bar for bar in bars if bar.opened_at_ms >= since]
        return [row_of_bar(listing, bar, closed=bar.opened_at_ms + width <= now) for bar in reversed(kept)]

    # --- prices -----------------------------------------------------------------------------------------------

    def _ticker(self, given: Given) -> Rows:
        return [self._ticker_of(self._swaps.named(text(given, "instId")))]

    def _tickers(self, given: Given) -> Rows:
        if text(given, "instType") != "SWAP":
            return []
        return [self._ticker_of(listing) for listing in self._swaps.listings.values()]

    def _ticker_of(self, listing: Listing) -> dict[str, Any]:
        now = self._now_ms()
        hours = self._market.klines(listing.symbol, 60 * MINUTE_MS, now - DAY_MS, None, 25, now)
        last = self._price(listing, now)
        bid, ask = self._touch(last)
        volume = round(sum(bar.volume for bar in hours), 8)
        return {
            "instType": "SWAP",
            "instId": inst_id(listing),
            "last": number(last),
            "lastSz": contracts(listing, listing.step),
            "askPx": number(ask),
            "askSz": TOUCH_SIZE,
            "bidPx": number(bid),
            "bidSz": TOUCH_SIZE,
            "open24h": number(hours[0].open if hours else last),
            "high24h": number(max((bar.high for bar in hours), default=last)),
            "low24h": number(min((bar.low for bar in hours), default=last)),
            "volCcy24h": number(volume),
            "vol24h": contracts(listing, volume),
            "sodUtc0": number(hours[0].open if hours else last),
            "sodUtc8": number(hours[0].open if hours else last),
            "ts": str(now),
        }

    def _book(self, given: Given) -> Rows:
        listing = self._swaps.named(text(given, "instId"))
        now = self._now_ms()
        bid, ask = self._touch(self._price(listing, now))
        sides = {"asks": [[number(ask), TOUCH_SIZE, "0", "1"]], "bids": [[number(bid), TOUCH_SIZE, "0", "1"]]}
        return [{**sides, "ts": str(now), "seqId": now}]

    def _mark_prices(self, given: Given) -> Rows:
        now = self._now_ms()
        wanted = text(given, "instId")
        chosen = [self._swaps.named(wanted)] if wanted else list(self._swaps.listings.values())
        return [
            {
                "instType": "SWAP",
                "instId": inst_id(listing),
                "markPx": number(self._price(listing, now)),
                "ts": str(now),
            }
            for listing in chosen
        ]

    def _price(self, listing: Listing, now_ms: int) -> float:
        return self._market.last_price(listing.symbol, now_ms) or 0.0

    def _touch(self, price: float) -> tuple[float, float]:
        return price * (1 - self._half_spread), price * (1 + self._half_spread)

    # --- funding ----------------------------------------------------------------------------------------------

    def _funding_rate(self, given: Given) -> Rows:
        wanted = text(given, "instId")
        if wanted == "ANY":
            return [self._funding_of(listing) for listing in self._swaps.listings.values()]
        return [self._funding_of(self._swaps.named(wanted))]

    def _funding_of(self, listing: Listing) -> dict[str, Any]:
        now = self._now_ms()
        due = now - now % FUNDING_INTERVAL_MS + FUNDING_INTERVAL_MS
        paid = self._market.funding_times(listing.symbol, 0, now)
        settled = f"{self._market.funding_rate(listing.symbol, paid[-1]):.8f}" if paid else "0"
        return {
            "formulaType": "noRate",
            "fundingRate": f"{self._market.funding_rate(listing.symbol, due):.8f}",
            "fundingTime": str(due),
            "impactValue": "",
            "instId": inst_id(listing),
            "instType": "SWAP",
            "interestRate": "",
            "maxFundingRate": "0.015",
            "method": "current_period",
            "minFundingRate": "-0.015",
            "nextFundingRate": "",
            "nextFundingTime": str(due + FUNDING_INTERVAL_MS),
            "premium": "0",
            "settFundingRate": settled,
            "settState": "settled",
            "ts": str(now),
        }

    def _funding_history(self, given: Given) -> Rows:
        listing = self._swaps.named(text(given, "instId"))
        now = self._now_ms()
        after, before = whole(given, "after"), whole(given, "before")
        last = now if after is None else min(now, after - 1)
        times = self._market.funding_times(listing.symbol, 0 if before is None else before + 1, last)
        rows = times[-number_of_rows(given, most=MOST_RATES) :]
        return [self._paid(listing, at_ms) for at_ms in reversed(rows)]

    def _paid(self, listing: Listing, at_ms: int) -> dict[str, Any]:
        rate = f"{self._market.funding_rate(listing.symbol, at_ms):.8f}"
        return {
            "formulaType": "noRate",
            "fundingRate": rate,
            "fundingTime": str(at_ms),
            "instId": inst_id(listing),
            "instType": "SWAP",
            "method": "current_period",
            "realizedRate": rate,
        }

    def _tiers(self, given: Given) -> Rows:
        names = {name for asked in ("uly", "instFamily") for name in text(given, asked).split(",") if name}
        return [
            {
                "baseMaxLoan": "",
                "imr": number(1 / MAX_LEVERAGE),
                "instFamily": family(listing),
                "instId": "",
                "maxLever": str(MAX_LEVERAGE),
                "maxSz": "100000000",
                "minSz": "0",
                "mmr": number(maintenance_ratio(0.0)),
                "optMgnFactor": "0",
                "quoteMaxLoan": "",
                "tier": "1",
                "uly": family(listing),
            }
            for listing in self._swaps.listings.values()
            if family(listing) in names
        ]


def row_of_bar(listing: Listing, bar: Bar, *, closed: bool) -> list[str]:
    """A bar as OKX tells it: volume in contracts, in base units, in the quote currency, and whether it is over."""
    quote = bar.volume * (bar.open + bar.high + bar.low + bar.close) / 4
    prices = [number(value) for value in (bar.open, bar.high, bar.low, bar.close)]
    volumes = [contracts(listing, bar.volume), number(bar.volume), f"{quote:.8f}"]
    return [str(bar.opened_at_ms), *prices, *volumes, "1" if closed else "0"]
