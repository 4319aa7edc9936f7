"""A network that is refitted again and again in one process: built once, each fit begins where the last one ended.

For audits, which fit hundreds of times: a recipe's network is built, traced and exported anew each time, which takes
longer than a small fit itself.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from models.architectures import build
from models.recipe_sections import StackedLstmSection
from models.windows import batches, gather

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

BATCH = 512
SPOKEN_BATCH = 2048


class RollingFit:
    """A stacked LSTM over windows of one row table.

    Args:
        table: float32 [n, f]; may be replaced between two fits.
        window: Rows of a window.
        units: Of each layer.
        dropout: After each layer.
        learning_rate: Of Adam.
        seed: Of the first weights, the order of windows, and dropout.
    """

    def __init__(
        self,
        table: npt.NDArray[np.float32],
        *,
        window: int,
        units: tuple[int, ...] = (16,),
        dropout: float = 0.1,
        learning_rate: float = 0.001,
        seed: int = 7,
    ) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras

        keras.utils.clear_session()
        keras.utils.set_random_seed(seed)
        self.table = table
        self._window = window
        self._order = np.random.default_rng(seed)
        section = StackedLstmSection(kind="stacked_lstm", units=list(units), dropout=dropout)
        self._model: Any = build(section, window, table.shape[1]).trained
        self._model.compile(optimizer=keras.optimizers.Adam(learning_rate), loss="huber")

    def fit(
        self, ends: Indices, target: Floats, watched: Indices, watched_target: Floats, *, epochs: int
    ) -> None:
        """Train for some epochs and keep the weights of the one that did best on what is only watched.

        Args:
            ends: int64 [n], last rows of the windows to learn from.
            target: float64 [n].
            watched: int64 [m], last rows of the windows that choose the epoch.
            watched_target: float64 [m].
            epochs: How many.
        """
        best, kept = np.inf, self._model.get_weights()
        for _ in range(epochs):
            order = self._order.permutation(len(ends))
            for places in batches(order, BATCH):
                if len(places) == BATCH:  # another size would be traced anew
                    self._model.train_on_batch(
                        gather(self.table, ends[places], self._window), target[places].astype(np.float32)
                    )
            error = float(np.mean((self.say(watched) - watched_target) ** 2))
            if error < best:
                best, kept = error, self._model.get_weights()
        self._model.set_weights(kept)

    def say(self, ends: Indices) -> Floats:
        """The network's output for the windows that end at these rows, float64 [n]."""
        said = np.empty(len(ends))
        for start in range(0, len(ends), SPOKEN_BATCH):
            piece = ends[start : start + SPOKEN_BATCH]
            # One size of batch, since each other one would be traced anew.
            padded = np.resize(piece, SPOKEN_BATCH)
            output = self._model.predict_on_batch(gather(self.table, padded, self._window))
            said[start : start + len(piece)] = np.asarray(output)[: len(piece), 0]
        return said
