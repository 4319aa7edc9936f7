"""What the control API and Telegram read of the past: trades, decisions, the model's history and the end of the log.

Everything is read from the files that commands read too, in a thread of its own, one question at a time and with a
bound on each: the thread that trades only waits for the answer, as for any other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson

from bot.errors import StorageError
from bot.journal.reader import JournalReader
from bot.log_taps import LEVELS

T = TypeVar("T")

MOST_ROWS: Final = 500
TAIL_BYTES: Final = 1 << 20
"""Of the log file: some three thousand lines."""

_COMMAND: Final = "control.commanded"
_STARTS: Final = ("service.ready", "model.swapped")


class Recordings:
    """The journal and the log of a running daemon, to be read.

    Args:
        journal_path: The journal's database.
        log_path: The file of JSON lines; None where none is written.
    """

    def __init__(self, journal_path: Path, log_path: Path | None) -> None:
        self._journal_path = journal_path
        self._log_path = log_path
        self._turn = asyncio.Lock()

    async def trades(self, limit: int) -> list[dict[str, Any]]:
        """The newest round trips, newest first."""
        return await self._ask(lambda reader: [trade._asdict() for trade in reader.trades(limit)])

    async def decisions(self, limit: int, symbol: str | None) -> list[dict[str, Any]]:
        """The newest decisions, newest first."""
        return await self._ask(lambda reader: newest_decisions(reader, limit, symbol))

    async def model(self) -> dict[str, Any]:
        """Who predicts, since when and why, and what the watch says of it."""
        return await self._ask(model_now)

    async def commands(self, limit: int) -> list[dict[str, Any]]:
        """The newest commands of people, newest first: what, why, whence and when."""
        return await self._ask(lambda reader: reader.notes(_COMMAND, limit))

    async def log_lines(self, limit: int, level: str, event: str) -> list[dict[str, Any]]:
        """The newest lines of the log, newest first, of this level and above, whose event begins so."""
        if self._log_path is None:
            return []
        path, least = self._log_path, LEVELS[level]
        async with self._turn:
            return await asyncio.to_thread(_newest_lines, path, limit, least, event)

    async def _ask(self, question: Callable[[JournalReader], T]) -> T:
        async with self._turn:
            return await asyncio.to_thread(self._answer, question)

    def _answer(self, question: Callable[[JournalReader], T]) -> T:
        """In a thread: a connection of SQLite belongs to the thread that opened it."""
        reader = JournalReader(self._journal_path)
        try:
            return question(reader)
        finally:
            reader.close()


def newest_decisions(reader: JournalReader, limit: int, symbol: str | None) -> list[dict[str, Any]]:
    """The newest decisions of a journal, newest first; those of one symbol where one is named."""
    found = [
        decision
        for batch in reader.newest_batches(limit)
        for decision in reversed(batch.decisions)
        if symbol is None or decision.get("symbol") == symbol
    ]
    return found[:limit]


def model_now(reader: JournalReader) -> dict[str, Any]:
    """Who predicts by the newest start or swap, and what is known of it; ids are None before the first start."""
    now = reader.newest_note(_STARTS) or {}
    model_id = now.get("model_id")
    return {
        "model_id": model_id,
        "proven": now.get("proven"),
        "since": {"event": now.get("kind"), "at_ms": now.get("at_ms"), "why": now.get("why")},
        "rolled_back": reader.newest_note(("model.rolled_back",)),
        "last_retrain": reader.newest_note(("retrain.finished", "retrain.failed")),
        "watch": None if model_id is None else reader.watch_report(model_id),
    }


def _newest_lines(path: Path, limit: int, least: int, event: str) -> list[dict[str, Any]]:
    """In a thread: the newest lines that are wanted, of the end of the file."""
    found: list[dict[str, Any]] = []
    for line in reversed(_tail(path)):
        row = _row(line)
        told = row is not None and LEVELS.get(str(row.get("level")), 0) >= least
        if row is not None and told and str(row.get("event", "")).startswith(event):
            found.append(row)
            if len(found) == limit:
                break
    return found


def _tail(path: Path) -> list[bytes]:
    """The whole lines at the end of a file."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            start = max(0, length - TAIL_BYTES)
            file.seek(start)
            lines = file.read(TAIL_BYTES).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"the log {path} can't be read: {error.strerror or error}") from error
    return lines[1 if start else 0 :]


def _row(line: bytes) -> dict[str, Any] | None:
    """A line of the log; None for one that is being written, or is none."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None
