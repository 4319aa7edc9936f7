"""Spot's replies and messages against real ones: every key is there, and ccxt reads the same out of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.real_messages import missing_keys, real_message, unified

HTTP = ("messages", "spot", "http_json")
USER = ("messages", "spot", "user_data_json")
LIMIT = {"symbol": "ETHUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}


@pytest.fixture
async def told(trade, make_tape, user_recorder):
    """A client, and everything that it was told of a filled, a resting and a canceled order, and of a pair."""
    async with trade(make_tape("ETHUSDT", exchange="binance")) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            made = await exchange.privatePostOrder({**LIMIT, "price": "101", "newClientOrderId": "done"})
            await exchange.privatePostOrder({**LIMIT, "price": "95", "newClientOrderId": "rest"})
            await exchange.privatePostOrder({**LIMIT, "price": "95", "newClientOrderId": "gone"})
            gone = await exchange.privateDeleteOrder({"symbol": "ETHUSDT", "origClientOrderId": "gone"})
            late = {**LIMIT, "price": "95", "timeInForce": "IOC", "newClientOrderId": "late"}
            await exchange.privatePostOrder(late)
            await exchange.privatePostOrderListOco(
                {
                    "symbol": "ETHUSDT", "side": "SELL", "quantity": "1",
                    "aboveType": "LIMIT_MAKER", "abovePrice": "110", "aboveClientOrderId": "target",
                    "belowType": "STOP_LOSS", "belowStopPrice": "90", "belowClientOrderId": "stop",
                }
            )  # fmt: skip
            await record.until(
                lambda: record.events("executionReport")[-1:] and ("target", "open") in record.orders
            )
        yield exchange, record, {"made": made, "gone": gone}


def of(record, client_id: str, execution: str) -> dict[str, Any]:
    """The report of an order."""
    reports = record.events("executionReport")
    return next(one for one in reports if client_id in {one["c"], one["C"]} and one["x"] == execution)


async def test_orders_that_are_looked_up(told) -> None:
    """One, the open ones, all."""
    exchange, _, _ = told
    asked = {"symbol": "ETHUSDT", "origClientOrderId": "rest"}
    ours = await exchange.privateGetOrder(asked)
    real = real_message(*HTTP, "order_response.json")
    assert missing_keys(real, ours) == []
    assert unified(exchange.parse_order(ours)) == unified(exchange.parse_order(real))
    for call, name in (("GetOpenOrders", "open_orders"), ("GetAllOrders", "all_orders")):
        rows = await getattr(exchange, f"private{call}")({"symbol": "ETHUSDT"})
        assert missing_keys(real_message(*HTTP, f"{name}_response.json"), rows) == []


async def test_a_made_and_a_canceled_order(told) -> None:
    """With its fills; with the id of the canceling."""
    exchange, _, replies = told
    for name, ours in (("new_order_full", replies["made"]), ("cancel_order", replies["gone"])):
        real = real_message(*HTTP, f"{name}_response.json")
        assert missing_keys(real, ours) == []
        expected, found = unified(exchange.parse_order(real)), unified(exchange.parse_order(ours))
        assert {key: found.get(key) for key in expected} == expected


async def test_everything_canceled(told) -> None:
    """A single order and a pair in one list; a stop and a target of ours have no iceberg part of their own."""
    exchange, _, _ = told
    real = real_message(*HTTP, "cancel_open_orders_response.json")
    ours = await exchange.privateDeleteOpenOrders({"symbol": "ETHUSDT"})
    assert missing_keys(real[0], ours[0]) == []
    assert missing_keys(real[-1], ours[-1]) == []


async def test_executions_and_account(told) -> None:
    """History and balances."""
    exchange, _, _ = told
    ours = await exchange.privateGetMyTrades({"symbol": "ETHUSDT"})
    real = real_message(*HTTP, "account_trades_response.json")
    assert missing_keys(real, ours) == []
    assert unified(exchange.parse_trade(ours[0])) == unified(exchange.parse_trade(real[0]))
    account = await exchange.privateGetAccount()
    for whole in (
        real_message(*HTTP, "account_response.json"),
        real_message("rest", "http_spot_wallet_account.json"),
    ):
        assert missing_keys(whole, account) == []
    read = exchange.parse_balance_custom(account, "spot")
    expected = exchange.parse_balance_custom(real_message(*HTTP, "account_response.json"), "spot")
    assert unified(read["USDT"]) == unified(expected["BTC"])


async def test_fees_and_prices(told) -> None:
    """What the wallet and the market tell."""
    exchange, _, _ = told
    fees = await exchange.sapiGetAssetTradeFee()
    assert missing_keys(real_message("rest", "http_wallet_trading_fees.json"), fees) == []
    touch = await exchange.publicGetTickerBookTicker({"symbol": "ETHUSDT"})
    assert missing_keys(real_message("rest", "http_spot_market_book_ticker.json"), touch) == []


@pytest.mark.parametrize(
    ("name", "client_id", "execution"),
    [
        ("new", "rest", "NEW"),
        ("trade", "done", "TRADE"),
        ("canceled", "gone", "CANCELED"),
        ("expired", "late", "EXPIRED"),
        ("stop_loss", "stop", "NEW"),
    ],
)
async def test_reports(told, name: str, client_id: str, execution: str) -> None:
    """A report of each kind; a stop at market has no price, the recorded limit one has."""
    exchange, record, _ = told
    ours = of(record, client_id, execution)
    real = real_message(*USER, f"execution_report_{name}.json")
    assert missing_keys(real, ours) == []
    expected, found = unified(exchange.parse_ws_order(real)), unified(exchange.parse_ws_order(ours))
    if name == "stop_loss":
        expected.pop("price")
    assert found == expected
    if execution == "TRADE":
        assert unified(exchange.parse_ws_trade(ours)) == unified(exchange.parse_ws_trade(real))


async def test_wrapped_events(told) -> None:
    """With the number of the subscription: a report, a list's state, the balances."""
    _, record, _ = told
    for name, kind in (
        ("execution_report", "executionReport"),
        ("list_status", "listStatus"),
        ("account_position", "outboundAccountPosition"),
    ):
        ours = next(one for one in record.messages if one.get("event", {}).get("e") == kind)
        assert missing_keys(real_message(*USER, f"{name}_wrapped.json"), ours) == []
