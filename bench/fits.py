"""One short fit in a process of its own: ``python -m bench.fits pipeline|plain MINUTES STEPS`` prints JSON.

``pipeline`` is ``models.fitting`` with the default recipe; ``plain`` is what a tutorial does with the same rows
and the same network: windows copied into one array, ``model.fit`` with batches of 32. The first step, which
compiles, is counted by neither.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np

from bench.market import BITCOIN, synthetic_candles
from bench.sampling import memory_mb
from models.dataset import Dataset, prepare
from models.fitting import TrainingProgress, fit
from models.recipe import Recipe, load_recipe
from models.windows import gather

RECIPE = "scalping"
PLAIN_BATCH = 32


class Stopwatch:
    """Windows a second from the end of one step on; ends the fit after some steps."""

    def __init__(self, steps: int, batch: int) -> None:
        self.steps = steps
        self.batch = batch
        self.done = 0
        self._began = self._ended = 0.0

    def step(self) -> bool:
        """A step was made; True when there were enough."""
        self.done += 1
        self._ended = time.perf_counter()
        if self.done == 1:
            self._began = self._ended
        return self.done > self.steps

    @property
    def windows_per_second(self) -> float:
        """The speed of all steps but the first."""
        return (self.done - 1) * self.batch / (self._ended - self._began)


def pipeline(recipe: Recipe, data: Dataset, steps: int) -> Stopwatch:
    """Fit as ``models.training`` does; its own time limit ends it after so many steps."""
    options = recipe.training.model_copy(update={"max_epochs": 1})
    watch = Stopwatch(steps, min(options.batch_size, train_count(recipe, data)))
    over = False

    def seconds() -> float:
        return 1.0 if over else 0.0

    def told(progress: TrainingProgress) -> None:
        nonlocal over
        if progress.phase == "batch":
            over = watch.step()

    fit(
        recipe.model_copy(update={"training": options}), data, seconds=seconds, deadline=1.0, on_progress=told
    )
    return watch


def plain(recipe: Recipe, data: Dataset, steps: int) -> Stopwatch:
    """Fit as most people would."""
    import keras

    from models.architectures import build

    ends = data.rows.ends_within(data.slices.train)
    windows, targets = gather(data.rows.scaled, ends, recipe.window), data.target[ends]
    keras.utils.set_random_seed(recipe.training.seed)
    model = build(recipe.architecture, recipe.window, windows.shape[2])
    model.compile(optimizer=keras.optimizers.Adam(recipe.training.learning_rate), loss=recipe.training.loss)
    watch = Stopwatch(steps, PLAIN_BATCH)

    class Ender(keras.callbacks.Callback):  # type: ignore[misc]
        """Ends the fit after enough steps."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  (Keras calls it so)
            """One gradient step."""
            if watch.step():
                raise StopIteration

    try:
        model.fit(windows, targets, batch_size=PLAIN_BATCH, epochs=1, callbacks=[Ender()], verbose=0)
    except StopIteration:
        pass  # Keras would only stop at the epoch's end
    return watch


def train_count(recipe: Recipe, data: Dataset) -> int:
    """Windows that a fit learns from."""
    return len(data.rows.ends_within(data.slices.train)[:: recipe.training.stride])


def main(way: str, minutes: int, steps: int) -> dict[str, Any]:
    """Run one fit and say what it took."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    recipe = load_recipe(RECIPE)
    idle_mb = memory_mb(os.getpid())
    data = prepare(recipe, {BITCOIN: synthetic_candles(minutes)})
    # As many samples in each way: the plain one has smaller steps.
    each = steps * recipe.training.batch_size
    watch = pipeline(recipe, data, steps) if way == "pipeline" else plain(recipe, data, each // PLAIN_BATCH)
    peak_mb = memory_mb(os.getpid(), "VmHWM")
    return {
        "windows_per_second": watch.windows_per_second,
        "windows": train_count(recipe, data),
        "batch": watch.batch,
        "steps": watch.done,
        "peak_mb": peak_mb,
        "data_mb": max(peak_mb - idle_mb, 0.0),
        "tensorflow": tf.__version__,
        "finite": bool(np.isfinite(data.rows.scaled).any()),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))) + "\n")
