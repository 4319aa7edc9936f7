"""SHA-256 of what a model is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from models.candle_arrays import CandleArrays


def canonical_json(document: Any) -> bytes:
    """JSON with sorted keys and one way to write it; floats in their shortest exact form."""
    return (
        json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    )


def sha256(content: bytes) -> str:
    """Hex digest of some bytes."""
    return hashlib.sha256(content).hexdigest()


def data_digest(series: Mapping[str, CandleArrays]) -> str:
    """Hex digest of every candle of every symbol, whatever the order of the symbols."""
    digest = hashlib.sha256()
    for symbol in sorted(series):
        candles = series[symbol]
        digest.update(f"{symbol}:{len(candles)};".encode())
        digest.update(np.ascontiguousarray(candles.ts, dtype="<i8").tobytes())
        for column in (candles.open, candles.high, candles.low, candles.close, candles.volume):
            digest.update(np.ascontiguousarray(column, dtype="<f8").tobytes())
    return digest.hexdigest()


@cache
def code_digest() -> str:
    """Hex digest of the Python sources of the ``models`` package, as they were when it was first asked for."""
    digest = hashlib.sha256()
    root = resources.files("models")
    for folder in (root, root / "architectures"):
        for entry in sorted(folder.iterdir(), key=lambda item: item.name):
            if entry.name.endswith(".py"):
                digest.update(f"{folder.name}/{entry.name};".encode())
                digest.update(entry.read_bytes())
    return digest.hexdigest()
