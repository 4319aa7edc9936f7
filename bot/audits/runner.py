"""Many paths at once, each result on the disk before the next is asked for: an interrupted run goes on where it was.

``DIR/KIND-DIGEST.jsonl`` has a line for each path that ended, ``{"result": …}`` or ``{"seed": …, "failed": reason}``,
with a digest of the program that made it. DIGEST is that of everything else the outcomes depend on: market, pipeline,
costs. So other settings are another file, and the same settings find their results again, whatever the number of paths.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib import resources
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from bot.audits.path_process import Failed, Finished, PathJob, PathProcess, Step
from bot.audits.paths import Market, PathAudit, PathResult
from bot.core.matching import Costs
from bot.errors import DataError, UsageError
from models.durable import append_line, disk
from models.hashing import canonical_json, sha256

_CODE = ("models", "models.architectures", "bot.core", "bot.retraining", "bot.audits")


@dataclass(frozen=True, slots=True)
class PathPlan:
    """Which paths to run.

    Attributes:
        market: What makes their candles.
        audit: What runs on them.
        costs: Of trading.
        seeds: One a path.
    """

    market: Market
    audit: PathAudit
    costs: Costs
    seeds: tuple[int, ...]

    def digest(self) -> str:
        """Of all that an outcome depends on besides its seed."""
        settings = {
            "market": dict(self.market.settings),
            "audit": dict(self.audit.settings),
            "costs": asdict(self.costs),
        }
        return sha256(canonical_json(settings))[:12]

    def file(self, folder: Path) -> Path:
        """Where the results are kept."""
        return folder / f"{self.market.kind}-{self.digest()}.jsonl"


@dataclass(slots=True)
class RunState:
    """How far a run is; the same object is told about again and again.

    Attributes:
        kind: Of the market.
        total: Paths.
        results: By seed.
        failures: Seed -> reason.
        running: Seed -> how far.
        programs: Digests of the programs that the results were made by.
    """

    kind: str
    total: int
    results: dict[int, PathResult] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    running: dict[int, Step] = field(default_factory=dict)
    programs: set[str] = field(default_factory=set)

    @property
    def share(self) -> float:
        """Share of the work that is done, running paths in part."""
        ended = len(self.results) + len(self.failures)
        return (ended + sum(step.share for step in self.running.values())) / max(1, self.total)


def run_paths(
    plan: PathPlan,
    folder: Path,
    *,
    jobs: int | None = None,
    restart: bool = False,
    on_progress: Callable[[RunState], None] = lambda _: None,
) -> RunState:
    """Run the paths that have no result yet; those that failed before are tried again.

    Args:
        plan: Which.
        folder: Where results are kept; made if it is not there.
        jobs: Processes at a time; as many as there are cores by default.
        restart: Forget the results that are there.
        on_progress: Told whenever something has changed; the state is not to be kept.

    Raises:
        KeyboardInterrupt: Ctrl-C; all processes have ended, and what was finished is on the disk.
        UsageError: Another run works in this folder.
        DataError: The file of results holds something else.
        StorageError: The disk refused.
    """
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = plan.file(folder)
    with _alone(folder):
        if restart:
            with disk(path):
                path.unlink(missing_ok=True)
        state = RunState(plan.market.kind, len(plan.seeds))
        wanted = set(plan.seeds)
        for result, program in stored_results(path):
            if result.seed in wanted:
                state.results[result.seed] = result
                state.programs.add(program)
        on_progress(state)
        queue = [seed for seed in plan.seeds if seed not in state.results]
        _run_all(plan, queue, jobs or cores(), state, path, on_progress)
    return state


def stored_results(path: Path) -> Iterator[tuple[PathResult, str]]:
    """Results that a file holds, each with the digest of the program that made it; none where there is no file.

    An unfinished last line is what a kill left behind, and is passed over.

    Raises:
        DataError: Another line is not what a run writes.
    """
    if not path.exists():
        return
    with disk(path):
        *whole, _ = path.read_bytes().split(b"\n")
    for number, line in enumerate(whole, start=1):
        try:
            entry = json.loads(line)
            if "failed" not in entry:
                yield PathResult(**entry["result"]), str(entry["program"])
        except (ValueError, KeyError, TypeError) as fault:
            raise DataError(f"{path}: line {number} is no result of a path: {fault}") from fault


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def program_digest() -> str:
    """Hex digest of the sources that an outcome depends on."""
    digest = hashlib.sha256()
    for package in _CODE:
        for entry in sorted(resources.files(package).iterdir(), key=lambda item: item.name):
            if entry.name.endswith(".py"):
                digest.update(f"{package}/{entry.name};".encode())
                digest.update(entry.read_bytes())
    return digest.hexdigest()[:12]


def _run_all(
    plan: PathPlan,
    queue: list[int],
    jobs: int,
    state: RunState,
    path: Path,
    on_progress: Callable[[RunState], None],
) -> None:
    """Keep so many processes busy until every path has ended; whatever happens, none is left running."""
    active: dict[int, PathProcess] = {}
    waiting = iter(queue)
    try:
        while True:
            while len(active) < jobs and (seed := next(waiting, None)) is not None:
                active[seed] = PathProcess(PathJob(plan.market, plan.audit, plan.costs, seed))
                state.running[seed] = Step(0.0, "starting")
            if not active:
                return
            ready = wait([process.connection for process in active.values()])
            for process in [found for found in active.values() if found.connection in ready]:
                if _take(process, state, path):
                    active.pop(process.seed).close()
            on_progress(state)
    finally:
        for process in active.values():
            process.stop()  # all at once, since each may take its time
        for process in active.values():
            process.end()


def _take(process: PathProcess, state: RunState, path: Path) -> bool:
    """Take in one message; whether the path has ended."""
    message = process.read()
    if isinstance(message, Step):
        state.running[process.seed] = message
        return False
    program = program_digest()
    entry: dict[str, Any] = {"program": program}
    if isinstance(message, Finished):
        entry["result"] = message.result
        state.results[process.seed] = PathResult(**message.result)
        state.programs.add(program)
    elif isinstance(message, Failed):
        entry |= {"seed": process.seed, "failed": message.reason}
        state.failures[process.seed] = message.reason
    with disk(path):
        append_line(path, json.dumps(entry, allow_nan=False).encode())
    state.running.pop(process.seed)
    return True


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: two runs at once would do the same paths, and cut each other's lines."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another audit is writing to {folder}; wait for it, or give --out") from None
        yield
    finally:
        os.close(handle)


def settings_of(plan: PathPlan) -> Mapping[str, Any]:
    """The plan as JSON values, for a report."""
    return {
        "market": dict(plan.market.settings),
        "pipeline": dict(plan.audit.settings),
        "costs": asdict(plan.costs),
        "paths": len(plan.seeds),
        "first_seed": plan.seeds[0] if plan.seeds else None,
    }
