"""Jobs in processes of this machine: started anew (no fork, which numba's and onnxruntime's threads do not survive)."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic

from backtests.cluster import ONE_THREAD, Failure, Job, Result, Shared, attempt, packed
from backtests.cluster_shared import SharedFile, SharedFolder
from bot.errors import BotError, ConfigError

_GRACE_SECONDS = 2.0


class LocalWorkers(Generic[Job, Result]):
    """So many processes, each started when there is first something to do for it.

    Args:
        work: A function of a module.
        shared: Mapped into every process.
        jobs: Processes at a time.
        fresh: A process for each job.

    Raises:
        ConfigError: Work or shared object cannot be handed to another process.
        StorageError: The disk refused the shared object.
    """

    def __init__(
        self, work: Callable[[Shared, Job], Result], shared: Shared, *, jobs: int, fresh: bool
    ) -> None:
        _pickled(work)
        self._work, self._most, self._fresh = work, jobs, fresh
        self._idle: list[_Worker] = []
        self._busy: dict[str, _Worker] = {}
        self._folder = SharedFolder(shared)

    def run(self, jobs: Mapping[str, Job]) -> Iterator[tuple[str, Result | Failure]]:
        """Do some jobs; see ``Workers``."""
        waiting = iter(jobs.items())
        try:
            while True:
                while len(self._busy) < self._most and (following := next(waiting, None)) is not None:
                    self._hand(*following)
                if not self._busy:
                    return
                ready = wait([worker.connection for worker in self._busy.values()])
                ended = [key for key, worker in self._busy.items() if worker.connection in ready]
                for key in ended:
                    yield key, self._take(key)
        finally:
            _end(self._busy.values())  # none, unless who asked has gone
            self._busy.clear()

    def close(self) -> None:
        """End every process, and remove what was shared."""
        _end([*self._idle, *self._busy.values()])
        self._idle.clear()
        self._busy.clear()
        self._folder.close()

    def _hand(self, key: str, job: Job) -> None:
        """Give a job to a process that has none."""
        content = _pickled(job)
        worker = self._idle.pop() if self._idle else _Worker(self._work, self._folder.file)
        self._busy[key] = worker
        worker.hand(content)

    def _take(self, key: str) -> Result | Failure:
        """The outcome of a job whose process has something to say, or is gone."""
        worker = self._busy.pop(key)
        outcome, alive = worker.read()
        if alive and not self._fresh:
            self._idle.append(worker)
        else:
            worker.end()
        return outcome  # type: ignore[no-any-return]  # what the work returned came through a pipe


class _Worker:
    """One process.

    Attributes:
        connection: Becomes readable when its job has ended, or it has.
    """

    __slots__ = ("_process", "connection")

    def __init__(self, work: Callable[[Any, Any], Any], shared: SharedFile) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        # A daemon: it is ended when this process ends in order; ``_end_with_parent`` sees to the rest.
        self._process: SpawnProcess = context.Process(target=_serve, args=(work, shared, theirs), daemon=True)
        with _sheltered():
            self._process.start()
        theirs.close()

    def hand(self, content: bytes) -> None:
        """Send a job; one that has died meanwhile is noticed by ``read``."""
        try:
            self.connection.send_bytes(content)
        except OSError:  # a broken pipe: its other end is closed, which wakes who waits for it
            return

    def read(self) -> tuple[Any, bool]:
        """What its job came to, and whether it can have another."""
        try:
            return pickle.loads(self.connection.recv_bytes()), True  # noqa: S301 - our own process
        except (EOFError, OSError):
            self._process.join(_GRACE_SECONDS)
            return Failure(BotError(_death_words(self._process.exitcode))), False

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


def _end(some: Any) -> None:
    """End them all at once, since each may take its time."""
    listed = list(some)
    for worker in listed:
        worker.stop()
    for worker in listed:
        worker.end()


def _serve(work: Callable[[Any, Any], Any], file: SharedFile, connection: Connection) -> None:
    """The life of a process: one job after the other."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(2, 1)  # what a library prints must not get into the document on our parent's standard output
    shared: Any = None
    loaded = False

    def on_shared(_: None, content: bytes) -> Any:
        nonlocal shared, loaded
        if not loaded:
            shared, loaded = file.load(), True
        return work(shared, pickle.loads(content))  # noqa: S301 - our parent's

    while True:
        try:
            content = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(packed(attempt(on_shared, None, content)))


def _pickled(what: object) -> bytes:
    try:
        return pickle.dumps(what)
    except (pickle.PicklingError, AttributeError, TypeError) as fault:
        raise ConfigError(f"a job can't be run in a process of its own: {fault}") from fault


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
