"""Orders of the perpetuals, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import ccxt
import pytest

from bot.exchange_client import SimControl

SYMBOL = "BTC/USDT:USDT"
MINUTE_MS = 60_000
WEEK_MS = 7 * 24 * 60 * MINUTE_MS


def by_client_id(client_id: str, **more) -> dict[str, object]:
    """Parameters that name an order by its client id."""
    return {"clientOrderId": client_id, **more}


async def test_a_market_order_fills_at_once_at_the_open_with_its_costs(trade, make_tape, bars) -> None:
    """At a boundary the price is the open of the bar that begins, half a spread and slippage worse."""
    async with trade(make_tape(), start_at="+10m") as (_, exchange):
        order = await exchange.create_order(SYMBOL, "market", "buy", 2.0, None, by_client_id("one"))
        price = float(bars("BTCUSDT", 60).open[10]) * (1 + 1.5 / 10_000)
        assert (order["status"], order["clientOrderId"], order["filled"]) == ("closed", "one", 2.0)
        trades = await exchange.fetch_my_trades(SYMBOL)
        assert [(fill["price"], fill["amount"], fill["order"]) for fill in trades] == [
            (price, 2.0, order["id"])
        ]
        assert trades[0]["fee"] == {"cost": 2.0 * price * 4 / 10_000, "currency": "USDT"}
        positions = await exchange.fetch_positions([SYMBOL])
        assert [(held["side"], held["contracts"], held["entryPrice"]) for held in positions] == [
            ("long", 2.0, price)
        ]
        balance = await exchange.fetch_balance()
        assert float(balance["info"]["totalWalletBalance"]) == 10_000 - trades[0]["fee"]["cost"]


async def test_a_limit_order_rests_until_it_is_canceled(trade, make_tape) -> None:
    """It is open, found by number and by client id, canceled once; then it is known and not open."""
    async with trade(make_tape()) as (_, exchange):
        order = await exchange.create_order(
            SYMBOL, "limit", "buy", 2, 98.0, by_client_id("rest", postOnly=True)
        )
        assert (order["status"], order["postOnly"], order["price"]) == ("open", True, 98.0)
        assert [one["id"] for one in await exchange.fetch_open_orders(SYMBOL)] == [order["id"]]
        exchange.options["fetchOpenOrders"]["warnWithoutSymbol"] = False
        assert [one["id"] for one in await exchange.fetch_open_orders()] == [order["id"]]
        assert (await exchange.fetch_order(order["id"], SYMBOL))["clientOrderId"] == "rest"
        canceled = await exchange.cancel_order("", SYMBOL, by_client_id("rest"))
        assert (canceled["id"], canceled["status"]) == (order["id"], "canceled")
        assert (await exchange.fetch_order("", SYMBOL, by_client_id("rest")))["status"] == "canceled"
        assert await exchange.fetch_open_orders(SYMBOL) == []
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await exchange.cancel_order("", SYMBOL, by_client_id("rest"))
        assert [one["status"] for one in await exchange.fetch_orders(SYMBOL)] == ["canceled"]


async def test_a_conditional_order_lives_on_the_algo_endpoints(trade, make_tape) -> None:
    """Stop and target are made, listed, looked up and canceled there, and are no ordinary orders."""
    async with trade(make_tape()) as (_, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 2)
        stop, target = [
            await exchange.create_order(
                SYMBOL, "market", "sell", 2, None, by_client_id(name, reduceOnly=True, **{level: price})
            )
            for name, level, price in (("stop", "stopLossPrice", 90.0), ("target", "takeProfitPrice", 110.0))
        ]
        assert (stop["status"], stop["triggerPrice"], stop["reduceOnly"]) == ("open", 90.0, True)
        assert (target["triggerPrice"], target["takeProfitPrice"]) == (110.0, 110.0)
        assert await exchange.fetch_open_orders(SYMBOL) == []
        listed = await exchange.fetch_open_orders(SYMBOL, params={"trigger": True})
        assert [one["clientOrderId"] for one in listed] == ["stop", "target"]
        found = await exchange.fetch_order("", SYMBOL, by_client_id("stop", trigger=True))
        assert found["id"] == stop["id"]
        assert int(stop["id"]) > 1_000_000  # never the number of an ordinary order, for ccxt keeps one table
        await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})
        gone = await exchange.fetch_order(stop["id"], SYMBOL, {"trigger": True})
        assert gone["status"] == "canceled"
        await exchange.cancel_all_orders(SYMBOL, {"trigger": True})
        assert await exchange.fetch_open_orders(SYMBOL, params={"trigger": True}) == []
        assert len(await exchange.fetch_orders(SYMBOL, params={"trigger": True})) == 2
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.fetch_order("", SYMBOL, by_client_id("never", trigger=True))


async def test_a_conditional_order_may_close_whatever_is_held(trade, make_tape) -> None:
    """With closePosition it has no quantity."""
    async with trade(make_tape()) as (_, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 2)
        order = await exchange.create_order(
            SYMBOL, "market", "sell", None, None, {"stopLossPrice": 90, "closePosition": True}
        )
        assert (order["status"], order["info"]["closePosition"], order["amount"]) == ("open", True, None)


@pytest.mark.parametrize(
    ("request_", "kind", "code"),
    [
        ({"type": "MARKET", "quantity": "0.0001"}, ccxt.BadRequest, "-1111"),
        ({"type": "MARKET", "quantity": "0.1"}, ccxt.InvalidOrder, "-4164"),
        ({"type": "MARKET", "quantity": "5000"}, ccxt.InsufficientFunds, "-2019"),
        ({"type": "MARKET", "quantity": "2", "reduceOnly": "true"}, ccxt.InvalidOrder, "-2022"),
        ({"type": "MARKET"}, ccxt.BadRequest, "-1102"),
        ({"type": "MARKET", "quantity": "x"}, ccxt.BadRequest, "-1100"),
        ({"type": "STOP_MARKET", "quantity": "2", "stopPrice": "90"}, ccxt.InvalidOrder, "-4120"),
        ({"type": "STOP", "quantity": "2"}, ccxt.InvalidOrder, "-4120"),
        ({"type": "LIMIT_MAKER", "quantity": "2"}, ccxt.BadRequest, "-1116"),
        ({"type": "LIMIT", "quantity": "2", "price": "99"}, ccxt.BadRequest, "-1102.*timeInForce"),
        ({"type": "LIMIT", "quantity": "2", "timeInForce": "GTC"}, ccxt.BadRequest, "-1102.*price"),
        ({"type": "LIMIT", "quantity": "2", "price": "99", "timeInForce": "GTE"}, ccxt.BadRequest, "-1115"),
        ({"type": "LIMIT", "quantity": "2", "price": "104", "timeInForce": "GTX"}, ccxt.InvalidOrder, "-5022"),
        ({"type": "MARKET", "quantity": "2", "side": "HOLD"}, ccxt.BadRequest, "-1117"),
        ({"type": "MARKET", "quantity": "2", "symbol": "NOPEUSDT"}, ccxt.BadSymbol, "-1121"),
        ({"type": "MARKET", "quantity": "2", "positionSide": "LONG"}, ccxt.BaseError, "-4061"),
        ({"type": "MARKET", "quantity": "2", "newClientOrderId": "a b"}, ccxt.BadRequest, "-1100"),
    ],
)  # fmt: skip
async def test_what_the_exchange_refuses(trade, make_tape, request_, kind, code: str) -> None:
    """Each fault of an order has Binance's code, which ccxt maps to its own class, and nothing comes of it."""
    async with trade(make_tape()) as (server, exchange):
        with pytest.raises(kind, match=code):
            await exchange.fapiPrivatePostOrder({"symbol": "BTCUSDT", "side": "BUY", **request_})
        assert server.trading.floor.account.truth()["orders"] == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"type": "STOP_MARKET", "quantity": "2"}, "-1102.*triggerPrice"),
        ({"type": "MARKET", "quantity": "2", "triggerPrice": "90"}, "-1116"),
        ({"type": "STOP_MARKET", "quantity": "2", "triggerPrice": "101"}, "-2021"),
        ({"type": "STOP_MARKET", "quantity": "2", "triggerPrice": "90", "algoType": "VP"}, "-4136"),
    ],
)
async def test_what_the_algo_endpoint_refuses(trade, make_tape, request_, code: str) -> None:
    """A conditional order without a level, of another type, or beyond its level is refused."""
    async with trade(make_tape()) as (_, exchange):
        with pytest.raises(ccxt.BaseError, match=code):
            await exchange.fapiPrivatePostAlgoOrder(
                {"symbol": "BTCUSDT", "side": "SELL", "algoType": "CONDITIONAL", **request_}
            )


