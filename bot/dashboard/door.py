"""The one door to the journal: one thread, one question at a time, a connection that is closed with the answer.

So a daemon that starts, stops, brings its tables up, or whose file is replaced by another is never in the way of the pages,
nor they in its: when it stops, no other connection keeps its write-ahead log from being folded away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from bot.dashboard.contracts import UnavailableError
from bot.errors import NotRunningError, StorageError
from bot.journal.pages import PageReader

T = TypeVar("T")

MOST_WAITING: Final = 64
"""Questions that wait for the thread; more are refused."""


class Stamp(NamedTuple):
    """What changes whenever the journal does: which file it is, and when it and its log were last written."""

    inode: int
    written_ns: int
    log_written_ns: int


class JournalDoor:
    """Asks the journal of a state folder.

    Args:
        path: The database file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._waiting = 0

    def stamp(self) -> Stamp | None:
        """What tells whether the journal has changed; None while there is none. Costs two looks at the disk."""
        try:
            file = self.path.stat()
        except OSError:
            return None
        try:
            written_ns = self._wal.stat().st_mtime_ns
        except OSError:
            written_ns = 0
        return Stamp(file.st_ino, file.st_mtime_ns, written_ns)

    async def ask(self, question: Callable[[PageReader], T]) -> T:
        """Ask a question in the door's thread.

        Raises:
            UnavailableError: There is no journal yet, it can't be read, or too many wait.
        """
        return await self.work(lambda: self._answered(question))

    async def work(self, job: Callable[[], T]) -> T:
        """Do something in the door's thread, in its turn; raises UnavailableError where too many wait."""
        if self._waiting >= MOST_WAITING:
            raise UnavailableError("too many questions wait for the journal: ask again in a second")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, job)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the thread after the question that it is at."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _answered(self, question: Callable[[PageReader], T]) -> T:
        try:
            reader = PageReader(self.path)
        except (NotRunningError, StorageError) as fault:
            raise UnavailableError(str(fault)) from fault
        try:
            if not reader.is_readable():
                raise UnavailableError(
                    f"the journal {self.path} was made by an older version: start the bot once, it brings it up"
                )
            return question(reader)
        except StorageError as fault:
            raise UnavailableError(str(fault)) from fault
        finally:
            reader.close()
