"""Features, training and evaluation of models, and the Python API of docs/python-api.md, imported when it is named."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.preprocessing import DataPreprocessor
    from models.price_predictor import LSTMPricePredictor

__all__ = ["DataPreprocessor", "LSTMPricePredictor"]

_HOMES = {"DataPreprocessor": "models.preprocessing", "LSTMPricePredictor": "models.price_predictor"}

if not TYPE_CHECKING:  # a type checker would take every name for one that exists

    def __getattr__(name: str) -> Any:
        """The classes of the Python API: the daemon imports this package too, and needs none of them."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)
