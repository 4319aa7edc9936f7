"""Answers on their way to chats of Telegram: in order, in a task of their own, each tried for a bounded time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final, NamedTuple

from bot.daemon.telegram_api import UNSENDABLE, BotApi
from bot.daemon.telling import Log

CAPACITY: Final = 50
ATTEMPTS: Final = 4
FIRST_WAIT_SECONDS: Final = 1.0
LONGEST_WAIT_SECONDS: Final = 60.0
END_SECONDS: Final = 2.0


class Letter(NamedTuple):
    """A text for a chat."""

    chat_id: int
    text: str


class Mail:
    """Sends what it is given; a chat that can't be reached delays its own answers only, and for so long at most.

    Args:
        log: Bound with run_id and mode.
    """

    def __init__(self, log: Log, *, first_wait_seconds: float = FIRST_WAIT_SECONDS) -> None:
        self._log = log
        self._first_wait_seconds = first_wait_seconds
        self._waiting: asyncio.Queue[Letter] = asyncio.Queue(CAPACITY)

    def put(self, chat_id: int, text: str) -> None:
        """Line an answer up; what does not fit is told in the log."""
        try:
            self._waiting.put_nowait(Letter(chat_id, text))
        except asyncio.QueueFull:
            self._log.warning("telegram.unanswered", chat_id=chat_id, cause="too many answers are waiting")

    async def finish(self) -> None:
        """Wait for what is lined up, for two seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._waiting.join()

    async def deliver(self, api: BotApi) -> None:
        """Send without an end."""
        while True:
            letter = await self._waiting.get()
            try:
                cause = await self._send(api, letter)
                if cause is not None:
                    self._log.warning("telegram.unanswered", chat_id=letter.chat_id, cause=cause)
            except Exception:  # noqa: BLE001 - nothing is swallowed: the log has it with its traceback
                self._log.error("telegram.broken", exc_info=True)
            finally:
                self._waiting.task_done()

    async def _send(self, api: BotApi, letter: Letter) -> str | None:
        """Send one answer; why it could not be, None where it could."""
        cause, wait_seconds = "", self._first_wait_seconds
        for attempt in range(1, ATTEMPTS + 1):
            reply = await api.ask(
                "sendMessage",
                chat_id=letter.chat_id,
                text=letter.text,
                link_preview_options={"is_disabled": True},
            )
            if reply.fault is None:
                return None
            cause = reply.fault.cause
            pause_seconds = max(wait_seconds, reply.fault.retry_seconds or 0.0)
            if reply.fault.status in UNSENDABLE or pause_seconds > LONGEST_WAIT_SECONDS:
                return cause
            if attempt < ATTEMPTS:
                await asyncio.sleep(pause_seconds)
            wait_seconds *= 4
        return cause
