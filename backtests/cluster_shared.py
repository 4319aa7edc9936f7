"""An object whose arrays exist once on a machine: written to a file, and mapped into each process that uses it.

The object is pickled by protocol 5, which takes the buffers of its arrays out of the pickle (PEP 574); they lie in one
file, each on its own boundary, and a reader's arrays are views of that file: no copy, and read-only.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import pickle
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.errors import ConfigError
from models.durable import disk, remove_abandoned

_PREFIX = "bot-shared-"
_BOUNDARY = 64
"""Bytes: where an array begins, so that vector instructions load whole lines."""


@dataclass(frozen=True, slots=True)
class SharedFile:
    """Where an object lies; picklable.

    Attributes:
        path: The file.
        pickled: From where to where the pickle reaches.
        buffers: The same of each buffer.
    """

    path: Path
    pickled: tuple[int, int]
    buffers: tuple[tuple[int, int], ...]

    def load(self) -> Any:
        """The object, its arrays views of the file.

        Raises:
            OSError: The file is gone.
        """
        with self.path.open("rb") as handle:
            mapped = memoryview(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
        first, last = self.pickled
        # Only what our own process has written is read.
        return pickle.loads(mapped[first:last], buffers=[mapped[a:b] for a, b in self.buffers])  # noqa: S301


class SharedFolder:
    """A folder of the system's temporary files with one shared object; it goes when its owner does.

    Args:
        shared: The object.

    Raises:
        ConfigError: It cannot be pickled.
        StorageError: The disk refused.
    """

    def __init__(self, shared: object) -> None:
        root = Path(tempfile.gettempdir())
        remove_abandoned(root, _PREFIX)  # left by one that was killed
        with disk(root):
            self._folder, self._lock = _held_folder()
        try:
            self.file = _write(self._folder / "shared", shared)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove it; who has mapped the file keeps what it reads."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _held_folder() -> tuple[Path, int]:
    """A new folder, held until the handle is closed or this process ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists():
            return folder, handle
        os.close(handle)  # another start took it for abandoned before it was held


def _write(path: Path, shared: object) -> SharedFile:
    buffers: list[pickle.PickleBuffer] = []
    try:
        pickled = pickle.dumps(shared, protocol=5, buffer_callback=buffers.append)
    except (pickle.PicklingError, AttributeError, TypeError) as fault:
        raise ConfigError(f"what the jobs share can't be handed to other processes: {fault}") from fault
    contents: list[bytes | memoryview] = [pickled, *(buffer.raw() for buffer in buffers)]
    places: list[tuple[int, int]] = []
    with disk(path), path.open("wb") as handle:
        for content in contents:
            handle.write(b"\0" * (-handle.tell() % _BOUNDARY))
            first = handle.tell()
            handle.write(content)
            places.append((first, handle.tell()))
        handle.write(b"\0")  # nothing cannot be mapped
    return SharedFile(path, places[0], tuple(places[1:]))
