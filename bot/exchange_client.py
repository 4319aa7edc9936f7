"""The unmodified ccxt.pro client, and the one place where its exceptions become ours.

Against the real exchange the client is an ordinary one. Against a local exchange it keeps its production URLs
and its own error tables (they depend on the URL), but every connection that it opens, REST and WebSocket
alike, goes to one address of this machine and trusts one test certificate: nothing can leave the machine.

ccxt is imported late and of it only the exchange that is asked for (``bot.one_exchange``).
"""

from __future__ import annotations

import difflib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from bot.errors import BotError, ConfigError, DataError, EngineProtocolError, HaltError, TransientError
from bot.one_exchange import exchange_class, streamed_exchanges

Exchange: TypeAlias = Any
"""A ``ccxt.pro`` exchange; ccxt ships no types."""

KEEP_ALIVE_MS = 10_000
"""How often a WebSocket is pinged; two missed pongs end it (a stalled socket raises nothing otherwise)."""

SIM_URL = "https://sim.local/sim/"
"""Where a simulated exchange takes its own commands; the name is resolved by the injected session only."""


class OneAddressResolver(AbstractResolver):
    """Resolves every host name to one address and port of this machine."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 - the port asked for is replaced
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - so is the family
    ) -> list[ResolveResult]:
        """Answer with the one address, whatever was asked."""
        ip, port_here = self._address
        return [
            ResolveResult(
                hostname=host,
                host=ip,
                port=port_here,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Hold nothing open."""


class OneAddressConnector(aiohttp.TCPConnector):
    """A connector that reaches one loopback address only, even for a URL that names an IP address."""

    def __init__(self, address: tuple[str, int], ca_file: Path) -> None:
        _require_loopback(address)
        super().__init__(
            resolver=OneAddressResolver(address), ssl=_trusting_only(ca_file), use_dns_cache=False, limit=0
        )
        # ccxt drops the session that it was given before it closes the connector: kept until then.
        self.session: aiohttp.ClientSession | None = None

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> Connection:
        """Refuse a URL with a literal address (it would not pass the resolver) and one without TLS."""
        host = req.url.host or ""
        if _is_address(host) or req.url.scheme not in {"https", "wss"}:
            message = f"{req.url.scheme}://{host} would pass by the local exchange: only https and wss to a name can"
            raise aiohttp.InvalidURL(req.url, message)
        return await super().connect(req, traces, timeout)


def make_exchange(
    exchange_id: str,
    *,
    connect_to: tuple[str, int] | None = None,
    ca_file: Path | None = None,
    timeout_ms: int = 10_000,
    rate_limited: bool = True,
    options: Mapping[str, Any] | None = None,
    credentials: Mapping[str, str] | None = None,
) -> Exchange:
    """Build a ``ccxt.pro`` exchange; call it inside a running event loop, and ``await exchange.close()`` after.

    Args:
        exchange_id: ccxt's name, such as ``binanceusdm``.
        connect_to: Loopback address and port that every connection goes to; None for the real exchange.
        ca_file: PEM of the only certificate authority trusted; required with ``connect_to``.
        timeout_ms: Of one REST request.
        rate_limited: Whether requests are spaced by the exchange's limits; only a local exchange can do without.
        options: Merged into ccxt's own ``options``.
        credentials: ``apiKey`` and ``secret``, where the client trades.

    Raises:
        ConfigError: An exchange that ccxt does not stream, or an address that is not of this machine.
    """
    config: dict[str, Any] = {
        "enableRateLimit": rate_limited,
        "newUpdates": True,
        "timeout": timeout_ms,
        "options": dict(options or {}),
        **(credentials or {}),
    }
    # `maxRetriesOnFailure` stays unset: ccxt would resend an order whose reply was lost.
    connector = None
    if connect_to is not None:
        if ca_file is None:
            raise ConfigError(
                "ca_file is missing: a local exchange is trusted only by its own certificate, STATE_DIR/sim/ca.pem"
            )
        _require_loopback(connect_to)
        connector = OneAddressConnector(connect_to, ca_file)
        connector.session = aiohttp.ClientSession(connector=connector, trust_env=False)
        config["session"] = connector.session
        config["ssl_context"] = False  # never used: the session above has its own
    exchange = _exchange_class(exchange_id)(config)
    exchange.streaming = {**exchange.streaming, "keepAlive": KEEP_ALIVE_MS}
    if connector is not None:
        # ccxt closes this connector in `close()`, and with it the session that it was given. It never opens
        # a session of its own in its place (`own_session` is False), so a late call fails instead of leaving.
        exchange.tcp_connector = connector
    return exchange


@asynccontextmanager
async def open_exchange(
    exchange_id: str,
    *,
    connect_to: tuple[str, int] | None = None,
    ca_file: Path | None = None,
    timeout_ms: int = 10_000,
    rate_limited: bool = True,
    options: Mapping[str, Any] | None = None,
    credentials: Mapping[str, str] | None = None,
) -> AsyncIterator[Exchange]:
    """``make_exchange``, closed at the end of the block."""
    exchange = make_exchange(
        exchange_id,
        connect_to=connect_to,
        ca_file=ca_file,
        timeout_ms=timeout_ms,
        rate_limited=rate_limited,
        options=options,
        credentials=credentials,
    )
    try:
        yield exchange
    finally:
        await exchange.close()


