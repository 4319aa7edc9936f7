"""The model that trades and those beside it: passport, figures beside baselines, calibration, drift, retrainings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from bot.core.performance import Matured
from bot.dashboard.overview import SERVING, made_at_ms
from bot.errors import ModelError
from bot.journal.pages import PERFORMANCE_SCHEMA, PageReader
from models.forecast_metrics import interval_name
from models.passport import ModelPassport
from models.registry import NO_TRADE, challenger, champion, list_models, read_verified, recipe_of
from models.verdicts import StoredVerdict, read_verdict

SHOWN_MODELS: Final = 100
SHOWN_RETRAININGS: Final = 50
LIVE_DAYS_MS: Final = 7 * 86_400_000
RETRAINED: Final = ("retrain.finished", "retrain.failed")

METRICS: Final = {
    "log_loss_gain_millinats": ("log-loss gain over the base rate, millinats", True),
    "direction_accuracy": ("right direction", True),
    "auc": ("AUC", True),
    "brier": ("Brier score", False),
    "log_loss": ("log loss, nats", False),
    "ece": ("expected calibration error", False),
    "mcc": ("MCC", True),
    "return_r2": ("R² of returns", True),
    "mae_bps": ("MAE of returns, bps", False),
    "rmse_bps": ("RMSE of returns, bps", False),
    "theil_u": ("Theil's U of returns", False),
}
"""Figures that are shown: their words, and whether more is better."""


class ModelFacts(NamedTuple):
    """What the journal tells of models.

    Attributes:
        serving: The newest start or change of model.
        known: What the daemon knew of models after its last minute.
        watch: What the watch over the model last said.
        retrainings: Those that ended, newest first.
        performance: What came of the forecasts of the last days of the model that serves.
    """

    serving: Mapping[str, Any]
    known: Mapping[str, Any]
    watch: Mapping[str, Any] | None
    retrainings: list[dict[str, Any]]
    performance: list[Matured]


def read_model_facts(reader: PageReader) -> ModelFacts:
    """One look at the journal; raises StorageError where it can't be read."""
    serving = reader.newest_note(SERVING) or {}
    model_id: str | None = serving.get("model_id")
    if reader.schema() < PERFORMANCE_SCHEMA:
        model_id = None
    times = reader.batch_times()
    since_ms = 0 if times is None else times[1] - LIVE_DAYS_MS
    return ModelFacts(
        serving,
        (reader.snapshot() or {}).get("models") or {},
        None if model_id is None else reader.watch_report(model_id),
        reader.newest_notes(RETRAINED, SHOWN_RETRAININGS),
        [] if model_id is None else reader.performance(model_id, since_ms),
    )


def model_page(facts: ModelFacts, models_dir: Path, live: Mapping[str, Any] | None) -> dict[str, Any]:
    """The whole answer of ``/api/model``, JSON values.

    Args:
        facts: Of the journal.
        models_dir: The folder of models.
        live: Figures of the live forecasts; None where there are none.
    """
    model_id = facts.serving.get("model_id")
    return {
        "serving": None if model_id is None else serving(models_dir, model_id, facts.serving),
        "drift": drift(facts.watch),
        "watch": facts.watch,
        "live": live_part(facts.watch, live),
        "champion": _named(champion, models_dir),
        "challenger": _named(challenger, models_dir),
        "shadow": facts.known.get("shadow"),
        "retraining": bool(facts.known.get("retraining")),
        "next_retrain_ms": facts.known.get("next_retrain_ms"),
        "retrainings": [retraining(note) for note in facts.retrainings],
        "registry": registry(models_dir),
    }


def serving(models_dir: Path, model_id: str, note: Mapping[str, Any]) -> dict[str, Any]:
    """The model that predicts; ``fault`` says why its folder could not be read."""
    row: dict[str, Any] = {
        "model_id": model_id,
        "proven": note.get("proven"),
        "since_ms": note.get("at_ms"),
        "why": note.get("why"),
        "metrics": [],
        "calibration": [],
        "verdict": None,
        "sentence": None,
        "fault": None,
    }
    if model_id == NO_TRADE:
        return row | {"sentence": "nothing has beaten the baselines, so nothing is traded"}
    try:
        recipe_of(model_id)
        passport, contents = read_verified(models_dir / model_id)
        verdict = read_verdict(models_dir, model_id)
        report = orjson.loads(contents["metrics.json"])
    except (ModelError, ValueError) as fault:
        return row | {"fault": str(fault)}
    return row | {
        **passport_row(passport),
        "metrics": metric_rows(report),
        "calibration": calibration(report),
        "verdict": verdict_row(verdict),
        "sentence": (report.get("verdict") or {}).get("sentence"),
    }


