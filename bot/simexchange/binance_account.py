"""Binance's account endpoints of the USD-M perpetuals: balances, positions, income."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.simexchange import futures_messages as messages
from bot.simexchange.account import SimAccount
from bot.simexchange.account_money import Margin
from bot.simexchange.bars import number
from bot.simexchange.exchange_info import Listing
from bot.simexchange.leverage import largest_notional, maintenance_ratio
from bot.simexchange.orders import SimPosition
from bot.simexchange.parameters import Params, rows, span
from bot.simexchange.routes import Routes, read

QUARTER_MS = 90 * 86_400_000
"""The longest stretch of income that one request may ask for."""


class FuturesAccount:
    """Tells a client of the perpetuals how its account stands."""

    def __init__(
        self,
        account: SimAccount,
        listings: Mapping[str, Listing],
        price: Callable[[str, int], float | None],
        now_ms: Callable[[], int],
    ) -> None:
        """``price``: of a symbol at a time; ``now_ms``: market time."""
        self._account = account
        self._listings = listings
        self._price = price
        self._now_ms = now_ms

    def routes(self) -> Routes:
        """What it serves."""
        v2, v3 = "/fapi/v2", "/fapi/v3"
        return {
            ("GET", f"{v2}/account"): read(self._whole, 5),
            ("GET", f"{v3}/account"): read(self._whole, 5),
            ("GET", f"{v2}/balance"): read(self._balances, 5),
            ("GET", f"{v3}/balance"): read(self._balances, 5),
            ("GET", f"{v2}/positionRisk"): read(self._risks, 5),
            ("GET", f"{v3}/positionRisk"): read(self._open_risks, 5),
            ("GET", "/fapi/v1/income"): read(self._income, 30),
        }

    def _whole(self, params: Params) -> dict[str, Any]:
        del params
        now_ms = self._now_ms()
        assets = [self._asset(balance.asset, now_ms) for balance in self._account.balances()]
        total = self._totals(assets)
        flags = {"feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0}
        return {
            **flags,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
            **total,
            "assets": assets,
            "positions": [self._position(held, now_ms) for held in self._account.positions()],
        }

    def _totals(self, assets: list[dict[str, Any]]) -> dict[str, str]:
        """The sums over assets, which Binance gives for the stablecoins together."""

        def total(name: str) -> str:
            return number(sum(float(asset[name]) for asset in assets))

        return {
            "totalInitialMargin": total("initialMargin"),
            "totalMaintMargin": total("maintMargin"),
            "totalWalletBalance": total("walletBalance"),
            "totalUnrealizedProfit": total("unrealizedProfit"),
            "totalMarginBalance": total("marginBalance"),
            "totalPositionInitialMargin": total("positionInitialMargin"),
            "totalOpenOrderInitialMargin": total("openOrderInitialMargin"),
            "totalCrossWalletBalance": total("crossWalletBalance"),
            "totalCrossUnPnl": total("crossUnPnl"),
            "availableBalance": total("availableBalance"),
            "maxWithdrawAmount": total("maxWithdrawAmount"),
        }

    def _asset(self, asset: str, now_ms: int) -> dict[str, Any]:
        margin = self._account.margin(asset, now_ms)
        free = number(max(margin.available, 0.0))
        return {
            "asset": asset,
            "walletBalance": number(margin.wallet),
            "unrealizedProfit": number(margin.unrealized),
            "marginBalance": number(margin.wallet + margin.unrealized),
            "maintMargin": number(self._maintenance(asset, now_ms)),
            "initialMargin": number(margin.position_margin + margin.order_margin),
            "positionInitialMargin": number(margin.position_margin),
            "openOrderInitialMargin": number(margin.order_margin),
            "crossWalletBalance": number(margin.wallet),
            "crossUnPnl": number(margin.unrealized),
            "availableBalance": free,
            "maxWithdrawAmount": number(max(min(margin.available, margin.wallet), 0.0)),
            "marginAvailable": True,
            "updateTime": now_ms,
        }

    def _balances(self, params: Params) -> list[dict[str, Any]]:
        del params
        now_ms = self._now_ms()
        return [self._balance(balance.asset, now_ms) for balance in self._account.balances()]

    def _balance(self, asset: str, now_ms: int) -> dict[str, Any]:
        told = self._asset(asset, now_ms)
        names = ("crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount")
        return {
            "accountAlias": "SimA",
            "asset": asset,
            "balance": told["walletBalance"],
            **{name: told[name] for name in (*names, "marginAvailable", "updateTime")},
        }

    def _position(self, held: SimPosition, now_ms: int) -> dict[str, Any]:
        notional, profit = self._worth(held, now_ms)
        bound = number(abs(notional) / held.leverage)
        return {
            "symbol": held.symbol,
            "initialMargin": bound,
            "maintMargin": number(abs(notional) * maintenance_ratio(abs(notional))),
            "unrealizedProfit": number(profit),
            "positionInitialMargin": bound,
            "openOrderInitialMargin": "0",
            "leverage": str(held.leverage),
            "isolated": held.isolated,
            "entryPrice": number(held.entry_price),
            "breakEvenPrice": number(held.entry_price),
            "maxNotional": number(largest_notional(held.leverage)),
            "bidNotional": "0",
            "askNotional": "0",
            "positionSide": "BOTH",
            "positionAmt": number(held.quantity),
            "notional": number(notional),
            "isolatedWallet": bound if held.isolated else "0",
            "updateTime": now_ms if held.quantity else 0,
        }

    def _risks(self, params: Params) -> list[dict[str, Any]]:
        wanted = params.get("symbol")
        now_ms = self._now_ms()
        positions = [held for held in self._account.positions() if wanted in {None, held.symbol}]
        return [self._risk(held, now_ms) for held in positions]

    def _open_risks(self, params: Params) -> list[dict[str, Any]]:
        """The third version tells only of symbols with a position, and not their settings, but their margins."""
        settings = ("leverage", "maxNotionalValue", "marginType", "isAutoAddMargin")
        told = []
        for risk in self._risks(params):
            if float(risk["positionAmt"]) == 0:
                continue
            bound = number(abs(float(risk["notional"])) / int(risk["leverage"]))
            kept = {name: value for name, value in risk.items() if name not in settings}
            margins = {"initialMargin": bound, "positionInitialMargin": bound, "openOrderInitialMargin": "0"}
            others = {"adl": 0, "bidNotional": "0", "askNotional": "0"}
            told.append({**kept, **margins, **others})
        return told

    def _risk(self, held: SimPosition, now_ms: int) -> dict[str, Any]:
        notional, profit = self._worth(held, now_ms)
        mark = self._price(held.symbol, now_ms) or held.entry_price
        bound = number(abs(notional) / held.leverage) if held.isolated else "0"
        quote = self._listings[held.symbol].quote
        return {
            "symbol": held.symbol,
            "positionAmt": number(held.quantity),
            "entryPrice": number(held.entry_price),
            "breakEvenPrice": number(held.entry_price),
            "markPrice": number(mark),
            "unRealizedProfit": number(profit),
            "liquidationPrice": number(self._liquidation(held, notional, now_ms)),
            "leverage": str(held.leverage),
            "maxNotionalValue": number(largest_notional(held.leverage)),
            "marginType": "isolated" if held.isolated else "cross",
            "isolatedMargin": bound,
            "isAutoAddMargin": "false",
            "positionSide": "BOTH",
            "notional": number(notional),
            "isolatedWallet": bound,
            "maintMargin": number(abs(notional) * maintenance_ratio(abs(notional))),
            "marginAsset": quote,
            "updateTime": now_ms if held.quantity else 0,
        }

    def _worth(self, held: SimPosition, now_ms: int) -> tuple[float, float]:
        """Signed notional and unrealized gain at the current price."""
        mark = self._price(held.symbol, now_ms) or held.entry_price
        return held.quantity * mark, held.quantity * (mark - held.entry_price)

    def _maintenance(self, asset: str, now_ms: int) -> float:
        notionals = (
            abs(self._worth(held, now_ms)[0])
            for held in self._account.positions()
            if self._listings[held.symbol].quote == asset
        )
        return sum(notional * maintenance_ratio(notional) for notional in notionals)

    def _liquidation(self, held: SimPosition, notional: float, now_ms: int) -> float:
        """The price at which margin and maintenance margin would meet, were this the only position; 0 for none."""
        if not held.quantity:
            return 0.0
        margin: Margin = self._account.margin(self._listings[held.symbol].quote, now_ms)
        money = abs(notional) / held.leverage if held.isolated else margin.wallet
        ratio = maintenance_ratio(abs(notional))
        at = (held.quantity * held.entry_price - money) / (held.quantity - abs(held.quantity) * ratio)
        return max(at, 0.0)

    def _income(self, params: Params) -> list[dict[str, Any]]:
        since, until = span(params, self._now_ms(), QUARTER_MS)
        asked = "startTime" in params
        found = self._account.income(
            symbol=params.get("symbol"),
            kind=params.get("incomeType"),
            since_ms=since if asked else None,
            until_ms=until,
            limit=rows(params, 100, 1000),
        )
        return [messages.income_reply(line) for line in found]
