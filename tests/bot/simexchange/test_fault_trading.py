"""Faults of orders, the account's stream and the exchange's clock, by the unmodified ccxt client against the truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import ccxt
import pytest

from bot.exchange_client import SimControl

SYMBOL = "BTC/USDT:USDT"
ORDER = {"route": "POST /fapi/v1/order"}

Trading = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def trading(tmp_path: Path, trade, make_tape) -> Trading:
    """A perpetuals exchange that misbehaves as told, its time standing, and a client with the account's key."""

    @asynccontextmanager
    async def start(*faults: dict[str, Any]) -> AsyncIterator[Any]:
        path = tmp_path / "plan.yaml"
        path.write_text(json.dumps({"faults": list(faults)}), encoding="utf-8")
        async with trade(make_tape(), start_at="+30m", faults=path) as (server, exchange):
            yield server, exchange

    return start


def _fault(action: Any, match: dict[str, Any], name: str = "one") -> dict[str, Any]:
    return {"name": name, "match": match, "action": action}


def _log(tmp_path: Path, event: str) -> list[dict[str, Any]]:
    lines = (tmp_path / "state" / "sim" / "faults.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == event]


async def _buy(exchange: Any, client_order_id: str = "c1", quantity: float = 2.0, **more: Any) -> Any:
    kind = "limit" if "price" in more else "market"
    params = {"newClientOrderId": client_order_id}
    return await exchange.create_order(SYMBOL, kind, "buy", quantity, more.get("price"), params)


async def _true_orders(exchange: Any) -> dict[str, dict[str, Any]]:
    orders = (await SimControl(exchange).truth())["orders"]
    return {order["request"]["client_order_id"]: order for order in orders}


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("kind", ["answer", "drop"])
async def test_an_unknown_outcome_is_one_of_two_truths(trading, tmp_path, kind: str, executed: bool) -> None:
    """The client sees the same, whether or not the order was made; it was made once at most, and the log knows."""
    action: Any = {"kind": "answer", "status": 503, "code": -1007, "executed": executed}
    if kind == "drop":
        action = "drop_after" if executed else "drop_before"
    async with trading(_fault(action, {**ORDER, "where": {"clientOrderId": "c1"}})) as (_, exchange):
        with pytest.raises(ccxt.OperationFailed):
            await _buy(exchange, "c1")
        await _buy(exchange, "c2")
        orders = await _true_orders(exchange)
        assert set(orders) == ({"c1", "c2"} if executed else {"c2"})
    (act,) = _log(tmp_path, "act")
    (truth,) = _log(tmp_path, "truth")
    assert (act["client_order_id"], truth["executed"]) == ("c1", executed)
    if executed:
        assert truth["answer"]["orderId"] == orders["c1"]["order_id"]


async def test_an_order_can_be_found_only_after_its_time(trading, user_recorder) -> None:
    """Order, open orders, trades and events say nothing of it until then; a cancel of it is refused."""
    hide = {"kind": "visible_after", "delay_ms": 700}
    async with trading(_fault(hide, {"state": "order", "where": {"clientOrderId": "c1"}})) as (
        server,
        exchange,
    ):
        record = user_recorder(exchange)
        async with record.listening(server):
            made = await _buy(exchange, "c1", price=50.0)
            asked = {"origClientOrderId": "c1"}
            with pytest.raises(ccxt.OrderNotFound):
                await exchange.fetch_order(None, SYMBOL, asked)
            with pytest.raises(ccxt.OrderNotFound):
                await exchange.fetch_order(made["id"], SYMBOL)
            with pytest.raises(ccxt.OrderNotFound):
                await exchange.cancel_order(None, SYMBOL, asked)
            assert await exchange.fetch_open_orders(SYMBOL) == []
            assert record.messages == []
            assert (await _true_orders(exchange))["c1"]["status"] == "NEW"
            await record.until(lambda: any(one["e"] == "ORDER_TRADE_UPDATE" for one in record.messages))
            assert (await exchange.fetch_order(None, SYMBOL, asked))["id"] == made["id"]
            assert [order["id"] for order in await exchange.fetch_open_orders(SYMBOL)] == [made["id"]]


async def test_the_trades_of_a_hidden_order_are_hidden(trading) -> None:
    """A market order that executed unseen shows its trades when it shows itself."""
    hide = {"kind": "visible_after", "delay_ms": 500}
    async with trading(_fault(hide, {"state": "order"})) as (server, exchange):
        made = await _buy(exchange)
        assert await exchange.fetch_my_trades(SYMBOL) == []
        async with asyncio.timeout(10):
            while server.faults.desk.hides:
                await asyncio.sleep(0.02)
        assert {row["order"] for row in await exchange.fetch_my_trades(SYMBOL)} == {made["id"]}


async def test_a_cancel_whose_reply_is_lost_is_sent_twice_and_done_once(trading, tmp_path) -> None:
    """Aiohttp sends a DELETE again, which then finds nothing; the truth is one cancel."""
    cancel = {"route": "DELETE /fapi/v1/order"}
    async with trading(_fault("drop_after", cancel)) as (_, exchange):
        made = await _buy(exchange, price=50.0)
        await exchange.fetch_open_orders(SYMBOL)
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.cancel_order(made["id"], SYMBOL)
        assert (await _true_orders(exchange))["c1"]["status"] == "CANCELED"
    assert [truth["executed"] for truth in _log(tmp_path, "truth")] == [True]


async def test_an_order_executes_in_parts(trading) -> None:
    """Shares of the quantity are trades of their own, and what they leave does not execute."""
    part = {"kind": "partial_fill", "shares": [0.5, 0.25]}
    async with trading(_fault(part, {"state": "order", "symbol": SYMBOL})) as (_, exchange):
        await _buy(exchange, quantity=4.0)
        trades = await exchange.fetch_my_trades(SYMBOL)
        assert [row["amount"] for row in trades] == [2.0, 1.0]
        assert (await _true_orders(exchange))["c1"]["executed_quantity"] == 3.0


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (-2019, ccxt.InsufficientFunds),
        (-4164, ccxt.InvalidOrder),
        (-1111, ccxt.BadRequest),
        (-5022, ccxt.OrderNotFillable),
        (-2022, ccxt.InvalidOrder),
    ],
)
@pytest.mark.parametrize("match", [{"state": "order"}, ORDER])
async def test_a_reject_is_definite(trading, match: Any, code: int, error: type[Exception]) -> None:
    """Funds, notional, lot, post-only, reduce-only: ccxt's own error for each, and no order was made."""
    async with trading(_fault({"kind": "refuse", "code": code}, match)) as (_, exchange):
        with pytest.raises(error):
            await _buy(exchange)
        assert await _true_orders(exchange) == {}