def passport_row(passport: ModelPassport) -> dict[str, Any]:
    """What the model is made of; the digests of its files are left to ``bot models show``."""
    row = asdict(passport)
    del row["files"]
    return row


def metric_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model's figures on its test slice, each beside the baseline that was best at it."""
    forecasts = report.get("forecasts") or {}
    own = forecasts.get("model") or {}
    rows = []
    for name, (label, more_is_better) in METRICS.items():
        if own.get(name) is None:
            continue
        rivals = [
            (found[name], rival)
            for rival, found in forecasts.items()
            if rival != "model" and found.get(name) is not None
        ]
        best = (max if more_is_better else min)(rivals) if rivals else (None, None)
        low, high = own.get(interval_name(name)) or (None, None)
        rows.append(
            {
                "name": name,
                "label": label,
                "value": own[name],
                "baseline": best[1],
                "baseline_value": best[0],
                "low": low,
                "high": high,
                "more_is_better": more_is_better,
            }
        )
    return rows


def calibration(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What came where a rise was said to be so likely, on the test slice."""
    return [
        {"predicted": row["said"], "observed": row["came"], "count": row["count"]}
        for row in report.get("reliability") or ()
    ]


def verdict_row(verdict: StoredVerdict | None) -> dict[str, Any] | None:
    """What the gate said."""
    if verdict is None:
        return None
    return {
        "at_ms": verdict.at_ms,
        "kind": verdict.kind,
        "promote": verdict.promote,
        "reasons": [asdict(reason) for reason in verdict.reasons],
        "champion_then": verdict.champion_then,
    }


def drift(watch: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How far the inputs are from those of the training; None where nobody watches."""
    found = (watch or {}).get("drift")
    if not found:
        return None
    return {
        "level": found.get("level"),
        "worst_feature": found.get("worst"),
        "psi": found.get("psi") or {},
        "drifted_share": found.get("drifted_share"),
        "adwin_at_ms": found.get("adwin_change_at_ms"),
    }


def live_part(watch: Mapping[str, Any] | None, live: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the live forecasts were worth: what the watch found, and the figures with their intervals."""
    if live is None:
        return None
    skill = (watch or {}).get("skill") or {}
    figures = live.get("live") or {}
    gain = _first(skill.get("gain_millinats"), figures.get("log_loss_gain_millinats"))
    return {
        **figures,
        "calibration_slope": _first(skill.get("slope"), figures.get("probability_slope")),
        "log_loss_gain": None if gain is None else gain / 1000.0,
        "count": live.get("forecasts", 0),
        "from_ms": live.get("from_ms"),
        "until_ms": live.get("until_ms"),
        "unknown": live.get("unknown", 0),
        "fault": live.get("fault"),
    }


def retraining(note: Mapping[str, Any]) -> dict[str, Any]:
    """One retraining that ended."""
    failed = note["kind"] == "retrain.failed"
    promoted = note.get("promote")
    return {
        "began_at_ms": note.get("began_ms"),
        "ended_at_ms": note.get("at_ms"),
        "outcome": "failed" if failed else "finished",
        "verdict": None if failed else ("promoted" if promoted else "refused"),
        "reasons": [note.get("reason")] if failed else list(note.get("reasons") or ()),
        "model_id": note.get("model_id"),
    }


def registry(models_dir: Path) -> list[dict[str, Any]]:
    """The models that are stored, newest first."""
    names = {"champion": _named(champion, models_dir), "challenger": _named(challenger, models_dir)}
    return list(_registered(models_dir, list(reversed(list_models(models_dir)))[:SHOWN_MODELS], names))


def _registered(
    models_dir: Path, model_ids: Sequence[str], names: Mapping[str, str | None]
) -> Iterator[dict[str, Any]]:
    for model_id in model_ids:
        fault = None
        try:
            verdict = read_verdict(models_dir, model_id)
        except ModelError as error:
            verdict, fault = None, str(error)
        yield {
            "model_id": model_id,
            "created_at_ms": made_at_ms(model_id),
            "recipe": recipe_of(model_id),
            "aliases": [alias for alias, named in names.items() if named == model_id],
            "proven": verdict is not None and verdict.promote,
            "judged": verdict is not None,
            "fault": fault,
        }


def _named(read: Any, models_dir: Path) -> str | None:
    """Whom an alias names; a damaged one names nobody, and `bot models list` says why."""
    try:
        found: str | None = read(models_dir)
    except ModelError:
        return None
    return found


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
