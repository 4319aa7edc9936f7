"""Fitting the weights with Keras on TensorFlow, which are imported only when a fit begins."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import DataError, ModelError
from models.architectures import Network, build
from models.dataset import Dataset
from models.losses import make_loss
from models.recipe import Recipe
from models.recipe_sections import EnsembleSection, ForestSection, TrainingSection
from models.sample_weights import sample_weights
from models.targets import make_target


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a training run stands.

    Attributes:
        phase: ``features``, ``epoch_started``, ``batch``, ``epoch_ended``, ``export``, ``evaluation``.
        epoch: Of ``epochs``, from 1; 0 before the first. Early stopping may end before the last.
        batch: Of ``batches`` in the epoch, from 1.
        loss: Running training loss of the epoch.
        validation_loss: On the early-stop slice; only at an epoch's end.
        windows_per_second: Speed of training so far.
        seconds_left: At most so long, by the speed so far and the time limit.
        metrics: Every metric of the epoch by name, the learning rate among them; only at an epoch's end.
    """

    phase: str
    epoch: int = 0
    epochs: int = 0
    batch: int = 0
    batches: int = 0
    loss: float | None = None
    validation_loss: float | None = None
    windows_per_second: float | None = None
    seconds_left: float | None = None
    metrics: Mapping[str, float] | None = None


OnProgress = Callable[[TrainingProgress], None]


@dataclass(slots=True)
class FitOutcome:
    """A fitted model.

    Attributes:
        model: The ``keras.Model`` with the best weights.
        history: Metric -> value of each epoch.
        best_epoch: Epoch of the lowest validation loss, from 1.
        stopped_because: ``max_epochs``, ``early_stopping``, ``time`` or ``interrupted``.
        windows_per_second: Speed of training, validation left out.
    """

    model: Any
    history: dict[str, list[float]]
    best_epoch: int
    stopped_because: str
    windows_per_second: float
    train_windows: int = 0
    stop_windows: int = 0


@dataclass(slots=True)
class _Run:
    """What the callbacks share while a fit is on."""

    seconds: Callable[[], float]
    deadline: float
    epochs: int
    batches: int
    windows: int
    batch_size: int
    on_progress: OnProgress
    epoch: int = 0
    trained: int = 0
    training_seconds: float = 0.0
    epoch_began: float = 0.0
    history: dict[str, list[float]] = field(default_factory=dict)
    timed_out: bool = False

    @property
    def speed(self) -> float:
        """Training windows a second so far."""
        return self.trained / max(self.training_seconds, 1e-9)

    def seconds_left(self) -> float:
        """By the speed so far, and never beyond the deadline."""
        left = (self.epochs * self.windows - self.trained) / max(self.speed, 1e-9)
        return max(0.0, min(left, self.deadline - self.seconds()))


