"""Does the bot of Telegram answer, and can it reach the chats whose commands it takes? Asked, and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.daemon.doctor import Finding, broken, doubtful, fine
from bot.daemon.telegram import TelegramRules
from bot.daemon.telegram_api import TOKEN_REFUSED, Fault, open_bot_api

NAME: Final = "telegram"
MOST_CHATS: Final = 10
"""That are asked about; more would take long, and Telegram might ask for silence."""
ASK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class TelegramFacts:
    """What the Bot API said.

    Attributes:
        fault: Why it did not say who the bot is; None where it did.
        bot: Its name.
        webhook: Whether its messages are sent elsewhere.
        unreachable: Why a chat can't be reached, by its id.
    """

    fault: Fault | None = None
    bot: str = ""
    webhook: bool = False
    unreachable: Mapping[int, str] = field(default_factory=dict)


async def ask_telegram(rules: TelegramRules) -> TelegramFacts:
    """Ask who the bot is, whether another listens, and for each chat; no message is fetched and none is sent."""
    async with open_bot_api(rules.api_url, rules.token) as api:
        me = await api.ask("getMe", ASK_SECONDS)
        if me.fault is not None or not isinstance(me.result, dict):
            return TelegramFacts(me.fault or Fault("it did not say who the bot is"))
        hook = await api.ask("getWebhookInfo", ASK_SECONDS)
        webhook = isinstance(hook.result, dict) and bool(hook.result.get("url"))
        unreachable = {}
        for chat_id in sorted(rules.chat_ids)[:MOST_CHATS]:
            chat = await api.ask("getChat", ASK_SECONDS, chat_id=chat_id)
            if chat.fault is not None:
                unreachable[chat_id] = chat.fault.cause
    return TelegramFacts(None, str(me.result.get("username"))[:64], webhook, unreachable)


def judge_telegram(facts: TelegramFacts, chat_count: int) -> Finding:
    """Whether people can command by Telegram; a bot that can't be reached never stops trading."""
    if facts.fault is not None:
        if facts.fault.status in TOKEN_REFUSED:
            todo = "ask BotFather for the token, and put it into the file of BOT__TELEGRAM__TOKEN_FILE"
            return broken(NAME, f"the token is refused ({facts.fault.cause})", todo)
        return doubtful(NAME, facts.fault.cause, "look at telegram.api_url and the network; it is tried on")
    if facts.webhook:
        todo = "delete its webhook (deleteWebhook), or use another bot"
        return broken(NAME, f"the messages of @{facts.bot} go to a webhook", todo)
    if facts.unreachable:
        named = "; ".join(f"{chat}: {why}" for chat, why in facts.unreachable.items())
        todo = "write to the bot from that chat first, and look at telegram.chat_ids"
        return doubtful(NAME, f"@{facts.bot} answers, and can't reach {named}", todo)
    return fine(NAME, f"@{facts.bot} answers, and takes commands of {chat_count} chats")
