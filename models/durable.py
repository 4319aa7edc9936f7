"""Writing so that a crash leaves the old or the new, and what was reported as written is on the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.errors import ModelError, StorageError


@contextmanager
def disk(target: Path) -> Iterator[None]:
    """What the operating system refuses becomes a StorageError that names the target."""
    try:
        yield
    except OSError as fault:
        raise StorageError(f"{target} could not be written: {fault.strerror or fault}") from fault


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder for one writer; the lock ends with the process, whatever happens to it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove the folders in a folder by this prefix whose writer has ended; what ``folder_lock`` still holds stays."""
    for entry in folder.glob(f"{prefix}*"):
        try:
            handle = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue  # its writer has just finished it, or it is no folder
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(entry, ignore_errors=True)  # what cannot be removed is in nobody's way
        except BlockingIOError:
            continue
        finally:
            os.close(handle)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it."""
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder's entries."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(target: Path, content: bytes) -> None:
    """Give a file its content in one step: a reader sees what was there before, or all of this.

    Raises:
        OSError: The disk refused; what was there is as it was, and nothing else is left behind.
    """
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    os.close(handle)
    try:
        write_durably(Path(name), content)
        Path(name).chmod(0o644)
        Path(name).replace(target)
        sync_folder(target.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_lines(path: Path) -> list[bytes]:
    """The lines that ``append_line`` has finished; none where there is no file, and an unfinished last line is none.

    Raises:
        ModelError: The file is there and cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as fault:
        raise ModelError(f"{path} cannot be read: {fault.strerror}") from fault
    return content.split(b"\n")[:-1]


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file and wait until the disk has it; an unfinished last line is cut off first.

    Raises:
        OSError: The disk refused; the lines that were there are as they were.
    """
    fresh = not path.exists()
    with path.open("ab+", buffering=0) as handle:
        handle.seek(0)
        whole = handle.read().rfind(b"\n") + 1
        handle.truncate(whole)
        try:
            if handle.write(line + b"\n") != len(line) + 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(handle.fileno())
        except OSError:
            handle.truncate(whole)
            raise
    if fresh:
        sync_folder(path.parent)
