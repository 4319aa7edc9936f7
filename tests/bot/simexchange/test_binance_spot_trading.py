"""Orders of spot, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import ccxt
import pytest

SYMBOL = "ETH/USDT"
DAY_MS = 86_400_000
LEGS = {
    "aboveType": "TAKE_PROFIT", "aboveStopPrice": "110", "aboveClientOrderId": "target",
    "belowType": "STOP_LOSS", "belowStopPrice": "90", "belowClientOrderId": "stop",
}  # fmt: skip
PAIR = {"symbol": "ETHUSDT", "side": "SELL", "quantity": "2", "listClientOrderId": "both", **LEGS}


@pytest.fixture
def spot(trade, make_tape):
    """Run a spot exchange of one symbol."""
    return lambda **settings: trade(make_tape("ETHUSDT", exchange="binance"), **settings)


async def test_a_market_order_is_answered_with_its_fills(spot, bars) -> None:
    """FULL gives price, quantity and fee of each execution; the fee is in the quote currency; coins come in whole."""
    async with spot() as (_, exchange):
        order = await exchange.create_order(SYMBOL, "market", "buy", 2, None, {"newClientOrderId": "one"})
        price = float(bars("ETHUSDT", 60).open[0]) * (1 + 1.5 / 10_000)
        assert (order["status"], order["clientOrderId"], order["filled"]) == ("closed", "one", 2.0)
        cost = 2 * price * 4 / 10_000
        fee = {"cost": cost, "currency": "USDT"}
        assert [(fill["price"], fill["amount"], fill["fee"]) for fill in order["trades"]] == [
            (price, 2.0, fee)
        ]
        assert [fill["id"] for fill in await exchange.fetch_my_trades(SYMBOL)] == [order["trades"][0]["id"]]
        balance = await exchange.fetch_balance()
        assert balance["ETH"] == {"free": 2.0, "used": 0.0, "total": 2.0}
        assert balance["USDT"]["total"] == 10_000 - 2 * price - cost


async def test_a_post_only_order_rests_and_locks_money(spot) -> None:
    """LIMIT_MAKER is open and locks its cost until it is canceled, by either id."""
    async with spot() as (_, exchange):
        order = await exchange.create_order(
            SYMBOL, "limit", "buy", 2, 95, {"postOnly": True, "clientOrderId": "rest"}
        )
        assert (order["status"], order["postOnly"]) == ("open", True)
        used = (await exchange.fetch_balance())["USDT"]["used"]
        assert used == pytest.approx(190, rel=0.001)
        assert [one["id"] for one in await exchange.fetch_open_orders(SYMBOL)] == [order["id"]]
        canceled = await exchange.cancel_order(order["id"], SYMBOL)
        assert (canceled["status"], canceled["info"]["origClientOrderId"]) == ("canceled", "rest")
        assert (await exchange.fetch_order("", SYMBOL, {"clientOrderId": "rest"}))["status"] == "canceled"
        assert (await exchange.fetch_balance())["USDT"]["used"] == 0
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order(order["id"], SYMBOL)


async def test_a_pair_lives_and_goes_together(spot) -> None:
    """Stop and target lock the coins once; canceling one cancels both; the list is found by either id."""
    async with spot() as (_, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 2)
        made = await exchange.privatePostOrderListOco(PAIR)
        assert (made["contingencyType"], made["listOrderStatus"]) == ("OCO", "EXECUTING")
        assert [report["type"] for report in made["orderReports"]] == ["STOP_LOSS", "TAKE_PROFIT"]
        assert (await exchange.fetch_balance())["ETH"] == {"free": 0.0, "used": 2.0, "total": 2.0}
        shown = [
            (one["clientOrderId"], one["triggerPrice"]) for one in await exchange.fetch_open_orders(SYMBOL)
        ]
        assert shown == [("stop", 90.0), ("target", 110.0)]
        lists = await exchange.privateGetOpenOrderList()
        assert [one["listClientOrderId"] for one in lists] == ["both"]
        await exchange.cancel_order("", SYMBOL, {"clientOrderId": "target"})
        assert await exchange.fetch_open_orders(SYMBOL) == []
        for which in ({"origClientOrderId": "both"}, {"orderListId": made["orderListId"]}):
            assert (await exchange.privateGetOrderList(which))["listOrderStatus"] == "ALL_DONE"


async def test_a_pair_is_canceled_as_a_list_or_with_everything(spot) -> None:
    """Both ways report both orders as canceled."""
    async with spot() as (_, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 2)
        await exchange.privatePostOrderListOco(PAIR)
        gone = await exchange.privateDeleteOrderList({"symbol": "ETHUSDT", "listClientOrderId": "both"})
        assert [report["status"] for report in gone["orderReports"]] == ["CANCELED", "CANCELED"]
        await exchange.privatePostOrderListOco(PAIR)
        await exchange.create_order(SYMBOL, "limit", "buy", 1, 95)
        all_gone = await exchange.privateDeleteOpenOrders({"symbol": "ETHUSDT"})
        assert [("orderReports" in one, one.get("status")) for one in all_gone] == [
            (False, "CANCELED"),
            (True, None),
        ]
        assert await exchange.fetch_open_orders(SYMBOL) == []


@pytest.mark.parametrize(
    ("request_", "kind", "code"),
    [
        ({"type": "MARKET", "quantity": "2000"}, ccxt.InsufficientFunds, "insufficient balance"),
        ({"type": "MARKET", "quantity": "0.00001"}, ccxt.InvalidOrder, "LOT_SIZE|lot size"),
        ({"type": "MARKET", "quantity": "0.01"}, ccxt.BadRequest, "NOTIONAL"),
        ({"type": "LIMIT", "quantity": "1", "price": "99.001", "timeInForce": "GTC"}, ccxt.InvalidOrder, "PRICE_FILTER"),
        ({"type": "LIMIT", "quantity": "1", "price": "99"}, ccxt.BadRequest, "-1102"),
        ({"type": "LIMIT", "quantity": "1", "price": "99", "timeInForce": "GTX"}, ccxt.BadRequest, "-1115"),
        ({"type": "LIMIT_MAKER", "quantity": "1", "price": "104"}, ccxt.BaseError, "immediately match"),
        ({"type": "STOP_LOSS_LIMIT", "quantity": "1", "price": "90", "stopPrice": "91"}, ccxt.BadRequest, "-1116"),
        ({"type": "STOP_LOSS", "quantity": "1"}, ccxt.BadRequest, "-1102.*stopPrice"),
        ({"type": "MARKET"}, ccxt.BadRequest, "-1102.*quantity"),
        ({"type": "MARKET", "quantity": "1", "newOrderRespType": "LONG"}, ccxt.BaseError, "-1136"),
        ({"type": "MARKET", "quantity": "1", "symbol": "NOPEUSDT"}, ccxt.BadSymbol, "-1121"),
    ],
)  # fmt: skip
async def test_what_the_exchange_refuses(spot, request_, kind, code: str) -> None:
    """Each fault of an order has Binance's code or filter, and nothing comes of it."""
    async with spot() as (server, exchange):
        with pytest.raises(kind, match=code):
            await exchange.privatePostOrder({"symbol": "ETHUSDT", "side": "BUY", **request_})
        assert server.trading.floor.account.truth()["orders"] == []


