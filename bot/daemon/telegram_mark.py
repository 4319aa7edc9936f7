"""How far Telegram's messages were taken in, on disk: a restart must not carry out a command again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from bot.daemon.telegram_updates import LARGEST_ID, Mark
from bot.web.files import replace_file

MARK_FILE: Final = "telegram.json"
_LONGEST: Final = 4096


def keep_mark(state_dir: Path, bot_id: int, mark: Mark) -> None:
    """Keep it, whole or not at all; raises StorageError where the folder can't be written."""
    text = json.dumps({"bot": bot_id, **mark._asdict()})
    replace_file(state_dir / MARK_FILE, f"{text}\n", 0o600)


def kept_mark(state_dir: Path, bot_id: int) -> Mark | None:
    """What was kept for a bot; None where nothing was, or it can't be read: what is old is then refused by its date alone."""
    try:
        with (state_dir / MARK_FILE).open(encoding="utf-8") as file:
            found = json.loads(file.read(_LONGEST))
        bot, next_id, at_ms = found["bot"], found["next_id"], found["at_ms"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    sound = all(type(value) is int and 0 < value < LARGEST_ID for value in (bot, next_id, at_ms))
    return Mark(next_id, at_ms) if sound and bot == bot_id else None
