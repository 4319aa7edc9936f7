"""A stretch of one symbol's candles as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class CandleArrays:
    """Candles of one symbol in order of time, one array a column, all of length n.

    Attributes:
        ts: UTC open time in milliseconds, int64, strictly increasing, whole minutes; gaps are allowed.
        open: float64; so are high, low, close and volume.
    """

    ts: npt.NDArray[np.int64]
    open: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    close: npt.NDArray[np.float64]
    volume: npt.NDArray[np.float64]

    def __len__(self) -> int:
        """How many candles."""
        return len(self.ts)

    def rows(self, start: int, stop: int) -> CandleArrays:
        """The candles with index start <= i < stop, as views."""
        return CandleArrays(
            self.ts[start:stop],
            self.open[start:stop],
            self.high[start:stop],
            self.low[start:stop],
            self.close[start:stop],
            self.volume[start:stop],
        )

    def between(self, since_ms: int, until_ms: int) -> CandleArrays:
        """The candles with since_ms <= ts < until_ms, as views."""
        start, stop = np.searchsorted(self.ts, [since_ms, until_ms])
        return self.rows(int(start), int(stop))
