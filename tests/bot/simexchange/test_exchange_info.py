"""Symbols and their rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.errors import ConfigError
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import RULES, futures_info, list_symbol, spot_info, symbol_id
from tests.shared_data import shared_file


def _parsed(exchange_id: str, symbols: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Symbols through ccxt's own parser."""
    import ccxt

    exchange = getattr(ccxt, exchange_id)()
    exchange.options["crossMarginPairsData"] = exchange.options["isolatedMarginPairsData"] = []
    return {market["symbol"]: market for market in map(exchange.parse_market, symbols)}


@pytest.mark.parametrize(
    ("file", "exchange_id", "market", "make"),
    [
        ("spot-exchangeInfo-2024-09-08.small.json", "binance", Market.SPOT, spot_info),
        ("usdm-exchangeInfo-2025-11-14.small.json", "binanceusdm", Market.USDM, futures_info),
    ],
)
def test_ours_parses_to_the_same_structure_as_the_real_one(file, exchange_id, market, make) -> None:
    """The client makes of our exchangeInfo markets with the same keys, types, kinds and fees as of the real one."""
    real = _parsed(exchange_id, json.loads(shared_file("exchange", "binance", file).read_text())["symbols"])
    listings = [list_symbol(f"{base}USDT", market, 10.0) for base in RULES]
    ours = _parsed(exchange_id, make(listings, 0)["symbols"])
    common = set(real) & set(ours)
    assert len(common) >= 15
    for symbol in common:
        assert _shape(ours[symbol]) == _shape(real[symbol])
        for key in (
            "id",
            "base",
            "quote",
            "settle",
            "type",
            "linear",
            "contractSize",
            "taker",
            "maker",
            "active",
        ):
            assert ours[symbol][key] == real[symbol][key]


def _shape(value: Any) -> Any:
    """The keys of nested objects, without the exchange's own reply; numbers and absences kept apart."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items() if key not in {"info", "created"}}
    return None if value is None else "number" if isinstance(value, (int, float)) else type(value).__name__


@pytest.mark.parametrize(
    ("name", "market", "base", "quote", "unified"),
    [
        ("BTCUSDT", Market.USDM, "BTC", "USDT", "BTC/USDT:USDT"),
        ("BTC/USDT:USDT", Market.USDM, "BTC", "USDT", "BTC/USDT:USDT"),
        ("ETH/BTC", Market.SPOT, "ETH", "BTC", "ETH/BTC"),
        ("SUSHIBTC", Market.SPOT, "SUSHI", "BTC", "SUSHI/BTC"),
        ("BTCUSD", Market.SPOT, "BTC", "USD", "BTC/USD"),
        ("SIM001USDT", Market.USDM, "SIM001", "USDT", "SIM001/USDT:USDT"),
    ],
)
def test_a_symbol_is_split_and_named(name: str, market: Market, base: str, quote: str, unified: str) -> None:
    """Exchange ids and unified names give the same currencies."""
    listing = list_symbol(name, market, 12.0)
    assert (listing.base, listing.quote, listing.unified(market)) == (base, quote, unified)
    assert listing.symbol == symbol_id(name)


def test_an_unknown_symbol_gets_rules_from_its_price() -> None:
    """The tick of an unlisted symbol is small against its price, and its lot is worth little."""
    listing = list_symbol("NEWCOINUSDT", Market.USDM, 0.0321)
    assert 0 < listing.tick <= 0.0321 * 1e-4
    assert 0 < listing.step * 0.0321 <= 5


def test_a_name_that_cannot_be_split_is_refused() -> None:
    """An id without a known quote currency is a ConfigError that says how to write it."""
    with pytest.raises(ConfigError, match="BASE/QUOTE"):
        list_symbol("WHATEVER", Market.SPOT, 1.0)
