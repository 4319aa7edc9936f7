"""Weights that are not numbers, found without the onnx package."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from bot.errors import ModelError
from models.graph_weights import damaged_weight
from tests.tiny_model import tiny_graph

BAD = (math.nan, math.inf, -math.inf)


def tensor(values: Any, kind: int, *, raw: bool) -> onnx.TensorProto:
    """A constant named ``weight``, its values as bytes or as a list of numbers."""
    made = helper.make_tensor("weight", kind, [len(values)], values)
    if not raw:
        return made
    return numpy_helper.from_array(numpy_helper.to_array(made), "weight")


def graph_of(*constants: onnx.TensorProto, nodes: Any = ()) -> onnx.GraphProto:
    """A graph with these constants and nodes."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    return helper.make_graph(list(nodes), "graph", [value], [value], list(constants))


def model_of(graph: onnx.GraphProto) -> bytes:
    """A model of a graph."""
    content: bytes = helper.make_model(graph).SerializeToString()
    return content


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (TensorProto.FLOAT, False),
        (TensorProto.DOUBLE, False),
        (TensorProto.FLOAT, True),
        (TensorProto.DOUBLE, True),
        (TensorProto.FLOAT16, True),
        (TensorProto.BFLOAT16, True),
    ],
)
def test_a_constant_of_any_kind_is_looked_at(kind: int, raw: bool) -> None:
    """One bad value among good ones is found by the constant's name, whatever its type and however it is written."""
    good = [0.5, -3.0, 65000.0, 1e-7]
    assert damaged_weight(model_of(graph_of(tensor(good, kind, raw=raw)))) is None
    for bad in BAD:
        assert damaged_weight(model_of(graph_of(tensor([*good, bad], kind, raw=raw)))) == "weight"


def test_integers_are_never_damaged() -> None:
    """Bytes of integers that would be no number as floats are sound."""
    constant = numpy_helper.from_array(np.array([0x7FC00000, -1], np.int32), "count")
    assert damaged_weight(model_of(graph_of(constant))) is None


@pytest.mark.parametrize("bad", BAD)
def test_constants_inside_nodes_are_looked_at(bad: float) -> None:
    """A node's tensor, number, list of numbers, sparse tensor and inner graph each are searched."""
    inner = graph_of(tensor([1.0, bad], TensorProto.FLOAT, raw=True))
    sparse = helper.make_sparse_tensor(
        tensor([bad], TensorProto.FLOAT, raw=False),
        helper.make_tensor("at", TensorProto.INT64, [1], [3]),
        [9],
    )
    given: dict[str, Any] = {
        "value": tensor([bad], TensorProto.DOUBLE, raw=True),
        "alpha": bad,
        "leaves": [1.0, 2.0, bad, 3.0],
        "body": inner,
        "sparse_value": sparse,
        "bodies": [graph_of(), inner],
    }
    for name, value in given.items():
        node = helper.make_node("Any", ["x"], ["y"], **{name: value})
        found = damaged_weight(model_of(graph_of(nodes=[node])))
        assert found == ("weight" if name not in {"alpha", "leaves"} else name)
    nested = helper.make_node("If", ["x"], ["y"], then_branch=graph_of(nodes=[node]))
    assert damaged_weight(model_of(graph_of(nodes=[nested]))) == "weight"
    function = helper.make_function("own", "f", ["x"], ["y"], [node], [])
    model = helper.make_model(graph_of(), functions=[function])
    assert damaged_weight(model.SerializeToString()) == "weight"


@given(
    ints=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30),
    texts=st.lists(st.text(max_size=40), max_size=10),
    floats=st.lists(st.floats(width=32), min_size=1, max_size=30),
    names=st.lists(st.text("=@J\n\x04:", min_size=1, max_size=6), min_size=3, max_size=3, unique=True),
)
def test_attributes_are_read_as_onnx_writes_them(
    ints: list[int], texts: list[str], floats: list[float], names: list[str]
) -> None:
    """Integers, texts and floats in any order and of any value: found exactly where a float is not finite."""
    values = [ints or [1], texts or ["a"], floats]
    node = helper.make_node("Any", ["x"], ["y"], **dict(zip(names, values, strict=True)))
    found = damaged_weight(model_of(graph_of(nodes=[node])))
    assert found == (None if all(map(math.isfinite, floats)) else names[2])


def test_a_constant_without_a_name_is_called_by_its_node() -> None:
    """The nearest name that there is says where to look."""
    nameless = helper.make_tensor("", TensorProto.FLOAT, [1], [math.nan])
    node = helper.make_node("Constant", [], ["y"], name="bias", value=nameless)
    assert damaged_weight(model_of(graph_of(nodes=[node]))) == "value"


def test_bytes_that_are_no_graph_are_refused() -> None:
    """A model cut off anywhere either is a ModelError or has no damaged weight; nothing else comes out."""
    content = tiny_graph(6)
    assert damaged_weight(content) is None
    refused = 0
    for end in range(1, len(content), 97):
        try:
            assert damaged_weight(content[:end]) is None
        except ModelError:
            refused += 1
    assert refused > 0
    with pytest.raises(ModelError, match="no ONNX graph"):
        damaged_weight(b"not a graph")


def test_onnx_is_not_needed() -> None:
    """Looking imports no onnx: it is not installed where models only forecast."""
    program = "import sys, models.graph_weights\nprint('onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
