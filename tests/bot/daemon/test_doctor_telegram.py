"""The check-up of Telegram: what it asks over a real socket, and what it says of the answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import orjson
import pytest

from bot.daemon.doctor import Level
from bot.daemon.doctor_telegram import ask_telegram, judge_telegram
from bot.daemon.telegram import TelegramRules
from bot.redaction import forget_secrets
from tests.telegram_stand_in import CHAT, STRANGER, TOKEN, Canned, refusal, telegram


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Leave no secret behind."""
    yield
    forget_secrets()


def rules_of(url: str) -> TelegramRules:
    """Two chats."""
    return TelegramRules(TOKEN, frozenset({CHAT, STRANGER}), url)


async def test_a_bot_that_answers_is_fine_and_nothing_is_fetched_or_sent() -> None:
    """Its name is said; no message is taken from a daemon that listens, and no chat is written to."""
    async with telegram() as server:
        finding = judge_telegram(await ask_telegram(rules_of(server.url)), 2)
        assert (finding.level, finding.says) == (Level.OK, "@desk_bot answers, and takes commands of 2 chats")
        assert {method for method, _ in server.asked} == {"getMe", "getWebhookInfo", "getChat"}


@pytest.mark.parametrize(
    ("method", "canned", "level", "words"),
    [
        ("getMe", refusal(401, "Unauthorized"), Level.FAILED, "the token is refused"),
        ("getMe", refusal(500, "oops"), Level.WARNING, "500: oops"),
        ("getMe", Canned(200, b"nothing"), Level.WARNING, "none of the Bot API"),
        (
            "getWebhookInfo",
            Canned(200, orjson.dumps({"ok": True, "result": {"url": "https://other.example"}})),
            Level.FAILED,
            "go to a webhook",
        ),
        (
            "getChat",
            refusal(400, "chat not found"),
            Level.WARNING,
            f"can't reach {CHAT}: 400: chat not found",
        ),
    ],
)
async def test_what_is_wrong_is_said_with_what_to_do(
    method: str, canned: Canned, level: Level, words: str
) -> None:
    """A refused token and a webhook fail; what may pass, and a chat that never wrote, is a warning."""
    async with telegram() as server:
        server.answer_next(method, canned)
        finding = judge_telegram(await ask_telegram(rules_of(server.url)), 2)
    assert finding.level is level
    assert words in finding.says
    assert finding.todo
    assert TOKEN.partition(":")[2] not in str(dataclasses.asdict(finding))
