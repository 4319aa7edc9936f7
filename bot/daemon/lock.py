"""One daemon, and one retrainer, a state folder: a lock that the kernel lets go of when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.errors import ConfigError, StorageError

LOCK_NAME = "daemon.lock"
RETRAINER_LOCK = "retrainer.lock"
RESTORING = ".restoring"
"""In a state folder while ``bot restore`` puts a backup in place."""

GLANCES = 3
GLANCE_SECONDS = 0.02


@contextmanager
def state_lock(
    state_dir: Path, name: str = LOCK_NAME, who: str = "a daemon", *, unfinished: bool = False
) -> Iterator[None]:
    """Hold the state folder while the block runs.

    Args:
        state_dir: The folder; made if missing.
        name: The file that is locked.
        who: What holds it, for errors.
        unfinished: Whether a restore may have ended half way in the folder.

    Raises:
        ConfigError: Another one holds it, or a restore into it did not end.
        StorageError: The folder can't be written.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not through a link: what it leads to would be cut to nothing.
        descriptor = os.open(state_dir / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StorageError(f"the state folder {state_dir} can't be written: {error.strerror}") from error
    try:
        try:
            _take(descriptor)
        except BlockingIOError as error:
            raise ConfigError(
                f"{who} (process {holder(state_dir, name)}) is already running on {state_dir}: stop it, or set another state_dir"
            ) from error
        if not unfinished and (state_dir / RESTORING).exists():
            raise ConfigError(
                f"a restore into {state_dir} did not end: run the same `bot restore` again, which finishes it"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    """Lock a file; who only asks whether it is held (``holder``) holds it for some microseconds, and is waited for."""
    for _ in range(GLANCES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(GLANCE_SECONDS)
        else:
            return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder(state_dir: Path, name: str = LOCK_NAME) -> int | None:
    """The process id of the daemon that holds a state folder, None when nobody does."""
    path = state_dir / name
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).decode(errors="replace")
        return int(text) if text.isdigit() else None
    finally:
        os.close(descriptor)
    return None
