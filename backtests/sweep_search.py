"""Which points a sweep evaluates: all of a grid, or those that Optuna asks for.

Optuna looks at what came of its points to choose the next, so one study over all days would have seen every fold's
out-of-sample part before it is scored. Each fold therefore has a study of its own, which is told the in-sample figures of
that fold and nothing else; one more over all days looks for the winner. The studies begin with the same random points.

Points are asked for in rounds of ``ROUND`` and told in order, whatever ends first: the same seed gives the same study on any
number of cores, and a sweep that goes on finds on the disk what it asked for before.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backtests.cluster import Failure, Workers
from backtests.sweep_folds import Rule, inside_of
from backtests.sweep_point import Ground, PointFigures, PointJob
from backtests.sweep_space import Dimension, Listed, Point, grid
from backtests.sweep_store import PointStore, point_key
from backtests.sweep_table import Table
from bot.errors import ConfigError

ROUND = 16
_LEAST_FOR_IMPORTANCE = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be searched.

    Attributes:
        space: What is varied.
        search: ``grid`` or ``optuna``.
        trials: Points of each study; not for a grid.
        seed: Of the studies.
        rule: How points are judged.
        job_of: A point as a job; raises ConfigError for one that cannot be.
    """

    space: tuple[Dimension, ...]
    search: str
    trials: int
    seed: int
    rule: Rule
    job_of: Callable[[Point], PointJob]

    def total(self, folds: int) -> int:
        """How many points will be asked for, repeated ones included."""
        return sum(1 for _ in grid(self.space)) if self.search == "grid" else self.trials * (folds + 1)


@dataclass(slots=True)
class Searched:
    """What was evaluated.

    Attributes:
        figures: Key -> point and figures, in the order in which points were first asked for.
        candidates: For each fold the keys that it may choose from.
        finalists: The keys that may win over everything.
        failures: Key -> point and why it has no figures.
        impossible: Points that the settings refuse, with the reason.
        importance: Parameter -> its share of what the objective varies by, over all days; empty where nobody can say.
        done: Points that have ended, repeated ones included.
        found: How many of them were on the disk.
    """

    figures: dict[str, tuple[Point, PointFigures]] = field(default_factory=dict)
    candidates: list[list[str]] = field(default_factory=list)
    finalists: list[str] = field(default_factory=list)
    failures: dict[str, tuple[Point, str]] = field(default_factory=dict)
    impossible: list[tuple[Point, str]] = field(default_factory=list)
    importance: dict[str, float] = field(default_factory=dict)
    done: int = 0
    found: int = 0


class Search:
    """One search; what ends is kept in a store and told at once.

    Args:
        plan: What.
        ground: What all points share.
        store: Where finished points are kept.
        workers: Who evaluates.
        on_progress: Told whenever a point has ended; the state is not to be kept.
    """

    def __init__(
        self,
        plan: Plan,
        ground: Ground,
        store: PointStore,
        workers: Workers[PointJob, PointFigures],
        on_progress: Callable[[Searched], None],
    ) -> None:
        self._plan, self._blocks = plan, ground.blocks
        self._digest = ground.digest
        self._store, self._workers, self._tell = store, workers, on_progress
        self._state = Searched()

    def run(self) -> Searched:
        """All of it.

        Raises:
            ConfigError: Optuna is not installed, or no point at all can be.
            StorageError: The disk refused.
            KeyboardInterrupt: Ctrl-C; what was finished is on the disk.
        """
        folds = range(1, len(self._blocks))
        if self._plan.search == "grid":
            keys = self._evaluate(list(grid(self._plan.space)))
            known = [key for key in dict.fromkeys(keys) if key in self._state.figures]
            self._state.candidates = [known for _ in folds]
            self._state.finalists = known
            self._state.importance = main_effects(self._table(known), self._plan.rule, self._plan.space)
        else:
            self._state.candidates = [self._study(number)[0] for number in folds]
            self._state.finalists, self._state.importance = self._study(None)
        if self._state.impossible and not self._state.figures and not self._state.failures:
            raise ConfigError(f"no point can be: {self._state.impossible[0][1]}")
        return self._state

    def _evaluate(self, points: Sequence[Point]) -> list[str]:
        """Keys of points, in order; empty for one that cannot be. All that can has figures or a failure then."""
        keys: list[str] = []
        waiting: dict[str, PointJob] = {}
        asked: dict[str, Point] = {}
        for point in points:
            try:
                job = self._plan.job_of(point)
            except ConfigError as fault:
                if (point, str(fault)) not in self._state.impossible:
                    self._state.impossible.append((point, str(fault)))
                keys.append("")
                self._state.done += 1
                continue
            key = point_key(self._digest, job)
            keys.append(key)
            if key in self._state.figures or key in self._state.failures or key in waiting:
                self._state.done += 1
            elif key in self._store.found:
                self._state.figures[key] = point, self._store.found[key]
                self._state.done += 1
                self._state.found += 1
            else:
                waiting[key], asked[key] = job, point
        self._tell(self._state)
        for key, outcome in self._workers.run(waiting):
            self._take(key, asked[key], outcome)
        self._in_order(keys)
        return keys

    def _take(self, key: str, point: Point, outcome: PointFigures | Failure) -> None:
        """One point has ended."""
        self._store.keep(key, point, outcome.fault if isinstance(outcome, Failure) else outcome)
        if isinstance(outcome, Failure):
            self._state.failures[key] = point, outcome.reason
        else:
            self._state.figures[key] = point, outcome
        self._state.done += 1
        self._tell(self._state)

    def _in_order(self, keys: Sequence[str]) -> None:
        """Put the new points where they were asked for: what ends first shall decide nothing."""
        new = [key for key in dict.fromkeys(keys) if key in self._state.figures]
        moved = {key: self._state.figures.pop(key) for key in new}
        self._state.figures.update(moved)

    def _table(self, keys: Sequence[str]) -> Table | None:
        """Some points side by side; None without any."""
        return Table.of([self._state.figures[key] for key in keys], self._blocks) if keys else None

    def _study(self, fold: int | None) -> tuple[list[str], dict[str, float]]:
        """A study on the in-sample part of a fold, or on everything; the keys it found, and what matters."""
        optuna = load_optuna()
        study = optuna.create_study(direction="maximize", sampler=_sampler(optuna, self._plan.seed))
        found: list[str] = []
        asked = 0
        while asked < self._plan.trials:
            trials = [study.ask() for _ in range(min(ROUND, self._plan.trials - asked))]
            asked += len(trials)
            keys = self._evaluate([_suggested(trial, self._plan.space) for trial in trials])
            known = [key for key in dict.fromkeys(keys) if key in self._state.figures]
            worth = dict(zip(known, self._worth(known, fold), strict=True))
            for trial, key in zip(trials, keys, strict=True):
                _tell_trial(optuna, study, trial, worth.get(key))
            found += known
        return list(dict.fromkeys(found)), {} if fold is not None else _importance(optuna, study)

    def _worth(self, keys: Sequence[str], fold: int | None) -> list[float]:
        """What a study is told of some points: the objective on its own days, NaN for too few trades."""
        table = self._table(keys)
        if table is None:
            return []
        rule = self._plan.rule
        days = table.everywhere() if fold is None else inside_of(table, fold, rule)[0]
        return [float(value) for value in table.summed(days).worth(rule.objective, rule.least_trades)]


