"""The candles, forecasts and fundings of all symbols as one tape: rows in order of time, then of symbol names."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from backtests.inputs import BacktestInput
from backtests.kernel_columns import Fundings, fill_forecasts, fill_hints, fundings_of, runs_of
from backtests.kernel_records import BAR, FUNDING, HINT, Columns, Records
from bot.core.market import InstrumentKind, Symbol
from bot.core.matching import FundingRates
from models.candle_arrays import CandleArrays


def columns_of(data: BacktestInput) -> Columns:
    """The tape of an input; every array is read-only."""
    order = _order([data.candles[symbol] for symbol in data.symbols])
    count = sum(map(len, data.candles.values()))
    bars, hints = np.zeros(count, dtype=BAR), np.zeros(count, dtype=HINT)
    first = 0
    for place, symbol in enumerate(data.symbols):
        end = first + len(data.candles[symbol])
        bars["symbol"][first:end] = place
        _fill(data, symbol, bars[first:end], hints[first:end])
        first = end
    if order is not None:
        bars, hints = bars[order], hints[order]
    fundings = _fill_fundings(data, order, bars)
    new_minute = np.flatnonzero(np.diff(bars["ts"], prepend=bars["ts"][0] - 1))
    first_row = np.append(new_minute, count).astype(np.int64)
    loudest = np.maximum.reduceat(np.abs(bars["expected"]), new_minute)
    return Columns(*(_read_only(column) for column in (bars, hints, fundings, first_row, loudest)))


def _fill(data: BacktestInput, symbol: Symbol, bars: Records, hints: Records) -> None:
    """Write all of one symbol but its fundings."""
    candles, window_minutes = data.candles[symbol], data.config.window_minutes
    for name in ("ts", "open", "high", "low", "close"):
        bars[name] = getattr(candles, name)
    runs = runs_of(candles.ts)
    fill_hints(hints, candles, runs, window_minutes)
    fill_forecasts(bars, hints, candles.ts, runs >= window_minutes, data.predictions.get(symbol))


def _order(candles: list[CandleArrays]) -> npt.NDArray[np.intp] | None:
    """Where each row of the tape stands in the symbols' rows one after the other; None for one symbol."""
    if len(candles) == 1:
        return None
    places = np.concatenate([np.full(len(one), place) for place, one in enumerate(candles)])
    return np.lexsort((places, np.concatenate([one.ts for one in candles])))


def _read_only(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A contiguous view that can't be written: all tapes then have one type, and the loop is compiled once."""
    view = np.ascontiguousarray(column).view()
    view.flags.writeable = False
    return view


def _fill_fundings(data: BacktestInput, order: npt.NDArray[np.intp] | None, bars: Records) -> Records:
    """Write into the bars which fundings are paid at them; returns these, in the order of the bars."""
    config = data.config
    rates = data.funding if data.funding is not None else FundingRates(config.costs.funding_rate)
    parts = [
        _without(fundings) if config.instruments[symbol].kind is InstrumentKind.SPOT else fundings
        for symbol in data.symbols
        for fundings in [fundings_of(symbol, data.candles[symbol].ts, rates)]
    ]
    offsets = np.cumsum([0, *(len(part.at_ms) for part in parts)])
    first = np.concatenate([part.first + offset for part, offset in zip(parts, offsets, strict=False)])
    counts = np.concatenate([part.end - part.first for part in parts])
    if order is not None:
        first, counts = first[order], counts[order]
    paying = np.flatnonzero(counts)
    chosen = [np.arange(first[row], first[row] + counts[row]) for row in paying]
    places = np.concatenate([np.zeros(0, dtype=np.int64), *chosen])
    bars["first_funding"] = np.cumsum(counts) - counts
    bars["funding_count"] = counts
    made = np.zeros(len(places), dtype=FUNDING)
    made["at_ms"] = np.concatenate([part.at_ms for part in parts])[places]
    made["rate"] = np.concatenate([part.rate for part in parts])[places]
    return made


def _without(fundings: Fundings) -> Fundings:
    """Spot pays none."""
    return fundings._replace(end=fundings.first)
