"""Live forecasts and what came of them, as values."""

from __future__ import annotations

import pytest

from bot.core.market import MINUTE_MS
from bot.core.performance import LiveForecast, Matured
from bot.core.skill_watch import Outcome

SAID = LiveForecast("m", "BTC/USDT", 60_000, "champion", 15, 0.6, 0.001, 0.49, 100.0)


def test_a_forecast_is_due_when_its_horizon_has_passed() -> None:
    """Counted from the close that it was made on."""
    assert SAID.due_ms == 60_000 + 15 * MINUTE_MS


def test_what_came_is_an_outcome_for_the_watch() -> None:
    """With the probability and the base rate that were said then."""
    assert Matured(SAID, 0.01, SAID.due_ms).outcome == Outcome("BTC/USDT", 60_000, 15, 0.6, 0.49, 0.01)


@pytest.mark.parametrize(
    "missing", [Matured(SAID, None, 1), Matured(SAID._replace(probability_up=None), 0.1, 1)]
)
def test_without_a_return_or_a_probability_there_is_no_outcome(missing: Matured) -> None:
    """A gap in the horizon, or a model without probabilities, tells the watch nothing."""
    assert missing.outcome is None
