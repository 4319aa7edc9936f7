"""Seeded random candles for tests of whatever reads candles as columns."""

from __future__ import annotations

import numpy as np

from models.candle_arrays import CandleArrays

START_MS = 1_700_000_040_000 // 60_000 * 60_000


def random_candles(
    count: int,
    *,
    seed: int,
    start_ms: int = START_MS,
    price: float = 100.0,
    gaps: tuple[int, ...] = (),
    quiet_share: float = 0.0,
) -> CandleArrays:
    """A random walk of ``count`` sound candles.

    Args:
        count: How many.
        seed: Same seed, same candles.
        start_ms: Open time of the first.
        price: Where the walk starts.
        gaps: Before each of these indices some minutes are missing.
        quiet_share: Share of candles without a trade: no range, no volume.
    """
    rng = np.random.default_rng(seed)
    quiet = rng.random(count) < quiet_share
    move = np.where(quiet, 0.0, rng.standard_t(4, count) * 5e-4)
    close = price * np.exp(np.cumsum(move))
    open_ = np.concatenate([[price], close[:-1]])
    reach = np.where(quiet, 0.0, np.abs(rng.normal(size=(2, count))) * 3e-4)
    high = np.maximum(open_, close) * (1.0 + reach[0])
    low = np.minimum(open_, close) * (1.0 - reach[1])
    volume = np.where(quiet, 0.0, rng.lognormal(2.0, 1.0, count))
    steps = np.ones(count, np.int64)
    steps[0] = 0
    for index in gaps:
        steps[index] += int(rng.integers(1, 300))
    ts = start_ms + np.cumsum(steps) * 60_000
    return CandleArrays(ts, open_, high, low, close, volume)
