"""The contract of a cluster, over processes of this machine and over a real local Ray cluster."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from backtests import cluster_ray, cluster_shared
from backtests.cluster import Failure, Where, Workers, cores, spread, workers
from bot.errors import ConfigError, DataError, TransientError, UsageError
from tests.cluster_jobs import Told, Unpicklable, perform

SHARED = np.arange(1000.0)
LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "5e" * 16,
}
"""Without the first, Ray listens on the outward address; the token keeps others of this machine out."""

STARTED_SECONDS = 120.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ended(pid: int) -> None:
    """End a process and all that it has started, by id."""
    if not psutil.pid_exists(pid):
        return
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    process.terminate()  # in order: it then ends what it started
    psutil.wait_procs(family, timeout=8)
    for one in family:
        if one.is_running():
            one.kill()
    psutil.wait_procs(family, timeout=8)


def address_of(tmp: Path) -> Iterator[str]:
    """A Ray cluster of one core, bound to loopback; ended whatever happens."""
    pytest.importorskip("ray")
    port = free_port()
    words = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--node-ip-address=127.0.0.1",
        f"--port={port}", "--object-store-memory=100000000", "--num-cpus=1", "--include-dashboard=false",
        "--disable-usage-stats", f"--temp-dir={tmp}", "--min-worker-port=0", "--max-worker-port=0",
        # The defaults are fixed ports: two clusters of two test processes would meet there.
        f"--dashboard-port={free_port()}", f"--dashboard-agent-listen-port={free_port()}",
    ]  # fmt: skip
    with (tmp / "head.log").open("wb") as log:
        head = subprocess.Popen(words, env={**os.environ, **LOOPBACK}, stdout=log, stderr=log)
    try:
        limit = time.monotonic() + STARTED_SECONDS
        while b"Ray runtime started" not in (tmp / "head.log").read_bytes():
            assert head.poll() is None, (tmp / "head.log").read_text()
            assert time.monotonic() < limit, (tmp / "head.log").read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        ended(head.pid)
        head.wait()


@pytest.fixture(scope="module", params=["local", "ray"])
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Where]:
    """Each adapter, with one process at a time."""
    if request.param == "local":
        yield Where(jobs=1)
        return
    patch = pytest.MonkeyPatch()
    for name, value in LOOPBACK.items():
        patch.setenv(name, value)
    # A socket's path may have about a hundred letters, and pytest's folders take most of them.
    folder = Path("/tmp") / f"ray-test-{os.getpid()}"
    folder.mkdir()
    try:
        for address in address_of(folder):
            yield Where(jobs=1, ray=address)
    finally:
        patch.undo()
        subprocess.run(["/bin/rm", "-rf", str(folder)], check=True)


@pytest.fixture(scope="class")
def ready(where: Where) -> Iterator[Workers[Told, Any]]:
    """Processes that share an array and stay for many rounds."""
    with workers(perform, where=where, shared=SHARED) as made:
        yield made


def gone(pid: int) -> bool:
    """Whether a process has ended, or ends within some seconds."""
    limit = time.monotonic() + 15.0
    while time.monotonic() < limit:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def begun(folder: Path) -> int:
    """The process of a job that waits, once it has begun."""
    limit = time.monotonic() + 40.0
    while time.monotonic() < limit:
        for mark in folder.glob("began-*"):
            return int(mark.name.split("-")[2])
        time.sleep(0.02)
    raise AssertionError("the job never began")


class TestRounds:
    """What both adapters do with jobs, in processes that stay."""

    def test_each_job_comes_back_once_with_its_key_and_its_result(self, ready):
        """Every key has the result of its own job, computed on the shared array; a second round finds the processes there."""
        for first in (0, 100):
            outcomes = list(ready.run({f"job {n}": Told("add", n) for n in range(first, first + 5)}))
            assert len(outcomes) == 5
            assert dict(outcomes) == {f"job {n}": n + SHARED.sum() for n in range(first, first + 5)}

    def test_no_jobs_are_no_outcomes(self, ready):
        """An empty round ends at once."""
        assert list(ready.run({})) == []

    def test_a_process_has_one_thread_and_cannot_write_what_is_shared(self, ready):
        """Libraries see one thread each; the shared array is read-only; what is printed does not reach standard output."""
        (found,) = dict(ready.run({"it": Told("environment")})).values()
        assert set(found["threads"]) == {"1"}
        assert found["writable"] is False
        assert found["pid"] != os.getpid()

    def test_a_job_that_fails_says_why_and_the_others_go_on(self, ready):
        """Our errors keep their class, others are named; a result with no way back and a death are failures as well."""
        told = {name: Told(name, 7) for name in ("wrong_data", "bug", "no_way_back", "die", "leave")}
        found = dict(ready.run({**told, "fine": Told("add", 1)}))
        assert isinstance(found["wrong_data"].fault, DataError)
        assert found["wrong_data"].reason == "row 7 is no candle"
        assert found["bug"].reason == "ZeroDivisionError: by nothing"
        assert found["no_way_back"].reason == "its result can't be handed back: there is no way"
        assert all("its process" in found[name].reason for name in ("die", "leave"))
        assert all(isinstance(found[name], Failure) for name in told)
        assert found["fine"] == 1 + SHARED.sum()

    def test_a_job_with_no_way_into_a_process_is_refused(self, ready):
        """What can't be pickled is a ConfigError at once, and the processes are as good as before."""
        with pytest.raises(ConfigError, match="process of its own"):
            list(ready.run({"a": Told("add", 1), "b": Unpicklable()}))
        assert dict(ready.run({"a": Told("add", 1)})) == {"a": 1 + SHARED.sum()}

    def test_outcomes_come_as_they_end_and_leaving_ends_the_rest(self, ready, tmp_path):
        """The first outcome is told before a later job has ended; who stops listening ends what still runs."""
        rounds = ready.run({"quick": Told("add", 1), "slow": Told("wait", 1, str(tmp_path))})
        assert next(rounds) == ("quick", 1 + SHARED.sum())
        rounds.close()
        outcomes = ready.run({"slow": Told("wait", 2, str(tmp_path)), "after": Told("pid")})
        (tmp_path / "go-2").touch()
        assert [key for key, _ in outcomes] == ["slow", "after"]


