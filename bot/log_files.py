"""The file of the log: lines are appended, and a full file is renamed."""

from __future__ import annotations

from pathlib import Path


class RotatingFile:
    """A file of lines that is renamed to ``name.1`` when it is full, ``name.1`` to ``name.2``, and so on.

    Args:
        path: The file; its folder is made.
        max_bytes: A line that would make it larger goes to a new one.
        backups: Renamed files that are kept.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, line: bytes) -> None:
        """Append a line, in a new file where this one is full."""
        if self._size and self._size + len(line) > self._max_bytes:
            self._rotate()
        self._file.write(line)
        self._size += len(line)

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self._backups - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self.path.replace(self._numbered(1))
        self._file = self.path.open("ab", buffering=0)
        self._size = 0

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()
