"""The exchange's own commands, under ``/sim/``: where its clock stands, acknowledge, hold, resume."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bot.simexchange.binance_stream import StreamHub
from bot.simexchange.conductor import Conductor


class SimControlApi:
    """Answers the control requests."""

    def __init__(self, conductor: Conductor, hub: StreamHub) -> None:
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


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"msg": message}, status=status)
