"""Telegram's Bot API over HTTP, as far as it is needed (https://core.telegram.org/bots/api).

Every request has a deadline, no reply is read beyond a bound, no redirection is followed (the token is part of every
address, and must go nowhere else), and no fault carries an address. What went wrong is a value: whoever asked decides.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import aiohttp
import orjson

from bot.redaction import keep_secret, redacted

CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 15.0
LARGEST_REPLY: Final = 1 << 19
"""Bytes; twenty messages of the greatest length are a fifth of that."""
LONGEST_PAUSE_SECONDS: Final = 3600.0
TOKEN_REFUSED: Final = frozenset({401, 404})
"""401: no such bot. 404: what is no token at all."""
CONFLICT: Final = 409
UNSENDABLE: Final = frozenset({400, 403})
"""400: no such chat. 403: the bot was thrown out, or never let in."""


class Fault(NamedTuple):
    """Why there is no result.

    Attributes:
        cause: In words, without the token.
        status: Of the Bot API (``error_code``), or of HTTP; 0 where there was no answer.
        retry_seconds: Before this it does not want to be asked again; None where it did not say.
    """

    cause: str
    status: int = 0
    retry_seconds: float | None = None


class Reply(NamedTuple):
    """What came back: a result, or a fault."""

    result: Any = None
    fault: Fault | None = None


class BotApi:
    """One bot, asked over a session.

    Args:
        session: Made by ``open_bot_api``.
        api_url: Where the API is, without a stroke at the end.
        token: The bot's; kept out of everything that is written from now on.
    """

    def __init__(self, session: aiohttp.ClientSession, api_url: str, token: str) -> None:
        keep_secret(token, token.partition(":")[2])
        self._session = session
        self._address = f"{api_url}/bot{token}"

    async def ask(self, method: str, seconds: float = ANSWER_SECONDS, **parameters: Any) -> Reply:
        """Call a method of the API.

        Args:
            method: Its name.
            seconds: The answer must be there, whole, within so many.
            parameters: As its documentation has them; None stands for not given.
        """
        given = {name: value for name, value in parameters.items() if value is not None}
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        try:
            async with self._session.post(
                f"{self._address}/{method}", json=given, timeout=limits, allow_redirects=False
            ) as response:
                body = await _bounded(response.content)
                return _understood(response.status, body)
        except TimeoutError:
            return Reply(fault=Fault(f"no whole answer within {seconds:g} seconds"))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Their texts may hold the address, and with it the token.
            return Reply(fault=Fault(f"it cannot be reached: {_kind(error)}"))


@asynccontextmanager
async def open_bot_api(api_url: str, token: str) -> AsyncIterator[BotApi]:
    """A bot, for as long as the block runs."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=4),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,  # a packed reply could be any size when it is unpacked
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        json_serialize=lambda value: orjson.dumps(value).decode(),
    )
    async with session:
        yield BotApi(session, api_url, token)


async def _bounded(stream: aiohttp.StreamReader) -> bytes | None:
    """A whole body; None where it is longer than any that is sensible."""
    body = bytearray()
    while piece := await stream.readany():
        body += piece
        if len(body) > LARGEST_REPLY:
            return None
    return bytes(body)


def _understood(status: int, body: bytes | None) -> Reply:
    """A reply as the API writes it: ``ok`` and ``result``, or ``error_code`` and ``description``."""
    if body is None:
        return Reply(fault=Fault(f"its answer is longer than {LARGEST_REPLY} bytes", status))
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("ok"), bool):
        return Reply(fault=Fault(f"its answer (HTTP {status}) is none of the Bot API", status))
    if said["ok"] and status == 200:
        return Reply(said.get("result"))
    code = said.get("error_code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else status
    words = " ".join(redacted(str(said.get("description", "it did not say why"))).split())[:200]
    return Reply(fault=Fault(f"{code}: {words}", code, _pause(said.get("parameters"))))


def _pause(parameters: Any) -> float | None:
    """How long it wants to be left alone, within reason."""
    seconds = parameters.get("retry_after") if isinstance(parameters, Mapping) else None
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not seconds >= 0:
        return None
    return min(float(seconds), LONGEST_PAUSE_SECONDS)


def _kind(error: Exception) -> str:
    """What kind of fault it is, without what the library says of it."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    reason = cause.strerror if isinstance(cause, OSError) and isinstance(cause.strerror, str) else None
    return " ".join(redacted(reason).split())[:100] if reason else type(error).__name__
