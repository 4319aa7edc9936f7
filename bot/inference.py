"""Predictions from a verified model artifact, candle by candle or for a whole series: the same numbers.

onnxruntime only; TensorFlow is never imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bot.core.market import Candle, Symbol
from bot.core.prediction import PREDICTION_DIGITS, Prediction
from bot.errors import DataError
from models.candle_arrays import CandleArrays
from models.combination import WeightTracker
from models.feature_stream import FeatureStream
from models.forecaster import Forecaster, Forecasts, expected_volatility, load_forecaster
from models.volatility import CLOSES
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
        uncertainty: float64 [k], standard deviation of ``expected_return``, rounded to 1e-6; NaN where not known.
        volatility: float64 [k], expected standard deviation of the log return over the horizon, likewise.
        return_low: float64 [k], lower end of the interval that is meant to hold 90 % of returns, likewise.
        return_high: float64 [k], its upper end.
        model_id: Which artifact made them.
        horizon_minutes: Distance predicted.
        abstained: Whole windows without an entry, since more than 1 % of their values lie beyond what was seen in
            training.
    """

    symbol: Symbol
    ts: npt.NDArray[np.int64]
    expected_return: npt.NDArray[np.float64]
    probability_up: npt.NDArray[np.float64]
    raw: npt.NDArray[np.float64]
    uncertainty: npt.NDArray[np.float64]
    volatility: npt.NDArray[np.float64]
    return_low: npt.NDArray[np.float64]
    return_high: npt.NDArray[np.float64]
    model_id: str
    horizon_minutes: int
    abstained: int


@dataclass(slots=True)
class InputCount:
    """How one symbol's inputs lie to what was seen in training; counted from the load of the model on.

    Attributes:
        windows: Whole windows that were looked at, one a minute.
        abstained: How many of them got no forecast, since more than 1 % of their values lie beyond.
        outside: Values beyond, in the newest rows of these windows.
        window_outside: Values beyond, in the newest window.
        abstains: Whether the newest window got no forecast.
    """

    windows: int = 0
    abstained: int = 0
    outside: int = 0
    window_outside: int = 0
    abstains: bool = False


class SeenWindow(NamedTuple):
    """What a model looks at when it forecasts.

    Attributes:
        columns: Names of the features.
        features: float64 [window, f], before scaling, the newest row last.
        normalized: float32 [window, f], as the network gets them.
        outside: bool [window, f], which values lie beyond what was seen in training.
        most_outside: More such values than this in the window, and there is no forecast.
    """

    columns: tuple[str, ...]
    features: npt.NDArray[np.float64]
    normalized: npt.NDArray[np.float32]
    outside: npt.NDArray[np.bool_]
    most_outside: int


