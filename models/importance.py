"""Permutation importance: how much worse the forecasts get when one column is that of another moment.

After L. Breiman, Random Forests (2001), section 10, on whole windows: a column's sequence over the window is swapped
with the sequence that it had at another moment of the same symbol, so what the model sees inside a window is real, and
only the tie to the other columns and to the outcome is cut. Columns that say the same as another may share, or hide,
their importance: the model still reads the other one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.bootstrap import block_interval, block_minutes
from models.dataset import RowTable
from models.forecaster import Forecaster
from models.inspection_sample import evenly_spaced, served_weights
from models.log_loss import log_loss
from models.windows import MINUTE_MS, gather

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Windows = npt.NDArray[np.float32]
OnColumn = Callable[[str, int, int], None]
"""Told the column that is measured, and how many of how many measurements are done."""

MILLINATS = 1000.0
POINTS = 100.0
_BATCH = 256


class Effect(NamedTuple):
    """What shuffling a column does to one figure.

    Attributes:
        mean: Over the shuffles.
        deviation: The sample's over the shuffles, 0 of a single one.
        low: The least.
        high: The greatest.
        interval: 95 % interval of the mean over market time, by block bootstrap; None where the time is too short.
    """

    mean: float
    deviation: float
    low: float
    high: float
    interval: tuple[float, float] | None

    @property
    def told_from_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.interval is not None and (self.interval[0] > 0.0 or self.interval[1] < 0.0)

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return self._asdict() | {"interval": None if self.interval is None else list(self.interval)}


@dataclass(frozen=True, slots=True)
class ColumnImportance:
    """What a column is worth to the forecasts.

    Attributes:
        name: Of the column.
        log_loss: By how much the log loss rises, millinats.
        accuracy: By how much the direction accuracy falls, percentage points; None where no direction was said.
        moved: By how much the model's output changes either way on average, in shares of its deviation over the windows:
            what the model makes of the column, whether it helps or not. None where the output never changes.
    """

    name: str
    log_loss: Effect
    accuracy: Effect | None
    moved: float | None


@dataclass(frozen=True, slots=True)
class Importance:
    """The importance of every column of a model.

    Attributes:
        columns: In the model's order.
        log_loss: As it is, nats; a coin's is 0.6931.
        direction_accuracy: As it is; None where no direction was said.
        windows: How many were measured on.
        eligible: How many there were to draw from.
        repeats: Shuffles of each column.
        seed: Of the shuffles.
    """

    columns: tuple[ColumnImportance, ...]
    log_loss: float
    direction_accuracy: float | None
    windows: int
    eligible: int
    repeats: int
    seed: int

    @property
    def probability_moves(self) -> bool:
        """Whether any shuffle changed the log loss: not where a calibration found the forecasts worth nothing."""
        return any(column.log_loss.low != 0.0 or column.log_loss.high != 0.0 for column in self.columns)

    def ranked(self) -> list[ColumnImportance]:
        """The columns, the most important first; of equals the one that moves the output more."""
        return sorted(self.columns, key=lambda column: (-column.log_loss.mean, -(column.moved or 0.0)))

    def as_json(self) -> dict[str, Any]:
        """JSON values, the most important column first."""
        return {
            "windows": self.windows,
            "eligible_windows": self.eligible,
            "repeats": self.repeats,
            "seed": self.seed,
            "log_loss_nats": self.log_loss,
            "direction_accuracy": self.direction_accuracy,
            "columns": [
                {
                    "name": column.name,
                    "log_loss_increase_millinats": column.log_loss.as_json(),
                    "accuracy_decrease_points": None
                    if column.accuracy is None
                    else column.accuracy.as_json(),
                    "output_moved": column.moved,
                }
                for column in self.ranked()
            ],
        }


class _Judged(NamedTuple):
    """How some forecasts did, window by window, float64 [n] each; NaN where there is nothing to judge."""

    loss: Floats
    right: Floats
    output: Floats


def measure_importance(
    forecaster: Forecaster,
    rows: RowTable,
    eligible: Indices,
    *,
    windows: int,
    repeats: int,
    seed: int,
    on_column: OnColumn = lambda _name, _done, _total: None,
) -> Importance:
    """Measure every column of a model.

    An ensemble's moving weights stay those of the moment: shuffled are the inputs, not the past by which members
    were judged.

    Args:
        forecaster: The model.
        rows: Its scaled row table.
        eligible: Window ends whose future is known, in order of rows.
        windows: Measure on at most so many of them, evenly spaced.
        repeats: Shuffles of each column, at least 1; the same ones for every column.
        seed: Of the shuffles; same seed, same figures.
        on_column: Told of progress.

    Raises:
        DataError: Not two windows with a move are left to swap.
    """
    ends = evenly_spaced(eligible, windows)
    if np.count_nonzero(rows.future_return[ends]) < 2:
        raise DataError("fewer than two windows with a move are left: there is nothing to swap between")
    judge = _judge(forecaster, rows, ends)
    base = gather(rows.scaled, ends, forecaster.passport.window)
    before = judge(base)
    names = forecaster.passport.columns
    donors = [_donors(rows.symbol[ends], np.random.default_rng([seed, turn])) for turn in range(repeats)]
    shuffled, found = base.copy(), []
    for place, name in enumerate(names):
        after = []
        for turn, donor in enumerate(donors):
            on_column(name, place * repeats + turn, len(names) * repeats)
            shuffled[:, :, place] = base[donor, :, place]
            after.append(judge(shuffled))
        shuffled[:, :, place] = base[:, :, place]
        found.append(_compared(name, before, after, rows.ts[ends], forecaster.target.horizon))
    on_column("", len(names) * repeats, len(names) * repeats)
    loss, accuracy = float(np.nanmean(before.loss)), _share(before.right)
    return Importance(tuple(found), loss, accuracy, len(ends), len(eligible), repeats, seed)


def _judge(forecaster: Forecaster, rows: RowTable, ends: Indices) -> Callable[[Windows], _Judged]:
    """What tells how the forecasts at these ends do when the model is shown some windows."""
    weights = served_weights(forecaster, rows, ends)
    close, volatility, realized = rows.close[ends], rows.volatility[ends], rows.future_return[ends]

    def judge(windows: Windows) -> _Judged:
        pieces = [windows[start : start + _BATCH] for start in range(0, len(windows), _BATCH)]
        raw = np.concatenate([forecaster.infer(piece) for piece in pieces])
        said = forecaster.decode(raw, close, volatility, weights)
        decided = (realized != 0.0) & np.isfinite(said.expected_return) & (said.expected_return != 0.0)
        right = np.where(decided, np.sign(said.expected_return) == np.sign(realized), np.nan)
        return _Judged(log_loss(said.probability_up, realized), right, said.raw)

    return judge


def _donors(symbol: npt.NDArray[np.int16], rng: np.random.Generator) -> Indices:
    """For each window another one of the same symbol, in one random circle: each is taken once, none its own."""
    donors = np.arange(len(symbol), dtype=np.int64)
    for number in np.unique(symbol):
        circle = rng.permutation(np.flatnonzero(symbol == number))
        donors[circle] = np.roll(circle, 1)
    return donors


def _compared(
    name: str, before: _Judged, after: list[_Judged], ts: Indices, horizon: int
) -> ColumnImportance:
    """What the shuffles of one column did."""
    block = _block(ts, horizon)
    usual, shares = _share(before.right), [_share(one.right) for one in after]
    falls = [(usual - share) * POINTS for share in shares if usual is not None and share is not None]
    rises = [(one.loss - before.loss) * MILLINATS for one in after]
    missed = np.mean([(before.right - one.right) * POINTS for one in after], axis=0)
    changes = [np.abs(one.output - before.output).mean() for one in after]
    deviation = float(before.output.std())
    return ColumnImportance(
        name=name,
        log_loss=_effect([float(np.nanmean(rise)) for rise in rises], ts, np.mean(rises, axis=0), block),
        accuracy=_effect(falls, ts, missed, block) if len(falls) == len(after) else None,
        moved=None if deviation == 0.0 else float(np.mean(changes)) / deviation,
    )


def _effect(values: list[float], ts: Indices, by_window: Floats, block: int) -> Effect:
    """One figure over the shuffles, and what market time leaves open of it."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    found = block_interval(ts, by_window, block=block)
    interval = None if found is None else (found.low, found.high)
    return Effect(float(np.mean(values)), deviation, min(values), max(values), interval)


def _block(ts: Indices, horizon: int) -> int:
    """The length of a block in sampled minutes: those of ``block_minutes`` lie so far apart."""
    steps = np.diff(np.unique(ts))
    apart = float(np.median(steps)) / MINUTE_MS if len(steps) else 1.0
    return max(1, int(np.ceil(block_minutes(horizon) / apart)))


def _share(flags: Floats) -> float | None:
    """Mean of what is not NaN; None when nothing is."""
    present = flags[np.isfinite(flags)]
    return float(present.mean()) if len(present) else None
