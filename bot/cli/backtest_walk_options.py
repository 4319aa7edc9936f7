"""The flags of ``bot backtest --walk-forward``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import typer

from bot.cli.backtest_input import Wishes
from bot.errors import UsageError

DEFAULT_WEEKS = 26
CACHE = "walk-forward-backtests"

WalkOption = Annotated[
    bool,
    typer.Option(
        "--walk-forward",
        help="Retrain as the daemon would have, gate included, and trade with whoever would have served.",
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", metavar="NAME", help="Walk-forward: name, or path of a YAML file."),
]
WeeksOption = Annotated[
    int | None,
    typer.Option("--weeks", min=1, max=520, help=f"Walk-forward: so many (default: {DEFAULT_WEEKS})."),
]
TrainDaysOption = Annotated[
    int | None,
    typer.Option("--train-days", min=2, max=3650, help="Walk-forward: candles of each fit, in days."),
]
MaxMinutesOption = Annotated[
    float | None, typer.Option("--max-minutes", min=0.01, help="Walk-forward: time limit of each fit.")
]
FitMinutesOption = Annotated[
    float | None,
    typer.Option(
        "--fit-minutes",
        min=0.0,
        help="Walk-forward: a retraining is ready so long after it began (default: two fits' limit).",
    ),
]
ScheduleOption = Annotated[
    str | None,
    typer.Option("--schedule", metavar="CRON", help="Walk-forward: when models are trained, a crontab line."),
]
GateOption = Annotated[
    Literal["on", "off"] | None,
    typer.Option("--gate", help="Walk-forward: off lets every model serve, unproven."),
]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help=f"Walk-forward: kept fits (default: BOT_STATE_DIR/{CACHE})."),
]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", min=1, help="Walk-forward: fits at a time (default: all cores).")
]
RayOption = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="Walk-forward: fit on a Ray cluster; local starts one."),
]


@dataclass(frozen=True, slots=True)
class WalkWishes:
    """The flags of a walk-forward; None where one was not given.

    Attributes:
        recipe: What is fitted.
        weeks: How long is traded.
        train_days: Days of candles of each fit.
        max_minutes: Time limit of each fit.
        fit_minutes: How long a retraining takes.
        schedule: A crontab line.
        gate: ``on`` or ``off``.
        cache: Folder of fits.
        jobs: Fits at a time.
        ray: Address of a cluster.
    """

    recipe: str | None = None
    weeks: int | None = None
    train_days: int | None = None
    max_minutes: float | None = None
    fit_minutes: float | None = None
    schedule: str | None = None
    gate: str | None = None
    cache: Path | None = None
    jobs: int | None = None
    ray: str | None = None


def plain(wishes: Wishes, walk: WalkWishes) -> Wishes:
    """The wishes of a backtest without a walk-forward.

    Raises:
        UsageError: A flag of the walk-forward is given; names the first one.
    """
    for field in fields(walk):
        if getattr(walk, field.name) is not None:
            raise UsageError(
                f"--{field.name.replace('_', '-')} belongs to --walk-forward: give both or neither"
            )
    return wishes
