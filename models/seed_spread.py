"""How far the figures of one recipe differ by the seed alone: what a single seed's luck is worth."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

FIGURES = ("direction_accuracy", "log_loss_gain_millinats", "return_r2", "correlation", "calibration_slope")


def seed_spread(reports: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Each seed's figures on the test slice, and their mean, standard deviation, least and greatest.

    Args:
        reports: Seed -> report of its own model, as ``models.evaluation.evaluate`` gives it.

    Returns:
        ``each``: seed -> figures; ``spread``: figure -> mean, deviation (of a sample, so None for one seed),
        lowest and highest. A figure that a seed lacks is left out of its spread.
    """
    each = {
        str(seed): {name: report["forecasts"]["model"][name] for name in FIGURES}
        for seed, report in reports.items()
    }
    spread = {}
    for name in FIGURES:
        values = [figures[name] for figures in each.values() if figures[name] is not None]
        if values:
            spread[name] = {
                "mean": statistics.fmean(values),
                "deviation": statistics.stdev(values) if len(values) > 1 else None,
                "lowest": min(values),
                "highest": max(values),
            }
    return {"each": each, "spread": spread}
