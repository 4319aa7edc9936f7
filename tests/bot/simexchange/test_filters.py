"""The filters, each with the code and text of Binance."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.config import Market
from bot.simexchange.exchange_info import Listing, futures_info, list_symbol, spot_info
from bot.simexchange.filters import (
    MAX_CONDITIONAL_ORDERS,
    MAX_OPEN_ORDERS,
    check_client_id,
    check_open_count,
    check_request,
    is_post_only,
    listed,
    on_step,
)
from bot.simexchange.orders import OrderKind, OrderRequest
from tests.shared_data import shared_file
from tests.sim_accounts import LISTINGS, SYMBOL, limit, refused, request, stop, target

SPOT, USDM = Market.SPOT, Market.USDM
PRECISION = "Precision is over the maximum defined for this asset."
LARGE = 1e7 + 1


def answer(asked: OrderRequest, market: Market, price: float | None = 100.0) -> tuple[int, str]:
    """With what an order is refused."""
    return refused(lambda: check_request(asked, LISTINGS[SYMBOL], market, price))


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        (request(quantity=0.0), -4003, "Quantity less than or equal to zero."),
        (request(quantity=-1.0), -4003, "Quantity less than or equal to zero."),
        (request(quantity=math.nan), -4003, "Quantity less than or equal to zero."),
        (request(quantity=math.inf), -1111, PRECISION),
        (request(quantity=1.0005), -1111, PRECISION),
        (request(quantity=1_000_001.0), -4005, "Quantity greater than max quantity."),
        (limit("BUY", 100.0, LARGE), -4005, "Quantity greater than max quantity."),
        (
            request(quantity=0.049),
            -4164,
            "Order's notional must be no smaller than 5 (unless you choose reduce only).",
        ),
        (
            limit("BUY", 99.0, 0.05),
            -4164,
            "Order's notional must be no smaller than 5 (unless you choose reduce only).",
        ),
        (
            stop("BUY", 101.0, 0.049),
            -4164,
            "Order's notional must be no smaller than 5 (unless you choose reduce only).",
        ),
        (limit("BUY", 0.0), -4001, "Price less than 0."),
        (limit("BUY", 1_000_001.0), -4002, "Price greater than max price."),
        (limit("BUY", 99.005), -4014, "Price not increased by tick size."),
        (limit("BUY", 99.000000001), -1111, PRECISION),
        (limit("BUY", 105.01), -4016, "Limit price can't be higher than 105.00."),
        (limit("SELL", 94.99), -4024, "Limit price can't be lower than 95.00."),
        (stop("SELL", 0.0), -4006, "Stop price less than zero."),
        (stop("SELL", 1_000_001.0), -4007, "Stop price greater than max price."),
        (target("SELL", 101.001), -4014, "Price not increased by tick size."),
        (request("HOLD"), -1117, "Invalid side."),
        (
            request(kind=OrderKind.LIMIT),
            -1102,
            "Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
        ),
        (
            request(kind=OrderKind.STOP_MARKET),
            -1102,
            "Mandatory parameter 'triggerPrice' was not sent, was empty/null, or malformed.",
        ),
        (
            request(quantity=0.0, close_position=True),
            -4136,
            "Target strategy invalid for orderType MARKET,closePosition true",
        ),
        (
            stop("SELL", 99.0, 0.0, close_position=True, reduce_only=True),
            -1106,
            "Parameter 'reduceonly' sent when not required.",
        ),
        (stop("SELL", 99.0, 1.0, close_position=True), -1106, "Parameter 'quantity' sent when not required."),
        (request(client_id="x" * 37), -4015, "Client order id length should not be more than 36 chars"),
        (
            request(client_id="a b"),
            -1100,
            r"Illegal characters found in parameter 'newClientOrderId'; legal range is '^[\.A-Z\:/a-z0-9_-]{1,36}$'.",
        ),
    ],
)
def test_what_the_perpetuals_refuse(asked, code, text):
    """Each rule has its own code and text."""
    assert answer(asked, USDM) == (code, text)


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        (request(quantity=0.0), -1013, "Invalid quantity."),
        (request(quantity=math.nan), -1013, "Invalid quantity."),
        (request(quantity=math.inf), -1111, "Parameter 'quantity' has too much precision."),
        (request(quantity=1.000000001), -1111, "Parameter 'quantity' has too much precision."),
        (request(quantity=1.0005), -1013, "Filter failure: LOT_SIZE"),
        (limit("BUY", 99.0, 9e6 + 1), -1013, "Filter failure: LOT_SIZE"),
        (request(quantity=900_001.0), -1013, "Filter failure: MARKET_LOT_SIZE"),
        (limit("BUY", 0.0), -1013, "Invalid price."),
        (limit("BUY", 99.005), -1013, "Filter failure: PRICE_FILTER"),
        (stop("SELL", 99.005), -1013, "Filter failure: PRICE_FILTER"),
        (limit("BUY", 1_000_001.0), -1013, "Filter failure: PRICE_FILTER"),
        (limit("BUY", 99.000000001), -1111, "Parameter 'price' has too much precision."),
        (limit("BUY", 500.01), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (limit("SELL", 19.99), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (request(quantity=0.049), -1013, "Filter failure: NOTIONAL"),
        (limit("BUY", 90.0, 0.05), -1013, "Filter failure: NOTIONAL"),
        (stop("SELL", 90.0, 0.05), -1013, "Filter failure: NOTIONAL"),
        (limit("BUY", 100.0, 90_001.0), -1013, "Filter failure: NOTIONAL"),
        (request(reduce_only=True), -1106, "Parameter 'reduceOnly' sent when not required."),
        (
            stop("SELL", 99.0, 0.0, close_position=True),
            -1106,
            "Parameter 'closePosition' sent when not required.",
        ),
        (
            request(kind=OrderKind.TAKE_PROFIT_MARKET),
            -1102,
            "Mandatory parameter 'stopPrice' was not sent, was empty/null, or malformed.",
        ),
        (
            request(client_id="a:b"),
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_.]{1,36}$'.",
        ),
    ],
)
def test_what_spot_refuses(asked, code, text):
    """Each rule has its own code and text."""
    assert answer(asked, SPOT) == (code, text)


@pytest.mark.parametrize("market", list(Market))
@pytest.mark.parametrize(
    "asked",
    [
        request(quantity=0.05),
        limit("BUY", 99.99, 0.051),
        limit("SELL", 100.01, 3.0, force="GTX"),
        stop("SELL", 99.0, 0.051),
        target("SELL", 101.0),
    ],
)
def test_what_keeps_the_rules_passes(market, asked):
    """Orders just within the filters are not refused."""
    check_request(asked, LISTINGS[SYMBOL], market, 100.0)


def test_an_order_that_only_reduces_may_be_small():
    """The least notional is for opening: what is left of a position can always be closed."""
    check_request(request(quantity=0.001, reduce_only=True), LISTINGS[SYMBOL], USDM, 100.0)
    check_request(stop("SELL", 99.0, 0.001, reduce_only=True), LISTINGS[SYMBOL], USDM, 100.0)
    check_request(stop("SELL", 99.0, 0.0, close_position=True), LISTINGS[SYMBOL], USDM, 100.0)


def test_without_a_price_only_what_needs_one_is_let_by():
    """Notional and percentages of a market order can't be measured; the lot step can."""
    for market in Market:
        check_request(request(quantity=0.001), LISTINGS[SYMBOL], market, None)
        refused(partial(check_request, request(quantity=0.0001), LISTINGS[SYMBOL], market, None))
    check_request(limit("BUY", 1000.0), LISTINGS[SYMBOL], USDM, None)


