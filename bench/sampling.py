"""Taking times, and reading what a process weighs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def durations_ns(call: Callable[[], object], count: int, *, warm_up: int = 0) -> list[int]:
    """The duration of each of ``count`` calls, after some that are not counted."""
    for _ in range(warm_up):
        call()
    clock = time.perf_counter_ns
    taken = []
    for _ in range(count):
        began = clock()
        call()
        taken.append(clock() - began)
    return taken


def seconds_of(call: Callable[[], object]) -> float:
    """How long one call takes."""
    return durations_ns(call, 1)[0] / 1e9


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a process now (``VmRSS``) or at its peak (``VmHWM``), MB of 1e6 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024 / 1e6
    raise LookupError(f"/proc/{pid}/status has no {field}")
