"""What our hand-made ONNX graphs share: their versions, their ends, and how graphs are read and written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bot.errors import ModelError

OPSET = 15
"""Of ONNX's own operators: what the export of a Keras model writes, so that both fit into one graph."""

TREES_OPSET = 3
"""Of ``ai.onnx.ml``: the first with trees in float64."""

IR_VERSION = 8
"""The file format that came with opset 15."""

INPUT = "window"
OUTPUT = "forecast"


def input_of(window: int, features: int) -> onnx.ValueInfoProto:
    """The input ``window``, float32 [n, window, features]."""
    return helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", window, features])


def last_row() -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Nodes and constants that make ``row``, float64 [n, features], of the window's last row.

    In float64, sums differ by their order only beyond the digits of a float32: a window forecast alone and the
    same window in a batch come out the same.
    """
    nodes = [
        helper.make_node("Gather", [INPUT, "last"], ["row32"], axis=1),
        helper.make_node("Cast", ["row32"], ["row"], to=TensorProto.DOUBLE),
    ]
    return nodes, [numpy_helper.from_array(np.array(-1, np.int64), "last")]


def one_column(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto],
    shape: tuple[int, int],
    *,
    trees: bool = False,
) -> bytes:
    """A graph from windows of a shape to ``forecast``, float32 [n, 1]."""
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(list(nodes), name, [input_of(*shape)], [output], list(constants))
    opsets = [helper.make_opsetid("", OPSET)]
    if trees:
        opsets.append(helper.make_opsetid("ai.onnx.ml", TREES_OPSET))
    return checked_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION))


def checked_bytes(model: onnx.ModelProto) -> bytes:
    """A model as bytes; ModelError when ONNX finds a fault in it, or it is beyond 2 GB."""
    try:
        content: bytes = model.SerializeToString()
        onnx.checker.check_model(content)
    except Exception as fault:
        # protobuf and the checker raise classes of their own, straight below Exception.
        raise ModelError(f"the graph {model.graph.name} is not sound: {fault}") from fault
    return content


def read_model(content: bytes, name: str) -> onnx.ModelProto:
    """A model from bytes; ModelError when they are none."""
    try:
        model = onnx.load_model_from_string(content)
    except Exception as fault:
        # The same: protobuf's DecodeError, for one.
        raise ModelError(f"{name} is not an ONNX graph: {fault}") from fault
    if not model.graph.output:
        raise ModelError(f"{name} is not an ONNX graph: it has no output")
    return model
