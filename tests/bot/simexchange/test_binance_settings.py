"""Settings of the perpetuals, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import ccxt
import pytest

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


@pytest.fixture
def perpetuals(trade, make_tape):
    """Run an exchange of two perpetuals."""
    return lambda **settings: trade(make_tape("BTCUSDT"), make_tape("ETHUSDT"), **settings)


async def test_settings_are_kept_and_told(perpetuals) -> None:
    """Leverage and margin mode by symbol; what is set already, and what is out of range, is refused."""
    async with perpetuals() as (_, exchange):
        await exchange.set_leverage(3, BTC)
        await exchange.set_margin_mode("isolated", BTC)
        with pytest.raises(ccxt.MarginModeAlreadySet, match="-4046"):
            await exchange.set_margin_mode("isolated", BTC)
        leverages = await exchange.fetch_leverages()
        assert (leverages[BTC]["longLeverage"], leverages[BTC]["marginMode"]) == (3, "isolated")
        assert (leverages[ETH]["longLeverage"], leverages[ETH]["marginMode"]) == (20, "cross")
        assert (await exchange.fetch_leverage(BTC))["longLeverage"] == 3
        with pytest.raises(ccxt.BaseError, match="-4028"):
            await exchange.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 126})
        with pytest.raises(ccxt.BaseError, match="-1102"):
            await exchange.fapiPrivatePostLeverage({"symbol": "BTCUSDT"})
        with pytest.raises(ccxt.BaseError, match="-1130"):
            await exchange.fapiPrivatePostMarginType({"symbol": "BTCUSDT", "marginType": "SHARED"})
        await exchange.create_order(BTC, "market", "buy", 2)
        with pytest.raises(ccxt.BaseError, match="-4048"):
            await exchange.set_margin_mode("cross", BTC)
        assert (await exchange.fetch_positions([BTC]))[0]["marginMode"] == "isolated"


async def test_a_hedged_account_says_so_and_takes_no_plain_order(perpetuals) -> None:
    """The mode is told and can be set while nothing is held; then an order of one-way mode is refused."""
    async with perpetuals() as (_, exchange):
        assert (await exchange.fetch_position_mode())["hedged"] is False
        with pytest.raises(ccxt.BaseError, match="-4059"):
            await exchange.set_position_mode(False)
        await exchange.set_position_mode(True)
        assert (await exchange.fetch_position_mode())["hedged"] is True
        with pytest.raises(ccxt.BaseError, match="-4061"):
            await exchange.create_order(BTC, "market", "buy", 2)


async def test_fees_and_brackets_are_told(perpetuals) -> None:
    """The fees of the configuration; brackets by which ccxt knows the maintenance margin."""
    async with perpetuals(taker_fee_bps=5.0, maker_fee_bps=1.0) as (_, exchange):
        fee = await exchange.fetch_trading_fee(BTC)
        assert (fee["taker"], fee["maker"]) == (0.0005, 0.0001)
        tiers = (await exchange.fetch_leverage_tiers([BTC]))[BTC]
        assert (tiers[0]["maxLeverage"], tiers[0]["maintenanceMarginRate"]) == (125, 0.004)
        assert [tier["minNotional"] for tier in tiers[1:]] == [tier["maxNotional"] for tier in tiers[:-1]]
        with pytest.raises(ccxt.BadSymbol):
            await exchange.fapiPrivateGetCommissionRate({"symbol": "NOPEUSDT"})


async def test_what_a_doctor_asks_beside(perpetuals) -> None:
    """Joint margin and fees in BNB are off."""
    async with perpetuals() as (_, exchange):
        assert await exchange.fapiPrivateGetMultiAssetsMargin() == {"multiAssetsMargin": False}
        assert await exchange.fapiPrivateGetFeeBurn() == {"feeBurn": False}
        assert (await exchange.fapiPrivateGetAccountConfig())["canTrade"] is True
