"""Tests of reading candle messages: recorded ones, small changes of them, and what must be refused."""

from __future__ import annotations

import copy
import json
from typing import Any

import ccxt.pro
import pytest

from bot.core.closer import CandleUpdate
from bot.core.market import MINUTE_MS
from bot.feeds.hooks import (
    MALFORMED,
    StreamMessage,
    install_hook,
    parse_binance,
    parse_bybit,
    parse_okx,
    parser_of,
    update_from_row,
)
from tests.shared_data import shared_file

BTC = "BTC/USDT:USDT"


def recorded(*parts: str) -> Any:
    """A recorded message."""
    return json.loads(shared_file("exchange", *parts).read_text())


@pytest.fixture
def okx() -> Any:
    """An OKX client that knows one spot and one swap market."""
    exchange = ccxt.pro.okx()
    spot = {
        "id": "BTC-USDT",
        "symbol": "BTC/USDT",
        "type": "spot",
        "spot": True,
        "swap": False,
        "contract": False,
    }
    swap = {
        "id": "BTC-USDT-SWAP",
        "symbol": BTC,
        "type": "swap",
        "spot": False,
        "swap": True,
        "contract": True,
    }
    exchange.set_markets([{**spot, "base": "BTC", "quote": "USDT"}, {**swap, "base": "BTC", "quote": "USDT"}])
    return exchange


def test_binance_flag_and_event_time_are_read() -> None:
    """A recorded closed kline gives one flagged update and the event's time; the open one an unflagged one."""
    folder = ("binance", "messages", "futures", "market_data_json")
    closed = parse_binance(None, {"BTCUSDT": BTC}, recorded(*folder, "kline_stream_closed.json"))
    open_ = parse_binance(None, {"BTCUSDT": BTC}, recorded(*folder, "kline_stream_open.json"))
    values = (BTC, 1638747660000, 0.001, 0.0025, 0.0015, 0.002, 1000.0)
    flagged, unflagged = closed.updates[0], open_.updates[0]
    assert {flagged.closed, unflagged.closed} == {True, False}
    assert values in {flagged[:7], unflagged[:7]}
    assert closed.at_ms == 1638747660000


def test_bybit_confirm_and_time_are_read() -> None:
    """A recorded Bybit kline, put on the one-minute topic, gives its values, flag and time; another topic none."""
    message = recorded("bybit", "messages", "ws_kline.json")
    assert parse_bybit(None, {"BTCUSDT": BTC}, message) == StreamMessage([], 1672324988882)
    message["topic"] = "kline.1.BTCUSDT"
    update = CandleUpdate(BTC, 1672324800000, 16649.5, 16677.0, 16608.0, 16677.0, 2.081, closed=False)
    assert parse_bybit(None, {"BTCUSDT": BTC}, message).updates == [update]
    message["data"][0]["confirm"] = True
    assert parse_bybit(None, {"BTCUSDT": BTC}, message).updates == [update._replace(closed=True)]
    assert parse_bybit(None, {"ETHUSDT": "ETH/USDT:USDT"}, message).updates == []


def test_okx_rows_confirm_and_volume_are_read(okx: Any) -> None:
    """Rows of OKX carry the flag as their ninth value; a swap's volume is the one in base units, as over REST."""
    message = recorded("okx", "messages", "ws_candle.json")
    symbols = {"BTC-USDT": "BTC/USDT", "BTC-USDT-SWAP": BTC}
    assert parse_okx(okx, symbols, message).updates == []  # a daily candle
    message["arg"]["channel"] = "candle1m"
    row = message["data"][0]
    row[0] = "1597026360000"
    message["data"] = [row, ["1597026420000", *row[1:8], "0"]]
    parsed = parse_okx(okx, symbols, message)
    values = (8533.02, 8553.74, 8527.17, 8548.26, 45247.0)
    assert parsed.updates == [
        CandleUpdate("BTC/USDT", 1597026360000, *values, closed=True),
        CandleUpdate("BTC/USDT", 1597026420000, *values, closed=False),
    ]
    assert parsed.at_ms == 1597026360000 + MINUTE_MS
    message["arg"]["instId"] = "BTC-USDT-SWAP"
    assert parse_okx(okx, symbols, message).updates[0].volume == 529.5858061


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("k", "x"), "false"),
        (("k", "x"), None),
        (("k", "o"), None),
        (("k", "o"), "<html>"),
        (("k",), None),
        (("k", "t"), "soon"),
        (("E",), None),
    ],
)
def test_a_malformed_message_raises_what_the_hook_catches(path: tuple[str, ...], value: object) -> None:
    """A message with a value missing or of the wrong kind raises one of MALFORMED, and gives no update."""
    bar = {
        "t": 60_000,
        "s": "BTCUSDT",
        "i": "1m",
        "o": "1",
        "h": "1",
        "l": "1",
        "c": "1",
        "v": "1",
        "x": True,
    }
    message: dict[str, Any] = {"e": "kline", "E": 60_001, "s": "BTCUSDT", "k": bar}
    assert len(parse_binance(None, {"BTCUSDT": BTC}, message).updates) == 1
    broken = copy.deepcopy(message)
    target = broken
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(MALFORMED):
        parse_binance(None, {"BTCUSDT": BTC}, broken)


