"""A forest and its ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ModelError
from models import forest as forest_module
from models.forecaster import check_graph, open_session
from models.forest import evenly_spaced, fit_forest, forest_graph
from models.recipe_sections import ForestSection

WINDOW, FEATURES = 4, 5


def section(**changes: Any) -> ForestSection:
    """More than 80 trees: from there on onnxruntime shares trees out among threads."""
    return ForestSection(
        **{"kind": "forest", "trees": 90, "max_depth": 6, "min_leaf": 3, "max_features": 0.6, **changes}
    )


def rows_and_target(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Rows float32 [n, 5] and something that depends on them."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, FEATURES)).astype(np.float32)
    return rows, np.tanh(rows[:, 0]) + rows[:, 1] * rows[:, 2] + 0.1 * rng.normal(size=count)


def windows_ending_in(rows: np.ndarray) -> np.ndarray:
    """Windows with noise before the given last rows."""
    windows = np.random.default_rng(9).normal(size=(len(rows), WINDOW, FEATURES)).astype(np.float32)
    windows[:, -1] = rows
    return windows


def run(graph: bytes, windows: np.ndarray, threads: int = 1) -> np.ndarray:
    """The graph's forecasts."""
    return np.asarray(open_session(graph, threads=threads, name="a graph").run(None, {"window": windows})[0])


@pytest.fixture(scope="module")
def fitted() -> Any:
    """A forest of 90 trees on 800 rows."""
    return fit_forest(section(), *rows_and_target(800), seed=3)


def thresholds(forest: Any) -> np.ndarray:
    """Every threshold of a forest, float64."""
    return np.concatenate([tree.tree_.threshold[tree.tree_.feature >= 0] for tree in forest.estimators_])


def test_the_graph_says_what_the_forest_says(fitted: Any) -> None:
    """On random rows both agree to 1e-5, and the graph passes the check of a loaded artifact."""
    rows = rows_and_target(500, seed=8)[0]
    graph = forest_graph(fitted, WINDOW, FEATURES)
    check_graph(open_session(graph, threads=1, name="a graph"), (WINDOW, FEATURES), 1, "a graph")
    found = run(graph, windows_ending_in(rows))
    assert found.dtype == np.float32
    assert found.shape == (500, 1)
    np.testing.assert_allclose(found[:, 0], fitted.predict(rows), atol=1e-5, rtol=0)
    assert np.ptp(found) > 0.5


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_rows_at_a_threshold_take_the_same_branch(fitted: Any, step: int) -> None:
    """A value that is the float32 nearest to a threshold, or one to either side of it, goes where scikit-learn goes."""
    nearest = np.random.default_rng(2).choice(thresholds(fitted), (600, FEATURES)).astype(np.float32)
    if step:
        nearest = np.nextafter(nearest, np.float32(step * np.inf), dtype=np.float32)
    found = run(forest_graph(fitted, WINDOW, FEATURES), windows_ending_in(nearest))
    np.testing.assert_allclose(found[:, 0], fitted.predict(nearest), atol=1e-5, rtol=0)


def test_a_threshold_between_two_float32_is_not_rounded() -> None:
    """Two neighbouring float32 are told apart by the float64 threshold between them, as by scikit-learn."""
    low = np.float32(4.0)
    high = np.nextafter(low, np.float32(5.0), dtype=np.float32)
    rows = np.array([[low], [high]] * 40, np.float32)
    forest = fit_forest(
        section(trees=3, min_leaf=1, max_features=1.0), rows, np.array([0.0, 1.0] * 40), seed=1
    )
    (threshold,) = set(thresholds(forest).tolist())
    assert float(low) < threshold < float(high)
    found = run(forest_graph(forest, 1, 1), rows[:2, None, :])
    np.testing.assert_array_equal(found[:, 0], [0.0, 1.0])