async def test_a_client_id_is_taken_once_while_it_is_open(trade, make_tape) -> None:
    """A second open order of the same id is refused, so that a resent request does not double an order."""
    async with trade(make_tape()) as (_, exchange):
        await exchange.create_order(SYMBOL, "limit", "buy", 2, 98.0, by_client_id("same"))
        with pytest.raises(ccxt.BaseError, match="-4116"):
            await exchange.create_order(SYMBOL, "limit", "buy", 2, 98.0, by_client_id("same"))
        assert len(await exchange.fetch_open_orders(SYMBOL)) == 1


async def test_an_order_without_a_client_id_gets_one(trade, make_tape) -> None:
    """The exchange makes ids up, each different."""
    async with trade(make_tape()) as (server, exchange):
        for _ in range(2):
            exchange.handle_client_order_id = lambda params, *_: params
            await exchange.fapiPrivatePostOrder(
                {
                    "symbol": "BTCUSDT",
                    "side": "BUY",
                    "type": "LIMIT",
                    "quantity": 2,
                    "price": 98,
                    "timeInForce": "GTC",
                }
            )
        ids = {one.request.client_order_id for one in server.trading.floor.account.open_orders()}
        assert len(ids) == 2
        assert all(len(one) == 22 for one in ids)


async def test_executions_are_paged_by_number_and_by_time(trade, make_tape, start_ms: int) -> None:
    """A number gives what comes from there on; a start gives a week from it; more than a week at once is refused."""
    async with trade(make_tape()) as (_, exchange):
        for _ in range(5):
            await exchange.create_order(SYMBOL, "market", "buy", 1)
        pages = [await exchange.fetch_my_trades(SYMBOL, limit=2, params={"fromId": one}) for one in (1, 3, 5)]
        assert [[int(fill["id"]) for fill in page] for page in pages] == [[1, 2], [3, 4], [5]]
        raw = exchange.fapiPrivateGetUserTrades
        asked = {"symbol": "BTCUSDT", "startTime": start_ms - WEEK_MS}
        assert len(await raw(asked)) == 5
        assert await raw({**asked, "startTime": start_ms - WEEK_MS - 1}) == []
        assert len(await raw({"symbol": "BTCUSDT", "startTime": start_ms, "orderId": 2})) == 1
        with pytest.raises(ccxt.BaseError, match="-4165"):
            await raw({**asked, "endTime": start_ms + 1})
        with pytest.raises(ccxt.BaseError, match="-1023"):
            await raw({"symbol": "BTCUSDT", "startTime": 2, "endTime": 1})


async def test_a_stranger_trades_on_the_same_account(trade, make_tape) -> None:
    """The order of the control command is an order of the account like any other, and a refused one says why."""
    async with trade(make_tape()) as (_, exchange):
        made = await SimControl(exchange).trade("BTCUSDT", "BUY", 2.0)
        found = await exchange.fetch_order("", SYMBOL, by_client_id(made["client_order_id"]))
        assert (found["id"], found["status"]) == (str(made["order_id"]), "closed")
        truth = await SimControl(exchange).truth()
        assert [held["quantity"] for held in truth["positions"]] == [2.0]
        with pytest.raises(Exception, match="-4164"):
            await SimControl(exchange).trade("BTCUSDT", "BUY", 0.001)
