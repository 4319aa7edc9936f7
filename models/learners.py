"""What each kind of architecture is learnt by: a network, a forest, or an ensemble of such.

All end as one ONNX graph from scaled windows to output columns, compared with what was learnt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bot.errors import BotError, ModelError
from models.baselines import Baselines
from models.calibration import fit_calibration, fit_return_scale, return_scale_error
from models.combination import Combination, Member
from models.dataset import Dataset
from models.export import LEAST_WINDOWS, compare, export_onnx, keras_bytes
from models.fit_progress import OnProgress, TrainingProgress, for_part
from models.fit_state import UnfinishedFits
from models.fitting import FitOutcome, fit
from models.forecaster import open_session
from models.forest import fit_forest, forest_graph
from models.graph_merge import mean_of, merge_columns
from models.logit_graph import base_rate_score, constant_graph, logit_graph
from models.recipe import Recipe
from models.recipe_sections import (
    BaseRateSection,
    EnsembleSection,
    ForestSection,
    LogitSection,
    MemberSection,
    wild_weight,
)
from models.score_slope import SCORE_SLOPE
from models.windows import batches, gather


@dataclass(slots=True)
class Learned:
    """A model before it is calibrated and stored.

    Attributes:
        graph: The ONNX graph.
        outputs: Names of its columns; None takes the target's.
        difference: Largest difference between the graph and what was learnt.
        history: How the fit went, as JSON values.
        keras_files: ``.keras`` files by name; none where there is no network.
        combination: Of an ensemble.
        by_seed: Seed -> graph, where several were averaged.
    """

    graph: bytes
    difference: float
    history: dict[str, Any]
    keras_files: dict[str, bytes] = field(default_factory=dict)
    outputs: tuple[str, ...] | None = None
    combination: Combination | None = None
    by_seed: dict[int, bytes] = field(default_factory=dict)

    @property
    def interrupted(self) -> bool:
        """The user ended the fit; what was best until then is here."""
        return self.history.get("stopped_because") == "interrupted"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a learner is given besides the recipe.

    Attributes:
        data: Rows, labels and slices.
        baselines: Fitted on the train slice.
        seconds: A monotonic clock.
        deadline: On that clock.
        tell: Told of progress.
        unfinished: Where fits keep their states, to be gone on from; None keeps none.
        elsewhere: Learns seeds in other processes; None learns one after the other in this one.
    """

    data: Dataset
    baselines: Baselines
    seconds: Callable[[], float]
    deadline: float
    tell: OnProgress
    unfinished: UnfinishedFits | None = None
    elsewhere: SeedLearner | None = None


SeedLearner: TypeAlias = Callable[[Mapping[int, Recipe], Lesson, Callable[[int, Learned], None]], None]
"""Learns the recipes, one a seed, and tells of each as it ends; an interrupt ends it with KeyboardInterrupt."""


def learn(recipe: Recipe, lesson: Lesson) -> Learned:
    """Learn what the recipe says, once or with several seeds.

    Raises:
        DataError: A slice holds no labelled window.
        ModelError: Training diverged, the graph does not say what was learnt, or the user interrupted before
            there was anything to keep.
    """
    count = recipe.training.seeds
    learned = learn_once(recipe, lesson) if count == 1 else _learn_seeds(recipe, lesson, count)
    if isinstance(recipe.architecture, EnsembleSection):
        learned.combination = _combination(recipe, recipe.architecture, learned.graph, lesson)
    return learned


