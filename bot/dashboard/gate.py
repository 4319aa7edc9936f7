"""What stands before the pages: only small, reading requests of this machine's user reach them.

The token comes once in the address that ``bot dashboard`` prints, and is traded for a cookie; programs send it as
``Authorization: Bearer``. What goes wrong behind is told in the log and answered with 500.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

import orjson

from bot.dashboard.contracts import Log
from bot.web.asgi import App, Knocks, Message, Receive, Refused, Scope, Send, is_meant_for

READING: Final = frozenset({"GET", "HEAD"})
LONGEST_QUERY: Final = 2_048
MOST_PARAMETERS: Final = 32
SECURITY: Final = (
    (
        b"content-security-policy",
        (
            b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
"""Headers of every answer."""

_MISSING: Final = (
    "the token is missing: open the address that `bot dashboard` prints, "
    "or send what dashboard.token holds, as Authorization: Bearer"
)
_DOOR_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Dashboard: token needed</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<body style="font: 1.1rem/1.5 system-ui; max-width: 38rem; margin: 4rem auto; padding: 0 1rem">
<h1>This dashboard needs its token</h1><p>Open the address that <code>bot dashboard</code> printed.
It ends in <code>?token=…</code>; the token lies in <code>dashboard.token</code> in the bot's state folder.</p></body></html>
"""


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may look.

    Attributes:
        token: What is needed, always.
        loopback: Whether only this machine can reach the dashboard.
        host: The address that it listens on.
    """

    token: str
    loopback: bool
    host: str

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies know no ports, so each state folder has a name of its own."""
        return f"bot_dashboard_{hashlib.sha256(self.token.encode()).hexdigest()[:12]}"

    @property
    def session(self) -> str:
        """Value of the cookie: follows from the token, which does not follow from it."""
        return hmac.new(self.token.encode(), b"dashboard session", hashlib.sha256).hexdigest()

    def fault(self, headers: Mapping[bytes, bytes]) -> Refused | None:
        """Why a request is refused, judged by its head; None where it is not."""
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and given:
            if self.is_token(given.strip()):
                return None
            return Refused(401, "the token is wrong: it is in dashboard.token, in the bot's state folder")
        if self._has_session(headers.get(b"cookie")):
            return None
        return Refused(401, _MISSING)

    def is_token(self, given: bytes) -> bool:
        """Whether this is the token; takes as long for any."""
        return secrets.compare_digest(given, self.token.encode())

    def _has_session(self, header: bytes | None) -> bool:
        if header is None or self.cookie.encode() not in header:
            return False
        try:
            found = SimpleCookie(header.decode("latin-1")).get(self.cookie)
        except CookieError:
            return False
        return found is not None and secrets.compare_digest(
            found.value.encode("utf-8", "replace"), self.session.encode()
        )


class Gate:
    """An ASGI application around another one.

    Args:
        app: What answers a request that is let through.
        admission: Who may look.
        log: Where refusals and faults are told.
        monotonic_ns: A counter that never goes back.
    """

    def __init__(self, app: App, admission: Admission, log: Log, monotonic_ns: Callable[[], int]) -> None:
        self._app = app
        self._admission = admission
        self._log = log
        self._knocks = Knocks(monotonic_ns)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        answered = _Answer(send)
        try:
            refused = self._refusal(scope)
            if refused is not None:
                self._tell(scope, refused)
                await answered.refuse(refused, as_page=_wants_page(scope))
                return
            given, rest = _token_in(scope)
            if given is None:
                await self._app(scope, receive, answered)
            else:
                await answered.send_on(_place(scope["path"], rest), self._cookie())
        except Exception:  # noqa: BLE001 - nothing is swallowed: the log has it with its traceback
            self._log.error("dashboard.request_failed", path=str(scope["path"])[:100], exc_info=True)
            if not answered.begun:
                await answered.refuse(Refused(500, "the request failed; the log of the dashboard says why"))

    def _refusal(self, scope: Scope) -> Refused | None:
        headers = dict(scope["headers"])
        admission = self._admission
        if admission.loopback and not is_meant_for(headers.get(b"host"), admission.host):
            return Refused(421, "this dashboard answers to 127.0.0.1 and localhost only")
        if scope["method"] not in READING:
            return Refused(405, "the dashboard only shows: it is asked with GET")
        if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
            return Refused(413, "a question to the dashboard has no body")
        if len(scope["query_string"]) > LONGEST_QUERY:
            return Refused(414, f"the query must not be longer than {LONGEST_QUERY} bytes")
        given, _ = _token_in(scope)
        if given is None:
            return admission.fault(headers)
        if admission.is_token(given.encode("utf-8", "replace")):
            return None
        return Refused(401, "the token is wrong: it is in dashboard.token, in the bot's state folder")

    def _cookie(self) -> bytes:
        admission = self._admission
        return f"{admission.cookie}={admission.session}; Path=/; HttpOnly; SameSite=Strict".encode()

    def _tell(self, scope: Scope, refused: Refused) -> None:
        """One line a minute at most."""
        if (fields := self._knocks.told(scope, refused)) is not None:
            self._log.warning("dashboard.refused", **fields)


class _Answer:
    """Sends an answer with the headers of every answer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            given = list(message.get("headers", []))
            if not any(name == b"cache-control" for name, _ in given):
                given.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*given, *SECURITY]}
        await self._send(message)

    async def refuse(self, refused: Refused, *, as_page: bool = False) -> None:
        """Answer with a sentence; a person in a browser gets it as a page."""
        page = as_page and refused.status == 401
        body = _DOOR_PAGE.encode() if page else orjson.dumps({"error": refused.sentence})
        headers = [
            (b"content-type", b"text/html; charset=utf-8" if page else b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if refused.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if refused.status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await self({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})

    async def send_on(self, place: str, cookie: bytes) -> None:
        """Send a browser to the same place without the token, with the cookie."""
        headers = [
            (b"location", place.encode()),
            (b"set-cookie", cookie),
            (b"content-length", b"0"),
        ]
        await self({"type": "http.response.start", "status": 303, "headers": headers})
        await self({"type": "http.response.body", "body": b""})


def _token_in(scope: Scope) -> tuple[str | None, list[tuple[str, str]]]:
    """The token that a query names, and the rest of the query."""
    if b"token" not in scope["query_string"]:
        return None, []
    try:
        pairs = parse_qsl(
            scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        return None, []  # more parameters than any question of ours has
    given = [value for name, value in pairs if name == "token"]
    return (given[0] if given else None), [pair for pair in pairs if pair[0] != "token"]


def _place(path: str, rest: list[tuple[str, str]]) -> str:
    """An address of this very server: one slash begins it, so that it names no other host, and nothing breaks a line."""
    place = "/" + quote(path.lstrip("/\\"), safe="/:@")
    return f"{place}?{urlencode(rest)}" if rest else place


def _wants_page(scope: Scope) -> bool:
    """Whether a browser asks for a page."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
