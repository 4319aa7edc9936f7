"""Many paths at once: each in a process of its own, resumed after an interrupt, and no failure lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.audits.path_process import PathJob, PathProcess
from bot.audits.paths import SYMBOL, MartingaleMarket, PathResult, PlantedMarket, pipeline_audit
from bot.audits.runner import PathPlan, RunState, run_paths, settings_of, stored_results
from bot.core.matching import Costs
from bot.errors import ConfigError, DataError, UsageError
from tests.path_audits import THREADS, StandIn

ROOT = Path(__file__).resolve().parents[3]
MARKET = MartingaleMarket("garch_t", 200)


def plan(*seeds: int, **told) -> PathPlan:
    """A plan of small markets and a stand-in."""
    return PathPlan(MARKET, StandIn(**told), Costs(), seeds)


def lines(path: Path) -> list[dict[str, Any]]:
    """What a file of results holds."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_path_runs_in_a_process_of_its_own_with_one_thread(tmp_path, monkeypatch):
    """Children see one thread a library, whatever the parent has; the parent's own environment stays as it is."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    state = run_paths(plan(1, 2, 3, promoted={2: 9}), tmp_path, jobs=2)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
    assert sorted(state.results) == [1, 2, 3]
    assert not state.failures
    assert not state.running
    assert state.share == 1.0
    assert [state.results[seed].promoted_week for seed in (1, 2, 3)] == [None, 9, None]
    assert len({result.figures["pid"] for result in state.results.values()} | {os.getpid()}) == 4
    for seed, result in state.results.items():
        assert (result.seed, result.kind) == (seed, "garch_t")
        assert result.seconds > 0.0
        assert {result.figures[name] for name in THREADS} == {1.0}
        # The market of the seed itself, made in the child.
        candles = MARKET.series(seed)[SYMBOL]
        assert (result.figures["candles"], result.figures["last"]) == (200.0, candles.close[-1])


def test_so_many_paths_run_at_a_time(tmp_path):
    """With two jobs two paths run beside each other, and never a third."""
    busiest = 0

    def watch(state: RunState) -> None:
        nonlocal busiest
        busiest = max(busiest, len(state.running))
        if len(state.running) == 2:
            (tmp_path / "go").touch()

    told = {"stuck": (1, 2, 3, 4), "folder": str(tmp_path)}
    state = run_paths(plan(1, 2, 3, 4, **told), tmp_path, jobs=2, on_progress=watch)
    assert busiest == 2
    assert len(state.results) == 4


def test_progress_goes_from_nothing_to_all(tmp_path):
    """The share told rises from 0 to 1, by steps within a path too."""
    shares = []
    run_paths(plan(1, 2), tmp_path, jobs=1, on_progress=lambda state: shares.append(state.share))
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert 0.25 in shares


def test_a_path_that_raises_or_dies_is_reported_and_tried_again(tmp_path):
    """An exception, a kill and a figure that is no number are failures with reasons; the other paths go on."""
    first = plan(1, 2, 3, 4, raises=(1,), killed=(2,), wild=(3,))
    state = run_paths(first, tmp_path, jobs=2)
    assert sorted(state.results) == [4]
    assert state.failures[1] == "ValueError: seed 1 is unlucky"
    assert state.failures[2] == "its process was ended by SIGKILL"
    assert "the figure wild of path 3 is not a finite number" in state.failures[3]
    failed = [entry for entry in lines(first.file(tmp_path)) if "failed" in entry]
    assert sorted(entry["seed"] for entry in failed) == [1, 2, 3]
    again = run_paths(plan(1, 2, 3, 4, folder=str(tmp_path)), tmp_path, jobs=2)
    assert sorted(again.results) == [1, 2, 3, 4]
    assert not again.failures
    assert sorted(int(name.name.split("-")[1]) for name in tmp_path.glob("ran-*")) == [1, 2, 3]


def test_finished_paths_are_not_run_again_and_more_may_be_asked_for(tmp_path):
    """A second run with more seeds runs only the new ones, and its results are those of one run."""
    run_paths(plan(1, 2), tmp_path, jobs=1)
    state = run_paths(plan(1, 2, 3, folder=str(tmp_path)), tmp_path, jobs=1)
    assert [name.name.split("-")[1] for name in tmp_path.glob("ran-*")] == ["3"]
    fresh = run_paths(plan(1, 2, 3), tmp_path / "other", jobs=1)
    for seed in (1, 2, 3):
        assert state.results[seed].figures["last"] == fresh.results[seed].figures["last"]


def test_restart_forgets(tmp_path):
    """With restart every path is run anew."""
    run_paths(plan(1, 2), tmp_path, jobs=1)
    run_paths(plan(1, 2, folder=str(tmp_path)), tmp_path, jobs=1, restart=True)
    assert len(list(tmp_path.glob("ran-*"))) == 2


@pytest.mark.parametrize(
    "changed",
    [
        PathPlan(MartingaleMarket("bounce", 200), StandIn(), Costs(), (1,)),
        PathPlan(MartingaleMarket("garch_t", 201), StandIn(), Costs(), (1,)),
        PathPlan(MARKET, StandIn(weeks=13), Costs(), (1,)),
        PathPlan(MARKET, StandIn(), replace(Costs(), taker_fee_bps=5.0), (1,)),
        PathPlan(PlantedMarket(0.52, 200), StandIn(), Costs(), (1,)),
        PathPlan(PlantedMarket(0.52, 200, 100), StandIn(), Costs(), (1,)),
    ],
)
def test_other_settings_are_another_file(changed, tmp_path):
    """A change of market, pipeline or costs finds no results; a change of the seeds finds them."""
    assert changed.file(tmp_path) != plan(1).file(tmp_path)
    assert plan(4, 5).file(tmp_path) == plan(1).file(tmp_path)
    assert json.loads(json.dumps(settings_of(changed))) == settings_of(changed)


def test_results_survive_a_kill_in_the_middle_of_a_line(tmp_path):
    """An unfinished last line is passed over and written over; any other broken line is named."""
    file = plan(1).file(tmp_path)
    run_paths(plan(1), tmp_path, jobs=1)
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"program": "x", "resu')
    assert [result.seed for result, _ in stored_results(file)] == [1]
    run_paths(plan(1, 2), tmp_path, jobs=1)
    assert [entry["result"]["seed"] for entry in lines(file)] == [1, 2]
    file.write_bytes(whole + b"nonsense\n" + whole)
    with pytest.raises(DataError, match="line 2 is no result"):
        list(stored_results(file))


def test_results_of_another_program_are_told_apart(tmp_path):
    """Each result names the program that made it, so that a mixture is seen."""
    file = plan(1).file(tmp_path)
    run_paths(plan(1), tmp_path, jobs=1)
    entry = lines(file)[0]
    file.write_text(json.dumps(entry | {"program": "older"}) + "\n")
    assert len(run_paths(plan(1, 2), tmp_path, jobs=1).programs) == 2


def test_two_runs_in_one_folder_are_refused(tmp_path):
    """While one run writes, another is told to wait; afterwards it may."""

    def start_another(_: RunState) -> None:
        run_paths(plan(2), tmp_path, jobs=1)

    with pytest.raises(UsageError, match="another audit is writing"):
        run_paths(plan(1), tmp_path, jobs=1, on_progress=start_another)
    run_paths(plan(2), tmp_path, jobs=1)


def test_whatever_ends_a_run_ends_its_processes(tmp_path):
    """An exception out of the progress callback leaves no process behind, not even one that would never end."""
    pids = []

    def stop(state: RunState) -> None:
        found = [int(name.name.split("-")[2]) for name in tmp_path.glob("ran-*")]
        if len(found) == 2:
            pids.extend(found)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_paths(plan(1, 2, stuck=(1, 2), folder=str(tmp_path)), tmp_path, jobs=2, on_progress=stop)
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


SCRIPT = """
import sys
from pathlib import Path
from tests.bot.audits.test_runner import plan
from bot.audits.runner import run_paths
folder = sys.argv[1]
if __name__ == "__main__":
    run_paths(plan(1, 2, 3, stuck=(3,), folder=folder), Path(folder), jobs=1)
