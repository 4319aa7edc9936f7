"""Where ``bot train`` tells of its run besides the screen: TensorBoard's files, an MLflow store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.errors import UsageError

if TYPE_CHECKING:
    from models.run_tracking import RunTracker

TensorBoardDir = Annotated[
    Path | None,
    typer.Option("--tensorboard", metavar="DIR", help="Write each epoch's metrics for TensorBoard there."),
]
MlflowUri = Annotated[
    str | None,
    typer.Option(
        "--mlflow",
        metavar="URI",
        help="Keep the run in this MLflow store, such as sqlite:///mlflow.db or http://127.0.0.1:5000. "
        "Only this option does so: MLFLOW_TRACKING_URI is not read.",
    ),
]
MlflowExperiment = Annotated[
    str | None,
    typer.Option(
        "--mlflow-experiment",
        metavar="NAME",
        help="Experiment of the run in MLflow (default: lstm-scalping-bot).",
    ),
]


def trackers(tensorboard: Path | None, mlflow: str | None, experiment: str | None) -> list[RunTracker]:
    """Who is to be told of a run, none of them begun.

    Raises:
        UsageError: An experiment was named and no store, or a store without a name.
        ConfigError: MLflow is not installed.
    """
    if experiment is not None and mlflow is None:
        raise UsageError("--mlflow-experiment goes with --mlflow URI")
    for option, text in (("--mlflow", mlflow), ("--mlflow-experiment", experiment)):
        if text is not None and not text.strip():
            raise UsageError(f"{option} is empty")
    chosen: list[RunTracker] = []
    if mlflow is None and tensorboard is None:
        return chosen
    from bot.clock import wall_ms

    if tensorboard is not None:
        from models.tensorboard_tracking import TensorBoardTracker

        chosen.append(TensorBoardTracker(tensorboard, wall_ms=wall_ms))
    if mlflow is not None:
        from models.mlflow_store import require_mlflow
        from models.mlflow_tracking import DEFAULT_EXPERIMENT, MlflowTracker

        require_mlflow()
        chosen.append(MlflowTracker(mlflow, experiment or DEFAULT_EXPERIMENT, wall_ms=wall_ms))
    return chosen


class Warnings(list[str]):
    """What did not get through, each sentence said on stderr as it comes."""

    def say(self, sentence: str) -> None:
        """Say and keep it."""
        typer.secho(f"warning: {sentence}", err=True)
        self.append(sentence)


def print_places(places: dict[str, dict[str, str]]) -> None:
    """Say where the run can be looked at."""
    if board := places.get("TensorBoard"):
        typer.echo(f"TensorBoard: tensorboard --logdir {Path(board['folder']).parent}")
    if store := places.get("MLflow"):
        typer.echo(
            f"MLflow: run {store['run_id']} of experiment {store['experiment']}, model {store['model']} "
            f"version {store['version']}, in {store['uri']}"
        )
