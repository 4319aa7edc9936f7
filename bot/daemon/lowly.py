"""A program that is never in the way: ``python -m bot.daemon.lowly PARENT_PID PROGRAM WORD …``.

It takes what the daemon leaves of the processor, and the kernel ends it with the process that started it, however that
one dies. Then it becomes the program, which keeps both. The daemon has threads, so nothing of this may run between
its fork and the child's start.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

NICENESS = 19
FIRST_TO_GO = 500
"""Of Linux's oom_score_adj, -1000 to 1000: where memory is short, the kernel ends this process and not the daemon."""
PR_SET_PDEATHSIG = 1
"""Of Linux's prctl(2): the signal that a process gets when its parent dies; kept over execve(2)."""


def main(words: list[str]) -> NoReturn:
    """Lower this process, tie it to its parent, and become the program."""
    parent, program = int(words[0]), words[1:]
    os.nice(NICENESS)
    with suppress(OSError):  # a system without such a file, or a sandbox that hides it
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO))
    _end_with_parent()
    if os.getppid() != parent:
        sys.exit("the process that started this one has died")  # before the kernel was asked
    os.execv(program[0], program)  # noqa: S606 - a program of ours by its absolute path, and no shell


def _end_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies; other systems have no such call."""
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is not None and prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    main(sys.argv[1:])
