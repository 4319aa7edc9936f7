"""Short fits in a process of its own: ``python -m bench.fits MINUTES STEPS pipeline|plain …`` prints JSON, a line a fit.

A way may end in ``/N``: of its windows every N-th is used.

``pipeline`` is ``models.fitting`` with the default recipe; ``plain`` is what a tutorial does with the same rows
and the same network: windows copied into one array, ``model.fit`` with batches of 32. The first step, which
compiles, is counted by neither.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import Any

from bench.market import BITCOIN, synthetic_candles
from bench.processes import BenchError
from bench.sampling import memory_mb
from models.dataset import Dataset, prepare
from models.fit_progress import TrainingProgress
from models.fitting import fit
from models.recipe import Recipe, load_recipe
from models.recipe_sections import StackedLstmSection
from models.windows import gather

RECIPE = "scalping"
PLAIN_BATCH = 32


class Stopwatch:
    """Windows a second from the end of one step on; ends the fit after some steps."""

    def __init__(self, steps: int, batch: int, windows: int) -> None:
        self.batch = batch
        self.windows = windows
        self._steps = steps
        self._done = self._counted = 0
        self._began = self._ended = 0.0

    def step(self) -> bool:
        """A step was made; True when there were enough."""
        self._ended = time.perf_counter()
        if self._done == 0:
            self._began = self._ended
        else:
            self._counted += min(self.batch, self.windows - self._done * self.batch)
        self._done += 1
        return self._done > self._steps

    @property
    def windows_per_second(self) -> float:
        """The speed of all steps but the first."""
        return self._counted / (self._ended - self._began)


class EnoughError(Exception):
    """The plain fit has run long enough: Keras itself would only stop at the epoch's end."""


def pipeline(recipe: Recipe, data: Dataset, steps: int) -> Stopwatch:
    """Fit as ``models.training`` does; its own time limit ends it after so many steps."""
    options = recipe.training.model_copy(update={"max_epochs": 1})
    watch = Stopwatch(steps, options.batch_size, train_count(recipe, data))
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
    section = recipe.architecture
    if not isinstance(section, StackedLstmSection):
        raise BenchError("the bench measures a stacked LSTM")
    model = build(section, recipe.window, windows.shape[2]).trained
    model.compile(optimizer=keras.optimizers.Adam(recipe.training.learning_rate), loss=recipe.training.loss)
    watch = Stopwatch(steps, PLAIN_BATCH, len(ends))

    class Ender(keras.callbacks.Callback):  # type: ignore[misc]
        """Ends the fit after enough steps."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  (Keras calls it so)
            """One gradient step."""
            if watch.step():
                raise EnoughError

    with contextlib.suppress(EnoughError):
        model.fit(windows, targets, batch_size=PLAIN_BATCH, epochs=1, callbacks=[Ender()], verbose=0)
    return watch


def train_count(recipe: Recipe, data: Dataset) -> int:
    """Windows that a fit learns from."""
    return len(data.rows.ends_within(data.slices.train)[:: recipe.training.stride])


def main(way: str, minutes: int, steps: int) -> dict[str, Any]:
    """Run one fit and say what it took."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf  # noqa: F401 - loaded before memory is looked at

    way, _, stride = way.partition("/")
    recipe = load_recipe(RECIPE, [f"training.stride={stride or 1}"])
    idle_mb = memory_mb(os.getpid())
    data = prepare(recipe, {BITCOIN: synthetic_candles(minutes)})
    # As many samples in each way: the plain one has smaller steps.
    each = steps * recipe.training.batch_size
    watch = pipeline(recipe, data, steps) if way == "pipeline" else plain(recipe, data, each // PLAIN_BATCH)
    peak_mb = memory_mb(os.getpid(), "VmHWM")
    return {
        "windows_per_second": watch.windows_per_second,
        "windows": watch.windows,
        "batch": watch.batch,
        "peak_mb": peak_mb,
        "data_mb": max(peak_mb - idle_mb, 0.0),
        "window_bytes": recipe.window * data.rows.scaled.shape[1] * data.rows.scaled.itemsize,
    }


if __name__ == "__main__":
    for wanted in sys.argv[3:]:
        sys.stdout.write(json.dumps(main(wanted, int(sys.argv[1]), int(sys.argv[2]))) + "\n")
