"""Intents as arguments of ccxt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.brokers.ccxt_orders import (
    NOT_EXACT,
    WOULD_TRIGGER,
    InexactError,
    asking_for,
    order_arguments,
    pair_arguments,
    refusal_code,
)
from bot.brokers.ccxt_outcomes import outcome_of
from bot.core.entry import WOULD_CROSS
from bot.core.orders import Leg, OrderIntent, OrderType, Side
from bot.exchange_client import Exchange
from bot.simexchange.config import Market
from tests.offline_exchange import COINS, SPOT, USDM, intent, offline, stop_of, target_of


def request_of(market: Market, wish: OrderIntent) -> dict[str, Any]:
    """What ccxt makes of an intent's arguments for the exchange."""
    exchange = offline(market)
    arguments = order_arguments(exchange, USDM if market is Market.USDM else COINS, wish)
    algo = {"isAlgoOrder": market is Market.USDM and wish.stop_price is not None}
    params = arguments.pop("params")
    request: dict[str, Any] = exchange.create_order_request(
        arguments["symbol"],
        arguments["type"],
        arguments["side"],
        arguments["amount"],
        arguments["price"],
        {**params, **algo},
    )
    return {name: value for name, value in request.items() if name != "newOrderRespType"}


def test_orders_of_perpetuals() -> None:
    """Market, stop, take-profit and post-only orders become what the perpetuals' endpoints call them."""
    entry = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.003", "newClientOrderId": "r0abcdef1e"}
    assert request_of(Market.USDM, intent()) == {**entry, "type": "MARKET"}
    assert request_of(Market.USDM, intent(type=OrderType.LIMIT, limit_price=99.5)) == {
        **entry,
        "type": "LIMIT",
        "price": "99.5",
        "timeInForce": "GTX",
    }
    leave = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.003", "reduceOnly": True}
    assert request_of(Market.USDM, stop_of()) == {
        **leave,
        "clientAlgoId": "r0abcdef1s",
        "type": "STOP_MARKET",
        "triggerPrice": "95.5",
    }
    assert request_of(Market.USDM, target_of()) == {
        **leave,
        "clientAlgoId": "r0abcdef1t",
        "type": "TAKE_PROFIT_MARKET",
        "triggerPrice": "105.5",
    }


LIMITS_ONLY = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"]


def test_orders_of_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    """On spot nothing is reduce-only, and a stop is a limit order far beyond its trigger where there is none at market."""
    monkeypatch.setitem(offline(Market.SPOT).market(SPOT)["info"], "orderTypes", LIMITS_ONLY)
    entry = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.003", "newClientOrderId": "r0abcdef1e"}
    assert request_of(Market.SPOT, intent(SPOT)) == {**entry, "type": "MARKET"}
    limit = intent(SPOT, type=OrderType.LIMIT, limit_price=99.51)
    assert request_of(Market.SPOT, limit) == {**entry, "type": "LIMIT_MAKER", "price": "99.51"}
    assert request_of(Market.SPOT, stop_of(SPOT)) == {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.003",
        "newClientOrderId": "r0abcdef1s",
        "type": "STOP_LOSS_LIMIT",
        "stopPrice": "95.5",
        "price": "90.73",
        "timeInForce": "GTC",
    }


