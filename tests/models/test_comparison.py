"""Forecasters side by side: who adds something, and on which minutes that is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.comparison import Contender, compare, moment_keys, shared_moments

MINUTE_MS = 60_000
SIZE = 8000


def contender(
    name: str,
    probability: np.ndarray,
    realized: np.ndarray,
    *,
    is_model: bool,
    horizon: int = 15,
    given: np.ndarray | None = None,
    ground: str = "g",
) -> Contender:
    """One forecaster of consecutive minutes of one symbol."""
    size = len(realized)
    ts = np.arange(size, dtype=np.int64) * MINUTE_MS
    return Contender(
        name=name,
        ground=ground,
        horizon=horizon,
        is_model=is_model,
        moments=moment_keys(np.zeros(size, np.int16), ts),
        realized=realized,
        direction=probability - 0.5,
        probability=probability,
        given=np.ones(size, bool) if given is None else given,
    )


@pytest.fixture
def realized() -> np.ndarray:
    """Overlapping returns that are noise but for what the planted forecasters are told of them."""
    return np.convolve(np.random.default_rng(1).normal(size=SIZE + 14), np.ones(15), "valid")


def informed(realized: np.ndarray, strength: float, seed: int) -> np.ndarray:
    """P(up) of a forecaster that sees the return through noise, and knows how much."""
    noise = np.convolve(np.random.default_rng(seed).normal(size=SIZE + 14), np.ones(15), "valid")
    score = strength * 1.6 * (realized * strength + noise) / np.sqrt(15.0)
    found: np.ndarray = 1.0 / (1.0 + np.exp(-score))
    return found


def baselines(
    realized: np.ndarray, horizon: int = 15, ground: str = "g", strength: float = 0.1
) -> list[Contender]:
    """A base rate that knows nothing and a baseline that knows a little, or as much as is said."""
    base, informed_one = np.full(SIZE, 0.5), informed(realized, strength, 2)
    return [
        contender(name, said, realized, is_model=False, horizon=horizon, ground=ground)
        for name, said in (("base_rate", base), ("lightgbm", informed_one))
    ]


def test_a_better_forecaster_is_found_to_add(realized: np.ndarray) -> None:
    """A model that knows more than every baseline adds something, and the sentence names whom it beats."""
    model = contender("good", informed(realized, 0.5, 3), realized, is_model=True)
    found = compare([*baselines(realized), model])
    assert [one.contender.name for one in found] == ["base_rate", "lightgbm", "good"]
    standing = found[-1]
    assert standing.adds is True
    assert standing.rival == "lightgbm"
    assert "good adds something" in standing.sentence
    assert standing.edge is not None
    assert standing.edge.low is not None
    assert standing.edge.low > 0.0
    assert standing.skill is not None
    assert standing.skill.slope is not None
    assert 0.6 < standing.skill.slope.value < 1.5


def test_expected_returns_are_measured_where_there_are_any(realized: np.ndarray) -> None:
    """Theil's U and R² are of the very minutes compared; who expects no return has neither."""
    model = contender(
        "model", informed(realized, 0.5, 3), realized, is_model=True, given=np.arange(SIZE) >= 500
    )
    model = replace(model, expected=0.5 * realized)
    base, *_, standing = (one.as_json()["skill"] for one in compare([*baselines(realized), model]))
    assert standing["theil_u"]["value"] == pytest.approx(0.5)
    spread = np.sum((realized[500:] - realized[500:].mean()) ** 2)
    expected = 1.0 - np.sum((0.5 * realized[500:]) ** 2) / spread
    assert standing["return_r2"]["value"] == pytest.approx(expected)
    assert base["theil_u"] is base["return_r2"] is None
    assert base["brier"]["value"] == 0.25


def test_noise_adds_nothing(realized: np.ndarray) -> None:
    """A model that knows nothing, and one that repeats the baseline, add nothing; neither does a poorer one."""
    noise = contender("noise", informed(np.zeros(SIZE), 0.1, 4), realized, is_model=True)
    copy = contender("copy", informed(realized, 0.1, 2), realized, is_model=True)
    wild = contender("wild", informed(np.zeros(SIZE), 2.0, 5), realized, is_model=True)
    found = {one.contender.name: one for one in compare([*baselines(realized), noise, copy, wild])}
    assert [found[name].adds for name in ("noise", "copy", "wild")] == [False, False, False]
    assert "includes none" in found["copy"].sentence
    assert "worse than the best baseline" in found["wild"].sentence