class SimControl:
    """The commands of a simulated exchange, sent through a client made with ``connect_to``."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def clock(self) -> dict[str, Any]:
        """Where the simulated clock stands: ``now_ms``, ``speed``, ``held``, ``awaiting_ack_ms``, ``ended``."""
        return await self._call("GET", "clock")

    async def market(self) -> dict[str, Any]:
        """What is played: tapes, or the synthetic market with its planted predictable part."""
        return await self._call("GET", "market")

    async def acknowledge(self, closed_at_ms: int) -> dict[str, Any]:
        """Say that everything up to the candles closed at this time is done with; the paced clock goes on."""
        return await self._call("POST", "ack", {"closed_at_ms": closed_at_ms})

    async def hold(self) -> dict[str, Any]:
        """Stop the simulated clock until ``resume``."""
        return await self._call("POST", "hold")

    async def resume(self) -> dict[str, Any]:
        """Let the simulated clock go on."""
        return await self._call("POST", "resume")

    async def truth(self) -> dict[str, Any]:
        """The account as the exchange knows it: ``orders``, ``trades``, ``positions``, ``balances``, ``income``."""
        return await self._call("GET", "truth")

    async def trade(self, symbol: str, side: str, quantity: float) -> dict[str, Any]:
        """Let a stranger with a key to the same account trade at market: exchange id, ``BUY`` or ``SELL``, base units."""
        return await self._call("POST", "trade", {"symbol": symbol, "side": side, "quantity": quantity})

    async def expire_listen_key(self) -> dict[str, Any]:
        """End what the private streams are listened to by; their clients are told."""
        return await self._call("POST", "expire_listen_key")

    async def drop_user_streams(self) -> dict[str, Any]:
        """Cut every private stream."""
        return await self._call("POST", "drop_user_streams")

    async def faults(self) -> dict[str, Any]:
        """The fault plan that runs, and by fault how often it fitted and acted: ``plan``, ``counts``."""
        return await self._call("GET", "faults")

    async def replace_faults(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Let the exchange go on with another fault plan, its counts at zero; raises ConfigError if it is wrong."""
        return await self._call("POST", "faults", dict(plan))

    async def _call(self, method: str, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        session = self._exchange.session
        if session is None or session.closed:
            raise EngineProtocolError(
                "the client of the simulated exchange was closed before its last command"
            )
        try:
            async with session.request(method, SIM_URL + name, json=body) as response:
                reply: dict[str, Any] = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise mapped(error) from error
        if response.status != 200:
            raise ConfigError(f"the simulated exchange refused {name}: {reply.get('msg', response.status)}")
        return reply


def mapped(error: BaseException) -> BotError:
    """Translate what ccxt, aiohttp or the system raised; the text says what was raised and why.

    The nearest class of ccxt's tree decides (``CCXT_ERRORS``). A certificate that is not trusted is a wrong
    setting, however deep it is wrapped. What ccxt's parsers raise on a reply that they cannot read is a
    DataError. One of ours comes back as it is.
    """
    if isinstance(error, BotError):
        return error
    text = f"{type(error).__name__}: {error}"
    if isinstance(error.__cause__, (aiohttp.ClientError, OSError)) and str(error.__cause__):
        text += f" ({error.__cause__})"  # ccxt's own text names the request only
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (ssl.SSLCertVerificationError, aiohttp.ClientConnectorCertificateError)):
            return ConfigError(
                f"the exchange's certificate is not trusted: {cause}; look at the machine's clock, and for a proxy in between"
            )
        cause = cause.__cause__
    for kind in type(error).__mro__:
        if kind.__module__.startswith("ccxt.") and kind.__name__ in CCXT_ERRORS:
            return CCXT_ERRORS[kind.__name__](text)
    if isinstance(error, (aiohttp.ClientError, OSError, TimeoutError)):
        return TransientError(text)
    if isinstance(error, (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)):
        return DataError(f"a reply of the exchange could not be read: {text}")
    return EngineProtocolError(f"not an error of an exchange: {text}")


CCXT_ERRORS: Mapping[str, type[BotError]] = {
    "BaseError": TransientError,
    "ExchangeError": TransientError,  # a code that ccxt has no name for: try again, and log its text
    "AuthenticationError": ConfigError,
    "ArgumentsRequired": ConfigError,
    "BadRequest": ConfigError,
    "OperationRejected": HaltError,
    "MarketClosed": TransientError,
    "ManualInteractionNeeded": ConfigError,
    "RestrictedLocation": ConfigError,
    "InsufficientFunds": HaltError,
    "InvalidAddress": ConfigError,
    "InvalidOrder": HaltError,
    "NotSupported": ConfigError,
    "InvalidProxySettings": ConfigError,
    "ExchangeClosedByUser": EngineProtocolError,  # used after it was closed
    "OperationFailed": TransientError,
    "UnsubscribeError": TransientError,
}
"""ccxt's class -> ours; a class that is not named is what its nearest ancestor is."""


def require_streamed(exchange_id: str) -> None:
    """Refuse an exchange that ccxt does not stream; raises ConfigError."""
    _exchange_class(exchange_id)


def _exchange_class(exchange_id: str) -> type[Any]:
    try:
        names = streamed_exchanges()
    except ImportError as error:
        raise ConfigError(f"ccxt is not installed: {error}") from error
    if exchange_id not in names:
        near = difflib.get_close_matches(exchange_id, names, n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"exchange.id: {exchange_id!r} is not one that ccxt can stream{hint}")
    return exchange_class(exchange_id)


def _require_loopback(address: tuple[str, int]) -> None:
    if not (_is_address(address[0]) and ipaddress.ip_address(address[0]).is_loopback):
        raise ConfigError(
            f"connect_to: {address[0]} is not a loopback address; a simulated exchange is at 127.0.0.1"
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _trusting_only(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"ca_file {ca_file}: cannot be read as a certificate: {error}") from error
