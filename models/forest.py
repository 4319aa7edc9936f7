"""A random forest on a window's last row: fitted by scikit-learn, served by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from onnx import helper, numpy_helper

from bot.errors import ModelError
from models.graph_parts import OUTPUT, last_row, one_column
from models.recipe_sections import ForestSection

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

MOST_NODES = 5_000_000
"""A graph of so many nodes has about 200 MB, which every process that forecasts would have to hold."""


def fit_forest(
    section: ForestSection,
    rows: npt.NDArray[np.float32],
    target: npt.NDArray[np.floating[Any]],
    *,
    seed: int,
    on_trees: Callable[[int], None] | None = None,
) -> RandomForestRegressor:
    """Fit a forest; the same rows and seed give the same trees, told of or not.

    Args:
        section: The number of trees and their bounds; of more than ``most_rows`` rows so many are used.
        rows: float32 [n, f], scaled, in order of time.
        target: [n], float32 or float64.
        seed: Of the draws of rows and features.
        on_trees: Told how many trees stand, some twenty times.

    Raises:
        ModelError: There are no rows, they do not match the target, or a value is not a finite number.
    """
    from sklearn.ensemble import RandomForestRegressor

    if rows.ndim != 2 or not rows.size or target.shape != rows.shape[:1]:
        raise ModelError(f"a forest cannot learn targets {target.shape} from rows {rows.shape}")
    chosen = evenly_spaced(len(rows), section.most_rows)
    inputs, outcomes = rows[chosen], target[chosen].astype(np.float64)
    if not (np.isfinite(inputs).all() and np.isfinite(outcomes).all()):
        raise ModelError("a forest cannot learn from a row or a target that is not a finite number")
    forest = RandomForestRegressor(
        n_estimators=0,
        max_depth=section.max_depth,
        min_samples_leaf=section.min_leaf,
        max_features=section.max_features,
        random_state=seed,
        n_jobs=2,
        warm_start=True,  # scikit-learn then draws for each tree what it would have drawn in one go
    )
    while forest.n_estimators < section.trees:
        forest.n_estimators = min(section.trees, forest.n_estimators + -(-section.trees // 20))
        forest.fit(inputs, outcomes)
        if on_trees is not None:
            on_trees(forest.n_estimators)
    return forest


def evenly_spaced(count: int, most: int) -> Indices:
    """At most ``most`` of the numbers 0 to count - 1, in order, evenly spaced, the first one among them."""
    kept = min(count, most)
    return np.arange(kept, dtype=np.int64) * count // kept


def forest_graph(forest: RandomForestRegressor, window: int, features: int) -> bytes:
    """The mean of a forest's trees as a graph that takes the same branches as scikit-learn.

    scikit-learn compares a float32 value with a float64 threshold, and so does the graph, in float64. The values of
    the leaves are rounded to a grid on which float64 sums are exact (to 1e-12 of the greatest one): however
    onnxruntime shares out the trees or the rows of a batch among threads, the sum is the same to the bit.

    Args:
        forest: Fitted on float32 [n, features] and one target.
        window: Rows of a window; the last one is used.
        features: Numbers in a row.

    Returns:
        An ONNX graph, ``window`` float32 [n, window, features] to ``forecast`` float32 [n, 1].

    Raises:
        ModelError: The forest is of other features, or has more than ``MOST_NODES`` nodes.
    """
    if forest.n_features_in_ != features:
        raise ModelError(f"the forest knows {forest.n_features_in_} features, the window has {features}")
    trees = [fitted.tree_ for fitted in forest.estimators_]
    total = sum(int(tree.node_count) for tree in trees)
    if total > MOST_NODES:
        raise ModelError(
            f"the forest has {total:,} nodes, more than {MOST_NODES:,}: take fewer trees, a smaller max_depth "
            "or a greater min_leaf"
        )
    nodes, constants = last_row()
    nodes.append(
        helper.make_node(
            "TreeEnsembleRegressor",
            ["row"],
            [OUTPUT],
            domain="ai.onnx.ml",
            n_targets=1,
            aggregate_function="AVERAGE",
            **_attributes(trees),
        )
    )
    return one_column("forest", nodes, constants, (window, features), trees=True)


def _attributes(trees: list[Any]) -> dict[str, Any]:
    """The trees as the attributes of a TreeEnsembleRegressor, all nodes one after the other."""
    leaf = np.concatenate([tree.children_left < 0 for tree in trees])
    tree_ids = np.repeat(np.arange(len(trees)), [tree.node_count for tree in trees])
    node_ids = np.concatenate([np.arange(tree.node_count) for tree in trees])

    def inner(column: str) -> npt.NDArray[Any]:
        """A column of all nodes, zero at the leaves."""
        joined = np.concatenate([getattr(tree, column) for tree in trees])
        return np.where(leaf, joined.dtype.type(0), joined)

    values = np.concatenate([tree.value[:, 0, 0] for tree in trees])[leaf]
    return {
        "nodes_treeids": tree_ids.tolist(),
        "nodes_nodeids": node_ids.tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_featureids": inner("feature").tolist(),
        "nodes_values_as_tensor": numpy_helper.from_array(inner("threshold"), "thresholds"),
        "nodes_truenodeids": inner("children_left").tolist(),
        "nodes_falsenodeids": inner("children_right").tolist(),
        "target_treeids": tree_ids[leaf].tolist(),
        "target_nodeids": node_ids[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights_as_tensor": numpy_helper.from_array(_on_grid(values, len(trees)), "leaves"),
    }


def _on_grid(values: Floats, addends: int) -> Floats:
    """Values rounded to multiples of a power of two so coarse that no sum of so many of them is rounded."""
    _, exponent = np.frexp(np.abs(values).max() * addends)
    step = np.ldexp(1.0, int(exponent) - 52)
    rounded: Floats = np.round(values / step) * step
    return rounded
