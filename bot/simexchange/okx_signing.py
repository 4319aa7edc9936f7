"""Who may ask what at OKX: headers of a signed request, and the login of a private stream.

The signature is the base64 text of the HMAC-SHA256 of time, method, path with its query, and body. Codes are those of
OKX's documentation; what is wrong with a key is answered with HTTP 401, unlike other errors.

Pure: times come in as callables.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

from bot.simexchange.orders import Refusal
from bot.simexchange.signing import ApiKey, ExchangeTime, Security

WINDOW_MS = 30_000
"""How far the time of a request may be from the exchange's, either way."""

LOGIN_TEXT = "GET/users/self/verify"
WRONG_KEY = 401


class OkxGate:
    """Lets requests in that are signed as they should be."""

    def __init__(
        self, key: ApiKey, passphrase: str, time: ExchangeTime, machine_ms: Callable[[], int]
    ) -> None:
        """``machine_ms``: this machine's clock, by which ccxt dates a login whatever the market's time is."""
        self._key = key
        self._passphrase = passphrase
        self._time = time
        self._machine_ms = machine_ms

    def admit(
        self, security: Security, headers: Mapping[str, str], method: str, path: str, body: str
    ) -> None:
        """Let a request pass, or raise Refusal; ``path`` has the query as it was sent."""
        if security is Security.NONE:
            return
        given = {
            name: headers.get(f"OK-ACCESS-{name}") for name in ("KEY", "PASSPHRASE", "SIGN", "TIMESTAMP")
        }
        missing = {"KEY": 50103, "PASSPHRASE": 50104, "SIGN": 50106, "TIMESTAMP": 50107}
        for name, code in missing.items():
            if not given[name]:
                raise Refusal(code, f'Request header "OK-ACCESS-{name}" cannot be empty.', WRONG_KEY)
        if given["KEY"] != self._key.key:
            raise Refusal(50111, "Invalid OK-ACCESS-KEY", WRONG_KEY)
        stamp = str(given["TIMESTAMP"])
        self._check_time(_parsed(stamp))
        if given["PASSPHRASE"] != self._passphrase:
            raise Refusal(50105, 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', WRONG_KEY)
        if not _same(str(given["SIGN"]), signature(stamp + method + path + body, self._key.secret)):
            raise Refusal(50113, "Invalid Sign", WRONG_KEY)
        if not (self._key.may_trade if security is Security.TRADE else self._key.may_read):
            raise Refusal(50120, "This API key doesn't have permission to use this function", WRONG_KEY)

    def admit_login(self, args: Any) -> None:
        """Let a stream's ``login`` pass, or raise Refusal with the code of the stream's error."""
        asked = args[0] if isinstance(args, list) and len(args) == 1 else None
        if not isinstance(asked, dict):
            raise Refusal(60009, "Login failed.")
        stamp = str(asked.get("timestamp", ""))
        if not stamp.isdecimal() or len(stamp) > 12:
            raise Refusal(60004, "Invalid timestamp")
        if asked.get("apiKey") != self._key.key:
            raise Refusal(60005, "Invalid apiKey")
        at_ms = int(stamp) * 1000
        of_machine = abs(at_ms - self._machine_ms() - self._time.skew_ms()) <= WINDOW_MS
        if not of_machine and not self._in_time(at_ms):
            raise Refusal(60006, "Timestamp request expired")
        if asked.get("passphrase") != self._passphrase:
            raise Refusal(60024, "Wrong passphrase")
        if not _same(str(asked.get("sign", "")), signature(stamp + LOGIN_TEXT, self._key.secret)):
            raise Refusal(60007, "Invalid sign")
        if not self._key.may_read:
            raise Refusal(60009, "Login failed.")

    def _check_time(self, at_ms: int) -> None:
        if not self._in_time(at_ms):
            raise Refusal(50102, "Timestamp request expired", WRONG_KEY)

    def _in_time(self, at_ms: int) -> bool:
        return self._time.accepts(at_ms, WINDOW_MS, ahead_ms=WINDOW_MS)


def signature(text: str, secret: str) -> str:
    """The base64 text of the HMAC-SHA256 of a text."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _parsed(stamp: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(stamp)
    except ValueError:
        raise Refusal(50112, "Invalid OK-ACCESS-TIMESTAMP", WRONG_KEY) from None
    if moment.tzinfo is None:
        raise Refusal(50112, "Invalid OK-ACCESS-TIMESTAMP", WRONG_KEY)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def _same(given: str, true: str) -> bool:
    return hmac.compare_digest(given.encode(), true.encode())
