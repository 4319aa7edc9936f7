"""One symbol's scaled feature rows, candle by candle: equal to the bit to computing the whole series at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.candle_arrays import CandleArrays
from models.feature_sets import StepKernel
from models.features import BLOCK_MINUTES, LEAD_MINUTES, MINUTE_MS, FeatureSet, anchor_minute
from models.scaling import Scaler

_REACH = LEAD_MINUTES + BLOCK_MINUTES
"""The farthest that a row looks back, in candles."""


class FeatureStream:
    """The trailing candles and feature rows of one symbol, in arrays that never grow.

    Attributes:
        last_ts: Open time of the newest candle, ms; None before the first.
        close: Its close; NaN before the first.
        volatility: Causal volatility at it, as a fraction; NaN while history is short.
        outside: How many values of the window lie beyond what was seen in training; of the rows there are while it
            is not whole.
        newest_outside: How many of the newest row do.
    """

    def __init__(self, features: FeatureSet, window: int, scaler: Scaler) -> None:
        self.last_ts: int | None = None
        self.close = float("nan")
        self.volatility = float("nan")
        self.outside = self.newest_outside = 0
        self._features = features
        self._window = window
        self._scaler = scaler
        # Rows slide through a buffer twice as long as needed: one short copy a few hundred candles.
        capacity = 2 * (_REACH + window)
        columns = [np.zeros(capacity) for _ in range(5)]
        self._candles = CandleArrays(np.zeros(capacity, np.int64), *columns)
        # Scaled once, when they come: a window is then a view, with nothing left to compute.
        self._rows = np.zeros((capacity, len(features.columns)), np.float32)
        self._outside = np.zeros(capacity, np.int64)
        kernel = features.kernel
        self._step = kernel if isinstance(kernel, StepKernel) else None
        # What each candle gives by itself, from an anchor on; it holds until the anchor moves.
        self._each = np.zeros((0 if self._step is None else self._step.width, capacity))
        self._anchored = -1
        self._capacity = capacity
        self._end = 0
        self._held = 0
        self._first_minute = 0
        self._valid_run = 0

    def forget(self) -> None:
        """Empty the history and the window."""
        self._end = self._held = self._valid_run = 0
        self._anchored = -1
        self.last_ts = None
        self.close = self.volatility = float("nan")
        self.outside = self.newest_outside = 0

    def append(self, ts: int, open_: float, high: float, low: float, close: float, volume: float) -> bool:
        """Take in one closed candle and compute its row; True when the window is whole.

        A gap empties what was held before it.

        Raises:
            DataError: The candle is not newer than the last one.
        """
        self._begin(ts)
        index = self._push(ts, (open_, high, low, close, volume))
        columns, scale = self._newest(ts)
        row = columns[:, 0]
        self._rows[index] = self._scaler.transform(row)
        self._count_outside(index, int(self._scaler.outside(row)))
        self.close, self.volatility = close, float(scale[0])
        finite = self.volatility == self.volatility and bool(np.isfinite(row).all())
        self._valid_run = self._valid_run + 1 if finite else 0
        return self.ready

    def rehearse(self) -> None:
        """Compute the newest row once more and drop it: what is kept stays as it is, to the bit."""
        if self.last_ts is not None:
            row = self._newest(self.last_ts)[0][:, 0]
            self._scaler.transform(row)
            self._scaler.outside(row)

    def load(self, candles: CandleArrays) -> None:
        """Replace everything by the newest of these candles; a gap in them empties what came before it.

        Raises:
            DataError: As ``FeatureSet.compute``.
        """
        self.forget()
        recent = candles.rows(max(0, len(candles) - _REACH - self._window), len(candles))
        if not len(recent):
            return
        table = self._features.compute(recent)
        gaps = np.flatnonzero(np.diff(recent.ts) != MINUTE_MS)
        first = int(gaps[-1]) + 1 if len(gaps) else 0
        self._end = self._held = len(recent) - first
        for target, source in zip(_columns(self._candles), _columns(recent), strict=True):
            target[: self._end] = source[first:]
        with np.errstate(invalid="ignore"):
            self._rows[: self._end] = self._scaler.transform(table.matrix[first:])
        outside = self._outside[: self._end] = self._scaler.outside(table.matrix[first:])
        self.outside, self.newest_outside = int(outside[-self._window :].sum()), int(outside[-1])
        invalid = np.flatnonzero(~table.valid[first:])
        self._valid_run = self._end - (int(invalid[-1]) + 1 if len(invalid) else 0)
        self._first_minute = int(recent.ts[first]) // MINUTE_MS
        self.last_ts = int(recent.ts[-1])
        self.close, self.volatility = float(recent.close[-1]), float(table.volatility[-1])

    @property
    def ready(self) -> bool:
        """Whether the last ``window`` rows are all there, contiguous and valid."""
        return self._valid_run >= self._window

    def farthest_column(self) -> str | None:
        """The column with the most values of the window beyond what was seen in training; None where none is."""
        counts = self._scaler.beyond(self.window_features()).sum(axis=0)
        return self._features.columns[int(counts.argmax())] if counts.any() else None

    def window_features(self) -> npt.NDArray[np.float64]:
        """The last ``window`` rows before scaling, float64 [window, f].

        Rows are kept scaled, so they are computed once more: for a person to read, not for every minute.
        """
        kept = min(self._held, _REACH + self._window)
        rows = self._features.compute(self._candles.rows(self._end - kept, self._end)).matrix
        return rows[-self._window :]

    def window(self) -> npt.NDArray[np.float32]:
        """The last ``window`` rows, scaled, float32 [window, f], as a view that the next candle may overwrite."""
        return self._rows[self._end - self._window : self._end]

    def newest_row(self) -> npt.NDArray[np.float32] | None:
        """The newest row, scaled, float32 [f], finite or not; None before the first."""
        return self._rows[self._end - 1].copy() if self._held else None

    def trailing_closes(self, count: int) -> npt.NDArray[np.float64]:
        """The last ``count`` closes, contiguous, float64 [count]; NaN in front where fewer are held.

        Raises:
            ValueError: More are asked for than a stream keeps.
        """
        if count > _REACH + self._window:
            raise ValueError(f"a stream keeps {_REACH + self._window} candles, not {count}")
        held = min(self._held, count)
        closes = np.full(count, np.nan)
        closes[count - held :] = self._candles.close[self._end - held : self._end]
        return closes

    def _newest(self, ts: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The row of the newest candle, which opened at ``ts``, computed from its anchor on."""
        minute, stop = ts // MINUTE_MS, self._end
        start = stop - 1 - (minute - anchor_minute(minute, self._first_minute))
        candles, step = self._candles.rows(start, stop), self._step
        if step is None:
            return self._features.kernel(candles, 1)
        fresh = stop - 1 if start == self._anchored else start
        base = float(candles.close[0])
        self._each[:, fresh:stop] = step.each(self._candles.rows(fresh, stop), base)
        self._anchored = start
        return step.rows(candles, self._each[:, start:stop], 1)

    def _begin(self, ts: int) -> None:
        """Start a new contiguous stretch where this candle does not follow the last one."""
        if self.last_ts is not None and ts <= self.last_ts:
            raise DataError(f"a candle of {ts} arrived after the one of {self.last_ts}")
        if self.last_ts is None or ts != self.last_ts + MINUTE_MS:
            self.forget()
            self._first_minute = ts // MINUTE_MS
        self.last_ts = ts

    def _count_outside(self, index: int, newest: int) -> None:
        """Count the newest row in, and out the one that leaves the window; a sum of all rows would cost 3 µs."""
        self._outside[index] = self.newest_outside = newest
        self.outside += newest
        if self._held > self._window:
            self.outside -= int(self._outside[index - self._window])

    def _push(self, ts: int, values: tuple[float, ...]) -> int:
        """Store a candle behind the others and return its index, sliding the buffer when it is full."""
        if self._end == self._capacity:
            keep = min(self._held, _REACH + self._window)
            for column in (*_columns(self._candles), self._rows, self._outside):
                column[:keep] = column[self._end - keep : self._end].copy()
            self._end = self._held = keep
            self._anchored = -1
            self._first_minute = max(self._first_minute, ts // MINUTE_MS - keep)
        index = self._end
        candles = self._candles
        candles.ts[index] = ts
        for column, value in zip(_columns(candles)[1:], values, strict=True):
            column[index] = value
        self._end += 1
        self._held += 1
        return index


def _columns(candles: CandleArrays) -> tuple[npt.NDArray[np.generic], ...]:
    """Every array of a CandleArrays, time first."""
    return (candles.ts, candles.open, candles.high, candles.low, candles.close, candles.volume)
