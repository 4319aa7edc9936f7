"""The numbers inside an ONNX graph, read without the onnx package: where models only forecast, it is not installed.

An ONNX file is a protobuf message; what is read of it here is as ``onnx.proto`` numbers it. Running the graph finds a
weight that is not a number only where the weight is used: a leaf of a forest may not be reached for days.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bot.errors import ModelError

_VARINT, _EIGHT_BYTES, _SPAN, _FOUR_BYTES = 0, 1, 2, 5
"""How protobuf writes a value."""

_INSIDE = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "sparse tensor": {1: "tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
}
"""Kind of message -> number of a field -> the kind of message that it holds."""

_NAMES = {"node": 3, "attribute": 1, "tensor": 8}
_ATTRIBUTE_FLOAT, _ATTRIBUTE_FLOATS = 2, 7
_TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_RAW, _TENSOR_DOUBLES = 2, 4, 9, 10
_RAW_TYPES = {1: "<f4", 10: "<f2", 11: "<f8"}
_BFLOAT16 = 16

_SHORT_TEXT = b"|".join(re.escape(bytes([length])) + b".{%d}" % length for length in range(32))
_NUMBERED_OR_NAMED = re.compile(rb"(?:\x40[\x80-\xff]*[\x00-\x7f]|\x4a(?:" + _SHORT_TEXT + rb"))+", re.DOTALL)
"""Lists of integers and of short texts of an attribute, each entry with its tag. A forest has six integers and a text
for each of its nodes: to go through millions of them one by one would take a minute."""

_FLOATS_IN_A_ROW = re.compile(rb"(?:\x3d.{4})+", re.DOTALL)
"""The list of floats of an attribute, each with its tag."""


class _Field(NamedTuple):
    """A field of a message: ``value`` of a varint, else where its bytes are."""

    number: int
    kind: int
    value: int
    start: int
    end: int


def damaged_weight(graph: bytes) -> str | None:
    """The name of a weight that is not a finite number, or None where all are.

    Args:
        graph: An ONNX model. Weights are its float16, bfloat16, float32 and float64 constants, those of nodes (a
            forest's thresholds and leaves are) and of graphs inside nodes included.

    Raises:
        ModelError: The bytes are no ONNX model.
    """
    try:
        return next(_damaged(graph, 0, len(graph), "model"), None)
    except (IndexError, ValueError) as fault:
        raise ModelError(f"these bytes are no ONNX graph: {fault}") from fault


def _damaged(content: bytes, start: int, end: int, kind: str) -> Iterator[str]:
    """Names of what is damaged in a message, the nearest name that there is."""
    name = ""
    for field in _fields(content, start, end, kind):
        if field.kind == _SPAN and field.number == _NAMES.get(kind):
            name = content[field.start : field.end].decode(errors="replace")
        inside = _INSIDE[kind].get(field.number) if field.kind == _SPAN else None
        if inside == "tensor":
            if (found := _damaged_tensor(content, field.start, field.end)) is not None:
                yield found or name
        elif inside is not None:
            yield from (found or name for found in _damaged(content, field.start, field.end, inside))
        elif kind == "attribute" and not _floats_are_finite(content, field):
            yield name


def _floats_are_finite(content: bytes, field: _Field) -> bool:
    """Whether an attribute's own floats are; one that holds none is sound."""
    if field.number not in {_ATTRIBUTE_FLOAT, _ATTRIBUTE_FLOATS}:
        return True
    piece = content[field.start : field.end]
    if field.kind == _FOUR_BYTES and field.number == _ATTRIBUTE_FLOATS:
        tagged = np.frombuffer(piece, np.uint8).reshape(-1, 5)
        piece = tagged[:, 1:].tobytes()
    return bool(np.isfinite(np.frombuffer(piece, "<f4")).all())


def _damaged_tensor(content: bytes, start: int, end: int) -> str | None:
    """A tensor's name where a value is not finite; None where all are, or it holds no floats."""
    name, data_type, parts = "", 0, []
    for field in _fields(content, start, end, "tensor"):
        if field.number == _NAMES["tensor"]:
            name = content[field.start : field.end].decode(errors="replace")
        elif field.number == _TENSOR_TYPE:
            data_type = field.value
        elif field.number in {_TENSOR_FLOATS, _TENSOR_RAW, _TENSOR_DOUBLES}:
            parts.append((field.number, content[field.start : field.end]))
    return None if all(_is_finite(number, piece, data_type) for number, piece in parts) else name


def _is_finite(number: int, piece: bytes, data_type: int) -> bool:
    """Whether the values of one field of a tensor are finite."""
    if number == _TENSOR_RAW and data_type == _BFLOAT16:
        # The upper half of a float32: not finite where all bits of the exponent are set.
        return not bool(((np.frombuffer(piece, "<u2") & 0x7F80) == 0x7F80).any())
    written = {_TENSOR_FLOATS: "<f4", _TENSOR_DOUBLES: "<f8"}.get(number) or _RAW_TYPES.get(data_type)
    return written is None or bool(np.isfinite(np.frombuffer(piece, written)).all())


def _fields(content: bytes, start: int, end: int, kind: str) -> Iterator[_Field]:
    """The fields of a message; an attribute's integers and short texts are left out, its list of floats is one."""
    place = start
    while place < end:
        if kind == "attribute":
            if (skipped := _NUMBERED_OR_NAMED.match(content, place, end)) is not None:
                place = skipped.end()
                continue
            if (floats := _FLOATS_IN_A_ROW.match(content, place, end)) is not None:
                yield _Field(_ATTRIBUTE_FLOATS, _FOUR_BYTES, 0, place, floats.end())
                place = floats.end()
                continue
        tag, place = _varint(content, place)
        number, written, value = tag >> 3, tag & 7, 0
        if written == _VARINT:
            first = place
            value, place = _varint(content, place)
        elif written in {_EIGHT_BYTES, _FOUR_BYTES}:
            first, place = place, place + (8 if written == _EIGHT_BYTES else 4)
        elif written == _SPAN:
            length, first = _varint(content, place)
            place = first + length
        else:
            raise ValueError(f"a field is written in an unknown way ({written})")
        if place > end:
            raise ValueError("a field reaches beyond its message")
        yield _Field(number, written, value, first, place)


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
