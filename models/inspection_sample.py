"""What an inspection looks at: a stored model, and windows of candles that it was not made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.assessment import moving_weights, unseen
from models.candle_arrays import CandleArrays
from models.dataset import RowTable, build_rows, compute_tables
from models.forecaster import Forecaster, load_forecaster
from models.windows import MINUTE_MS

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

STRETCH_MINUTES = 300


@dataclass(frozen=True, slots=True, eq=False)
class InspectionSample:
    """A model and the windows to look at.

    Attributes:
        forecaster: The model.
        rows: The scaled row table of all symbols.
        ends: Window ends that are looked at, in order of rows; the last ones may have no future yet.
        withheld: bool, by row: whether the bot would give no forecast there, since more than 1 % of the window's
            values lie beyond what was seen in training.
        in_sample: Whether windows of the training's time were kept.
        training_known: Whether the passport says what the model was made from.
        left_out: Windows of the training's time that were left out.
    """

    forecaster: Forecaster
    rows: RowTable
    ends: Indices
    withheld: npt.NDArray[np.bool_]
    in_sample: bool
    training_known: bool
    left_out: int

    @property
    def labelled(self) -> Indices:
        """The window ends whose future is known."""
        return self.ends[np.isfinite(self.rows.future_return[self.ends])]

    def moment(self, at_ms: int | None) -> int:
        """The window end that is shown by itself: the newest at or before a time, in the first symbol that has one.

        Without a time it is the newest window whose whole forecast can be compared with what came, or else the
        newest of all.

        Raises:
            DataError: There is no such window.
        """
        rows, ends = self.rows, self.ends[self.rows.symbol[self.ends] == self.rows.symbol[self.ends[0]]]
        if at_ms is None:
            reach = self.forecaster.target.reach
            known = ends[ends + reach < len(rows.ts)]
            whole = known[
                (rows.symbol[known + reach] == rows.symbol[known])
                & (rows.ts[known + reach] == rows.ts[known] + reach * MINUTE_MS)
            ]
            return int(whole[-1] if len(whole) else ends[-1])
        before = ends[rows.ts[ends] <= at_ms]
        if not len(before):
            raise DataError(
                "no window ends at or before the time asked for by --at: it may lie before the first whole window, or "
                "in the time that the model was made from (--in-sample shows that too)"
            )
        return int(before[-1])

    def stretch(self, at_ms: int | None) -> Indices:
        """The window ends of the moment's symbol in the last 300 minutes, or in the 300 around a moment."""
        rows = self.rows
        ends = self.ends[rows.symbol[self.ends] == rows.symbol[self.moment(at_ms)]]
        half = STRETCH_MINUTES // 2 * MINUTE_MS
        until = int(rows.ts[ends[-1]]) if at_ms is None else int(rows.ts[self.moment(at_ms)]) + half
        chosen = (rows.ts[ends] <= until) & (rows.ts[ends] > until - STRETCH_MINUTES * MINUTE_MS)
        found: Indices = ends[chosen]
        return found


def read_sample(
    folder: Path, series: Mapping[str, CandleArrays], *, in_sample: bool = False
) -> InspectionSample:
    """Load a model and compute its rows, leaving out the windows of the time that it was made from.

    Args:
        folder: The artifact; verified first.
        series: Candles of each symbol.
        in_sample: Keep the time of training too.

    Raises:
        ModelError: The artifact is refused.
        DataError: The candles are malformed, hold no whole window, or are all from the training's time.
    """
    forecaster = load_forecaster(folder, threads=2)
    passport = forecaster.passport
    tables = compute_tables(forecaster.features, series)
    beyond = [
        _windowed(forecaster.scaler.outside(table.matrix), passport.window) for table in tables.values()
    ]
    rows = build_rows(series, tables, forecaster.scaler, forecaster.target, passport.window)
    if not len(rows.ends):
        raise DataError(
            f"the candles hold no whole window: model {passport.model_id} needs "
            f"{240 + passport.window} contiguous minutes"
        )
    kept = rows.ends if in_sample else rows.ends[unseen(forecaster, rows.ts[rows.ends])]
    if not len(kept):
        raise DataError(
            f"all {len(rows.ends)} windows are from the time that model {passport.model_id} was made from; give "
            "other candles, or --in-sample to look at the fit"
        )
    return InspectionSample(
        forecaster=forecaster,
        rows=rows,
        ends=kept,
        withheld=np.concatenate(beyond) > forecaster.most_outside,
        in_sample=in_sample,
        training_known=bool(passport.ranges),
        left_out=len(rows.ends) - len(kept),
    )


def evenly_spaced(ends: Indices, most: int) -> Indices:
    """At most so many of some window ends, evenly spaced, the first among them."""
    kept = min(len(ends), most)
    return ends[np.arange(kept, dtype=np.int64) * len(ends) // max(kept, 1)]


def served_weights(forecaster: Forecaster, rows: RowTable, ends: Indices) -> Floats | None:
    """An ensemble's moving weights at some window ends, followed minute by minute up to them as when serving.

    None where weights do not move.
    """
    combination = forecaster.combination
    if combination is None or not combination.moves or not len(ends):
        return None
    memory = combination.memory_minutes(forecaster.target.horizon) * MINUTE_MS
    number, times = rows.symbol[rows.ends], rows.ts[rows.ends]
    needed = np.zeros(len(rows.ends), np.bool_)
    for symbol in np.unique(rows.symbol[ends]):
        asked = rows.ts[ends[rows.symbol[ends] == symbol]]
        needed |= (number == symbol) & (times >= asked.min() - memory) & (times <= asked.max())
    trail = rows.ends[needed]
    weights = moving_weights(forecaster, rows, forecaster.infer_series(rows.scaled, trail), trail)
    return None if weights is None else weights[np.searchsorted(trail, ends)]


def _windowed(counts: Indices, window: int) -> Indices:
    """At each row the sum of the counts over the window that ends there, the first rows over what there is."""
    total = np.concatenate([[0], np.cumsum(counts)])
    first = np.maximum(np.arange(1, len(total)) - window, 0)
    summed: Indices = total[1:] - total[first]
    return summed
