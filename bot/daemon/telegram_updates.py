"""What Telegram sends, taken in: which messages are new, in which order, and which come too late. Pure.

``Inbox`` gives each message once, whatever is sent twice or out of order: it knows the number from which on updates are
new, which ``bot.daemon.telegram`` keeps on disk before it acts. What is old by its own date is refused whatever its
number. Numbers: https://core.telegram.org/bots/api#getting-updates
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

FORGET_MS: Final = 6 * 86_400_000
"""After a week without an update Telegram numbers anew, at random: a number kept for longer says nothing."""

LARGEST_ID: Final = 2**52
LONGEST_TEXT: Final = 4096


class Heard(NamedTuple):
    """A message in a chat.

    Attributes:
        update_id: Number of the update that it came in.
        chat_id: The chat.
        user_id: Who wrote it; 0 where it is not told.
        sent_ms: When, by Telegram's clock (whole seconds); 0 where it is not told.
        text: What it says; empty where it is no text.
        forwarded: Whether it was written elsewhere, and passed on.
    """

    update_id: int
    chat_id: int
    user_id: int
    sent_ms: int
    text: str
    forwarded: bool


class Mark(NamedTuple):
    """How far updates were taken in.

    Attributes:
        next_id: Number of the first update that is new.
        at_ms: When that was found, by this machine's clock.
    """

    next_id: int
    at_ms: int


class Inbox:
    """Takes replies of ``getUpdates`` in.

    Args:
        mark: How far an earlier life came; None where that is not known.
    """

    def __init__(self, mark: Mark | None) -> None:
        self._mark = mark

    @property
    def mark(self) -> Mark | None:
        """How far updates were taken in."""
        return self._mark

    def offset(self, now_ms: int) -> int | None:
        """What to ask for; None asks for all that Telegram keeps."""
        if self._mark is not None and now_ms - self._mark.at_ms > FORGET_MS:
            self._mark = None
        return None if self._mark is None else self._mark.next_id

    def take(self, updates: list[Any], now_ms: int) -> list[Heard]:
        """The new messages of a reply, in the order of their numbers; what is no update is passed over."""
        known = self.offset(now_ms)
        fresh: dict[int, Any] = {}
        for update in updates:
            number = _whole(update.get("update_id")) if isinstance(update, Mapping) else None
            if number is not None and 0 < number < LARGEST_ID and (known is None or number >= known):
                fresh.setdefault(number, update)
        if fresh:
            self._mark = Mark(max(fresh) + 1, now_ms)
        found = (_heard(number, fresh[number]) for number in sorted(fresh))
        return [message for message in found if message is not None]


def too_old(message: Heard, *, now_ms: int, started_ms: int, oldest_seconds: float) -> str | None:
    """Why a message may not be carried out any more, in words; None where it may."""
    age_seconds = (now_ms - message.sent_ms) / 1000
    if message.sent_ms + 999 < started_ms:
        return "it was sent before the bot started"
    if age_seconds > oldest_seconds + 1:
        return f"it was sent {age_seconds:.0f} seconds ago (telegram.oldest_seconds is {oldest_seconds:g})"
    if age_seconds < -oldest_seconds:
        return f"it comes {-age_seconds:.0f} seconds from the future: the clock of the bot's machine is wrong"
    return None


def _heard(update_id: int, update: Mapping[str, Any]) -> Heard | None:
    """The message of an update; None where it has none that we understand."""
    message = update.get("message")
    if not isinstance(message, Mapping):
        return None
    chat, writer = message.get("chat"), message.get("from")
    chat_id = _whole(chat.get("id")) if isinstance(chat, Mapping) else None
    if chat_id is None:
        return None
    user_id = _whole(writer.get("id")) if isinstance(writer, Mapping) else None
    sent_seconds, text = _whole(message.get("date")), message.get("text")
    return Heard(
        update_id=update_id,
        chat_id=chat_id,
        user_id=user_id or 0,
        sent_ms=(sent_seconds or 0) * 1000,
        text=text[:LONGEST_TEXT] if isinstance(text, str) else "",
        forwarded=any(name in message for name in ("forward_origin", "forward_date", "via_bot")),
    )


def _whole(value: Any) -> int | None:
    """A whole number of a size that Telegram uses."""
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_ID else None
    )
