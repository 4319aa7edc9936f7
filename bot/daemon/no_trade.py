"""The predictor of a champion that is nobody: nothing is forecast, so nothing is traded."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.market import Candle, Symbol
from bot.core.prediction import Prediction
from bot.core.promotion import NO_TRADE

HISTORY_MINUTES = 780
"""What a model that follows needs: so much is kept from the first minute on."""


class NoTradePredictor:
    """Adapter of the Predictor port that says nothing.

    Attributes:
        model_id: ``no-trade``.
        horizon_minutes: 0: no distance is predicted.
        history_minutes: Read at a first start, so that the first model finds its history.
    """

    def __init__(self) -> None:
        self.model_id = NO_TRADE
        self.horizon_minutes = 0
        self.history_minutes = HISTORY_MINUTES

    def warm(self, symbol: Symbol, candles: Sequence[Candle]) -> None:
        """Nothing is remembered."""

    def observe(self, candle: Candle) -> None:
        """Nothing is taken note of."""

    def predict(self, symbols: Sequence[Symbol]) -> list[Prediction]:  # noqa: ARG002 - the port's signature
        """No forecast, whoever is asked about."""
        return []
