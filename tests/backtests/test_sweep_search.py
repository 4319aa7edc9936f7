"""Grids and studies: every point once, kept on the disk, the same on any number of cores, and blind to later days."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtests.cluster import Where, workers
from backtests.sweep_folds import Rule
from backtests.sweep_point import Ground
from backtests.sweep_search import Plan, Search, Searched, main_effects
from backtests.sweep_space import parse_space
from backtests.sweep_store import FILE_NAME, PointStore
from bot.errors import ConfigError
from tests.sweep_stand_in import StandInJob, evaluate
from tests.sweep_tables import blocks_of, table_of

RULE = Rule("sharpe", 20, 60, 15)
GROUND = Ground("ground", blocks_of(4, 10), {}, {})
SPAN = ("threshold=0.01..1.0",)


def plan_of(
    *vary: str, search: str = "grid", trials: int = 20, seed: int = 1, deeds=None, folder="", refused=()
):
    """A plan over the stand-in; some points raise, die or cannot be."""

    def job_of(point):
        if point["threshold"] in refused:
            raise ConfigError(f"{point['threshold']} is out of range")
        return StandInJob(
            point["threshold"], "stand-in", str(folder), (deeds or {}).get(point["threshold"], "")
        )

    return Plan(parse_space(vary), search, trials, seed, RULE, job_of)


def run(plan: Plan, folder: Path, *, jobs: int = 1, ground: Ground = GROUND, told=lambda _: None) -> Searched:
    """Search in processes of this machine."""
    folder.mkdir(exist_ok=True)
    with workers(evaluate, where=Where(jobs), shared=ground) as ready:
        return Search(plan, ground, PointStore(folder), ready, told).run()


def test_a_grid_evaluates_every_point_once_and_in_order(tmp_path):
    """All points are candidates of every fold, in the order of the grid whatever ended first, and each is on the disk."""
    shares = []
    plan = plan_of("threshold=0.1,0.3,0.5,0.9")
    found = run(plan, tmp_path, jobs=2, told=lambda state: shares.append(state.done))
    assert [point["threshold"] for point, _ in found.figures.values()] == ["0.1", "0.3", "0.5", "0.9"]
    assert found.finalists == list(found.figures)
    assert found.candidates == [found.finalists] * 3
    assert (found.done, found.found, plan.total(3)) == (4, 0, 4)
    assert shares == sorted(shares)
    lines = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert sorted(line["point"]["threshold"] for line in lines) == ["0.1", "0.3", "0.5", "0.9"]


def test_a_second_run_finds_what_the_first_has_done(tmp_path):
    """Only what is new is evaluated, and the figures are the same."""
    marks = tmp_path / "marks"
    marks.mkdir()
    first = run(plan_of("threshold=0.1,0.3", folder=marks), tmp_path / "out")
    second = run(plan_of("threshold=0.1,0.3,0.5", folder=marks), tmp_path / "out")
    assert second.found == 2
    assert sorted(mark.name.split("-")[2] for mark in marks.iterdir()) == ["0.1", "0.3", "0.5"]
    for key, (point, figures) in first.figures.items():
        assert second.figures[key][0] == point
        assert second.figures[key][1].as_json() == figures.as_json()


def test_a_point_that_fails_is_named_and_the_others_go_on(tmp_path):
    """An exception and a death are failures with their reasons; the same command tries them again."""
    deeds = {"0.3": "raise", "0.5": "die"}
    found = run(plan_of("threshold=0.1,0.3,0.5,0.9", deeds=deeds), tmp_path, jobs=2)
    reasons = {point["threshold"]: reason for point, reason in found.failures.values()}
    assert reasons == {"0.3": "0.3 is unlucky", "0.5": "its process was ended by SIGKILL"}
    assert [point["threshold"] for point, _ in found.figures.values()] == ["0.1", "0.9"]
    again = run(plan_of("threshold=0.1,0.3,0.5,0.9", deeds={"0.3": "raise"}), tmp_path)
    assert again.found == 2
    assert len(again.failures) == 1


def test_points_that_cannot_be_are_listed(tmp_path):
    """A combination that the settings refuse is no failure; where all are refused, the command is."""
    found = run(plan_of("threshold=0.1,0.3", refused=("0.3",)), tmp_path)
    assert found.impossible == [({"threshold": "0.3"}, "0.3 is out of range")]
    assert not found.failures
    assert found.done == 2
    with pytest.raises(ConfigError, match=r"no point can be: 0\.3 is out of range"):
        run(plan_of("threshold=0.3", refused=("0.3",)), tmp_path)


def test_optuna_finds_the_hill_in_every_fold(tmp_path):
    """Each fold's study and the last one end near the best threshold, by points of their own."""
    found = run(plan_of(*SPAN, search="optuna", trials=30), tmp_path, jobs=2)
    assert len(found.candidates) == 3
    assert found.done == 120
    worth = {key: figures.returns.mean() for key, (_, figures) in found.figures.items()}
    for keys in (*found.candidates, found.finalists):
        best = max(keys, key=lambda key: worth[key])
        assert abs(float(found.figures[best][0]["threshold"]) - 0.5) < 0.1


