"""A venue whose answers are written down by the test: a real server with TLS that can misbehave in every way."""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from bot.brokers.ccxt_gateway import CcxtGateway
from bot.brokers.gateway_timing import GatewayTiming
from bot.clock import FixedClock
from bot.exchange_client import make_exchange
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import futures_info, list_symbol, spot_info
from bot.simexchange.tls import server_context

NOW_MS = 1_684_454_460_000
KEY, SECRET, LISTEN_KEY = "k" * 24 + "apikey", "s" * 24 + "secret", "l" * 60 + "ikey"

Answer: TypeAlias = Any
"""JSON values, a ready Response, or a coroutine function of the request that gives either."""


@dataclass
class Asked:
    """One request that came in."""

    method: str
    path: str
    params: dict[str, str]

    @property
    def name(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


@dataclass
class ScriptedVenue:
    """Answers requests from a script; what is not scripted is answered as a quiet account would be."""

    market: Market
    asked: list[Asked] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    pongs: bool = True
    dials: int = 0
    hangs_dials: bool = False
    signs_on: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    listening: asyncio.Event = field(default_factory=asyncio.Event)
    _scripts: dict[str, deque[Answer]] = field(default_factory=dict)

    def answer(self, name: str, *answers: Answer) -> None:
        """The next requests of this method and path are answered so, one after the other; the last one stays."""
        self._scripts[name] = deque(answers)

    def sent(self, name: str) -> list[dict[str, str]]:
        """The parameters of the requests of this method and path that came in."""
        return [asked.params for asked in self.asked if asked.name == name]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._listen(request)
        params = dict(request.query) | dict(parse_qsl(await request.text()))
        asked = Asked(request.method, request.path, params)
        self.asked.append(asked)
        script = self._scripts.get(asked.name)
        answer = self._quiet(asked.name) if script is None else script.popleft()
        if script is not None and not script:
            script.append(answer)
        if callable(answer):
            answer = await answer(request)
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    async def tell(self, message: Any) -> None:
        """Send a message, or a text as it is, to everybody who listens."""
        text = message if isinstance(message, str) else json.dumps(message)
        for socket in self.sockets:
            if not socket.closed:
                await socket.send_str(text)

    def cut(self) -> None:
        """Cut every line without a goodbye."""
        for socket in self.sockets:
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
        self.sockets.clear()

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        self.dials += 1
        if self.hangs_dials:
            await asyncio.sleep(60)
        socket = web.WebSocketResponse(autoping=False, timeout=0.1)
        await socket.prepare(request)
        self.sockets.append(socket)
        if self.market is Market.USDM:
            self.listening.set()
        async for message in socket:
            if message.type is WSMsgType.PING and self.pongs:
                await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                said = json.loads(message.data)
                reply = {"id": said["id"], "status": 200, "result": {"subscriptionId": 0}}
                await socket.send_json(self.signs_on(said) if self.signs_on else reply)
                self.listening.set()
        return socket

    def _quiet(self, name: str) -> Any:
        listing = list_symbol("BTCUSDT", self.market, 100.0)
        quiet: dict[str, Any] = {
            "GET /fapi/v1/exchangeInfo": lambda: futures_info([listing], NOW_MS),
            "GET /api/v3/exchangeInfo": lambda: spot_info([listing], NOW_MS),
            "GET /fapi/v1/time": lambda: {"serverTime": NOW_MS},
            "GET /api/v3/time": lambda: {"serverTime": NOW_MS},
            "GET /fapi/v1/feeBurn": lambda: {"feeBurn": False},
            "GET /sapi/v1/bnbBurn": lambda: {"spotBNBBurn": False, "interestBNBBurn": False},
            "GET /fapi/v3/account": lambda: {
                "assets": [
                    {
                        "asset": "USDT",
                        "walletBalance": "1000.5",
                        "marginBalance": "1010",
                        "availableBalance": "900",
                        "initialMargin": "0",
                        "updateTime": NOW_MS,
                    }
                ],
                "positions": [],
            },
            "GET /fapi/v1/leverageBracket": list,
            "GET /fapi/v3/positionRisk": list,
            "GET /fapi/v1/openOrders": list,
            "GET /fapi/v1/openAlgoOrders": list,
            "GET /fapi/v1/userTrades": list,
            "GET /fapi/v1/income": list,
            "GET /api/v3/account": lambda: {
                "balances": [
                    {"asset": "USDT", "free": "1000", "locked": "5.5"},
                    {"asset": "BTC", "free": "0.25", "locked": "0.5"},
                ]
            },
            "GET /api/v3/openOrders": list,
            "GET /api/v3/myTrades": list,
            "POST /fapi/v1/listenKey": lambda: {"listenKey": LISTEN_KEY},
            "PUT /fapi/v1/listenKey": dict,
        }
        if name not in quiet:
            return refusal(-2013, "Order does not exist.")
        return quiet[name]()


def refusal(code: int, text: str, status: int = 400) -> web.Response:
    """An error as the exchange words it."""
    return web.json_response({"code": code, "msg": text}, status=status)


def page(status: int = 200) -> web.Response:
    """What a gateway in between answers with."""
    return web.Response(
        text="<html><body>Service <b>unavailable</b></body></html>", content_type="text/html", status=status
    )


async def reset(request: web.Request) -> web.StreamResponse:
    """Cut the line instead of an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def silence(request: web.Request) -> web.StreamResponse:
    """Answer nothing, for longer than anybody waits."""
    await asyncio.sleep(30)
    return web.Response()


@dataclass
class Bench:
    """A gateway, and the venue that it talks to."""

    venue: ScriptedVenue
    gateway: CcxtGateway
    clock: FixedClock
    exchange: Any

    @property
    def symbol(self) -> str:
        """The one market."""
        return "BTC/USDT:USDT" if self.venue.market is Market.USDM else "BTC/USDT"


@asynccontextmanager
async def bench(
    folder: Path,
    market: Market = Market.USDM,
    *,
    timing: GatewayTiming | None = None,
    timeout_ms: int = 500,
    prepare: Callable[[ScriptedVenue], Awaitable[None] | None] | None = None,
    opened: bool = True,
) -> AsyncIterator[Bench]:
    """A gateway that was opened on a scripted venue, over real sockets."""
    venue = ScriptedVenue(market)
    if prepare is not None:
        prepare(venue)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", venue.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(folder / "ca.pem")).start()
    exchange = make_exchange(
        market.exchange_id,
        connect_to=("127.0.0.1", runner.addresses[0][1]),
        ca_file=folder / "ca.pem",
        rate_limited=False,
        timeout_ms=timeout_ms,
        credentials={"apiKey": KEY, "secret": SECRET},
    )
    exchange.timeout_on_exit = 0
    clock = FixedClock(NOW_MS)
    symbol = "BTC/USDT:USDT" if market is Market.USDM else "BTC/USDT"
    gateway = CcxtGateway(
        exchange,
        [symbol],
        clock=clock,
        random=random.Random(1).random,
        timing=timing or GatewayTiming(pace_seconds=0.02, pace_most_seconds=0.1, dial_seconds=1.0),
    )
    try:
        if opened:
            await gateway.open()
        yield Bench(venue, gateway, clock, exchange)
    finally:
        await gateway.close()
        await runner.cleanup()
