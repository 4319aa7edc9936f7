"""Settings of the commands that people give the daemon in a chat of Telegram."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from bot.settings.values import Number, Section

OFFICIAL_API: Final = "https://api.telegram.org"
_TOKEN: Final = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{20,100}")
_LARGEST_CHAT: Final = 2**52
"""Chat ids have fewer bits than that; those of groups are negative."""


def _token(value: SecretStr | None) -> SecretStr | None:
    """Refuse what is no token; the sentence must not repeat it."""
    if value is not None and _TOKEN.fullmatch(value.get_secret_value()) is None:
        raise ValueError("must look like 123456789:AbC..., as Telegram's BotFather gives it")
    return value


def _chats(value: Any) -> Any:
    """Chat ids of an environment variable or a flag: separated by commas, or a JSON list."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if not isinstance(value, str):
        return value
    return [
        word.strip() for word in value.strip().removeprefix("[").removesuffix("]").split(",") if word.strip()
    ]


def _real_chats(ids: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse what can be no chat."""
    for one in ids:
        if isinstance(one, bool) or one == 0 or abs(one) >= _LARGEST_CHAT:
            raise ValueError(f"{one} is no id of a chat; docs/service.md says how to find yours")
    return ids


def _url(value: str) -> str:
    """Refuse an address that would send the token in the open, or that carries more than a place."""
    parts = urlsplit(value)
    try:
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits = False
    named = bool(parts.hostname) and port_fits and "@" not in parts.netloc
    if not named or parts.query or parts.fragment or any(sign.isspace() for sign in value):
        raise ValueError(f"must be an address such as {OFFICIAL_API}")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise ValueError(
            "must begin with https:// (http:// only on this machine): the token is part of every request"
        )
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Chats = Annotated[tuple[int, ...], BeforeValidator(_chats), AfterValidator(_real_chats)]
Token = Annotated[SecretStr | None, AfterValidator(_token)]


class TelegramSettings(Section):
    """Commands from a chat of Telegram; off unless it is switched on, and deaf to every chat that is not named."""

    enabled: bool = Field(False, description="Whether the daemon listens to a bot of Telegram.")
    token: Token = Field(
        None, description="The bot's token, from BotFather; only one daemon can listen with it."
    )
    chat_ids: Chats = Field(
        (), description="Chats whose commands are carried out; in a group every member may command."
    )
    api_url: Annotated[str, AfterValidator(_url)] = Field(
        OFFICIAL_API, description="Where the Bot API is; a server of your own, or the official one."
    )
    poll_seconds: Number = Field(
        25.0, ge=1, le=50, description="How long Telegram holds a question open while there is no message."
    )
    oldest_seconds: Number = Field(
        60.0, ge=5, le=3600, description="A command that was sent longer ago is refused."
    )
