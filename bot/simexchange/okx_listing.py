"""The swaps of OKX: contract sizes, the exchange's names of them, and their rows in ``public/instruments``.

The account counts base units, as on the other markets; OKX tells quantities in contracts. The table is our own small
one, close to what the exchange listed in 2025; a symbol that is not in it gets rules from its price.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bot.core.market import default_instrument
from bot.simexchange.bars import number
from bot.simexchange.exchange_info import Listing, split_symbol
from bot.simexchange.orders import Refusal

MAX_LEVERAGE = 100
LISTED_MS = 1_573_557_408_000
"""When the swaps began to trade, as their rows tell it (2019-11-12)."""

USUAL_LOT = 0.1
"""Least part of a contract, for symbols that are not in the table."""

# base: base units a contract, least part of a contract, tick (all quoted in USDT)
CONTRACTS: dict[str, tuple[float, float, float]] = {
    "BTC": (0.01, 0.01, 0.1),
    "ETH": (0.1, 0.01, 0.01),
    "SOL": (1, 0.01, 0.01),
    "BNB": (0.01, 1, 0.1),
    "XRP": (100, 0.01, 0.0001),
    "DOGE": (1000, 0.01, 0.00001),
    "ADA": (100, 0.1, 0.0001),
    "LTC": (1, 0.1, 0.01),
    "BCH": (0.1, 0.1, 0.1),
    "LINK": (1, 0.1, 0.001),
    "DOT": (1, 0.1, 0.001),
    "AVAX": (1, 0.1, 0.001),
}


def list_swap(name: str, price: float) -> Listing:
    """The listing of a swap whose price is about ``price``; raises ConfigError if its name cannot be split.

    A contract that is not in the table is worth between 10 and 100 units of the quote currency.
    """
    base, quote = split_symbol(name)
    if quote == "USDT" and base in CONTRACTS:
        contract, lot, tick = CONTRACTS[base]
    else:
        contract, lot = 10.0 ** math.floor(math.log10(100 / price)), USUAL_LOT
        tick = default_instrument(f"{base}/{quote}", price=price).tick_size
    step = float(_exact(contract) * _exact(lot))
    return Listing(base + quote, base, quote, tick, step, 0.0, contract)


def inst_id(listing: Listing) -> str:
    """The exchange's name of a swap: ``BTC-USDT-SWAP``."""
    return f"{listing.base}-{listing.quote}-SWAP"


def family(listing: Listing) -> str:
    """What it is a swap of: ``BTC-USDT``."""
    return f"{listing.base}-{listing.quote}"


def contracts(listing: Listing, quantity: float) -> str:
    """Base units as a number of contracts, every digit of it."""
    return plain(_exact(quantity) / _exact(listing.contract))


def base_units(listing: Listing, size: str) -> float:
    """Contracts, as a decimal text, as base units."""
    return float(Decimal(size) * _exact(listing.contract))


def lot(listing: Listing) -> Decimal:
    """The least part of a contract that can be traded, and the least order."""
    return _exact(listing.step) / _exact(listing.contract)


def plain(value: Decimal) -> str:
    """A decimal as digits, without zeros at its end."""
    return format(value.normalize(), "f") if value else "0"


class Swaps:
    """The listings of an exchange, by the account's symbols and by OKX's names."""

    def __init__(self, listings: Mapping[str, Listing]) -> None:
        self.listings = dict(listings)
        self._by_name = {inst_id(listing): listing for listing in listings.values()}

    def __getitem__(self, symbol: str) -> Listing:
        """The listing of a symbol of the account, which is always one of them."""
        return self.listings[symbol]

    def find(self, name: str | None) -> Listing | None:
        """The listing of an ``instId``, or None."""
        return self._by_name.get(name or "")

    def named(self, name: str | None) -> Listing:
        """The listing of an ``instId``; raises Refusal 51000 where none is given, 51001 for one that is not traded."""
        if not name:
            raise Refusal(51000, "Parameter instId error")
        listing = self._by_name.get(name)
        if listing is None:
            raise Refusal(51001, "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return listing

    def rows(self) -> list[dict[str, Any]]:
        """Each swap as ``public/instruments`` tells it."""
        return [_row(listing, number_) for number_, listing in enumerate(self.listings.values(), 10_459)]


def _row(listing: Listing, code: int) -> dict[str, Any]:
    smallest = plain(lot(listing))
    empty = (
        "alias", "auctionEndTime", "baseCcy", "contTdSwTime", "expTime", "maxMktAmt", "maxPlatOILmt", "openType",
        "optType", "posLmtAmt", "posLmtPct", "preMktSwTime", "quoteCcy", "stk",
    )  # fmt: skip
    largest = ("maxIcebergSz", "maxTriggerSz", "maxTwapSz")
    return {
        **dict.fromkeys(empty, ""),
        **dict.fromkeys(largest, "100000000.0000000000000000"),
        "category": "1",
        "ctMult": "1",
        "ctType": "linear",
        "ctVal": number(listing.contract).removesuffix(".0"),
        "ctValCcy": listing.base,
        "futureSettlement": False,
        "instFamily": family(listing),
        "instId": inst_id(listing),
        "instIdCode": code,
        "instType": "SWAP",
        "lever": str(MAX_LEVERAGE),
        "listTime": str(LISTED_MS),
        "lotSz": smallest,
        "maxLmtAmt": "20000000",
        "maxLmtSz": "100000000",
        "maxMktSz": "12000",
        "maxStopSz": "12000",
        "minSz": smallest,
        "ruleType": "normal",
        "settleCcy": listing.quote,
        "state": "live",
        "tickSz": number(listing.tick).removesuffix(".0"),
        "tradeQuoteCcyList": [],
        "uly": family(listing),
    }


def _exact(value: float) -> Decimal:
    """The decimal that a float's shortest text is."""
    return Decimal(repr(value))
