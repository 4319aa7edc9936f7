"""OKX's bills, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import asyncio

import ccxt
import pytest

SYMBOL = "BTC/USDT:USDT"
HOURS_8_MS = 8 * 3_600_000


async def test_funding_is_paid_and_told(swap, make_tape, start_ms: int) -> None:
    """A long position pays its notional at the open times the rate, and the bill says so."""
    tape = make_tape(minutes=500, exchange="okx")
    async with swap(tape, start_at="+478m") as (server, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 200)
        await exchange.watch_ohlcv(SYMBOL)
        async with asyncio.timeout(20):
            while server.conductor.now_ms() <= start_ms + HOURS_8_MS:
                if waits := server.conductor.state()["awaiting_ack_ms"]:
                    server.conductor.acknowledge(waits)
                await asyncio.sleep(0.005)
        (paid,) = await exchange.fetch_funding_history(SYMBOL)
        (true,) = server.trading.floor.account.income(kind="FUNDING_FEE")
        assert (paid["amount"], paid["timestamp"]) == (true.amount, start_ms + HOURS_8_MS)
        assert paid["amount"] < 0
        assert paid["info"]["subType"] == "173"
        ledger = await exchange.fetch_ledger("USDT", params={"type": "swap"})
        assert [row["info"]["type"] for row in ledger] == ["2", "8"]


async def test_bills_sum_up_to_what_the_wallet_changed(swap) -> None:
    """Every execution has one: its gain less its fee."""
    async with swap(start_at="+10m") as (server, exchange):
        for side, size in (("buy", 300), ("sell", 100), ("sell", 400), ("buy", 200)):
            await exchange.create_order(SYMBOL, "market", side, size)
        rows = (await exchange.privateGetAccountBills({"instType": "SWAP", "ccy": "USDT"}))["data"]
        wallet = server.trading.floor.account.balances()[0].free
        assert sum(float(row["balChg"]) for row in rows) == pytest.approx(wallet - 10_000, abs=1e-9)
        assert len(rows) == 4


async def test_pages_are_bounded_by_bills(swap) -> None:
    """Those after one are older; a bill that is not there is refused."""
    async with swap() as (_, exchange):
        for _ in range(3):
            await exchange.create_order(SYMBOL, "market", "buy", 100)
        rows = (await exchange.privateGetAccountBillsArchive({}))["data"]
        older = (await exchange.privateGetAccountBills({"after": rows[0]["billId"], "limit": 1}))["data"]
        assert older == rows[1:2]
        newer = (await exchange.privateGetAccountBills({"before": rows[1]["billId"]}))["data"]
        assert newer == rows[:1]
        assert (await exchange.privateGetAccountBills({"instType": "SPOT"}))["data"] == []
        with pytest.raises(ccxt.BadRequest, match="51000"):
            await exchange.privateGetAccountBills({"after": "5"})
