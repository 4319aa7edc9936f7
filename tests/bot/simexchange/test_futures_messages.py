"""The perpetuals' replies and messages against real ones: every key is there, and ccxt reads the same out of them."""

from __future__ import annotations

from typing import Any

import pytest

from bot.simexchange.orders import Disturbance
from tests.real_messages import missing_keys, real_message, unified

MINUTE_MS = 60_000
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "2"}
TRAILING_ONLY = [".activatePrice", ".priceRate"]


@pytest.fixture
async def told(trade, make_tape, user_recorder):
    """A client, and everything that it was told of a resting, a half filled, a stopped and a canceled order."""
    async with trade(make_tape("BTCUSDT"), make_tape("ETHUSDT"), make_tape("BNBUSDT")) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            limit = {**ORDER, "type": "LIMIT", "timeInForce": "GTC"}
            await exchange.fapiPrivatePostOrder({**limit, "price": "98", "newClientOrderId": "rest"})
            server.trading.floor.account.disturb = lambda request: Disturbance(fill_shares=(0.5,))
            await exchange.fapiPrivatePostOrder({**limit, "price": "101", "newClientOrderId": "half"})
            server.trading.floor.account.disturb = None
            stop = {**ORDER, "side": "SELL", "algoType": "CONDITIONAL", "triggerPrice": "90"}
            for name in ("stop", "gone"):
                more = {"type": "TAKE_PROFIT_MARKET", "triggerPrice": "120"} if name == "gone" else {}
                await exchange.fapiPrivatePostAlgoOrder(
                    {**stop, "type": "STOP_MARKET", "clientAlgoId": name, **more}
                )
            await exchange.fapiPrivateDeleteAlgoOrder({"symbol": "BTCUSDT", "clientAlgoId": "gone"})
            await record.until(lambda: any(e["o"]["X"] == "CANCELED" for e in record.events("ALGO_UPDATE")))
        yield exchange, record


def of(record, kind: str, client_id: str, state: str) -> dict[str, Any]:
    """The event of an order in a state."""
    found = [one for one in record.events(kind) if one["o"]["X"] == state]
    return next(one for one in found if client_id in {one["o"].get("c"), one["o"].get("caid")})


async def test_orders(told) -> None:
    """A resting order, and the list of all."""
    exchange, _ = told
    ours = await exchange.fapiPrivateGetOrder({"symbol": "BTCUSDT", "origClientOrderId": "rest"})
    real = real_message("messages", "futures", "http_json", "order_response.json")
    assert missing_keys(real, ours) == []
    assert unified(exchange.parse_order(ours)) == unified(exchange.parse_order(real))
    listed = real_message("rest", "http_futures_account_orders.json")
    all_of_ours = await exchange.fapiPrivateGetAllOrders({"symbol": "BTCUSDT"})
    assert missing_keys(listed, all_of_ours) == [f"[]{name}" for name in TRAILING_ONLY]


async def test_conditional_orders(told) -> None:
    """An open conditional order."""
    exchange, _ = told
    ours = await exchange.fapiPrivateGetOpenAlgoOrders()
    real = real_message("messages", "futures", "http_json", "open_algo_orders.json")
    assert missing_keys(real, ours) == []
    assert unified(exchange.parse_order(ours[0])) == unified(exchange.parse_order(real[0]))


async def test_executions(told) -> None:
    """An execution as history tells it."""
    exchange, _ = told
    ours = await exchange.fapiPrivateGetUserTrades({"symbol": "BTCUSDT"})
    real = real_message("rest", "http_futures_account_trades.json")
    assert missing_keys(real, ours) == []
    assert unified(exchange.parse_trade(ours[0])) == unified(exchange.parse_trade(real[0]))


async def test_the_account(told) -> None:
    """Account and balances, of which ccxt makes the same balance."""
    exchange, _ = told
    ours = await exchange.fapiPrivateV2GetAccount()
    real = real_message("messages", "futures", "http_json", "account_info_v2.json")
    assert missing_keys(real, ours) == []
    read = exchange.parse_balance_custom
    assert unified(read(ours, "linear")) == unified(read(real, "linear"))
    balances = await exchange.fapiPrivateV2GetBalance()
    assert missing_keys(real_message("messages", "futures", "http_json", "balance.json"), balances) == []


