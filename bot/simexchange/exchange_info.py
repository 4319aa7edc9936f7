"""Which symbols there are and their trading rules, as Binance's ``exchangeInfo`` tells them.

The rules are our own small table, close to what the exchange listed in 2024 and 2025; a symbol that is not in
it gets rules from its price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.core.market import default_instrument
from bot.errors import ConfigError
from bot.simexchange.bars import number
from bot.simexchange.config import Market

QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "EUR", "TRY", "BTC", "ETH", "BNB", "USD")
"""Quote currencies by which an id such as BTCUSDT is split, tried in this order."""

PERPETUAL_DELIVERY_MS = 4_133_404_800_000
"""The delivery date that Binance gives to a contract that never expires (2100-12-25)."""

# base: spot tick, lot step, least notional; perpetual tick, lot step, least notional (all quoted in USDT)
RULES: dict[str, tuple[float, float, float, float, float, float]] = {
    "BTC": (0.01, 0.00001, 5, 0.1, 0.001, 100),
    "ETH": (0.01, 0.0001, 5, 0.01, 0.001, 20),
    "BNB": (0.01, 0.001, 5, 0.01, 0.01, 5),
    "SOL": (0.01, 0.001, 5, 0.01, 0.01, 5),
    "XRP": (0.0001, 1, 5, 0.0001, 0.1, 5),
    "ADA": (0.0001, 0.1, 5, 0.0001, 1, 5),
    "DOGE": (0.00001, 1, 1, 0.00001, 1, 5),
    "TRX": (0.0001, 0.1, 5, 0.00001, 1, 5),
    "LTC": (0.01, 0.001, 5, 0.01, 0.001, 5),
    "BCH": (0.1, 0.001, 5, 0.01, 0.001, 5),
    "LINK": (0.01, 0.01, 5, 0.001, 0.01, 5),
    "DOT": (0.001, 0.01, 5, 0.001, 0.1, 5),
    "AVAX": (0.01, 0.01, 5, 0.001, 1, 5),
    "UNI": (0.001, 0.01, 5, 0.001, 1, 5),
    "ATOM": (0.001, 0.01, 5, 0.001, 0.01, 5),
    "ETC": (0.01, 0.01, 5, 0.001, 0.01, 5),
    "XLM": (0.0001, 1, 5, 0.00001, 1, 5),
    "ALGO": (0.0001, 1, 5, 0.0001, 0.1, 5),
    "NEAR": (0.001, 0.1, 5, 0.001, 1, 5),
    "FIL": (0.001, 0.01, 5, 0.001, 0.1, 5),
    "SUI": (0.0001, 0.1, 5, 0.0001, 0.1, 5),
    "APT": (0.001, 0.01, 5, 0.001, 0.1, 5),
    "ARB": (0.0001, 0.1, 5, 0.0001, 0.1, 5),
    "OP": (0.001, 0.01, 5, 0.001, 0.1, 5),
    "MATIC": (0.0001, 0.1, 5, 0.0001, 1, 5),
    "LUNA": (0.01, 0.01, 5, 0.001, 1, 5),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol of the exchange: its id (``BTCUSDT``), currencies and rules.

    ``contract`` is how many base units a contract is, 1 where quantities are told in base units.
    """

    symbol: str
    base: str
    quote: str
    tick: float
    step: float
    min_notional: float
    contract: float = 1.0

    def unified(self, market: Market) -> str:
        """The symbol's name in ccxt."""
        pair = f"{self.base}/{self.quote}"
        return pair if market is Market.SPOT else f"{pair}:{self.quote}"


def symbol_id(name: str) -> str:
    """The exchange's id of a symbol that is written ``BTCUSDT``, ``BTC/USDT`` or ``BTC/USDT:USDT``."""
    return name.split(":", maxsplit=1)[0].replace("/", "").upper()


def list_symbol(name: str, market: Market, price: float) -> Listing:
    """The listing of a symbol whose price is about ``price``; raises ConfigError if its name cannot be split."""
    base, quote = split_symbol(name)
    known = RULES.get(base) if quote == "USDT" else None
    if known:
        tick, step, notional = known[:3] if market is Market.SPOT else known[3:]
    else:
        rules = default_instrument(f"{base}/{quote}", price=price)
        tick, step = rules.tick_size, rules.lot_step
        notional = rules.min_notional if quote.endswith(("USD", "USDT", "USDC")) else 0.0001
    return Listing(base + quote, base, quote, tick, step, notional)


def spot_info(listings: list[Listing], now_ms: int) -> dict[str, Any]:
    """The reply of ``GET /api/v3/exchangeInfo``."""
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200_000},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
    ]
    symbols = [_spot_symbol(listing) for listing in listings]
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": limits,
        "exchangeFilters": [],
        "symbols": symbols,
    }


def futures_info(listings: list[Listing], now_ms: int) -> dict[str, Any]:
    """The reply of ``GET /fapi/v1/exchangeInfo``."""
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
    ]
    quotes = sorted({listing.quote for listing in listings})
    assets = [{"asset": quote, "marginAvailable": True, "autoAssetExchange": "-100"} for quote in quotes]
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": limits,
        "exchangeFilters": [],
        "assets": assets,
        "symbols": [_perpetual(listing) for listing in listings],
    }


def split_symbol(name: str) -> tuple[str, str]:
    """Base and quote currency of a symbol in any of its spellings; raises ConfigError where they are not known."""
    if "/" in name:
        base, quote = name.split(":", maxsplit=1)[0].upper().split("/", maxsplit=1)
        return base, quote
    for quote in QUOTES:
        if name.upper().endswith(quote) and len(name) > len(quote):
            return name.upper()[: -len(quote)], quote
    raise ConfigError(f"symbol {name!r}: its quote currency is not known; write it as BASE/QUOTE")


def _spot_symbol(listing: Listing) -> dict[str, Any]:
    tick, step = _eight(listing.tick), _eight(listing.step)
    filters: list[dict[str, Any]] = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000000.00000000", "stepSize": step},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": "0.00000000",
            "maxQty": "900000.00000000",
            "stepSize": "0.00000000",
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": _eight(listing.min_notional),
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]
    return {
        "symbol": listing.symbol,
        "status": "TRADING",
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [
            "LIMIT",
            "LIMIT_MAKER",
            "MARKET",
            "STOP_LOSS",
            "STOP_LOSS_LIMIT",
            "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def _perpetual(listing: Listing) -> dict[str, Any]:
    tick, step = number(listing.tick), number(listing.step)
    filters: list[dict[str, Any]] = [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "10000000", "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": number(listing.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": "1.0500",
            "multiplierDecimal": "4",
            "multiplierDown": "0.9500",
        },
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]
    return {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": len(tick.partition(".")[2]),
        "quantityPrecision": len(step.partition(".")[2]),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.020000",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": filters,
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }


def _eight(value: float) -> str:
    return f"{value:.8f}"
