"""What a model said beside what came: forecasts over a stretch of minutes, and the path from one of them.

Prices are closes. A forecast made on the close of candle t stands at candle t + horizon, where it can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.dataset import RowTable
from models.forecaster import Forecaster
from models.inspection_sample import served_weights
from models.targets import Path, TrendAndDirection
from models.windows import MINUTE_MS

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ForecastStretch:
    """The forecasts of one symbol over some minutes; arrays are [k], one entry a forecast, in order of time.

    Attributes:
        symbol: The market.
        horizon_minutes: Distance predicted.
        return_scale: How much of what the network says is believed; None for an ensemble.
        ts: int64, all candles drawn: open times, ms. It and ``close`` have a length of their own.
        close: float64, their closes.
        made_ts: int64, open time of the candle on whose close a forecast was made.
        persistence: float64, that close: what repeating the last price forecasts.
        expected: float64, the price expected at the horizon, as the bot believes it.
        said: float64, the same as the network says it; None for an ensemble.
        realized: float64, the close that came; NaN where it is not known.
        withheld: bool, whether the bot would have held its tongue: more than 1 % of the window's values lie beyond
            what was seen in training.
    """

    symbol: str
    horizon_minutes: int
    return_scale: float | None
    ts: Indices
    close: Floats
    made_ts: Indices
    persistence: Floats
    expected: Floats
    said: Floats | None
    realized: Floats
    withheld: npt.NDArray[np.bool_]

    @property
    def due_ts(self) -> Indices:
        """Open time of the candle that each forecast is about."""
        return self.made_ts + self.horizon_minutes * MINUTE_MS

    def as_json(self) -> dict[str, Any]:
        """JSON values; null where something is not known."""
        return {
            "symbol": self.symbol,
            "horizon_minutes": self.horizon_minutes,
            "return_scale": self.return_scale,
            "withheld": int(self.withheld.sum()),
            "candles": {"ts": self.ts.tolist(), "close": self.close.tolist()},
            "forecasts": {
                "made_ts": self.made_ts.tolist(),
                "due_ts": self.due_ts.tolist(),
                "expected": self.expected.tolist(),
                "said_by_network": None if self.said is None else self.said.tolist(),
                "persistence": self.persistence.tolist(),
                "realized": _nullable(self.realized),
                "withheld": self.withheld.tolist(),
            },
        }


@dataclass(frozen=True, slots=True, eq=False)
class ForecastPath:
    """The path forecast at one moment; arrays are float64 [m] unless said otherwise, the moment itself first.

    Attributes:
        made_ts: Open time of the candle on whose close it was forecast.
        close: That close; persistence goes on with it.
        minutes: int64, minutes from the moment that a price is forecast for: 0, then 1, 2, … of a path target, the
            horizons of the others.
        expected: Prices, as the bot believes them.
        said: Prices, as the network says them; None for an ensemble.
        realized: Closes of every minute up to the last, float64 [minutes[-1] + 1]; NaN where not known.
        withheld: Whether the bot would have held its tongue.
    """

    made_ts: int
    close: float
    minutes: Indices
    expected: Floats
    said: Floats | None
    realized: Floats
    withheld: bool

    def as_json(self) -> dict[str, Any]:
        """JSON values; null where something is not known."""
        return {
            "made_ts": self.made_ts,
            "close": self.close,
            "minutes": self.minutes.tolist(),
            "expected": self.expected.tolist(),
            "said_by_network": None if self.said is None else self.said.tolist(),
            "realized": _nullable(self.realized),
            "withheld": self.withheld,
        }


def forecast_stretch(
    forecaster: Forecaster, rows: RowTable, ends: Indices, withheld: npt.NDArray[np.bool_]
) -> ForecastStretch:
    """What a model says at some window ends of one symbol.

    Args:
        forecaster: The model.
        rows: Its row table.
        ends: In order of rows, all of one symbol.
        withheld: bool [k], whether each forecast would have been held back.

    Raises:
        DataError: There are no window ends.
    """
    if not len(ends):
        raise DataError("there is no whole window in the stretch to forecast on")
    raw = forecaster.infer_series(rows.scaled, ends)
    close, volatility = rows.close[ends], rows.volatility[ends]
    said = forecaster.decode(raw, close, volatility, served_weights(forecaster, rows, ends))
    single = forecaster.combination is None
    number = int(rows.symbol[ends[0]])
    until = rows.ts[ends[-1]] + forecaster.target.reach * MINUTE_MS
    drawn = np.flatnonzero((rows.symbol == number) & (rows.ts >= rows.ts[ends[0]]) & (rows.ts <= until))
    plain = forecaster.target.decode(raw, close, volatility, forecaster.scaler) if single else None
    return ForecastStretch(
        symbol=rows.symbols[number],
        horizon_minutes=forecaster.target.horizon,
        return_scale=forecaster.calibration.return_scale if single else None,
        ts=rows.ts[drawn],
        close=rows.close[drawn],
        made_ts=rows.ts[ends],
        persistence=close,
        expected=close * np.exp(said.expected_return),
        said=None if plain is None else close * np.exp(plain.expected_return),
        realized=close * np.exp(rows.future_return[ends]),
        withheld=withheld,
    )


def forecast_path(forecaster: Forecaster, rows: RowTable, end: int, *, withheld: bool) -> ForecastPath:
    """The whole path that a model forecasts at one window end.

    A path target says a price for each minute, ``trend_and_direction`` one at each of two horizons, the others one at
    their horizon.
    """
    ends = np.array([end], np.int64)
    raw = forecaster.infer_series(rows.scaled, ends)
    close, volatility = rows.close[ends], rows.volatility[ends]
    start = float(close[0])
    if forecaster.combination is None:
        minutes, moves = _said_moves(forecaster, raw, close, volatility)
        believed, said = moves * forecaster.calibration.return_scale, _prices(start, moves)
    else:
        minutes, said = np.array([0, forecaster.target.horizon], np.int64), None
        weights = served_weights(forecaster, rows, ends)
        believed = forecaster.decode(raw, close, volatility, weights).expected_return
    return ForecastPath(
        made_ts=int(rows.ts[end]),
        close=start,
        minutes=minutes,
        expected=_prices(start, believed),
        said=said,
        realized=_realized(rows, end, int(minutes[-1])),
        withheld=withheld,
    )


def _said_moves(
    forecaster: Forecaster, raw: Floats, close: Floats, volatility: Floats
) -> tuple[Indices, Floats]:
    """(0 and the minutes that a single model speaks of, in order; log returns from the last close to all but 0)."""
    target = forecaster.target
    if isinstance(target, Path):
        return np.arange(target.horizon + 1, dtype=np.int64), target.log_path(raw, volatility)[0]
    if isinstance(target, TrendAndDirection):
        horizons = np.array([target.horizon, target.second_horizon], np.int64)
        order = np.argsort(horizons, kind="stable")
        return np.concatenate([[0], horizons[order]]), target.log_path(raw, volatility)[0][order]
    moves = target.decode(raw, close, volatility, forecaster.scaler).expected_return
    return np.array([0, target.horizon], np.int64), moves


def _prices(start: float, moves: Floats) -> Floats:
    """The start, then where each log return leads from it."""
    prices: Floats = start * np.exp(np.concatenate([[0.0], moves]))
    return prices


def _realized(rows: RowTable, end: int, minutes: int) -> Floats:
    """The closes of minutes 0 to ``minutes`` after a row; NaN where a minute is not there."""
    closes = np.full(minutes + 1, np.nan)
    near = slice(end, min(end + minutes + 1, len(rows.ts)))
    same = rows.symbol[near] == rows.symbol[end]
    later = (rows.ts[near][same] - rows.ts[end]) // MINUTE_MS
    known = later <= minutes
    closes[later[known]] = rows.close[near][same][known]
    return closes


def _nullable(values: Floats) -> list[float | None]:
    """Numbers as JSON has them: null for NaN."""
    return [value if np.isfinite(value) else None for value in values.tolist()]
