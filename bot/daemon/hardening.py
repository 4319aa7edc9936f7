"""A process that trades leaves no picture of its memory behind, and no file that others can read."""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import sys
from pathlib import Path
from typing import Final

from bot.errors import StorageError

_PR_SET_DUMPABLE: Final = 4
"""``prctl(2)`` of Linux."""


def forbid_core_dumps() -> list[str]:
    """Let no crash write this process's memory to a disk, and no other program of the user read it.

    On Linux the process also becomes undumpable: a collector of core dumps (systemd's) gets nothing, and a debugger
    or ``/proc/PID/environ`` needs root. Programs that it starts are dumpable again, but write no core.

    Returns:
        What could not be forbidden, in words; empty as a rule.
    """
    failed = []
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        failed.append(f"the limit of core dumps could not be set to 0: {error}")
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            failed.append(f"the process could not be made undumpable: errno {ctypes.get_errno()}")
    return failed


def keep_private(state_dir: Path) -> None:
    """Make the state folder for its owner alone, and every file from now on as private as the folder is.

    A folder that is there already keeps its mode, and files get it: whoever opened it to a group (``chmod 750``, for a
    collector of logs) meant what lies in it. Journal and logs hold no secret, but all that an account does.

    Raises:
        StorageError: The folder can't be made.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared = stat.S_IMODE(state_dir.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    except OSError as error:
        raise StorageError(
            f"the state folder {state_dir} can't be written: {error.strerror or error}; "
            "name another one with --state-dir"
        ) from error
    os.umask((stat.S_IRWXG | stat.S_IRWXO) & ~shared)
