"""Looking inside a stored model on candles that it was not made from: through its ONNX graph, no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bot.errors import DataError, StorageError
from models.attention_profile import AttentionProfile, profile_attention
from models.candle_arrays import CandleArrays
from models.durable import disk, replace_file
from models.forecast_path import ForecastPath, ForecastStretch, forecast_path, forecast_stretch
from models.hashing import canonical_json
from models.importance import Importance, measure_importance
from models.inspection_sample import InspectionSample, evenly_spaced, read_sample
from models.training_curves import TrainingCurves, read_curves

Phase = Literal["features", "importance", "attention", "forecasts", "pictures"]
OnProgress = Callable[["InspectionProgress"], None]

FILES = (
    "importance.json",
    "attention.json",
    "prediction.json",
    "importance.png",
    "attention.png",
    "prediction.png",
    "training_curves.png",
    "inspection.html",
)
"""Every file that an inspection may leave, in the order in which they are written: the page comes last."""


@dataclass(frozen=True, slots=True)
class InspectionProgress:
    """Where an inspection stands.

    Attributes:
        phase: What is done now.
        done: Of ``total`` measurements, while importance is measured.
        total: 0 in other phases.
        column: That is measured.
    """

    phase: Phase
    done: int = 0
    total: int = 0
    column: str = ""


@dataclass(frozen=True, slots=True)
class InspectionWishes:
    """What to look at, and how closely.

    Attributes:
        at_ms: A moment to show by itself; None is near the end of the candles.
        windows: Importance and attention rest on at most so many windows.
        repeats: Shuffles of each column.
        seed: Of the shuffles.
        in_sample: Keep the time that the model was made from.
        simulated: The candles are of a simulated market.
    """

    at_ms: int | None = None
    windows: int = 2000
    repeats: int = 5
    seed: int = 0
    in_sample: bool = False
    simulated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What was found inside a model.

    Attributes:
        model_id: Which artifact.
        symbols: Whose candles.
        from_ms: Open time of the last candle of the first window that was looked at.
        until_ms: Of the last one.
        in_sample: Whether the time of the training was kept.
        training_known: Whether the passport says what that time was.
        simulated: Whether the market was a simulated one.
        left_out: Windows of the training's time that were left out.
        withheld: Windows that were looked at though the bot gives no forecast there: they are beyond what was seen in
            training.
        importance: Of every column.
        attention: None where the model has none.
        stretch: Forecasts beside what came.
        path: From one moment.
        curves: Of the training; none of a forest.
    """

    model_id: str
    symbols: tuple[str, ...]
    from_ms: int
    until_ms: int
    in_sample: bool
    training_known: bool
    simulated: bool
    left_out: int
    withheld: int
    importance: Importance
    attention: AttentionProfile | None
    stretch: ForecastStretch
    path: ForecastPath
    curves: tuple[TrainingCurves, ...]

    def about(self) -> dict[str, Any]:
        """What was looked at, as JSON values; each file holds it."""
        return {
            "model_id": self.model_id,
            "symbols": list(self.symbols),
            "from_ms": self.from_ms,
            "until_ms": self.until_ms,
            "in_sample": self.in_sample,
            "training_time_known": self.training_known,
            "simulated_market": self.simulated,
            "left_out": self.left_out,
            "withheld": self.withheld,
        }

    def forecasts_json(self) -> dict[str, Any]:
        """The stretch and the path, as JSON values."""
        return self.stretch.as_json() | {"path": self.path.as_json()}


def inspect_artifact(
    folder: Path,
    series: Mapping[str, CandleArrays],
    wishes: InspectionWishes | None = None,
    on_progress: OnProgress = lambda _: None,
) -> Inspection:
    """Look inside a stored model.

    Args:
        folder: The artifact; verified first.
        series: Candles of each symbol.
        wishes: What to look at; the usual where None.
        on_progress: Told of progress.

    Raises:
        ModelError: The artifact is refused.
        DataError: The candles are malformed, too few, or all from the training's time.
    """
    wished = wishes or InspectionWishes()
    on_progress(InspectionProgress("features"))
    sample = read_sample(folder, series, in_sample=wished.in_sample)
    moment = sample.moment(wished.at_ms)
    if not len(sample.labelled):
        raise DataError("no whole window with a known future is left to measure on")
    on_progress(InspectionProgress("importance"))
    importance = measure_importance(
        sample.forecaster,
        sample.rows,
        sample.labelled,
        windows=wished.windows,
        repeats=wished.repeats,
        seed=wished.seed,
        on_column=lambda name, done, total: on_progress(InspectionProgress("importance", done, total, name)),
    )
    on_progress(InspectionProgress("attention"))
    attention = _attention(sample, wished.windows, moment)
    on_progress(InspectionProgress("forecasts"))
    ends, rows = sample.stretch(wished.at_ms), sample.rows
    looked = evenly_spaced(sample.labelled, wished.windows)
    return Inspection(
        model_id=sample.forecaster.passport.model_id,
        symbols=rows.symbols,
        from_ms=int(rows.ts[sample.ends].min()),
        until_ms=int(rows.ts[sample.ends].max()),
        in_sample=sample.in_sample,
        training_known=sample.training_known,
        simulated=wished.simulated,
        left_out=sample.left_out,
        withheld=int(np.count_nonzero(sample.withheld[looked])),
        importance=importance,
        attention=attention,
        stretch=forecast_stretch(sample.forecaster, rows, ends, sample.withheld[ends]),
        path=forecast_path(sample.forecaster, rows, moment, withheld=bool(sample.withheld[moment])),
        curves=read_curves(folder),
    )


def write_inspection(out: Path, found: Inspection) -> tuple[list[Path], bool]:
    """Write what was found; each file in one step, and files of an earlier inspection that do not fit any more go.

    Returns:
        The files, and whether there are pictures: without matplotlib, which comes with the ``train`` extra, the page
        and the JSON files are all there is.

    Raises:
        StorageError: The disk refused; each file is what it was, or whole.
    """
    from models.inspection_figures import can_draw, figures
    from models.inspection_page import inspection_page

    drawn = can_draw()
    contents = {
        "importance.json": canonical_json(found.about() | found.importance.as_json()),
        "prediction.json": canonical_json(found.about() | found.forecasts_json()),
        **(figures(found) if drawn else {}),
        "inspection.html": inspection_page(found).encode(),
    }
    if found.attention is not None:
        contents["attention.json"] = canonical_json(found.about() | found.attention.as_json())
    if out.exists() and not out.is_dir():
        raise StorageError(f"{out} is not a folder: give --out a folder")
    with disk(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            if name in contents:
                replace_file(out / name, contents[name])
            else:
                (out / name).unlink(missing_ok=True)
    return [out / name for name in FILES if name in contents], drawn


def _attention(sample: InspectionSample, windows: int, moment: int) -> AttentionProfile | None:
    """The attention profile of a model that has attention."""
    if not sample.forecaster.has_attention:
        return None
    ends = evenly_spaced(sample.ends, windows)
    return profile_attention(sample.forecaster, sample.rows, ends, moment)
