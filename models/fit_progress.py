"""How a fit goes: what is told of it, what is kept of it, and when it ends before its last epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from models.fit_state import FitState, StateFile


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a training run stands.

    Attributes:
        phase: ``features``, ``resumed`` (``epoch`` epochs of an earlier run were found), ``epoch_started``,
            ``batch``, ``epoch_ended``, ``trees`` (of a forest), ``seeds`` (learnt elsewhere), ``export``, ``evaluation``.
        epoch: Of ``epochs``, from 1; 0 before the first. Early stopping may end before the last.
        batch: Of ``batches`` in the epoch, from 1; of a forest, of its trees; of several seeds, how many have ended.
        loss: Running training loss of the epoch.
        validation_loss: On the early-stop slice; only at an epoch's end.
        windows_per_second: Speed of training so far.
        seconds_left: At most so long, by the speed so far and the time limit.
        metrics: Every metric of the epoch by name, the learning rate among them; only at an epoch's end.
        part: Which of several fits: an ensemble's member, a seed; empty where there is one fit.
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
    part: str = ""


OnProgress = Callable[[TrainingProgress], None]


def for_part(tell: OnProgress, part: str) -> OnProgress:
    """Tell of one of several fits."""
    return lambda state: tell(replace(state, part=f"{part} {state.part}".rstrip()))


@dataclass(slots=True)
class FitRun:
    """What a fit's callbacks share while it is on.

    Attributes:
        seconds: A monotonic clock.
        deadline: On that clock.
        epochs: At most so many.
        windows: Of one epoch.
        batch_size: Windows a gradient step.
        tell: Told of progress.
        file: Where the state is kept after each epoch; None keeps none.
        history: Metric -> value of each epoch.
        best: Variables after the epoch of the lowest validation loss.
        timed_out: The deadline came within an epoch.
        epoch: The one that is on, from 1.
        in_epoch: Its windows trained so far; ``trained`` are those of all epochs of this run.
        training_seconds: What they took, validation left out; ``since`` is when the last step ended.
    """

    seconds: Callable[[], float]
    deadline: float
    epochs: int
    windows: int
    batch_size: int
    tell: OnProgress
    file: StateFile | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    best: list[npt.NDArray[Any]] = field(default_factory=list)
    timed_out: bool = False
    epoch: int = 0
    in_epoch: int = 0
    trained: int = 0
    training_seconds: float = 0.0
    since: float = 0.0

    @property
    def batches(self) -> int:
        """Gradient steps of an epoch."""
        return -(-self.windows // self.batch_size)

    @property
    def best_epoch(self) -> int:
        """Epoch of the lowest validation loss, from 1."""
        return int(np.nanargmin(self.history["val_loss"])) + 1

    @property
    def speed(self) -> float:
        """Training windows a second so far."""
        return self.trained / max(self.training_seconds, 1e-9)

    def seconds_left(self) -> float:
        """By the speed so far, and never beyond the deadline."""
        left = ((self.epochs - self.epoch + 1) * self.windows - self.in_epoch) / max(self.speed, 1e-9)
        return max(0.0, min(left, self.deadline - self.seconds()))

    def open_epoch(self, epoch: int) -> None:
        """Tell of a new epoch, from 1."""
        self.epoch, self.in_epoch, self.since = epoch, 0, self.seconds()
        self.tell(TrainingProgress("epoch_started", epoch, self.epochs, 0, self.batches))

    def step(self, batch: int, loss: float) -> None:
        """Count and tell one gradient step; ``batch`` from 0."""
        now = self.seconds()
        self.training_seconds += now - self.since
        self.since = now
        size = min(self.batch_size, self.windows - batch * self.batch_size)
        self.trained += size
        self.in_epoch += size
        self.timed_out = self.timed_out or now >= self.deadline
        self.tell(
            TrainingProgress(
                "batch", self.epoch, self.epochs, batch + 1, self.batches, loss, None, self.speed,
                self.seconds_left(),
            )
        )  # fmt: skip

    def note_epoch(self, logs: Mapping[str, float], learning_rate: float) -> None:
        """Add an epoch's metrics to the history."""
        for name, value in {**logs, "learning_rate": learning_rate}.items():
            self.history.setdefault(name, []).append(float(value))

    def close_epoch(self) -> None:
        """Tell of an epoch's metrics, once they are kept."""
        latest = {name: values[-1] for name, values in self.history.items()}
        self.tell(
            TrainingProgress(
                "epoch_ended", self.epoch, self.epochs, self.batches, self.batches, latest["loss"],
                latest["val_loss"], self.speed, self.seconds_left(), latest,
            )
        )  # fmt: skip


@cache
def keeper_class() -> Any:
    """The Keras callback ``Keeper``, imported only when a fit begins."""
    import keras

    class Keeper(keras.callbacks.Callback):  # type: ignore[misc]
        """Tells of progress, keeps the best variables and the state, and stops at the deadline.

        It stands behind the callbacks that decide (early stopping, falling learning rate), so that what it keeps
        has their decisions in it.
        """

        def __init__(self, run: FitRun, deciding: list[Any], start: FitState | None) -> None:
            super().__init__()
            self._run, self._deciding, self._start = run, deciding, start
            self._rate = 0.0

        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002  (Keras calls it so)
            """Go on from the state, if there is one."""
            if self._start is not None:
                _go_on(self.model, self._deciding, self._start)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            """A new epoch."""
            self._rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            self._run.open_epoch(epoch + 1)

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            """One gradient step."""
            self._run.step(batch, float((logs or {}).get("loss", np.nan)))
            if self._run.timed_out:
                self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            """Keep what the epoch brought."""
            self._run.note_epoch(logs or {}, self._rate)
            _keep(self.model, self._run)
            self._run.close_epoch()

    return Keeper


def _go_on(model: Any, deciding: list[Any], state: FitState) -> None:
    """Bring a network, its optimizer and the deciding callbacks to where a state stands.

    The callbacks are shown the epochs that were, so that what they have counted until then is theirs again.
    """
    for epoch in range(state.epoch):
        past = {name: values[epoch] for name, values in state.history.items()}
        for callback in deciding:
            callback.on_epoch_end(epoch, dict(past))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    assign(model.variables, state.variables)
    assign(model.optimizer.variables, state.optimizer)
    model.stop_training = False


def _keep(model: Any, run: FitRun) -> None:
    """Keep the variables of the best epoch in memory, and the state of a whole epoch on the disk."""
    if not np.isfinite(run.history["val_loss"][-1]):
        return
    if run.best_epoch == run.epoch:
        run.best = numbers(model.variables)
    # What a deadline cut short is no whole epoch: nobody could go on from it.
    if run.file is None or run.timed_out:
        return
    stopping = "early_stopping" if model.stop_training else ""
    ended = "max_epochs" if run.epoch == run.epochs else stopping
    state = FitState(
        dict(run.history), ended, numbers(model.variables), numbers(model.optimizer.variables), run.best
    )
    run.file.write(state)


def numbers(variables: Any) -> list[npt.NDArray[Any]]:
    """Copies of Keras variables, whatever the backend."""
    import keras

    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]


def assign(variables: Any, values: Any) -> None:
    """Give Keras variables their values."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
