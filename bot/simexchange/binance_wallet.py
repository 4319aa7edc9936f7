"""Binance's wallet endpoints, which ccxt and a doctor ask on either market: permissions, coins, fees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.simexchange.bars import number
from bot.simexchange.exchange_info import Listing
from bot.simexchange.parameters import Params
from bot.simexchange.routes import Routes, read
from bot.simexchange.signing import ApiKey


class Wallet:
    """Tells what a key may do, and which coins there are."""

    def __init__(
        self,
        key: ApiKey,
        listings: Mapping[str, Listing],
        now_ms: Callable[[], int],
        fees_bps: tuple[float, float],
    ) -> None:
        """``fees_bps``: of a maker and of a taker."""
        self._key = key
        self._listings = listings
        self._now_ms = now_ms
        self._fees_bps = fees_bps

    def routes(self) -> Routes:
        """What it serves."""
        return {
            ("GET", "/sapi/v1/account/apiRestrictions"): read(self._restrictions),
            ("GET", "/sapi/v1/capital/config/getall"): read(self._coins, 10),
            ("GET", "/sapi/v1/asset/tradeFee"): read(self._fees),
            ("GET", "/sapi/v1/bnbBurn"): read(lambda _: {"spotBNBBurn": False, "interestBNBBurn": False}),
            # ccxt asks for these when it loads the markets; nothing is lent here
            ("GET", "/sapi/v1/margin/allPairs"): read(lambda _: []),
            ("GET", "/sapi/v1/margin/isolated/allPairs"): read(lambda _: [], 10),
        }

    def _restrictions(self, params: Params) -> dict[str, Any]:
        del params
        key = self._key
        return {
            "ipRestrict": False,
            "createTime": self._now_ms(),
            "enableReading": key.may_read,
            "enableSpotAndMarginTrading": key.may_trade,
            "enableWithdrawals": key.may_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": key.may_trade,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enablePortfolioMarginTrading": False,
        }

    def _coins(self, params: Params) -> list[dict[str, Any]]:
        del params
        listed = self._listings.values()
        coins = sorted({listing.base for listing in listed} | {listing.quote for listing in listed})
        return [_coin(name) for name in coins]

    def _fees(self, params: Params) -> list[dict[str, str]]:
        maker, taker = (number(bps / 10_000) for bps in self._fees_bps)
        wanted = params.get("symbol")
        return [
            {"symbol": symbol, "makerCommission": maker, "takerCommission": taker}
            for symbol in self._listings
            if wanted in {None, symbol}
        ]


def _coin(name: str) -> dict[str, Any]:
    """A coin that can be traded, and neither paid in nor out."""
    zeros = dict.fromkeys(("free", "freeze", "ipoable", "ipoing", "locked", "storage", "withdrawing"), "0")
    return {
        "coin": name,
        "name": name,
        "depositAllEnable": False,
        "withdrawAllEnable": False,
        "isLegalMoney": False,
        "trading": True,
        "networkList": [],
        **zeros,
    }
