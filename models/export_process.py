"""``python -m models.export_process MODEL.keras GRAPH.onnx``: export by TensorFlow what another backend trained.

Keras takes its backend once a process, and its way to ONNX that all our layers are tried on is TensorFlow's.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(source: str, target: str) -> None:
    """Load the model and write its graph."""
    import keras

    from models.architectures import register_layers
    from models.export import traced_graph

    register_layers()
    Path(target).write_bytes(traced_graph(keras.models.load_model(source, compile=False)))


if __name__ == "__main__":
    main(*sys.argv[1:])
