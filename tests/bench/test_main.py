"""The benches run, and what they say has the form that a reader and a program rely on."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import processes
from bench.context import Context, Scale
from bench.figures import Figure, spread
from tests.tiny_model import write_tiny_model

UNITS = {"us", "ms", "s", "MB", "1/s", "ratio", "share", "count", "bytes", "loss", "MFLOP", "GFLOP/s"}
COUNTS_MAY_BE_NOTHING = {"count", "bytes"}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Tiny sizes and a model that needs no TensorFlow."""
    context = Context(tmp_path, Scale.TINY)
    write_tiny_model(context.models_dir)
    return context


MINUTES_LONG = {
    "daemon_memory",
    "dashboard_load",
    "many_symbols",
    "retrain_latency",
    "time_to_loss",
    "training",
    "whole_backtest",
}
"""Take long even on the tiny size: tried with ``BENCHES=all``."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[pytest.mark.training, pytest.mark.slow] if name in {"training", "time_to_loss"} else [],
        )
        for name in bench.BENCHES
        if name not in MINUTES_LONG or os.environ.get("BENCHES") == "all"
    ],
)
def test_every_bench_runs_and_gives_numbers(name: str, context: Context):
    """On a tiny size each bench measures something: finite numbers above zero, under names of their own."""
    figures = bench.measurer(name)(context)
    assert figures
    assert len({figure.name for figure in figures}) == len(figures)
    for figure in figures:
        assert math.isfinite(figure.value)
        assert figure.unit in UNITS
        least = 0 if figure.unit in COUNTS_MAY_BE_NOTHING or figure.name.startswith("import_") else 1e-12
        assert figure.value >= least, figure
    counted = [figure for figure in figures if figure.unit == "count" and figure.goal]
    assert all(figure.met for figure in counted)


def test_the_command_writes_the_table_and_the_report(tmp_path: Path, capsys, monkeypatch):
    """``--only NAME --json FILE`` leaves the figures, the machine and the load in FILE and a table on stdout."""
    out = tmp_path / "new" / "bench.json"
    assert bench.main(["--only", "log_line", "--scale", "tiny", "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report["scale"] == "tiny"
    assert report["machine"]["cores"] == os.cpu_count()
    (found,) = report["benches"]
    assert (found["name"], found["error"]) == ("log_line", "")
    assert found["load"] >= 0
    assert {"name", "value", "unit", "goal", "note", "met"} == set(found["figures"][0])
    said = capsys.readouterr().out
    assert "[1/1] log_line" in said
    assert "stream_only_p50" in said


def test_a_bench_that_does_not_end_is_ended(tmp_path: Path):
    """Past its limit a bench is stopped, said to have failed, and leaves no process behind."""
    result = bench.run_bench("engines", tmp_path, Scale.FULL, limit_seconds=0.2)
    assert "not done within" in result["error"]
    assert result["figures"] == []


def test_a_failed_bench_makes_the_command_fail(tmp_path: Path, monkeypatch, capsys):
    """The exit code is 1 when a bench could not run, and the others are reported all the same."""

    def failing(name, folder, scale):
        figures = [Figure("one", 1.5, "ms").row()] if name == "journal" else []
        error = "" if figures else "Traceback\nIt broke"
        return {"name": name, "figures": figures, "seconds": 1.0, "load": 0.1, "error": error}

    monkeypatch.setattr(bench, "run_bench", failing)
    words = ["--only", "journal", "--only", "help", "--json", str(tmp_path / "b.json")]
    assert bench.main(words) == 1
    assert "failed: It broke" in capsys.readouterr().out


def test_a_goal_says_whether_it_is_met():
    """Each sign compares as it reads, no goal is neither met nor missed, and a sign that is none is refused."""
    assert [Figure("x", 2.0, "ms", goal).met for goal in ("< 2", "< 2.1", ">= 2", "= 2", "= 1", "")] == [
        False,
        True,
        True,
        True,
        False,
        None,
    ]
    with pytest.raises(KeyError):
        Figure("x", 2.0, "ms", "~ 2")
    with pytest.raises(ValueError, match="x is nan"):
        Figure("x", math.nan, "ms")


def test_spread_is_in_the_unit_asked_for():
    """Nanoseconds become the unit; the median and the 99th percentile are those of the samples."""
    middle, high = spread("x", [1_000_000] * 99 + [5_000_000], "ms", goals=("< 2", "< 4"))
    assert (middle.name, middle.value, middle.met) == ("x_p50", 1.0, True)
    assert high.value == pytest.approx(1.04)
    assert middle.note == "100 samples, worst 5"


def test_a_program_that_fails_is_a_sentence(tmp_path: Path):
    """A child's exit code and last words are in the error, and one that hangs is ended."""
    with pytest.raises(processes.BenchError, match=r"ended with 3: gone"):
        processes.run_python(["-c", "import sys; sys.stderr.write('gone'); sys.exit(3)"], seconds=20)
    with pytest.raises(processes.BenchError, match="not done within"):
        processes.run_python(["-c", "import time; time.sleep(60)"], seconds=0.2)
    said = tmp_path / "said"
    with processes.started(["-c", "print('last word')"], said) as process:
        process.wait(20)
        with pytest.raises(processes.BenchError, match="last word"):
            processes.wait_until(lambda: False, process, said, seconds=20)
