"""The trading side as a whole: what was answered survives a restart, and time stands still for an answer."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from bot.errors import ConfigError
from bot.exchange_client import SimControl, open_exchange
from bot.simexchange.config import API_KEY, API_SECRET, SimConfig
from bot.simexchange.server import running

ROOT = Path(__file__).resolve().parents[3]
SYMBOL = "ETH/USDT:USDT"
MINUTE_MS = 60_000


async def start(state_dir: Path, tape: Path) -> tuple[Process, AbstractAsyncContextManager[Any]]:
    """Run a paced exchange as a process of its own that goes on with what there is; with a client for it."""
    words = ["--state-dir", str(state_dir), "--tape", str(tape), "--speed", "0", "--resume"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.simexchange", *words, cwd=ROOT, stdout=PIPE, stderr=DEVNULL
    )
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    keys = {"apiKey": API_KEY, "secret": API_SECRET}
    address, ca_file = (ready["host"], ready["port"]), Path(ready["ca_file"])
    return process, open_exchange(
        "binanceusdm", connect_to=address, ca_file=ca_file, rate_limited=False, credentials=keys
    )


async def closed(control: SimControl, closed_at_ms: int) -> None:
    """Wait until the paced exchange waits for a close."""
    async with asyncio.timeout(20):
        while (await control.clock())["awaiting_ack_ms"] != closed_at_ms:
            await asyncio.sleep(0.01)


async def test_an_answer_to_a_close_is_made_at_the_close(trade, make_tape, bars, start_ms: int) -> None:
    """Paced, an order that comes before the acknowledgement is made at the boundary, at the open of the next bar."""
    async with trade(make_tape("ETHUSDT")) as (_, exchange):
        watching = asyncio.create_task(exchange.watch_ohlcv(SYMBOL, "1m"))
        control = SimControl(exchange)
        await closed(control, start_ms + MINUTE_MS)
        assert (await control.clock())["now_ms"] == start_ms + MINUTE_MS + 5_000
        order = await exchange.create_order(SYMBOL, "market", "buy", 2)
        watching.cancel()
        assert order["timestamp"] == start_ms + MINUTE_MS
        fill = (await exchange.fetch_my_trades(SYMBOL))[0]
        assert fill["price"] == float(bars("ETHUSDT", 60).open[1]) * (1 + 1.5 / 10_000)


async def test_the_account_goes_on_after_a_restart(trade, make_tape, start_ms: int) -> None:
    """With resume orders, trades, money and the clock are what they were; without it everything is new."""
    tape = make_tape("ETHUSDT")
    async with trade(tape) as (_, exchange):
        watching = asyncio.create_task(exchange.watch_ohlcv(SYMBOL, "1m"))
        control = SimControl(exchange)
        await closed(control, start_ms + MINUTE_MS)
        await exchange.create_order(SYMBOL, "market", "buy", 2)
        await exchange.create_order(SYMBOL, "limit", "buy", 1, 95, {"clientOrderId": "rest"})
        watching.cancel()
        before = await control.truth()
    async with trade(tape, resume=True) as (server, exchange):
        assert await SimControl(exchange).truth() == before
        assert server.conductor.now_ms() == start_ms + MINUTE_MS + 5_000
        await exchange.cancel_order("", SYMBOL, {"clientOrderId": "rest"})
    async with trade(tape) as (_, exchange):
        fresh = await SimControl(exchange).truth()
        assert (fresh["orders"], fresh["trades"]) == ([], [])


async def test_what_was_answered_survives_a_kill(tmp_path: Path, make_tape, start_ms: int) -> None:
    """An order whose answer has come is there, with its fill, after kill -9 and a start with --resume."""
    tape = make_tape("ETHUSDT")
    process, client = await start(tmp_path, tape)
    try:
        async with client as exchange:
            exchange.nonce = lambda: start_ms
            answer = await exchange.create_order(SYMBOL, "market", "buy", 2)
            process.kill()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    process, client = await start(tmp_path, tape)
    try:
        async with client as exchange:
            truth = await SimControl(exchange).truth()
    finally:
        process.kill()
        await process.wait()
    assert [one["order_id"] for one in truth["trades"]] == [int(answer["id"])]
    assert [held["quantity"] for held in truth["positions"]] == [2.0]


async def test_the_journal_of_another_market_is_refused(tmp_path, make_tape) -> None:
    """Going on with an account of spot as one of perpetuals is a ConfigError."""
    spot = str(make_tape("ETHUSDT", exchange="binance"))
    async with running(SimConfig(state_dir=tmp_path, tapes=(spot,), speed=0)) as (server, _):
        assert server.trading is not None
        server.trading.floor.trade("ETHUSDT", "BUY", 1.0, "one", server.conductor.now_ms())
    config = SimConfig(state_dir=tmp_path, tapes=(f"ETH/USDT:USDT={spot}",), speed=0, resume=True)
    with pytest.raises(ConfigError, match="is no account of usdm"):
        async with running(config):
            pass


async def test_a_fault_plan_reaches_the_account_and_the_streams(trade, make_tape, user_recorder) -> None:
    """Orders go by the plan, and so do the listen key and the clock."""
    async with trade(make_tape("ETHUSDT")) as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            await SimControl(exchange).replace_faults(
                {
                    "faults": [
                        {
                            "name": "half",
                            "match": {"state": "order"},
                            "action": {"kind": "partial_fill", "shares": [0.5]},
                        }
                    ]
                }
            )
            order = await exchange.create_order(SYMBOL, "market", "buy", 2)
            assert (order["filled"], order["status"]) == (1.0, "expired")
            server.faults.expire_listen_keys()
            await record.until(lambda: record.events("listenKeyExpired"))
