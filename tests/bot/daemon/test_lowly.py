"""The launcher of background programs."""

from __future__ import annotations

import os
import subprocess
import sys


def test_without_its_parent_it_starts_nothing() -> None:
    """Where the process that it was started by has died, the program never begins."""
    words = [sys.executable, "-m", "bot.daemon.lowly", "1", sys.executable, "-c", "print('begun')"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert os.getpid() != 1
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has died" in done.stderr
