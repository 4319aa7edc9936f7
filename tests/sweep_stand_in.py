"""What tests of a search evaluate in place of a market: a point's days are a function of its threshold."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backtests.sweep_point import Ground, PointFigures
from bot.errors import DataError
from tests.sweep_tables import figures

BEST = 0.5


@dataclass(frozen=True)
class StandInJob:
    """One point: what it sets, and where it leaves a mark.

    Attributes:
        config: As a job's; its words are part of the point's key.
        make_strategy: Likewise.
        folder: Where a file is made for each evaluation; none without.
        deed: ``raise`` or ``die`` in place of figures.
    """

    config: str
    make_strategy: str
    folder: str = ""
    deed: str = ""


def evaluate(ground: Ground, job: Any) -> PointFigures:
    """Days whose mean is highest at a threshold of ``BEST``, or the deed."""
    if job.folder:
        number = len(list(Path(job.folder).iterdir()))
        (Path(job.folder) / f"{number}-{os.getpid()}-{job.config}").touch()
    if job.deed == "raise":
        raise DataError(f"{job.config} is unlucky")
    if job.deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    threshold = float(job.config)
    days = sum(len(block.days) for block in ground.blocks)
    noise = np.random.default_rng([round(threshold * 1e6), 3]).normal(0.0, 0.01, days)
    return figures(noise + 0.02 - 0.05 * abs(threshold - BEST), blocks=len(ground.blocks))
