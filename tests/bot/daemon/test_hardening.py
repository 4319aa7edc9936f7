"""Processes that hold keys write no core dumps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import ctypes, resource, sys
from bot.daemon.hardening import forbid_core_dumps
print(forbid_core_dumps(), resource.getrlimit(resource.RLIMIT_CORE), end=" ")
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0)
"""


def test_a_hardened_process_has_no_core_and_cannot_be_dumped():
    """The limit of core dumps is 0, soft and hard, and Linux calls the process undumpable (PR_GET_DUMPABLE is 0)."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n")[0] == "[] (0, 0) 0"


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_it_is_not_so_by_itself():
    """Without the call the process is dumpable: the test above can fail."""
    code = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "1"
