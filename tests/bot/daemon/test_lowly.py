"""The launcher of background programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.daemon.lowly import FIRST_TO_GO


def test_without_its_parent_it_starts_nothing() -> None:
    """Where the process that it was started by has died, the program never begins."""
    words = [sys.executable, "-m", "bot.daemon.lowly", "1", sys.executable, "-c", "print('begun')"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert os.getpid() != 1
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has died" in done.stderr


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="only Linux ends processes so")
def test_where_memory_is_short_it_goes_before_the_daemon() -> None:
    """The kernel is told so, and the program that it becomes keeps it."""
    program = [sys.executable, "-c", "print(open('/proc/self/oom_score_adj').read())"]
    words = [sys.executable, "-m", "bot.daemon.lowly", str(os.getpid()), *program]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert int(done.stdout) == FIRST_TO_GO, done.stderr