@given(steps=st.integers(1, 10**9), digits=st.integers(0, 8))
def test_every_multiple_of_a_step_is_on_it(steps, digits):
    """Whole steps written as decimal text and read back pass, half a step more does not."""
    step = float(f"1e-{digits}")
    assert on_step(float(f"{steps}e-{digits}"), step)
    assert not on_step(float(f"{steps}5e-{digits + 1}"), step)


def test_a_symbol_that_is_not_listed_is_refused():
    """Whatever else it asks for."""
    assert refused(lambda: listed(LISTINGS, "ZZZUSDT")) == (-1121, "Invalid symbol.")
    assert listed(LISTINGS, SYMBOL) is LISTINGS[SYMBOL]


@pytest.mark.parametrize(
    ("market", "order", "conditional"),
    [
        (USDM, (-2025, "Reach max open order limit."), (-4045, "Reach max stop order limit.")),
        (SPOT, (-1013, "Filter failure: MAX_NUM_ORDERS"), (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")),
    ],
)
def test_one_order_too_many_is_refused(market, order, conditional):
    """Of all open ones and of conditional ones; a market order never waits and always passes."""
    most = MAX_CONDITIONAL_ORDERS[market]
    check_open_count(stop("SELL", 99.0), market, most - 1, most - 1)
    check_open_count(limit("BUY", 99.0), market, MAX_OPEN_ORDERS - 1, most)
    check_open_count(request(), market, MAX_OPEN_ORDERS, most)
    assert refused(lambda: check_open_count(stop("SELL", 99.0), market, most, most)) == conditional
    assert refused(lambda: check_open_count(limit("BUY", 99.0), market, MAX_OPEN_ORDERS, 0)) == order


def test_the_id_of_a_list_is_named_as_such():
    """A refusal names the parameter that is wrong."""
    text = refused(lambda: check_client_id("a b", SPOT, "listClientOrderId"))[1]
    assert "'listClientOrderId'" in text
    check_client_id("a-b_c.9", SPOT)


def test_post_only_is_a_limit_order_that_may_only_rest():
    """No other kind is, whatever its time in force says."""
    assert is_post_only(limit("BUY", 99.0, force="GTX"))
    assert not is_post_only(limit("BUY", 99.0))
    assert not is_post_only(request())


@pytest.mark.parametrize("market", [Market.SPOT, Market.USDM])
def test_the_filters_are_those_that_are_listed(market):
    """What ``exchangeInfo`` says of counts, sizes and percentages is what is checked."""
    listing = list_symbol("BTCUSDT", market, 20_000.0)
    told = (spot_info if market is SPOT else futures_info)([listing], 0)["symbols"][0]["filters"]
    filters = {row["filterType"]: row for row in told}
    count = filters["MAX_NUM_ALGO_ORDERS"]["maxNumAlgoOrders" if market is SPOT else "limit"]
    assert count == MAX_CONDITIONAL_ORDERS[market]
    assert filters["MAX_NUM_ORDERS"]["maxNumOrders" if market is SPOT else "limit"] == MAX_OPEN_ORDERS
    largest = float(filters["MARKET_LOT_SIZE"]["maxQty"])
    check_request(request(quantity=largest, symbol="BTCUSDT"), listing, market, 20_000.0)
    more = request(quantity=largest + 1, symbol="BTCUSDT")
    assert refused(lambda: check_request(more, listing, market, 20_000.0))[0] in {-1013, -4005}
    top = float(filters["PRICE_FILTER"]["maxPrice"])
    check_request(limit("SELL", top, symbol="BTCUSDT"), listing, market, 900_000.0)
    up = 5.0 if market is SPOT else 1.05
    share = (
        filters["PERCENT_PRICE_BY_SIDE"]["bidMultiplierUp"]
        if market is SPOT
        else filters["PERCENT_PRICE"]["multiplierUp"]
    )
    assert float(share) == up
    check_request(limit("BUY", 20_000.0 * up, symbol="BTCUSDT"), listing, market, 20_000.0)
    refused(
        lambda: check_request(limit("BUY", 20_000.0 * up + 0.1, symbol="BTCUSDT"), listing, market, 20_000.0)
    )


@pytest.mark.parametrize(
    ("market", "name"),
    [(USDM, "usdm-exchangeInfo-2025-11-14.small.json"), (SPOT, "spot-exchangeInfo-2024-09-08.small.json")],
)
def test_orders_on_the_steps_of_real_listings_pass(market, name):
    """A quantity and a price on the grid of a recorded symbol are taken, one digit finer is not."""
    for row in json.loads(shared_file("exchange", "binance", name).read_text())["symbols"]:
        rules = {one["filterType"]: one for one in row["filters"]}
        tick, step = float(rules["PRICE_FILTER"]["tickSize"]), float(rules["LOT_SIZE"]["stepSize"])
        listing = Listing(row["symbol"], row["baseAsset"], row["quoteAsset"], tick, step, 0.0)
        price, quantity = Decimal(repr(tick)) * 1234, Decimal(repr(step)) * 7
        asked = limit("BUY", float(price), float(quantity), symbol=listing.symbol)
        check_request(asked, listing, market, float(price))
        finer = limit("BUY", float(price), float(quantity + Decimal(repr(step)) / 10), symbol=listing.symbol)
        refused(partial(check_request, finer, listing, market, None))
