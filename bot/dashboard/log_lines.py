"""The daemon's log for a page: the newest lines first, over rotated files, and what is appended as it comes.

A cursor names a place that stays the same when files are rotated: the file's inode and the offset of the line's first byte.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import orjson

from bot.dashboard.contracts import NotFoundError
from bot.errors import StorageError
from bot.log_taps import LEVELS

BLOCK: Final = 65_536
MOST_BYTES: Final = 8_388_608
"""Bytes that one question looks through; the answer says where to go on."""

LONGEST_LINE: Final = 65_536
"""A longer line is cut: a page must not carry a megabyte for one traceback."""

CURSOR: Final = re.compile(r"(\d{1,20})-(\d{1,18})")


class LineFilter(NamedTuple):
    """Which lines are asked for.

    Attributes:
        level: The least; None takes any.
        event: How the event's name begins; None takes any.
        symbol: Only of this one; None of any.
    """

    level: str | None = None
    event: str | None = None
    symbol: str | None = None

    def takes(self, row: dict[str, Any]) -> bool:
        """Whether a line is asked for."""
        return (
            (self.level is None or LEVELS.get(str(row.get("level")), 0) >= LEVELS[self.level])
            and (self.event is None or str(row.get("event", "")).startswith(self.event))
            and (self.symbol is None or row.get("symbol") == self.symbol)
        )


def read_back(path: Path, wanted: LineFilter, before: str | None, limit: int) -> dict[str, Any]:
    """Lines of the log, newest first.

    Args:
        path: The newest file; older ones lie beside it as ``name.1``, ``name.2`` and so on.
        wanted: Which lines.
        before: The cursor of a line that was given; those before it follow. None begins at the end.
        limit: How many at most.

    Returns:
        ``lines``, and ``next_before``, None where nothing is left.

    Raises:
        NotFoundError: The cursor's file is gone, or it is no cursor.
        StorageError: A file can't be read.
    """
    found: list[dict[str, Any]] = []
    looked = 0
    last: str | None = None
    for file, end in _places(path, before):
        with file:
            inode = os.fstat(file.fileno()).st_ino
            for offset, line in backwards(file, end):
                looked += len(line) + 1
                last = f"{inode}-{offset}"
                row = parsed(line) | {"cursor": last}
                if wanted.takes(row):
                    found.append(row)
                if len(found) >= limit or looked >= MOST_BYTES:
                    return {"lines": found, "next_before": last}
    return {"lines": found, "next_before": None}


def backwards(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines that end at or before a place, last first, each with the offset of its first byte."""
    rest, at, ended = b"", end, False
    while at > 0:
        size = min(BLOCK, at)
        at -= size
        file.seek(at)
        block = file.read(size) + rest
        if not ended:
            # What follows the last line feed is no whole line yet.
            ended, block = b"\n" in block, block[: max(0, block.rfind(b"\n"))]
        rest, *lines = block.split(b"\n")
        offset = at + len(block) + 1
        for line in reversed(lines):
            offset -= len(line) + 1
            if line:
                yield offset, line
    if rest:
        yield 0, rest


def parsed(line: bytes) -> dict[str, Any]:
    """A line's fields; one that is no JSON object (a library wrote it) is its own event's name."""
    try:
        row = orjson.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        row = {"event": line[:LONGEST_LINE].decode(errors="replace").strip()}
    if len(line) > LONGEST_LINE:
        row = {
            key: value[:4_000] if isinstance(value, str) else value
            for key, value in row.items()
            if key in {"ts", "level", "event", "symbol", "run_id", "exception", "error"}
        }
    return row


def _places(path: Path, before: str | None) -> Iterator[tuple[BinaryIO, int]]:
    """Files from the newest, or from the cursor's, to the oldest, each with the place to begin at."""
    files = [file for file in rotated(path) if file.exists()]
    if before is None:
        for file in files:
            opened = _open(file)
            yield opened, os.fstat(opened.fileno()).st_size
        return
    match = CURSOR.fullmatch(before)
    if match is None:
        raise NotFoundError("before: this is no cursor of a line")
    inode, offset = int(match[1]), int(match[2])
    at = False
    for file in files:
        opened = _open(file)
        status = os.fstat(opened.fileno())
        if at:
            yield opened, status.st_size
        elif status.st_ino == inode and offset <= status.st_size:
            at = True
            yield opened, offset
        else:
            opened.close()
    if not at:
        raise NotFoundError("before: the file of that line is gone by now")


def rotated(path: Path) -> list[Path]:
    """The log's files, newest first; those that are not there included up to the last that is."""
    numbers = [
        int(file.name.rpartition(".")[2])
        for file in path.parent.glob(f"{path.name}.*")
        if file.name.rpartition(".")[2].isdigit()
    ]
    return [path, *(path.with_name(f"{path.name}.{number}") for number in sorted(numbers))]


def _open(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as fault:
        raise StorageError(f"the log {file} can't be read: {fault.strerror}") from fault


class LogFollower:
    """Reads what is appended to the log, over rotations.

    Args:
        path: The newest file; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode: int | None = None
        self._offset = 0

    def skip(self) -> None:
        """Go to the end: what is there by now has been seen."""
        try:
            status = self._path.stat()
        except OSError:
            self._inode, self._offset = None, 0
            return
        self._inode, self._offset = status.st_ino, status.st_size

    def read(self, most: int) -> tuple[list[dict[str, Any]], int]:
        """The newest ``most`` of the lines that were appended since, oldest first, and how many were left out.

        Raises:
            StorageError: A file can't be read.
        """
        lines: list[tuple[str, bytes]] = []
        for file in self._unread():
            lines += self._from(file)
        left = max(0, len(lines) - most)
        return [parsed(line) | {"cursor": cursor} for cursor, line in lines[left:]], left

    def _unread(self) -> list[Path]:
        """The file that was read last and those that came after it, oldest first."""
        files = rotated(self._path)
        for place, file in enumerate(files):
            if _inode(file) == self._inode is not None:
                return files[place::-1]
        return files[:1]

    def _from(self, file: Path) -> Iterator[tuple[str, bytes]]:
        """Whole new lines of one file."""
        try:
            status = file.stat()
        except OSError:
            return  # not there yet, or renamed just now: the next look finds it
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._inode, self._offset = status.st_ino, 0
        if status.st_size == self._offset:
            return
        with _open(file) as opened:
            begin = max(self._offset, status.st_size - MOST_BYTES)
            opened.seek(begin)
            content = opened.read(status.st_size - begin)
        offset = begin
        for line in content[: content.rfind(b"\n") + 1].split(b"\n")[:-1]:
            if line:
                yield f"{self._inode}-{offset}", line
            offset += len(line) + 1
        self._offset = offset


def _inode(file: Path) -> int | None:
    try:
        return file.stat().st_ino
    except OSError:
        return None
