"""The one way to write a graph."""

from __future__ import annotations

import random

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from bot.errors import ModelError
from models.graph_parts import canonical


def written(seed: int) -> bytes:
    """One network: two branches of equal constants and an unused node, in an order and with names by the seed."""
    rng = random.Random(seed)
    mark = [f"n{rng.randrange(10**6)}_{number}" for number in range(8)]
    two = [numpy_helper.from_array(np.array(2.0, np.float32), name) for name in mark[:2]]
    unused = numpy_helper.from_array(np.array(9.0, np.float32), mark[7])
    branches = [
        helper.make_node("Mul", ["window", mark[0]], [mark[2]], name=mark[2]),
        helper.make_node("Add", ["window", mark[1]], [mark[3]], name=mark[3]),
        helper.make_node("Neg", [mark[7]], [mark[6]]),
    ]
    rng.shuffle(branches)
    nodes = [*branches, helper.make_node("Sub", [mark[2], mark[3]], ["forecast"])]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("window", "forecast")
    ]
    constants = [*two, unused]
    rng.shuffle(constants)
    graph = helper.make_graph(nodes, "test", ends[:1], ends[1:], constants)
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8, doc_string=f"written {seed}"
    ).SerializeToString()
    return content


def test_names_and_order_do_not_matter() -> None:
    """However one network was written, it becomes the same bytes, which are canonical themselves."""
    found = {canonical(written(seed)) for seed in range(20)}
    assert len({written(seed) for seed in range(20)}) == 20
    assert len(found) == 1
    (content,) = found
    assert canonical(content) == content


def test_it_stays_the_same_network() -> None:
    """The ends keep their names, the outputs their numbers; what nothing needs is gone, equal constants are one."""
    content = canonical(written(1))
    model = onnx.load_model_from_string(content)
    assert len(model.graph.node) == 3
    assert len(model.graph.initializer) == 1
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    values = np.array([[1.0, 2.0, 5.0]], np.float32)
    (found,) = session.run(["forecast"], {"window": values})
    np.testing.assert_array_equal(found, values * 2 - (values + 2))


def test_another_network_has_other_bytes() -> None:
    """A constant that differs shows."""
    other = onnx.load_model_from_string(written(1))
    other.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.array(3.0, np.float32), other.graph.initializer[0].name)
    )
    other.graph.initializer[1].CopyFrom(
        numpy_helper.from_array(np.array(3.0, np.float32), other.graph.initializer[1].name)
    )
    assert canonical(other.SerializeToString()) != canonical(written(1))


def test_a_loop_keeps_its_names_together() -> None:
    """Constants of the outer graph that the body of a loop reads are renamed in both."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "outer"], ["next"]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [value("i", TensorProto.INT64, []), value("going", TensorProto.BOOL, []), value("state", TensorProto.FLOAT, [1])],
        [value("on", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, [1])],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("Loop", ["times", "", "window"], ["forecast"], body=body)],
        "loop",
        [value("window", TensorProto.FLOAT, [1])],
        [value("forecast", TensorProto.FLOAT, [1])],
        [
            numpy_helper.from_array(np.array([1.5], np.float32), "outer"),
            numpy_helper.from_array(np.array(4, np.int64), "times"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    content = canonical(model.SerializeToString())
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(["forecast"], {"window": np.array([1.0], np.float32)})
    assert found.tolist() == [7.0]


def test_what_is_no_graph_is_refused() -> None:
    """Other bytes give one sentence."""
    with pytest.raises(ModelError, match="is not an ONNX graph"):
        canonical(b"no graph")
