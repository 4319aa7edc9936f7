"""Do many jobs at once: "map this function over these jobs", on this machine's cores or on a Ray cluster.

::

    def fit_week(candles: Candles, week: Week) -> Fitted: ...          # a function of a module: (shared, job) -> result

    spread(
        {"2024-W01": week_1, "2024-W02": week_2},                      # key -> job
        fit_week,
        shared=candles,                                                # the same for all jobs; None where there is none
        where=Where(jobs=2),                                           # or Where(ray="10.0.0.5:6379"), Where(ray="local")
        on_done=lambda key, outcome: ...,                              # Fitted or Failure, in order of arrival
        fresh=True,                                                    # a process for each job (TensorFlow)
    )

``workers`` is the same for who asks for jobs in several rounds and wants the processes to stay. Both adapters keep to one
contract (``tests/backtests/test_cluster.py``):

- ``work`` is found by its module and name, and jobs, results and ``shared`` are pickled; the arrays of ``shared`` exist
  once on a machine, read-only, however many processes use them.
- A process has one thread a library. What it prints goes to standard error.
- Outcomes come in the order in which they end, each with its key, each key once. A job that raises, or whose process
  dies, is a ``Failure`` that says why; the other jobs go on. Nothing is tried twice.
- Ctrl-C, or an exception out of ``on_done``, ends every process before it is raised on.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from bot.errors import BotError

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")
ResultOut_co = TypeVar("ResultOut_co", covariant=True)
JobIn_contra = TypeVar("JobIn_contra", contravariant=True)

ONE_THREAD: Mapping[str, str] = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
"""Read by the libraries when they load: as many processes as cores, each on one."""


@dataclass(frozen=True, slots=True)
class Where:
    """What jobs run on.

    Attributes:
        jobs: Processes at a time; None takes every core, of this machine or of the cluster.
        ray: Address of a Ray cluster (``HOST:PORT``, ``ray://HOST:PORT``, ``auto``), or ``local`` for one that is started
            here and ends with the work; None takes processes of this machine.
    """

    jobs: int | None = None
    ray: str | None = None

    @property
    def words(self) -> str:
        """For people."""
        if self.ray is not None:
            return f"Ray at {self.ray}"
        count = self.jobs or cores()
        return f"{count} process{'es' if count > 1 else ''} of this machine"


@dataclass(frozen=True, slots=True)
class Failure:
    """A job without a result.

    Attributes:
        fault: What a caller may raise: the job's own error where it is one of ours, else one that names it.
    """

    fault: BotError

    @property
    def reason(self) -> str:
        """One sentence."""
        return str(self.fault)


class Workers(Protocol[JobIn_contra, ResultOut_co]):
    """Processes that are ready for jobs."""

    def run(self, jobs: Mapping[str, JobIn_contra]) -> Iterator[tuple[str, ResultOut_co | Failure]]:
        """Do some jobs; each one's key and outcome, as they end.

        Raises:
            ConfigError: A job cannot be handed to another process, or the cluster runs another version of the program.
            TransientError: The cluster does not answer any more.
        """

    def close(self) -> None:
        """End every process."""


def spread(
    jobs: Mapping[str, Job],
    work: Callable[[Shared, Job], Result],
    *,
    where: Where,
    on_done: Callable[[str, Result | Failure], None],
    shared: Shared = None,  # type: ignore[assignment]  # without one, Shared is None
    fresh: bool = False,
) -> None:
    """Do all jobs.

    Args:
        jobs: Key -> job.
        work: A function of a module, called with ``shared`` and a job.
        where: What it runs on.
        on_done: Told of each outcome, in this process.
        shared: Handed to every call.
        fresh: Each job gets a process of its own.

    Raises:
        ConfigError: Something cannot be handed to another process, or Ray is not installed.
        TransientError: No Ray cluster answers there.
        KeyboardInterrupt: Ctrl-C; all processes have ended.
    """
    with workers(work, where=where, shared=shared, fresh=fresh) as ready:
        for key, outcome in ready.run(jobs):
            on_done(key, outcome)


@contextmanager
def workers(
    work: Callable[[Shared, Job], Result],
    *,
    where: Where,
    shared: Shared = None,  # type: ignore[assignment]  # as above
    fresh: bool = False,
) -> Iterator[Workers[Job, Result]]:
    """Processes for several rounds of jobs; they end with the block. Arguments and errors are those of ``spread``."""
    made: Workers[Job, Result]
    if where.ray is not None:
        from backtests.cluster_ray import RayWorkers

        made = RayWorkers(work, shared, address=where.ray, jobs=where.jobs, fresh=fresh)
    else:
        from backtests.cluster_local import LocalWorkers

        made = LocalWorkers(work, shared, jobs=where.jobs or cores(), fresh=fresh)
    try:
        yield made
    finally:
        made.close()


def attempt(work: Callable[[Any, Any], Any], shared: Any, job: Any) -> Any:
    """Call it; whatever it raises is a failure."""
    try:
        return work(shared, job)
    except BotError as fault:
        return Failure(fault)
    except Exception as fault:  # noqa: BLE001 - the edge of the process: who asked reports it
        return Failure(BotError(f"{type(fault).__name__}: {fault}"))


def packed(outcome: Any) -> bytes:
    """An outcome on its way back; a result that has no way is a failure."""
    try:
        return pickle.dumps(outcome)
    except (pickle.PicklingError, AttributeError, TypeError) as fault:
        return pickle.dumps(Failure(BotError(f"its result can't be handed back: {fault}")))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
