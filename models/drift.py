"""Do a model's inputs still lie where they lay in training? The population stability index of each feature.

PSI = sum over bins of (p - q) · ln(p / q), where q is the share of the training rows in a bin and p that of the last day
(N. Siddiqi, Credit Risk Scorecards, 2006; it is the symmetric divergence of H. Jeffreys, 1946). Bins are the deciles of
the scaled rows of the train slice, fewer where values repeat. Below 0.1 counts as no change, above 0.25 as a large one. A
share below ``FLOOR`` counts as ``FLOOR``: an empty bin has no logarithm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.hashing import canonical_json

if TYPE_CHECKING:
    from models.dataset import Dataset

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]

FILE_NAME = "feature_bins.json"
BINS = 10
FLOOR = 1e-4
HOURS = 24
LEAST_ROWS = 720
"""Rows below which a day says nothing."""

HOUR_MS = 3_600_000
_MOST_ROWS = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBins:
    """Where the rows of the train slice lay.

    Attributes:
        columns: Names of the features.
        edges: float32 [f, 9], ascending; a value on an edge lies above it. +inf where values repeat.
        shares: float64 [f, 10], share of the training rows in each bin.
    """

    columns: tuple[str, ...]
    edges: Rows
    shares: Floats

    def to_json(self) -> bytes:
        """Canonical JSON; the edges of each column without those that are not there."""
        edges = [row[np.isfinite(row)].astype(np.float64).tolist() for row in self.edges]
        shares = [row[: len(some) + 1].tolist() for row, some in zip(self.shares, edges, strict=True)]
        return canonical_json({"columns": list(self.columns), "edges": edges, "shares": shares})

    def places(self, rows: Rows) -> npt.NDArray[np.int64]:
        """The bin of each value of rows [n, f], int64 [n, f]."""
        found: npt.NDArray[np.int64] = np.sum(rows[:, :, None] >= self.edges[None], axis=2, dtype=np.int64)
        return found


def feature_bins(columns: tuple[str, ...], rows: Rows) -> FeatureBins:
    """The deciles of scaled rows, float32 [n, f]; at most 200,000 of them, evenly spaced.

    Raises:
        ModelError: There are no rows, or a value is not finite.
    """
    if not len(rows) or not np.isfinite(rows).all():
        raise ModelError("the bins of features need at least one row, and finite values only")
    rows = rows[:: -(-len(rows) // _MOST_ROWS)]
    edges = np.full((len(columns), BINS - 1), np.inf, np.float32)
    shares = np.zeros((len(columns), BINS))
    for place in range(len(columns)):
        values = rows[:, place]
        # 'higher' picks values that are there, so that float32 stays exact; the least would leave an empty first bin.
        cuts = np.unique(np.quantile(values, np.arange(1, BINS) / BINS, method="higher"))
        least = values.min()
        cuts = cuts[cuts > least]
        if not len(cuts):  # a column of one value: what lies below it or above it is something new
            cuts = np.array([least, np.nextafter(least, np.float32(np.inf))], np.float32)
        edges[place, : len(cuts)] = cuts
        counts = np.bincount(np.searchsorted(cuts, values, side="right"), minlength=BINS)
        shares[place] = counts / len(values)
    return FeatureBins(columns, edges, shares)


def bins_of(data: Dataset) -> FeatureBins:
    """The deciles of a training run's train slice."""
    ends = data.rows.ends_within(data.slices.train)
    return feature_bins(data.scaler.columns, data.rows.scaled[ends])


def feature_bins_from_json(content: bytes, columns: tuple[str, ...]) -> FeatureBins:
    """Read what ``FeatureBins.to_json`` wrote; ModelError when it is not that, or for other features."""
    try:
        document: dict[str, Any] = json.loads(content)
        names = tuple(str(name) for name in document["columns"])
        edges = np.full((len(names), BINS - 1), np.inf, np.float32)
        shares = np.zeros((len(names), BINS))
        for place, (cuts, parts) in enumerate(zip(document["edges"], document["shares"], strict=True)):
            edges[place, : len(cuts)] = cuts
            shares[place, : len(parts)] = parts
            if len(parts) != len(cuts) + 1 or not np.isfinite(cuts).all() or (np.diff(cuts) <= 0.0).any():
                raise ValueError(f"the bins of {names[place]} are out of order")
    except (ValueError, KeyError, TypeError, IndexError) as fault:
        raise ModelError(f"{FILE_NAME} does not hold the bins of features: {fault}") from fault
    whole = np.isfinite(shares).all() and (shares >= 0.0).all() and np.allclose(shares.sum(axis=1), 1.0)
    if names != columns or not whole:
        raise ModelError(f"{FILE_NAME} does not hold the bins of this model's features")
    return FeatureBins(names, edges, shares)


def population_stability(expected: Floats, counts: npt.NDArray[np.int64]) -> Floats:
    """PSI of each feature, float64 [f].

    Args:
        expected: float64 [f, b], shares in training; 0 throughout in a bin that is not there.
        counts: int64 [f, b], how many of the newer values lie in each bin.
    """
    q = np.maximum(expected, FLOOR)
    p = np.maximum(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), FLOOR)
    psi: Floats = np.sum((p - q) * np.log(p / q), axis=1)
    return psi


class PsiTracker:
    """Counts the rows of the last day by bin, hour by hour.

    Args:
        bins: Where the rows of training lay.
        hours: How long a row counts; it is forgotten with its whole hour.
    """

    def __init__(self, bins: FeatureBins, hours: int = HOURS) -> None:
        self.bins = bins
        self._hours = hours
        self._features = np.arange(len(bins.columns))
        self._counts: dict[int, npt.NDArray[np.int64]] = {}

    @property
    def rows(self) -> int:
        """How many rows are counted."""
        return int(sum(int(counts[0].sum()) for counts in self._counts.values()))

    def add(self, row: Rows, at_ms: int) -> None:
        """Count a scaled row, float32 [f], finite; of any symbol."""
        hour = at_ms // HOUR_MS
        counts = self._counts.get(hour)
        if counts is None:
            counts = self._counts[hour] = np.zeros(self.bins.shares.shape, np.int64)
            newest = max(self._counts)
            for old in [one for one in self._counts if one <= newest - self._hours]:
                del self._counts[old]
        counts[self._features, self.bins.places(row[None])[0]] += 1

    def psi(self) -> dict[str, float]:
        """Column -> PSI over the last day; empty while there are too few rows."""
        if self.rows < LEAST_ROWS:
            return {}
        total: npt.NDArray[np.int64] = np.sum(list(self._counts.values()), axis=0)
        values = population_stability(self.bins.shares, total)
        return dict(zip(self.bins.columns, values.tolist(), strict=True))

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values."""
        return {str(hour): counts.tolist() for hour, counts in sorted(self._counts.items())}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot of the same bins; ModelError when it is of others."""
        counts = {int(hour): np.array(rows, np.int64) for hour, rows in state.items()}
        if any(one.shape != self.bins.shares.shape for one in counts.values()):
            raise ModelError("the counts of features are of another model")
        self._counts = counts
