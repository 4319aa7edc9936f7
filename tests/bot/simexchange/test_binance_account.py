"""Account and positions of the perpetuals, through the unmodified ccxt client over real sockets."""

from __future__ import annotations

import pytest

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


@pytest.fixture
def perpetuals(trade, make_tape):
    """Run an exchange of two perpetuals."""
    return lambda **settings: trade(make_tape("BTCUSDT"), make_tape("ETHUSDT"), **settings)


@pytest.mark.parametrize("version", [{}, {"useV2": True}])
async def test_the_balance_adds_up(perpetuals, version) -> None:
    """Total is wallet plus gain, used is the margin of what is held, free is the rest; on either version."""
    async with perpetuals(cash=5_000.0) as (_, exchange):
        await exchange.set_leverage(10, BTC)
        await exchange.create_order(BTC, "market", "buy", 10)
        balance = (await exchange.fetch_balance(version))["USDT"]
        position = (await exchange.fetch_positions())[0]
        fee = (await exchange.fetch_my_trades(BTC))[0]["fee"]["cost"]
        assert balance["total"] == pytest.approx(5_000 - fee + position["unrealizedPnl"])
        assert balance["used"] == pytest.approx(position["markPrice"] * 10 / 10)
        assert balance["free"] == pytest.approx(balance["total"] - balance["used"])


async def test_positions_of_both_versions(perpetuals) -> None:
    """The third version tells only of what is held; the second of everything, with its settings."""
    async with perpetuals() as (_, exchange):
        await exchange.create_order(ETH, "market", "sell", 3)
        for version in ({}, {"useV2": True}):
            held = await exchange.fetch_positions(None, version)
            assert [(one["symbol"], one["side"], one["contracts"]) for one in held] == [(ETH, "short", 3.0)]
        assert [row["symbol"] for row in await exchange.fapiPrivateV3GetPositionRisk()] == ["ETHUSDT"]
        assert len(await exchange.fapiPrivateV2GetPositionRisk()) == 2
        asked = await exchange.fapiPrivateV3GetPositionRisk({"symbol": "BTCUSDT"})
        assert asked == []


async def test_income_has_what_trading_earned_and_cost(perpetuals) -> None:
    """Commission of each execution and the gain of a closing one; they sum to the change of the wallet."""
    async with perpetuals() as (_, exchange):
        await exchange.create_order(BTC, "market", "buy", 2)
        await exchange.create_order(BTC, "market", "sell", 2, None, {"reduceOnly": True})
        lines = await exchange.fapiPrivateGetIncome()
        assert [line["incomeType"] for line in lines] == ["COMMISSION", "REALIZED_PNL", "COMMISSION"]
        assert len(await exchange.fapiPrivateGetIncome({"incomeType": "COMMISSION", "limit": 1})) == 1
        wallet = float((await exchange.fetch_balance())["info"]["totalWalletBalance"])
        assert sum(float(line["income"]) for line in lines) == pytest.approx(wallet - 10_000)


async def test_best_bid_and_ask_are_on_the_tick_around_the_price(perpetuals, bars) -> None:
    """Half a spread off, rounded away from the price, never the same."""
    async with perpetuals(start_at="+7m", half_spread_bps=2.0) as (_, exchange):
        touch = (await exchange.fetch_bids_asks([BTC, ETH]))[ETH]
        price = float(bars("ETHUSDT", 60).close[6])
        assert touch["bid"] == pytest.approx(price * (1 - 2 / 10_000), abs=0.0101)
        assert touch["bid"] <= price * (1 - 2 / 10_000) < price * (1 + 2 / 10_000) <= touch["ask"]
        assert round(touch["bid"], 2) == touch["bid"]
