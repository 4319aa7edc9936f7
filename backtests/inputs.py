"""What a backtest is fed with: candles, predictions, rules; and how they become the batches of a minute.

Everything is kept as arrays; candles and predictions become core values a few thousand at a time, so that a year
of a symbol takes tens of megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from backtests.turns import EngineTurn
from bot.core.engine_config import EngineConfig
from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.matching import FundingRates
from bot.core.prediction import PREDICTION_DIGITS, Prediction
from bot.core.signal import Strategy
from bot.errors import DataError
from models.candle_arrays import CandleArrays

CHUNK_ROWS = 1024
"""How many rows become Python objects at a time."""

Floats: TypeAlias = npt.NDArray[np.float64]
MinuteBatch: TypeAlias = tuple[tuple[Candle, ...], tuple[Prediction, ...]]
"""The candles of one minute by name of symbol, and the predictions made on them."""

Row: TypeAlias = tuple[Candle, Prediction | None]


@dataclass(frozen=True, slots=True)
class PredictionColumns:
    """The predictions of one symbol, one array a column, all of length n.

    Attributes:
        ts: int64, strictly increasing: open time of the candle on whose close the prediction is known, ms.
        expected_return: float64, fraction over the horizon.
        model_id: Who made them.
        horizon_minutes: Distance predicted.
        probability_up: float64 with NaN for none, or None for a model that has none.
        raw: The model's own output, likewise.
        uncertainty: Standard deviation of the expected return, likewise.
        volatility: Expected standard deviation of the return over the horizon, likewise.
        models: Who made each one, where several did: ids as objects; None where ``model_id`` made them all.
    """

    ts: npt.NDArray[np.int64]
    expected_return: Floats
    model_id: str
    horizon_minutes: int
    probability_up: Floats | None = None
    raw: Floats | None = None
    uncertainty: Floats | None = None
    volatility: Floats | None = None
    models: npt.NDArray[np.object_] | None = None

    def __len__(self) -> int:
        """How many predictions."""
        return len(self.ts)

    def value(self, symbol: Symbol, row: int) -> Prediction:
        """One of them as a core value."""
        return Prediction(
            symbol,
            self.ts.item(row) + MINUTE_MS,
            self.model_id if self.models is None else self.models.item(row),
            self.horizon_minutes,
            self.expected_return.item(row),
            _one(self.probability_up, row),
            _one(self.uncertainty, row),
            _one(self.raw, row),
            _one(self.volatility, row),
        )


@dataclass(frozen=True, slots=True)
class BacktestInput:
    """One backtest, complete.

    Attributes:
        candles: Sound candles of each symbol that is traded.
        predictions: Predictions of each symbol; a symbol may have none.
        config: Rules, costs, limits, money; ``config.instruments`` names the symbols that ``candles`` holds.
        make_strategy: Makes the strategy of one symbol.
        funding: Which funding rate is paid when; None takes the constant of the costs.
        turns: What the engine is told between two minutes, in order of time.

    Raises:
        DataError: The symbols of the candles are not those of the instruments, or one has no candles.
    """

    candles: Mapping[Symbol, CandleArrays]
    predictions: Mapping[Symbol, PredictionColumns]
    config: EngineConfig
    make_strategy: Callable[[Symbol], Strategy]
    funding: FundingRates | None = field(default=None)
    turns: tuple[EngineTurn, ...] = ()

    def __post_init__(self) -> None:
        if set(self.candles) != set(self.config.instruments):
            raise DataError(
                f"candles of {sorted(self.candles)} for instruments {sorted(self.config.instruments)}"
            )
        for symbol, arrays in self.candles.items():
            if not len(arrays):
                raise DataError(f"{symbol} has no candles")

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The symbols in the order in which they are decided."""
        return tuple(sorted(self.candles))

    def minute_count(self) -> int:
        """How many minutes have a candle of any symbol."""
        if len(self.candles) == 1:
            return sum(map(len, self.candles.values()))
        return len(np.unique(np.concatenate([arrays.ts for arrays in self.candles.values()])))

    def rows(self, symbol: Symbol) -> Iterator[Row]:
        """Each candle of a symbol, in order, with the prediction made on it."""
        arrays = self.candles[symbol]
        predictions = self.row_predictions(symbol)
        for start in range(0, len(arrays), CHUNK_ROWS):
            yield from zip(
                candle_values(symbol, arrays.rows(start, start + CHUNK_ROWS)), predictions, strict=False
            )

    def row_predictions(self, symbol: Symbol) -> Iterator[Prediction | None]:
        """The prediction made on each candle of a symbol, in order; None where there is none."""
        ts = self.candles[symbol].ts
        columns = self.predictions.get(symbol)
        for start in range(0, len(ts), CHUNK_ROWS):
            part = ts[start : start + CHUNK_ROWS]
            if columns is None:
                yield from repeat(None, len(part))
            else:
                yield from prediction_values(symbol, columns, prediction_rows(columns, part))