def fit(
    recipe: Recipe,
    data: Dataset,
    *,
    seconds: Callable[[], float],
    deadline: float,
    on_progress: OnProgress,
) -> FitOutcome:
    """Fit the recipe's network on the train slice, watching the early-stop slice.

    Args:
        recipe: What to build and how to train it.
        data: Where windows are gathered from.
        seconds: A monotonic clock, in seconds.
        deadline: On that clock: the current epoch ends there early and the best checkpoint is kept.
        on_progress: Told of every batch and epoch.

    Raises:
        DataError: A slice holds no labelled window.
        ModelError: The loss became NaN, or the user interrupted before the first epoch had ended.
    """
    # TensorFlow's C++ side writes to stderr, where the progress bar is; what matters comes as exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    options = recipe.training
    train_ends = data.learnable(data.slices.train)[:: options.stride]
    stop_ends = data.learnable(data.slices.early_stop)
    if not len(train_ends) or not len(stop_ends):
        raise DataError("the train or the early-stop slice holds no whole window with a known future")

    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    network = _build(recipe, data)
    model = network.trained
    model.compile(
        optimizer=_optimizer(recipe, len(train_ends)), loss=make_loss(options), metrics=_metrics(options)
    )
    batches = -(-len(train_ends) // options.batch_size)
    run = _Run(
        seconds, deadline, options.max_epochs, batches, len(train_ends), options.batch_size, on_progress
    )
    with tempfile.TemporaryDirectory(prefix="bot-training-") as folder:
        best = Path(folder) / "best.weights.h5"
        interrupted = False
        try:
            model.fit(
                _windows(data, train_ends, recipe, training=True),
                validation_data=_windows(data, stop_ends, recipe, training=False),
                epochs=options.max_epochs,
                callbacks=_callbacks(recipe, run, best),
                shuffle=False,  # the dataset is shuffled already
                verbose=0,
            )
        except KeyboardInterrupt:
            interrupted = True
        if not best.exists():
            raise ModelError(
                "training was interrupted before the first epoch had ended: there is nothing to keep"
                if interrupted
                else "training diverged: the validation loss never was a number"
            )
        model.load_weights(best)
    if any(not np.isfinite(weight).all() for weight in model.get_weights()):
        raise ModelError("training diverged: the weights are not all numbers")
    return FitOutcome(
        model=network.served,
        history=run.history,
        best_epoch=int(np.nanargmin(run.history["val_loss"])) + 1,
        stopped_because=_reason(run, interrupted=interrupted),
        windows_per_second=run.speed,
        train_windows=len(train_ends),
        stop_windows=len(stop_ends),
    )


def _build(recipe: Recipe, data: Dataset) -> Network:
    """The recipe's network for its target's outputs."""
    architecture = recipe.architecture
    if isinstance(architecture, ForestSection | EnsembleSection):
        raise ModelError(f"a {architecture.kind} is not one network")
    target = make_target(recipe.target.kind, recipe.target.horizon, recipe.target.options)
    return build(
        architecture,
        recipe.window,
        data.rows.scaled.shape[1],
        outputs=len(target.outputs),
        activation=target.activation,
        rolling=recipe.scaler.kind == "rolling",
    )


def _optimizer(recipe: Recipe, windows: int) -> Any:
    """Adam, with decoupled weight decay and clipped gradients where the recipe has them."""
    import keras

    options = recipe.training
    rate: Any = options.learning_rate
    if options.cosine is not None:
        steps = -(-windows // options.batch_size)
        warm_up = options.cosine.warmup_epochs * steps
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warm_up else options.learning_rate,
            decay_steps=max(1, options.max_epochs * steps - warm_up),
            alpha=options.cosine.min_learning_rate / options.learning_rate,
            warmup_target=options.learning_rate if warm_up else None,
            warmup_steps=warm_up,
        )
    if options.weight_decay > 0.0:
        return keras.optimizers.AdamW(
            rate, weight_decay=options.weight_decay, global_clipnorm=options.clip_norm
        )
    return keras.optimizers.Adam(rate, global_clipnorm=options.clip_norm)


def _metrics(options: TrainingSection) -> list[str]:
    """What is shown beside the loss."""
    return {"binary_crossentropy": ["accuracy"], "multitask": []}.get(options.loss, ["mae"])


def _reason(run: _Run, *, interrupted: bool) -> str:
    """Why the fit ended."""
    if interrupted:
        return "interrupted"
    if run.timed_out:
        return "time"
    return "max_epochs" if run.epoch == run.epochs else "early_stopping"


def _windows(data: Dataset, ends: npt.NDArray[np.int64], recipe: Recipe, *, training: bool) -> Any:
    """A ``tf.data.Dataset`` of batches gathered from the one row table as they are needed.

    (windows, labels), and the windows' weights where the recipe weighs training samples.
    """
    import tensorflow as tf

    table = tf.constant(data.rows.scaled)
    target = tf.constant(data.target)
    offsets = tf.range(1 - recipe.window, 1, dtype=tf.int64)

    def collect(chosen: Any) -> tuple[Any, Any]:
        return tf.gather(table, chosen[:, None] + offsets[None, :]), tf.gather(target, chosen)

    section = recipe.training.sample_weight
    if training and section is not None:
        weights = sample_weights(data.rows.volatility[ends], section)
        dataset = tf.data.Dataset.from_tensor_slices((ends, weights))
    else:
        dataset = tf.data.Dataset.from_tensor_slices((ends,))
    if training:
        dataset = dataset.shuffle(len(ends), seed=recipe.training.seed, reshuffle_each_iteration=True)
    return (
        dataset.batch(recipe.training.batch_size)
        .map(lambda chosen, *weight: (*collect(chosen), *weight))
        .prefetch(2)
    )


def _callbacks(recipe: Recipe, run: _Run, best: Path) -> list[Any]:
    """Early stopping, the falling learning rate, the best checkpoint, the time limit and the reports."""
    import keras

    options = recipe.training

    class Reporter(keras.callbacks.Callback):  # type: ignore[misc]
        """Keeps time, tells of progress, and stops at the deadline."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  (Keras calls it so)
            """A new epoch."""
            run.epoch, run.epoch_began = epoch + 1, run.seconds()
            run.on_progress(TrainingProgress("epoch_started", run.epoch, run.epochs, 0, run.batches))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """One gradient step."""
            now = run.seconds()
            run.training_seconds += now - run.epoch_began
            run.epoch_began = now
            run.trained += min(run.batch_size, run.windows - batch * run.batch_size)
            if now >= run.deadline:
                run.timed_out = True
                self.model.stop_training = True
            loss = float((logs or {}).get("loss", np.nan))
            run.on_progress(
                TrainingProgress(
                    "batch",
                    run.epoch,
                    run.epochs,
                    batch + 1,
                    run.batches,
                    loss,
                    None,
                    run.speed,
                    run.seconds_left(),
                )
            )

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            """Training and validation metrics of an epoch."""
            for key, value in (logs or {}).items():
                run.history.setdefault(key, []).append(float(value))
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            run.history.setdefault("learning_rate", []).append(rate)
            loss, validation = run.history["loss"][-1], run.history["val_loss"][-1]
            latest = {name: values[-1] for name, values in run.history.items()}
            run.on_progress(
                TrainingProgress(
                    "epoch_ended", run.epoch, run.epochs, run.batches, run.batches, loss, validation, run.speed,
                    run.seconds_left(), latest,
                )
            )  # fmt: skip

    callbacks = [
        keras.callbacks.ModelCheckpoint(
            str(best), monitor="val_loss", save_best_only=True, save_weights_only=True
        ),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=options.early_stopping_patience),
        keras.callbacks.TerminateOnNaN(),
        Reporter(),
    ]
    if options.plateau is not None:
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss",
                factor=options.plateau.factor,
                patience=options.plateau.patience,
                min_lr=options.plateau.min_learning_rate,
            )
        )
    return callbacks
