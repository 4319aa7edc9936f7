"""Seeds learnt in other processes, on this machine or another: the data there, the learnt model back, its hash verified.

What comes back are the bytes of the graph and of the networks, and how the fit went. Nothing of it has to lie on a disk
that the machines share. What has come back is kept beside the unfinished fits until all seeds are there, so that a run
that is cut off goes on with the seeds that are missing.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bot.errors import BotError, ModelError
from models.baselines import Baselines
from models.dataset import Dataset
from models.fit_progress import TrainingProgress
from models.hashing import sha256
from models.learners import Learned, Lesson, learn_once
from models.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class SeedGround:
    """What all seeds are learnt from; picklable.

    Attributes:
        data: Rows, labels and slices.
        baselines: Fitted on the train slice.
        max_seconds: For each seed, from its start.
    """

    data: Dataset
    baselines: Baselines
    max_seconds: float


@dataclass(frozen=True, slots=True)
class ShippedSeed:
    """A learnt seed on its way.

    Attributes:
        content: As ``pack`` makes it.
        digest: SHA-256 of it, taken where it was made.
    """

    content: bytes
    digest: str


SpreadSeeds = Callable[
    [Mapping[str, Recipe], SeedGround, Callable[[str, ShippedSeed | BotError], None]], None
]
"""Runs ``learn_seed`` for each recipe somewhere, and tells of each outcome in this process as it ends."""


def learn_seed(ground: SeedGround, recipe: Recipe, seconds: Callable[[], float]) -> ShippedSeed:
    """The work of the other process.

    Args:
        ground: What all seeds are learnt from.
        recipe: Of this seed.
        seconds: A monotonic clock there.

    Raises:
        DataError: A slice holds no labelled window.
        ModelError: Training diverged, or the graph does not say what was learnt.
    """
    deadline = seconds() + ground.max_seconds
    lesson = Lesson(ground.data, ground.baselines, seconds, deadline, lambda _: None)
    content = pack(learn_once(recipe, lesson))
    return ShippedSeed(content, sha256(content))


def seeds_elsewhere(
    spread: SpreadSeeds,
) -> Callable[[Mapping[int, Recipe], Lesson, Callable[[int, Learned], None]], None]:
    """A ``SeedLearner`` over whatever spreads.

    The returned function raises what a seed failed with, once the others that had ended are kept.
    """

    def learn(recipes: Mapping[int, Recipe], lesson: Lesson, keep: Callable[[int, Learned], None]) -> None:
        missing: dict[str, Recipe] = {}
        for seed, recipe in recipes.items():
            found = _kept(recipe, lesson)
            if found is None:
                missing[str(seed)] = recipe
            else:
                keep(seed, found)
        done = len(recipes) - len(missing)

        def take(key: str, outcome: ShippedSeed | BotError) -> None:
            nonlocal done
            if isinstance(outcome, BotError):
                raise outcome
            content = verified(outcome)
            if lesson.unfinished is not None:
                lesson.unfinished.kept(missing[key].digest()).write(content)
            keep(int(key), unpack(content))
            done += 1
            lesson.tell(TrainingProgress("seeds", batch=done, batches=len(recipes)))

        lesson.tell(TrainingProgress("seeds", batch=done, batches=len(recipes)))
        if missing:
            ground = SeedGround(lesson.data, lesson.baselines, max(1.0, lesson.deadline - lesson.seconds()))
            spread(missing, ground, take)

    return learn


def verified(shipped: ShippedSeed) -> bytes:
    """The content, if it is what was sent.

    Raises:
        ModelError: It was altered on its way.
    """
    if sha256(shipped.content) != shipped.digest:
        raise ModelError(
            "a model came back from another machine altered: its SHA-256 is not the one taken there"
        )
    return shipped.content


def pack(learned: Learned) -> bytes:
    """One seed's model as bytes, an npz; neither combination nor other seeds are in it."""
    about = {
        "history": learned.history,
        "difference": learned.difference,
        "outputs": learned.outputs,
        "keras": sorted(learned.keras_files),
    }
    files = [learned.graph, *(learned.keras_files[name] for name in sorted(learned.keras_files))]
    stored = {f"file_{number}": np.frombuffer(content, np.uint8) for number, content in enumerate(files)}
    stored["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **stored)
    return written.getvalue()


def unpack(content: bytes) -> Learned:
    """The inverse.

    Raises:
        ModelError: It is something else.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            about: dict[str, Any] = json.loads(stored["about"].tobytes())
            files = [stored[f"file_{number}"].tobytes() for number in range(1 + len(about["keras"]))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as fault:
        raise ModelError(f"what came back is no learnt seed: {fault}") from fault
    outputs = about["outputs"]
    return Learned(
        graph=files[0],
        difference=float(about["difference"]),
        history=about["history"],
        keras_files=dict(zip(about["keras"], files[1:], strict=True)),
        outputs=None if outputs is None else tuple(outputs),
    )


def _kept(recipe: Recipe, lesson: Lesson) -> Learned | None:
    """What an earlier run was sent for this seed; None where there is nothing, or nothing whole."""
    content = None if lesson.unfinished is None else lesson.unfinished.kept(recipe.digest()).read()
    if content is None:
        return None
    try:
        return unpack(content)
    except ModelError:
        return None  # cut off by a crash: it is learnt again
