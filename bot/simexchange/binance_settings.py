"""Binance's endpoints of the USD-M perpetuals for settings: leverage, margin and position mode, fees, listen key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.simexchange.account import SimAccount
from bot.simexchange.bars import number
from bot.simexchange.exchange_info import Listing
from bot.simexchange.leverage import brackets, largest_notional
from bot.simexchange.orders import Refusal
from bot.simexchange.parameters import Params, flag, integer, missing, needed
from bot.simexchange.routes import Route, Routes, read, trade
from bot.simexchange.signing import Security
from bot.simexchange.user_stream import UserStreams

DONE = {"code": 200, "msg": "success"}


class FuturesSettings:
    """Tells and takes what a client of the perpetuals sets of its account."""

    def __init__(
        self,
        account: SimAccount,
        listings: Mapping[str, Listing],
        now_ms: Callable[[], int],
        streams: UserStreams,
        fees_bps: tuple[float, float],
    ) -> None:
        """``fees_bps``: of a maker and of a taker."""
        self._account = account
        self._listings = listings
        self._now_ms = now_ms
        self._streams = streams
        self._fees_bps = fees_bps

    def routes(self) -> Routes:
        """What it serves."""
        v1 = "/fapi/v1"
        return {
            ("GET", f"{v1}/leverageBracket"): read(self._brackets),
            ("GET", f"{v1}/commissionRate"): read(self._fees, 20),
            ("GET", f"{v1}/symbolConfig"): read(self._configs, 5),
            ("GET", f"{v1}/accountConfig"): read(self._config, 5),
            ("GET", f"{v1}/multiAssetsMargin"): read(lambda _: {"multiAssetsMargin": False}, 30),
            ("GET", f"{v1}/feeBurn"): read(lambda _: {"feeBurn": False}, 30),
            ("GET", f"{v1}/positionSide/dual"): read(self._mode, 30),
            ("POST", f"{v1}/positionSide/dual"): trade(self._set_mode),
            ("POST", f"{v1}/leverage"): trade(self._set_leverage),
            ("POST", f"{v1}/marginType"): trade(self._set_margin_type),
            ("POST", f"{v1}/listenKey"): Route(self._open_key, security=Security.KEY),
            ("PUT", f"{v1}/listenKey"): Route(self._renew_key, security=Security.KEY),
            ("DELETE", f"{v1}/listenKey"): Route(self._close_key, security=Security.KEY),
        }

    def _brackets(self, params: Params) -> list[dict[str, Any]]:
        return [{"symbol": symbol, "brackets": brackets()} for symbol in self._chosen(params)]

    def _fees(self, params: Params) -> dict[str, Any]:
        needed(params, "symbol")
        maker, taker = (number(bps / 10_000) for bps in self._fees_bps)
        symbol = self._chosen(params)[0]
        return {"symbol": symbol, "makerCommissionRate": maker, "takerCommissionRate": taker}

    def _configs(self, params: Params) -> list[dict[str, Any]]:
        chosen = set(self._chosen(params))
        return [
            {
                "symbol": held.symbol,
                "marginType": "ISOLATED" if held.isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": held.leverage,
                "maxNotionalValue": number(largest_notional(held.leverage)),
            }
            for held in self._account.positions()
            if held.symbol in chosen
        ]

    def _config(self, params: Params) -> dict[str, Any]:
        del params
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": self._account.dual_side,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def _mode(self, params: Params) -> dict[str, Any]:
        del params
        return {"dualSidePosition": self._account.dual_side}

    def _set_mode(self, params: Params) -> dict[str, Any]:
        needed(params, "dualSidePosition")
        self._account.dual_side = flag(params, "dualSidePosition")
        return DONE

    def _set_leverage(self, params: Params) -> dict[str, Any]:
        symbol = self._one(params)
        leverage = integer(params, "leverage")
        if leverage is None:
            raise missing("leverage")
        self._account.set_leverage(symbol, leverage, self._now_ms())
        return {
            "leverage": leverage,
            "maxNotionalValue": number(largest_notional(leverage)),
            "symbol": symbol,
        }

    def _set_margin_type(self, params: Params) -> dict[str, Any]:
        kind = needed(params, "marginType")
        if kind not in {"ISOLATED", "CROSSED"}:
            raise Refusal(-1130, "Data sent for parameter 'marginType' is not valid.")
        self._account.set_isolated(self._one(params), kind == "ISOLATED")
        return DONE

    def _open_key(self, params: Params) -> dict[str, Any]:
        del params
        return {"listenKey": self._streams.open_key()}

    def _renew_key(self, params: Params) -> dict[str, Any]:
        del params
        return {"listenKey": self._streams.renew_key()}

    def _close_key(self, params: Params) -> dict[str, Any]:
        del params
        self._streams.close_key()
        return {}

    def _one(self, params: Params) -> str:
        needed(params, "symbol")
        return self._chosen(params)[0]

    def _chosen(self, params: Params) -> list[str]:
        """The symbol that is asked for, or all."""
        symbol = params.get("symbol")
        if symbol is None:
            return list(self._listings)
        if symbol not in self._listings:
            raise Refusal(-1121, "Invalid symbol.")
        return [symbol]
