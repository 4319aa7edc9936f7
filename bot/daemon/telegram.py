"""Commands from a chat of Telegram: listens by long polling, carries out what allowed chats say, and answers.

Beside trading and never in its way: two tasks of their own, every request with a deadline, and no fault of Telegram's or of
ours ends them before the daemon ends. A command is carried out once at most: how far messages were taken in is on disk
before one is acted upon, and what was sent before the start, or too long ago, is refused and said so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from bot.daemon.commanding import CommandDesk, CommandName, Operator
from bot.daemon.control_reads import Recordings
from bot.daemon.telegram_api import CONFLICT, TOKEN_REFUSED, BotApi, Fault, open_bot_api
from bot.daemon.telegram_mail import Mail
from bot.daemon.telegram_mark import keep_mark, kept_mark
from bot.daemon.telegram_updates import Heard, Inbox, too_old
from bot.daemon.telegram_words import (
    COMMANDS,
    HELP,
    KNOWN,
    SHOWN_ROWS,
    Asked,
    asked,
    outcome_words,
    refused_words,
    status_words,
    trades_words,
    unknown_words,
)
from bot.daemon.telling import Log
from bot.errors import BotError, EngineProtocolError, StorageError

MOST_UPDATES: Final = 20
"""That one reply may bring."""
PATIENCE_SECONDS: Final = 10.0
"""Beyond the time that Telegram holds a question open."""
TELL_EVERY_SECONDS: Final = 3600.0
REFUSALS_EVERY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class TelegramRules:
    """Who may command, and how it is listened for.

    Attributes:
        token: The bot's; secret.
        chat_ids: Whose commands are carried out.
        api_url: Where the Bot API is.
        poll_seconds: How long Telegram holds a question open.
        oldest_seconds: A command that was sent longer ago is refused.
        first_wait_seconds: After the first failure; doubled with each further one.
        longest_wait_seconds: After many.
        refused_wait_seconds: After the token was refused.
        least_seconds: Between two questions, whatever comes back.
    """

    token: str
    chat_ids: frozenset[int]
    api_url: str
    poll_seconds: float = 25.0
    oldest_seconds: float = 60.0
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    refused_wait_seconds: float = 600.0
    least_seconds: float = 0.2


class TelegramDesk:
    """Listens, carries out and answers, as long as the daemon runs.

    Args:
        rules: Who may command, and how it is listened for.
        operator: Knows how things stand.
        desk: Carries commands to it.
        recordings: The journal, to be read.
        state_dir: Where it is kept how far messages were taken in.
        log: Bound with run_id and mode.
        now_ms: This machine's time.
        monotonic_ns: A counter that never goes back.
    """

    def __init__(
        self,
        rules: TelegramRules,
        operator: Operator,
        desk: CommandDesk,
        recordings: Recordings,
        state_dir: Path,
        log: Log,
        now_ms: Callable[[], int],
        monotonic_ns: Callable[[], int],
    ) -> None:
        self._rules = rules
        self._operator = operator
        self._desk = desk
        self._recordings = recordings
        self._state_dir = state_dir
        self._log = log
        self._now_ms = now_ms
        self._monotonic_ns = monotonic_ns
        self._bot_id = int(rules.token.partition(":")[0])
        self._bot_name = ""
        self._started_ms = now_ms()
        self._inbox = Inbox(None)
        self._mail = Mail(log)
        self._failures = 0
        self._told_ns: int | None = None
        self._refused_ns: int | None = None
        self._refused_count = 0

    async def serve(self, stop: asyncio.Event) -> None:
        """Listen until told to stop, or until cancelled."""
        self._inbox = Inbox(await asyncio.to_thread(kept_mark, self._state_dir, self._bot_id))
        async with open_bot_api(self._rules.api_url, self._rules.token) as api:
            tasks = [
                asyncio.create_task(self._listen(api), name="telegram-listen"),
                asyncio.create_task(self._mail.deliver(api), name="telegram-answer"),
            ]
            try:
                await stop.wait()
                await self._mail.finish()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, api: BotApi) -> None:
        """Ask for messages without an end; a bug of ours is told, and ends nothing."""
        while True:
            try:
                wait_seconds = await self._turn(api)
            except Exception:  # noqa: BLE001 - nothing is swallowed: the log has it with its traceback
                self._log.error("telegram.broken", exc_info=True)
                wait_seconds = self._rules.longest_wait_seconds
            await asyncio.sleep(max(wait_seconds, self._rules.least_seconds))

    async def _turn(self, api: BotApi) -> float:
        """One question and what follows from its answer; returns the seconds to wait before the next."""
        if not self._bot_name:
            reply = await api.ask("getMe")
            name = reply.result.get("username") if isinstance(reply.result, dict) else None
            if reply.fault is not None or not isinstance(name, str):
                return self._failed(reply.fault or Fault("it did not say who the bot is"))
            self._bot_name = name
            self._log.info("telegram.started", bot=name[:64], chats=len(self._rules.chat_ids))
        now_ms = self._now_ms()
        reply = await api.ask(
            "getUpdates",
            self._rules.poll_seconds + PATIENCE_SECONDS,
            offset=self._inbox.offset(now_ms),
            limit=MOST_UPDATES,
            timeout=int(self._rules.poll_seconds),
            allowed_updates=["message"],
        )
        if reply.fault is not None or not isinstance(reply.result, list):
            return self._failed(reply.fault or Fault("it sent no list of updates"))
        self._works()
        await self._take(reply.result[: 2 * MOST_UPDATES])
        return 0.0

    # --- what was said ------------------------------------------------------------------------------------

    async def _take(self, updates: Sequence[Any]) -> None:
        """Carry out what is new and allowed."""
        before = self._inbox.mark
        messages = self._inbox.take(list(updates), self._now_ms())
        if self._inbox.mark is not None and self._inbox.mark != before:
            await self._keep_mark()
        late: dict[int, list[tuple[str, str]]] = {}
        for message in messages:
            if message.chat_id not in self._rules.chat_ids:
                self._refuse(message)
            elif (wish := asked(message.text, self._bot_name)) is not None:
                why = self._unfit(message)
                if why is None:
                    self._mail.put(message.chat_id, await self._answered(message, wish))
                else:
                    self._log.warning(
                        "telegram.stale", command=wish.word[:40], chat_id=message.chat_id, reason=why
                    )
                    late.setdefault(message.chat_id, []).append((wish.word, why))
        for chat_id, commands in late.items():
            self._mail.put(chat_id, refused_words(commands))

    def _unfit(self, message: Heard) -> str | None:
        """Why a command of an allowed chat is not carried out; None where it is."""
        if message.forwarded:
            return "it was forwarded, and perhaps not meant for this bot"
        return too_old(
            message,
            now_ms=self._now_ms(),
            started_ms=self._started_ms,
            oldest_seconds=self._rules.oldest_seconds,
        )

    async def _answered(self, message: Heard, wish: Asked) -> str:
        """The answer to one message; what fails is answered too, and costs those behind it nothing."""
        try:
            return await self._answer(message, wish)
        except EngineProtocolError:
            self._log.error("telegram.broken", exc_info=True)
        except BotError as error:
            return f"{wish.word}: {error}"
        except Exception:  # noqa: BLE001 - nothing is swallowed: the log has it with its traceback
            self._log.error("telegram.broken", exc_info=True)
        return f"{wish.word}: it failed; the log says why"

    async def _answer(self, message: Heard, wish: Asked) -> str:
        """Carry out one command, or answer one question."""
        if wish.word in COMMANDS:
            name = cast("CommandName", wish.word)
            origin = f"telegram chat {message.chat_id} user {message.user_id}"
            status, body = await self._desk.give(name, wish.reason, origin)
            return outcome_words(name, status == 200, body)
        if wish.word == "status":
            model = await self._recordings.model()
            return status_words(self._operator.status(), proven=model["proven"])
        if wish.word == "trades":
            return trades_words(await self._recordings.trades(SHOWN_ROWS))
        return HELP if wish.word in KNOWN else unknown_words(wish.word)

    async def _keep_mark(self) -> None:
        """Before anything is carried out; a disk that refuses is told: what is old by its date is refused all the same."""
        mark = self._inbox.mark
        try:
            if mark is not None:
                await asyncio.to_thread(keep_mark, self._state_dir, self._bot_id, mark)
        except StorageError as error:
            self._log.warning("telegram.unmarked", error=str(error))

    def _refuse(self, message: Heard) -> None:
        """A chat that is not allowed gets no answer, and the log one line a minute at most."""
        self._refused_count += 1
        now_ns = self._monotonic_ns()
        if self._refused_ns is not None and now_ns - self._refused_ns < REFUSALS_EVERY_SECONDS * 1e9:
            return
        self._log.warning(
            "telegram.refused", chat_id=message.chat_id, user_id=message.user_id, count=self._refused_count
        )
        self._refused_ns, self._refused_count = now_ns, 0

    # --- how it goes --------------------------------------------------------------------------------------

    def _failed(self, fault: Fault) -> float:
        """Tell of a failure when it begins and once an hour; returns the seconds to wait."""
        rules = self._rules
        wait_seconds = min(
            rules.first_wait_seconds * 2.0 ** min(self._failures, 20), rules.longest_wait_seconds
        )
        self._failures += 1
        if fault.status in TOKEN_REFUSED:
            wait_seconds = rules.refused_wait_seconds
        elif fault.status == CONFLICT:
            wait_seconds = rules.longest_wait_seconds
        if fault.retry_seconds is not None:
            wait_seconds = max(wait_seconds, fault.retry_seconds)
        now_ns = self._monotonic_ns()
        if self._told_ns is None or now_ns - self._told_ns >= TELL_EVERY_SECONDS * 1e9:
            self._told_ns = now_ns
            self._tell(fault, wait_seconds)
        return wait_seconds

    def _tell(self, fault: Fault, wait_seconds: float) -> None:
        if fault.status in TOKEN_REFUSED:
            self._log.error("telegram.token_refused", cause=fault.cause, wait_seconds=wait_seconds)
            return
        cause = fault.cause
        if fault.status == CONFLICT:
            cause = f"another program listens to this bot, or it has a webhook ({cause})"
        self._log.warning("telegram.failing", cause=cause, failures=self._failures, wait_seconds=wait_seconds)

    def _works(self) -> None:
        """Messages come again."""
        if self._failures:
            self._log.info("telegram.going_again", failures=self._failures)
        self._failures, self._told_ns = 0, None