def load_optuna() -> Any:
    """Optuna, silent.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        optuna: Any = importlib.import_module("optuna")
    except ImportError as fault:
        raise ConfigError(
            f"--search optuna needs Optuna, which is not installed: install lstm-scalping-bot[sweep] ({fault})"
        ) from fault
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def main_effects(table: Table | None, rule: Rule, space: Sequence[Dimension]) -> dict[str, float]:
    """The share of a grid's variance that each parameter explains by itself (between its values, over all).

    Args:
        table: All points; None without any.
        rule: What the objective is.
        space: What was varied.

    Returns:
        Shares from 0 to 1, which interactions keep from adding up to 1; empty where nothing varies.
    """
    if table is None:
        return {}
    worth = table.summed(table.everywhere()).worth(rule.objective, rule.least_trades)
    kept = np.flatnonzero(~np.isnan(worth))
    if len(kept) < 2 or float(np.ptp(worth[kept])) == 0.0:
        return {}
    values = worth[kept]
    total = float(((values - values.mean()) ** 2).sum())
    found = {}
    for one in space:
        labels = np.array([table.points[place][one.name] for place in kept])
        groups = [values[labels == label] for label in np.unique(labels)]
        found[one.name] = sum(len(group) * (float(group.mean()) - float(values.mean())) ** 2 for group in groups) / total  # fmt: skip
    return found


def _sampler(optuna: Any, seed: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # "experimental": asked for in rounds, the sampler must spread its points
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _suggested(trial: Any, space: Sequence[Dimension]) -> dict[str, str]:
    """The point of a trial; numbers to six digits, as a person would write them."""
    return {one.name: _value(trial, one) for one in space}


def _value(trial: Any, one: Dimension) -> str:
    if isinstance(one, Listed):
        return str(trial.suggest_categorical(one.name, list(one.values)))
    if one.whole:
        return str(trial.suggest_int(one.name, int(one.low), int(one.high), log=one.log))
    return f"{trial.suggest_float(one.name, one.low, one.high, log=one.log):.6g}"


def _tell_trial(optuna: Any, study: Any, trial: Any, worth: float | None) -> None:
    """What came of a trial: a number, too few trades to say (as good as the worst), or a failure."""
    states = optuna.trial.TrialState
    if worth is None:
        study.tell(trial, state=states.FAIL)
    elif np.isnan(worth):
        study.tell(trial, state=states.PRUNED)
    else:
        study.tell(trial, worth)


def _importance(optuna: Any, study: Any) -> dict[str, float]:
    """By PED-ANOVA (S. Watanabe, A. Bansal and F. Hutter, 2023), as Optuna computes it; empty for too few points."""
    values = [trial.value for trial in study.get_trials(deepcopy=False) if trial.value is not None]
    if len(values) < _LEAST_FOR_IMPORTANCE or max(values) == min(values):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Mapping[str, float] = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    return {name: float(share) for name, share in found.items() if np.isfinite(share)}
