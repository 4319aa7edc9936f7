"""Training: windows a second and peak memory, beside plain ``model.fit`` on windows that all lie in memory."""

from __future__ import annotations

import json
from typing import Any

from bench.context import Context
from bench.figures import Figure
from bench.market import DAY_MINUTES
from bench.processes import run_python


def measure(context: Context) -> list[Figure]:
    """Each way in a process of its own, so that its peak of memory is its own."""
    days = context.pick(90, 20, 4)
    ours, plain = (one_fit(way, days, context) for way in ("pipeline", "plain"))
    note = f"{days} days, {ours['windows']:,} windows, batches of {ours['batch']}"
    return [
        Figure("pipeline", ours["windows_per_second"], "1/s", note=note),
        Figure("plain_fit", plain["windows_per_second"], "1/s", note="batches of 32, windows materialised"),
        Figure(
            "pipeline_over_plain",
            ours["windows_per_second"] / plain["windows_per_second"],
            "ratio",
            note="same network, same rows, validation left out",
        ),
        Figure("pipeline_peak", ours["peak_mb"], "MB", note="TensorFlow alone takes about 500"),
        Figure("plain_fit_peak", plain["peak_mb"], "MB"),
        Figure("pipeline_data", ours["data_mb"], "MB", note="what the data adds: peak less that of an idle model"),
        Figure("plain_fit_data", plain["data_mb"], "MB"),
    ]


def one_fit(way: str, days: int, context: Context) -> dict[str, Any]:
    """What ``bench.fits`` says of one way."""
    steps = context.pick(60, 30, 2)
    words = ["-m", "bench.fits", way, str(days * DAY_MINUTES), str(steps)]
    found: dict[str, Any] = json.loads(run_python(words, seconds=280.0).splitlines()[-1])
    return found
