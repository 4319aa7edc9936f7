"""Candles with an edge that is known, for tests of whether a pipeline would find one."""

from __future__ import annotations

import numpy as np

from models.candle_arrays import CandleArrays
from tests.random_candles import START_MS


def planted_candles(count: int, *, seed: int, pull: float = 0.12) -> CandleArrays:
    """A market that returns: log price is a slow walk plus a fast wave that reverts by ``pull`` each minute."""
    rng = np.random.default_rng(seed)
    wave = np.zeros(count)
    shocks = rng.normal(size=count) * 5e-4
    for index in range(1, count):
        wave[index] = (1.0 - pull) * wave[index - 1] + shocks[index]
    close = 100.0 * np.exp(wave + np.cumsum(rng.normal(size=count) * 1e-4))
    open_ = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(open_, close) * 1.0001, np.minimum(open_, close) * 0.9999
    volume = rng.lognormal(2.0, 0.5, count)
    ts = START_MS + np.arange(count, dtype=np.int64) * 60_000
    return CandleArrays(ts, open_, high, low, close, volume)
