"""One path in a process of its own: started with one thread, told on by a pipe, ended with its parent.

A process for each path, so that a path's outcome depends on its seed alone and not on what ran before it, and so that
one that is killed for its memory takes no other with it.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from bot.audits.paths import Market, PathAudit
from bot.clock import monotonic_ns
from bot.core.matching import Costs
from bot.errors import ConfigError

ONE_THREAD: Mapping[str, str] = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
"""Read by the libraries when they load: as many processes as cores, each on one."""

_GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A path that came to its end: ``PathResult`` as JSON values."""

    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """A path that did not, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """How far a path is."""

    share: float
    words: str


Message = Finished | Failed | Step


@dataclass(frozen=True, slots=True)
class PathJob:
    """Everything that a path needs; picklable.

    Attributes:
        market: What makes its candles.
        audit: What runs on them.
        costs: Of trading.
        seed: Of the market.
    """

    market: Market
    audit: PathAudit
    costs: Costs
    seed: int


class PathProcess:
    """A path that runs.

    Attributes:
        seed: Of its market.
        connection: Becomes readable when it has something to tell, or has ended.
    """

    __slots__ = ("_process", "connection", "seed")

    def __init__(self, job: PathJob) -> None:
        """Start it.

        Raises:
            ConfigError: Market or audit can't be handed to another process.
        """
        try:
            pickle.dumps(job)
        except (pickle.PicklingError, AttributeError, TypeError) as fault:
            raise ConfigError(f"the pipeline can't be run in a process of its own: {fault}") from fault
        context = multiprocessing.get_context("spawn")
        self.seed = job.seed
        self.connection, theirs = context.Pipe(duplex=False)
        # A daemon: it is ended when this process ends in order; ``_end_with_parent`` sees to the rest.
        self._process: SpawnProcess = context.Process(target=run_job, args=(job, theirs), daemon=True)
        with _sheltered():
            self._process.start()
        theirs.close()

    def read(self) -> Message:
        """What it has to tell; an end without a word is a failure."""
        try:
            found: Message = self.connection.recv()
        except EOFError:
            self._process.join()
            return Failed(_death_words(self._process.exitcode))
        return found

    def close(self) -> None:
        """Let a path that has told its outcome end; one that does not is ended."""
        self._process.join(_GRACE_SECONDS)
        self.end()

    def stop(self) -> None:
        """Ask it to end, without waiting for it."""
        self._process.terminate()

    def end(self) -> None:
        """End it at once, wherever it is."""
        if self._process.is_alive():
            self.stop()
            self._process.join(_GRACE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()
        self._process.close()


def run_job(job: PathJob, tell: Connection) -> None:
    """The work of the child: make the market, run the pipeline, tell the outcome."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(2, 1)  # what a library prints must not get into the document on our parent's standard output
    began = monotonic_ns()
    outcome: Message
    try:
        result = job.audit(
            job.market.series(job.seed),
            job.costs,
            job.seed,
            lambda share, words: tell.send(Step(share, words)),
        )
        seconds = (monotonic_ns() - began) / 1e9
        named = replace(result, seed=job.seed, kind=job.market.kind, seconds=round(seconds, 3))
        outcome = Finished(named.as_json())
    except Exception as fault:  # noqa: BLE001 - the edge of the process: the parent reports it
        outcome = Failed(f"{type(fault).__name__}: {fault}")
    tell.send(outcome)
    tell.close()


def _end_with_parent() -> None:
    """End this process when its parent is gone, even one that was killed: nobody would read the outcome."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _death_words(code: int | None) -> str:
    """How a process ended that told nothing."""
    if code is not None and code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with {code} and without a word"


@contextmanager
def _sheltered() -> Iterator[None]:
    """Start a child with one thread, and deaf to Ctrl-C: the terminal sends it to all, and the parent ends them."""
    # The tracker's own start would lift the mask; it is started first.
    resource_tracker.ensure_running()
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
