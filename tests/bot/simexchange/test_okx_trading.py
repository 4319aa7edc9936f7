"""Orders of OKX's swaps, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from bot.exchange_client import SimControl

SYMBOL, NAME = "BTC/USDT:USDT", "BTC-USDT-SWAP"
ASKED = {"instId": NAME, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "2"}


def own(client_id: str, **more: object) -> dict[str, object]:
    """Parameters that name an order by its client id."""
    return {"clientOrderId": client_id, **more}


async def test_a_market_order_fills_at_once_in_contracts(swap, bars) -> None:
    """200 contracts are two bitcoins, at the open that begins, half a spread and slippage worse; the fee is positive in ccxt."""
    async with swap(start_at="+10m") as (_, exchange):
        made = await exchange.create_order(SYMBOL, "market", "buy", 200, None, own("one"))
        assert (made["id"], made["clientOrderId"]) == ("1", "one")
        price = float(bars("BTCUSDT", 60).open[10]) * (1 + 1.5 / 10_000)
        order = await exchange.fetch_order(None, SYMBOL, own("one"))
        assert (order["status"], order["filled"], order["average"], order["type"]) == (
            "closed",
            200,
            price,
            "market",
        )
        assert order["fee"] == {"cost": 2.0 * price * 4 / 10_000, "currency": "USDT"}
        (fill,) = await exchange.fetch_my_trades(SYMBOL)
        assert (fill["price"], fill["amount"], fill["order"], fill["takerOrMaker"]) == (
            price,
            200,
            "1",
            "taker",
        )
        assert fill["fee"] == {"cost": 2.0 * price * 4 / 10_000, "currency": "USDT"}
        assert fill["info"]["fee"].startswith("-")
        (true,) = (await SimControl(exchange).truth())["positions"]
        assert (true["quantity"], true["entry_price"]) == (2.0, price)


async def test_both_endpoints_take_orders(swap) -> None:
    """Ccxt uses the one for several by default, and the other where told."""
    async with swap() as (server, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 100, None, own("one"))
        exchange.options["createOrder"] = "privatePostTradeOrder"
        await exchange.create_order(SYMBOL, "market", "sell", 100, None, own("two", reduceOnly=True))
        orders = server.trading.floor.account.truth()["orders"]
        assert [(row["request"]["client_order_id"], row["status"]) for row in orders] == [
            ("one", "FILLED"),
            ("two", "FILLED"),
        ]


async def test_of_several_orders_some_may_fail(swap) -> None:
    """The answer then has code 2, and each order its own."""
    async with swap() as (_, exchange):
        asked = [{**ASKED, "clOrdId": "good"}, {**ASKED, "clOrdId": "bad", "sz": "0.005"}]
        answer = await exchange.privatePostTradeBatchOrders(asked)
        told = [(row["clOrdId"], row["sCode"], bool(row["ordId"])) for row in answer["data"]]
        assert (answer["code"], told) == ("2", [("good", "0", True), ("bad", "51020", False)])


async def test_a_limit_order_rests_until_it_is_canceled(swap) -> None:
    """It is open, found by number and by client id, canceled once; then it is over."""
    async with swap() as (_, exchange):
        made = await exchange.create_order(SYMBOL, "limit", "buy", 200, 98.0, own("rest", postOnly=True))
        (open_,) = await exchange.fetch_open_orders(SYMBOL)
        assert (open_["id"], open_["status"], open_["postOnly"], open_["price"]) == (
            made["id"],
            "open",
            True,
            98.0,
        )
        canceled = await exchange.cancel_order(None, SYMBOL, own("rest"))
        assert canceled["id"] == made["id"]
        over = await exchange.fetch_order(made["id"], SYMBOL)
        assert (over["status"], over["filled"], over["info"]["cancelSource"]) == ("canceled", 0, "1")
        assert await exchange.fetch_open_orders(SYMBOL) == []
        wrong: list[tuple[Any, Any]] = [
            (made["id"], {}),
            (None, own("rest")),
            ("77", {}),
            (None, own("never")),
        ]
        for asked in wrong:
            with pytest.raises(ccxt.OrderNotFound, match="51400"):
                await exchange.cancel_order(asked[0], SYMBOL, asked[1])
        assert [row["id"] for row in await exchange.fetch_canceled_orders(SYMBOL)] == [made["id"]]


async def test_what_would_take_or_can_not_fill_is_taken_in_and_canceled(swap) -> None:
    """A post-only order beyond the price and a fill-or-kill that can't fill get a number and are canceled at once."""
    async with swap() as (_, exchange):
        maker = await exchange.create_order(SYMBOL, "limit", "buy", 200, 104.0, own("maker", postOnly=True))
        kill = await exchange.create_order(SYMBOL, "limit", "buy", 200, 97.0, own("kill", timeInForce="FOK"))
        now = await exchange.create_order(SYMBOL, "limit", "buy", 200, 97.0, own("now", timeInForce="IOC"))
        for order, source in ((maker, "31"), (kill, "1"), (now, "0")):
            found = await exchange.fetch_order(order["id"], SYMBOL)
            assert (found["status"], found["filled"], found["info"]["cancelSource"]) == (
                "canceled",
                0,
                source,
            )
        assert await exchange.fetch_my_trades(SYMBOL) == []


