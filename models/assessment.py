"""From a model and a row table to its evaluation report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.candle_arrays import CandleArrays
from models.dataset import RowTable, build_rows, compute_tables
from models.evaluation import evaluate
from models.forecast_metrics import point_metrics
from models.forecast_sample import Forecast, Sample
from models.forecast_trades import TradingCosts
from models.forecaster import Forecaster, Forecasts, load_forecaster
from models.hashing import data_digest, sha256
from models.passport import ModelPassport
from models.rivals import Rivals, read_rivals
from models.trials import (
    ALONE,
    Ledger,
    Subject,
    Trial,
    minutes_range,
    read_trials,
    record_of,
    record_trial,
)
from models.windows import MINUTE_MS

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a report is made under, beside the forecasts.

    Attributes:
        costs: Of a round trip; None counts none.
        subject: What is looked at, for the trial ledger; None where no ledger is kept.
        earlier: The ledger so far.
    """

    costs: TradingCosts | None = None
    subject: Subject | None = None
    earlier: Sequence[Trial] = ()


NO_TERMS = Terms()


def assess(
    forecaster: Forecaster,
    rivals: Rivals,
    rows: RowTable,
    ends: Indices,
    said: Forecasts | None = None,
    terms: Terms = NO_TERMS,
) -> dict[str, Any]:
    """Evaluate beside the baselines what a model says at the given window ends, all with a known future.

    Args:
        forecaster: The model.
        rivals: Its fitted baselines.
        rows: Its scaled row table.
        ends: Rows of the table.
        said: What it says there, where that is known already.
        terms: Costs, and the trials that the verdict is deflated by.

    Raises:
        DataError: There is nothing to evaluate on.
    """
    sample, model = _sampled(forecaster, rows, ends, said)
    record = ALONE
    if terms.subject is not None and len(ends):
        record = record_of(terms.subject.trial(*_range(sample)), terms.earlier)
    report = evaluate(
        sample,
        model,
        rivals.forecasts(rows, ends),
        base_rate=rivals.base_rate,
        costs=terms.costs,
        record=record,
    )
    report["missing_baselines"] = dict(rivals.missing)
    return {"model_id": forecaster.passport.model_id, "symbols": list(rows.symbols)} | report


def seed_figures(forecaster: Forecaster, rivals: Rivals, rows: RowTable, ends: Indices) -> dict[str, Any]:
    """The figures of one of several seeds, without intervals."""
    sample, model = _sampled(forecaster, rows, ends, None)
    return point_metrics(sample, model, rivals.base_rate)


def finished_trial(subject: Subject, report: Mapping[str, Any]) -> Trial:
    """The line of the ledger for a report that was made of a subject."""
    from_ms, until_ms = minutes_range(report["from_ms"], report["until_ms"])
    model = report["forecasts"]["model"]
    earned = model["expectancy"] or {}
    return replace(
        subject.trial(from_ms, until_ms),
        gain_millinats=model["log_loss_gain_millinats"],
        sharpe=earned.get("daily_sharpe"),
    )


def tried_digest(passport: ModelPassport) -> str:
    """What a stored model counts as in the ledger: its recipe; itself, where it does not name one."""
    return passport.hashes.get("config") or sha256(passport.model_id.encode())


def _sampled(
    forecaster: Forecaster, rows: RowTable, ends: Indices, said: Forecasts | None
) -> tuple[Sample, Forecast]:
    """The moments with their outcomes, and the model's words at them."""
    if said is None:
        said = forecasts_at(forecaster, rows, ends)
    sample = Sample(
        ts=rows.ts[ends],
        symbol=rows.symbol[ends],
        close=rows.close[ends],
        realized=rows.future_return[ends],
        last_return=rows.last_return[ends],
        horizon=forecaster.target.horizon,
        fill=rows.next_open[ends],
    )
    expected = said.expected_return
    return sample, Forecast("model", expected, expected, said.probability_up, said.uncertainty)


