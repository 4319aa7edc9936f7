"""Bins of features, and how far the newest rows have moved from them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ModelError
from models.drift import (
    BINS,
    FLOOR,
    HOUR_MS,
    HOURS,
    LEAST_ROWS,
    PsiTracker,
    feature_bins,
    feature_bins_from_json,
    population_stability,
)

COLUMNS = ("normal", "constant", "mostly_zero")


def rows(seed: int, count: int, shift: float = 0.0) -> np.ndarray:
    """A normal column, one that never changes, and one that is mostly zero."""
    rng = np.random.default_rng(seed)
    sparse = np.where(rng.random(count) < 0.7, 0.0, rng.normal(size=count))
    return np.column_stack([rng.normal(shift, 1.0, count), np.ones(count), sparse]).astype(np.float32)


def filled(tracker: PsiTracker, values: np.ndarray, begin_ms: int = 0) -> PsiTracker:
    """One row a minute."""
    for minute, row in enumerate(values):
        tracker.add(row, begin_ms + minute * 60_000)
    return tracker


def test_the_same_market_has_not_drifted_and_another_has() -> None:
    """A day of the same distribution stays below 0.1 in every column; a shift by a deviation goes beyond 0.25."""
    bins = feature_bins(COLUMNS, rows(1, 50_000))
    same = filled(PsiTracker(bins), rows(2, 1440)).psi()
    assert set(same) == set(COLUMNS)
    assert max(same.values()) < 0.1
    moved = filled(PsiTracker(bins), rows(3, 1440, shift=1.0)).psi()
    assert moved["normal"] > 0.25
    assert moved["mostly_zero"] < 0.1


def test_deciles_hold_a_tenth_each_and_shares_add_up() -> None:
    """Repeated values make fewer bins, and a constant column one with nothing below or above it."""
    bins = feature_bins(COLUMNS, rows(4, 20_000))
    assert bins.shares[0] == pytest.approx(np.full(BINS, 0.1), abs=1e-3)
    assert bins.shares[1].tolist() == [0.0, 1.0] + [0.0] * 8
    assert np.isfinite(bins.edges[2]).sum() < BINS - 1
    assert bins.shares.sum(axis=1) == pytest.approx(np.ones(3))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 400))
def test_every_training_row_is_counted_where_its_bin_was_made(seed: int, count: int) -> None:
    """Counting the training rows themselves gives back the shares, after a way through JSON, so PSI is 0."""
    values = rows(seed, count)
    bins = feature_bins_from_json(feature_bins(COLUMNS, values).to_json(), COLUMNS)
    places = bins.places(values)
    counts = np.stack([np.bincount(places[:, column], minlength=BINS) for column in range(3)])
    assert counts / count == pytest.approx(bins.shares)
    assert population_stability(bins.shares, counts) == pytest.approx(np.zeros(3), abs=1e-9)


def test_psi_is_the_formula() -> None:
    """By hand, with the floor where a bin is empty; the divergence is symmetric."""
    expected = np.array([[0.5, 0.5]])
    assert population_stability(expected, np.array([[75, 25]])) == pytest.approx(
        [0.25 * np.log(1.5) - 0.25 * np.log(0.5)]
    )
    empty = population_stability(expected, np.array([[10, 0]]))
    assert empty == pytest.approx([0.5 * np.log(2.0) + (FLOOR - 0.5) * np.log(FLOOR / 0.5)])


def test_a_constant_column_that_moves_has_drifted() -> None:
    """A feature that was one value in training is seen when it lies below or above that."""
    bins = feature_bins(COLUMNS, rows(5, 1000))
    for value, seen in ((1.0, False), (0.5, True), (1.5, True)):
        moved = rows(6, 1440)
        moved[:, 1] = value
        assert (filled(PsiTracker(bins), moved).psi()["constant"] > 0.25) is seen


def test_rows_are_forgotten_after_a_day() -> None:
    """Hour by hour: a day after a shift nothing is left of what was before, and too few rows say nothing."""
    bins = feature_bins(COLUMNS, rows(7, 50_000))
    tracker = filled(PsiTracker(bins), rows(8, LEAST_ROWS - 1))
    assert tracker.psi() == {}
    filled(tracker, rows(9, 1440, shift=3.0), begin_ms=HOURS * HOUR_MS)
    assert tracker.rows == 1440
    assert tracker.psi()["normal"] > 2.0


def test_a_restart_counts_on() -> None:
    """A snapshot as JSON text brings back every hour; one of other features is refused."""
    bins = feature_bins(COLUMNS, rows(10, 5000))
    tracker = filled(PsiTracker(bins), rows(11, 1000))
    again = PsiTracker(bins)
    again.restore(json.loads(json.dumps(tracker.snapshot())))
    assert again.psi() == tracker.psi()
    other = PsiTracker(feature_bins(COLUMNS[:1], rows(10, 100)[:, :1]))
    with pytest.raises(ModelError):
        other.restore(tracker.snapshot())


@pytest.mark.parametrize("damage", ["{", "{}", "shares", "edges", "columns"])
def test_damaged_bins_are_refused(damage: str) -> None:
    """No JSON, missing parts, shares that do not add up, edges out of order, other columns."""
    document = json.loads(feature_bins(COLUMNS, rows(12, 1000)).to_json())
    if damage == "shares":
        document["shares"][0][0] = 0.9
    elif damage == "edges":
        document["edges"][0].reverse()
    elif damage == "columns":
        document["columns"] = ["a", "b", "c"]
    content = damage if damage.startswith("{") else json.dumps(document)
    with pytest.raises(ModelError):
        feature_bins_from_json(content.encode(), COLUMNS)


@pytest.mark.parametrize("values", [np.empty((0, 3), np.float32), np.full((2, 3), np.nan, np.float32)])
def test_bins_need_numbers(values: np.ndarray) -> None:
    """No row, or one that is no number, has no deciles."""
    with pytest.raises(ModelError):
        feature_bins(COLUMNS, values)