@pytest.mark.parametrize(
    ("changed", "kind", "code"),
    [
        ({"sz": "0.001"}, ccxt.InvalidOrder, "51020"),
        ({"sz": "0.015"}, ccxt.InvalidOrder, "51121"),
        ({"sz": "x"}, ccxt.BadRequest, "51000"),
        ({"sz": "500000"}, ccxt.InsufficientFunds, "51008"),
        ({"reduceOnly": True}, ccxt.ExchangeError, "51169"),
        ({"instId": "NOPE-USDT-SWAP"}, ccxt.BadSymbol, "51001"),
        ({"side": "hold"}, ccxt.BadRequest, "51000"),
        ({"ordType": "iceberg"}, ccxt.BadRequest, "51000"),
        ({"ordType": "limit"}, ccxt.BadRequest, "51000"),
        ({"ordType": "limit", "px": "99.03"}, ccxt.BadRequest, "51000"),
        ({"ordType": "limit", "px": "200"}, ccxt.InvalidOrder, "51137"),
        ({"tdMode": "cash"}, ccxt.BadRequest, "51000"),
        ({"posSide": "long"}, ccxt.BadRequest, "51000"),
        ({"clOrdId": "a-b"}, ccxt.BadRequest, "51000"),
        ({"attachAlgoOrds": [{"slTriggerPx": "90"}]}, ccxt.BadRequest, "51000"),
    ],
)  # fmt: skip
async def test_what_the_exchange_refuses(swap, changed, kind, code: str) -> None:
    """Each fault of an order comes inside HTTP 200 with OKX's code, which ccxt maps, and nothing comes of it."""
    async with swap() as (server, exchange):
        with pytest.raises(kind, match=code):
            await exchange.privatePostTradeOrder({**ASKED, **changed})
        assert server.trading.floor.account.truth()["orders"] == []


async def test_a_client_s_id_is_used_once(swap) -> None:
    """Also that of an order that is over."""
    async with swap() as (server, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 100, None, own("one"))
        with pytest.raises(ccxt.InvalidOrder, match="51016"):
            await exchange.create_order(SYMBOL, "market", "buy", 100, None, own("one"))
        assert len(server.trading.floor.account.truth()["orders"]) == 1


async def test_an_order_that_is_not_there_is_not_found(swap) -> None:
    """By number and by client id; a request that names none is refused."""
    async with swap() as (_, exchange):
        wrong: list[tuple[Any, Any]] = [("5", {}), (None, own("never"))]
        for asked in wrong:
            with pytest.raises(ccxt.OrderNotFound, match="51603"):
                await exchange.fetch_order(asked[0], SYMBOL, asked[1])
        with pytest.raises(ccxt.BadRequest, match="51003"):
            await exchange.privateGetTradeOrder({"instId": NAME})


async def test_lists_go_page_by_page_newest_first(swap) -> None:
    """Orders by their numbers, executions by their bills, each after a time or of one order."""
    async with swap() as (server, exchange):
        for number in range(4):
            await exchange.create_order(
                SYMBOL, "market", ("buy", "sell")[number % 2], 100, None, own(f"n{number}")
            )
        history = (await exchange.privateGetTradeOrdersHistory({"instType": "SWAP", "limit": "2"}))["data"]
        assert [row["clOrdId"] for row in history] == ["n3", "n2"]
        older = {"instType": "SWAP", "after": history[-1]["ordId"]}
        assert [row["clOrdId"] for row in (await exchange.privateGetTradeOrdersHistory(older))["data"]] == [
            "n1",
            "n0",
        ]
        fills = (await exchange.privateGetTradeFills({"instType": "SWAP"}))["data"]
        assert [row["tradeId"] for row in fills] == ["4", "3", "2", "1"]
        newer = {"instType": "SWAP", "before": fills[2]["billId"]}
        assert [row["tradeId"] for row in (await exchange.privateGetTradeFills(newer))["data"]] == ["4", "3"]
        assert [row["id"] for row in await exchange.fetch_order_trades("2", SYMBOL)] == ["2"]
        now = server.conductor.now_ms()
        assert len(await exchange.fetch_my_trades(SYMBOL, now)) == 4
        assert await exchange.fetch_my_trades(SYMBOL, now + 1) == []
        assert {row["id"] for row in await exchange.fetch_closed_orders(SYMBOL)} == {"1", "2", "3", "4"}


async def test_an_order_s_margin_mode_is_taken(swap) -> None:
    """A flat symbol goes over to the mode of the order; with a position it is refused."""
    async with swap() as (server, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 100, None, own("one", marginMode="isolated"))
        (held,) = await exchange.fetch_positions([SYMBOL])
        assert (held["marginMode"], held["contracts"]) == ("isolated", 100)
        with pytest.raises(ccxt.ExchangeError, match="59000"):
            await exchange.create_order(SYMBOL, "market", "buy", 100, None, own("two"))
        assert len(server.trading.floor.account.truth()["orders"]) == 1


async def test_a_wrong_key_or_passphrase_is_told(swap) -> None:
    """With the codes that ccxt takes for what they are."""
    async with swap() as (_, exchange):
        for name, value, code in (
            ("password", "x", "50105"),
            ("secret", "x", "50113"),
            ("apiKey", "x", "50111"),
        ):
            good = getattr(exchange, name)
            setattr(exchange, name, value)
            with pytest.raises(ccxt.AuthenticationError, match=code):
                await exchange.fetch_balance()
            setattr(exchange, name, good)
        exchange.nonce = lambda: 1_000_000_000_000
        with pytest.raises(ccxt.InvalidNonce, match="50102"):
            await exchange.fetch_balance()
