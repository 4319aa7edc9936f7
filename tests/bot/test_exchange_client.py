"""The ccxt client: where its connections go, and what its exceptions become."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro
import pytest
from aiohttp import web

from bot.errors import BotError, ConfigError, DataError, EngineProtocolError, HaltError, TransientError
from bot.exchange_client import CCXT_ERRORS, SimControl, make_exchange, mapped, open_exchange
from bot.simexchange.tls import server_context


@asynccontextmanager
async def _serving(ca_file: Path, handler: Any) -> AsyncIterator[tuple[str, int]]:
    """A TLS server that answers every request by ``handler``."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(ca_file)).start()
    try:
        yield "127.0.0.1", runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.fixture
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record every address that a socket connects to, and fail on a look-up of a name."""
    reached: list[Any] = []
    inner = asyncio.SelectorEventLoop.sock_connect

    async def connect(loop: Any, sock: socket.socket, address: Any) -> None:
        reached.append(address)
        await inner(loop, sock, address)

    def look_up(*names: Any, **_: Any) -> Any:
        raise AssertionError(f"a name was looked up: {names}")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return reached


async def test_rest_and_streams_go_to_the_one_address(tmp_path: Path, only_loopback: list[Any]) -> None:
    """An unmodified client keeps its production URLs, yet all its connections reach the local server alone."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(f"{request.host}{request.path}")
        if "Upgrade" not in request.headers:
            return web.json_response({"serverTime": 5, "symbols": []})
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        await stream.receive()
        return stream

    async with (
        _serving(tmp_path / "ca.pem", answer) as address,
        open_exchange("binance", connect_to=address, ca_file=tmp_path / "ca.pem") as exchange,
    ):
        assert type(exchange) is ccxt.pro.binance
        assert await exchange.fetch_time() == 5
        assert await exchange.fapiPublicGetTime() == {"serverTime": 5, "symbols": []}
        watching = exchange.watch("wss://stream.binance.com:9443/ws/0", "x", {"id": 1}, "x")
        with pytest.raises(ccxt.NetworkError):
            await watching
    assert seen == [
        "api.binance.com/api/v3/time",
        "fapi.binance.com/fapi/v1/time",
        "stream.binance.com:9443/ws/0",
    ]
    assert only_loopback
    assert {*only_loopback} == {address}


@pytest.mark.parametrize("url", ["https://1.2.3.4/", "https://[::1]/", "http://api.binance.com/"])
async def test_a_url_that_would_pass_by_the_local_server_is_refused(
    tmp_path: Path, only_loopback, url: str
) -> None:
    """A literal address, which no resolver sees, and a URL without TLS do not connect anywhere."""
    server_context(tmp_path / "ca.pem")
    async with open_exchange("binance", connect_to=("127.0.0.1", 9), ca_file=tmp_path / "ca.pem") as exchange:
        with pytest.raises(aiohttp.InvalidURL, match="would pass by"):
            await exchange.session.get(url)
    assert only_loopback == []


async def test_after_close_nothing_is_opened_again(tmp_path: Path, only_loopback: list[Any]) -> None:
    """A client that is used after its close fails; it makes no session of its own that would leave the machine."""
    server_context(tmp_path / "ca.pem")
    exchange = make_exchange("binance", connect_to=("127.0.0.1", 9), ca_file=tmp_path / "ca.pem")
    session = exchange.session
    await exchange.close()
    assert session.closed
    with pytest.raises(ccxt.BaseError):
        await exchange.fetch_time()
    with pytest.raises((ccxt.BaseError, AttributeError)):
        await exchange.watch("wss://stream.binance.com:9443/ws/0", "x", {"id": 1}, "x")
    with pytest.raises(EngineProtocolError):
        await SimControl(exchange).clock()
    assert only_loopback == []
    await exchange.close()


