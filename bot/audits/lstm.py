"""The weekly pipeline with an LSTM in place of the quick model: small, and each week goes on from the last one's weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bot.retraining.fast import FastLearner, Floats, Indices, Range, Say
from models.candle_arrays import CandleArrays
from models.rolling_fit import RollingFit

WINDOW = 60
UNITS = (16,)
TRAIN_STRIDE = 10
"""Windows a minute apart share all rows but one."""
WATCH_STRIDE = 15
SPOKEN_STRIDE = 5
FIRST_EPOCHS, LATER_EPOCHS = 6, 2
CLIP = 8.0


class LstmLearner(FastLearner):
    """A stacked LSTM on the scaled rows of the window, refitted each week.

    Args:
        series: Candles of each symbol.
        seed: Of the network.
        horizon: Minutes ahead.
        train_minutes: How many minutes each fit looks back.
    """

    def __init__(
        self, series: Mapping[str, CandleArrays], *, seed: int, horizon: int, train_minutes: int
    ) -> None:
        super().__init__(series, horizon=horizon, train_minutes=train_minutes)
        self._seed = seed
        self._rows = self.table.sums.matrix[:, 1 : 1 + self.table.rows]
        self._network: RollingFit | None = None

    def learn(self, train: list[Range], stop: list[Range]) -> Say:
        """Scale by the train slice, go on from last week's weights, keep the epoch that does best on early stop."""
        seen = np.concatenate([np.arange(*span) for span in train])
        seen = seen[self.table.whole[seen]]
        mean, spread = self._rows[seen].mean(axis=0), np.maximum(self._rows[seen].std(axis=0), 1e-9)
        scaled = np.clip((self._rows - mean) / spread, -CLIP, CLIP).astype(np.float32)
        epochs = LATER_EPOCHS
        if self._network is None:
            self._network = RollingFit(scaled, window=WINDOW, units=UNITS, seed=self._seed)
            epochs = FIRST_EPOCHS
        network = self._network
        network.table = scaled
        watched = np.concatenate([np.arange(*span) for span in stop])
        watched = watched[self.table.whole[watched]][::WATCH_STRIDE]
        learnt = seen[::TRAIN_STRIDE]
        network.fit(learnt, self._target(learnt), watched, self._target(watched), epochs=epochs)
        return network.say

    def calibration_rows(self, rows: Indices) -> Indices:
        """Fewer rows than there are, evenly spaced: their labels overlap."""
        return rows[::SPOKEN_STRIDE]

    def _target(self, rows: Indices) -> Floats:
        """Standardized returns, cut as for the quick model."""
        target: Floats = self.table.sums.matrix[rows, self.table.inputs + 1]
        return target