def test_the_same_seed_is_the_same_study_on_any_number_of_cores(tmp_path):
    """One process and two give the same points in the same order; another seed gives others."""
    one = run(plan_of(*SPAN, search="optuna", trials=24), tmp_path / "one", jobs=1)
    two = run(plan_of(*SPAN, search="optuna", trials=24), tmp_path / "two", jobs=2)
    assert list(one.figures) == list(two.figures)
    assert (one.candidates, one.finalists) == (two.candidates, two.finalists)
    assert one.importance == two.importance
    other = run(plan_of(*SPAN, search="optuna", trials=24, seed=2), tmp_path / "three")
    assert list(other.figures) != list(one.figures)


def test_an_interrupted_study_goes_on_as_if_nothing_had_been(tmp_path):
    """After an interrupt in the middle the same plan asks for the same points, and evaluates the missing ones only."""
    marks = tmp_path / "marks"
    marks.mkdir()
    plan = plan_of(*SPAN, search="optuna", trials=20, folder=marks)

    def stop(state: Searched) -> None:
        if state.done >= 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path / "out", told=stop)
    done = len(list(marks.iterdir()))
    kept = len((tmp_path / "out" / FILE_NAME).read_text().splitlines())
    assert kept == done
    resumed = run(plan, tmp_path / "out")
    assert resumed.found == done
    whole = run(plan_of(*SPAN, search="optuna", trials=20), tmp_path / "other")
    assert [point for point, _ in resumed.figures.values()] == [point for point, _ in whole.figures.values()]


def test_a_folds_study_is_told_of_its_own_past_only(tmp_path):
    """The points of a fold's study are the same whatever the days from its out-of-sample part on bring."""
    other = Ground("other", blocks_of(4, 10), {}, {}, funding=None)
    before = run(plan_of(*SPAN, search="optuna", trials=24), tmp_path / "one")
    ready: Any
    with workers(_later_days_turned, where=Where(1), shared=other) as ready:
        (tmp_path / "two").mkdir()
        after = Search(
            plan_of(*SPAN, search="optuna", trials=24),
            other,
            PointStore(tmp_path / "two"),
            ready,
            lambda _: None,
        ).run()

    def asked(found: Searched, keys) -> list[str]:
        return [found.figures[key][0]["threshold"] for key in keys]

    assert asked(before, before.candidates[0]) == asked(after, after.candidates[0])
    assert asked(before, before.candidates[1]) == asked(after, after.candidates[1])
    assert asked(before, before.finalists) != asked(after, after.finalists)


def _later_days_turned(ground: Ground, job: StandInJob):
    """The stand-in's days, but the last 20 of 40 go the other way."""
    made = evaluate(ground, job)
    made.returns[20:] *= -1
    return made


def test_main_effects_share_out_the_variance():
    """A parameter that decides alone explains everything, one that does nothing explains nothing."""
    rng = np.random.default_rng(1)
    days = rng.normal(0, 0.01, (24, 1)) + np.array([[0.0, 0.01, 0.0, 0.01]])
    table = table_of(days)
    points = tuple({"a": a, "b": b} for a, b in (("1", "x"), ("2", "x"), ("1", "y"), ("2", "y")))
    table = type(table)(
        **{name: getattr(table, name) for name in table.__dataclass_fields__} | {"points": points}
    )
    found = main_effects(table, RULE, parse_space(["a=1,2", "b=x,y"]))
    assert found["a"] == pytest.approx(1.0)
    assert found["b"] == pytest.approx(0.0)
    assert main_effects(None, RULE, parse_space(["a=1,2"])) == {}
    assert main_effects(table_of(np.zeros((24, 2))), RULE, parse_space(["x=0,1"])) == {}
