"""Everything that training and evaluation gather from: one scaled row table over all symbols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.candle_arrays import CandleArrays
from models.features import FeatureSet, FeatureTable, feature_set
from models.recipe import Recipe
from models.scaling import Scaler, fit_scaler
from models.targets import Target, forward_log_return, make_target
from models.windows import MINUTE_MS, TimeSlices, purged_slices, window_ends, within

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RowTable:
    """The rows of all symbols, one symbol after the other; every array has length n.

    Attributes:
        symbols: Names; ``symbol`` holds their numbers.
        symbol: int16.
        ts: int64, open times, ms.
        close: float64; so are the following.
        volatility: Causal, a minute, as a fraction.
        last_return: Log return of the row's own minute; NaN after a gap.
        future_return: Log return over the horizon; NaN where the future is not there.
        next_open: Open of the next minute, at which an order would be filled; NaN where it is not there.
        scaled: float32 [n, f].
        ends: Row numbers where a whole window ends.
    """

    symbols: tuple[str, ...]
    symbol: npt.NDArray[np.int16]
    ts: Indices
    close: Floats
    volatility: Floats
    last_return: Floats
    future_return: Floats
    next_open: Floats
    scaled: npt.NDArray[np.float32]
    ends: Indices

    def ends_within(self, bounds: tuple[int, int], *, labelled: bool = True) -> Indices:
        """Window ends with times in [from, until), in order of rows; only those with a future if ``labelled``."""
        chosen = self.ends[within(self.ts[self.ends], bounds)]
        return chosen[np.isfinite(self.future_return[chosen])] if labelled else chosen


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """What a training run learns from.

    Attributes:
        rows: The row table.
        target: float32 [n, m], what the model should say at each row; NaN where that is not known.
        scaler: Fitted on the rows of the train slice.
        slices: The purged slices of time.
    """

    rows: RowTable
    target: npt.NDArray[np.float32]
    scaler: Scaler
    slices: TimeSlices

    def learnable(self, bounds: tuple[int, int]) -> Indices:
        """Window ends with times in [from, until) whose label is known: a tie has no direction, for one."""
        ends = self.rows.ends_within(bounds)
        return ends[np.isfinite(self.target[ends]).all(axis=1)]


def prepare(recipe: Recipe, series: Mapping[str, CandleArrays]) -> Dataset:
    """Features, slices, scaler and targets of a recipe over the candles of some symbols.

    Raises:
        DataError: The candles are malformed or too few.
    """
    features = feature_set(recipe.features)
    goal = make_target(recipe.target.kind, recipe.target.horizon, recipe.target.options)
    tables = compute_tables(features, series)
    ends = [
        series[name].ts[window_ends(series[name].ts, tables[name].valid, recipe.window)] for name in tables
    ]
    slices = purged_slices(
        np.concatenate(ends), recipe.split.shares, horizon=goal.reach, embargo=recipe.embargo
    )
    seen = [tables[name].matrix[tables[name].valid & (series[name].ts < slices.train[1])] for name in tables]
    scaler = fit_scaler(recipe.scaler.kind, features.columns, np.concatenate(seen), clip=recipe.scaler.clip)
    del seen
    target = [goal.encode(series[name], tables[name].volatility, scaler) for name in tables]
    rows = build_rows(series, tables, scaler, goal, recipe.window)
    return Dataset(rows, np.concatenate(target).astype(np.float32), scaler, slices)


def compute_tables(features: FeatureSet, series: Mapping[str, CandleArrays]) -> dict[str, FeatureTable]:
    """The features of each symbol, in order of names; an error names the symbol."""
    tables = {}
    for name in sorted(series):
        try:
            tables[name] = features.compute(series[name])
        except DataError as fault:
            raise DataError(f"{name}: {fault}") from fault
    if not tables:
        raise DataError("there are no candles to work on")
    return tables


def build_rows(
    series: Mapping[str, CandleArrays],
    tables: dict[str, FeatureTable],
    scaler: Scaler,
    target: Target,
    window: int,
) -> RowTable:
    """Scale and join the symbols' rows; empties ``tables`` as it goes, to need no second copy of them."""
    names = tuple(tables)
    columns: dict[str, list[npt.NDArray[np.generic]]] = {}
    start = 0
    for number, name in enumerate(names):
        candles, table = series[name], tables.pop(name)
        parts: dict[str, npt.NDArray[np.generic]] = {
            "symbol": np.full(len(candles), number, np.int16),
            "ts": candles.ts,
            "close": candles.close,
            "volatility": table.volatility,
            "last_return": _last_return(candles),
            "future_return": forward_log_return(candles, target.horizon),
            "next_open": _next_open(candles),
            "scaled": scaler.transform_table(table.matrix),
            "ends": window_ends(candles.ts, table.valid, window) + start,
        }
        for key, part in parts.items():
            columns.setdefault(key, []).append(part)
        start += len(candles)
    joined = {key: parts[0] if len(parts) == 1 else np.concatenate(parts) for key, parts in columns.items()}
    return RowTable(symbols=names, **joined)  # type: ignore[arg-type]


def _last_return(candles: CandleArrays) -> Floats:
    """log(close[t] / close[t-1]); NaN for the first candle and after a gap."""
    last = np.full(len(candles), np.nan)
    follows = np.flatnonzero(np.diff(candles.ts) == MINUTE_MS) + 1
    last[follows] = np.log(candles.close[follows] / candles.close[follows - 1])
    return last


def _next_open(candles: CandleArrays) -> Floats:
    """open[t+1]; NaN for the last candle and before a gap."""
    found = np.full(len(candles), np.nan)
    before = np.flatnonzero(np.diff(candles.ts) == MINUTE_MS)
    found[before] = candles.open[before + 1]
    return found
