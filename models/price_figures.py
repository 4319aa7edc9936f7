"""Figures of the price level and of consecutive predicted levels, which older work quotes: never shown alone.

They look good for any forecaster: repeating the last price fits the level almost perfectly. So persistence stands
beside each of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.forecast_sample import Sample

Floats = npt.NDArray[np.float64]


def price_level(sample: Sample, expected: Floats) -> dict[str, Any]:
    """R² and RMSE of the price level, of the model and of persistence; RMSE as a share of the mean price."""
    actual = sample.close * np.exp(sample.realized)
    # Several symbols: each about its own mean, or the distance between their prices would count as fit.
    sizes = np.maximum(np.bincount(sample.symbol), 1)
    means = np.bincount(sample.symbol, weights=actual) / sizes
    total = float(np.sum((actual - means[sample.symbol]) ** 2))
    said = {"model": sample.close * np.exp(expected), "persistence": sample.close}
    found: dict[str, Any] = {}
    for name, level in said.items():
        error = float(np.sum((actual - level) ** 2))
        found[f"r2_{name}"] = 1.0 - error / total if total > 0.0 else None
        relative = (actual - level) / means[sample.symbol]
        found[f"rmse_share_{name}"] = float(np.sqrt(np.mean(relative * relative)))
    return found


def legacy(sample: Sample, expected: Floats) -> dict[str, Any]:
    """Signs of differences between consecutive levels, predicted and actual: the seeds' definition."""
    predicted = np.diff(sample.close * np.exp(expected))
    actual = np.diff(sample.close * np.exp(sample.realized))
    persistent = np.diff(sample.close)
    follows = (np.diff(sample.ts) == 60_000) & (np.diff(sample.symbol) == 0)
    return {
        "label": "legacy: sign of differences between consecutive predicted levels, not a forecast from the last close",
        "direction_accuracy": _share((np.sign(predicted) == np.sign(actual))[follows]),
        "direction_accuracy_persistence": _share((np.sign(persistent) == np.sign(actual))[follows]),
    }


def _share(flags: npt.NDArray[np.bool_]) -> float | None:
    """Share of flags that are set; None where there is none."""
    return float(flags.mean()) if len(flags) else None