def test_a_pair_has_its_target_above_for_a_seller(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sold when the price falls is below and what is sold when it rises above; a buyer's the other way round."""
    exchange = offline(Market.SPOT)
    monkeypatch.setitem(exchange.market(SPOT)["info"], "orderTypes", LIMITS_ONLY)
    request = pair_arguments(exchange, stop_of(SPOT), target_of(SPOT))
    assert request["listClientOrderId"] == "r0abcdef1o"
    assert {name: value for name, value in request.items() if name.startswith("above")} == {
        "aboveClientOrderId": "r0abcdef1t",
        "aboveType": "TAKE_PROFIT_LIMIT",
        "aboveStopPrice": "105.5",
        "abovePrice": "100.23",
        "aboveTimeInForce": "GTC",
    }
    assert request["belowType"] == "STOP_LOSS_LIMIT"
    back = pair_arguments(
        exchange,
        stop_of(SPOT, side=Side.BUY, stop_price=105.5),
        target_of(SPOT, side=Side.BUY, stop_price=95.5),
    )
    assert (back["aboveType"], back["belowType"]) == ("STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
    assert float(back["abovePrice"]) > 105.5
    types = [*LIMITS_ONLY, "STOP_LOSS", "TAKE_PROFIT"]
    monkeypatch.setitem(exchange.market(SPOT)["info"], "orderTypes", types)
    at_market = pair_arguments(exchange, stop_of(SPOT), target_of(SPOT))
    assert at_market["belowType"] == "STOP_LOSS"
    assert "belowPrice" not in at_market


def test_a_pair_of_two_sizes_is_refused() -> None:
    """Stop and target of a pair have one quantity."""
    with pytest.raises(InexactError, match="unequal quantity"):
        pair_arguments(offline(Market.SPOT), stop_of(SPOT), target_of(SPOT, quantity=0.004))


@given(lots=st.integers(1, 10**7), ticks=st.integers(1, 10**7))
def test_what_is_on_the_steps_goes_out_as_it_is(lots: int, ticks: int) -> None:
    """Every quantity on the lot step and price on the tick is sent to the last digit."""
    wish = stop_of(quantity=round(lots * 0.001, 3), stop_price=round(ticks * 0.1, 1))
    request = request_of(Market.USDM, wish)
    assert float(request["quantity"]) == wish.quantity
    assert float(request["triggerPrice"]) == wish.stop_price


@pytest.mark.parametrize(
    "wish",
    [
        intent(quantity=0.0034),
        intent(quantity=0.0001),
        intent(quantity=0.0),
        intent(quantity=-0.003),
        intent(quantity=float("nan")),
        stop_of(stop_price=95.54),
        stop_of(stop_price=None),
        intent(type=OrderType.LIMIT, limit_price=0.0),
        intent(type=OrderType.LIMIT),
    ],
)
def test_what_ccxt_would_change_is_not_sent(wish: OrderIntent) -> None:
    """A quantity or price that would go out as another one is refused, with its name."""
    with pytest.raises(InexactError, match=r"quantity|price"):
        order_arguments(offline(Market.USDM), USDM, wish)
    assert NOT_EXACT == "precision"


def test_an_order_is_asked_for_where_it_lives() -> None:
    """Conditional orders of perpetuals are asked for as such; on spot they are orders as others."""
    assert asking_for(USDM, intent()) == {"clientOrderId": "r0abcdef1e"}
    assert asking_for(USDM, stop_of()) == {"clientOrderId": "r0abcdef1s", "trigger": True}
    assert asking_for(COINS, stop_of(SPOT)) == {"clientOrderId": "r0abcdef1s"}


def test_refusals_on_which_something_hangs_have_words_of_ours() -> None:
    """That a post-only order would have crossed, or a stop triggered at once, is told by one word on every exchange."""
    limit = intent(type=OrderType.LIMIT, limit_price=99.5, leg=Leg.ENTRY)
    exchange: Exchange = offline(Market.USDM)
    for text, code, wish in (
        ("-5022", WOULD_CROSS, limit),
        ("-2021", WOULD_TRIGGER, stop_of()),
        ("-2021", "-2021", intent()),
        ("-2019", "-2019", limit),
    ):
        error = exchange.exceptions["linear"]["exact"].get(text) or exchange.exceptions["exact"][text]
        outcome = outcome_of(error(f'{{"code":{text}}}'), USDM)
        assert refusal_code(USDM, wish, outcome) == code
    crossed = exchange.exceptions["exact"]["Order would immediately match and take."]
    spot = outcome_of(crossed("binance Order would immediately match and take."), COINS)
    assert refusal_code(COINS, limit, spot) == WOULD_CROSS