def _learn_seeds(recipe: Recipe, lesson: Lesson, count: int) -> Learned:
    """Learn with each seed, and average; an interrupt keeps the seeds so far."""
    recipes = {
        seed: recipe.model_copy(
            update={"training": recipe.training.model_copy(update={"seed": seed, "seeds": 1})}
        )
        for seed in range(recipe.training.seed, recipe.training.seed + count)
    }
    found: dict[int, Learned] = {}
    interrupted = False
    try:
        (lesson.elsewhere or _one_by_one)(recipes, lesson, found.__setitem__)
    except KeyboardInterrupt:
        if not found:
            raise
        interrupted = True
    learned = dict(sorted(found.items()))
    first = min(learned)
    files = {
        name if seed == first else f"{name.removesuffix('.keras')}-seed{seed}.keras": content
        for seed, one in learned.items()
        for name, content in one.keras_files.items()
    }
    interrupted = interrupted or any(one.interrupted for one in learned.values())
    return Learned(
        graph=mean_of([one.graph for one in learned.values()]),
        difference=max(one.difference for one in learned.values()),
        history=learned[first].history
        | {"seeds": {str(seed): one.history for seed, one in learned.items() if seed != first}}
        | ({"stopped_because": "interrupted"} if interrupted else {}),
        keras_files=files,
        outputs=learned[first].outputs,
        by_seed={seed: one.graph for seed, one in learned.items()},
    )


def _one_by_one(recipes: Mapping[int, Recipe], lesson: Lesson, keep: Callable[[int, Learned], None]) -> None:
    """Each seed in an equal share of the time, until all are learnt or one is interrupted."""
    began = lesson.seconds()
    for place, (seed, recipe) in enumerate(recipes.items(), start=1):
        share = replace(
            lesson,
            deadline=began + (lesson.deadline - began) * place / len(recipes),
            tell=for_part(lesson.tell, f"seed {seed}"),
        )
        one = learn_once(recipe, share)
        keep(seed, one)
        if one.interrupted:
            return


def learn_once(recipe: Recipe, lesson: Lesson) -> Learned:
    """Learn with one seed; the errors are those of ``learn``."""
    if isinstance(recipe.architecture, EnsembleSection):
        return _learn_ensemble(recipe, recipe.architecture, lesson)
    if isinstance(recipe.architecture, ForestSection):
        return _learn_forest(recipe, recipe.architecture, lesson)
    return _learn_network(recipe, lesson)


def _learn_network(recipe: Recipe, lesson: Lesson) -> Learned:
    """Fit with Keras, export, compare."""
    outcome = fit(
        recipe,
        lesson.data,
        seconds=lesson.seconds,
        deadline=lesson.deadline,
        on_progress=lesson.tell,
        file=None if lesson.unfinished is None else lesson.unfinished.file(recipe.digest()),
    )
    lesson.tell(TrainingProgress("export", outcome.best_epoch, recipe.training.max_epochs))
    graph, difference = export_onnx(outcome.model, _probe_windows(lesson.data, recipe.window))
    return Learned(graph, difference, _history(outcome), {"model.keras": keras_bytes(outcome.model)})


def _learn_forest(recipe: Recipe, section: ForestSection, lesson: Lesson) -> Learned:
    """Fit trees on the windows' last rows."""
    data = lesson.data
    ends = data.learnable(data.slices.train)[:: recipe.training.stride]
    rows = data.rows.scaled[ends]
    forest = fit_forest(
        section,
        rows,
        data.target[ends, 0],
        seed=recipe.training.seed,
        on_trees=lambda done: lesson.tell(
            TrainingProgress("trees", batch=done, batches=section.trees),
        ),
    )
    graph = forest_graph(forest, recipe.window, rows.shape[1])
    windows = _probe_windows(data, recipe.window)
    session = open_session(graph, threads=1, name="the exported forest")
    actual: Any = session.run(None, {session.get_inputs()[0].name: windows})[0]
    expected = forest.predict(windows[:, -1]).astype(np.float32)[:, None]
    return Learned(graph, compare(expected, actual), {"train_windows": len(ends)})


def _learn_ensemble(recipe: Recipe, section: EnsembleSection, lesson: Lesson) -> Learned:
    """Learn every member and join their graphs."""
    learned: dict[str, Learned] = {}
    for member in section.members:
        share = replace(lesson, tell=for_part(lesson.tell, member.name))
        learned[member.name] = _learn_member(recipe, member, share)
        if learned[member.name].interrupted and len(learned) < len(section.members):
            raise ModelError(
                f"training was interrupted at {member.name}: an ensemble is kept when all its members are trained; "
                "the same command goes on from here"
            )
    interrupted = any(one.interrupted for one in learned.values())
    return Learned(
        graph=merge_columns([one.graph for one in learned.values()]),
        outputs=tuple(learned),
        difference=max(one.difference for one in learned.values()),
        history={"members": {name: one.history for name, one in learned.items()}}
        | ({"stopped_because": "interrupted"} if interrupted else {}),
        keras_files={
            f"{name}.keras": content for name, one in learned.items() for content in one.keras_files.values()
        },
    )


