"""What of a state folder is in a backup, and what never is.

A list of what is known, not of what is left out: a file that nobody has thought of may hold a secret.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bot.errors import StorageError

JOURNAL: Final = "journal.sqlite"

ALWAYS: Final = ("models", "replays", "live-consent.json", "sim/clock.json")
"""Files and folders that are in every backup; consent holds a salted hash of a key, and no key."""

SECRETS: Final = ("control.token", "dashboard.token")
"""What opens a daemon's door; made anew by the next start where it is missing."""

CANDLES: Final = "candles"
LOGS: Final = "logs"
MOST_FILES: Final = 200_000
_UNFINISHED: Final = (".writing-", ".partial", ".bot-backup-")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is wanted in a backup beside what always is.

    Attributes:
        secrets: Tokens.
        candles: Downloaded candles.
        logs: Log files.
    """

    secrets: bool = False
    candles: bool = False
    logs: bool = False

    def wanted(self) -> tuple[str, ...]:
        """Files and folders, as they are called in a state folder."""
        further = ((SECRETS, self.secrets), ((CANDLES,), self.candles), ((LOGS,), self.logs))
        return ALWAYS + tuple(name for names, chosen in further if chosen for name in names)


@dataclass(frozen=True, slots=True)
class Found:
    """A file to back up.

    Attributes:
        name: In the backup and after a restore, relative to the state folder, with slashes.
        path: Where it lies now.
        size_bytes: Now.
    """

    name: str
    path: Path
    size_bytes: int


def files_of(state_dir: Path, models_dir: Path, choice: Choice) -> list[Found]:
    """Every file but the journal, in order of name; links are followed by nobody and are left out.

    Args:
        state_dir: The state folder.
        models_dir: The folder of models, which may lie elsewhere; a restore puts it into the state folder.
        choice: What is wanted.

    Raises:
        StorageError: A folder can't be read, or there are more files than a state folder has.
    """
    found: list[Found] = []
    for name in choice.wanted():
        root = models_dir if name == "models" else state_dir / name
        found += (Found(name + below, path, size) for below, path, size in _walk(root))
        if len(found) > MOST_FILES:
            raise StorageError(f"{state_dir} holds more than {MOST_FILES:,} files: this is no state folder")
    return sorted(found, key=lambda one: one.name)


def left_out(state_dir: Path, choice: Choice) -> list[str]:
    """Names in a state folder that are in no backup of this choice, in order."""
    wanted = {name.partition("/")[0] for name in choice.wanted()} | {JOURNAL}
    try:
        names = sorted(entry.name for entry in state_dir.iterdir())
    except OSError as error:
        raise StorageError(f"the state folder {state_dir} can't be read: {error.strerror}") from error
    return [name for name in names if name not in wanted and not name.startswith(f"{JOURNAL}-")]


def _walk(root: Path) -> Iterator[tuple[str, Path, int]]:
    """The files at and below a path, each with what to add to the root's name; nothing where there is none."""
    try:
        status = root.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{root} can't be read: {error.strerror}") from error
    if stat.S_ISREG(status.st_mode):
        yield "", root, status.st_size
    elif stat.S_ISDIR(status.st_mode):
        try:
            names = sorted(entry.name for entry in root.iterdir())
        except OSError as error:
            raise StorageError(f"{root} can't be read: {error.strerror}") from error
        for name in names:
            if not any(mark in name for mark in _UNFINISHED):
                yield from ((f"/{name}{below}", path, size) for below, path, size in _walk(root / name))
