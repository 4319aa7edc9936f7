"""Intervals by stationary bootstrap, against the library arch and against what is known."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from hypothesis import given
from hypothesis import strategies as st

from models.bootstrap import (
    block_interval,
    block_minutes,
    block_totals,
    block_weights,
    draw_runs,
    lower_bound,
    run_totals,
)
from tests.arch_runs import arch_runs, autoregressive

MINUTE_MS = 60_000


def minutes(count: int) -> np.ndarray:
    """Consecutive minutes."""
    return np.arange(count, dtype=np.int64) * MINUTE_MS


def test_the_interval_covers_the_truth_of_dependent_samples() -> None:
    """Over 200 series of moving averages (as overlapping labels are), about 95 % of intervals hold the mean."""
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        values = np.convolve(rng.normal(size=6014), np.ones(15) / 15, "valid")
        found = block_interval(minutes(6000), values, block=120, draws=300, seed=seed)
        assert found is not None
        covered += found.low <= 0.0 <= found.high
    assert 176 <= covered <= 199


def test_a_plain_bootstrap_would_be_too_narrow() -> None:
    """Blocks make the interval of overlapping samples wider than single minutes do."""
    values = np.convolve(np.random.default_rng(2).normal(size=6014), np.ones(15) / 15, "valid")
    blocks = block_interval(minutes(6000), values, block=240)
    single = block_interval(minutes(6000), values, block=1)
    assert blocks is not None
    assert single is not None
    assert blocks.high - blocks.low > 2 * (single.high - single.low)


def test_symbols_are_drawn_together() -> None:
    """Five copies of a series are no more evidence than one."""
    values = np.random.default_rng(3).normal(size=3000)
    one = block_interval(minutes(3000), values, block=240)
    five = block_interval(np.tile(minutes(3000), 5), np.tile(values, 5), block=240)
    assert one is not None
    assert five is not None
    np.testing.assert_allclose(one, five, rtol=1e-9)


def test_missing_values_are_left_out() -> None:
    """NaN count neither in the mean nor in the interval, which comes out the same each time."""
    values = np.where(np.arange(4000) % 3 == 0, np.nan, 1.0)
    found = block_interval(minutes(4000), values, block=240)
    assert found == (1.0, 1.0, 1.0)
    assert found == block_interval(minutes(4000), values, block=240)


def test_too_short_a_sample_has_no_interval() -> None:
    """Fewer than two blocks give none."""
    assert block_interval(minutes(479), np.ones(479), block=240) is None
    assert block_interval(minutes(479), np.full(479, np.nan), block=1) is None


def test_blocks_are_longer_than_labels() -> None:
    """A block is four hours, or five horizons where that is more."""
    assert (block_minutes(15), block_minutes(60)) == (240, 300)


def test_weights_and_totals_are_of_the_same_resamples() -> None:
    """Sums by drawn weights equal the totals of the same draws, and every draw is as long as the series."""
    rng = np.random.default_rng(4)
    ts = np.concatenate([minutes(1000), minutes(700)])
    columns = [rng.normal(size=1700), np.ones(1700)]
    totals = block_totals(ts, columns, block=90, draws=30)
    weights = block_weights(ts, block=90, draws=20)
    assert totals is not None
    assert weights is not None
    for drawn, total in zip(weights, totals[:20], strict=True):
        assert drawn[:1000].sum() == 1000
        np.testing.assert_array_equal(drawn[:700], drawn[1000:])
        np.testing.assert_allclose([column @ drawn for column in columns], total, rtol=1e-9, atol=1e-9)


def test_too_few_minutes_are_not_drawn() -> None:
    """Fewer than two blocks give neither totals nor weights."""
    assert block_totals(minutes(479), [np.ones(479)], block=240) is None
    assert block_weights(minutes(479), block=240, draws=5) is None
    assert lower_bound(minutes(479), np.ones(479), block=240) is None


@given(
    length=st.integers(2, 400),
    block=st.integers(1, 100),
    draws=st.integers(1, 12),
    more=st.integers(0, 12),
    seed=st.integers(0, 2**32),
)
def test_resamples_are_full_and_do_not_depend_on_how_many_are_drawn(
    length: int, block: int, draws: int, more: int, seed: int
) -> None:
    """Runs begin within the series and add up to its length, and further draws leave the first ones as they were."""
    few = list(draw_runs(length, block=block, draws=draws, seed=seed))
    many = list(draw_runs(length, block=block, draws=draws + more, seed=seed))
    starts, lengths = (
        np.concatenate([getattr(runs, name) for runs in few]) for name in ("starts", "lengths")
    )
    assert len(starts) == draws
    assert (lengths.sum(axis=1) == length).all()
    assert (lengths >= 0).all()
    assert ((starts >= 0) & (starts < length)).all()
    np.testing.assert_array_equal(starts, np.concatenate([runs.starts for runs in many])[:draws])
    np.testing.assert_array_equal(lengths, np.concatenate([runs.lengths for runs in many])[:draws])


def test_resamples_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn a few at a time, resamples give the very totals that they give drawn at once."""
    columns = [np.random.default_rng(5).normal(size=500)]
    whole = block_totals(minutes(500), columns, block=25, draws=50)
    monkeypatch.setattr("models.bootstrap._MOST_RUNS", 300)
    assert len(list(draw_runs(500, block=25, draws=50))) > 5
    np.testing.assert_array_equal(whole, block_totals(minutes(500), columns, block=25, draws=50))


