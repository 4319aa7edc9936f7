"""The one place that knows apprise: an address becomes something that sends, or a sentence why it can't.

Its import takes half a second and 25 MB, so it happens in the thread that sends, and only where somebody is to be told.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import Any, Final

from bot.daemon.outlet import Message, Post
from bot.redaction import keep_secret

_KINDS: Final = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}
_SCHEMA: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PARTS: Final = re.compile(r"[/:@?&=]+")
_SECRET_LENGTH: Final = 12
"""A part of an address from this length on is taken for a token; shorter ones are hosts, ports and names."""


def outlet_name(address: str, number: int) -> str:
    """What an address is called where people can read it: its kind and its number, since the rest is secret."""
    found = _SCHEMA.match(address)
    return f"{'address' if found is None else found[1].lower()}-{number}"


def keep_address_secret(address: str) -> None:
    """Hide an address, and what in it looks like a token, in every line and error from now on."""
    _, _, rest = address.partition("://")
    keep_secret(rest, *(part for part in _PARTS.split(rest) if len(part) >= _SECRET_LENGTH))


def connect(address: str) -> Post | str:
    """What sends to an address; a sentence where apprise does not know what to make of it."""
    import apprise

    asset = apprise.AppriseAsset(app_id="bot", async_mode=False, storage_mode="memory")
    target = apprise.Apprise(asset=asset)
    if not target.add(address):
        return "apprise does not know this kind of address, or it is not complete"
    complaints = _complaints()

    def post(message: Message) -> str | None:
        complaints.start()
        sent: Any = target.notify(
            body=message.body,
            title=message.title,
            notify_type=apprise.NotifyType(_KINDS[message.level]),
            body_format=apprise.NotifyFormat.TEXT,
        )
        return None if sent else complaints.last()

    return post


class _Complaints(logging.Handler):
    """Keeps what apprise complained of last, in each thread: its answer is but yes or no."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said = threading.local()

    def start(self) -> None:
        """A message is being sent by this thread."""
        self._said.line = ""

    def last(self) -> str:
        """What it said of it."""
        return getattr(self._said, "line", "") or "apprise did not say why"

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self._said.line = record.getMessage()[:300]


def _complaints() -> _Complaints:
    """The handler of apprise's logger, which then writes nowhere else."""
    logger = logging.getLogger("apprise")
    for handler in logger.handlers:
        if isinstance(handler, _Complaints):
            return handler
    made = _Complaints()
    logger.addHandler(made)
    logger.propagate = False
    return made
