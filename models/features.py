"""From candles to feature rows: exactly causal, and the same to the bit for a stream and for a year at once.

Recursive indicators depend on where they start, so their start is fixed by the calendar. Minutes since the
epoch are cut into blocks of ``BLOCK_MINUTES``; the rows of a block are computed from an anchor
``LEAD_MINUTES`` before the block, or from the start of the contiguous stretch where that is later. A whole
block computed at once and its newest row computed alone run the same instructions over the same numbers.
After ``LEAD_MINUTES`` the slowest recursion (MACD's 26) has forgotten its start to 1e-16.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bot.errors import DataError, ModelError
from models.candle_arrays import CandleArrays
from models.feature_sets import (
    MINMAX_CLOSE_COLUMNS,
    SCALPING_COLUMNS,
    Kernel,
    minmax_close_kernel,
    scalping_kernel,
)
from models.reference_feature_sets import (
    DEEP_PRICE_COLUMNS,
    DIRECTION_COLUMNS,
    deep_price_kernel,
    direction_kernel,
)

MINUTE_MS = 60_000
BLOCK_MINUTES = 240
LEAD_MINUTES = 480


class FeatureTable(NamedTuple):
    """Feature rows of one symbol, aligned with its candles.

    Attributes:
        matrix: float64 [n, f]; NaN where a row lacks history.
        valid: bool [n]: every column and the volatility are finite.
        volatility: float64 [n], causal standard deviation of one-minute log returns, as a fraction.
    """

    matrix: npt.NDArray[np.float64]
    valid: npt.NDArray[np.bool_]
    volatility: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A named, versioned list of feature columns.

    Attributes:
        name: Name without the version, such as ``scalping``.
        version: Raised whenever any number of any column changes; an artifact of another version is refused.
        columns: Names of the columns, in order.
        kernel: What computes them over one contiguous stretch.
    """

    name: str
    version: int
    columns: tuple[str, ...]
    kernel: Kernel

    @property
    def tag(self) -> str:
        """Name and version in one word, as recipes spell it: ``scalping-v1``."""
        return f"{self.name}-v{self.version}"

    def history_minutes(self, window: int) -> int:
        """How many trailing candles are enough to compute the last ``window`` rows exactly."""
        return LEAD_MINUTES + BLOCK_MINUTES + window

    def compute(self, candles: CandleArrays) -> FeatureTable:
        """Compute every row of one symbol's candles.

        Raises:
            DataError: Times do not rise by whole minutes, or a price is not a positive finite number.
        """
        check_candles(candles)
        candles = _contiguous(candles)
        rows = len(candles)
        matrix = np.full((rows, len(self.columns)), np.nan)
        volatility = np.full(rows, np.nan)
        for anchor, start, stop in _blocks(candles.ts):
            columns, scale = self.kernel(candles.rows(anchor, stop), stop - start)
            matrix[start:stop] = columns.T
            volatility[start:stop] = scale
        valid = np.isfinite(matrix).all(axis=1) & np.isfinite(volatility)
        return FeatureTable(matrix, valid, volatility)


FEATURE_SETS = {
    feature_set.tag: feature_set
    for feature_set in (
        FeatureSet("scalping", 1, SCALPING_COLUMNS, scalping_kernel),
        FeatureSet("minmax-close", 1, MINMAX_CLOSE_COLUMNS, minmax_close_kernel),
        FeatureSet("deep-price", 1, DEEP_PRICE_COLUMNS, deep_price_kernel),
        FeatureSet("direction", 1, DIRECTION_COLUMNS, direction_kernel),
    )
}


def feature_set(tag: str) -> FeatureSet:
    """The feature set of a tag such as ``scalping-v1``; ModelError when this program has none of that name."""
    try:
        return FEATURE_SETS[tag]
    except KeyError:
        known = ", ".join(sorted(FEATURE_SETS))
        raise ModelError(f"the feature set {tag!r} is not known here (known: {known})") from None


def segments(ts: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Index ranges [start, stop) of contiguous minutes."""
    if len(ts) == 0:
        return
    cuts = np.flatnonzero(np.diff(ts) != MINUTE_MS) + 1
    bounds = [0, *cuts.tolist(), len(ts)]
    yield from itertools.pairwise(bounds)


def anchor_minute(minute: int, first_minute: int) -> int:
    """Where the computation of a minute's row starts, when the contiguous stretch starts at ``first_minute``."""
    return max(minute // BLOCK_MINUTES * BLOCK_MINUTES - LEAD_MINUTES, first_minute)


def check_candles(candles: CandleArrays) -> None:
    """Refuse candles that features cannot be computed from, naming the first bad row."""
    ts = candles.ts
    if np.any(ts % MINUTE_MS):
        raise DataError(
            f"candle times must be whole minutes; row {int(np.argmax(ts % MINUTE_MS != 0))} is not"
        )
    if np.any(np.diff(ts) <= 0):
        raise DataError(f"candle times must rise; row {int(np.argmax(np.diff(ts) <= 0)) + 1} does not")
    for name in ("open", "high", "low", "close", "volume"):
        column = getattr(candles, name)
        bad = ~np.isfinite(column) | ((column <= 0.0) if name != "volume" else (column < 0.0))
        if bad.any():
            raise DataError(f"column {name} has a value that no market shows in row {int(np.argmax(bad))}")


def _blocks(ts: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """(anchor, start, stop) row indices of every block of every contiguous stretch."""
    for first, last in segments(ts):
        first_minute = int(ts[first]) // MINUTE_MS
        start = first
        while start < last:
            minute = first_minute + start - first
            block_end = (minute // BLOCK_MINUTES + 1) * BLOCK_MINUTES
            stop = min(last, first + block_end - first_minute)
            yield first + anchor_minute(minute, first_minute) - first_minute, start, stop
            start = stop


def _contiguous(candles: CandleArrays) -> CandleArrays:
    """The same candles with every column in one piece, as TA-Lib needs them."""
    prices = (candles.open, candles.high, candles.low, candles.close, candles.volume)
    columns = [np.ascontiguousarray(column, dtype=np.float64) for column in prices]
    return CandleArrays(np.ascontiguousarray(candles.ts, dtype=np.int64), *columns)
