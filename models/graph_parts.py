"""What our hand-made ONNX graphs share: their versions, their ends, and how graphs are read and written."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

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


def canonical(content: bytes) -> bytes:
    """The same graph in the one order and with the names that its structure alone gives.

    tf2onnx numbers nodes and free sizes through a process's life, writes independent nodes in either order, and keeps
    either of two equal constants: here the same network becomes the same bytes. Names of the graph's inputs and
    outputs stay, and sizes that are free are called n; what no output needs is left out.

    Raises:
        ModelError: The content is no ONNX graph.
    """
    model = read_model(content, "the exported graph")
    graph = model.graph
    nodes = _in_order_of_need(graph)
    names = {entry.name: entry.name for entry in (*graph.input, *graph.output)}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    equal: dict[bytes, str] = {}
    for name in [name for node in nodes for name in _needs(node) if name in constants]:
        names.setdefault(name, equal.setdefault(_content(constants[name]), f"c{len(equal)}"))
    _rename_nodes(nodes, names, itertools.count())
    kept = {names[name]: tensor for name, tensor in constants.items() if name in names}
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    model.doc_string = graph.doc_string = ""
    graph.node.extend(nodes)
    for name in sorted(kept):
        kept[name].name = name
        graph.initializer.append(kept[name])
    for entry in (*graph.input, *graph.output):
        for axis, size in enumerate(entry.type.tensor_type.shape.dim):
            if size.HasField("dim_param"):
                size.dim_param = "n" if axis == 0 else f"n{axis}"
    return checked_bytes(model)


def _in_order_of_need(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs need, each behind all that it needs itself, the first input's first."""
    maker = {name: number for number, node in enumerate(graph.node) for name in node.output if name}
    order: list[int] = []
    waiting = [(maker[entry.name], False) for entry in reversed(graph.output) if entry.name in maker]
    seen: set[int] = set()
    while waiting:
        number, ready = waiting.pop()
        if ready:
            order.append(number)
        elif number not in seen:
            seen.add(number)
            waiting.append((number, True))
            needed = [maker[name] for name in _needs(graph.node[number]) if name in maker]
            waiting.extend((one, False) for one in reversed(needed))
    return [graph.node[number] for number in order]


def _needs(node: onnx.NodeProto) -> list[str]:
    """Names that a node reads, those that graphs inside it read from outside included."""
    inside = [name for body in bodies(node) for one in body.node for name in _needs(one)]
    return [*node.input, *inside]


def _content(tensor: onnx.TensorProto) -> bytes:
    """A constant without its name."""
    nameless = onnx.TensorProto()
    nameless.CopyFrom(tensor)
    nameless.name = ""
    content: bytes = nameless.SerializeToString()
    return content


def _rename_nodes(nodes: Iterable[onnx.NodeProto], names: dict[str, str], numbers: Iterator[int]) -> None:
    """Number nodes and tensors in the order in which they appear, those of graphs inside nodes included."""

    def named(name: str) -> str:
        if name and name not in names:
            names[name] = f"t{next(numbers)}"
        return names.get(name, name)

    for node in nodes:
        for tensors in (node.input, node.output):
            tensors[:] = [named(name) for name in tensors]
        node.name, node.doc_string = f"{node.op_type}_{node.output[0]}", ""
        for body in bodies(node):
            for entry in (*body.input, *body.initializer):
                entry.name = named(entry.name)
            _rename_nodes(body.node, names, numbers)
            for entry in body.output:
                entry.name = named(entry.name)
            del body.value_info[:]


def bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs inside a node, such as the body of a loop."""
    single = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return [*single, *(inside for attribute in node.attribute for inside in attribute.graphs)]
