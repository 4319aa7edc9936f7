"""One fit with its curve: ``python -m bench.race MINUTES EPOCHS WAY …`` prints JSON, a line a way.

``documents`` is the documents' way: every window copied into one array, ``model.fit`` with batches of 32, Adam at
0.001, early stopping after 10 epochs, a falling learning rate, the best checkpoint on the disk. ``pipeline`` is what
``bot train`` does with the default recipe. Between them, one change at a time: ``wide_batches`` are the documents'
with the recipe's batch, ``every_window`` is the recipe without its stride. All have the same network, loss, rows and
windows to be judged on; time counts from the scaled rows on, until the fit ends by itself.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.market import BITCOIN, synthetic_candles
from bench.processes import BenchError
from models.dataset import Dataset, prepare
from models.fit_progress import TrainingProgress
from models.fitting import fit
from models.recipe import Recipe, load_recipe
from models.recipe_sections import StackedLstmSection
from models.windows import gather

RECIPE = "scalping"
DOCUMENTS_BATCH = 32
DOCUMENTS_RATE = 0.001

Curve = list[tuple[float, float]]


def by_pipeline(recipe: Recipe, data: Dataset) -> Curve:
    """(seconds since the start, validation loss) of each epoch."""
    curve: Curve = []
    began = time.perf_counter()

    def told(progress: TrainingProgress) -> None:
        if progress.phase == "epoch_ended" and progress.validation_loss is not None:
            curve.append((time.perf_counter() - began, progress.validation_loss))

    fit(recipe, data, seconds=time.perf_counter, deadline=began + 3600.0, on_progress=told)
    return curve


def by_documents(recipe: Recipe, data: Dataset, batch: int) -> Curve:
    """The same for the documents' way."""
    import keras

    began = time.perf_counter()
    ends, judged = data.learnable(data.slices.train), data.learnable(data.slices.early_stop)
    windows, targets = gather(data.rows.scaled, ends, recipe.window), data.target[ends]
    keras.utils.set_random_seed(recipe.training.seed)
    model = _network(recipe, windows.shape[2])
    model.compile(optimizer=keras.optimizers.Adam(DOCUMENTS_RATE), loss=recipe.training.loss)
    curve: Curve = []

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        """Writes the curve down."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  (Keras calls it so)
            """One epoch."""
            curve.append((time.perf_counter() - began, float(logs["val_loss"])))

    with tempfile.TemporaryDirectory(prefix="bench-race-") as folder:
        checkpoint = str(Path(folder) / "best.keras")
        model.fit(
            windows,
            targets,
            batch_size=batch,
            epochs=recipe.training.max_epochs,
            validation_data=(gather(data.rows.scaled, judged, recipe.window), data.target[judged]),
            callbacks=[
                keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True),
                keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=5, min_lr=1e-7),
                keras.callbacks.ModelCheckpoint(checkpoint, save_best_only=True),
                Watch(),
            ],
            verbose=0,
        )
    return curve


def _network(recipe: Recipe, features: int) -> Any:
    """The recipe's network."""
    from models.architectures import build

    if not isinstance(recipe.architecture, StackedLstmSection):
        raise BenchError("the bench measures a stacked LSTM")
    return build(recipe.architecture, recipe.window, features).trained


def main(way: str, minutes: int, epochs: int) -> dict[str, Any]:
    """Run one fit and give its curve."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    keras.ops.zeros(1)  # what a process does once is in nobody's time
    tf.data.Dataset.range(1)
    recipe = load_recipe(RECIPE, [f"training.max_epochs={epochs}", "training.max_minutes=60"])
    data = prepare(recipe, {BITCOIN: synthetic_candles(minutes)})
    every = recipe.model_copy(update={"training": recipe.training.model_copy(update={"stride": 1})})
    curve = {
        "documents": lambda: by_documents(recipe, data, DOCUMENTS_BATCH),
        "wide_batches": lambda: by_documents(recipe, data, recipe.training.batch_size),
        "every_window": lambda: by_pipeline(every, data),
        "pipeline": lambda: by_pipeline(recipe, data),
    }[way]()
    return {"way": way, "curve": curve}


if __name__ == "__main__":
    for wanted in sys.argv[3:]:
        sys.stdout.write(json.dumps(main(wanted, int(sys.argv[1]), int(sys.argv[2]))) + "\n")
