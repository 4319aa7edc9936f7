"""What a decision was made on: the candles of its window, and the forecast made of them once more.

The forecast is made by the code that serves (``bot.inference``), from the candles that the journal holds, in the order of a
restart: warmed with the past, then shown the candle decided on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.errors import DataError, ModelError
from bot.journal.explain import ExplainReader
from models.passport import FILE_NAME as PASSPORT_FILE
from models.passport import ModelPassport, read_passport
from models.registry import NO_TRADE, list_models
from models.verdicts import is_proven

if TYPE_CHECKING:
    from bot.inference import OnnxPredictor

WINDOW_MINUTES: Final = 60
"""Minutes of a window where no model says otherwise."""

FORECAST_FIELDS: Final = ("expected_return", "probability_up", "uncertainty", "raw", "volatility")
"""What a forecast says, as far as numbers go."""

REVISION_NOTE: Final = "candle.revised"


class ModelFiles(NamedTuple):
    """What lies on the disk of a model.

    Attributes:
        folder: Of its files; None where they are not there.
        passport: What it is made of, where that can be read.
        shown: The same for a person and a page, JSON values.
    """

    folder: Path | None
    passport: ModelPassport | None
    shown: dict[str, Any]


def model_files(models_dir: Path, model_id: str | None) -> ModelFiles:
    """What is left of a model in the folder of all models; nothing is raised, what is missing is said."""
    shown: dict[str, Any] = {
        "model_id": model_id,
        "available": False,
        "missing_because": None,
        "passport": None,
        "proven": None,
    }
    if model_id is None or model_id == NO_TRADE:
        shown["missing_because"] = "nobody predicted"
        return ModelFiles(None, None, shown)
    if model_id not in list_models(models_dir):
        shown["missing_because"] = (
            f"there is no model {model_id} in {models_dir}: its files were removed, or lie elsewhere"
        )
        return ModelFiles(None, None, shown)
    folder = models_dir / model_id
    try:
        passport = read_passport((folder / PASSPORT_FILE).read_bytes(), str(folder / PASSPORT_FILE))
        shown |= {"passport": _passport_row(passport), "proven": is_proven(models_dir, model_id)}
    except OSError as fault:
        shown["missing_because"] = f"{folder / PASSPORT_FILE} cannot be read: {fault.strerror}"
        return ModelFiles(None, None, shown)
    except ModelError as fault:
        shown["missing_because"] = str(fault)
        return ModelFiles(None, None, shown)
    shown["available"] = True
    return ModelFiles(folder, passport, shown)


def _passport_row(passport: ModelPassport) -> dict[str, Any]:
    """The passport without the digests of single files."""
    row = asdict(passport)
    del row["files"]
    return {
        **row,
        "columns": list(passport.columns),
        "symbols": list(passport.symbols),
        "outputs": list(passport.outputs),
    }


def candle_section(
    reader: ExplainReader, symbol: Symbol, closed_at_ms: int, minutes: int = WINDOW_MINUTES
) -> dict[str, Any]:
    """The candles of a window, oldest first; ``complete`` is whether every minute of it is there."""
    since_ms = closed_at_ms - minutes * MINUTE_MS
    rows = reader.candle_rows(symbol, since_ms, closed_at_ms)
    revised = {
        int(note["new"][0])
        for note in reader.kept_notes([REVISION_NOTE])
        if note.get("symbol") == symbol and since_ms <= note["new"][0] < closed_at_ms
    }
    return {
        "minutes": minutes,
        "complete": len(rows) == minutes,
        "rows": [{**row, "revised": row["opened_at_ms"] in revised} for row in rows],
    }


class Remade(NamedTuple):
    """A forecast that was made once more.

    Attributes:
        window: The features, JSON values; None where there is no whole window.
        forecast: What the model says now; None where it abstains or can't say.
        why: Why there is no forecast, or why it may differ; None where all is as it was.
    """

    window: dict[str, Any] | None
    forecast: dict[str, Any] | None
    why: str | None


def remake(reader: ExplainReader, files: ModelFiles, symbol: Symbol, closed_at_ms: int) -> Remade:
    """Make the forecast of a decision once more, from what journal and disk still hold."""
    if files.folder is None:
        return Remade(None, None, str(files.shown["missing_because"]))
    try:
        from bot.inference import OnnxPredictor  # onnxruntime, only where there is something to run

        predictor = OnnxPredictor.load(files.folder)
        minutes = predictor.history_minutes + 1
        candles = reader.candles(symbol, closed_at_ms - minutes * MINUTE_MS, closed_at_ms)
        if not candles or candles[-1].closed_at_ms != closed_at_ms:
            return Remade(None, None, "the journal no longer holds the candle that was decided on")
        predictor.warm(symbol, candles[:-1])
        predictor.observe(candles[-1])
        said = predictor.predict([symbol])
        window = _window(predictor, symbol)
    except (ModelError, DataError) as fault:
        return Remade(None, None, str(fault))
    if window is None:
        return Remade(None, None, "the candles that the journal holds make no whole window")
    short = _shortage(candles, minutes)
    if not said:
        return Remade(
            window, None, f"the model abstains: {window['outside_count']} values lie beyond what it saw"
        )
    return Remade(window, {name: finite(getattr(said[0], name)) for name in FORECAST_FIELDS}, short)


def _shortage(candles: Sequence[Candle], minutes: int) -> str | None:
    """Why recursive features may differ in the last digits."""
    if len(candles) == minutes:
        return None
    return f"the journal holds {len(candles)} of the {minutes} minutes that the features look back on"


def _window(predictor: OnnxPredictor, symbol: Symbol) -> dict[str, Any] | None:
    """The window before and after scaling; None where it is not whole."""
    seen = predictor.seen_window(symbol)
    if seen is None:
        return None
    return {
        "columns": list(seen.columns),
        "features": _numbers(seen.features),
        "normalized": _numbers(seen.normalized),
        "outside": seen.outside.tolist(),
        "outside_count": int(seen.outside.sum()),
        "outside_most": seen.most_outside,
        "farthest_column": predictor.farthest_column(symbol),
    }


def _numbers(matrix: np.ndarray[Any, Any]) -> list[list[float | None]]:
    """Rows as JSON has them; float32 in its own shortest form, so that 0.1 is no 0.10000000149."""
    return [[finite(float(str(value))) for value in row] for row in matrix]


def finite(value: float | None) -> float | None:
    """A number as JSON has it: None for one that is none."""
    return value if value is not None and math.isfinite(value) else None


def beside(journaled: dict[str, Any] | None, remade: Remade) -> dict[str, Any]:
    """The forecast of the journal and the one made now, with their differences.

    ``same`` is None where one of them is missing: there is nothing to compare.
    """
    told = None if journaled is None else {name: finite(journaled.get(name)) for name in FORECAST_FIELDS}
    apart: dict[str, float | None] = {}
    if told is not None and remade.forecast is not None:
        for name in FORECAST_FIELDS:
            one, other = told[name], remade.forecast[name]
            apart[name] = None if one is None or other is None else other - one
    same = (
        all(told[name] == remade.forecast[name] for name in FORECAST_FIELDS)
        if told and remade.forecast
        else None
    )
    return {
        "model_id": None if journaled is None else journaled["model_id"],
        "horizon_minutes": None if journaled is None else journaled["horizon_minutes"],
        "journaled": told,
        "recomputed": remade.forecast,
        "difference": apart or None,
        "same": same,
        # A past that the daemon did not have either is no loss: the forecast says so itself.
        "remark": None if same else remade.why,
    }
