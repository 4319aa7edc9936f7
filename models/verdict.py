"""One plain sentence about a forecast: an edge was shown, or none was, or there is too little to tell."""

from __future__ import annotations

from typing import Any

LEAST_MOVES = 1000
LEAST_BLOCKS = 20.0
"""Fewer independent stretches than this leave the interval itself uncertain."""


def judge(metrics: dict[str, Any], *, moves: int, blocks: float) -> dict[str, str]:
    """Judge a model by its log-loss gain over the base rate, and by that alone.

    Args:
        metrics: The model's entry of the report.
        moves: Samples that are not ties.
        blocks: Length of the sample in bootstrap blocks.

    Returns:
        ``edge`` (``shown``, ``not_shown`` or ``not_enough_data``) and ``sentence``.
    """
    gain, interval = metrics["log_loss_gain_millinats"], metrics["log_loss_gain_interval"]
    if moves < LEAST_MOVES or blocks < LEAST_BLOCKS or gain is None or interval is None:
        return {
            "edge": "not_enough_data",
            "sentence": (
                f"Not enough data: {moves:,} moves over {blocks:.0f} independent stretches; "
                f"{LEAST_MOVES:,} over {LEAST_BLOCKS:.0f} are the least that an edge can be judged on."
            ),
        }
    low, high = interval
    figures = f"{gain:+.2f} millinats over the base rate, 95 % interval {low:+.2f} to {high:+.2f}"
    if low > 0.0:
        return {
            "edge": "shown",
            "sentence": f"Edge shown: the log-loss gain is {figures}; costs are not counted.",
        }
    if high < 0.0:
        return {"edge": "not_shown", "sentence": f"No edge shown: worse than the base rate ({figures})."}
    return {
        "edge": "not_shown",
        "sentence": f"No edge shown: the log-loss gain is {figures}, which includes none.",
    }
