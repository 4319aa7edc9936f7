"""What a model said live, and what came of it: the rows of the journal's table ``model_performance``."""

from __future__ import annotations

from typing import NamedTuple

from bot.core.market import MINUTE_MS, Symbol
from bot.core.skill_watch import Outcome


class LiveForecast(NamedTuple):
    """A forecast as it is kept until its horizon has passed, and after.

    Attributes:
        model_id: Who made it.
        symbol: The market.
        closed_at_ms: Close of the candle that it was made on.
        role: ``champion`` or ``shadow``, at that time.
        horizon_minutes: Distance predicted.
        probability_up: What was said; None where the model has no probability.
        expected_return: Log return expected over the horizon, as a fraction.
        base_rate: P(up) of the model's training data.
        close: Of the candle that it was made on.
    """

    model_id: str
    symbol: Symbol
    closed_at_ms: int
    role: str
    horizon_minutes: int
    probability_up: float | None
    expected_return: float
    base_rate: float
    close: float

    @property
    def due_ms(self) -> int:
        """Close of the candle that tells what came."""
        return self.closed_at_ms + self.horizon_minutes * MINUTE_MS


class Matured(NamedTuple):
    """What came of a forecast.

    Attributes:
        forecast: Which one.
        realized: Log return over the horizon; None where a minute of it is missing, so that it never will be known.
        matured_at_ms: Close of the minute in which that was found.
    """

    forecast: LiveForecast
    realized: float | None
    matured_at_ms: int

    @property
    def outcome(self) -> Outcome | None:
        """What a skill watch takes; None where the return or the probability is missing."""
        said = self.forecast
        if self.realized is None or said.probability_up is None:
            return None
        return Outcome(
            said.symbol,
            said.closed_at_ms,
            said.horizon_minutes,
            said.probability_up,
            said.base_rate,
            self.realized,
        )
