"""A process that holds keys leaves no picture of its memory behind."""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Final

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
