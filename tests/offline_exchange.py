"""A ccxt exchange that knows its markets and was never connected, and intents to send to it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import ccxt.pro

from bot.brokers.ccxt_habits import HABITS
from bot.brokers.ccxt_okx import prepare
from bot.core.orders import Leg, OrderIntent, OrderType, Side
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import futures_info, list_symbol, spot_info
from bot.simexchange.okx_listing import Swaps, list_swap
from tests.shared_data import shared_file

NOW_MS = 1_684_454_460_000
PERPETUAL, SPOT = "BTC/USDT:USDT", "BTC/USDT"
LISTED = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "LTCBTC", "ETHBTC", "BNBBTC")


@cache
def offline(market: Market) -> Any:
    """An exchange for its parsers and its rules of precision; nothing may be asked of it."""
    exchange = getattr(ccxt.pro, market.exchange_id)()
    exchange.options.update(crossMarginPairsData=[], isolatedMarginPairsData=[])
    listings = [list_symbol(name, market, 100.0) for name in LISTED]
    told = spot_info(listings, NOW_MS) if market is Market.SPOT else futures_info(listings, NOW_MS)
    exchange.set_markets([exchange.parse_market(row) for row in told["symbols"]])
    return exchange


@cache
def offline_okx() -> Any:
    """The same of OKX's swaps, prepared as a gateway does."""
    exchange = ccxt.pro.okx({"apiKey": "key", "secret": "secret", "password": "passphrase"})
    exchange.options.update(SWAPS.options)
    listings = {name: list_swap(name, 100.0) for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT")}
    exchange.set_markets([exchange.parse_market(row) for row in Swaps(listings).rows()])
    prepare(exchange, lambda: NOW_MS)
    return exchange


USDM, COINS, SWAPS = HABITS["binanceusdm"], HABITS["binance"], HABITS["okx"]


def intent(symbol: str = PERPETUAL, **fields: Any) -> OrderIntent:
    """A market order to buy 0.003, or what ``fields`` make of it."""
    usual: dict[str, Any] = {
        "client_order_id": "r0abcdef1e",
        "symbol": symbol,
        "side": Side.BUY,
        "quantity": 0.003,
        "type": OrderType.MARKET,
        "leg": Leg.ENTRY,
        "decided_at_ms": NOW_MS,
        "reason": "long",
    }
    return OrderIntent(**{**usual, **fields})


def stop_of(symbol: str = PERPETUAL, **fields: Any) -> OrderIntent:
    """The stop of a long position."""
    usual = {"client_order_id": "r0abcdef1s", "side": Side.SELL, "type": OrderType.STOP, "leg": Leg.STOP}
    return intent(symbol, **{**usual, "stop_price": 95.5, "reduce_only": True, **fields})


def target_of(symbol: str = PERPETUAL, **fields: Any) -> OrderIntent:
    """The take-profit of a long position."""
    usual = {"client_order_id": "r0abcdef1t", "side": Side.SELL, "type": OrderType.TAKE_PROFIT}
    rest = {"leg": Leg.TAKE_PROFIT, "stop_price": 105.5, "reduce_only": True}
    return intent(symbol, **{**usual, **rest, **fields})


def recorded(*parts: str, of: str = "binance") -> Any:
    """A recorded reply or message of an exchange."""
    return json.loads(shared_file("exchange", of, "messages", *parts).read_text())


def order_reply(**fields: Any) -> dict[str, Any]:
    """What ``/fapi/v1/order`` answers of the market order above."""
    usual = {
        "orderId": 77,
        "symbol": "BTCUSDT",
        "status": "FILLED",
        "clientOrderId": "r0abcdef1e",
        "price": "0",
        "avgPrice": "100.2",
        "origQty": "0.003",
        "executedQty": "0.003",
        "cumQuote": "0.3006",
        "timeInForce": "GTC",
        "type": "MARKET",
        "reduceOnly": False,
        "closePosition": False,
        "side": "BUY",
        "positionSide": "BOTH",
        "stopPrice": "0",
        "updateTime": NOW_MS + 5,
    }
    return {**usual, **fields}


def algo_reply(**fields: Any) -> dict[str, Any]:
    """What ``/fapi/v1/algoOrder`` answers of the stop above."""
    usual = {
        "algoId": 9001,
        "clientAlgoId": "r0abcdef1s",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "quantity": "0.003",
        "algoStatus": "NEW",
        "actualOrderId": "",
        "triggerPrice": "95.5",
        "price": "0",
        "reduceOnly": True,
        "createTime": NOW_MS,
        "updateTime": NOW_MS + 5,
    }
    return {**usual, **fields}


def trade_reply(number: int, order: int, **fields: Any) -> dict[str, Any]:
    """A row of ``/fapi/v1/userTrades``."""
    usual = {
        "symbol": "BTCUSDT",
        "id": number,
        "orderId": order,
        "side": "BUY",
        "price": "100.2",
        "qty": "0.001",
        "realizedPnl": "0",
        "quoteQty": "0.1002",
        "commission": "0.00004008",
        "commissionAsset": "USDT",
        "time": NOW_MS + 6,
        "positionSide": "BOTH",
        "buyer": True,
        "maker": False,
    }
    return {**usual, **fields}
