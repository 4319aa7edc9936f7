"""Fitting a network's weights with Keras, which is imported only when a fit begins.

Keras runs on TensorFlow, or by ``KERAS_BACKEND`` on JAX or PyTorch; windows are gathered by ``tf.data`` on each.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import DataError, ModelError
from models.architectures import Network, build
from models.dataset import Dataset
from models.fit_progress import FitRun, OnProgress, TrainingProgress, assign, keeper_class
from models.fit_state import FitState, StateFile
from models.losses import make_loss
from models.recipe import Recipe
from models.recipe_sections import EnsembleSection, ForestSection, TrainingSection
from models.sample_weights import sample_weights
from models.targets import make_target


@dataclass(slots=True)
class FitOutcome:
    """A fitted model.

    Attributes:
        model: The ``keras.Model`` with the best weights.
        history: Metric -> value of each epoch.
        best_epoch: Epoch of the lowest validation loss, from 1.
        stopped_because: ``max_epochs``, ``early_stopping``, ``time`` or ``interrupted``.
        windows_per_second: Speed of training, validation left out; 0 where every epoch was found on the disk.
        resumed_epochs: Epochs that an earlier run had done.
    """

    model: Any
    history: dict[str, list[float]]
    best_epoch: int
    stopped_because: str
    windows_per_second: float
    train_windows: int = 0
    stop_windows: int = 0
    resumed_epochs: int = 0


def fit(
    recipe: Recipe,
    data: Dataset,
    *,
    seconds: Callable[[], float],
    deadline: float,
    on_progress: OnProgress,
    file: StateFile | None = None,
) -> FitOutcome:
    """Fit the recipe's network on the train slice, watching the early-stop slice.

    Args:
        recipe: What to build and how to train it.
        data: Where windows are gathered from.
        seconds: A monotonic clock, in seconds.
        deadline: On that clock: the current epoch ends there early and the best epoch is kept.
        on_progress: Told of every batch and epoch.
        file: Where the state is kept after each epoch and gone on from, if it is there.

    Raises:
        DataError: A slice holds no labelled window.
        ModelError: The loss became NaN, or the user interrupted before the first epoch had ended.
        StorageError: The disk refused the state.
    """
    train_ends = data.learnable(data.slices.train)[:: recipe.training.stride]
    stop_ends = data.learnable(data.slices.early_stop)
    if not len(train_ends) or not len(stop_ends):
        raise DataError("the train or the early-stop slice holds no whole window with a known future")
    network = _compiled(recipe, data, len(train_ends))
    options = recipe.training
    run = FitRun(
        seconds, deadline, options.max_epochs, len(train_ends), options.batch_size, on_progress, file
    )
    start = _start(run, network.trained)
    interrupted = False
    if start is None or not start.ended:
        try:
            _run_epochs(network.trained, recipe, data, (train_ends, stop_ends), run, start)
        except KeyboardInterrupt:
            interrupted = True
    _keep_best(network.trained, run, interrupted=interrupted)
    reason = start.ended if start is not None and start.ended else _reason(run, interrupted=interrupted)
    return FitOutcome(
        model=network.served,
        history=run.history,
        best_epoch=run.best_epoch,
        stopped_because=reason,
        windows_per_second=run.speed,
        train_windows=len(train_ends),
        stop_windows=len(stop_ends),
        resumed_epochs=0 if start is None else start.epoch,
    )


def _compiled(recipe: Recipe, data: Dataset, windows: int) -> Network:
    """The recipe's network with its optimizer and loss, the same for the same seed."""
    # TensorFlow's C++ side writes to stderr, where the progress bar is; what matters comes as exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # several fits in one process are no mistake
    # Layers are numbered through a process's life, and their names are in the graph: the same run, the same bytes.
    keras.utils.clear_session()
    keras.utils.set_random_seed(recipe.training.seed)
    tf.config.experimental.enable_op_determinism()
    network = _build(recipe, data)
    network.trained.compile(
        optimizer=_optimizer(recipe, windows),
        loss=make_loss(recipe.training),
        metrics=_metrics(recipe.training),
    )
    return network


