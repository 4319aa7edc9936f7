"""Forecasts of a week that their model had not seen, with what came of them and what baselines said beside them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bot.core.market import DAY_MS
from bot.errors import DataError
from models.candle_arrays import CandleArrays
from models.comparison import moment_keys
from models.windows import MINUTE_MS

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

WEEK_MS = 7 * DAY_MS
_ABOUT = b"scored_forecasts"


@dataclass(frozen=True, slots=True, eq=False)
class ScoredForecasts:
    """Forecasts in order of symbol and time; arrays of length n.

    Attributes:
        start_ms: Begin of the week; nothing at or after it was seen by the model.
        horizon: Minutes ahead.
        symbols: Names; ``symbol`` holds their numbers.
        symbol: int16.
        ts: int64, open time of the last candle of each window, ms.
        realized: Log return over the horizon that came; NaN where it is not known.
        probability: P(up); NaN where the model gave no forecast.
        expected: Expected return over the horizon, as a fraction; NaN where none was given.
        uncertainty: Deviation of that; NaN where unknown.
        fill: Price at which an order decided then is filled: the next open; NaN where there is none.
        late_fill: The same for an order that comes one bar late.
        baselines: Name -> P(up).
    """

    start_ms: int
    horizon: int
    symbols: tuple[str, ...]
    symbol: npt.NDArray[np.int16]
    ts: Indices
    realized: Floats
    probability: Floats
    expected: Floats
    uncertainty: Floats
    fill: Floats
    late_fill: Floats
    baselines: Mapping[str, Floats]

    def __len__(self) -> int:
        """How many."""
        return len(self.ts)

    @property
    def moments(self) -> Indices:
        """One number for each symbol's minute: the same symbols in the same order give the same numbers."""
        return moment_keys(self.symbol, self.ts)

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """Where there is a forecast and a move that it can be measured on."""
        kept: npt.NDArray[np.bool_] = (
            np.isfinite(self.probability) & np.isfinite(self.realized) & (self.realized != 0.0)
        )
        return kept


def fill_prices(candles: CandleArrays, delay: int) -> Floats:
    """The open ``delay`` minutes after each candle, float64 [n]; NaN where the minutes between are not all there."""
    fill = np.full(len(candles), np.nan)
    if len(candles) > delay:
        whole = candles.ts[delay:] - candles.ts[:-delay] == delay * MINUTE_MS
        fill[:-delay][whole] = candles.open[delay:][whole]
    return fill


def pooled(weeks: Sequence[ScoredForecasts]) -> ScoredForecasts:
    """Weeks as one, in order of symbol and time.

    Raises:
        DataError: They differ in horizon, symbols or baselines, or there are none.
    """
    if not weeks:
        raise DataError("there is no week of forecasts to pool")
    first = weeks[0]
    if any(
        (one.horizon, one.symbols, set(one.baselines)) != (first.horizon, first.symbols, set(first.baselines))
        for one in weeks
    ):
        raise DataError("weeks of different horizons, symbols or baselines cannot be pooled")
    symbol = np.concatenate([one.symbol for one in weeks])
    ts = np.concatenate([one.ts for one in weeks])
    order = np.lexsort((ts, symbol))

    def column(name: str) -> Any:
        return np.concatenate([getattr(one, name) for one in weeks])[order]

    return ScoredForecasts(
        start_ms=min(one.start_ms for one in weeks),
        horizon=first.horizon,
        symbols=first.symbols,
        symbol=symbol[order],
        ts=ts[order],
        realized=column("realized"),
        probability=column("probability"),
        expected=column("expected"),
        uncertainty=column("uncertainty"),
        fill=column("fill"),
        late_fill=column("late_fill"),
        baselines={
            name: np.concatenate([one.baselines[name] for one in weeks])[order] for name in first.baselines
        },
    )


_COLUMNS = ("realized", "probability", "expected", "uncertainty", "fill", "late_fill")


def to_parquet(week: ScoredForecasts) -> bytes:
    """The week as a Parquet file."""
    columns: dict[str, Any] = {"ts": week.ts, "symbol": week.symbol}
    columns |= {name: getattr(week, name) for name in _COLUMNS}
    columns |= {f"baseline_{name}": values for name, values in week.baselines.items()}
    about = {"start_ms": week.start_ms, "horizon": week.horizon, "symbols": list(week.symbols)}
    table = pa.table(columns).replace_schema_metadata({_ABOUT: json.dumps(about).encode()})
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    return content.getvalue()


def from_parquet(content: bytes, where: str) -> ScoredForecasts:
    """Read what ``to_parquet`` wrote; DataError, naming the place, when it is not that."""
    try:
        table = pq.read_table(io.BytesIO(content))
        about = json.loads((table.schema.metadata or {})[_ABOUT])
        columns = {name: table[name].to_numpy() for name in table.column_names}
        baselines = {
            name.removeprefix("baseline_"): columns.pop(name)
            for name in list(columns)
            if name.startswith("baseline_")
        }
        return ScoredForecasts(
            start_ms=int(about["start_ms"]),
            horizon=int(about["horizon"]),
            symbols=tuple(about["symbols"]),
            baselines=baselines,
            **columns,
        )
    except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as fault:
        raise DataError(f"{where} does not hold a week of scored forecasts: {fault}") from fault