async def test_events_of_an_account_come_twice_and_out_of_order(trading, user_recorder) -> None:
    """A fill is told twice, and the first event of the order after it."""
    new = _fault({"kind": "reorder", "by": 3}, {"stream": "user", "where": {"o.x": "NEW"}}, "new")
    fill = _fault("duplicate", {"stream": "user", "where": {"o.x": "TRADE"}}, "fill")
    async with trading(new, fill) as (server, exchange):
        executions: list[str] = []
        inner = exchange.handle_order_update

        def hook(client: Any, message: dict[str, Any]) -> None:
            executions.append(message["o"]["x"] if "o" in message else message["e"])
            inner(client, message)

        exchange.handle_order_update = hook
        record = user_recorder(exchange)
        async with record.listening(server):
            await _buy(exchange)
            await record.until(lambda: executions.count("NEW") == 1, poll=True)
        assert [one for one in executions if one != "ACCOUNT_UPDATE"] == ["TRADE", "TRADE", "NEW"]


async def test_a_private_stream_is_cut_before_it_tells_of_a_fill(trading, user_recorder) -> None:
    """The fill happened; the client that listened was cut instead of told."""
    cut = _fault("cut", {"stream": "user", "where": {"e": "ORDER_TRADE_UPDATE", "o.x": "TRADE"}})
    async with trading(cut) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            await _buy(exchange)
            await record.until(lambda: server.trading.streams.listeners == 0, poll=True)
        fills = [m for m in record.messages if m.get("o", {}).get("x") == "TRADE"]
        assert fills == []
        assert (await _true_orders(exchange))["c1"]["status"] == "FILLED"


async def test_listen_keys_expire_when_the_plan_says_so(trading, user_recorder) -> None:
    """The next event or request after the moment ends the key, and its client is told no more."""
    async with trading() as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            plan = {"faults": [_fault("expire", {"state": "listen_key"})]}
            await SimControl(exchange).replace_faults(plan)
            await exchange.fetch_time()
            assert server.trading.streams.listeners == 0


@pytest.mark.parametrize("ms", [5_000, -5_000])
async def test_a_clock_that_is_off_is_told_and_held_against_timestamps(trading, ms: int) -> None:
    """The exchange's time moves by as much, and what was signed by the true time is refused until it ends."""
    async with trading() as (server, exchange):
        before = await exchange.fetch_time()
        skew = {"kind": "skew", "ms": ms * 4, "seconds": 600}
        await SimControl(exchange).replace_faults({"faults": [_fault(skew, {"state": "clock"})]})
        assert await exchange.fetch_time() == before + ms * 4
        with pytest.raises(ccxt.InvalidNonce):
            await exchange.fetch_balance()
        exchange.nonce = lambda: server.conductor.now_ms() + ms * 4
        assert await exchange.fetch_balance()
        await SimControl(exchange).replace_faults({"faults": []})
        assert await exchange.fetch_time() == before
