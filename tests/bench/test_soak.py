"""A short soak in every run: two hours of three symbols, a cut line, and nothing that grows; and the arithmetic of slopes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.soak import lines_of, main, plan_of, report_of, write
from bench.soak_figures import MONTH_DAYS, TOLERANCES, slope_of
from bench.soak_run import SoakPlan, SoakRun, fault_plan, soak
from tests.tiny_model import write_tiny_model


@pytest.mark.slow
def test_two_hours_of_three_symbols(tmp_path: Path) -> None:
    """Every minute is decided, lines that are cut come back, and no figure has risen beyond what a start takes."""
    write_tiny_model(tmp_path / "models")
    plan = SoakPlan(
        tmp_path / "work",
        tmp_path / "models",
        120 / 1440,
        3,
        retrains=False,
        limit_seconds=150.0,
        sample_seconds=0.25,
    )
    run = soak(plan)
    report = report_of(plan, run)
    assert report["whole"]
    assert run.minutes == plan.minutes
    half = len(run.days) // 2
    for name, most in {"descriptors": 16.0, "tasks": 12.0, "threads": 4.0, "rss_mb": 25.0}.items():
        values = run.columns[name]
        assert max(values[half:]) <= max(values[:half]) + most, f"{name}: {values}"
        assert min(values) > 0
    write(report, run, tmp_path)
    assert (tmp_path / "soak.png").stat().st_size > 10_000
    document = json.loads((tmp_path / "soak.json").read_text())
    assert len(document["series"]["day"]) == report["samples"] == len(document["series"]["rss_mb"])


def noisy(per_day: float, seed: int, scatter: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Thirty days of samples around a line."""
    days = np.linspace(0, 30, 3000)
    return days, 200 + per_day * days + np.random.default_rng(seed).normal(0, scatter, len(days))


def test_a_leak_is_called_growing_and_none_flat() -> None:
    """A megabyte a day is found, a tenth of it within the tolerance is not a leak."""
    assert slope_of(*noisy(1.0, 1), TOLERANCES["rss_mb"]).verdict == "growing"
    assert slope_of(*noisy(0.0, 2), TOLERANCES["rss_mb"]).verdict == "flat"
    assert slope_of(*noisy(0.1, 3), TOLERANCES["rss_mb"]).verdict == "flat"


def test_the_warm_up_is_not_judged() -> None:
    """What rises in the first quarter and then stays is flat."""
    days = np.linspace(0, 30, 3000)
    assert slope_of(days, np.minimum(days, 7.0) * 10, 1.0).verdict == "flat"


def test_the_interval_holds_the_slope_as_often_as_it_says() -> None:
    """In about 95 of 100 runs of noise."""
    held = sum(
        low <= 0.5 <= high for _, _, _, low, high, _ in (slope_of(*noisy(0.5, seed)) for seed in range(200))
    )
    assert 178 <= held <= 200


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(0.1, 100))
def test_a_slope_is_always_an_answer(values: list[float], length: float) -> None:
    """However few samples there are and whatever they are: first and last are of them, the verdict is one of three."""
    found = slope_of(np.linspace(0, length, len(values)), values, 1.0)
    assert found.verdict in {"flat", "growing", "unclear"}
    assert min(values) - 1e-6 <= found.first <= max(values) + 1e-6
    assert not found.low > found.high


def test_a_constant_is_flat_without_doubt() -> None:
    """No scatter, no slope."""
    found = slope_of(np.arange(100.0), np.full(100, 7.0), 0.5)
    assert (found.per_day, found.low, found.high, found.verdict) == (0.0, 0.0, 0.0, "flat")


def test_the_environment_says_what_is_soaked(tmp_path: Path) -> None:
    """Thirty days of ten symbols unless it says otherwise."""
    plan = plan_of({}, tmp_path)
    assert (plan.days, plan.symbol_count, plan.retrains) == (30.0, 10, True)
    assert plan.minutes * plan.symbol_count == 432_000
    plan = plan_of(
        {"SOAK_DAYS": "0.5", "SOAK_SYMBOLS": "3", "SOAK_RETRAINS": "0", "SOAK_HOURS": "1"}, tmp_path
    )
    assert (plan.minutes, plan.symbol_count, plan.retrains, plan.limit_seconds) == (720, 3, False, 3600.0)


def test_lines_are_cut_some_times_a_day_whatever_the_number_of_symbols(tmp_path: Path) -> None:
    """The chance of a message falls as their number rises."""
    shares = [
        fault_plan(SoakPlan(tmp_path, tmp_path, 1, count))["faults"][0]["match"]["probability"] * count
        for count in (1, 3, 10)
    ]
    assert shares == pytest.approx([shares[0]] * 3)
    assert 0 < shares[0] < 0.01


def test_what_is_printed_names_each_figure_with_its_interval(tmp_path: Path) -> None:
    """Name, ends, slope, interval and verdict stand in one line each; a run without samples says that it is unclear."""
    run = SoakRun(seconds=60.0, minutes=1440, code=0)
    for place in range(200):
        run.add(place / 10, {"rss_mb": 100.0 + place % 3, "journal_mb": place / 2})
    report = report_of(SoakPlan(tmp_path, tmp_path, 20, 10), run)
    lines = lines_of(report)
    assert any(line.startswith("rss_mb") and line.endswith(" flat") for line in lines)
    assert lines[-1].startswith("verdict: flat")
    assert math.isclose(report["slopes"]["journal_mb"]["per_day"], 5.0, rel_tol=0.01)
    assert MONTH_DAYS == 30


def test_a_daemon_that_fails_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    """Its last words, and exit code 1."""
    monkeypatch.setattr("bench.soak.ensure_model", lambda root: root.mkdir(parents=True))
    environ = {"SOAK_DAYS": "0.01", "SOAK_SYMBOLS": "1", "SOAK_OUT": str(tmp_path)}
    assert main(environ) == 1
    assert "error: the daemon ended with 6" in capsys.readouterr().err
