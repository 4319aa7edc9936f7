"""Hansen's test of superior ability, against the library arch and against what is known."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import SPA, StationaryBootstrap

from bot.errors import DataError
from models.bootstrap import run_totals
from models.superior import NOTHING_SHOWN, mean_variance, p_values, superior_ability
from tests.arch_runs import arch_runs, autoregressive

MINUTE_MS = 60_000
BLOCK = 20
DRAWS = 300


def minutes(count: int) -> np.ndarray:
    """Consecutive minutes."""
    return np.arange(count, dtype=np.int64) * MINUTE_MS


def planted(means: list[float], length: int, seed: int, memory: float = 0.5) -> np.ndarray:
    """Gains of models with these mean gains, of very different deviations."""
    columns = [
        (autoregressive(length, memory, seed * 1000 + number) + mean) * 10.0 ** (number % 3)
        for number, mean in enumerate(means)
    ]
    return np.column_stack(columns)


def reference_test(gains: np.ndarray, seed: int) -> SPA:
    """The test of arch. It says that it studentizes, but compares plain means: the caller scales its columns."""
    reference = SPA(np.zeros(len(gains)), -gains, block_size=BLOCK, reps=DRAWS, seed=seed)
    reference.compute()
    return reference


def resampled_means(gains: np.ndarray, seed: int) -> np.ndarray:
    """Means over the resamples that arch draws with the same seed."""
    drawn = StationaryBootstrap(BLOCK, gains, seed=seed)
    runs = arch_runs(np.array([np.array(drawn.index) for _ in drawn.bootstrap(DRAWS)]))
    return np.column_stack([run_totals(column, runs) for column in gains.T]) / len(gains)


@pytest.mark.parametrize(
    "means",
    [[0.0], [0.05, -0.02, 0.0, -0.1], [-0.3, -0.2, 0.12, 0.01, 0.0], [0.0] * 12, [0.1, -0.5, -0.9, -2.0]],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_p_values_are_those_of_arch_on_its_own_resamples(means: list[float], seed: int) -> None:
    """On the same resamples all three p-values equal the reference's, once its columns are of one deviation."""
    gains = planted(means, 400, seed)
    found = p_values(gains, minutes(400), resampled_means(gains, seed), block=BLOCK)
    scale = np.sqrt(mean_variance(gains, minutes(400), block=BLOCK))
    reference = reference_test(gains / scale, seed)
    np.testing.assert_allclose(found, reference.pvalues.to_numpy(), rtol=0, atol=1e-9)


def test_the_variance_is_that_of_arch() -> None:
    """The variance of means equals the reference's sum over lags, and what resamples show."""
    gains = planted([0.0, 0.1, -0.1], 500, 3)
    found = mean_variance(gains, minutes(500), block=BLOCK)
    reference = reference_test(gains, 3)
    np.testing.assert_allclose(found * 500, reference._loss_diff_var, rtol=1e-9)
    np.testing.assert_allclose(found, resampled_means(gains, 3).var(axis=0), rtol=0.3)


def test_symbols_are_drawn_together() -> None:
    """Copies of the same gains under other symbols are no more evidence, and the order of rows does not matter."""
    gains = planted([0.05, 0.0, -0.1], 600, 4)
    one = superior_ability(gains, minutes(600), block=BLOCK)
    order = np.random.default_rng(4).permutation(1800)
    many = superior_ability(np.tile(gains, (3, 1))[order], np.tile(minutes(600), 3)[order], block=BLOCK)
    assert one == many
    assert 0.0 < one.consistent < 1.0


