"""OKX's side as a whole: what was answered survives a restart, and the account is one with the other exchanges'."""

from __future__ import annotations

from pathlib import Path

import ccxt
import pytest

from bot.errors import ConfigError
from bot.exchange_client import SimControl
from bot.simexchange.__main__ import main
from bot.simexchange.config import Market, SimConfig
from bot.simexchange.server import running

SYMBOL, NAME = "BTC/USDT:USDT", "BTC-USDT-SWAP"


async def test_what_was_answered_survives_a_restart(swap, make_tape) -> None:
    """Order, fill, stop and OCO are there after a start with resume, told with the same rows; without it all is new."""
    tape = make_tape(exchange="binanceusdm")
    asked, kinds = {"instId": NAME, "ordId": "1"}, {"ordType": "conditional,oco"}
    async with swap(tape, market=Market.OKX) as (_, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 200, None, {"clientOrderId": "one"})
        levels = {"reduceOnly": True, "stopLossPrice": 90.0}
        await exchange.create_order(SYMBOL, "market", "sell", 200, None, {"algoClOrdId": "stop", **levels})
        both = {"algoClOrdId": "both", "takeProfitPrice": 110.0, **levels}
        await exchange.create_order(SYMBOL, "market", "sell", 200, None, both)
        before = await exchange.privateGetTradeOrder(asked)
        algos = await exchange.privateGetTradeOrdersAlgoPending(kinds)
        truth = await SimControl(exchange).truth()
    async with swap(tape, market=Market.OKX, resume=True) as (_, exchange):
        assert await exchange.privateGetTradeOrder(asked) == before
        assert await exchange.privateGetTradeOrdersAlgoPending(kinds) == algos
        assert [row["algoClOrdId"] for row in algos["data"]] == ["both", "stop"]
        assert await SimControl(exchange).truth() == truth
    async with swap(tape, market=Market.OKX) as (_, exchange):
        with pytest.raises(ccxt.OrderNotFound):
            await exchange.privateGetTradeOrder(asked)


def test_the_command_knows_the_market_and_the_passphrase(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are words of the command line; an empty passphrase is refused by name."""
    words = ["--state-dir", str(tmp_path), "--market", "okx", "--api-passphrase", ""]
    assert main(words) == ConfigError.exit_code
    assert "api_passphrase: is empty" in capsys.readouterr().err


async def test_a_stranger_s_order_is_told(swap, user_recorder) -> None:
    """Somebody else with a key trades in base units; the stream says so in contracts."""
    async with swap() as (server, exchange):
        record = user_recorder(exchange)
        async with record.listening(server):
            await SimControl(exchange).trade("BTCUSDT", "SELL", 0.5)
            await record.until(lambda: any(status == "closed" for _, status in record.orders))
        (held,) = await exchange.fetch_positions([SYMBOL])
        assert (held["side"], held["contracts"]) == ("short", 50)


async def test_the_journal_of_another_market_is_refused(tmp_path, make_tape) -> None:
    """An account of Binance's perpetuals does not go on as one of OKX."""
    tape = str(make_tape())
    async with running(SimConfig(state_dir=tmp_path, tapes=(tape,), speed=0)) as (server, _):
        assert server.trading is not None
        server.trading.floor.trade("BTCUSDT", "BUY", 2.0, "one", server.conductor.now_ms())
    config = SimConfig(state_dir=tmp_path, tapes=(tape,), speed=0, resume=True, market=Market.OKX)
    with pytest.raises(ConfigError, match="is no account of okx"):
        async with running(config):
            pass
