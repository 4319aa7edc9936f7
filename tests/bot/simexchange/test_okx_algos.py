"""Conditional orders of OKX's swaps, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest

SYMBOL, NAME = "BTC/USDT:USDT", "BTC-USDT-SWAP"
CONDITIONAL = {"trigger": True, "ordType": "conditional"}


async def protect(exchange: Any, client_id: str, side: str = "sell", **levels: float) -> Any:
    """A conditional order over 200 contracts that only reduces."""
    params = {"algoClOrdId": client_id, "reduceOnly": True, **levels}
    return await exchange.create_order(SYMBOL, "market", side, 200, None, params)


def _number(order: Any) -> str:
    return str(order["id"])


async def close_minutes(server: Any, exchange: Any, until_ms: int) -> None:
    """Listen, so that a paced market goes on, to a time."""
    await exchange.watch_ohlcv(SYMBOL)
    async with asyncio.timeout(20):
        while server.conductor.now_ms() < until_ms:
            waits = server.conductor.state()["awaiting_ack_ms"]
            if waits:
                server.conductor.acknowledge(waits)
            await asyncio.sleep(0.005)


async def test_stop_and_target_are_made_listed_found_and_canceled(swap) -> None:
    """By the client's id of the algo endpoints, and they are no ordinary orders."""
    async with swap() as (_, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 200)
        stop = await protect(exchange, "stop", stopLossPrice=90.0)
        target = await protect(exchange, "target", takeProfitPrice=110.0)
        assert await exchange.fetch_open_orders(SYMBOL) == []
        listed = await exchange.fetch_open_orders(SYMBOL, params=CONDITIONAL)
        assert [
            (row["id"], row["stopLossPrice"], row["takeProfitPrice"]) for row in sorted(listed, key=_number)
        ] == [
            (stop["id"], 90.0, None),
            (target["id"], None, 110.0),
        ]
        assert [row["info"]["algoClOrdId"] for row in sorted(listed, key=_number)] == ["stop", "target"]
        found = await exchange.fetch_order(None, SYMBOL, {"trigger": True, "clientOrderId": "stop"})
        assert (found["id"], found["status"], found["reduceOnly"], found["amount"]) == (
            stop["id"],
            "open",
            True,
            200,
        )
        await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})
        await exchange.cancel_orders([], SYMBOL, {"trigger": True, "clientOrderId": ["target"]})
        assert await exchange.fetch_open_orders(SYMBOL, params=CONDITIONAL) == []
        gone = await exchange.fetch_order(stop["id"], SYMBOL, {"trigger": True})
        assert gone["status"] == "canceled"
        over = await exchange.fetch_canceled_orders(SYMBOL, params=CONDITIONAL)
        assert {row["id"] for row in over} == {stop["id"], target["id"]}
        with pytest.raises(ccxt.OrderNotFound, match="51400"):
            await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})
        with pytest.raises(ccxt.OrderNotFound, match="51603"):
            await exchange.fetch_order(None, SYMBOL, {"trigger": True, "clientOrderId": "never"})


async def test_a_triggered_stop_becomes_a_market_order_of_its_own_number(swap) -> None:
    """The order says which algo it came of and has no client's id; the algo says which order it became."""
    async with swap(start_at="+10m") as (server, exchange):
        level = 100.0  # the price is 100.27
        await exchange.create_order(SYMBOL, "market", "buy", 200)
        stop = await protect(exchange, "stop", stopLossPrice=level)
        await close_minutes(server, exchange, server.conductor.start_ms + 6 * 60_000)
        found = await exchange.fetch_order(stop["id"], SYMBOL, {"trigger": True})
        assert (found["status"], found["info"]["state"], found["info"]["ordId"]) == (
            "closed",
            "effective",
            "2",
        )
        (row,) = (await exchange.privateGetTradeOrder({"instId": NAME, "ordId": "2"}))["data"]
        assert (row["algoId"], row["algoClOrdId"], row["clOrdId"]) == (stop["id"], "stop", "")
        assert (row["state"], row["side"], row["reduceOnly"], row["accFillSz"]) == (
            "filled",
            "sell",
            "true",
            "200",
        )
        with pytest.raises(ccxt.OrderNotFound, match="51603"):
            await exchange.fetch_order(None, SYMBOL, {"clientOrderId": "stop"})
        fills = await exchange.fetch_my_trades(SYMBOL)
        assert [(fill["order"], fill["info"]["clOrdId"] == "") for fill in fills][1] == ("2", True)
        assert float(found["info"]["actualPx"]) == fills[1]["price"] <= level
        assert await exchange.fetch_positions([SYMBOL]) == []
        done = await exchange.fetch_closed_orders(SYMBOL, params=CONDITIONAL)
        assert [row["id"] for row in done] == [stop["id"]]