def test_a_model_is_judged_by_the_best_baseline_of_its_horizon(realized: np.ndarray) -> None:
    """A baseline of another horizon is no rival; one of another ground with the same horizon is."""
    model = contender("model", informed(realized, 0.1, 2), realized, is_model=True, horizon=5)
    field = [
        *baselines(realized, horizon=5),
        *baselines(realized, horizon=5, ground="other", strength=0.6),
        *baselines(realized, horizon=15, strength=2.0),
    ]
    standing = next(one for one in compare([*field, model]) if one.contender.is_model)
    assert (standing.rival, standing.rival_ground, standing.adds) == ("lightgbm", "other", False)


def test_minutes_that_one_lacks_are_dropped_for_all(realized: np.ndarray) -> None:
    """Abstentions, unknown outcomes and missing moments of any forecaster leave the comparison of every one."""
    gap = np.arange(SIZE) % 10 != 0
    unknown = realized.copy()
    unknown[-60:] = np.nan
    picky = contender("picky", informed(realized, 0.3, 3), realized, is_model=True, given=gap)
    short = contender("short", informed(realized, 0.3, 4), unknown, is_model=True, horizon=60)
    late = contender("late", informed(realized, 0.3, 5), realized, is_model=True)
    late = replace(
        late,
        **{
            name: getattr(late, name)[100:]
            for name in ("moments", "realized", "direction", "probability", "given")
        },
    )
    field = [*baselines(realized), *baselines(unknown, horizon=60), picky, short, late]
    expected = np.flatnonzero(gap)
    expected = expected[(expected >= 100) & (expected < SIZE - 60)] * MINUTE_MS
    np.testing.assert_array_equal(shared_moments(field), expected)
    found = compare(field)
    assert {one.samples for one in found} == {len(expected)}
    assert all(one.shared for one in found)


def test_a_model_that_seldom_speaks_takes_no_minutes_from_others(realized: np.ndarray) -> None:
    """Below half of the minutes a model is measured on its own; one that never speaks gets no figure."""
    seldom = contender(
        "seldom", informed(realized, 0.5, 3), realized, is_model=True, given=np.arange(SIZE) < 3000
    )
    never = contender(
        "never", informed(realized, 0.5, 3), realized, is_model=True, given=np.zeros(SIZE, bool)
    )
    found = {one.contender.name: one for one in compare([*baselines(realized), seldom, never])}
    assert (found["seldom"].samples, found["seldom"].shared) == (3000, False)
    assert found["lightgbm"].samples == SIZE
    assert found["never"].skill is None
    assert found["never"].adds is False
    assert "in none of the minutes" in found["never"].sentence


def test_too_few_stretches_are_not_judged(realized: np.ndarray) -> None:
    """On less than twenty independent stretches nothing is said to add or not to add."""
    model = contender("model", informed(realized, 0.5, 3)[:2000], realized[:2000], is_model=True)
    field = [
        contender(one.name, one.probability[:2000], realized[:2000], is_model=False)  # type: ignore[index]
        for one in baselines(realized)
    ]
    standing = compare([*field, model])[-1]
    assert standing.adds is None
    assert "not enough data" in standing.sentence
    document = standing.as_json()
    assert document["adds"] is None
    assert document["skill"]["auc"]["low"] < document["skill"]["auc"]["high"]


def test_symbols_share_minutes_and_keep_apart() -> None:
    """The key of a moment tells symbols apart and gives the time back."""
    keys = moment_keys(np.array([0, 1, 1], np.int16), np.array([60_000, 60_000, 120_000]))
    assert len(set(keys.tolist())) == 3
    assert (np.diff(keys) > 0).all()
    assert (keys & ((1 << 44) - 1)).tolist() == [60_000, 60_000, 120_000]