def test_an_interrupt_ends_every_process(where, tmp_path):
    """Ctrl-C while a job runs: KeyboardInterrupt, and its process is gone; a job that had ended was told."""
    told: list[str] = []

    def interrupt() -> None:
        begun(tmp_path)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        spread(
            {"quick": Told("add", 1), "slow": Told("wait", 1, str(tmp_path))},
            perform,
            where=where,
            shared=SHARED,
            on_done=lambda key, _: told.append(key),
        )
    thread.join()
    assert told == ["quick"]
    assert gone(begun(tmp_path))


def test_fresh_gives_each_job_a_process_of_its_own(where):
    """With fresh no process does two jobs; an exception of who listens comes out as it is."""
    seen: dict[str, int] = {}

    def keep(key: str, pid: Any) -> None:
        seen[key] = pid
        if len(seen) == 3:
            raise DataError("enough")

    with pytest.raises(DataError, match="enough"):
        spread({str(n): Told("pid") for n in range(4)}, perform, where=where, fresh=True, on_done=keep)
    assert len(set(seen.values())) == 3


def test_processes_of_this_machine_stay_for_the_next_job():
    """Without fresh one process does all jobs of its turn, in as many processes as asked for."""
    with workers(perform, where=Where(jobs=2), shared=None) as made:
        pids: set[Any] = {pid for _, pid in made.run({str(n): Told("pid") for n in range(12)})}
    assert 1 <= len(pids) <= 2
    assert all(gone(pid) for pid in pids)


def test_what_a_job_prints_stays_off_standard_output(capfd):
    """Standard output belongs to the document of the command."""
    spread({"it": Told("print")}, perform, where=Where(jobs=1), on_done=lambda *_: None)
    assert capfd.readouterr().out == ""


def test_the_parents_environment_is_as_it_was(monkeypatch):
    """One thread is for the children alone."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    spread({"it": Told("pid")}, perform, where=Where(jobs=1), on_done=lambda *_: None)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_a_parent_that_is_killed_takes_its_processes_along(tmp_path):
    """Nobody would read the outcome: the child notices and ends."""
    code = (
        "from tests.cluster_jobs import Told, perform\nfrom backtests.cluster import Where, spread\n"
        "if __name__ == '__main__':\n"
        f"    spread({{'it': Told('wait', 1, {str(tmp_path)!r})}}, perform, where=Where(jobs=1), on_done=print)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(tmp_path)},
    )
    try:
        child = begun(tmp_path)
    finally:
        parent.kill()
        parent.wait()
    assert gone(child)


def test_work_of_no_module_is_refused():
    """A closure has no name that another process could find it by."""
    with pytest.raises(ConfigError, match="process of its own"):
        spread({"a": 1}, lambda _, job: job, where=Where(jobs=1), on_done=lambda *_: None)


def test_a_shared_object_is_one_file_that_goes_with_its_owner(tmp_path, monkeypatch):
    """Arrays are read-only views of the file, equal to what was shared; what was left behind is tidied up."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "bot-shared-left"
    left.mkdir()
    folder = cluster_shared.SharedFolder({"words": ["a"], "array": SHARED, "empty": np.empty(0)})
    assert not left.exists()
    loaded = folder.file.load()
    folder.close()
    assert loaded["words"] == ["a"]
    np.testing.assert_array_equal(loaded["array"], SHARED)
    assert not loaded["array"].flags.writeable
    assert not loaded["array"].flags.owndata
    assert len(loaded["empty"]) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="can't be handed"):
        cluster_shared.SharedFolder(lambda: None)
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_does_not_answer_is_one_sentence():
    """Nobody listens there: TransientError within seconds, and before anything is imported or started."""
    with pytest.raises(TransientError, match=r"no Ray cluster answers at 127\.0\.0\.1:1: "):
        spread({}, perform, where=Where(ray="127.0.0.1:1"), on_done=lambda *_: None)
    for wrong in ("", "  "):
        with pytest.raises(UsageError, match="needs an address"):
            spread({}, perform, where=Where(ray=wrong), on_done=lambda *_: None)
    with pytest.raises(UsageError, match="HOST:PORT"):
        spread({}, perform, where=Where(ray="nowhere"), on_done=lambda *_: None)


def test_without_ray_the_sentence_says_what_to_install(monkeypatch):
    """The extra is named."""
    missing: Callable[[str], Any] = lambda name: (_ for _ in ()).throw(ModuleNotFoundError(f"no {name}"))  # noqa: E731
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"install lstm-scalping-bot\[ray\]"):
        spread({}, perform, where=Where(ray="local"), on_done=lambda *_: None)


def test_a_node_with_another_program_refuses_the_work():
    """The digest that comes with a job is not the node's own."""
    import pickle

    content = cluster_ray._perform((perform, None, "another"), pickle.dumps(Told("add", 1)))
    outcome = pickle.loads(content)  # noqa: S301 - our own
    assert isinstance(outcome.fault, ConfigError)
    assert "another version of the program" in outcome.reason


def test_words_say_where():
    """For people: how many processes, or which cluster."""
    assert Where(jobs=1).words == "1 process of this machine"
    assert Where().words.startswith(str(cores()))
    assert Where(ray="10.0.0.5:6379").words == "Ray at 10.0.0.5:6379"
