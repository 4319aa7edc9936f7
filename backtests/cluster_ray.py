"""Jobs on a Ray cluster: tasks of one core each, the shared object once in each node's memory.

The nodes must have the program installed, in the version that asks: a node with other sources refuses the work. Nothing
is told to Ray's makers: usage statistics are switched off, here and in a cluster that is started here.
"""

from __future__ import annotations

import importlib
import os
import pickle
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic

from backtests.cluster import ONE_THREAD, Failure, Job, Result, Shared, attempt, cores, packed
from backtests.program import program_digest
from bot.errors import BotError, ConfigError, TransientError, UsageError

_ANSWER_SECONDS = 5.0
_ROUNDS = 2
"""Tasks that wait for each core, so that none is idle while we read an outcome."""

_LOCAL_STORE_BYTES = 2_000_000_000
"""At most so much memory for shared objects in a cluster that is started here."""

_CLIENT = "ray://"


class RayWorkers(Generic[Job, Result]):
    """The cores of a cluster.

    Args:
        work: A function of a module.
        shared: Put into the cluster once.
        address: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``, or ``local``, which starts a cluster on this machine.
        jobs: Tasks at a time; None takes every core.
        fresh: A process for each job.

    Raises:
        ConfigError: Ray is not installed or of another version, or something cannot be handed to another process.
        UsageError: No address.
        TransientError: No cluster answers there.
    """

    def __init__(
        self,
        work: Callable[[Shared, Job], Result],
        shared: Shared,
        *,
        address: str,
        jobs: int | None,
        fresh: bool,
    ) -> None:
        _check_pickles(work)
        self._ray = _connected(address, jobs)
        self._running: dict[Any, str] = {}
        self._jobs = jobs
        try:
            # max_calls=1 ends the process with its task.
            limit = {"max_calls": 1} if fresh else {}
            self._task = self._ray.remote(num_cpus=1, max_retries=0, **limit)(_perform)
            self._common = self._ray.put((work, shared, program_digest()))
        except (TypeError, pickle.PicklingError, AttributeError) as fault:
            self.close()
            raise ConfigError(
                f"what the jobs share can't be handed to other processes: {_first_line(fault)}"
            ) from fault
        except BaseException:
            self.close()
            raise

    def run(self, jobs: Mapping[str, Job]) -> Iterator[tuple[str, Result | Failure]]:
        """Do some jobs; see ``Workers``."""
        waiting = iter(jobs.items())
        most = self._most()
        try:
            while True:
                while len(self._running) < most and (following := next(waiting, None)) is not None:
                    key, job = following
                    self._running[self._task.remote(self._common, _check_pickles(job))] = key
                if not self._running:
                    return
                ended, _ = self._ray.wait(list(self._running), num_returns=1)
                for reference in ended:
                    key = self._running.pop(reference)
                    yield key, self._outcome(reference)
        finally:
            self._cancel()

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._cancel()
        self._ray.shutdown()

    def _most(self) -> int:
        """Tasks at a time: as many as asked for, else some more than there are cores."""
        if self._jobs is not None:
            return self._jobs
        return max(1, int(self._ray.cluster_resources().get("CPU", 1))) * _ROUNDS

    def _outcome(self, reference: Any) -> Result | Failure:
        """What a task came to; what Ray says of one that did not come to an end is mapped to our errors."""
        errors = self._ray.exceptions
        try:
            return pickle.loads(self._ray.get(reference))  # type: ignore[no-any-return]  # noqa: S301
        except (
            errors.RayTaskError
        ) as fault:  # it never came to the work: its arguments could not be read there
            return Failure(
                ConfigError(f"a node can't run the program: {_cause(fault)}; install it on all nodes")
            )
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError) as fault:
            return Failure(BotError(f"its process was ended ({type(fault).__name__})"))
        except errors.OutOfMemoryError as fault:
            return Failure(
                BotError(f"its process was ended, for its node ran out of memory: {_first_line(fault)}")
            )
        except errors.RayError as fault:
            raise TransientError(f"the Ray cluster failed: {_first_line(fault)}") from fault

    def _cancel(self) -> None:
        """End what still runs: nobody reads it."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()


def _perform(common: tuple[Callable[[Any, Any], Any], Any, str], content: bytes) -> bytes:
    """One task, on its node; its outcome is pickled here, so that one that cannot be is a failure like any other."""
    work, shared, program = common
    if program != program_digest():
        words = (
            f"node {socket.gethostname()} has another version of the program: install the same on all nodes"
        )
        return pickle.dumps(Failure(ConfigError(words)))
    os.environ.update(ONE_THREAD)  # Ray itself sees to OMP_NUM_THREADS; TensorFlow has words of its own
    return packed(attempt(lambda _, job: work(shared, pickle.loads(job)), None, content))  # noqa: S301 - our own


def _connected(address: str, jobs: int | None) -> Any:
    """Ray, connected to its cluster."""
    if not address.strip():
        raise UsageError("--ray needs an address: HOST:PORT, or local for a cluster on this machine")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    local = address == "local"
    if any(_tokens()):
        # A cluster that is started where there is a token asks for it; Ray shows it only if told before it is imported.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if local:
        # Without it Ray listens on the outward address: a cluster of one machine has no business there.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        ray: Any = importlib.import_module("ray")
        importlib.import_module("ray.exceptions")
    except ImportError as fault:
        raise ConfigError(
            f"--ray needs Ray, which is not installed: install lstm-scalping-bot[ray] ({fault})"
        ) from fault
    if not local:
        _knock(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    here = {
        "num_cpus": jobs or cores(),
        "include_dashboard": False,
        "object_store_memory": _LOCAL_STORE_BYTES,
        "_node_ip_address": "127.0.0.1",
    }
    try:
        ray.init(address=address, **quiet, **(here if local else {}))
    except (ConnectionError, TimeoutError) as fault:
        raise TransientError(f"no Ray cluster answers at {address}: {_first_line(fault)}") from fault
    except (RuntimeError, ValueError) as fault:  # another version of Ray or Python; no such address
        raise ConfigError(f"the Ray cluster at {address} can't be used: {_first_line(fault)}") from fault
    return ray


def _tokens() -> Iterator[bool]:
    """Whether a token for Ray is where Ray looks for one, place by place."""
    yield bool(os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"))
    yield (Path.home() / ".ray" / "auth_token").is_file()


def _knock(address: str) -> None:
    """See whether anybody listens: Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix(_CLIENT).rpartition(":")
    if not colon or not port.isdigit():
        if address == "auto":
            return
        raise UsageError(f"--ray {address}: write HOST:PORT, ray://HOST:PORT, auto or local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except OSError as fault:
        raise TransientError(f"no Ray cluster answers at {address}: {fault.strerror or fault}") from fault


def _check_pickles(what: object) -> bytes:
    """Its pickle; Ray would take a function of no module, which processes of this machine do not."""
    try:
        return pickle.dumps(what)
    except (pickle.PicklingError, AttributeError, TypeError) as fault:
        raise ConfigError(f"a job can't be run in a process of its own: {fault}") from fault


def _cause(fault: Any) -> str:
    """What a node raised, without the pages around it."""
    cause = getattr(fault, "cause", None)
    return _first_line(fault) if cause is None else f"{type(cause).__name__}: {_first_line(cause)}"


def _first_line(fault: BaseException) -> str:
    """What an exception of Ray says, without colours and the pages that follow."""
    lines = [line.strip() for line in re.sub("\x1b\\[[0-9;]*m", "", str(fault)).splitlines() if line.strip()]
    return lines[0] if lines else type(fault).__name__