def _start(run: FitRun, model: Any) -> FitState | None:
    """The state to go on from, if there is one of this network; its history becomes the run's."""
    state = None if run.file is None else run.file.read()
    if state is None or len(state.variables) != len(model.variables):
        return None
    run.history = {name: list(values) for name, values in state.history.items()}
    run.best = list(state.best)
    run.tell(TrainingProgress("resumed", state.epoch, run.epochs))
    return state


def _run_epochs(
    model: Any,
    recipe: Recipe,
    data: Dataset,
    ends: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    run: FitRun,
    start: FitState | None,
) -> None:
    """Train until the last epoch, a decision to stop, the deadline, or Ctrl-C."""
    import keras

    first = 0 if start is None else start.epoch
    deciding = _deciding_callbacks(recipe.training)
    model.fit(
        _training_batches(data, ends[0], recipe, first),
        validation_data=_validation_batches(data, ends[1], recipe),
        epochs=run.epochs,
        initial_epoch=first,
        steps_per_epoch=run.batches,
        callbacks=[*deciding, keras.callbacks.TerminateOnNaN(), keeper_class()(run, deciding, start)],
        shuffle=False,  # the batches are shuffled already
        verbose=0,
    )


def _keep_best(model: Any, run: FitRun, *, interrupted: bool) -> None:
    """Give the network the variables of its best epoch.

    Raises:
        ModelError: There is no such epoch, or a weight is not a number.
    """
    if not run.best:
        raise ModelError(
            "training was interrupted before the first epoch had ended: there is nothing to keep"
            if interrupted
            else "training diverged: the validation loss never was a number; try a smaller training.learning_rate"
        )
    assign(model.variables, run.best)
    if any(not np.isfinite(weight).all() for weight in model.get_weights()):
        raise ModelError(
            "training diverged: the weights are not all numbers; try a smaller training.learning_rate"
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


def _deciding_callbacks(options: TrainingSection) -> list[Any]:
    """Early stopping, and the learning rate that falls where the loss no longer does."""
    import keras

    callbacks = [keras.callbacks.EarlyStopping(monitor="val_loss", patience=options.early_stopping_patience)]
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


def _reason(run: FitRun, *, interrupted: bool) -> str:
    """Why the fit ended."""
    if interrupted:
        return "interrupted"
    if run.timed_out:
        return "time"
    return "max_epochs" if run.epoch == run.epochs else "early_stopping"


def _collector(data: Dataset, window: int) -> Callable[[Any], tuple[Any, Any]]:
    """From row numbers to their windows and labels, gathered from the one row table."""
    import tensorflow as tf

    table = tf.constant(data.rows.scaled)
    target = tf.constant(data.target)
    offsets = tf.range(1 - window, 1, dtype=tf.int64)
    return lambda chosen: (
        tf.gather(table, chosen[:, None] + offsets[None, :]),
        tf.gather(target, chosen),
    )


def _validation_batches(data: Dataset, ends: npt.NDArray[np.int64], recipe: Recipe) -> Any:
    """A ``tf.data.Dataset`` of (windows, labels) in order of time."""
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices(ends).batch(recipe.training.batch_size)
    return batches.map(_collector(data, recipe.window)).prefetch(2)


def _training_batches(data: Dataset, ends: npt.NDArray[np.int64], recipe: Recipe, first: int) -> Any:
    """A ``tf.data.Dataset`` of (windows, labels), and weights if the recipe has them, epoch after epoch.

    The order of an epoch depends on the seed and the epoch's number alone, so that a later run can go on with it.
    """
    import tensorflow as tf

    options, size = recipe.training, recipe.training.batch_size
    collect = _collector(data, recipe.window)
    rows, count = tf.constant(ends), len(ends)
    weights = None
    if options.sample_weight is not None:
        weights = tf.constant(sample_weights(data.rows.volatility[ends], options.sample_weight))

    def epoch_batches(epoch: Any) -> Any:
        seed = tf.stack([tf.constant(options.seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.range(count, dtype=tf.int64), seed=seed)

        def batch(step: Any) -> Any:
            places = order[step * size : tf.minimum((step + 1) * size, count)]
            found = collect(tf.gather(rows, places))
            return found if weights is None else (*found, tf.gather(weights, places))

        return tf.data.Dataset.range(-(-count // size)).map(batch)

    return tf.data.Dataset.range(first, options.max_epochs).flat_map(epoch_batches).prefetch(2)
