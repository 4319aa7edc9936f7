"""Whether a report can be written where it is wanted, asked before the work of hours begins."""

from __future__ import annotations

import os
from pathlib import Path

from bot.errors import StorageError


def refuse_unwritable(out: Path) -> None:
    """Raise StorageError where a folder cannot be made or written; nothing is made."""
    here = out
    while not os.path.lexists(here) and here != here.parent:
        here = here.parent
    if not here.is_dir():
        raise StorageError(f"--out {out}: {here} is no folder")
    if not os.access(here, os.W_OK | os.X_OK):
        raise StorageError(f"--out {out}: nothing can be written in {here}")