def _combination(recipe: Recipe, section: EnsembleSection, graph: bytes, lesson: Lesson) -> Combination:
    """How the members are put together, each calibrated by itself."""
    data = lesson.data
    calm = data.rows.volatility[data.learnable(data.slices.train)]
    return Combination(
        combine=section.combine,
        members=_calibrated(recipe, section, graph, lesson),
        threshold=float(np.median(calm)),
        rate=section.rate,
        share=section.share,
        period_minutes=section.memory_minutes,
    )


def _learn_member(recipe: Recipe, member: MemberSection, lesson: Lesson) -> Learned:
    """One member of an ensemble."""
    architecture, baselines = member.architecture, lesson.baselines
    width = lesson.data.rows.scaled.shape[1]
    if isinstance(architecture, LogitSection):
        return Learned(logit_graph(baselines.weights, baselines.intercept, recipe.window, width), 0.0, {})
    if isinstance(architecture, BaseRateSection):
        score = base_rate_score(baselines.base_rate)
        return Learned(constant_graph(score, recipe.window, width), 0.0, {})
    return learn_once(recipe.model_copy(update={"architecture": architecture}), lesson)


def _calibrated(recipe: Recipe, section: EnsembleSection, graph: bytes, lesson: Lesson) -> tuple[Member, ...]:
    """Each member with the curve from its output to P(up), fitted on the calibrate slice."""
    rows, horizon = lesson.data.rows, recipe.target.horizon
    ends = rows.ends_within(lesson.data.slices.calibrate)
    ends = ends[rows.future_return[ends] != 0.0]
    session = open_session(graph, threads=2, name="the exported ensemble")
    name = session.get_inputs()[0].name
    pieces = [
        session.run(None, {name: gather(rows.scaled, piece, recipe.window)})[0]
        for piece in batches(ends, 256)
    ]
    raw = np.concatenate(pieces).astype(np.float64)
    followed = rows.future_return[ends] / (rows.volatility[ends] * math.sqrt(horizon))
    members = []
    for column, member in enumerate(section.members):
        z = raw[:, column]
        fixed = isinstance(member.architecture, BaseRateSection)
        curve = fit_calibration(z, followed > 0.0, horizon=horizon)
        members.append(
            Member(
                name=member.name,
                weight=member.weight,
                wild_weight=wild_weight(member),
                # The base rate is what it is: its curve gives back the probability that it was made of.
                slope=SCORE_SLOPE if fixed else curve.slope,
                intercept=0.0,
                return_scale=0.0 if fixed else fit_return_scale(z, followed, horizon=horizon),
                return_scale_error=0.0
                if fixed
                else return_scale_error(z, followed, rows.ts[ends], horizon=horizon),
            )
        )
    return tuple(members)


def _probe_windows(data: Dataset, window: int) -> npt.NDArray[np.float32]:
    """Real windows to compare a graph on, spread over the calibrate and test slices."""
    rows = data.rows
    ends = np.concatenate([rows.ends_within(data.slices.calibrate), rows.ends_within(data.slices.test)])
    if len(ends) < LEAST_WINDOWS:
        ends = rows.ends
    step = max(1, len(ends) // (2 * LEAST_WINDOWS))
    return gather(rows.scaled, ends[::step], window)


def _history(outcome: FitOutcome) -> dict[str, Any]:
    """How a fit went, as JSON values."""
    if not outcome.history:
        raise BotError("a fit without a history cannot be stored")
    return {
        "epochs": outcome.history,
        "best_epoch": outcome.best_epoch,
        "stopped_because": outcome.stopped_because,
        "windows_per_second": round(outcome.windows_per_second, 1),
        "train_windows": outcome.train_windows,
        "early_stop_windows": outcome.stop_windows,
        "resumed_epochs": outcome.resumed_epochs,
    }
