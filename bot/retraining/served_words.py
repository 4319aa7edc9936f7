"""What one model says of each minute of a time, and what came of it: all that its serving is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.core.market import Symbol
from bot.inference import PredictionSeries, forecast_series
from models.base_rate import stored_base_rate
from models.candle_arrays import CandleArrays
from models.evaluation import log_loss
from models.forecaster import Forecaster, load_forecaster
from models.skill import MILLI
from models.targets import forward_log_return
from models.windows import MINUTE_MS

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

EVEN = 0.5
"""The base rate of a model that was stored without one."""

_COLUMNS = ("expected_return", "probability_up", "raw", "uncertainty", "volatility")


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """One model's words about one symbol, over [from, until) by the open time of the candle; arrays of length n.

    Attributes:
        ts: int64, open time of the candle on whose close the forecast is known, ms; strictly increasing.
        columns: float64 by name: ``expected_return``, ``probability_up``, ``raw``, ``uncertainty``, ``volatility``.
        due: int64 [k], minutes with a whole window: k - n of them got no forecast, being unlike the training.
        realized: Log return over the horizon that came; NaN where it is not known.
        long: bool [k], which minutes of ``due`` follow so many others that a daemon's watch counts them.
        rows: float32 [k, f], the newest scaled row at each minute of ``due``; [0, f] where they were not asked for.
    """

    ts: Indices
    columns: Mapping[str, Floats]
    due: Indices
    realized: Floats
    long: npt.NDArray[np.bool_]
    rows: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ModelWords:
    """One model's words about every symbol over a time.

    Attributes:
        model_id: Who.
        horizon_minutes: Distance predicted.
        base_rate: P(up) of its training data.
        by_symbol: Symbol -> words.
    """

    model_id: str
    horizon_minutes: int
    base_rate: float
    by_symbol: Mapping[Symbol, Words]

    @property
    def gain_millinats(self) -> float | None:
        """Mean log-loss gain over the base rate, on moves that are known and not zero; None where there is none."""
        said = np.concatenate([one.columns["probability_up"] for one in self.by_symbol.values()])
        came = np.concatenate([one.realized for one in self.by_symbol.values()])
        kept = np.isfinite(said) & np.isfinite(came) & (came != 0.0)
        if not kept.any():
            return None
        base = np.full(int(np.count_nonzero(kept)), self.base_rate)
        gain = log_loss(base, came[kept]) - log_loss(said[kept], came[kept])
        return float(gain.mean()) * MILLI


def words_of(
    model: Path,
    series: Mapping[Symbol, CandleArrays],
    from_ms: int,
    until_ms: int,
    *,
    rows: bool = False,
    threads: int = 1,
) -> ModelWords:
    """Ask a stored model about each minute of a time, exactly as it would have answered live.

    Args:
        model: Its folder.
        series: Candles of each symbol; those before ``from_ms`` are its history, those after tell what came.
        from_ms: Open time of the first candle that it is asked about.
        until_ms: End of them, not included.
        rows: Whether its inputs are wanted too.
        threads: Of one inference.

    Raises:
        ModelError: The model is refused.
        DataError: The candles are malformed.
    """
    forecaster = load_forecaster(model, threads=threads)
    rate = stored_base_rate(model)
    return ModelWords(
        forecaster.passport.model_id,
        forecaster.target.horizon,
        EVEN if rate is None else rate,
        {
            name: _words(forecaster, name, candles, from_ms, until_ms, rows=rows)
            for name, candles in series.items()
        },
    )


def _words(
    forecaster: Forecaster, symbol: Symbol, candles: CandleArrays, from_ms: int, until_ms: int, *, rows: bool
) -> Words:
    horizon = forecaster.target.horizon
    known = candles.between(from_ms, until_ms + horizon * MINUTE_MS)
    seen = candles.between(from_ms - forecaster.history_minutes * MINUTE_MS, until_ms)
    said = forecast_series(forecaster, symbol, seen)
    kept = said.ts >= from_ms
    ts = said.ts[kept]
    realized = forward_log_return(known, horizon)[np.searchsorted(known.ts, ts)]
    table = forecaster.features.compute(seen)
    ends = forecaster.ends(seen, table)
    ends = ends[seen.ts[ends] >= from_ms]
    scaled = forecaster.scaler.transform_table(table.matrix[ends if rows else ends[:0]])
    long = _following(seen.ts)[ends] >= forecaster.history_minutes
    return Words(ts, _columns(said, kept), seen.ts[ends], realized, long, scaled)


def _following(ts: Indices) -> Indices:
    """How many minutes up to each one follow each other, itself included."""
    place = np.arange(len(ts))
    fresh = np.ones(len(ts), np.bool_)
    fresh[1:] = np.diff(ts) != MINUTE_MS
    following: Indices = place - np.maximum.accumulate(np.where(fresh, place, 0)) + 1
    return following


def _columns(said: PredictionSeries, kept: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    return {name: getattr(said, name)[kept] for name in _COLUMNS}
