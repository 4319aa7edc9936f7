"""Several ONNX graphs of the same windows become one: columns side by side, or the mean of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, inliner, numpy_helper, version_converter

from bot.errors import ModelError
from models.graph_parts import INPUT, OUTPUT, bodies, checked_bytes, read_model

_OWN = ("", "ai.onnx")
_PRODUCER = "lstm-scalping-bot"


def merge_columns(graphs: Sequence[bytes]) -> bytes:
    """One graph that gives the first outputs of several, column by column in their order.

    Args:
        graphs: ONNX graphs, each with one input float32 [n, window, f], all of one window and f, and a first
            output float32 [n, columns]; further outputs are left out.

    Returns:
        An ONNX graph, ``window`` float32 [n, window, f] to ``forecast`` float32 [n, sum of columns].

    Raises:
        ModelError: A graph is none, or does not fit the others.
    """
    parts = _parts(graphs)
    columns = [_width(part, 0) for part in parts]
    node = helper.make_node("Concat", [part.graph.output[0].name for part in parts], [OUTPUT], axis=1)
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", sum(columns)])
    return _joined("columns", parts, [node], [output], [])


def mean_of(graphs: Sequence[bytes]) -> bytes:
    """One graph that gives the mean of several: the average of one model's seeds.

    Args:
        graphs: As of ``merge_columns``, all with as many columns. Second outputs float32 [n, k] are averaged too
            where all have them.

    Returns:
        An ONNX graph, ``window`` to ``forecast`` and, if any, the second output by the first graph's name for it.

    Raises:
        ModelError: A graph is none, or does not fit the others.
    """
    parts = _parts(graphs)
    names = [OUTPUT]
    if all(len(part.graph.output) > 1 for part in parts):
        names.append(parts[0].graph.output[1].name.removeprefix(_mark(0)))
    nodes, outputs = [], []
    for place, name in enumerate(names):
        widths = {_width(part, place) for part in parts}
        if len(widths) > 1:
            raise ModelError(f"graphs of {sorted(widths)} columns have no mean")
        addends = [part.graph.output[place].name for part in parts]
        nodes += [
            helper.make_node("Sum", addends, [f"mean/sum_{place}"]),
            helper.make_node("Div", [f"mean/sum_{place}", "mean/count"], [name]),
        ]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", widths.pop()]))
    count = numpy_helper.from_array(np.array(len(parts), np.float32), "mean/count")
    return _joined("mean", parts, nodes, outputs, [count])


def _parts(graphs: Sequence[bytes]) -> list[onnx.ModelProto]:
    """The graphs, read, of one opset, and with names that no other graph has."""
    if not graphs:
        raise ModelError("there is no graph to merge")
    models = [read_model(content, f"graph {number}") for number, content in enumerate(graphs, start=1)]
    models = [inliner.inline_local_functions(model) if model.functions else model for model in models]
    highest = max(_opset(model) for model in models)
    parts = [_converted(model, highest) for model in models]
    for number, part in enumerate(parts):
        _check_input(part, parts[0], f"graph {number + 1}")
        _prefix(part.graph, _mark(number))
    return parts


def _mark(number: int) -> str:
    """What stands before each name of a part."""
    return f"m{number}/"


def _converted(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model at a higher opset; ModelError where ONNX knows no way."""
    if _opset(model) == opset:
        return model
    try:
        return version_converter.convert_version(model, opset)
    except Exception as fault:
        # The converter raises bare RuntimeErrors and its own ConvertError, all of them refusals.
        raise ModelError(
            f"the graph {model.graph.name} cannot be brought to opset {opset}: {fault}"
        ) from fault


def _opset(model: onnx.ModelProto) -> int:
    """Version of ONNX's own operators in a model; 0 if it names none."""
    return max((int(entry.version) for entry in model.opset_import if entry.domain in _OWN), default=0)


def _check_input(part: onnx.ModelProto, first: onnx.ModelProto, name: str) -> None:
    """Refuse a graph that takes something else than the first one does."""
    found, wanted = _inputs(part), _inputs(first)
    if len(found) != 1 or found[0][0] != TensorProto.FLOAT or len(found[0][1]) != 3:
        raise ModelError(f"{name} does not take one batch of windows in float32")
    if found != wanted:
        raise ModelError(
            f"{name} takes windows of {list(found[0][1][1:])}, the first {list(wanted[0][1][1:])}"
        )


