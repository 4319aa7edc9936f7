"""How good a forecast is, beside what costs nothing, in the space of returns and net of costs.

Every figure of the report stands beside those of persistence, the base rate, the last return's sign and the fitted
baselines. A figure of the price level, and the seeds' accuracy, which is labelled ``legacy``, never stand without
persistence beside them. A backtest of a strategy is something else: it has stops, sizes and funding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.bootstrap import block_minutes
from models.expectancy import expectancy
from models.figures import Figure, mean_figure
from models.forecast_metrics import metrics_of, reliability
from models.forecast_sample import Forecast, Sample, unfitted_forecasts
from models.forecast_tests import diebold_mariano
from models.forecast_trades import TradingCosts
from models.log_loss import log_loss
from models.price_figures import legacy, price_level
from models.skill import MILLI
from models.trials import ALONE, Record
from models.verdict import Case, NetOfCosts, judge

__all__ = ["Forecast", "Sample", "best_baseline", "evaluate", "log_loss", "reliability"]

Floats = npt.NDArray[np.float64]

MINUTES_A_DAY = 1440


def evaluate(
    sample: Sample,
    model: Forecast,
    rivals: Sequence[Forecast],
    *,
    base_rate: float,
    costs: TradingCosts | None = None,
    record: Record = ALONE,
) -> dict[str, Any]:
    """The whole report as JSON values; ``forecasts`` has the model first, then the baselines.

    Args:
        sample: The moments.
        model: Who is judged.
        rivals: The fitted baselines; persistence, base rate and the last return's sign are added.
        base_rate: Share of rises in the training data.
        costs: Of a round trip; None counts none.
        record: The trials on these minutes, which the verdict is deflated by.

    Raises:
        DataError: The sample is empty.
    """
    if not len(sample.ts):
        raise DataError("no whole window with a known future is left to evaluate on")
    baselines = [*unfitted_forecasts(sample, base_rate), *rivals]
    metrics = {
        one.name: metrics_of(sample, one, base_rate)
        | {"expectancy": expectancy(sample, one, costs, trials=record.trials)}
        for one in (model, *baselines)
    }
    report = _sample_figures(sample, base_rate) | {
        "forecasts": metrics,
        "diebold_mariano": {one.name: compared(sample, model, one) for one in baselines},
        "trials": record.as_json(),
        "costs": None if costs is None else {"round_trip_bps": costs.round_trip * 1e4},
    }
    if model.probability is not None:
        report["reliability"] = reliability(model.probability, sample.realized)
    if model.expected is not None:
        report["price_level"] = price_level(sample, model.expected)
        report["legacy"] = legacy(sample, model.expected)
    case = _case(sample, model, baselines, metrics[model.name], record)
    return report | {"verdict": judge(case)}


def best_baseline(sample: Sample, baselines: Sequence[Forecast]) -> tuple[Forecast, Floats]:
    """The baseline with the lowest log loss on these very minutes, and its losses [n], NaN for ties."""
    losses = {
        place: log_loss(one.probability, sample.realized)
        for place, one in enumerate(baselines)
        if one.probability is not None
    }
    moved = sample.realized != 0.0
    best = min(losses, key=lambda place: float(losses[place][moved].mean()) if moved.any() else 0.0)
    return baselines[best], losses[best]


def gain_over(sample: Sample, model: Forecast, losses: Floats) -> Figure | None:
    """The model's paired log-loss gain over some losses, millinats; None where it says no probabilities."""
    if model.probability is None:
        return None
    gain = (losses - log_loss(model.probability, sample.realized)) * MILLI
    return mean_figure(sample.ts, gain, block_minutes(sample.horizon))


def compared(sample: Sample, model: Forecast, other: Forecast) -> dict[str, Any] | None:
    """The model against another by the test of Diebold and Mariano, with a variance that bears overlapping labels.

    By log loss in millinats, ties left out; against a forecaster of directions by wrong directions, where both say
    one. As many lags count as a bootstrap block has minutes; symbols of one minute are one observation.

    Returns:
        ``loss``, ``mean`` (above 0 the model is better), ``statistic``, ``p_value``; None where there is nothing to
        compare by or fewer than two minutes.
    """
    if model.probability is not None and other.probability is not None:
        name = "log_loss_millinats"
        losses = [log_loss(one.probability, sample.realized) * MILLI for one in (other, model)]  # type: ignore[arg-type]
    else:
        name = "wrong_direction"
        losses = [_wrong(sample, one) for one in (other, model)]
    present = np.isfinite(losses[0]) & np.isfinite(losses[1])
    minutes, place = np.unique(sample.ts[present], return_inverse=True)
    if len(minutes) < 2:
        return None
    counts = np.bincount(place)
    theirs, ours = (np.bincount(place, weights=loss[present]) / counts for loss in losses)
    found = diebold_mariano(theirs, ours, lags=min(block_minutes(sample.horizon), len(minutes) - 1))
    statistic = found.statistic if np.isfinite(found.statistic) else None
    return {"loss": name, "mean": found.mean, "statistic": statistic, "p_value": found.p_value}


def _wrong(sample: Sample, forecast: Forecast) -> Floats:
    """1 for a wrong direction, 0 for a right one, NaN where none was said or nothing moved."""
    said = np.isfinite(forecast.direction) & (forecast.direction != 0.0) & (sample.realized != 0.0)
    return np.where(said, np.sign(forecast.direction) != np.sign(sample.realized), np.nan)


def _sample_figures(sample: Sample, base_rate: float) -> dict[str, Any]:
    """What was measured on."""
    moved = sample.realized != 0.0
    moves = int(np.count_nonzero(moved))
    return {
        "samples": len(sample.ts),
        "ties": len(sample.ts) - moves,
        "from_ms": int(sample.ts.min()),
        "until_ms": int(sample.ts.max()),
        "horizon_minutes": sample.horizon,
        "block_minutes": block_minutes(sample.horizon),
        "base_rate_train": base_rate,
        "share_up": float((sample.realized[moved] > 0.0).mean()) if moves else None,
    }


def _case(
    sample: Sample,
    model: Forecast,
    baselines: Sequence[Forecast],
    metrics: Mapping[str, Any],
    record: Record,
) -> Case:
    """What the verdict rests on."""
    rival, losses = best_baseline(sample, baselines)
    minutes = len(np.unique(sample.ts))
    return Case(
        rival=rival.name,
        gain=gain_over(sample, model, losses),
        moves=int(np.count_nonzero(sample.realized)),
        blocks=minutes / block_minutes(sample.horizon),
        days=minutes / MINUTES_A_DAY,
        record=record,
        net=_net(metrics["expectancy"]),
    )


def _net(earned: Mapping[str, Any] | None) -> NetOfCosts | None:
    """What trades earned at the configured costs."""
    if earned is None:
        return None
    at_once = earned["at_1x"]
    if at_once["net_bps"] is None:
        return NetOfCosts(earned["trades"], None)
    low, high = at_once["net_interval"] or (None, None)
    return NetOfCosts(earned["trades"], Figure(at_once["net_bps"], low, high))
