"""What a model says about the future of one symbol."""

from __future__ import annotations

from typing import NamedTuple

from bot.core.market import Symbol

PREDICTION_DIGITS = 6
"""Predictions are rounded to 1e-6 before the core sees them, so that the last digits in which processors
differ cannot change a decision."""


class Prediction(NamedTuple):
    """A forecast made on one closed candle.

    Attributes:
        symbol: The market.
        closed_at_ms: Close time of the last candle that the forecast used.
        model_id: Which artifact made it.
        horizon_minutes: Distance predicted.
        expected_return: Expected log return over the horizon, as a fraction (0.001 = 10 bps), rounded to 1e-6.
        probability_up: P(return > 0) where the model has one.
        uncertainty: Standard deviation of ``expected_return`` itself, as a fraction, rounded to 1e-6: how far the edge
            may be from what the model was found to be worth, not how far the price may move. None where not known.
        raw: The model's own normalized output, before it was decoded.
        volatility: Expected standard deviation of the log return over the horizon, as a fraction, rounded to 1e-6: how far
            the price may move, either way. None where the model does not say.
    """

    symbol: Symbol
    closed_at_ms: int
    model_id: str
    horizon_minutes: int
    expected_return: float
    probability_up: float | None = None
    uncertainty: float | None = None
    raw: float | None = None
    volatility: float | None = None
