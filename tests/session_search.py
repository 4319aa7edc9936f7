"""After the last test of a run: is a marked secret in anything that the tests left behind, or in what they said?

Tests trade, chat and notify with the secrets of ``tests.canary`` and the stand-ins. Each searches its own output; this looks at
all of it once more: every small file below the run's temporary folder, and what each test wrote to its streams.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests import canary
from tests.telegram_stand_in import TOKEN

_LENGTH: Final = 16
MARKS: Final = tuple(secret[-_LENGTH:].encode() for secret in (canary.KEY, canary.SECRET, TOKEN))
PLANTED_FOLDERS: Final = frozenset({"keys"})
"""Where tests put the files that hold secrets."""
PLANTING_TESTS: Final = (
    "test_the_search_finds_every",
    "test_keys_on_the_command_line",
    "test_a_run_that_leaves",
)
LARGEST_FILE: Final = 32 << 20
MOST_BYTES: Final = 2 << 30
_TAPES: Final = (".parquet", ".onnx", ".keras", ".h5", ".npy", ".npz", ".png", ".so")


def holds_a_secret(content: bytes) -> bool:
    """Whether the end of a marked secret is in it."""
    return any(mark in content for mark in MARKS)


def leaks(root: Path, texts: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Where a secret is, without saying which.

    Args:
        root: A folder; candles, models and pictures in it are left out, and so is what is very large.
        texts: Name and content of what was said.
    """
    found = [name for name, text in texts if holds_a_secret(text.encode("utf-8", "backslashreplace"))]
    left = MOST_BYTES
    for file in _files(root):
        left -= file.stat().st_size
        if left < 0:
            break
        if holds_a_secret(file.read_bytes()):
            found.append(str(file))
    return found


def _files(root: Path) -> Iterator[Path]:
    for folder, below, names in os.walk(root):
        below[:] = [
            name for name in below if name not in PLANTED_FOLDERS and not name.startswith(PLANTING_TESTS)
        ]
        for name in names:
            file = Path(folder) / name
            plain = file.suffix not in _TAPES and file.is_file() and not file.is_symlink()
            if plain and file.stat().st_size <= LARGEST_FILE:
                yield file
