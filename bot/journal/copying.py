"""A whole copy of a journal that its daemon goes on writing to: SQLite's online backup, a few pages at a time.

A reader never makes a writer of a write-ahead log wait. The copy holds one read transaction from its first page to its
last, so that it is of one moment, and begins anew for no commit; meanwhile the log can't start over, and grows by what is
committed. Between pages it rests, and brings what it wrote to the disk in small parts: a commit of the daemon that needs
the same disk finds no queue before it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from bot.errors import StorageError
from bot.journal.schema import connect, known_version

STEP_PAGES: Final = 128
"""Copied at once: half a megabyte."""

PAUSE_SECONDS: Final = 0.005
SYNC_STEPS: Final = 8


class CopiedJournal(NamedTuple):
    """What a copy holds.

    Attributes:
        schema: Version of its tables.
        newest_ms: Close of its newest minute, ms UTC; None before the first.
        run_id: Of its daemon.
    """

    schema: int
    newest_ms: int | None
    run_id: str | None


def copy_journal(
    source: Path,
    target: Path,
    *,
    pause: Callable[[float], None],
    progress: Callable[[int, int], None] | None = None,
    step_pages: int = STEP_PAGES,
) -> CopiedJournal:
    """Copy a journal as it is now into a new file, one that needs no log beside it; the disk has it when this returns.

    Args:
        source: Of a daemon that may be running.
        target: Must not exist.
        pause: Lets so many seconds pass; called after each step.
        progress: Told after each step how many pages are done, and how many there are.
        step_pages: Pages of a step.

    Raises:
        StorageError: The disk refuses, or the source is no whole journal, or a newer one.
    """
    reading = connect(str(source), read_only=True)
    try:
        # Its read lock lasts until the end: else each commit would begin the copy anew.
        reading.execute("BEGIN")
        known_version(reading, str(source))
        writing = sqlite3.connect(target, isolation_level=None)
        try:
            _copy(reading, writing, target, pause, progress, step_pages)
        finally:
            writing.close()
        return check_journal(target)
    except sqlite3.Error as error:
        raise StorageError(f"the journal {source} can't be copied to {target}: {error}") from error
    finally:
        reading.close()


def check_journal(path: Path) -> CopiedJournal:
    """Look through a whole journal that nobody writes to, and say what it is.

    Raises:
        StorageError: It is damaged, no journal, or of a newer version.
    """
    # Immutable: a file without a log needs no files beside it, and gets none.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StorageError(f"the journal {path} is damaged: {found}")
        version = known_version(connection, str(path))
        if not version:
            raise StorageError(f"the journal {path} holds nothing: it is no journal of a bot")
        run_id = connection.execute("SELECT value FROM meta WHERE key = 'run_id'").fetchone()
        newest = connection.execute("SELECT at_ms FROM snapshot WHERE id = 1").fetchone()
    except sqlite3.Error as error:
        raise StorageError(f"the journal {path} can't be read: {error}") from error
    finally:
        connection.close()
    return CopiedJournal(version, newest and newest[0], run_id and run_id[0])


def _copy(
    reading: sqlite3.Connection,
    writing: sqlite3.Connection,
    target: Path,
    pause: Callable[[float], None],
    progress: Callable[[int, int], None] | None,
    step_pages: int,
) -> None:
    # Nobody reads it before it is whole, so that it needs no log of its own.
    writing.execute("PRAGMA journal_mode=OFF")
    writing.execute("PRAGMA synchronous=OFF")
    descriptor = os.open(target, os.O_RDONLY)
    steps = 0

    def stepped(_status: int, remaining: int, total: int) -> None:
        nonlocal steps
        steps += 1
        if steps % SYNC_STEPS == 0:
            os.fdatasync(descriptor)
        if progress is not None:
            progress(total - remaining, total)
        if remaining:
            pause(PAUSE_SECONDS)

    try:
        reading.backup(writing, pages=step_pages, progress=stepped, sleep=PAUSE_SECONDS)
        writing.execute("PRAGMA journal_mode=DELETE")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
