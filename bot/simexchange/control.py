"""The exchange's own commands, under ``/sim/``: where its clock stands, acknowledge, hold, resume."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bot.errors import ConfigError, EngineProtocolError
from bot.simexchange.binance_stream import StreamHub
from bot.simexchange.conductor import Conductor
from bot.simexchange.fault_room import Faults
from bot.simexchange.okx_room import OkxRoom
from bot.simexchange.okx_stream import OkxStreams
from bot.simexchange.orders import Refusal
from bot.simexchange.trading_room import TradingRoom


class SimControlApi:
    """Answers the control requests."""

    def __init__(self, conductor: Conductor, hub: StreamHub | OkxStreams, faults: Faults) -> None:
        self.trading: TradingRoom | OkxRoom | None = None
        self._strangers = 0
        self._faults = faults
        self._conductor = conductor
        self._hub = hub

    async def respond(self, request: web.Request) -> web.Response:
        """Answer one request; an unknown one with 404."""
        match request.method, request.path:
            case "GET", "/sim/clock":
                return web.json_response(self._clock())
            case "GET", "/sim/market":
                return web.json_response(self._market())
            case "POST", "/sim/ack":
                return await self._acknowledge(request)
            case "GET", "/sim/faults":
                return web.json_response(self._faults.state())
            case "POST", "/sim/faults":
                return await self._replace_faults(request)
            case "GET", "/sim/truth":
                return web.json_response(self._room().floor.account.truth())
            case "POST", "/sim/trade":
                return await self._trade(request)
            case "POST", "/sim/expire_listen_key":
                return web.json_response({"expired": self._room().streams.expire()})
            case "POST", "/sim/drop_user_streams":
                return web.json_response({"dropped": self._room().streams.drop()})
            case "POST", "/sim/hold":
                self._conductor.tell_to_hold(True)
                return web.json_response(self._clock())
            case "POST", "/sim/resume":
                self._conductor.tell_to_hold(False)
                return web.json_response(self._clock())
        return _refusal(404, f"no command {request.method} {request.path}")

    def _clock(self) -> dict[str, Any]:
        market = self._conductor.market
        return {
            **self._conductor.state(),
            "market": "simulated",
            "symbols": [listing.unified(market.market) for listing in market.listings.values()],
            "subscribed": len(self._hub.subscribed_symbols()),
        }

    def _market(self) -> dict[str, Any]:
        market = self._conductor.market
        return {
            "market": "simulated",
            "exchange_id": market.market.exchange_id,
            "symbols": [listing.unified(market.market) for listing in market.listings.values()],
            **market.source.describe(),
        }

    async def _acknowledge(self, request: web.Request) -> web.Response:
        try:
            closed_at_ms = (await request.json())["closed_at_ms"]
        except (ValueError, KeyError, TypeError):
            return _refusal(400, 'wants {"closed_at_ms": milliseconds}')
        if not isinstance(closed_at_ms, int) or isinstance(closed_at_ms, bool):
            return _refusal(400, "closed_at_ms must be a whole number")
        if closed_at_ms > self._conductor.now_ms():
            return _refusal(400, f"closed_at_ms {closed_at_ms} lies in the future")
        self._conductor.acknowledge(closed_at_ms)
        return web.json_response({"acknowledged_ms": closed_at_ms})

    async def _trade(self, request: web.Request) -> web.Response:
        """Make a market order of a stranger who has a key to the same account."""
        try:
            asked = await request.json()
            symbol, side, quantity = str(asked["symbol"]), str(asked["side"]).upper(), asked["quantity"]
        except (ValueError, KeyError, TypeError):
            return _refusal(400, 'wants {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.1}')
        if not isinstance(quantity, (int, float)) or isinstance(quantity, bool):
            return _refusal(400, "quantity must be a number")
        self._strangers += 1
        now_ms = self._conductor.trading_ms()
        client_id = f"stranger{now_ms}n{self._strangers}"
        try:
            order = self._room().floor.trade(symbol, side, float(quantity), client_id, now_ms)
        except Refusal as refusal:
            return _refusal(400, f"{refusal.code} {refusal}")
        return web.json_response({"order_id": order.order_id, "client_order_id": client_id})

    def _room(self) -> TradingRoom | OkxRoom:
        if self.trading is None:
            raise EngineProtocolError("the exchange was asked before it was opened")
        return self.trading

    async def _replace_faults(self, request: web.Request) -> web.Response:
        try:
            self._faults.replace(await request.json())
        except ConfigError as error:
            return _refusal(400, str(error))
        except ValueError:
            return _refusal(400, "a fault plan is JSON with seed and faults")
        return web.json_response(self._faults.state())


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"msg": message}, status=status)