async def test_a_pair_that_makes_no_sense_is_refused_whole(spot) -> None:
    """Levels on the wrong sides, or coins that are not there: neither order is made."""
    async with spot() as (server, exchange):
        with pytest.raises(ccxt.BaseError, match="insufficient"):
            await exchange.privatePostOrderListOco(PAIR)
        await exchange.create_order(SYMBOL, "market", "buy", 2)
        with pytest.raises(ccxt.BaseError, match="-2010"):
            await exchange.privatePostOrderListOco({**PAIR, "belowStopPrice": "109"})
        with pytest.raises(ccxt.BaseError, match="-2018"):
            await exchange.privateGetOrderList({"origClientOrderId": "both"})
        with pytest.raises(ccxt.BaseError, match="-1102"):
            await exchange.privateGetOrderList()
        assert server.trading.floor.account.open_orders() == []


async def test_answers_are_as_long_as_asked(spot) -> None:
    """ACK names the order, RESULT tells its state, FULL its executions."""
    async with spot() as (_, exchange):
        answers = [
            await exchange.privatePostOrder(
                {
                    "symbol": "ETHUSDT",
                    "side": "BUY",
                    "type": "MARKET",
                    "quantity": 1,
                    "newOrderRespType": kind,
                }
            )
            for kind in ("ACK", "RESULT", "FULL")
        ]
        assert [("status" in one, "fills" in one) for one in answers] == [
            (False, False),
            (True, False),
            (True, True),
        ]


async def test_executions_are_paged_by_number_and_by_time(spot, start_ms: int) -> None:
    """A number gives what comes from there on; a stretch of more than a day is refused."""
    async with spot() as (_, exchange):
        for _ in range(3):
            await exchange.create_order(SYMBOL, "market", "buy", 1)
        page = await exchange.fetch_my_trades(SYMBOL, limit=2, params={"fromId": 2})
        assert [fill["id"] for fill in page] == ["2", "3"]
        assert len(await exchange.fetch_my_trades(SYMBOL, since=start_ms)) == 3
        assert await exchange.fetch_my_trades(SYMBOL, since=start_ms + 1) == []
        assert len(await exchange.fetch_orders(SYMBOL)) == 3
        stretch = {"symbol": "ETHUSDT", "startTime": start_ms, "endTime": start_ms + DAY_MS + 1}
        with pytest.raises(ccxt.BaseError, match="-1127"):
            await exchange.privateGetMyTrades(stretch)


async def test_the_permissions_of_the_key_are_told(spot) -> None:
    """What a doctor asks on spot."""
    async with spot(may_withdraw=True) as (_, exchange):
        may = await exchange.sapiGetAccountApiRestrictions()
        names = ("enableReading", "enableSpotAndMarginTrading", "enableWithdrawals")
        assert [may[name] for name in names] == [True, True, True]
        assert (await exchange.sapiGetAssetTradeFee())[0]["takerCommission"] == "0.0004"
