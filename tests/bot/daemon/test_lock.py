"""One daemon a state folder."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.daemon.lock import LOCK_NAME, holder, state_lock
from bot.errors import ConfigError

HOLD = "import sys,time;from pathlib import Path;from bot.daemon.lock import state_lock\nwith state_lock(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"


def test_a_second_daemon_on_the_folder_is_refused_and_names_the_first(tmp_path: Path) -> None:
    """While one process holds the folder another gets one clear sentence, until the first is gone, killed even."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        assert holder(tmp_path) == first.pid
        with pytest.raises(ConfigError, match=f"process {first.pid}"), state_lock(tmp_path):
            pass
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    for _ in range(100):
        if holder(tmp_path) is None:
            break
        time.sleep(0.01)
    with state_lock(tmp_path):
        assert holder(tmp_path) == os.getpid()
    assert holder(tmp_path) is None


def test_who_only_asks_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page or a command that looks whether a daemon runs holds the file for a moment; a start waits it out."""
    looking = (tmp_path / LOCK_NAME).open("w")
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("bot.daemon.lock.time.sleep", lambda _seconds: looking.close())
    with state_lock(tmp_path):
        assert looking.closed
        assert holder(tmp_path) == os.getpid()