async def test_the_settings_that_trading_needs_are_set() -> None:
    """Requests are spaced, sockets pinged every ten seconds, and nothing is ever sent twice by itself."""
    async with open_exchange("okx", options={"x": 1}, credentials={"apiKey": "k", "secret": "s"}) as exchange:
        assert exchange.enableRateLimit
        assert exchange.newUpdates
        assert exchange.streaming["keepAlive"] == 10_000
        assert exchange.options["x"] == 1
        assert (exchange.apiKey, exchange.secret) == ("k", "s")
        assert exchange.own_session
        assert not exchange.handle_option("fetch", "maxRetriesOnFailure", 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"exchange_id": "nowhere"}, "'nowhere' is not one"),
        ({"exchange_id": "exchanges"}, "'exchanges' is not one"),
        ({"exchange_id": "binance", "connect_to": ("10.0.0.1", 1), "ca_file": Path("x")}, "not a loopback"),
        (
            {"exchange_id": "binance", "connect_to": ("example.com", 1), "ca_file": Path("x")},
            "not a loopback",
        ),
        ({"exchange_id": "binance", "connect_to": ("127.0.0.1", 1)}, "ca_file is missing"),
        (
            {"exchange_id": "binance", "connect_to": ("127.0.0.1", 1), "ca_file": Path("absent.pem")},
            "absent.pem",
        ),
    ],
)
async def test_a_wrong_setting_is_refused(arguments: dict[str, Any], words: str) -> None:
    """Each refusal is a ConfigError that names what is wrong."""
    with pytest.raises(ConfigError, match=words):
        make_exchange(**arguments)


def _ccxt_classes(tree: dict[str, Any] | None = None) -> list[type[Exception]]:
    found = []
    for name, below in (ccxt.error_hierarchy if tree is None else tree).items():
        found += [getattr(ccxt, name), *_ccxt_classes(below)]
    return found


@pytest.mark.parametrize("kind", _ccxt_classes())
def test_every_exception_of_ccxt_becomes_one_of_ours(kind: type[Exception]) -> None:
    """Each class of ccxt's whole tree maps by itself or its nearest ancestor, and keeps its text."""
    error = mapped(kind("the reason"))
    expected = next(CCXT_ERRORS[base.__name__] for base in kind.__mro__ if base.__name__ in CCXT_ERRORS)
    assert type(error) is expected
    assert str(error) == f"{kind.__name__}: the reason"
    if issubclass(kind, ccxt.OperationFailed):
        assert type(error) is TransientError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ccxt.BadSymbol("x"), ConfigError),
        (ccxt.AuthenticationError("x"), ConfigError),
        (ccxt.RateLimitExceeded("x"), TransientError),
        (ccxt.OnMaintenance("x"), TransientError),
        (ccxt.NullResponse("x"), TransientError),
        (ccxt.InsufficientFunds("x"), HaltError),
        (ccxt.OrderNotFound("x"), HaltError),
        (ccxt.MarketClosed("x"), TransientError),
        (aiohttp.ClientPayloadError("x"), TransientError),
        (TimeoutError(), TransientError),
        (ConnectionResetError("x"), TransientError),
        (KeyError("x"), DataError),
        (TypeError("x"), DataError),
        (AssertionError("x"), EngineProtocolError),
    ],
)
def test_what_each_error_means(error: Exception, kind: type[BotError]) -> None:
    """What a retry may mend is transient, a wrong setting is refused, an unhandled order error halts."""
    assert type(mapped(error)) is kind


def test_one_of_ours_stays_as_it_is() -> None:
    """Mapping twice changes nothing."""
    error = mapped(ccxt.BadSymbol("x"))
    assert mapped(error) is error


async def test_a_certificate_that_is_not_trusted_is_a_wrong_setting(tmp_path: Path) -> None:
    """However deep ccxt wraps it, a foreign certificate is a ConfigError and not a reason to retry for ever."""
    server_context(tmp_path / "other.pem")

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"serverTime": 5})

    async with (
        _serving(tmp_path / "ca.pem", answer) as address,
        open_exchange("binance", connect_to=address, ca_file=tmp_path / "other.pem") as exchange,
    ):
        with pytest.raises(ccxt.ExchangeNotAvailable) as caught:
            await exchange.fetch_time()
    error = mapped(caught.value)
    assert type(error) is ConfigError
    assert "certificate is not trusted" in str(error)
    assert isinstance(caught.value.__cause__.certificate_error, ssl.SSLCertVerificationError)


async def test_a_server_that_is_gone_is_transient(tmp_path: Path) -> None:
    """A refused connection is worth a retry, through ccxt and through the control commands."""
    server_context(tmp_path / "ca.pem")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    async with open_exchange("binance", connect_to=address, ca_file=tmp_path / "ca.pem") as exchange:
        with pytest.raises(ccxt.ExchangeNotAvailable) as caught:
            await exchange.fetch_time()
        error = mapped(caught.value)
        assert type(error) is TransientError
        assert "Cannot connect" in str(error)  # why, and not only what was asked
        with pytest.raises(TransientError):
            await SimControl(exchange).clock()
