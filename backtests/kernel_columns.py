"""The columns of one symbol that do not depend on parameters, worked out once a tape.

The indicators are those of ``strategies/indicators.py``, compiled as they stand and run over a record in place of an
object: one source for them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from backtests.inputs import PredictionColumns
from backtests.kernel_codes import FORECAST_GOOD, FORECAST_NOT_FINITE, NO_FORECAST, WINDOW_NOT_FULL
from backtests.kernel_compile import compiled, entry_point, from_core
from backtests.kernel_records import Floats, Integers, Records
from bot.core.costs import FUNDING_INTERVAL_MS, FundingRates
from bot.core.market import MINUTE_MS, Symbol
from models.candle_arrays import CandleArrays
from strategies.indicators import Macd, Rsi

_RSI_UPDATE = from_core(Rsi.update)
_RSI_VALUE = from_core(Rsi.value.fget)  # type: ignore[attr-defined]  # a property's function
_MACD_UPDATE = from_core(Macd.update)
_MACD_VALUE = from_core(Macd.histogram.fget)  # type: ignore[attr-defined]  # the same


class Fundings(NamedTuple):
    """Payment times (ms) and rates of a symbol, and per row the first and the last (not included) to be paid there."""

    at_ms: Integers
    rate: Floats
    first: Integers
    end: Integers


def runs_of(ts: Integers) -> Integers:
    """Of each row: which one it is in its stretch of minutes without a hole, from 1; shape (n,)."""
    places = np.arange(len(ts))
    broken = np.concatenate([[True], np.diff(ts) != MINUTE_MS])
    runs: Integers = places - np.maximum.accumulate(np.where(broken, places, 0)) + 1
    return runs


def fill_hints(hints: Records, candles: CandleArrays, runs: Integers, window_minutes: int) -> None:
    """Write what strategy and guards look at beside the forecast into the hints of one symbol, shape (n,)."""
    close, volume = (np.ascontiguousarray(column).view() for column in (candles.close, candles.volume))
    for column in (close, volume, runs):
        column.flags.writeable = False
    _fill_hints(close, volume, runs, _record_of(Rsi()), _record_of(Macd()), hints)
    if window_minutes < 2:
        hints["jump"] = 0.0
    np.minimum(hints["stale"], max(window_minutes - 1, 0), out=hints["stale"])


def _record_of(indicator: Rsi | Macd) -> Records:
    """A fresh indicator as one record: its slots are the fields."""
    values = {name: getattr(indicator, name) for name in indicator.__slots__}
    whole = {name for name, value in values.items() if isinstance(value, int)}
    kinds = [(name, np.int64 if name in whole else np.float64) for name in values]
    made = np.zeros(1, dtype=kinds)
    for name, value in values.items():
        made[name] = np.nan if value is None else value
    return made


@entry_point
def _fill_hints(
    close: Floats, volume: Floats, runs: Integers, rsis: Records, macds: Records, hints: Records
) -> None:
    """Bar by bar; each stretch begins with fresh indicators."""
    fresh_rsi, fresh_macd = rsis.copy(), macds.copy()
    for row in range(len(close)):
        hint = hints[row]
        if runs[row] == 1:
            rsis[0] = fresh_rsi[0]
            macds[0] = fresh_macd[0]
            hint.jump = 0.0
            hint.stale = 0.0
        else:
            hint.jump = abs(close[row] / close[row - 1] - 1)
            still = close[row] == close[row - 1] and volume[row] == 0.0
            hint.stale = hints[row - 1].stale + 1.0 if still else 0.0
        feed(close[row], runs[row], rsis[0], macds[0])
        rsi, histogram = _RSI_VALUE(rsis[0]), _MACD_VALUE(macds[0])
        hint.rsi = math.nan
        if rsi is not None and histogram is not None:
            hint.rsi = rsi
            hint.histogram = histogram


@compiled
def feed(close: float, run: int, rsi: Any, macd: Any) -> None:
    """One close; a record knows no None, so the first close of a stretch is put where the RSI would keep it."""
    if run == 1:
        rsi._last = close  # noqa: SLF001  # a field of the record
    else:
        _RSI_UPDATE(rsi, close)
    _MACD_UPDATE(macd, close)


def fill_forecasts(
    bars: Records,
    hints: Records,
    ts: Integers,
    full: npt.NDArray[np.bool_],
    columns: PredictionColumns | None,
) -> None:
    """Write the forecasts of one symbol, and what may be decided, into its bars and hints.

    Args:
        bars: Shape (n,).
        hints: Shape (n,).
        ts: Of the bars, shape (n,).
        full: Where the window holds enough candles, shape (n,).
        columns: The symbol's forecasts, if it has any.
    """
    status, expected = bars["status"], bars["expected"]
    status[:] = NO_FORECAST
    hints["doubt"] = hints["volatility"] = np.nan
    if columns is not None and len(columns):
        places = np.searchsorted(columns.ts, ts)
        known = np.flatnonzero(columns.ts[np.minimum(places, len(columns) - 1)] == ts)
        chosen = places[known]
        expected[known] = columns.expected_return[chosen]
        for name, column in (("doubt", columns.uncertainty), ("volatility", columns.volatility)):
            if column is not None:
                hints[name][known] = column[chosen]
        status[known] = FORECAST_GOOD
        status[~np.isfinite(expected)] = FORECAST_NOT_FINITE
    status[~full] = WINDOW_NOT_FULL
    expected[status != FORECAST_GOOD] = 0.0


def fundings_of(symbol: Symbol, ts: Integers, rates: FundingRates) -> Fundings:
    """What a position that is held over each row's open has paid since the row before; nothing at the first row."""
    table = rates.tables.get(symbol)
    if table is not None:
        at_ms = np.array(sorted(at for at in table if at % MINUTE_MS == 0), dtype=np.int64)
        rate = np.array([table[at] for at in at_ms.tolist()], dtype=np.float64)
    else:
        first, last = int(ts[0]) // FUNDING_INTERVAL_MS, int(ts[-1]) // FUNDING_INTERVAL_MS
        at_ms = np.arange(first, last + 1, dtype=np.int64) * FUNDING_INTERVAL_MS
        rate = np.full(len(at_ms), rates.constant, dtype=np.float64)
    end = np.searchsorted(at_ms, ts, side="right").astype(np.int64)
    return Fundings(at_ms, rate, np.concatenate([end[:1], end[:-1]]), end)
