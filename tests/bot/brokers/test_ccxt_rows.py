"""ccxt's structures as events."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.brokers.ccxt_rows import (
    OrderOwners,
    client_id_of,
    conditional_seen,
    funding_seen,
    order_seen,
    rows_of,
    trade_seen,
)
from bot.brokers.venue_rows import ConditionalRow
from bot.core.orders import Side
from bot.core.venue import VenueStatus
from bot.errors import DataError
from bot.simexchange.config import Market
from tests.offline_exchange import NOW_MS, PERPETUAL, SPOT, offline, order_reply, recorded, trade_reply

FUTURES, COINS = offline(Market.USDM), offline(Market.SPOT)


def order(**fields: Any) -> Any:
    """The structure that ccxt makes of an order of the perpetuals."""
    return FUTURES.parse_order(order_reply(**fields), FUTURES.market(PERPETUAL))


def trade(**fields: Any) -> Any:
    """The structure that ccxt makes of an execution."""
    return FUTURES.parse_trade(trade_reply(12, 77, **fields), FUTURES.market(PERPETUAL))


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("NEW", VenueStatus.OPEN),
        ("PARTIALLY_FILLED", VenueStatus.OPEN),
        ("FILLED", VenueStatus.FILLED),
        ("CANCELED", VenueStatus.CANCELED),
        ("EXPIRED", VenueStatus.EXPIRED),
        ("EXPIRED_IN_MATCH", VenueStatus.EXPIRED),
        ("REJECTED", VenueStatus.REJECTED),
        ("NEW_ADL", VenueStatus.OPEN),
    ],
)
def test_an_order_is_read(word: str, status: VenueStatus) -> None:
    """Every word of the exchange for where an order stands is known, and its figures are taken as they are."""
    seen = order_seen(FUTURES, order(status=word, executedQty="0.001"), "mine", NOW_MS)
    assert (seen.status, seen.client_order_id, seen.symbol, seen.exchange_id) == (
        status,
        "mine",
        PERPETUAL,
        "77",
    )
    assert (seen.filled_quantity, seen.quantity, seen.at_ms) == (0.001, 0.003, NOW_MS + 5)


def test_recorded_orders_of_spot_are_read() -> None:
    """A recorded fill, cancel and open order of spot are read; a cancel's own id does not hide whose order it was."""
    market = COINS.market(SPOT)
    full = COINS.parse_order(recorded("spot", "http_json", "new_order_full_response.json"), market)
    assert order_seen(COINS, full, "mine", 1).status is VenueStatus.FILLED
    gone = COINS.parse_order(
        recorded("spot", "http_json", "cancel_order_response.json"), COINS.market("LTC/BTC")
    )
    assert (client_id_of(gone), order_seen(COINS, gone, "myOrder1", 1).status) == (
        "cancelMyOrder1",
        VenueStatus.CANCELED,
    )
    rows = recorded("spot", "http_json", "open_orders_response.json")
    seen = order_seen(COINS, COINS.parse_orders(rows)[0], "myOrder1", 1)
    assert (seen.symbol, seen.status, seen.at_ms) == ("LTC/BTC", VenueStatus.OPEN, 1499827319559)


def test_the_words_for_an_unexpected_end_are_kept() -> None:
    """Why an order expired or was rejected is told; of other ends nothing is."""
    message = {**recorded("spot", "user_data_json", "execution_report_expired.json"), "s": "ETHBTC"}
    assert order_seen(COINS, COINS.parse_ws_order(message), "a", 1).reason == "INSUFFICIENT_LIQUIDITY"
    assert not order_seen(COINS, COINS.parse_ws_order({**message, "X": "CANCELED"}), "a", 1).reason


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", None),
        ("status", "ok"),
        ("id", None),
        ("id", ""),
        ("filled", None),
        ("filled", math.nan),
        ("filled", -1.0),
        ("filled", "0.1"),
        ("filled", True),
        ("amount", math.inf),
        ("symbol", None),
        ("symbol", "NEW/USDT:USDT"),
    ],
)
def test_an_order_that_is_not_whole_is_refused(field: str, value: Any) -> None:
    """A structure with a field that is missing, of another type or no number is never believed."""
    with pytest.raises(DataError):
        order_seen(FUTURES, {**order(), field: value}, "mine", NOW_MS)


