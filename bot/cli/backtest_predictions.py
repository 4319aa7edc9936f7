"""The forecasts of a backtest: of a file, a seed or a model, with what is doubtful about them in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import UsageError

if TYPE_CHECKING:
    from backtests.inputs import PredictionColumns
    from bot.cli.backtest_input import Wishes
    from bot.core.market import Symbol
    from models.candle_arrays import CandleArrays
    from models.passport import ModelPassport


def predictions_of(
    wishes: Wishes, candles: Mapping[Symbol, CandleArrays]
) -> tuple[dict[Symbol, PredictionColumns], list[str]]:
    """Predictions by symbol: of a file, a seed, or a model (the champion or latest when nothing is said)."""
    given = [wishes.model is not None, wishes.predictions is not None, wishes.seed is not None]
    if sum(given) > 1:
        raise UsageError("give one of --model, --predictions and --seed")
    if wishes.predictions is not None:
        from backtests.predictions_file import DEFAULT_HORIZON, read_predictions

        matched = read_predictions(wishes.predictions, candles)
        unsaid = (
            f"{wishes.predictions} does not tell horizon_minutes in its metadata: its forecasts are taken to look "
            f"{DEFAULT_HORIZON} minutes ahead"
        )
        return matched.columns, [*matched.warnings, *([] if matched.told_horizon else [unsaid])]
    if wishes.seed is not None:
        from backtests.seeded import seeded_predictions

        made = {symbol: seeded_predictions(symbol, arrays, wishes.seed) for symbol, arrays in candles.items()}
        return made, [f"predictions are random numbers of seed {wishes.seed}: no model was asked"]
    return _inferred(wishes, candles)


def model_folder_of(wishes: Wishes) -> Path:
    """The folder of the model that is asked; ModelError where there is none."""
    from bot.cli.train import default_models_root
    from models.registry import resolve

    return resolve(wishes.models_root or default_models_root(), wishes.model)


def _inferred(
    wishes: Wishes, candles: Mapping[Symbol, CandleArrays]
) -> tuple[dict[Symbol, PredictionColumns], list[str]]:
    from backtests.inputs import PredictionColumns
    from bot.inference import forecast_series
    from models.forecaster import load_forecaster

    forecaster = load_forecaster(model_folder_of(wishes), threads=1 if wishes.batch == 1 else 2)
    found: dict[Symbol, PredictionColumns] = {}
    warnings: list[str] = []
    for symbol, arrays in candles.items():
        series = forecast_series(forecaster, symbol, arrays, batch=wishes.batch)
        if not len(series.ts):
            warnings.append(f"{symbol} has no stretch of candles long enough for a prediction")
        if series.abstained:
            warnings.append(
                f"the model abstained in {series.abstained} of {len(series.ts) + series.abstained} minutes of "
                f"{symbol}: more than 1 % of the window lay beyond what was seen in training"
            )
        found[symbol] = PredictionColumns(
            ts=series.ts,
            expected_return=series.expected_return,
            model_id=series.model_id,
            horizon_minutes=series.horizon_minutes,
            probability_up=series.probability_up,
            raw=series.raw,
            uncertainty=series.uncertainty,
            volatility=series.volatility,
        )
    return found, warnings + _seen_in_training(forecaster.passport, candles)


def _seen_in_training(passport: ModelPassport, candles: Mapping[Symbol, CandleArrays]) -> list[str]:
    """Say which candles lie in the time that training, early stopping and calibration saw."""
    ranges = [bounds for name, bounds in passport.ranges.items() if name != "test"]
    if not ranges:
        return []
    since, until = min(bounds[0] for bounds in ranges), max(bounds[1] for bounds in ranges)
    warnings = []
    for symbol, arrays in candles.items():
        seen = int(((arrays.ts >= since) & (arrays.ts < until)).sum())
        if seen:
            warnings.append(
                f"{seen} of {len(arrays)} candles of {symbol} are from the time that the model was made from: "
                "their result is a fit, not a forecast"
            )
    return warnings
