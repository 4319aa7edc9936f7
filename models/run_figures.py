"""What is written down of a training run, as flat tables of dotted names: parameters, metrics of epochs, figures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from models.recipe import Recipe

Epochs = dict[str, dict[str, list[float]]]
"""Part of the run (empty where there is one fit) -> metric -> value of each epoch."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")


def plain_name(part: str) -> str:
    """The part of a run as a name that a folder or a metric may have: ``seed 42 lstm`` becomes ``seed-42-lstm``."""
    return _NOT_PLAIN.sub("-", part).strip("-")


def recipe_parameters(recipe: Recipe) -> dict[str, str]:
    """Every field of a recipe as dotted name -> text; the members of an ensemble go by their names.

    A text is itself; everything else is JSON, ``null`` included.
    """
    return dict(_parameters("", recipe.model_dump(mode="json")))


def _parameters(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """(dotted name, text) of a JSON value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _parameters(_dotted(prefix, str(key)), inner)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for place, inner in enumerate(value):
            name = inner.get("name", str(place)) if isinstance(inner, Mapping) else str(place)
            yield from _parameters(_dotted(prefix, name), inner)
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def epoch_metrics(part: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """An epoch's metrics by dotted name, the part first; what is not a finite number is left out."""
    prefix = plain_name(part)
    return {_dotted(prefix, name): value for name, value in metrics.items() if math.isfinite(value)}


def report_figures(report: Mapping[str, Any]) -> dict[str, float]:
    """The figures of an evaluation report: ``test.model.log_loss``, ``test.base_rate.log_loss``, ``test.samples``.

    An interval becomes ``....low`` and ``....high``. Figures that there are none of, texts and flags are left out.
    """
    flat = {key: value for key, value in report.items() if key != "forecasts"}
    return dict(_figures("test", flat)) | dict(_figures("test", report.get("forecasts", {})))


def history_figures(history: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a training history beside its epochs: ``training.seconds``, ``training.best_epoch``."""
    return dict(_figures("training", history))


def _figures(prefix: str, value: Any) -> Iterator[tuple[str, float]]:
    """(dotted name, finite number) of a JSON value; lists of epochs are not figures."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key != "epochs":
                yield from _figures(_dotted(prefix, plain_name(str(key))), inner)
    elif isinstance(value, list) and len(value) == 2 and prefix.rpartition(".")[2].endswith("interval"):
        yield from _figures(f"{prefix}.low", value[0])
        yield from _figures(f"{prefix}.high", value[1])
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield prefix, float(value)


def epochs_of(history: Mapping[str, Any], first_seed: int) -> Epochs:
    """Every fit's epochs out of a training history, by the part that progress was told under.

    Args:
        history: Of a ``TrainedModel``.
        first_seed: The recipe's seed: with several, its fits stand at the top of the history.
    """
    return {part: fit["epochs"] for part, fit in _fits(history, first_seed)}


def stop_reason(history: Mapping[str, Any], first_seed: int) -> str:
    """Why the fits ended: one word where all agree or the user ended them, else a word for each; empty without fits."""
    if history.get("stopped_because") == "interrupted":
        return "interrupted"
    reasons = {part: str(fit.get("stopped_because", "")) for part, fit in _fits(history, first_seed)}
    if len(set(reasons.values())) <= 1:
        return next(iter(reasons.values()), "")
    return ", ".join(f"{part}: {reason}" for part, reason in reasons.items())


def _fits(history: Mapping[str, Any], first_seed: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(part, history) of every fit that has epochs."""
    seeds: Mapping[str, Any] = history.get("seeds", {})
    yield from _fits_of_seed(f"seed {first_seed}" if seeds else "", history)
    for seed, inner in seeds.items():
        yield from _fits_of_seed(f"seed {seed}", inner)


def _fits_of_seed(part: str, history: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(part, history) of a seed's one fit, or of its members'."""
    if "epochs" in history:
        yield part, history
    for member, inner in history.get("members", {}).items():
        yield from _fits_of_seed(f"{part} {member}".strip(), inner)


def _dotted(prefix: str, name: str) -> str:
    """Both names with a dot between, or the one that there is."""
    return f"{prefix}.{name}" if prefix else name
