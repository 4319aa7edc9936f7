"""Forecasts made again for an overlay: of one model for all minutes, or of the models that served, to check them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backtests.overlay import Difference
    from backtests.recorded import Recording
    from bot.core.market import Symbol
    from bot.core.prediction import Prediction
    from models.candle_arrays import CandleArrays
    from models.forecaster import Forecaster

STEP = 1.5e-6
"""Figures of a forecast that lie so near are the same: they are rounded to 1e-6, and a last digit may fall either way."""

_FIGURES = ("expected_return", "probability_up", "raw", "volatility")


class Made(NamedTuple):
    """A forecast that was made again, and whether the journal holds all that the model remembers."""

    prediction: Prediction
    is_exact: bool


class ForecastCheck(NamedTuple):
    """What came of making every forecast again.

    Attributes:
        checked: Forecasts that were compared.
        differences: Those that came out otherwise.
        notes: What could not be checked, in words.
    """

    checked: int
    differences: list[Difference]
    notes: tuple[str, ...]


def forecasts_of(recording: Recording, folder: Path) -> dict[tuple[Symbol, int], Prediction]:
    """What a model says of every candle of a recording, by symbol and close of the candle.

    Raises:
        ModelError: The model is refused. DataError: The candles are none that it takes.
    """
    return {
        (made.prediction.symbol, made.prediction.closed_at_ms): made.prediction
        for made in _made(recording, folder)
    }


def check_forecasts(recording: Recording, models_root: Path) -> ForecastCheck:
    """Make every recorded forecast again with the model that made it, from the recorded candles, and compare.

    Minutes before which the journal does not hold all that the model remembers are left out, and so is a model that is
    not there any more.
    """
    from backtests.overlay import UNEXPLAINED, Difference
    from bot.core.decision import decision_id

    recorded = {
        (row["symbol"], batch.closed_at_ms): row["prediction"]
        for batch in recording.minutes()
        for row in batch.decisions
        if row["prediction"] is not None and row["prediction"]["closed_at_ms"] == batch.closed_at_ms
    }
    checked, differences, notes = 0, [], []
    for model_id in sorted({row["model_id"] for row in recorded.values()}):
        folder = models_root / model_id
        if not folder.is_dir():
            notes.append(f"forecasts of {model_id} were not made again: {models_root} does not have it")
            continue
        try:
            for made in _made(recording, folder):
                one = made.prediction
                row = recorded.get((one.symbol, one.closed_at_ms))
                if row is None or row["model_id"] != model_id or not made.is_exact:
                    continue
                checked += 1
                again = {name: getattr(one, name) for name in _FIGURES}
                told = {name: row[name] for name in _FIGURES}
                if not all(_near(again[name], told[name]) for name in _FIGURES):
                    at_ms = one.closed_at_ms
                    ref = decision_id(one.symbol, at_ms)
                    moment: dict[str, Any] = {"closed_at_ms": at_ms}
                    differences.append(
                        Difference(
                            "forecast", "value", ref, at_ms, UNEXPLAINED, moment | again, moment | told
                        )
                    )
        except ModelError as fault:
            notes.append(f"forecasts of {model_id} were not made again: {fault}")
    return ForecastCheck(checked, differences, tuple(notes))


def _made(recording: Recording, folder: Path) -> Iterator[Made]:
    import numpy as np

    from backtests.inputs import PredictionColumns, prediction_values
    from backtests.recorded_result import arrays_of
    from bot.core.market import MINUTE_MS
    from bot.inference import forecast_series
    from models.forecaster import load_forecaster

    forecaster = load_forecaster(folder, threads=1)
    since_ms = recording.since_ms - forecaster.history_minutes * MINUTE_MS
    for symbol in recording.instruments():
        rows = recording.reader.candles(symbol, since_ms, recording.until_ms)
        if not rows:
            continue
        arrays = arrays_of(rows)
        series = forecast_series(forecaster, symbol, arrays)
        columns = PredictionColumns(
            ts=series.ts,
            expected_return=series.expected_return,
            model_id=series.model_id,
            horizon_minutes=series.horizon_minutes,
            probability_up=series.probability_up,
            raw=series.raw,
            uncertainty=series.uncertainty,
            volatility=series.volatility,
        )
        wanted = series.ts.searchsorted(recording.since_ms)
        exact = _exact(arrays, forecaster)
        for made in prediction_values(symbol, columns, np.arange(int(wanted), len(columns))):
            if made is not None:
                yield Made(made, exact[int(arrays.ts.searchsorted(made.closed_at_ms - MINUTE_MS))])


def _exact(arrays: CandleArrays, forecaster: Forecaster) -> list[bool]:
    """Of each candle whether so many minutes before it are there without a hole as the model remembers."""
    import numpy as np

    from bot.core.market import MINUTE_MS

    breaks = np.flatnonzero(np.diff(arrays.ts) != MINUTE_MS) + 1
    begins = np.zeros(len(arrays), dtype=np.int64)
    begins[breaks] = breaks
    begins = np.maximum.accumulate(begins)
    run = np.arange(len(arrays)) - begins + 1
    return [bool(one) for one in run >= forecaster.history_minutes]


def _near(one: float | None, two: float | None) -> bool:
    if one is None or two is None:
        return one is two
    return abs(one - two) <= STEP
