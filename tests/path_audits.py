"""Stand-ins of the weekly pipeline, for tests of whatever runs it on many paths; importable by another process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.audits.paths import PathResult, Progress
from bot.core.matching import Costs
from models.candle_arrays import CandleArrays

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class StandIn:
    """Does nothing but what it was told to, by seed.

    Attributes:
        weeks: Weekly decisions that it claims to have made.
        promoted: Seeds that it promotes, and the week.
        raises: Seeds that raise.
        killed: Seeds whose process is killed.
        stuck: Seeds that wait until the file ``go`` is there.
        wild: Seeds with a figure that is no number.
        folder: Leaves a file for each seed that it ran on.
    """

    weeks: int = 12
    promoted: Mapping[int, int] = field(default_factory=dict)
    raises: tuple[int, ...] = ()
    killed: tuple[int, ...] = ()
    stuck: tuple[int, ...] = ()
    wild: tuple[int, ...] = ()
    folder: str | None = None
    history_minutes: int = 120
    label: str = "stand-in"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"label": self.label, "weeks": self.weeks}

    def __call__(
        self, series: dict[str, CandleArrays], costs: Costs, seed: int, progress: Progress
    ) -> PathResult:
        if self.folder is not None:
            (Path(self.folder) / f"ran-{seed}-{os.getpid()}").touch()
        os.write(1, b"a library says something\n")
        progress(0.5, "half way")
        if seed in self.raises:
            raise ValueError(f"seed {seed} is unlucky")
        if seed in self.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        while seed in self.stuck and not (Path(self.folder or ".") / "go").exists():
            time.sleep(0.01)
        candles = next(iter(series.values()))
        figures = {name: float(os.environ.get(name, "nan")) for name in THREADS}
        figures |= {
            "candles": float(len(candles)),
            "last": float(candles.close[-1]),
            "pid": float(os.getpid()),
        }
        if seed in self.wild:
            figures["wild"] = float("nan")
        week = self.promoted.get(seed)
        stopped = {"gain": self.weeks, "net_return": 1} if week is None else {}
        return PathResult(-1, "", week, self.weeks, stopped, figures, 700, 2000)


def small_pipeline(*, model: str, weeks: int, watch_minutes: int) -> StandIn:
    """Promotes nothing."""
    return StandIn(weeks=weeks, label=f"{model}-{watch_minutes}")


def eager_pipeline(*, model: str, weeks: int, watch_minutes: int) -> StandIn:
    """Promotes on every seed that the tests use, each a week later than the one before."""
    return StandIn(weeks=weeks, promoted={seed: seed for seed in range(1, 9)}, label="eager")


def unlucky_pipeline(*, model: str, weeks: int, watch_minutes: int) -> StandIn:
    """Fails on the second seed."""
    return StandIn(weeks=weeks, raises=(2,), label="unlucky")


def slow_pipeline(*, model: str, weeks: int, watch_minutes: int) -> StandIn:
    """Does the first two seeds, and waits at the third for a file in the folder that the environment names."""
    return StandIn(weeks=weeks, stuck=(3,), folder=os.environ["STAND_IN_FOLDER"], label="slow")


def no_pipeline(*, model: str, weeks: int, watch_minutes: int) -> str:
    """Gives what is no pipeline."""
    return "nothing"
