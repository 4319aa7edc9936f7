"""A logistic regression and a constant as ONNX graphs: an ensemble's members that are quick to be right."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from bot.errors import ModelError
from models.graph_parts import INPUT, OUTPUT, last_row, one_column
from models.score_slope import SCORE_SLOPE

Floats = npt.NDArray[np.float64]


def logit_graph(weights: Floats, intercept: float, window: int, features: int) -> bytes:
    """The score (x · weights + intercept) / 1.702 of a window's last row x.

    Args:
        weights: float64 [features], of a logistic regression.
        intercept: Of the same.
        window: Rows of a window.
        features: Numbers in a row.

    Returns:
        An ONNX graph, ``window`` float32 [n, window, features] to ``forecast`` float32 [n, 1].

    Raises:
        ModelError: There are not as many weights as features, or one is not a finite number.
    """
    if weights.shape != (features,):
        raise ModelError(f"a logistic regression of {features} features has no weights {weights.shape}")
    if not (np.isfinite(weights).all() and math.isfinite(intercept)):
        raise ModelError("a logistic regression holds a weight that is not a finite number")
    nodes, constants = last_row()
    nodes += [
        helper.make_node("MatMul", ["row", "weights"], ["product"]),
        helper.make_node("Add", ["product", "intercept"], ["score"]),
        helper.make_node("Cast", ["score"], [OUTPUT], to=TensorProto.FLOAT),
    ]
    constants += [
        numpy_helper.from_array(weights.astype(np.float64)[:, None] / SCORE_SLOPE, "weights"),
        numpy_helper.from_array(np.array([intercept / SCORE_SLOPE], np.float64), "intercept"),
    ]
    return one_column("logit", nodes, constants, (window, features))


def constant_graph(value: float, window: int, features: int) -> bytes:
    """The same number whatever the window; ``base_rate_score`` gives the one that stands for a base rate.

    Returns:
        An ONNX graph, ``window`` float32 [n, window, features] to ``forecast`` float32 [n, 1].

    Raises:
        ModelError: The value is not a finite number.
    """
    if not math.isfinite(value):
        raise ModelError(f"a constant forecast must be a finite number, not {value}")
    nodes = [
        helper.make_node("Shape", [INPUT], ["shape"]),
        helper.make_node("Slice", ["shape", "first", "second"], ["rows"]),
        helper.make_node("Concat", ["rows", "one"], ["wanted"], axis=0),
        helper.make_node(
            "ConstantOfShape",
            ["wanted"],
            [OUTPUT],
            value=numpy_helper.from_array(np.array([value], np.float32)),
        ),
    ]
    constants = [
        numpy_helper.from_array(np.array([number], np.int64), name)
        for name, number in (("first", 0), ("second", 1), ("one", 1))
    ]
    return one_column("constant", nodes, constants, (window, features))


def base_rate_score(base_rate: float) -> float:
    """The score whose logistic curve of slope 1.702 is a base rate; ModelError unless it is within 0 to 1."""
    if not 0.0 < base_rate < 1.0:
        raise ModelError(f"a base rate lies between 0 and 1, {base_rate} does not")
    return math.log(base_rate / (1.0 - base_rate)) / SCORE_SLOPE
