"""The probability of backtest overfitting, against a literal computation and against what is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from bot.errors import DataError
from models.overfitting import probability_of_overfitting


def literal(performance: np.ndarray, parts: int) -> float:
    """Step by step as the paper tells it, one combination at a time."""
    pieces = np.array_split(np.arange(len(performance)), parts)
    columns = performance.shape[1]
    misses = []
    for chosen in itertools.combinations(range(parts), parts // 2):
        rest = [number for number in range(parts) if number not in chosen]
        inside = performance[np.concatenate([pieces[number] for number in chosen])].mean(axis=0)
        outside = performance[np.concatenate([pieces[number] for number in rest])].mean(axis=0)
        ranks = rankdata(outside, method="average")
        best = np.flatnonzero(inside == inside.max())
        logits = np.log(ranks[best] / (columns + 1 - ranks[best]))
        misses.append(np.mean(logits <= 1e-12))
    return float(np.mean(misses))


@pytest.mark.parametrize(("rows", "columns", "parts"), [(60, 7, 8), (53, 10, 6), (100, 2, 4), (31, 25, 10)])
def test_it_is_the_literal_computation(rows: int, columns: int, parts: int) -> None:
    """Odd and even numbers of columns and parts of unequal length give the very share of a slow loop."""
    performance = np.random.default_rng(rows).normal(size=(rows, columns)) + np.linspace(0, 0.2, columns)
    assert probability_of_overfitting(performance, parts=parts) == pytest.approx(
        literal(performance, parts), abs=1e-12
    )


@given(
    st.integers(0, 2**32), st.integers(2, 7), st.sampled_from([2, 4, 6]), st.integers(1, 5), st.integers(1, 3)
)
def test_ties_count_as_average_ranks(seed: int, columns: int, parts: int, rows: int, values: int) -> None:
    """With few different values, so that many columns tie, the share is still that of the loop."""
    # Sums of whole numbers over parts of one length are exact: what is equal in one computation is in the other.
    performance = (
        np.random.default_rng(seed).integers(0, values + 1, size=(4 * parts * rows, columns)).astype(float)
    )
    found = probability_of_overfitting(performance, parts=parts)
    assert found == pytest.approx(literal(performance, parts), abs=1e-12)


@given(st.integers(0, 2**32))
def test_the_order_of_trials_does_not_matter(seed: int) -> None:
    """Columns in another order give the same share, copies of a column included."""
    rng = np.random.default_rng(seed)
    performance = rng.normal(size=(40, 6))
    performance[:, 4] = performance[:, 1]
    found = probability_of_overfitting(performance, parts=8)
    assert found == probability_of_overfitting(performance[:, rng.permutation(6)], parts=8)


def test_a_trial_that_is_truly_best_is_no_overfitting() -> None:
    """One column far above the others is chosen and stays best: the probability is near 0."""
    performance = np.random.default_rng(1).normal(size=(250, 20))
    performance[:, 7] += 1.0
    assert probability_of_overfitting(performance) == pytest.approx(0.0, abs=0.001)


def test_a_choice_among_noise_is_worth_nothing() -> None:
    """Over 40 tables of pure noise the probability averages one half."""
    found = [
        probability_of_overfitting(np.random.default_rng(seed).normal(size=(120, 40)), parts=10)
        for seed in range(40)
    ]
    assert np.mean([share for share in found if share is not None]) == pytest.approx(0.5, abs=0.1)


def test_what_wins_by_losing_later_is_overfitting() -> None:
    """Trials that only exchange their fortune between the halves of time are chosen wrongly almost always."""
    noise = np.random.default_rng(2).normal(size=(160, 10))
    assert probability_of_overfitting(noise - noise.mean(axis=0)) == pytest.approx(1.0, abs=0.05)


def test_sixteen_parts_in_pieces_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 12,870 combinations count, however few are worked on at a time."""
    performance = np.random.default_rng(3).normal(size=(200, 5))
    whole = probability_of_overfitting(performance)
    assert whole is not None
    assert whole * 12_870 == pytest.approx(round(whole * 12_870), abs=1e-6)
    monkeypatch.setattr("models.overfitting._MOST_CELLS", 5 * 1000)
    assert probability_of_overfitting(performance) == pytest.approx(whole, abs=1e-12)


def test_short_tables_have_fewer_parts_or_no_answer() -> None:
    """Nine rows are cut into eight parts; below four rows or two columns there is none."""
    performance = np.random.default_rng(4).normal(size=(9, 3))
    assert probability_of_overfitting(performance) == pytest.approx(literal(performance, 8), abs=1e-12)
    assert probability_of_overfitting(performance[:4]) == pytest.approx(
        literal(performance[:4], 4), abs=1e-12
    )
    assert probability_of_overfitting(performance, parts=5) == pytest.approx(
        literal(performance, 4), abs=1e-12
    )
    assert probability_of_overfitting(performance[:3]) is None
    assert probability_of_overfitting(performance[:, :1]) is None


def test_trials_that_are_all_alike_are_no_choice() -> None:
    """Where all columns are equal, each ranks at the median: nothing was chosen well."""
    column = np.random.default_rng(5).normal(size=(50, 1))
    assert probability_of_overfitting(np.tile(column, (1, 7))) == 1.0


def test_what_is_no_table_is_refused() -> None:
    """Gaps, other shapes and less than two parts are data errors."""
    with pytest.raises(DataError, match="finite"):
        probability_of_overfitting(np.full((10, 2), np.nan))
    with pytest.raises(DataError, match="cut into"):
        probability_of_overfitting(np.zeros(10))
    with pytest.raises(DataError, match="cut into"):
        probability_of_overfitting(np.zeros((10, 2)), parts=1)
