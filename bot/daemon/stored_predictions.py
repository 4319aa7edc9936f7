"""A predictor that reads forecasts made elsewhere: for tapes, for parity, for a user's own model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backtests.inputs import PredictionColumns
from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.prediction import Prediction


class StoredPredictor:
    """Adapter of the Predictor port over stored columns.

    Args:
        columns: The forecasts of each symbol.
    """

    def __init__(self, columns: Mapping[Symbol, PredictionColumns]) -> None:
        first = next(iter(columns.values()))
        self.model_id = first.model_id
        self.horizon_minutes = first.horizon_minutes
        self.history_minutes = 0
        self._by_minute = {symbol: _by_minute(symbol, stored) for symbol, stored in columns.items()}
        self._opened_ms: dict[Symbol, int] = {}

    def warm(self, symbol: Symbol, candles: Sequence[Candle]) -> None:
        """Nothing of the past is needed but the last candle's time."""
        if candles:
            self._opened_ms[symbol] = candles[-1].opened_at_ms

    def observe(self, candle: Candle) -> None:
        """Take note of the minute."""
        self._opened_ms[candle.symbol] = candle.opened_at_ms

    def predict(self, symbols: Sequence[Symbol]) -> list[Prediction]:
        """The stored forecasts made on the last candles observed, by name of symbol."""
        found = (
            self._by_minute.get(symbol, {}).get(self._opened_ms.get(symbol, -1)) for symbol in sorted(symbols)
        )
        return [prediction for prediction in found if prediction is not None]


def _by_minute(symbol: Symbol, stored: PredictionColumns) -> dict[int, Prediction]:
    """Forecasts by the open time of the candle on whose close they are known."""
    probabilities, doubts, raws, widths = (
        None if column is None else column.tolist()
        for column in (stored.probability_up, stored.uncertainty, stored.raw, stored.volatility)
    )
    rows = {}
    for place, (ts, expected) in enumerate(
        zip(stored.ts.tolist(), stored.expected_return.tolist(), strict=True)
    ):
        rows[ts] = Prediction(
            symbol,
            ts + MINUTE_MS,
            stored.model_id,
            stored.horizon_minutes,
            expected,
            _number(probabilities, place),
            _number(doubts, place),
            _number(raws, place),
            _number(widths, place),
        )
    return rows


def _number(column: list[float] | None, place: int) -> float | None:
    """A value of an optional column, None for NaN."""
    if column is None:
        return None
    value = column[place]
    return None if value != value else value  # noqa: PLR0124  # NaN is not itself
