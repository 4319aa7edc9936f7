"""What a run was made of, as hashes, and the command that makes it again."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import resources
from typing import Any

import numpy as np

from backtests.inputs import BacktestInput, PredictionColumns
from bot.core.engine_config import EngineConfig
from models.hashing import code_digest as models_digest
from models.hashing import data_digest

PACKAGES = ("bot.core", "strategies", "backtests")
"""Packages that decide what a run does, beside ``models``."""


def reproduction(
    data: BacktestInput, *, argv: Sequence[str] = (), made_at: str | None = None
) -> dict[str, Any]:
    """The command, as it was typed, and SHA-256 of what it read and of the code that ran.

    Args:
        data: What was run.
        argv: The words after ``bot``; none where nobody typed a command.
        made_at: When, in ISO 8601.
    """
    return {
        "command": shlex.join(["bot", *argv]) if argv else None,
        "made_at": made_at,
        "candles_sha256": {symbol: data_digest({symbol: arrays}) for symbol, arrays in data.candles.items()},
        "predictions_sha256": {
            symbol: predictions_digest(columns) for symbol, columns in data.predictions.items()
        },
        "code_sha256": code_digest(),
    }


def predictions_digest(columns: PredictionColumns) -> str:
    """Hex digest of the forecasts of a symbol: who made them, when, and every column."""
    digest = hashlib.sha256(f"{columns.model_id}:{columns.horizon_minutes}:{len(columns)};".encode())
    digest.update(np.ascontiguousarray(columns.ts, dtype="<i8").tobytes())
    for name in ("expected_return", "probability_up", "raw", "uncertainty", "volatility"):
        column = getattr(columns, name)
        digest.update(b"-" if column is None else np.ascontiguousarray(column, dtype="<f8").tobytes())
    return digest.hexdigest()


def code_digest() -> str:
    """Hex digest of the Python sources that a run's result depends on."""
    digest = hashlib.sha256(models_digest().encode())
    for package in PACKAGES:
        for entry in sorted(resources.files(package).iterdir(), key=lambda item: item.name):
            if entry.name.endswith(".py"):
                digest.update(f"{package}/{entry.name};".encode())
                digest.update(entry.read_bytes())
    return digest.hexdigest()


def changed_settings(config: EngineConfig) -> list[tuple[str, Any, Any]]:
    """Settings that differ from their defaults: name, value, default."""
    found: list[tuple[str, Any, Any]] = []
    for section in ("costs", "limits", "sizing", "entry"):
        told = getattr(config, section)
        name = "risk." if section == "limits" else f"{section}."
        usual = dict(flat_settings(type(told)(), name))
        found += [
            (key, value, usual.get(key))
            for key, value in flat_settings(told, name)
            if value != usual.get(key)
        ]
    return found


def flat_settings(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Fields by dotted name, of mappings and dataclasses within each other."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if not isinstance(value, Mapping):
        return [(prefix.rstrip("."), getattr(value, "value", value))]
    return [row for key, one in value.items() for row in flat_settings(one, f"{prefix}{key}.")]