async def test_of_an_oco_one_ends_the_other(swap) -> None:
    """It is one order with two levels; when its target is reached, nothing is left of it."""
    async with swap(start_at="+10m") as (server, exchange):
        level = 100.3  # the price is 100.27
        await exchange.create_order(SYMBOL, "market", "buy", 200)
        made = await protect(exchange, "both", stopLossPrice=50.0, takeProfitPrice=level)
        (open_,) = await exchange.fetch_open_orders(SYMBOL, params={"ordType": "oco"})
        assert (open_["id"], open_["stopLossPrice"], open_["takeProfitPrice"]) == (made["id"], 50.0, level)
        await close_minutes(server, exchange, server.conductor.start_ms + 6 * 60_000)
        found = await exchange.fetch_order(None, SYMBOL, {"trigger": True, "clientOrderId": "both"})
        assert (found["info"]["state"], found["info"]["actualSide"]) == ("effective", "tp")
        (row,) = (await exchange.privateGetTradeOrder({"instId": NAME, "ordId": "2"}))["data"]
        assert (row["algoId"], row["algoClOrdId"]) == (made["id"], "both")
        assert await exchange.fetch_open_orders(SYMBOL, params={"ordType": "oco"}) == []
        assert server.trading.floor.account.open_orders(conditional=True) == []


async def test_an_oco_is_canceled_as_one(swap) -> None:
    """Both its halves go."""
    async with swap() as (server, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 200)
        made = await protect(exchange, "both", stopLossPrice=50.0, takeProfitPrice=150.0)
        await exchange.cancel_order(made["id"], SYMBOL, {"trigger": True})
        assert server.trading.floor.account.open_orders(conditional=True) == []
        assert (await exchange.fetch_order(made["id"], SYMBOL, {"trigger": True}))["status"] == "canceled"


@pytest.mark.parametrize(("level", "stands"), [(90.0, "from above"), (110.0, "from below")])
async def test_a_trigger_works_either_way(swap, level: float, stands: str) -> None:
    """It waits for its price, wherever that is, and is listed as a trigger."""
    async with swap() as (_, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 200)
        made = await exchange.create_order(
            SYMBOL, "market", "sell", 200, None, {"triggerPrice": level, "reduceOnly": True}
        )
        (open_,) = await exchange.fetch_open_orders(SYMBOL, params={"trigger": True})
        assert (open_["id"], open_["triggerPrice"], open_["type"]) == (made["id"], level, "trigger"), stands


async def test_a_conditional_order_may_close_whatever_is_held(swap) -> None:
    """With closeFraction 1 it has no size."""
    async with swap() as (_, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 200)
        params = {"stopLossPrice": 90, "closeFraction": "1", "reduceOnly": True}
        await exchange.create_order(SYMBOL, "market", "sell", None, None, params)
        (row,) = (await exchange.privateGetTradeOrdersAlgoPending({"ordType": "conditional"}))["data"]
        assert (row["closeFraction"], row["sz"], row["state"]) == ("1", "", "live")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"slTriggerPx": "101"}, "51280"),
        ({"side": "buy", "slTriggerPx": "99"}, "51278"),
        ({"slTriggerPx": "", "tpTriggerPx": "99", "tpOrdPx": "-1"}, "51279"),
        ({"slOrdPx": "89"}, "51000"),
        ({"slTriggerPx": "x"}, "51000"),
        ({"slTriggerPx": ""}, "51000"),
        ({"tpTriggerPx": "110", "tpOrdPx": "-1"}, "51000"),
        ({"ordType": "oco"}, "51000"),
        ({"ordType": "oco", "tpTriggerPx": "95", "tpOrdPx": "-1"}, "51000"),
        ({"ordType": "twap"}, "51000"),
        ({"sz": "0.015"}, "51121"),
        ({"closeFraction": "0.5", "reduceOnly": True}, "51000"),
        ({"closeFraction": "1"}, "51328"),
        ({"algoClOrdId": "a b"}, "51000"),
    ],
)  # fmt: skip
async def test_what_the_exchange_refuses(swap, changed: dict[str, object], code: str) -> None:
    """Each fault has OKX's code, and nothing comes of it."""
    asked = {"instId": NAME, "tdMode": "cross", "side": "sell", "ordType": "conditional", "sz": "2"}
    async with swap() as (server, exchange):
        with pytest.raises(ccxt.BaseError, match=code):
            await exchange.privatePostTradeOrderAlgo(
                {**asked, "slTriggerPx": "90", "slOrdPx": "-1", **changed}
            )
        assert server.trading.floor.account.truth()["conditional_orders"] == []


async def test_a_client_s_id_is_used_once(swap) -> None:
    """Also that of a conditional order that was canceled."""
    async with swap() as (_, exchange):
        made = await protect(exchange, "stop", stopLossPrice=90.0)
        await exchange.cancel_order(made["id"], SYMBOL, {"trigger": True})
        with pytest.raises(ccxt.InvalidOrder, match="51016"):
            await protect(exchange, "stop", stopLossPrice=90.0)


async def test_lists_want_to_know_which(swap) -> None:
    """A type always, and of what is over a state or a number."""
    async with swap() as (_, exchange):
        with pytest.raises(ccxt.BadRequest, match="51000"):
            await exchange.privateGetTradeOrdersAlgoPending({})
        with pytest.raises(ccxt.BadRequest, match="51000"):
            await exchange.privateGetTradeOrdersAlgoHistory({"ordType": "conditional"})