def test_alone_or_in_a_batch_is_the_same_to_the_bit(fitted: Any) -> None:
    """Neither the size of a batch nor the number of threads changes a digit."""
    graph = forest_graph(fitted, WINDOW, FEATURES)
    windows = windows_ending_in(rows_and_target(300, seed=4)[0])
    whole = run(graph, windows)
    for threads in (1, 2):
        session = open_session(graph, threads=threads, name="a graph")
        for size in (1, 20, 100, 300):
            pieces = [session.run(None, {"window": windows[at : at + size]})[0] for at in range(0, 300, size)]
            np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_sums_of_leaves_are_exact() -> None:
    """Leaves on the grid add up to the same float64 in any order, and have moved by less than 1e-11."""
    rng = np.random.default_rng(6)
    leaves = rng.normal(size=2000) * 3.0
    moved = forest_module._on_grid(leaves, 2000)
    assert np.abs(moved - leaves).max() < 1e-11

    def sums_in_many_orders(values: np.ndarray) -> set[float]:
        """Sums from left to right of the values in 50 orders."""
        return {float(np.cumsum(rng.permutation(values))[-1]) for _ in range(50)}

    assert len(sums_in_many_orders(leaves)) > 1
    assert len(sums_in_many_orders(moved)) == 1


def test_only_the_last_row_counts(fitted: Any) -> None:
    """Other rows before the last one change nothing."""
    windows = windows_ending_in(rows_and_target(50, seed=5)[0])
    other = windows.copy()
    other[:, :-1] += 1.0
    graph = forest_graph(fitted, WINDOW, FEATURES)
    np.testing.assert_array_equal(run(graph, windows), run(graph, other))


def test_a_target_that_never_moves() -> None:
    """Trees that are one leaf each give the constant, zero too."""
    rows = rows_and_target(60)[0]
    for value in (0.0, -0.25):
        forest = fit_forest(section(trees=5), rows, np.full(60, value, np.float32), seed=1)
        assert (run(forest_graph(forest, WINDOW, FEATURES), windows_ending_in(rows[:3])) == value).all()


def test_a_seed_gives_its_forest_again() -> None:
    """The same rows and seed give the same graph to the byte, another seed another one."""
    rows, target = rows_and_target(200)
    graphs = [
        forest_graph(fit_forest(section(trees=6), rows, target, seed=seed), WINDOW, FEATURES)
        for seed in (1, 1, 2)
    ]
    assert graphs[0] == graphs[1]
    assert graphs[0] != graphs[2]


def test_at_most_so_many_rows_are_used() -> None:
    """Rows between the evenly spaced ones do not matter."""
    rows, target = rows_and_target(400)
    spoilt = rows.copy()
    spoilt[np.setdiff1d(np.arange(400), evenly_spaced(400, 100))] = 7.0
    one, other = (
        forest_graph(fit_forest(section(trees=4, most_rows=100), table, target, seed=1), WINDOW, FEATURES)
        for table in (rows, spoilt)
    )
    assert one == other


@settings(deadline=None)
@given(st.integers(1, 10_000), st.integers(1, 2_000))
def test_rows_are_spaced_evenly(count: int, most: int) -> None:
    """As many as asked for, the first among them, and distances differ by one at most."""
    chosen = evenly_spaced(count, most)
    assert len(chosen) == min(count, most)
    assert chosen[0] == 0
    assert chosen[-1] < count
    steps = np.diff(chosen)
    assert not len(steps) or (steps.min() >= 1 and np.ptp(steps) <= 1)


@pytest.mark.parametrize(
    ("rows", "target"),
    [
        (np.zeros((0, 3), np.float32), np.zeros(0)),
        (np.zeros((9, 3), np.float32), np.zeros(8)),
        (np.zeros((9, 3), np.float32), np.full(9, np.nan)),
        (np.full((9, 3), np.inf, np.float32), np.zeros(9)),
    ],
)
def test_what_a_forest_cannot_learn_from(rows: np.ndarray, target: np.ndarray) -> None:
    """No rows, a target of another length, and values that are not numbers are refused."""
    with pytest.raises(ModelError, match="cannot learn"):
        fit_forest(section(trees=2), rows, target, seed=1)


def test_a_forest_of_other_features(fitted: Any) -> None:
    """A forest is not made into a graph of another width."""
    with pytest.raises(ModelError, match="knows 5 features"):
        forest_graph(fitted, WINDOW, FEATURES + 1)


def test_a_forest_too_large_to_serve(fitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound it is refused, with what to change."""
    monkeypatch.setattr(forest_module, "MOST_NODES", 100)
    with pytest.raises(ModelError, match="max_depth"):
        forest_graph(fitted, WINDOW, FEATURES)
