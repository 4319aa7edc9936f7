"""OKX's account endpoints, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import ccxt
import pytest

from tests.real_messages import missing_keys, real_message

SYMBOL, NAME = "BTC/USDT:USDT", "BTC-USDT-SWAP"


async def test_the_balance_is_what_the_wallet_holds(swap) -> None:
    """Total with the unrealized gain, free what is not bound by positions and orders; with every key of a real reply."""
    async with swap(start_at="+10m") as (server, exchange):
        await exchange.create_order(SYMBOL, "market", "buy", 200)
        await exchange.create_order(SYMBOL, "limit", "buy", 100, 99.0)
        balance = await exchange.fetch_balance()
        margin = server.trading.floor.account.margin("USDT", server.conductor.now_ms())
        assert balance["USDT"]["total"] == pytest.approx(margin.wallet + margin.unrealized, abs=1e-9)
        assert balance["USDT"]["free"] == pytest.approx(margin.available, abs=1e-9)
        real = real_message("messages", "http_get_account_balance.json", exchange="okx")
        assert missing_keys(real, balance["info"]) == []


async def test_a_position_is_told_in_contracts_with_its_sign(swap) -> None:
    """Long and short; one that is closed is gone; with every key of a real row."""
    async with swap(start_at="+10m") as (_, exchange):
        await exchange.create_order(SYMBOL, "market", "sell", 150)
        (held,) = await exchange.fetch_positions([SYMBOL])
        assert (held["side"], held["contracts"], held["contractSize"], held["leverage"]) == (
            "short",
            150,
            0.01,
            20,
        )
        assert (held["marginMode"], held["hedged"], held["info"]["pos"]) == ("cross", False, "-150")
        assert held["notional"] == pytest.approx(1.5 * held["markPrice"])
        assert held["unrealizedPnl"] == pytest.approx(1.5 * (held["entryPrice"] - held["markPrice"]))
        real = real_message("messages", "http_get_positions.json", exchange="okx")["data"][0]
        assert missing_keys(real, held["info"]) == []
        assert (await exchange.fetch_position(SYMBOL))["contracts"] == 150
        await exchange.create_order(SYMBOL, "market", "buy", 150, None, {"reduceOnly": True})
        assert await exchange.fetch_positions() == []


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        ({}, "read_only,trade"),
        ({"may_withdraw": True}, "read_only,withdraw,trade"),
        ({"may_trade": False}, "read_only"),
    ],
)
async def test_the_configuration_tells_the_key_s_rights(swap, rights: dict[str, bool], told: str) -> None:
    """As a doctor asks for them: permissions, net positions."""
    async with swap(**rights) as (_, exchange):
        (config,) = (await exchange.privateGetAccountConfig())["data"]
        assert (config["perm"], config["posMode"], config["ip"]) == (told, "net_mode", "")
        assert (await exchange.fetch_position_mode())["hedged"] is False
        if not rights.get("may_trade", True):
            with pytest.raises(ccxt.ExchangeError, match="50120"):
                await exchange.create_order(SYMBOL, "market", "buy", 100)


async def test_leverage_is_set_and_told(swap) -> None:
    """Within what the exchange allows, and only as far as the money goes."""
    async with swap(start_at="+10m") as (_, exchange):
        await exchange.set_leverage(5, SYMBOL)
        told = await exchange.fetch_leverage(SYMBOL)
        assert (told["longLeverage"], told["shortLeverage"], told["marginMode"]) == (5, 5, "cross")
        with pytest.raises(ccxt.ExchangeError, match="59102"):
            await exchange.set_leverage(120, SYMBOL)
        await exchange.set_leverage(100, SYMBOL)
        await exchange.create_order(SYMBOL, "market", "buy", 50_000)
        with pytest.raises(ccxt.InsufficientFunds, match="59108"):
            await exchange.set_leverage(1, SYMBOL)
        with pytest.raises(ccxt.BadRequest, match="51000"):
            await exchange.privateGetAccountLeverageInfo({"instId": NAME})


async def test_a_hedged_account_takes_no_orders(swap) -> None:
    """The position mode can be set, and then orders of one side each are asked for, which are not simulated."""
    async with swap() as (_, exchange):
        await exchange.set_position_mode(False)
        await exchange.set_position_mode(True)
        assert (await exchange.fetch_position_mode())["hedged"] is True
        with pytest.raises(ccxt.BadRequest, match="posSide"):
            await exchange.create_order(SYMBOL, "market", "buy", 100)
        with pytest.raises(ccxt.BadRequest, match="51000"):
            await exchange.privatePostAccountSetPositionMode({"posMode": "both"})


async def test_fees_are_told_negative(swap) -> None:
    """Ccxt turns them round; with every key of a real row."""
    async with swap(taker_fee_bps=5, maker_fee_bps=2) as (_, exchange):
        fee = await exchange.fetch_trading_fee(SYMBOL)
        assert (fee["taker"], fee["maker"], fee["info"]["taker"]) == (0.0005, 0.0002, "-0.0005")
        real = real_message("messages", "http_get_trade_fee_response.json", exchange="okx")["data"][0]
        assert missing_keys(real, fee["info"]) == []
