"""A program in the background: low in priority, bounded in time, gone with the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.daemon.child import Ending, run_lowly


def program(source: str) -> tuple[str, ...]:
    """The words of a small program."""
    return (sys.executable, "-S", "-c", source)


async def ended(source: str, seconds: float = 60.0) -> tuple[Ending, list[str]]:
    """How a small program ended, and what it complained of."""
    heard: list[str] = []
    return await run_lowly(program(source), timeout_seconds=seconds, complain=heard.append), heard


async def test_it_has_the_lowest_priority_and_one_thread() -> None:
    """Niceness 19, one thread for every library, and both outputs come back."""
    source = (
        "import os, sys; print(os.nice(0), os.environ['OMP_NUM_THREADS']); sys.stderr.write('so\\nit is')"
    )
    ending, heard = await ended(source)
    assert ending.said.split() == ["19", "1"]
    assert heard == ["so", "it is"]
    assert ending.fault is None


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import sys; sys.stderr.write('error: no candles\\n'); sys.exit(5)", "exit code 5: no candles"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("raise SystemExit(3)", "exit code 3: without a word"),
    ],
)
async def test_a_failure_is_named(source: str, fault: str) -> None:
    """An exit code comes with the last sentence, a signal with its name."""
    ending, _ = await ended(source)
    assert fault in str(ending.fault)


async def test_too_long_is_ended() -> None:
    """After its time it is gone, even where it does not listen to SIGTERM."""
    ending, _ = await ended("import time; time.sleep(300)", seconds=3.0)
    assert ending.timed_out
    assert ending.fault == "it took too long and was ended"


async def test_much_output_without_a_line_end_blocks_nothing() -> None:
    """A megabyte on either output is read, and only its end is kept."""
    source = "import sys; sys.stderr.write('x' * 1000000); sys.stdout.write('y' * 3000000 + 'end')"
    ending, _ = await ended(source)
    assert ending.said.endswith("yend")
    assert len(ending.said) == 1_000_000


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(path: Path) -> int:
    """The process id that a program writes into a file."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().endswith("\n"):
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError("the program did not start")


def gone(pid: int) -> bool:
    """Whether a process ends within a minute."""
    deadline = time.monotonic() + 60
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


async def test_cancelled_it_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """Neither the program nor its own child is left."""
    source = (
        "import os, subprocess, sys\n"
        "inner = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(300)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(f'{{inner.pid}}\\n')\n"
        "inner.wait()"
    )
    running = asyncio.create_task(ended(source))
    pid = await asyncio.to_thread(wait_for, tmp_path / "pid")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert gone(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_killed_its_parent_takes_it_along(tmp_path: Path) -> None:
    """After ``kill -9`` of the daemon the program does not go on."""
    inner = (
        f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(300)"
    )
    outer = (
        "import asyncio, sys\n"
        "from bot.daemon.child import run_lowly\n"
        f"words = (sys.executable, '-S', '-c', {inner!r})\n"
        "asyncio.run(run_lowly(words, timeout_seconds=300, complain=print))"
    )
    with subprocess.Popen([sys.executable, "-c", outer]) as parent:
        pid = wait_for(tmp_path / "pid")
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert gone(pid)
