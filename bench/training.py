"""Training: windows a second and peak memory, beside plain ``model.fit`` on windows that all lie in memory."""

from __future__ import annotations

import json
from typing import Any

from bench.context import Context
from bench.figures import Figure
from bench.market import DAY_MINUTES
from bench.processes import run_python


def measure(context: Context) -> list[Figure]:
    """Each way in a process of its own, so that its peak of memory is its own (a test starts but one)."""
    days = context.pick(90, 20, 2)
    groups = context.pick([["pipeline"], ["plain"]], [["pipeline"], ["plain"]], [["pipeline", "plain"]])
    ours, plain = (found for ways in groups for found in fits(ways, days, context))
    note = f"{days} days, {ours['windows']:,} windows, batches of {ours['batch']}"
    return [
        Figure("pipeline", ours["windows_per_second"], "1/s", note=note),
        Figure("plain_fit", plain["windows_per_second"], "1/s", note="batches of 32, windows materialised"),
        Figure(
            "pipeline_over_plain",
            ours["windows_per_second"] / plain["windows_per_second"],
            "ratio",
            note="same network, same windows, validation left out",
        ),
        Figure("pipeline_peak", ours["peak_mb"], "MB", note="TensorFlow included"),
        Figure("plain_fit_peak", plain["peak_mb"], "MB"),
        Figure(
            "pipeline_data",
            ours["data_mb"],
            "MB",
            note="peak beyond TensorFlow loaded and idle: data, graph, gradients",
        ),
        Figure("plain_fit_data", plain["data_mb"], "MB"),
    ]


def fits(ways: list[str], days: int, context: Context) -> list[dict[str, Any]]:
    """What ``bench.fits`` says of each way."""
    words = ["-m", "bench.fits", str(days * DAY_MINUTES), str(context.pick(60, 30, 1)), *ways]
    return [json.loads(line) for line in run_python(words, seconds=280.0).splitlines()[-len(ways) :]]
