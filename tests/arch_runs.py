"""Resamples that the library arch drew, as runs; and dependent series to draw from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from models.bootstrap import Runs


def arch_runs(indices: npt.NDArray[np.int64]) -> Runs:
    """Runs of consecutive minutes, going around the end, of int64 [draws, length] places that were drawn."""
    length = indices.shape[1]
    found = []
    for row in indices:
        breaks = np.flatnonzero(row[1:] != (row[:-1] + 1) % length) + 1
        begins = np.concatenate([[0], breaks])
        found.append((row[begins], np.diff(np.concatenate([begins, [length]]))))
    most = max(len(starts) for starts, _ in found)
    starts, lengths = np.zeros((2, len(found), most), np.int64)
    for number, (where, how_long) in enumerate(found):
        starts[number, : len(where)] = where
        lengths[number, : len(where)] = how_long
    return Runs(starts, lengths)


def autoregressive(length: int, memory: float, seed: int) -> npt.NDArray[np.float64]:
    """A series of mean 0 in which each value keeps a share of the one before, past its beginnings."""
    noise = np.random.default_rng(seed).normal(size=length + 200)
    return np.asarray(lfilter([1.0], [1.0, -memory], noise)[200:], dtype=np.float64)
