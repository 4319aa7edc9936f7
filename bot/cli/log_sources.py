"""Where lines of the log come from: files in the order in which they were written, and systemd's journal.

Lines are yielded as they lie there, oldest first; whoever reads decides what they mean.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from bot.errors import ConfigError, NotRunningError, StorageError

LOOK_SECONDS: Final = 0.25
"""How often a follower looks for new lines."""

_PRIORITIES: Final = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")
"""Levels by syslog's priority, 0 to 7, which systemd's journal has."""


def log_files(path: Path) -> list[Path]:
    """The files of a log that are there, newest first: the file itself, then ``name.1``, ``name.2`` and so on."""
    numbers = [
        int(suffix)
        for file in path.parent.glob(f"{path.name}.*")
        if (suffix := file.name.removeprefix(f"{path.name}.")).isascii() and suffix.isdigit()
    ]
    files = [path, *(path.with_name(f"{path.name}.{number}") for number in sorted(numbers))]
    return [file for file in files if file.is_file()]


class LogFiles:
    """The files of a log, held open: a rotation in between loses no line and shows none twice.

    Args:
        path: The newest file.

    Raises:
        NotRunningError: There is no log.
        StorageError: A file can't be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: list[BinaryIO] = []
        seen: set[int] = set()
        # The newest first: one that is rotated in between comes twice, and is known by its inode.
        for file in log_files(path):
            opened = _opened(file)
            if opened is None:
                continue
            inode = os.fstat(opened.fileno()).st_ino
            if inode in seen:
                opened.close()
                continue
            seen.add(inode)
            self._files.append(opened)
        if not self._files:
            raise NotRunningError(
                f"there is no log at {path}: start the bot with `bot run` or `make run` first"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._files)

    def lines(self, number: int) -> Iterator[bytes]:
        """Whole lines of a file, 0 being the newest; half a line at its end is left for a follower."""
        file = self._files[number]
        file.seek(0)
        while (line := file.readline()).endswith(b"\n"):
            yield line
        file.seek(-len(line), os.SEEK_CUR)
        if line and number > 0:
            yield line  # nobody will write on in a file that was rotated

    def follow(self, wait: Callable[[], object] = lambda: time.sleep(LOOK_SECONDS)) -> Iterator[bytes]:
        """New lines from where ``lines(0)`` ended, as they come, over rotations; without an end.

        Args:
            wait: Called when there is nothing new.
        """
        while True:
            file = self._files[0]
            line = file.readline()
            if line.endswith(b"\n"):
                yield line
                continue
            file.seek(-len(line), os.SEEK_CUR)  # half a line: wait for the rest
            if not self._moved_on():
                wait()

    def _moved_on(self) -> bool:
        """Go on to the next file where this one was rotated, or to the beginning of one that was emptied."""
        file = self._files[0]
        status = os.fstat(file.fileno())
        if status.st_size < file.tell():
            file.seek(0)
            return True
        newer: list[Path] = []
        for candidate in log_files(self.path):
            if _inode(candidate) == status.st_ino:
                break
            newer.append(candidate)
        if not newer:
            return False
        # What was written right before the rotation is read first.
        if os.fstat(file.fileno()).st_size > file.tell():
            rest = file.read()
            if rest.endswith(b"\n"):
                file.seek(-len(rest), os.SEEK_CUR)
                return True
        opened = _opened(newer[-1])
        if opened is None:
            return False
        file.close()
        self._files[0] = opened
        return True


def _opened(file: Path) -> BinaryIO | None:
    """The file, or None where it was renamed just now."""
    try:
        return file.open("rb")
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise StorageError(f"the log {file} can't be read: {fault.strerror}") from fault


def _inode(file: Path) -> int | None:
    try:
        return file.stat().st_ino
    except OSError:
        return None


# --- systemd's journal ------------------------------------------------------------------------------------


def journald_row(line: bytes) -> dict[str, Any] | None:
    """A line of ``journalctl -o json`` as a line of our log; None for one that is none.

    The daemon writes JSON to its standard output, which systemd keeps as the entry's ``MESSAGE``. What is no such line (of
    systemd itself, of a library) gets the entry's time, its priority as the level, and its text as the event. A message
    that is no UTF-8 comes as a list of bytes, and one that was too large as null: see systemd.journal-fields(7) and
    "Journal JSON Format" of systemd's documents.
    """
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict):
        return None
    text = _message(entry.get("MESSAGE"))
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    if isinstance(row, dict) and "event" in row:
        return row
    found: dict[str, Any] = {"level": _level(entry.get("PRIORITY")), "event": text}
    if (at := _entry_time(entry)) is not None:
        found = {"ts": at, **found}
    return found


def _message(value: Any) -> str:
    """The text of an entry; of a field that comes several times, the first."""
    if isinstance(value, list) and value and all(isinstance(one, int) and 0 <= one < 256 for one in value):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, list) and value:
        return _message(value[0])
    return value if isinstance(value, str) else "(a message that systemd's journal did not give)"


def _level(priority: Any) -> str:
    text = str(priority)
    return (
        _PRIORITIES[int(text)]
        if text.isascii() and text.isdigit() and int(text) < len(_PRIORITIES)
        else "info"
    )


def _entry_time(entry: dict[str, Any]) -> str | None:
    """When the journal got it, as our lines spell a time."""
    try:
        micros = int(entry["__REALTIME_TIMESTAMP"])
        moment = datetime.fromtimestamp(micros / 1e6, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


class Journald:
    """The log of a unit in systemd's journal.

    Args:
        unit: Its name.
        program: ``journalctl``.

    Raises:
        ConfigError: There is no such program on this machine.
    """

    def __init__(self, unit: str, program: str = "journalctl") -> None:
        found = shutil.which(program)
        if found is None:
            raise ConfigError(
                f"{program} is not on this machine: without systemd's journal the log is read from its file "
                "(leave --journald out)"
            )
        self._words = [found, "--output=json", f"--unit={unit}", "--no-pager", "--quiet"]
        self._cursor: str | None = None

    def rows(self, since_ms: int | None, until_ms: int | None) -> Iterator[dict[str, Any]]:
        """What is there, oldest first."""
        words = []
        if since_ms is not None:
            words.append(f"--since=@{since_ms / 1000:.3f}")
        if until_ms is not None:
            words.append(f"--until=@{until_ms / 1000:.3f}")
        yield from self._read(words)

    def follow(self) -> Iterator[dict[str, Any]]:
        """What comes after what ``rows`` gave, without an end."""
        behind = ["--lines=0"] if self._cursor is None else [f"--after-cursor={self._cursor}"]
        yield from self._read(["--follow", *behind])

    def _read(self, words: Sequence[str]) -> Iterator[dict[str, Any]]:
        with _running([*self._words, *words]) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            for line in process.stdout:
                if (row := journald_row(line)) is not None:
                    self._cursor = _cursor(line) or self._cursor
                    yield row
            process.wait()
            if process.returncode:
                raise StorageError(f"journalctl failed with exit code {process.returncode}: {_said(process)}")


def _cursor(line: bytes) -> str | None:
    value = json.loads(line).get("__CURSOR")
    return value if isinstance(value, str) else None


def _said(process: subprocess.Popen[bytes]) -> str:
    text = b"" if process.stderr is None else process.stderr.read(2_000)
    return " ".join(text.decode("utf-8", "replace").split()) or "it did not say why"


@contextmanager
def _running(words: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The program; it is ended when nobody reads on."""
    process = subprocess.Popen(list(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()
