"""Windows are never materialised: a scaled row table, the indices where a whole window ends, and gathers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.errors import ConfigError, DataError

MINUTE_MS = 60_000

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TimeSlices:
    """The purged slices of a training run: half-open ranges of window end times, ms.

    A window ends at its last candle's open time. Between two slices lies the embargo, and a slice's labels
    are known before the slice ends, so that no window of a later slice shares a row with an earlier label.
    """

    train: tuple[int, int]
    early_stop: tuple[int, int]
    calibrate: tuple[int, int]
    test: tuple[int, int]

    def as_dict(self) -> dict[str, list[int]]:
        """Name -> [from, until) for the passport."""
        return {name: list(getattr(self, name)) for name in ("train", "early_stop", "calibrate", "test")}


def window_ends(ts: Indices, valid: npt.NDArray[np.bool_], window: int) -> Indices:
    """Indices i such that rows i - window + 1 to i are contiguous minutes and all valid."""
    if len(ts) < window:
        return np.empty(0, np.int64)
    # The newest index at or before i where a run must start anew: an invalid row or the first after a gap.
    index = np.arange(len(ts))
    fresh = np.concatenate([[True], np.diff(ts) != MINUTE_MS])
    start = np.maximum.accumulate(np.where(valid, np.where(fresh, index, 0), index + 1))
    return np.flatnonzero(index - start + 1 >= window).astype(np.int64)


def purged_slices(
    end_times: Indices,
    fractions: tuple[float, float, float, float],
    *,
    horizon: int,
    embargo: int,
) -> TimeSlices:
    """Cut the time of all symbols' windows, pooled, into train, early stop, calibrate and test.

    Args:
        end_times: Window end times of every symbol, ms, in any order.
        fractions: Shares of the windows; a calibrate share of 0 makes it the early-stop slice.
        horizon: Minutes until a label is known.
        embargo: Minutes left out between slices; at least the window and the horizon.

    Raises:
        ConfigError: The shares do not add up to 1.
        DataError: A slice would be empty.
    """
    if abs(sum(fractions) - 1.0) > 1e-9 or min(fractions) < 0.0:
        raise ConfigError(f"the shares of the time split must add up to 1, not {sum(fractions):g}")
    if not len(end_times):
        raise DataError("the candles hold no whole window to train on")
    times = np.sort(end_times)
    places = np.minimum(np.cumsum(fractions) * len(times), len(times) - 1).astype(int)
    edges = [int(times[0]), *(int(times[place]) for place in places[:3]), int(times[-1]) + MINUTE_MS]
    slices: list[tuple[int, int]] = []
    for number, (since, until) in enumerate(itertools.pairwise(edges)):
        start = since + (embargo * MINUTE_MS if number else 0)
        # The last slice is cut by what candles there are: a label without its future is NaN anyway.
        stop = until - (horizon * MINUTE_MS if number < 3 else 0)
        slices.append((start, stop))
    if fractions[2] == 0.0:
        slices[2] = slices[1]
    if any(stop <= start for start, stop in slices):
        raise DataError(
            f"{len(times)} windows are too few for four slices with {embargo} minutes between them; "
            "train on a longer stretch of candles"
        )
    return TimeSlices(*slices)


def within(times: Indices, bounds: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which of the times lie in [from, until)."""
    return (times >= bounds[0]) & (times < bounds[1])


def gather(
    table: npt.NDArray[np.float32],
    ends: Indices,
    window: int,
) -> npt.NDArray[np.float32]:
    """Windows float32 [len(ends), window, f] out of a row table [n, f]."""
    return np.take(table, ends[:, None] + np.arange(1 - window, 1), axis=0)


def batches(ends: Indices, size: int) -> Iterator[Indices]:
    """The end indices in pieces of at most ``size``."""
    for start in range(0, len(ends), size):
        yield ends[start : start + size]
