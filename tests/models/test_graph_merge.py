"""Graphs side by side, and their mean."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from bot.errors import ModelError
from models.forecaster import check_graph, open_session
from models.forest import fit_forest, forest_graph
from models.graph_merge import mean_of, merge_columns
from models.logit_graph import constant_graph, logit_graph
from models.recipe_sections import ForestSection
from tests.tiny_model import WINDOW, tiny_graph

FEATURES = 6


def windows(count: int) -> np.ndarray:
    """Normal windows."""
    return np.random.default_rng(4).normal(size=(count, WINDOW, FEATURES)).astype(np.float32)


def outputs(graph: bytes, given: np.ndarray) -> list[np.ndarray]:
    """Everything a graph says."""
    return [
        np.asarray(said)
        for said in open_session(graph, threads=1, name="a graph").run(None, {"window": given})
    ]


def forest() -> bytes:
    """The graph of a small forest."""
    rows = windows(300)[:, -1]
    section = ForestSection(kind="forest", trees=7, max_depth=4, min_leaf=2, max_features=0.5)
    return forest_graph(fit_forest(section, rows, rows[:, 0] * rows[:, 1], seed=1), WINDOW, FEATURES)


def logit() -> bytes:
    """The graph of a logistic regression."""
    return logit_graph(np.linspace(-1.0, 1.0, FEATURES), 0.2, WINDOW, FEATURES)


def two_headed(
    scale: float, *, opset: int = 15, width: int = 2, unused: tuple[str, int] | None = None
) -> bytes:
    """The first columns of the last row times a scale, and a softmax over the steps; names as every other has them."""
    constants = [
        numpy_helper.from_array(np.array(-1, np.int64), "last"),
        numpy_helper.from_array(np.arange(width, dtype=np.int64), "places"),
        numpy_helper.from_array(np.array(0, np.int64), "first"),
        numpy_helper.from_array(np.array(scale, np.float32), "scale"),
    ]
    nodes = [
        helper.make_node("Mul", ["window", "scale"], ["scaled"]),
        helper.make_node("Gather", ["scaled", "last"], ["row"], axis=1),
        helper.make_node("Gather", ["row", "places"], ["forecast"], axis=1),
        helper.make_node("Gather", ["scaled", "first"], ["steps"], axis=2),
        helper.make_node("Softmax", ["steps"], ["attention"], axis=1),
    ]
    sources = [helper.make_tensor_value_info("window", TensorProto.FLOAT, ["batch", WINDOW, FEATURES])]
    said = [
        helper.make_tensor_value_info("forecast", TensorProto.FLOAT, ["batch", width]),
        helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["batch", WINDOW]),
    ]
    versions = [("", opset), *([unused] if unused else [])]
    model = helper.make_model(
        helper.make_graph(nodes, "two", sources, said, constants),
        opset_imports=[helper.make_opsetid(*version) for version in versions],
        ir_version=8,
    )
    content: bytes = model.SerializeToString()
    return content


def with_branches() -> bytes:
    """A graph whose If uses, inside its branches, a constant and a result of the graph around it."""

    def branch(name: str, kind: str) -> onnx.GraphProto:
        said = helper.make_tensor_value_info(f"{name}_said", TensorProto.FLOAT, None)
        return helper.make_graph(
            [helper.make_node(kind, ["row", "step"], [f"{name}_said"])], name, [], [said]
        )

    constants = [
        numpy_helper.from_array(np.array(-1, np.int64), "last"),
        numpy_helper.from_array(np.array([0], np.int64), "places"),
        numpy_helper.from_array(np.array(0.5, np.float32), "step"),
        numpy_helper.from_array(np.array(0.0, np.float32), "zero"),
    ]
    nodes = [
        helper.make_node("Gather", ["window", "last"], ["rows"], axis=1),
        helper.make_node("Gather", ["rows", "places"], ["row"], axis=1),
        helper.make_node("ReduceSum", ["row"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["rising"]),
        helper.make_node(
            "If", ["rising"], ["forecast"], then_branch=branch("up", "Add"), else_branch=branch("down", "Sub")
        ),
    ]
    source = helper.make_tensor_value_info("window", TensorProto.FLOAT, ["n", WINDOW, FEATURES])
    said = helper.make_tensor_value_info("forecast", TensorProto.FLOAT, ["n", 1])
    model = helper.make_model(
        helper.make_graph(nodes, "branches", [source], [said], constants),
        opset_imports=[helper.make_opsetid("", 15)],
        ir_version=8,
    )
    content: bytes = model.SerializeToString()
    return content


def test_columns_stand_in_order() -> None:
    """Each column is to the bit what its graph says alone, for one window and for many, in the order given."""
    parts = [
        tiny_graph(FEATURES, seed=1),
        forest(),
        logit(),
        two_headed(2.0),
        constant_graph(0.25, WINDOW, FEATURES),
    ]
    merged = merge_columns(parts)
    check_graph(open_session(merged, threads=1, name="merged"), (WINDOW, FEATURES), 6, "merged")
    for count in (1, 3, 256):
        given = windows(count)
        alone = np.concatenate([outputs(part, given)[0] for part in parts], axis=1)
        (found,) = outputs(merged, given)
        np.testing.assert_array_equal(found, alone)
    assert len({tuple(column) for column in found.T}) == 6


def test_a_graph_twice() -> None:
    """The same graph may stand beside itself: no names clash."""
    (found,) = outputs(merge_columns([logit(), logit()]), windows(5))
    np.testing.assert_array_equal(found[:, 0], found[:, 1])


def test_the_mean_of_seeds() -> None:
    """The mean is that of what the graphs say alone, and may be a column beside others."""
    seeds = [tiny_graph(FEATURES, seed=seed) for seed in (1, 2, 3)]
    given = windows(40)
    mean = mean_of(seeds)
    expected = np.mean([outputs(seed, given)[0] for seed in seeds], axis=0)
    np.testing.assert_allclose(outputs(mean, given)[0], expected, rtol=1e-6, atol=1e-7)
    assert np.ptp(expected) > 0.01
    (both,) = outputs(merge_columns([logit(), mean]), given)
    np.testing.assert_array_equal(both[:, 1:], outputs(mean, given)[0])


def test_second_outputs_are_averaged_where_all_have_them() -> None:
    """The mean of attention is kept by its name; with a graph that has none it is left out."""
    given, pair = windows(9), [two_headed(1.0), two_headed(3.0)]
    mean = mean_of(pair)
    session = open_session(mean, threads=1, name="mean")
    assert [entry.name for entry in session.get_outputs()] == ["forecast", "attention"]
    for place, found in enumerate(outputs(mean, given)):
        expected = np.mean([outputs(part, given)[place] for part in pair], axis=0)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert len(outputs(mean_of([two_headed(1.0, width=1), logit()]), given)) == 1


def test_one_graph_is_its_own_mean() -> None:
    """A single graph keeps its numbers."""
    given = windows(4)
    for merged in (merge_columns([logit()]), mean_of([logit()])):
        np.testing.assert_array_equal(outputs(merged, given)[0], outputs(logit(), given)[0])


@pytest.mark.parametrize("opset", [15, 17, 18, 21])
def test_opsets_are_brought_to_the_highest(opset: int) -> None:
    """A graph of a later opset merges with ours, which are converted and keep their numbers."""
    parts = [forest(), logit(), constant_graph(0.5, WINDOW, FEATURES), two_headed(1.0, opset=opset)]
    merged = merge_columns(parts)
    versions = {entry.domain: entry.version for entry in onnx.load_model_from_string(merged).opset_import}
    assert versions == {"": opset, "ai.onnx.ml": 3}
    given = windows(20)
    alone = np.concatenate([outputs(part, given)[0] for part in parts], axis=1)
    np.testing.assert_array_equal(outputs(merged, given)[0], alone)


def test_an_operator_set_that_is_named_but_not_used_does_not_matter() -> None:
    """A TensorFlow export names ai.onnx.ml 2 without using it, and merges with a forest, which needs 3."""
    parts = [two_headed(1.0, unused=("ai.onnx.ml", 2)), forest()]
    given = windows(6)
    alone = np.concatenate([outputs(part, given)[0] for part in parts], axis=1)
    np.testing.assert_array_equal(outputs(merge_columns(parts), given)[0], alone)


def test_graphs_inside_nodes_keep_their_names_together() -> None:
    """The branches of an If still find the constants and results of the graph around them."""
    part = with_branches()
    for sign in (1.0, -1.0):
        given = np.full((2, WINDOW, FEATURES), sign, np.float32)
        (found,) = outputs(merge_columns([part, logit(), part]), given)
        np.testing.assert_array_equal(found[:, [0]], outputs(part, given)[0])
        np.testing.assert_array_equal(found[:, 0], np.full(2, 1.5 * sign, np.float32))


def test_onnxruntime_has_nothing_to_say(capfd: pytest.CaptureFixture[str]) -> None:
    """A merged graph loads and runs without a warning, though its parts name the batch differently."""
    merged = merge_columns(
        [mean_of([two_headed(1.0), two_headed(2.0)]), tiny_graph(FEATURES), forest(), logit()]
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(merged, options, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        session.run(None, {"window": windows(count)})
    said = capfd.readouterr()
    assert said.out + said.err == ""


def test_what_does_not_fit_together() -> None:
    """Nothing at all, bytes that are no graph, other windows, and other widths are refused in a sentence."""
    with pytest.raises(ModelError, match="no graph to merge"):
        merge_columns([])
    with pytest.raises(ModelError, match="no graph to merge"):
        mean_of([])
    for broken in (b"", b"not a graph", logit()[:-7]):
        with pytest.raises(ModelError, match="graph 2 is not an ONNX graph"):
            merge_columns([logit(), broken])
    other = logit_graph(np.zeros(FEATURES + 1), 0.0, WINDOW, FEATURES + 1)
    with pytest.raises(ModelError, match=r"graph 2 takes windows of \[60, 7\]"):
        merge_columns([logit(), other])
    with pytest.raises(ModelError, match="no mean"):
        mean_of([logit(), two_headed(1.0)])