def _inputs(model: onnx.ModelProto) -> list[tuple[int, tuple[int, ...]]]:
    """Type and shape of each input that is no constant; 0 stands for a size that is free."""
    constants = {constant.name for constant in model.graph.initializer}
    return [
        (tensor.elem_type, (0, *(int(size.dim_value) for size in tensor.shape.dim[1:])))
        for entry in model.graph.input
        if entry.name not in constants
        for tensor in [entry.type.tensor_type]
    ]


def _width(part: onnx.ModelProto, place: int) -> int:
    """Columns of an output; ModelError unless it is float32 [n, columns]."""
    tensor = part.graph.output[place].type.tensor_type
    sizes = [int(size.dim_value) for size in tensor.shape.dim]
    if tensor.elem_type != TensorProto.FLOAT or len(sizes) != 2 or sizes[1] < 1:
        raise ModelError(
            f"output {place + 1} of the graph {part.graph.name} is no float32 table of known width"
        )
    return sizes[1]


def _prefix(graph: onnx.GraphProto, prefix: str) -> None:
    """Put a prefix before every name, those of graphs inside nodes included.

    ``onnx.compose.add_prefix`` renames what it has seen defined, and so misses a constant of the outer graph that
    the body of a loop uses; before every name the same prefix keeps all of them together.
    """
    for node in graph.node:
        node.name = _prefixed(node.name, prefix)
        node.input[:] = [_prefixed(name, prefix) for name in node.input]
        node.output[:] = [_prefixed(name, prefix) for name in node.output]
        for inside in bodies(node):
            _prefix(inside, prefix)
    sparse = [tensor for entry in graph.sparse_initializer for tensor in (entry.values, entry.indices)]
    for entry in (*graph.input, *graph.output, *graph.initializer, *graph.value_info, *sparse):
        entry.name = _prefixed(entry.name, prefix)


def _prefixed(name: str, prefix: str) -> str:
    """An empty name stands for an input or output that is left out, and stays."""
    return prefix + name if name else name


def _joined(
    name: str,
    parts: Sequence[onnx.ModelProto],
    nodes: Iterable[onnx.NodeProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Sequence[onnx.TensorProto],
) -> bytes:
    """One graph of all parts and the nodes behind them; each part reads the common input under its own name.

    What the parts say of the shapes between their nodes is left out: onnxruntime finds it out by itself, and would
    warn of two names for one size.
    """
    shape = _inputs(parts[0])[0][1]
    source = helper.make_tensor_value_info(
        INPUT, TensorProto.FLOAT, ["n", *(size or None for size in shape[1:])]
    )
    graph = helper.make_graph([], name, [source], list(outputs), list(constants))
    for part in parts:
        constant_names = {constant.name for constant in part.graph.initializer}
        (own,) = (entry.name for entry in part.graph.input if entry.name not in constant_names)
        graph.node.append(helper.make_node("Identity", [INPUT], [own]))
        graph.node.extend(part.graph.node)
        graph.initializer.extend(part.graph.initializer)
        graph.sparse_initializer.extend(part.graph.sparse_initializer)
    graph.node.extend(nodes)
    ir_version = max(int(part.ir_version) for part in parts)
    return checked_bytes(
        helper.make_model(graph, opset_imports=_opsets(parts), ir_version=ir_version, producer_name=_PRODUCER)
    )


def _opsets(parts: Sequence[onnx.ModelProto]) -> list[onnx.OperatorSetIdProto]:
    """The versions of the operators in use; ModelError where two parts need different ones of one domain.

    An export of TensorFlow names ``ai.onnx.ml`` without any node of it: such a version binds nobody.
    """
    versions: dict[str, int] = {"": _opset(parts[0])}
    for part in parts:
        used = _domains(part.graph)
        for entry in part.opset_import:
            if (
                entry.domain in used
                and versions.setdefault(entry.domain, int(entry.version)) != entry.version
            ):
                raise ModelError(f"two graphs need different versions of the operators of {entry.domain}")
    return [helper.make_opsetid(domain, version) for domain, version in versions.items()]


def _domains(graph: onnx.GraphProto) -> set[str]:
    """Domains of the nodes other than ONNX's own, those of graphs inside nodes included."""
    found = {str(node.domain) for node in graph.node} - set(_OWN)
    for node in graph.node:
        for inside in bodies(node):
            found |= _domains(inside)
    return found
