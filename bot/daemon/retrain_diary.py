"""What a retrainer in a process of its own writes down, and what the daemon reads of it: a file of JSON lines.

The journal has one writer, the daemon. So the other process keeps its events in ``STATE_DIR/retrain/diary.jsonl``, each on the
disk before anything follows from it, and the daemon takes them over into log, journal and figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bot.errors import ModelError, StorageError
from models.durable import append_line, read_lines

DIARY: Final = Path("retrain") / "diary.jsonl"
KINDS: Final = frozenset({"retrain.started", "retrain.finished", "retrain.failed", "retrain.missed"})
"""Events that the daemon takes over; ``retrain.planned`` is kept beside them for the retrainer itself."""

_MOMENT: Final = {"retrain.missed": "due_ms", "retrain.planned": "since_ms"}


class RetrainDiary:
    """One retrainer's events, oldest first; its writer is one process, its readers are many.

    Args:
        state_dir: The state folder.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / DIARY

    def note(self, kind: str, at_ms: int, fields: Mapping[str, Any]) -> None:
        """Append an event; StorageError when the disk refuses, and what was there is as it was."""
        line = json.dumps({"kind": kind, "at_ms": at_ms, **fields}, allow_nan=False).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            append_line(self.path, line)
        except OSError as fault:
            raise StorageError(f"{self.path} could not be written: {fault.strerror or fault}") from fault

    def rows(self) -> list[dict[str, Any]]:
        """Every event with its ``kind`` and ``at_ms``; an unfinished last line is none.

        Raises:
            StorageError: The file can't be read, or a line of it is no event.
        """
        try:
            lines = read_lines(self.path)
        except ModelError as fault:
            raise StorageError(str(fault)) from fault
        return [_row(line, f"{self.path} line {number}") for number, line in enumerate(lines, 1)]

    def notes(self, kind: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest events of a kind, newest first, as the journal's reader gives them."""
        return [row for row in reversed(self.rows()) if row["kind"] == kind][:limit]


def identity(row: Mapping[str, Any]) -> tuple[str, int]:
    """What makes two rows, of the diary or of the journal, the same event: its kind and the time that it is about."""
    kind = str(row["kind"])
    return kind, int(row[_moment_of(kind)])


def _moment_of(kind: str) -> str:
    """The field with the time that an event is about."""
    return _MOMENT.get(kind, "began_ms")


def _row(line: bytes, where: str) -> dict[str, Any]:
    """One line, checked as far as readers rely on it."""
    try:
        row = json.loads(line)
    except ValueError as fault:
        raise StorageError(f"{where} is no event of a retraining: {fault}") from fault
    if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
        raise StorageError(f"{where} is no event of a retraining: it has no kind")
    for name in ("at_ms", _moment_of(row["kind"])):
        if not isinstance(row.get(name), int):
            raise StorageError(f"{where} is no event of a retraining: {name} is no time")
    return row
