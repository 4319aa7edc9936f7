"""Runs in MLflow: parameters, metrics of each epoch, figures of the test slice, artifacts, and the registered model.

Only MLflow's client is used, with the URI that was given: no active run, no global URI, no tags of this machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.errors import BotError, ConfigError, EngineProtocolError
from models.fit_progress import TrainingProgress
from models.mlflow_model import save_onnx
from models.mlflow_store import artifact_root, asking, open_client, shown_uri
from models.run_figures import (
    epoch_metrics,
    epochs_of,
    history_figures,
    recipe_parameters,
    report_figures,
    stop_reason,
)
from models.run_tracking import RunFacts

if TYPE_CHECKING:
    from models.training import TrainedModel

DEFAULT_EXPERIMENT = "lstm-scalping-bot"
MODEL_PREFIX = "lstm-scalping-bot."
ARTIFACT_FOLDER = "artifact"
"""Where in a run the model's whole folder is; ``ONNX_FOLDER`` is the graph as MLflow serves it."""

ONNX_FOLDER = "onnx"

# MLflow's own limits; it refuses what is longer.
_LONGEST_PARAMETER = 6000
_LONGEST_TAG = 5000
_MOST_PARAMETERS = 100
_MOST_METRICS = 500


class MlflowTracker:
    """Tells an MLflow store of a run; the run is a run there, and the model a version in its registry.

    Args:
        uri: ``sqlite:///FILE``, ``http://HOST:PORT``, or another that MLflow takes.
        experiment: Made if missing.
        wall_ms: ms UTC, for the time stamps of metrics.
    """

    def __init__(self, uri: str, experiment: str = DEFAULT_EXPERIMENT, *, wall_ms: Callable[[], int]) -> None:
        self._uri = uri
        self._experiment = experiment
        self._wall_ms = wall_ms
        self._client: Any = None
        self._run_id = ""
        self._facts: RunFacts | None = None
        self._waiting: list[
            tuple[str, float, int, int]
        ] = []  # (name, value, ms UTC, epoch) not passed on yet
        self._told: set[tuple[str, int]] = set()
        self._broken = False

    @property
    def name(self) -> str:
        """For people."""
        return "MLflow"

    def begin(self, facts: RunFacts) -> None:
        """Open the store, make the run, and write parameters and one artifact, so that all of it is known to work.

        Raises:
            ConfigError: MLflow is not installed, refuses the URI or the experiment, or the store is damaged.
            TransientError: Nothing answers at the URI, or it fails.
        """
        self._facts = facts
        self._client = open_client(self._uri)
        with self._asking("making the run"):
            experiment_id = self._experiment_id()
            run = self._client.create_run(
                experiment_id, start_time=facts.began_at_ms, tags=_tags(facts), run_name=facts.name
            )
            self._run_id = run.info.run_id
        try:
            with self._asking("writing the recipe"):
                self._write_parameters(recipe_parameters(facts.recipe))
                self._client.log_text(self._run_id, facts.recipe.to_json().decode(), "recipe.json")
        except BotError as fault:
            left = self._give_up({"reason": str(fault)})
            raise type(fault)(f"{fault}{left}") from fault

    def told(self, state: TrainingProgress) -> None:
        """Pass an epoch's metrics on; after a failure they are kept until the end, so that no epoch waits again."""
        if state.phase != "epoch_ended" or state.metrics is None:
            return
        self._keep(state.part, state.epoch, state.metrics)
        if not self._broken:
            try:
                self._flush()
            except BotError:
                self._broken = True  # ``finished`` sends them once more, and raises if that fails too

    def finished(self, trained: TrainedModel) -> dict[str, str]:
        """Write figures and artifacts, register the model, and end the run.

        Raises:
            TransientError: MLflow failed; the run there is marked as failed if it still can be.
        """
        try:
            self._keep_untold(trained.history)
            self._flush()
            self._write_figures(trained)
            with self._asking("taking the artifacts"):
                self._client.log_artifacts(self._run_id, str(trained.folder), ARTIFACT_FOLDER)
            version = self._register(trained)
            with self._asking("ending the run"):
                self._client.set_terminated(self._run_id, "FINISHED", self._wall_ms())
        except BotError as fault:
            left = self._give_up({"reason": str(fault), "model_id": trained.model_id})
            raise type(fault)(f"{fault}{left}") from fault
        return {
            "uri": shown_uri(self._uri),
            "experiment": self._experiment,
            "run_id": self._run_id,
            "model": str(version.name),
            "version": str(version.version),
        }

    def failed(self, reason: str, *, interrupted: bool) -> None:
        """End the run as ``FAILED``, or as ``KILLED`` where the user interrupted; the reason is a tag.

        Raises:
            TransientError: MLflow failed; the run there is still running.
        """
        with self._asking("ending the run"):
            self._flush()
            self._client.set_tag(self._run_id, "reason", reason[:_LONGEST_TAG])
            self._client.set_terminated(self._run_id, "KILLED" if interrupted else "FAILED", self._wall_ms())

    def _asking(self, doing: str) -> Any:
        """Foreign exceptions as ours."""
        return asking(self._uri, doing)

    def _experiment_id(self) -> str:
        """The id of the experiment, which is made if it is not there."""
        found = self._client.get_experiment_by_name(self._experiment)
        if found is None:
            made: str = self._client.create_experiment(self._experiment, artifact_root(self._uri))
            return made
        if found.lifecycle_stage != "active":
            raise ConfigError(
                f"the experiment {self._experiment!r} was deleted in MLflow at {shown_uri(self._uri)}: restore it "
                "there, or name another with --mlflow-experiment"
            )
        known: str = found.experiment_id
        return known

    def _write_parameters(self, parameters: Mapping[str, str]) -> None:
        """Parameters, in batches that MLflow takes."""
        from mlflow.entities import Param

        entities = [Param(name, value[:_LONGEST_PARAMETER]) for name, value in parameters.items()]
        for batch in _batches(entities, _MOST_PARAMETERS):
            self._client.log_batch(self._run_id, params=batch, synchronous=True)

    def _keep(self, part: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Put an epoch's metrics with those to be passed on."""
        now = self._wall_ms()
        self._told.add((part, epoch))
        self._waiting += [(name, value, now, epoch) for name, value in epoch_metrics(part, metrics).items()]

    def _keep_untold(self, history: Mapping[str, Any]) -> None:
        """Epochs that nobody told of: they were trained before an interruption that this run went on from."""
        for part, columns in epochs_of(history, self._known_facts.recipe.training.seed).items():
            for place in range(max(map(len, columns.values()), default=0)):
                if (part, place + 1) not in self._told:
                    latest = {name: values[place] for name, values in columns.items() if place < len(values)}
                    self._keep(part, place + 1, latest)

    def _flush(self) -> None:
        """Pass on what waits."""
        from mlflow.entities import Metric

        with self._asking("taking metrics"):
            while self._waiting:
                batch = self._waiting[:_MOST_METRICS]
                self._client.log_batch(self._run_id, [Metric(*one) for one in batch], synchronous=True)
                del self._waiting[: len(batch)]

    def _write_figures(self, trained: TrainedModel) -> None:
        """Final figures as metrics, and what is known of the model as tags."""
        from mlflow.entities import RunTag

        figures = report_figures(trained.report) | history_figures(trained.history)
        now = self._wall_ms()
        self._waiting += [(name, value, now, 0) for name, value in figures.items()]
        self._flush()
        with self._asking("taking tags"):
            tags = [RunTag(name, value) for name, value in self._outcome(trained).items()]
            self._client.log_batch(self._run_id, tags=tags, synchronous=True)

    def _outcome(self, trained: TrainedModel) -> dict[str, str]:
        """Tags of a model that is there."""
        verdict = trained.report.get("verdict", {})
        return {
            "model_id": trained.model_id,
            "stopped_because": stop_reason(trained.history, self._known_facts.recipe.training.seed),
            "edge": str(verdict.get("edge", "")),
            "mlflow.note.content": str(verdict.get("sentence", ""))[:_LONGEST_TAG],
        }

    def _register(self, trained: TrainedModel) -> Any:
        """A new version of the recipe's model, which MLflow can serve: the graph that trades, to the last weight."""
        facts = self._known_facts
        name = f"{MODEL_PREFIX}{facts.recipe.name}"
        with tempfile.TemporaryDirectory(prefix="bot-mlflow-") as folder:
            with self._asking("packing the ONNX model"):
                save_onnx(trained.folder / "model.onnx", trained.model_id, Path(folder) / ONNX_FOLDER)
            with self._asking("taking the ONNX model"):
                self._client.log_artifacts(self._run_id, str(Path(folder) / ONNX_FOLDER), ONNX_FOLDER)
        with self._asking("registering the model"):
            self._make_registered(name)
            root = self._client.get_run(self._run_id).info.artifact_uri
            return self._client.create_model_version(
                name,
                f"{root.rstrip('/')}/{ONNX_FOLDER}",
                self._run_id,
                tags={"model_id": trained.model_id, **_origin(facts)},
                description=f"{trained.model_id}: {trained.report.get('verdict', {}).get('sentence', '')}",
            )

    def _make_registered(self, name: str) -> None:
        """The registered model that versions belong to, unless it is there."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as fault:
            if fault.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _give_up(self, tags: Mapping[str, str]) -> str:
        """End a run of which something did not get through as failed; what to add to the sentence if that fails too."""
        try:
            with self._asking("ending the run"):
                for name, value in tags.items():
                    self._client.set_tag(self._run_id, name, value[:_LONGEST_TAG])
                self._client.set_terminated(self._run_id, "FAILED", self._wall_ms())
        except BotError:
            return "; its run there could not be ended and looks as if it went on"
        return ""

    @property
    def _known_facts(self) -> RunFacts:
        """What the run began with."""
        if self._facts is None:
            raise EngineProtocolError("a run that has not begun cannot be told of")
        return self._facts


def _tags(facts: RunFacts) -> dict[str, str]:
    """Tags of a run that begins; MLflow's own say the program, not the user, host or path."""
    return {
        "mlflow.user": "lstm-scalping-bot",
        "mlflow.source.name": "bot train",
        "mlflow.source.type": "LOCAL",
        "symbols": ", ".join(facts.symbols)[:_LONGEST_TAG],
        "candles": str(facts.candles),
        "from_ms": str(facts.from_ms),
        "until_ms": str(facts.until_ms),
        **_origin(facts),
    }


def _origin(facts: RunFacts) -> dict[str, str]:
    """What a model is made of."""
    recipe = facts.recipe
    return {
        "recipe": recipe.name,
        "features": recipe.features,
        "target": recipe.target.kind,
        "horizon_minutes": str(recipe.target.horizon),
        "seed": str(recipe.training.seed),
        "data_sha256": facts.data_digest,
        "code_sha256": facts.code_digest,
        "config_sha256": recipe.digest(),
    }


def _batches(entities: list[Any], most: int) -> Iterable[list[Any]]:
    """Pieces of at most so many."""
    return (entities[start : start + most] for start in range(0, len(entities), most))
