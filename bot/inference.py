"""Predictions from a verified model artifact, candle by candle or for a whole series: the same numbers.

onnxruntime only; TensorFlow is never imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bot.core.market import Candle, Symbol
from bot.core.prediction import PREDICTION_DIGITS, Prediction
from bot.errors import DataError
from models.candle_arrays import CandleArrays
from models.feature_stream import FeatureStream
from models.forecaster import Forecaster, Forecasts, load_forecaster
from models.windows import MINUTE_MS


@dataclass(frozen=True, slots=True)
class PredictionSeries:
    """The predictions of one symbol over a series, one entry a candle whose window is whole.

    Attributes:
        symbol: The market.
        ts: int64 [k], open time of the candle on whose close the prediction is known, ms.
        expected_return: float64 [k], log return over the horizon, rounded to 1e-6.
        probability_up: float64 [k], rounded to 1e-6.
        raw: float64 [k], the model's own output, rounded to 1e-6.
        model_id: Which artifact made them.
        horizon_minutes: Distance predicted.
        outside_range: How many of the windows' last rows lie beyond what was seen in training.
    """

    symbol: Symbol
    ts: npt.NDArray[np.int64]
    expected_return: npt.NDArray[np.float64]
    probability_up: npt.NDArray[np.float64]
    raw: npt.NDArray[np.float64]
    model_id: str
    horizon_minutes: int
    outside_range: int


class OnnxPredictor:
    """A ``Predictor`` over an artifact, with the trailing history of each symbol.

    Attributes:
        model_id: The artifact's id.
        horizon_minutes: Distance predicted.
        history_minutes: Trailing candles that make the last window exact after a restart.
        outside_range: How many predictions were made on a last row beyond what was seen in training.
    """

    def __init__(self, forecaster: Forecaster) -> None:
        passport = forecaster.passport
        self.model_id = passport.model_id
        self.horizon_minutes = passport.horizon_minutes
        self.history_minutes = forecaster.features.history_minutes(passport.window)
        self.outside_range = 0
        self._forecaster = forecaster
        self._window = passport.window
        self._streams: dict[Symbol, FeatureStream] = {}

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> OnnxPredictor:
        """Verify an artifact and make a predictor of it; ModelError when it is refused."""
        return cls(load_forecaster(folder, threads=threads))

    def warm(self, symbol: Symbol, candles: Sequence[Candle]) -> None:
        """Replace what is remembered of a symbol by these candles (in order; a gap in them empties).

        Raises:
            DataError: A candle is malformed or out of order.
        """
        recent = candles[-self.history_minutes :]
        columns = [np.array([candle[place] for candle in recent], np.float64) for place in range(2, 7)]
        ts = np.array([candle.opened_at_ms for candle in recent], np.int64)
        try:
            self._stream(symbol).load(CandleArrays(ts, *columns))
        except DataError as fault:
            raise DataError(f"{symbol}: {fault}") from fault

    def observe(self, candle: Candle) -> None:
        """Take in one closed candle; a gap empties what was remembered.

        Raises:
            DataError: The candle is not newer than the last one of its symbol.
        """
        symbol, ts, open_, high, low, close, volume = candle
        try:
            self._stream(symbol).append(ts, open_, high, low, close, volume)
        except DataError as fault:
            raise DataError(f"{symbol}: {fault}") from fault

    def predict(self, symbols: Sequence[Symbol]) -> list[Prediction]:
        """One prediction for each of the symbols whose window is whole, in the order of their names."""
        streams = self._streams
        ready = [symbol for symbol in sorted(set(symbols)) if symbol in streams and streams[symbol].ready]
        if not ready:
            return []
        rows = np.stack([streams[symbol].window() for symbol in ready])
        self.outside_range += self._forecaster.scaler.outside(rows[:, -1])
        forecasts = _rounded(
            self._forecaster.decode(
                self._forecaster.infer(self._forecaster.scaler.transform(rows)),
                np.array([streams[symbol].close for symbol in ready]),
                np.array([streams[symbol].volatility for symbol in ready]),
            )
        )
        return [
            Prediction(
                symbol=symbol,
                closed_at_ms=(streams[symbol].last_ts or 0) + MINUTE_MS,
                model_id=self.model_id,
                horizon_minutes=self.horizon_minutes,
                expected_return=expected,
                probability_up=probability,
                raw=raw,
            )
            for symbol, expected, probability, raw in zip(
                ready, *(column.tolist() for column in forecasts), strict=True
            )
        ]

    def _stream(self, symbol: Symbol) -> FeatureStream:
        """The symbol's stream, made on first use."""
        stream = self._streams.get(symbol)
        if stream is None:
            stream = self._streams[symbol] = FeatureStream(self._forecaster.features, self._window)
        return stream


def predict_series(
    folder: Path, symbol: Symbol, candles: CandleArrays, *, threads: int = 2, batch: int = 256
) -> PredictionSeries:
    """Every prediction that ``OnnxPredictor`` would make on these candles, in batches.

    Args:
        folder: The artifact; verified first.
        symbol: Name for the result.
        candles: The series; a gap empties the window.
        threads: Threads of one inference.
        batch: Windows an inference.

    Raises:
        ModelError: The artifact is refused.
        DataError: The candles are malformed.
    """
    return forecast_series(load_forecaster(folder, threads=threads), symbol, candles, batch=batch)


def forecast_series(
    forecaster: Forecaster, symbol: Symbol, candles: CandleArrays, *, batch: int = 256
) -> PredictionSeries:
    """``predict_series`` with a model that is loaded already."""
    try:
        table = forecaster.features.compute(candles)
    except DataError as fault:
        raise DataError(f"{symbol}: {fault}") from fault
    ends = forecaster.ends(candles, table)
    outside = forecaster.scaler.outside(table.matrix[ends])
    volatility = table.volatility[ends]
    scaled = forecaster.scaler.transform_table(table.matrix)
    del table
    raw = forecaster.infer_series(scaled, ends, batch=batch)
    forecasts = _rounded(forecaster.decode(raw, candles.close[ends], volatility))
    return PredictionSeries(
        symbol=symbol,
        ts=candles.ts[ends],
        expected_return=forecasts.expected_return,
        probability_up=forecasts.probability_up,
        raw=forecasts.raw,
        model_id=forecaster.passport.model_id,
        horizon_minutes=forecaster.passport.horizon_minutes,
        outside_range=outside,
    )


def _rounded(forecasts: Forecasts) -> Forecasts:
    """Forecasts as the core sees them: processors differ in the last digits, decisions must not."""
    # Adding 0.0 turns the -0.0 that rounding may leave into 0.0: they print differently.
    return Forecasts(*(np.round(column, PREDICTION_DIGITS) + 0.0 for column in forecasts))
