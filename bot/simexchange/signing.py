"""Who may ask what: API keys, signatures, and the timestamp rule of Binance's signed requests.

A signed request carries its key in the header ``X-MBX-APIKEY`` and, as its last parameter, the hexadecimal
HMAC-SHA256 of everything else that it sends as text: the query string, or the body of a form. The codes are those
of Binance's documentation.

Pure: time comes in as a callable.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from bot.simexchange.orders import Refusal
from bot.simexchange.parameters import Params, integer, missing, needed

DEFAULT_WINDOW_MS = 5_000
LONGEST_WINDOW_MS = 60_000
AHEAD_ALLOWED_MS = 1_000
"""How far the clock of a client may be ahead."""


class Security(Enum):
    """What a route asks of a request."""

    NONE = "nothing"
    KEY = "a key"
    READ = "a signature of a key that may read"
    TRADE = "a signature of a key that may trade"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the one account that there is, and what it may be used for."""

    key: str
    secret: str
    may_read: bool = True
    may_trade: bool = True
    may_withdraw: bool = False


@dataclass(slots=True)
class ExchangeTime:
    """What the exchange takes for the time, and which timestamps it takes from clients.

    The simulated market runs faster than the wall clock, or in steps, and a client knows its time only from the
    messages that it was sent. So a timestamp may be as old as the last event but one, less the window times the
    speed.

    Attributes:
        now: Market time, ms.
        event_before: Market time of the event that was sent before the newest one, ms.
        speed: Market seconds a second; 0 is paced.
        skew_ms: Tells how far this clock is wrong, for checks and where the time is told; a fault plan sets it.
    """

    now: Callable[[], int]
    event_before: Callable[[], int]
    speed: float = 1.0
    skew_ms: Callable[[], int] = lambda: 0

    def told(self) -> int:
        """The time as clients are told it, ms."""
        return self.now() + self.skew_ms()

    def check(self, timestamp: int, window_ms: int) -> None:
        """Take a timestamp or raise Refusal -1021."""
        if timestamp > self.told() + AHEAD_ALLOWED_MS:
            raise Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if not self.accepts(timestamp, window_ms, ahead_ms=AHEAD_ALLOWED_MS):
            raise Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")

    def accepts(self, timestamp: int, window_ms: int, *, ahead_ms: int) -> bool:
        """Whether a timestamp is neither older than its window nor further ahead than ``ahead_ms``."""
        oldest = min(self.event_before(), self.now()) + self.skew_ms() - window_ms * max(1.0, self.speed)
        return oldest <= timestamp <= self.told() + ahead_ms


class Gate:
    """Lets requests in that are signed as they should be."""

    def __init__(self, keys: Mapping[str, ApiKey], time: ExchangeTime) -> None:
        """``keys`` by the public part."""
        self._keys = dict(keys)
        self._time = time

    def admit(self, security: Security, key: str | None, text: str, params: Params) -> ApiKey | None:
        """Say whose request it is; None where nobody needs to be known.

        Args:
            security: What its route asks.
            key: Its header ``X-MBX-APIKEY``.
            text: What it sends as text, signature included: query string and body, one after the other.
            params: The same, parsed.

        Raises:
            Refusal: -2014 or -2015 (401), -1102, -1021, -1022.
        """
        if security is Security.NONE:
            return None
        if not key:
            raise Refusal(-2014, "API-key format invalid.", 401)
        holder = self._keys.get(key)
        if holder is None:
            raise _not_permitted()
        if security is Security.KEY:
            return holder
        self.check_signed(holder, unsigned(text), params)
        if not (holder.may_trade if security is Security.TRADE else holder.may_read):
            raise _not_permitted()
        return holder

    def admit_message(self, params: Params) -> ApiKey:
        """The same for a request over the WebSocket API, which names its key and is signed in order of names."""
        holder = self._keys.get(needed(params, "apiKey"))
        if holder is None:
            raise _not_permitted()
        text = "&".join(f"{name}={value}" for name, value in sorted(params.items()) if name != "signature")
        self.check_signed(holder, text, params)
        if not holder.may_read:
            raise _not_permitted()
        return holder

    def check_signed(self, holder: ApiKey, text: str, params: Params) -> None:
        """Check time and signature of a request whose unsigned text is given; raises Refusal."""
        timestamp = integer(params, "timestamp")
        if timestamp is None:
            raise missing("timestamp")
        window = integer(params, "recvWindow", DEFAULT_WINDOW_MS) or DEFAULT_WINDOW_MS
        if window > LONGEST_WINDOW_MS:
            raise Refusal(-1131, "recvWindow must be less than 60000.")
        given = needed(params, "signature")
        self._time.check(timestamp, window)
        if not hmac.compare_digest(given.encode(), signature(text, holder.secret).encode()):
            raise Refusal(-1022, "Signature for this request is not valid.")


def signature(text: str, secret: str) -> str:
    """The hexadecimal HMAC-SHA256 of a text."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def unsigned(text: str) -> str:
    """A query string or form without its signature."""
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def _not_permitted() -> Refusal:
    return Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
