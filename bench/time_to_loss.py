"""How soon training is as good as the documents' way becomes, what brought it, and what a window costs in memory."""

from __future__ import annotations

import json
from typing import Any

from bench.context import Context
from bench.figures import Figure
from bench.market import DAY_MINUTES
from bench.processes import run_python
from bench.training import fits

CHANGES = {
    "wide_batches": "the documents' way with the recipe's batches",
    "every_window": "bot train on every window",
    "pipeline": "bot train as the recipe has it: every third window",
}


def measure(context: Context) -> list[Figure]:
    """Each way in a process of its own, to its own end; then memory over four times as many windows."""
    days, epochs = context.pick((10, 50), (5, 50), (4, 1))
    ways = context.pick(list(CHANGES), list(CHANGES), ["pipeline"])
    curve = _curve("documents", days, epochs)
    best = min(loss for _, loss in curve)
    ended = curve[-1][0]
    figures = [
        Figure(
            "documents_loss", best, "loss", note=f"the best of {len(curve)} epochs, {days} days of candles"
        ),
        Figure("documents_reached", _reached(curve, best) or ended, "s", note="when that loss was there"),
        Figure("documents_ended", ended, "s", note="model.fit, batches of 32, windows materialised"),
    ]
    for way in ways:
        figures += _raced(way, _curve(way, days, epochs), best, ended)
    return figures + _memory(context)


def _curve(way: str, days: int, epochs: int) -> list[list[float]]:
    """[seconds, validation loss] of each epoch."""
    line = run_python(["-m", "bench.race", str(days * DAY_MINUTES), str(epochs), way], seconds=500.0)
    found: list[list[float]] = json.loads(line.splitlines()[-1])["curve"]
    return found


def _reached(curve: list[list[float]], loss: float) -> float | None:
    """Seconds until an epoch ended at or below a loss; None if none did."""
    return next((seconds for seconds, said in curve if said <= loss), None)


def _raced(way: str, curve: list[list[float]], best: float, ended: float) -> list[Figure]:
    """How a way did against the documents' end; one that never came as low is given its own end, and so misses."""
    reached = _reached(curve, best)
    lowest = min(loss for _, loss in curve)
    note = f"{CHANGES[way]}; lowest {lowest:.6f} in {len(curve)} epochs"
    if reached is None:
        note += ", never as low as the documents' way"
    seconds = curve[-1][0] if reached is None else reached
    share = seconds / ended if reached is not None else max(1.0, seconds / ended)
    goal = "< 0.334" if way == "pipeline" else ""
    return [
        Figure(f"{way}_reached", seconds, "s", note=note),
        Figure(
            f"{way}_over_documents", share, "ratio", goal, "time to that loss, over the documents' whole fit"
        ),
    ]


def _memory(context: Context) -> list[Figure]:
    """What a further window adds to the peak of a fit, what a further candle adds, and what a window would take."""
    few, many = context.pick((60, 240), (30, 90), (2, 4))
    thin, whole, short = (_fit(way, days, context) for way, days in (("/3", many), ("", many), ("", few)))
    window, candle = (
        max((whole["peak_mb"] - other["peak_mb"]) * 1e6 / (whole["windows"] - other["windows"]), 0.0)
        for other in (thin, short)
    )
    goal = context.pick("< 240", "", "")
    note = f"from {thin['windows']:,} to {whole['windows']:,} windows of the same {many} days, bot train"
    return [
        Figure("bytes_a_window", window, "bytes", goal, note),
        Figure("bytes_a_candle", candle, "bytes", note=f"from {few} to {many} days: rows, features, labels"),
        Figure("materialised_bytes_a_window", float(whole["window_bytes"]), "bytes"),
    ]


def _fit(stride: str, days: int, context: Context) -> dict[str, Any]:
    """Speed and memory of a short fit."""
    (found,) = fits([f"pipeline{stride}"], days, context)
    return found
