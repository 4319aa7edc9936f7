"""Predictions from a seed: no model, no edge, but trades enough to compare drivers with.

The number of a symbol's minute depends on the seed, the symbol and the minute alone, not on where a tape begins:
every day has its own generator.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from backtests.inputs import Floats, PredictionColumns, rounded
from bot.core.market import DAY_MS, MINUTE_MS, Symbol
from models.candle_arrays import CandleArrays

VOLATILITY_MINUTES = 60
SPREAD = 6.0
"""Standard deviation of the predictions in units of the last hour's volatility of one minute."""

LEAST_VOLATILITY = 0.0003
"""3 bps a minute: in quieter hours predictions are spread as if it were this, so that trades happen still."""

HORIZON_MINUTES = 15

REFRESH_MINUTES = 2
"""A prediction changes its sign and size every so many minutes: a trade lasts longer than a minute."""


def seeded_predictions(symbol: Symbol, arrays: CandleArrays, seed: int) -> PredictionColumns:
    """A prediction on every candle: normal, as wide as ``SPREAD`` times the local volatility.

    Args:
        symbol: Part of what the numbers depend on.
        arrays: n candles.
        seed: Not negative.

    Returns:
        n predictions; those of a minute are the same whichever candles lie around it, but for the volatility
        of the first hour of a stretch.
    """
    spread = SPREAD * np.maximum(_volatility(arrays.close), LEAST_VOLATILITY)
    return PredictionColumns(
        ts=arrays.ts,
        expected_return=rounded(_noise(symbol, arrays.ts, seed) * spread),
        model_id=f"seed{seed}",
        horizon_minutes=HORIZON_MINUTES,
    )


def _noise(symbol: Symbol, ts: npt.NDArray[np.int64], seed: int) -> Floats:
    """Standard normal numbers, one for each ``REFRESH_MINUTES``."""
    values = np.empty(len(ts))
    days = ts // DAY_MS
    minutes = ts % DAY_MS // MINUTE_MS
    for day in np.unique(days).tolist():
        generator = np.random.default_rng([seed, zlib.crc32(symbol.encode()), day])
        chosen = days == day
        numbers = generator.standard_normal(DAY_MS // MINUTE_MS // REFRESH_MINUTES)
        values[chosen] = numbers[minutes[chosen] // REFRESH_MINUTES]
    return values


def _volatility(close: Floats) -> Floats:
    """Root mean square log return of the last ``VOLATILITY_MINUTES`` candles, as many as there are."""
    squares = np.diff(np.log(close), prepend=np.log(close[0])) ** 2
    totals = np.convolve(squares, np.ones(VOLATILITY_MINUTES))[: len(close)]
    counts = np.clip(np.arange(len(close)), 1, VOLATILITY_MINUTES)
    return np.sqrt(totals / counts)