"""


def until(found) -> None:
    """Wait for a condition, at most half a minute."""
    for _ in range(3000):
        if found():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for has ended too."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on_where_it_was(how, tmp_path):
    """Ctrl-C to the whole group, or a kill of the parent: the child ends, and the next run does only what is left."""
    script = tmp_path / "start.py"
    script.write_text(SCRIPT)
    run = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until(lambda: list(tmp_path.glob("ran-3-*")))
        if how is signal.SIGINT:
            os.killpg(run.pid, how)
        else:
            run.kill()
        _, said = run.communicate(timeout=30)
    finally:
        if run.poll() is None:
            run.kill()
            run.communicate()
    # One traceback at most, the parent's own: the children are deaf to Ctrl-C and are ended by it.
    assert said.count("Traceback") <= 1
    (marker,) = tmp_path.glob("ran-3-*")
    until(lambda: gone(int(marker.name.split("-")[2])))
    marker.unlink()
    state = run_paths(plan(1, 2, 3, folder=str(tmp_path)), tmp_path, jobs=1)
    assert sorted(state.results) == [1, 2, 3]
    assert sorted(int(name.name.split("-")[1]) for name in tmp_path.glob("ran-*")) == [1, 2, 3]


def test_a_pipeline_that_cannot_travel_is_refused(tmp_path):
    """What another process could not be given is a ConfigError before anything is started."""
    local = replace(StandIn(), promoted={1: lambda: None})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="process of its own"):
        PathProcess(PathJob(MARKET, local, Costs(), 1))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("tests.path_audits:no_pipeline", "gave no audit of a path but str"),
        ("tests.path_audits:nothing", "can't be used"),
        ("nowhere.at.all:x", "can't be used"),
        ("tests.path_audits", "can't be used"),
        ("", "can't be used"),
    ],
)
def test_a_pipeline_that_is_none_is_refused(path, said):
    """A dotted path that leads nowhere, or to something else, is a ConfigError that names it."""
    with pytest.raises(ConfigError, match=said):
        pipeline_audit(path, model="fast", weeks=3, watch_minutes=0)


def test_a_pipeline_is_made_by_its_factory():
    """The factory is given model, weeks and minutes of watching."""
    made = pipeline_audit("tests.path_audits:small_pipeline", model="lstm", weeks=3, watch_minutes=60)
    assert made.settings == {"label": "lstm-60", "weeks": 3}


def test_a_result_is_json_and_back():
    """What is written can be read as the same result."""
    result = PathResult(3, "bounce", 9, 26, {"gain": 8}, {"net": -0.5}, None, 40, 1.5)
    assert PathResult(**json.loads(json.dumps(result.as_json()))) == result