async def test_positions(told) -> None:
    """A position that could be liquidated, and a flat one."""
    exchange, _ = told
    await exchange.load_leverage_brackets()
    await exchange.fapiPrivatePostOrder({**ORDER, "type": "MARKET", "quantity": "150"})
    ours = await exchange.fapiPrivateV2GetPositionRisk({"symbol": "BTCUSDT"})
    real = real_message("messages", "futures", "http_json", "position_risk.json")
    assert missing_keys(real, ours) == []
    read = exchange.parse_position_risk
    assert unified(read(ours[0])) == unified(read(real[0]))
    flat = await exchange.fapiPrivateV2GetPositionRisk({"symbol": "ETHUSDT"})
    assert missing_keys(real_message("rest", "http_futures_account_positions_one_way.json"), flat) == []


async def test_settings_and_prices(told) -> None:
    """What a doctor reads."""
    exchange, _ = told
    configs = await exchange.fapiPrivateGetSymbolConfig()
    assert missing_keys(real_message("rest", "http_futures_account_symbol_config.json"), configs) == []
    mode = await exchange.fapiPrivateGetPositionSideDual()
    assert missing_keys(real_message("rest", "http_futures_account_position_side_dual.json"), mode) == []
    fees = await exchange.fapiPrivateGetCommissionRate({"symbol": "BTCUSDT"})
    real = real_message("rest", "http_futures_wallet_commission_rate_btcusdt.json")
    assert missing_keys(real, fees) == []
    touch = await exchange.fapiPublicGetTickerBookTicker({"symbol": "BTCUSDT"})
    assert missing_keys(real_message("rest", "http_futures_market_book_ticker.json"), touch) == []


async def test_events_of_orders(told) -> None:
    """A new order, and a partial execution of one."""
    exchange, record = told
    folder = ("messages", "futures", "user_data_json")
    new = of(record, "ORDER_TRADE_UPDATE", "rest", "NEW")
    assert missing_keys(real_message(*folder, "order_update_new.json"), new) == []
    ours = of(record, "ORDER_TRADE_UPDATE", "half", "PARTIALLY_FILLED")
    for name in ("order_update_trade.json", "order_update_trade_partial.json"):
        real = real_message(*folder, name)
        assert missing_keys(real, ours) == []
        for read in (exchange.parse_ws_order, exchange.parse_ws_trade):
            assert unified(read(ours["o"])) == unified(read(real["o"]))
    short = record.events("TRADE_LITE")[0]
    assert missing_keys(real_message(*folder, "trade_lite.json"), short) == []


async def test_events_of_conditional_orders(told) -> None:
    """A new and a canceled one; a market order has no price, the recorded limit orders have."""
    exchange, record = told
    for name, client_id, state in (("new", "gone", "NEW"), ("canceled", "gone", "CANCELED")):
        real = real_message("messages", "futures", "user_data_json", f"algo_update_{name}.json")
        ours = of(record, "ALGO_UPDATE", client_id, state)
        assert missing_keys(real, ours) == []
        for message in (real, ours):
            message["o"]["T"] = message["T"]  # as ccxt's own handler does
        ours_read, real_read = exchange.parse_ws_order(ours["o"]), exchange.parse_ws_order(real["o"])
        expected = unified(real_read)
        assert {key for key in expected if key not in unified(ours_read)} <= {"price", "takeProfitPrice"}
        assert {key: kind for key, kind in expected.items() if key in unified(ours_read)} == unified(
            ours_read
        )


async def test_events_of_the_account(told) -> None:
    """Balance and position after an execution."""
    exchange, record = told
    real = real_message("messages", "futures", "user_data_json", "account_update.json")
    ours = record.events("ACCOUNT_UPDATE")[0]
    assert missing_keys(real, ours) == []
    read = exchange.parse_ws_position
    assert unified(read(ours["a"]["P"][0])) == unified(read(real["a"]["P"][1]))
