"""Block-bootstrap intervals."""

from __future__ import annotations

import numpy as np

from models.bootstrap import block_interval, block_minutes, block_totals, block_weights

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
    """Sums by drawn weights equal the totals of the same draws, and every draw holds whole blocks."""
    rng = np.random.default_rng(4)
    ts = np.concatenate([minutes(1000), minutes(700)])
    columns = [rng.normal(size=1700), np.ones(1700)]
    totals = block_totals(ts, columns, block=90, draws=20)
    weights = block_weights(ts, block=90, draws=20)
    assert totals is not None
    assert weights is not None
    for drawn, total in zip(weights, totals, strict=True):
        assert drawn[:1000].sum() == 90 * 12
        np.testing.assert_array_equal(drawn[:700], drawn[1000:])
        np.testing.assert_allclose([column @ drawn for column in columns], total, rtol=1e-9, atol=1e-9)


def test_too_few_minutes_are_not_drawn() -> None:
    """Fewer than two blocks give neither totals nor weights."""
    assert block_totals(minutes(479), [np.ones(479)], block=240) is None
    assert block_weights(minutes(479), block=240, draws=5) is None