class OnnxPredictor:
    """A ``Predictor`` over an artifact, with the trailing history of each symbol.

    Attributes:
        model_id: The artifact's id.
        horizon_minutes: Distance predicted.
        history_minutes: Trailing candles that make the last window exact after a restart.
        inputs: What was counted of each symbol that had a whole window.
        row_values: Values of one minute's row.
        window_values: Values of a window.
    """

    def __init__(self, forecaster: Forecaster) -> None:
        passport = forecaster.passport
        self.model_id = passport.model_id
        self.horizon_minutes = passport.horizon_minutes
        self.history_minutes = forecaster.history_minutes
        self.inputs: dict[Symbol, InputCount] = {}
        self.row_values = len(passport.columns)
        self.window_values = passport.window * self.row_values
        self._most_outside = forecaster.most_outside
        self._forecaster = forecaster
        self._window = passport.window
        self._streams: dict[Symbol, FeatureStream] = {}
        self._trackers: dict[Symbol, WeightTracker] = {}

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
        arrays = CandleArrays(ts, *columns)
        try:
            self._stream(symbol).load(arrays)
            self._warm_weights(symbol, arrays)
        except DataError as fault:
            raise DataError(f"{symbol}: {fault}") from fault

    def _warm_weights(self, symbol: Symbol, candles: CandleArrays) -> None:
        """Bring an ensemble's moving weights to where these candles lead."""
        forecaster, combination = self._forecaster, self._forecaster.combination
        if combination is None or not combination.moves:
            return
        tracker = self._trackers[symbol] = combination.tracker(self.horizon_minutes)
        table = forecaster.features.compute(candles)
        ends = forecaster.ends(candles, table)
        raw = forecaster.infer_series(forecaster.scaler.transform_table(table.matrix), ends)
        for end, row in zip(ends.tolist(), combination.probabilities(raw), strict=True):
            tracker.step(int(candles.ts[end]), float(candles.close[end]), row)

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
        """One prediction for each symbol whose window is whole and like what was seen in training, by name."""
        streams = self._streams
        ready = [symbol for symbol in sorted(set(symbols)) if symbol in streams and streams[symbol].ready]
        if not ready:
            return []
        chosen = [streams[symbol] for symbol in ready]
        windows = chosen[0].window()[None] if len(chosen) == 1 else np.stack([one.window() for one in chosen])
        raw = self._forecaster.infer(windows)
        said = self._forecaster.decode(
            raw,
            np.array([one.close for one in chosen]),
            np.array([one.volatility for one in chosen]),
            self._weights(ready, raw),
        )
        forecasts = _rounded(said._replace(volatility=self._volatility(chosen, said)))
        return [
            Prediction(
                symbol,
                (stream.last_ts or 0) + MINUTE_MS,
                self.model_id,
                self.horizon_minutes,
                expected,
                probability,
                _known(unsure),
                own,
                _known(wide),
            )
            for symbol, stream, expected, probability, own, unsure, wide in zip(
                ready, chosen, *forecasts.tolist(), strict=True
            )
            if not self._abstains(symbol, stream)
        ]

    def rehearse(self) -> None:
        """Go the way of a forecast with one symbol's window, for nobody; nothing is changed."""
        stream = next((one for one in self._streams.values() if one.ready), None)
        if stream is None:
            return
        stream.rehearse()
        raw = self._forecaster.infer(stream.window()[None])
        if self._forecaster.combination is None:
            self._forecaster.decode(raw, np.array([stream.close]), np.array([stream.volatility]), None)

    def _weights(self, ready: list[Symbol], raw: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
        """An ensemble's moving weights at the newest minute of each symbol; None where weights do not move."""
        combination = self._forecaster.combination
        if combination is None or not combination.moves:
            return None
        rows = []
        for symbol, row in zip(ready, combination.probabilities(raw), strict=True):
            stream = self._streams[symbol]
            if symbol not in self._trackers:
                self._trackers[symbol] = combination.tracker(self.horizon_minutes)
            rows.append(self._trackers[symbol].step(stream.last_ts or 0, stream.close, row))
        return np.array(rows)

    def _volatility(self, chosen: list[FeatureStream], said: Forecasts) -> npt.NDArray[np.float64]:
        """As ``expected_volatility``, at the newest candles of some symbols."""
        model = self._forecaster.volatility
        if model is None or self._forecaster.calibration.volatility_scale is not None:
            return said.volatility
        closes = np.array([stream.trailing_closes(CLOSES) for stream in chosen])
        return model.at_windows(closes, np.array([stream.last_ts or 0 for stream in chosen]))

    def _abstains(self, symbol: Symbol, stream: FeatureStream) -> bool:
        """Whether the window is too far from what was seen in training; counted."""
        count = self.inputs.get(symbol)
        if count is None:
            count = self.inputs[symbol] = InputCount()
        count.windows += 1
        count.outside += stream.newest_outside
        count.window_outside = stream.outside
        count.abstains = stream.outside > self._most_outside
        count.abstained += count.abstains
        return count.abstains

    def newest_rows(self, symbols: Sequence[Symbol]) -> list[npt.NDArray[np.float32]]:
        """The newest scaled feature row of each of the symbols that has one, float32 [f], finite or not."""
        rows = [self._streams[symbol].newest_row() for symbol in symbols if symbol in self._streams]
        return [row for row in rows if row is not None]

    def farthest_column(self, symbol: Symbol) -> str | None:
        """The column with the most values of a symbol's window beyond what was seen in training, if any is."""
        stream = self._streams.get(symbol)
        return None if stream is None or not stream.ready else stream.farthest_column()

    def seen_window(self, symbol: Symbol) -> SeenWindow | None:
        """The newest window of a symbol for a person to read; None while it is not whole."""
        stream = self._streams.get(symbol)
        if stream is None or not stream.ready:
            return None
        features, scaler = stream.window_features(), self._forecaster.scaler
        return SeenWindow(
            self._forecaster.passport.columns,
            features,
            stream.window().copy(),
            scaler.beyond(features),
            self._most_outside,
        )

    def _stream(self, symbol: Symbol) -> FeatureStream:
        """The symbol's stream, made on first use."""
        stream = self._streams.get(symbol)
        if stream is None:
            stream = self._streams[symbol] = FeatureStream(
                self._forecaster.features, self._window, self._forecaster.scaler
            )
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
    outside = np.concatenate([[0], np.cumsum(forecaster.scaler.outside(table.matrix))])
    beyond = outside[ends + 1] - outside[ends + 1 - forecaster.passport.window]
    kept = beyond <= forecaster.most_outside
    volatility = table.volatility[ends]
    scaled = forecaster.scaler.transform_table(table.matrix)
    del table
    raw = forecaster.infer_series(scaled, ends, batch=batch)
    weights = forecaster.weigh(raw, candles.ts[ends], candles.close[ends])
    forecasts = forecaster.decode(raw, candles.close[ends], volatility, weights)
    wide = expected_volatility(forecaster, forecasts, candles.close, candles.ts, ends)
    low, high = forecaster.bounds(forecasts.expected_return, wide)
    said = _rounded(forecasts._replace(volatility=wide))
    return PredictionSeries(
        symbol=symbol,
        ts=candles.ts[ends][kept],
        expected_return=said[0][kept],
        probability_up=said[1][kept],
        raw=said[2][kept],
        uncertainty=said[3][kept],
        volatility=said[4][kept],
        return_low=np.round(low[kept], PREDICTION_DIGITS) + 0.0,
        return_high=np.round(high[kept], PREDICTION_DIGITS) + 0.0,
        model_id=forecaster.passport.model_id,
        horizon_minutes=forecaster.passport.horizon_minutes,
        abstained=int(np.count_nonzero(~kept)),
    )


def _rounded(forecasts: Forecasts) -> npt.NDArray[np.float64]:
    """Forecasts as the core sees them, float64 [5, k]: processors differ in the last digits, decisions must not."""
    # Adding 0.0 turns the -0.0 that rounding may leave into 0.0: they print differently.
    said: npt.NDArray[np.float64] = np.array(forecasts, np.float64)
    np.round(said, PREDICTION_DIGITS, out=said)
    said += 0.0
    return said


def _known(value: float) -> float | None:
    """A figure as the core has it: None for one that is not known."""
    return None if value != value else value  # noqa: PLR0124  # NaN is not itself