def _range(sample: Sample) -> tuple[int, int]:
    """The minutes of a sample that is not empty."""
    return minutes_range(int(sample.ts.min()), int(sample.ts.max()))


def forecasts_at(forecaster: Forecaster, rows: RowTable, ends: Indices) -> Forecasts:
    """What a model says at the given window ends of its scaled row table."""
    raw = forecaster.infer_series(rows.scaled, ends)
    weights = moving_weights(forecaster, rows, raw, ends)
    return forecaster.decode(raw, rows.close[ends], rows.volatility[ends], weights)


def moving_weights(
    forecaster: Forecaster, rows: RowTable, raw: npt.NDArray[np.float64], ends: Indices
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
    folder: Path,
    series: Mapping[str, CandleArrays],
    *,
    in_sample: bool = False,
    costs: TradingCosts | None = None,
    ledger: Ledger | None = None,
) -> dict[str, Any]:
    """Evaluate a stored model on candles, leaving out the time that it was made from.

    Args:
        folder: The artifact; verified first.
        series: Candles of each symbol.
        in_sample: Keep the time of training too: a look at the fit, not at the forecast.
        costs: Of a round trip; None counts none.
        ledger: Where the look is written down before its figures are returned; None keeps none.

    Returns:
        The report, with ``in_sample`` and ``left_out`` (windows of the training's time).

    Raises:
        ModelError: The artifact is refused or holds no baselines, or the ledger is damaged.
        DataError: The candles are malformed, or all from the training's time.
        StorageError: The disk refused the look's line.
    """
    forecaster = load_forecaster(folder, threads=2)
    passport = forecaster.passport
    rivals = read_rivals(folder, len(passport.columns), forecaster.target.horizon)
    tables = compute_tables(forecaster.features, series)
    rows = build_rows(series, tables, forecaster.scaler, forecaster.target, passport.window)
    labelled = rows.ends[np.isfinite(rows.future_return[rows.ends])]
    kept = labelled if in_sample else labelled[unseen(forecaster, rows.ts[labelled])]
    if not len(kept) and len(labelled):
        raise DataError(
            f"all {len(labelled)} windows are from the time that model {passport.model_id} was made "
            "from; give other candles, or --in-sample to look at the fit"
        )
    report = _looked_at(forecaster, rivals, rows, kept, series, costs, ledger, in_sample=in_sample)
    return report | {"in_sample": in_sample, "left_out": len(labelled) - len(kept)}


def _looked_at(
    forecaster: Forecaster,
    rivals: Rivals,
    rows: RowTable,
    ends: Indices,
    series: Mapping[str, CandleArrays],
    costs: TradingCosts | None,
    ledger: Ledger | None,
    *,
    in_sample: bool,
) -> dict[str, Any]:
    """The report, and the look in the ledger."""
    if ledger is None:
        return assess(forecaster, rivals, rows, ends, terms=Terms(costs))
    passport = forecaster.passport
    note = f"{passport.model_id}{', in sample' if in_sample else ''}"
    subject = Subject(
        "evaluation", ledger.at_ms, passport.recipe, tried_digest(passport), data_digest(series), note
    )
    terms = Terms(costs, subject, read_trials(ledger.root))
    report = assess(forecaster, rivals, rows, ends, terms=terms)
    record_trial(ledger.root, finished_trial(subject, report))
    return report


def unseen(forecaster: Forecaster, ts: Indices) -> npt.NDArray[np.bool_]:
    """Which moments lie outside of the time that training, early stopping and calibration saw."""
    ranges = forecaster.passport.ranges
    if not ranges:
        return np.ones(len(ts), np.bool_)
    since = min(bounds[0] for bounds in ranges.values())
    margin = (forecaster.passport.window + forecaster.target.horizon) * MINUTE_MS
    return (ts >= ranges["test"][0]) | (ts < since - margin)