def test_exchanges_derived_from_a_known_one_are_read_by_its_parser() -> None:
    """Binance's futures class has Binance's parser, the three have their own, and another exchange has none."""
    assert parser_of(ccxt.pro.binanceusdm()) is parse_binance
    assert parser_of(ccxt.pro.okx()) is parse_okx
    assert parser_of(ccxt.pro.bybit()) is parse_bybit
    assert parser_of(ccxt.pro.kraken()) is None


def test_a_row_of_ccxt_must_have_six_values() -> None:
    """A row that lacks a value, or holds None, is malformed."""
    assert update_from_row(BTC, [60_000, 1, 2, 1, 2, 3], closed=None).volume == 3.0
    for row in ([60_000, 1, 2, 1, 2], [60_000, None, 2, 1, 2, 3], [None] * 6):
        with pytest.raises(MALFORMED):
            update_from_row(BTC, row, closed=None)


def test_the_hook_reads_first_and_lets_ccxt_go_on() -> None:
    """What ccxt dispatches reaches the hook and then ccxt's own handler, malformed messages too."""
    exchange = ccxt.pro.binanceusdm()
    seen: list[object] = []
    exchange.handle_ohlcv = lambda _, message: seen.append(message["E"])
    install_hook(
        exchange,
        parse_binance,
        {"BTCUSDT": BTC},
        monotonic_ns=lambda: 7,
        take=lambda message, at_ns: seen.append((len(message.updates), at_ns)),
        refuse=seen.append,
    )
    bar = {
        "t": 60_000,
        "s": "BTCUSDT",
        "i": "1m",
        "o": "1",
        "h": "1",
        "l": "1",
        "c": "1",
        "v": "1",
        "x": True,
    }
    client = type("Client", (), {"subscriptions": {}})()
    exchange.handle_message(client, {"e": "kline", "E": 60_001, "s": "BTCUSDT", "k": bar})
    exchange.handle_message(
        client, {"stream": "x", "data": {"e": "kline", "E": 60_002, "k": {**bar, "x": "no"}}}
    )
    assert seen[:2] == [(1, 7), 60_001]
    assert "could not be read" in str(seen[2])
    assert seen[3] == 60_002


def test_ccxt_keeps_nothing_of_the_bars_that_were_read() -> None:
    """Days of candles leave in ccxt no more than an hour of them: its copy stays short, and so do its notes on it."""
    exchange = ccxt.pro.binanceusdm()
    install_hook(
        exchange,
        parse_binance,
        {"BTCUSDT": "BTCUSDT"},  # without markets ccxt knows no other name
        monotonic_ns=lambda: 7,
        take=lambda *_: None,
        refuse=pytest.fail,
    )
    client = type(
        "Client", (), {"subscriptions": {}, "url": "wss://fstream.binance.com/ws", "resolve": lambda *_: None}
    )()
    exchange.options["OHLCVLimit"] = 10  # as the feed has it
    held: list[int] = []
    for minute in range(3_000):
        bar = {
            "t": minute * 60_000,
            "s": "BTCUSDT",
            "i": "1m",
            "o": "1",
            "h": "1",
            "l": "1",
            "c": "1",
            "v": "1",
        }
        for closed in (False, True):
            exchange.handle_message(
                client, {"e": "kline", "E": minute * 60_000 + 1, "s": "BTCUSDT", "k": {**bar, "x": closed}}
            )
        ((cache,),) = ([*frames.values()] for frames in exchange.ohlcvs.values())
        held.append(sum(len(part) for part in vars(cache).values() if hasattr(part, "__len__")))
    assert max(held[60:]) <= max(held[:60]) < 30
