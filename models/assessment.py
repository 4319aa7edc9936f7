"""From a model and a row table to its evaluation report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import DataError, ModelError
from models.baselines import FILE_NAME, Baselines, baselines_from_json
from models.candle_arrays import CandleArrays
from models.dataset import RowTable, build_rows, compute_tables
from models.evaluation import Forecast, Sample, evaluate
from models.forecaster import Forecaster, Forecasts, load_forecaster
from models.windows import MINUTE_MS


def assess(
    forecaster: Forecaster,
    baselines: Baselines,
    rows: RowTable,
    ends: npt.NDArray[np.int64],
    said: Forecasts | None = None,
) -> dict[str, Any]:
    """Evaluate beside the baselines what a model says at the given window ends, all with a known future."""
    if said is None:
        said = forecasts_at(forecaster, rows, ends)
    sample = Sample(
        ts=rows.ts[ends],
        symbol=rows.symbol[ends],
        close=rows.close[ends],
        realized=rows.future_return[ends],
        last_return=rows.last_return[ends],
        horizon=forecaster.target.horizon,
    )
    model = Forecast("model", said.expected_return, said.expected_return, said.probability_up)
    report = evaluate(sample, model, baselines.base_rate, baselines.logistic(rows.scaled, ends))
    return {"model_id": forecaster.passport.model_id, "symbols": list(rows.symbols)} | report


def forecasts_at(forecaster: Forecaster, rows: RowTable, ends: npt.NDArray[np.int64]) -> Forecasts:
    """What a model says at the given window ends of its scaled row table."""
    raw = forecaster.infer_series(rows.scaled, ends)
    weights = moving_weights(forecaster, rows, raw, ends)
    return forecaster.decode(raw, rows.close[ends], rows.volatility[ends], weights)


def moving_weights(
    forecaster: Forecaster, rows: RowTable, raw: npt.NDArray[np.float64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64] | None:
    """An ensemble's moving weights, each symbol followed by itself; None where weights do not move."""
    if forecaster.combination is None or not forecaster.combination.moves:
        return None
    weights = np.empty(raw.shape)
    for number in range(len(rows.symbols)):
        chosen = rows.symbol[ends] == number
        weights[chosen] = forecaster.weigh(raw[chosen], rows.ts[ends[chosen]], rows.close[ends[chosen]])
    return weights


def evaluate_artifact(
    folder: Path, series: Mapping[str, CandleArrays], *, in_sample: bool = False
) -> dict[str, Any]:
    """Evaluate a stored model on candles, leaving out the time that it was made from.

    Args:
        folder: The artifact; verified first.
        series: Candles of each symbol.
        in_sample: Keep the time of training too: a look at the fit, not at the forecast.

    Returns:
        The report, with ``in_sample`` and ``left_out`` (windows of the training's time).

    Raises:
        ModelError: The artifact is refused, or holds no baselines.
        DataError: The candles are malformed, or all from the training's time.
    """
    forecaster = load_forecaster(folder, threads=2)
    baselines = _stored_baselines(folder, len(forecaster.passport.columns))
    tables = compute_tables(forecaster.features, series)
    rows = build_rows(series, tables, forecaster.scaler, forecaster.target, forecaster.passport.window)
    labelled = rows.ends[np.isfinite(rows.future_return[rows.ends])]
    kept = labelled if in_sample else labelled[unseen(forecaster, rows.ts[labelled])]
    if not len(kept) and len(labelled):
        raise DataError(
            f"all {len(labelled)} windows are from the time that model {forecaster.passport.model_id} was made "
            "from; give other candles, or --in-sample to look at the fit"
        )
    report = assess(forecaster, baselines, rows, kept)
    return report | {"in_sample": in_sample, "left_out": len(labelled) - len(kept)}


def _stored_baselines(folder: Path, features: int) -> Baselines:
    """The baselines that were fitted with the model."""
    try:
        content = (folder / FILE_NAME).read_bytes()
    except OSError as fault:
        raise ModelError(f"{folder / FILE_NAME} cannot be read: {fault.strerror}") from fault
    return baselines_from_json(content, features)


def unseen(forecaster: Forecaster, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which moments lie outside of the time that training, early stopping and calibration saw."""
    ranges = forecaster.passport.ranges
    if not ranges:
        return np.ones(len(ts), np.bool_)
    since = min(bounds[0] for bounds in ranges.values())
    margin = (forecaster.passport.window + forecaster.target.horizon) * MINUTE_MS
    return (ts >= ranges["test"][0]) | (ts < since - margin)