@pytest.mark.parametrize("row", [None, [], "<html>", 1])
def test_what_is_no_structure_is_refused(row: Any) -> None:
    """Rows of nothing are named as such."""
    for read in (
        lambda: order_seen(FUTURES, row, "mine", NOW_MS),
        lambda: trade_seen(FUTURES, row, ""),
        lambda: funding_seen(FUTURES, row),
        lambda: client_id_of(row),
    ):
        with pytest.raises(DataError):
            read()
    assert rows_of([row], "rows") == [row]
    with pytest.raises(DataError, match="no list"):
        rows_of({"rows": row}, "rows")


def test_a_trade_is_read_to_the_last_digit() -> None:
    """Price, quantity and fee are the floats of the exchange's texts; its number is told apart by market."""
    seen = trade_seen(FUTURES, trade(price="0.1", qty="0.30000000000000004"), "mine")
    fill = seen.fill
    assert (fill.trade_id, fill.client_order_id, seen.exchange_order_id) == ("BTCUSDT-12", "mine", "77")
    assert (fill.price, fill.quantity, fill.fee, fill.fee_asset) == (
        0.1,
        0.30000000000000004,
        0.00004008,
        "USDT",
    )
    assert (fill.side, fill.filled_at_ms) == (Side.BUY, NOW_MS + 6)


def test_a_recorded_trade_of_spot_is_told_with_its_fee_in_quote() -> None:
    """A fee in base currency is worth the execution's own price; one in a third coin cannot be told."""
    rows = recorded("spot", "http_json", "account_trades_response.json")
    market = COINS.market("BNB/BTC")
    assert trade_seen(COINS, COINS.parse_trade(rows[0], market), "").fill.fee == 10.1 * 4.000001
    other = COINS.parse_trade({**rows[0], "commissionAsset": "USDT"}, market)
    with pytest.raises(DataError, match="paid in 'USDT'"):
        trade_seen(COINS, other, "")
    free = COINS.parse_trade({**rows[0], "commission": "0", "commissionAsset": "BNX"}, market)
    assert trade_seen(COINS, free, "").fill.fee == 0.0


@pytest.mark.parametrize(
    ("field", "value"),
    [("price", 0.0), ("price", None), ("amount", -1.0), ("amount", 0.0), ("side", None), ("id", None),
     ("order", None), ("timestamp", None), ("fee", {"cost": math.nan, "currency": "USDT"})],
)  # fmt: skip
def test_a_trade_that_is_not_whole_is_refused(field: str, value: Any) -> None:
    """An execution without price, quantity, side, number, order or time is never believed."""
    with pytest.raises(DataError):
        trade_seen(FUTURES, {**trade(), field: value}, "")


def test_funding_that_was_received_is_negative() -> None:
    """What the exchange books as income is negative where we say what was paid."""
    row = {"symbol": "BTCUSDT", "income": "0.25", "asset": "USDT", "time": NOW_MS, "tranId": 9}
    seen = funding_seen(FUTURES, FUTURES.parse_income(row))
    assert (seen.payment_id, seen.symbol, seen.paid, seen.paid_at_ms) == ("9", PERPETUAL, -0.25, NOW_MS)
    with pytest.raises(DataError, match="booked in 'BNB'"):
        funding_seen(FUTURES, FUTURES.parse_income({**row, "asset": "BNB"}))


def test_a_finished_conditional_order_says_nothing() -> None:
    """What became of its market order says more; before that it is open, and nothing of it has filled."""
    row = ConditionalRow("mine", "9", "BTCUSDT", VenueStatus.OPEN, "77", 0.5, None)
    seen = conditional_seen(FUTURES, row, PERPETUAL, NOW_MS)
    assert seen is not None
    assert (seen.status, seen.filled_quantity, seen.at_ms) == (VenueStatus.OPEN, 0.0, NOW_MS)
    finished = ConditionalRow("mine", "9", "BTCUSDT", None, "77", 0.5, 1)
    assert conditional_seen(FUTURES, finished, PERPETUAL, NOW_MS) is None


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from(["a", "b", "c"])), max_size=60))
def test_owners_are_remembered_up_to_a_number(pairs: list[tuple[int, str]]) -> None:
    """The first that is learned of an order stays as long as the order is remembered; only the oldest are forgotten."""
    owners = OrderOwners(most=10)
    kept: dict[str, str] = {}
    for number, client in pairs:
        owners.learn(PERPETUAL, str(number), client)
        if str(number) not in kept:
            kept[str(number)] = client
        while len(kept) > 10:
            del kept[next(iter(kept))]
    assert {
        str(n): owners.of(PERPETUAL, str(n)) for n in range(1, 31) if owners.of(PERPETUAL, str(n))
    } == kept
    assert not owners.of(SPOT, "1")