def test_symbols_of_unequal_presence_have_the_variance_that_resamples_show() -> None:
    """Where a symbol is missing in some minutes, the variance of the mean is that of resampled ratios."""
    from models.bootstrap import block_totals

    ts = np.concatenate([minutes(3000), minutes(3000)[1000:1900]])
    gains = np.concatenate([autoregressive(3000, 0.5, 5), autoregressive(900, 0.5, 6) + 0.5])[:, None]
    totals = block_totals(ts, [gains[:, 0], np.ones(len(gains))], block=BLOCK)
    assert totals is not None
    found = mean_variance(gains, ts, block=BLOCK)
    assert found[0] == pytest.approx((totals[:, 0] / totals[:, 1]).var(), rel=0.1)


def test_an_edge_is_found_and_luck_is_not() -> None:
    """A model that gains is found among poor ones; of worthless fields about one in twenty seems to gain."""
    assert superior_ability(planted([0.2, 0.0, -0.1, 0.0], 2000, 7), minutes(2000), block=BLOCK).upper < 0.01
    found = [
        superior_ability(planted([0.0] * 6, 3000, seed), minutes(3000), block=60, draws=200).consistent
        for seed in range(10, 160)
    ]
    assert 1 <= sum(p < 0.05 for p in found) <= 16
    assert 55 <= sum(p < 0.5 for p in found) <= 95


def test_trying_more_makes_the_same_gain_weaker() -> None:
    """A gain that convinces alone does not among sixty worthless trials."""
    gains = planted([0.16] + [0.0] * 60, 1000, 8)
    alone = superior_ability(gains[:, :1], minutes(1000), block=BLOCK)
    among = superior_ability(gains, minutes(1000), block=BLOCK)
    assert alone.consistent < 0.05 < among.consistent


def test_hopeless_trials_do_not_hide_a_gain() -> None:
    """Models far below the benchmark count for the upper p-value alone."""
    gains = planted([0.06] + [-1.0] * 60, 1000, 9)
    found = superior_ability(gains, minutes(1000), block=BLOCK)
    assert found.lower == found.consistent < found.upper
    assert found.consistent == superior_ability(gains[:, :1], minutes(1000), block=BLOCK).consistent


def test_the_units_of_a_model_do_not_matter() -> None:
    """Gains in other units give the same p-values."""
    gains = planted([0.05, 0.02, -0.1], 600, 10)
    first = superior_ability(gains, minutes(600), block=BLOCK)
    assert first == superior_ability(gains * [1000.0, 1.0, 0.001], minutes(600), block=BLOCK)


def test_what_never_varies_shows_nothing() -> None:
    """Too few minutes, no models, copies of the benchmark and constant gains give p 1, and hide no other model."""
    zero = np.zeros((500, 1))
    assert superior_ability(zero, minutes(500), block=BLOCK) == NOTHING_SHOWN
    assert superior_ability(zero + 0.1, minutes(500), block=BLOCK) == NOTHING_SHOWN
    assert superior_ability(np.empty((500, 0)), minutes(500), block=BLOCK) == NOTHING_SHOWN
    assert superior_ability(planted([1.0], 39, 1), minutes(39), block=BLOCK) == NOTHING_SHOWN
    gains = planted([0.2, 0.0], 500, 11)
    padded = np.column_stack([zero, gains, zero + 0.1])
    expected = superior_ability(gains, minutes(500), block=BLOCK)
    assert superior_ability(padded, minutes(500), block=BLOCK) == expected


def test_the_same_seed_gives_the_same_test() -> None:
    """Resamples depend on the seed alone."""
    gains = planted([0.03, 0.0], 500, 12)
    first, again, other = (
        superior_ability(gains, minutes(500), block=BLOCK, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_what_does_not_fit_is_refused() -> None:
    """Other shapes and gaps are data errors."""
    with pytest.raises(DataError, match="do not fit"):
        superior_ability(np.zeros((10, 2)), minutes(9), block=2)
    with pytest.raises(DataError, match="do not fit"):
        superior_ability(np.zeros(10), minutes(10), block=2)
    with pytest.raises(DataError, match="finite"):
        superior_ability(np.full((10, 1), np.nan), minutes(10), block=2)