def test_run_lengths_are_geometric() -> None:
    """Of uncut runs a share of 1 / block is one minute long, and the mean is the block."""
    (runs,) = draw_runs(50_000, block=20, draws=10)
    uncut = np.concatenate([row[row > 0][:-1] for row in runs.lengths])
    assert len(uncut) > 20_000
    assert uncut.mean() == pytest.approx(20.0, abs=0.6)
    assert uncut.std() == pytest.approx(np.sqrt(20.0 * 19.0), abs=0.8)
    assert (uncut == 1).mean() == pytest.approx(0.05, abs=0.006)
    assert runs.starts.mean() == pytest.approx(25_000, rel=0.03)


@pytest.mark.parametrize(("length", "block"), [(1000, 30), (257, 1), (300, 250)])
def test_totals_are_those_of_arch(length: int, block: int) -> None:
    """On the very indices that arch draws, means over runs are the means of its resamples."""
    values = autoregressive(length, 0.6, seed=6) + 3.0
    reference = StationaryBootstrap(block, values, seed=7)
    expected, indices = [], []
    for resample, _ in reference.bootstrap(50):
        expected.append(resample[0].mean())
        indices.append(np.array(reference.index))
    found = run_totals(values, arch_runs(np.array(indices))) / length
    np.testing.assert_allclose(found, np.array(expected, dtype=np.float64), rtol=0, atol=1e-9)


def test_resampled_means_are_distributed_as_those_of_arch() -> None:
    """Mean, deviation and tails of resampled means of a dependent series agree within what draws leave open."""
    values = autoregressive(2000, 0.8, seed=8)
    draws, block = 4000, 40
    reference = StationaryBootstrap(block, values, seed=9).apply(np.mean, draws)[:, 0]
    totals = block_totals(minutes(2000), [values], block=block, draws=draws)
    assert totals is not None
    means = totals[:, 0] / 2000
    deviation = float(reference.std())
    assert abs(means.mean() - reference.mean()) < 4.0 * deviation * np.sqrt(2.0 / draws)
    assert means.std() == pytest.approx(deviation, rel=4.0 / np.sqrt(draws))
    tails = [0.01, 0.05, 0.95, 0.99]
    np.testing.assert_allclose(
        np.quantile(means, tails), np.quantile(reference, tails), atol=0.25 * deviation
    )


def test_the_lower_bound_lies_below_the_truth_as_often_as_it_says() -> None:
    """Over 300 dependent series a 90 % bound is below the true mean in about nine of ten, a 99 % bound in more."""
    below = np.zeros(2)
    for seed in range(300):
        values = autoregressive(3000, 0.7, seed=seed)
        for place, confidence in enumerate((0.9, 0.99)):
            bound = lower_bound(minutes(3000), values, block=60, confidence=confidence, draws=500, seed=seed)
            assert bound is not None
            below[place] += bound <= 0.0
    assert 251 <= below[0] <= 284
    assert below[1] >= 290


def test_the_lower_bound_is_a_quantile_of_the_same_resamples() -> None:
    """At 97.5 % it is the low end of the two-sided interval, and missing values are left out."""
    values = autoregressive(2000, 0.5, seed=10)
    values[::7] = np.nan
    interval = block_interval(minutes(2000), values, block=50)
    assert interval is not None
    bound = lower_bound(minutes(2000), values, block=50, confidence=0.975)
    assert bound == pytest.approx(interval.low, abs=1e-12)
