"""Binance's own rows."""

from __future__ import annotations

from typing import Any

import pytest

from bot.brokers.ccxt_binance import (
    conditional_row,
    futures_wallet,
    read_user_message,
    spot_wallet,
    stream_ending,
)
from bot.core.venue import VenueStatus
from bot.errors import DataError
from bot.simexchange.config import Market
from tests.offline_exchange import NOW_MS, algo_reply, offline, order_reply, recorded


def test_a_recorded_conditional_order_is_read() -> None:
    """What the exchange has told of conditional orders, over REST and on the stream, is read."""
    row = conditional_row(recorded("futures", "http_json", "open_algo_orders.json")[0])
    assert row is not None
    assert (row.client_order_id, row.algo_id, row.status) == (
        "test-algo-order-1",
        "123456789",
        VenueStatus.OPEN,
    )
    told = recorded("futures", "user_data_json", "algo_update_canceled.json")
    seen = read_user_message(offline(Market.USDM), told).conditional
    assert seen is not None
    assert (seen.client_order_id, seen.status, seen.quantity) == (
        "Q5xaq5EGKgXXa0fD7fs0Ip",
        VenueStatus.CANCELED,
        0.01,
    )
    assert seen.at_ms == 1750515742297
    assert not seen.reason  # the stream says something there in every message


@pytest.mark.parametrize(
    ("status", "read"),
    [
        ("TRIGGERING", VenueStatus.OPEN),
        ("TRIGGERED", VenueStatus.OPEN),
        ("FINISHED", None),
        ("EXPIRED", VenueStatus.EXPIRED),
        ("REJECTED", VenueStatus.REJECTED),
    ],
)
def test_triggered_is_not_filled(status: str, read: VenueStatus | None) -> None:
    """Neither a triggered nor a finished conditional order is taken for one that filled."""
    row = conditional_row(algo_reply(algoStatus=status, actualOrderId="77", rejectReason="margin"))
    assert row is not None
    assert (row.status, row.order_id) == (read, "77")
    assert row.reason == ("margin" if status == "REJECTED" else "")


def test_what_is_no_conditional_order_is_none() -> None:
    """An order of the matching engine is not read as a conditional one; one without id or with a new word is refused."""
    assert conditional_row(order_reply()) is None
    with pytest.raises(DataError, match="unknown status 'SLEEPING'"):
        conditional_row(algo_reply(algoStatus="SLEEPING"))
    with pytest.raises(DataError, match="no id"):
        conditional_row(algo_reply(clientAlgoId=""))


def test_recorded_executions_are_read_with_their_orders() -> None:
    """A message of an execution gives a trade and an order; that of a new order gives no trade."""
    futures = offline(Market.USDM)
    rows = read_user_message(futures, recorded("futures", "user_data_json", "order_update_trade.json"))
    assert [(row["id"], row["amount"], row["price"]) for row in rows.trades] == [("12345678", 0.001, 7100.5)]
    assert rows.orders[0]["clientOrderId"] == rows.client_order_id == "TEST"
    assert not read_user_message(
        futures, recorded("futures", "user_data_json", "order_update_new.json")
    ).trades
    spot = offline(Market.SPOT)
    traded = read_user_message(spot, recorded("spot", "user_data_json", "execution_report_trade.json"))
    assert (traded.trades[0]["id"], traded.orders[0]["status"]) == ("98765432", "closed")


@pytest.mark.parametrize("name", ["adl", "calculated", "insurance"])
def test_what_the_exchange_trades_for_us_is_a_trade(name: str) -> None:
    """Executions of a liquidation and of auto-deleveraging, which ccxt leaves out, are trades as well."""
    message = recorded("futures", "user_data_json", f"order_update_{name}.json")
    rows = read_user_message(offline(Market.USDM), message)
    assert [row["amount"] for row in rows.trades] == [float(message["o"]["l"])]
    assert not read_user_message(
        offline(Market.USDM), recorded("futures", "user_data_json", "order_update_calculated_pending.json")
    ).trades


def test_the_ends_of_a_stream_are_known() -> None:
    """A key that expired and a stream that was ended are told from everything else."""
    assert stream_ending({"e": "listenKeyExpired", "E": NOW_MS})
    assert stream_ending({"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": NOW_MS}})
    others: tuple[Any, ...] = (
        {"e": "ORDER_TRADE_UPDATE"},
        {"id": 1, "result": None},
        [],
        "pong",
        {"event": "x"},
    )
    assert not any(stream_ending(other) for other in others)


def test_wallets_are_what_is_owned() -> None:
    """The wallet of perpetuals is without unrealised profit; that of spot is free and locked together."""
    balance = {"info": recorded("futures", "http_json", "account_info_v2.json")}
    assert futures_wallet(balance, "USDT") == 23.72469206
    assert futures_wallet(balance, "BUSD") == 0.0
    coins = {"info": {"balances": [{"asset": "BTC", "free": "0.25", "locked": "0.5"}]}}
    assert spot_wallet(coins, "BTC") == 0.75
