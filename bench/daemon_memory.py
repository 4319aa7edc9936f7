"""What ``bot run`` weighs with twenty symbols, how soon it is ready, and that TensorFlow is not in it."""

from __future__ import annotations

import time
from pathlib import Path

from bench.context import Context
from bench.figures import Figure
from bench.market import DAY_MINUTES, random_tapes, symbols
from bench.model import ensure_model
from bench.processes import daemon_words, exchange, started, wait_until
from bench.sampling import memory_mb

SPEED = 600.0
FOREIGN = ("libtensorflow", "_pywrap_tensorflow", "/tensorflow/", "/keras/", "/sklearn/")
"""Parts of paths that only a process with a training library maps."""


def measure(context: Context) -> list[Figure]:
    """Start the daemon, let it trade for a while, look at it from outside."""
    count = context.pick(20, 20, 3)
    minutes = context.pick(300, 60, 10)
    folder = context.room("memory")
    ensure_model(context.models_dir)
    tapes = random_tapes(folder / "tapes", symbols(count), DAY_MINUTES + 20 * minutes)
    said = folder / "daemon.txt"
    with exchange(folder, tapes, speed=SPEED) as endpoint:
        began = time.monotonic()
        words = ["-m", "bot", *daemon_words(endpoint, folder, context.models_dir)]
        with started(words, said) as process:
            wait_until(lambda: events(said, "service.ready") > 0, process, said, seconds=120.0)
            ready = time.monotonic() - began
            decided = count * minutes
            wait_until(
                lambda: events(said, "decision.made") >= decided, process, said, seconds=180.0, every=0.25
            )
            resident, peak = memory_mb(process.pid), memory_mb(process.pid, "VmHWM")
            mapped = mapped_files(process.pid)
    foreign = sorted(path for path in mapped if any(part in path for part in FOREIGN))
    return [
        Figure("resident", resident, "MB", "< 300", f"{count} symbols, after {minutes} minutes each"),
        Figure("peak", peak, "MB"),
        Figure("start_to_ready", ready, "s", note=f"imports, model, history of {count} symbols over REST"),
        Figure("training_libraries_mapped", len(foreign), "count", "= 0", ", ".join(foreign[:3])),
    ]


def events(said: Path, name: str) -> int:
    """How many log lines of an event there are so far."""
    return said.read_bytes().count(f'"event":"{name}"'.encode()) if said.exists() else 0


def mapped_files(pid: int) -> set[str]:
    """Files that a process has mapped: its libraries among them."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) == 6}
