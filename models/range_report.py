"""How far a new model's price forecasts may be off: fitted, measured, written down. One call each for a training run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.assessment import forecasts_at
from models.conformal import FILE_NAME as CONFORMAL_FILE
from models.conformal import fit_conformal, measure_conformal
from models.dataset import Dataset, RowTable
from models.forecaster import Forecaster, Forecasts, expected_volatility
from models.targets import ReturnAndVolatility
from models.volatility import FILE_NAME as VOLATILITY_FILE
from models.volatility_fit import (
    compare_shapes,
    fit_volatility,
    future_variance,
    levelled,
    measure_volatility,
    qlike,
)

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def fit_ranges(forecaster: Forecaster, data: Dataset) -> None:
    """Give a calibrated model its volatility forecast and its interval.

    The regression on trailing volatility is fitted on the train slice. Where the network forecasts volatility too, its
    level is fitted on the calibrate slice, and its word is taken if its loss there is the lower. The interval is fitted
    on the calibrate slice. There is none where a slice is too short for it.
    """
    rows = data.rows
    forecaster.volatility = fit_volatility(rows, data.slices.train, horizon=forecaster.target.horizon)
    ends = rows.ends_within(data.slices.calibrate)
    scale = _network_scale(forecaster, rows, ends)
    forecaster.calibration = replace(forecaster.calibration, volatility_scale=scale)
    if len(ends):
        said = forecasts_at(forecaster, rows, ends)
        wide = expected_volatility(forecaster, said, rows.close, rows.ts, ends)
        forecaster.interval = fit_conformal(said.expected_return, wide, rows.future_return[ends])


def range_report(forecaster: Forecaster, data: Dataset, said: Forecasts) -> dict[str, Any]:
    """What was measured of both on the test slice: ``volatility`` and ``conformal``, None where there is none.

    Args:
        forecaster: The model.
        data: Rows and slices.
        said: What it says at the labelled window ends of the test slice.
    """
    slices, rows = data.slices, data.rows
    report: dict[str, Any] = {"volatility": None, "conformal": None}
    if forecaster.volatility is not None:
        measured = measure_volatility(forecaster.volatility, rows, slices.train, slices.test)
        if measured is not None and isinstance(forecaster.target, ReturnAndVolatility):
            measured["network"] = _network_figures(forecaster, data)
        report["volatility"] = measured
    ends = rows.ends_within(slices.test)
    if forecaster.interval is not None and len(ends):
        report["conformal"] = measure_conformal(
            forecaster.interval,
            rows.ts[ends],
            said.expected_return,
            expected_volatility(forecaster, said, rows.close, rows.ts, ends),
            rows.future_return[ends],
            horizon=forecaster.target.horizon,
        )
    return report


def range_files(forecaster: Forecaster) -> dict[str, bytes]:
    """The files of the artifact that hold them, by name, but for the level of the network's own forecast."""
    files = {}
    if forecaster.volatility is not None:
        files[VOLATILITY_FILE] = forecaster.volatility.to_json()
    if forecaster.interval is not None:
        files[CONFORMAL_FILE] = forecaster.interval.to_json()
    return files


def _network_scale(forecaster: Forecaster, rows: RowTable, ends: Indices) -> float | None:
    """What the network's volatility is multiplied by; None where it says none, or the regression says it better."""
    target = forecaster.target
    if not isinstance(target, ReturnAndVolatility) or not len(ends):
        return None
    own = _own(forecaster, target, rows, ends)
    scale = float(np.sqrt(np.mean((rows.future_return[ends] / own) ** 2)))
    if not scale > 0.0:
        return None
    if forecaster.volatility is not None:
        came = future_variance(rows, ends, target.horizon)
        rival = forecaster.volatility.along(rows.close, rows.ts, ends)
        # Each with its best level: the level is fitted here anyhow, and only the shape can be chosen by.
        losses = [float(np.mean(qlike(came, levelled(came, one**2)))) for one in (own, rival)]
        if not losses[0] < losses[1]:
            return None
    return scale


def _network_figures(forecaster: Forecaster, data: Dataset) -> dict[str, Any] | None:
    """How well the network foretells variance on the test slice, beside the regression; levels of the calibrate slice."""
    target, rows = forecaster.target, data.rows
    if not isinstance(target, ReturnAndVolatility) or forecaster.volatility is None:
        return None
    parts = [rows.ends_within(bounds) for bounds in (data.slices.calibrate, data.slices.test)]
    if not all(len(part) for part in parts):
        return None
    came = [future_variance(rows, part, target.horizon) for part in parts]
    own = [_own(forecaster, target, rows, part) ** 2 for part in parts]
    rival = [forecaster.volatility.along(rows.close, rows.ts, part) ** 2 for part in parts]
    found = compare_shapes(rows.ts[parts[1]], came, own, rival, horizon=target.horizon)
    return found | {"served": forecaster.calibration.volatility_scale is not None}


def _own(forecaster: Forecaster, target: ReturnAndVolatility, rows: RowTable, ends: Indices) -> Floats:
    """The network's volatility over the horizon, its level not yet set."""
    return target.volatility_of(forecaster.infer_series(rows.scaled, ends), rows.volatility[ends])
