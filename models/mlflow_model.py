"""A model as MLflow keeps it: the graph of an artifact, with the names and shapes of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

_SERVED_WITH = ("onnxruntime", "onnx", "numpy")


def save_onnx(source: Path, model_id: str, folder: Path) -> None:
    """Write a graph in MLflow's ONNX flavour, so that MLflow can load and serve it.

    Args:
        source: The ``model.onnx`` of an artifact; its inputs and outputs become the model's signature.
        model_id: Goes into the metadata.
        folder: New; what MLflow needs is written there.
    """
    import mlflow.onnx
    import onnx
    from mlflow.models import ModelSignature

    graph = onnx.load_model_from_string(source.read_bytes())
    mlflow.onnx.save_model(
        graph,
        str(folder),
        signature=ModelSignature(_schema(graph.graph.input), _schema(graph.graph.output)),
        # Given, since MLflow would start a process that loads the model to find them out.
        pip_requirements=[f"{library}=={metadata.version(library)}" for library in _SERVED_WITH],
        metadata={"model_id": model_id},
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )


def _schema(values: Iterable[Any]) -> Any:
    """Names and shapes of a graph's inputs or outputs, as MLflow says them; -1 is any number of windows."""
    import numpy as np
    from mlflow.types.schema import Schema, TensorSpec

    return Schema(
        [
            TensorSpec(
                np.dtype(np.float32),
                tuple(dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim),
                value.name,
            )
            for value in values
        ]
    )