def minute_batches(data: BacktestInput) -> Iterator[MinuteBatch]:
    """The batches of all symbols in order of time; a minute without any candle is not there.

    Lazy: of each symbol at most ``CHUNK_ROWS`` candles exist as objects at once.
    """
    symbols = data.symbols
    if len(symbols) == 1:
        for candle, prediction in data.rows(symbols[0]):
            yield (candle,), () if prediction is None else (prediction,)
        return
    streams = [data.rows(symbol) for symbol in symbols]
    heads: list[Row | None] = [next(stream, None) for stream in streams]
    while any(head is not None for head in heads):
        opened_at_ms = min(head[0].opened_at_ms for head in heads if head is not None)
        rows: list[Row] = []
        for place, head in enumerate(heads):
            if head is not None and head[0].opened_at_ms == opened_at_ms:
                rows.append(head)
                heads[place] = next(streams[place], None)
        yield (
            tuple(candle for candle, _ in rows),
            tuple(prediction for _, prediction in rows if prediction is not None),
        )


def rounded(values: npt.ArrayLike) -> Floats:
    """Numbers as the core may see them: rounded to 1e-6 like those that inference makes live.

    Adding 0.0 turns the -0.0 that rounding may leave into 0.0: they print differently.
    """
    made = np.round(np.asarray(values, dtype=np.float64), PREDICTION_DIGITS) + 0.0
    return made.astype(np.float64, copy=False)


def candle_values(symbol: Symbol, part: CandleArrays) -> list[Candle]:
    """Candles as core values."""
    columns = (part.ts, part.open, part.high, part.low, part.close, part.volume)
    # What ``Candle._make`` does, without a Python call for each.
    rows = zip(repeat(symbol), *(column.tolist() for column in columns), strict=False)
    return list(map(tuple.__new__, repeat(Candle), rows))


def prediction_rows(columns: PredictionColumns, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Which prediction was made on each of these candles, -1 where none was."""
    if not len(columns):
        return np.full(len(ts), -1)
    found = np.minimum(np.searchsorted(columns.ts, ts), len(columns) - 1)
    return np.where(columns.ts[found] == ts, found, -1)


def prediction_values(
    symbol: Symbol, columns: PredictionColumns, rows: npt.NDArray[np.intp]
) -> list[Prediction | None]:
    """Predictions as core values by their row, None for -1."""
    known = rows >= 0
    if known.all():
        return list(_made(symbol, columns, rows))
    made: list[Prediction | None] = [None] * len(rows)
    for place, prediction in zip(
        np.flatnonzero(known).tolist(), _made(symbol, columns, rows[known]), strict=True
    ):
        made[place] = prediction
    return made


def _made(symbol: Symbol, columns: PredictionColumns, chosen: npt.NDArray[np.intp]) -> Iterator[Prediction]:
    return map(
        tuple.__new__,
        repeat(Prediction),
        zip(
            repeat(symbol),
            (columns.ts[chosen] + MINUTE_MS).tolist(),
            repeat(columns.model_id) if columns.models is None else columns.models[chosen].tolist(),
            repeat(columns.horizon_minutes),
            columns.expected_return[chosen].tolist(),
            _optional(columns.probability_up, chosen),
            _optional(columns.uncertainty, chosen),
            _optional(columns.raw, chosen),
            _optional(columns.volatility, chosen),
            strict=False,
        ),
    )


def _optional(column: Floats | None, chosen: npt.NDArray[np.intp]) -> Any:
    """A column's values, None for NaN."""
    if column is None:
        return repeat(None)
    values = column[chosen]
    listed = values.tolist()
    if np.isnan(values).any():
        return [None if value != value else value for value in listed]  # noqa: PLR0124  # NaN is not itself
    return listed


def _one(column: Floats | None, row: int) -> float | None:
    """A value of a column, None for NaN."""
    if column is None:
        return None
    value: float = column.item(row)
    return None if value != value else value  # noqa: PLR0124  # NaN is not itself
