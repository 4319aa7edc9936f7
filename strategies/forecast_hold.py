"""A baseline: take a forecast at its word, once, and be out when its time is over.

Enter when the lower bound of the expected return exceeds both the threshold and the round-trip cost plus a margin; leave
after the minutes that the forecast speaks of, or at the stop or the target. No indicator is asked, and no later forecast
is listened to while a position is held. What is left is what the forecasts earn by themselves: a strategy with rules of
its own has to beat that, or its rules are for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.core.orders import Protection
from bot.core.position import Position
from bot.core.signal import Calm, Direction, MarketView, Signal
from strategies.parameters import chosen_parameters, refuse_negative, refuse_wide

NAME = "forecast_hold"


@dataclass(frozen=True, slots=True)
class HoldParameters:
    """Parameters of ``forecast_hold``; returns and distances are fractions (0.0005 = 0.05 % = 5 bps).

    Attributes:
        threshold: Smallest expected return worth a trade; 0 leaves it to the costs.
        cost_margin: What the expected return must exceed the round-trip cost by.
        edge_confidence: How many standard deviations of the expected return are taken off it before it is compared, as in
            ``lstm_scalping``. A forecast whose deviation is not known has nothing taken off.
        hold_minutes: Leave after this long; 0 is the horizon of the forecast that was entered on.
        stop_loss: Distance of the stop from the fill.
        take_profit: Distance of the target from the fill.
    """

    threshold: float = 0.0
    cost_margin: float = 0.0001
    edge_confidence: float = 0.0
    hold_minutes: int = 0
    stop_loss: float = 0.01
    take_profit: float = 0.02

    @classmethod
    def of(cls, name: str, overrides: Mapping[str, Any]) -> HoldParameters:
        """A named set with some values replaced.

        Raises:
            ConfigError: Unknown set or parameter, a value of the wrong type or out of range.
        """
        chosen = chosen_parameters(NAME, HOLD_SETS, name, overrides)
        refuse_negative(NAME, chosen)
        refuse_wide(NAME, chosen, "stop_loss", "take_profit")
        return chosen


HOLD_SETS = {"default": HoldParameters()}


class ForecastHold:
    """The strategy on one symbol."""

    __slots__ = ("_minutes", "_parameters", "protection", "symbol")

    def __init__(self, symbol: Symbol, parameters: HoldParameters) -> None:
        self.symbol = symbol
        self.protection = Protection(parameters.stop_loss, parameters.take_profit)
        self._parameters = parameters
        self._minutes = parameters.hold_minutes

    def observe(self, candle: Candle) -> None:
        """It looks at no candle."""

    def observe_all(self, candles: Sequence[Candle]) -> None:
        """Nor at many."""

    def forget(self) -> None:
        """It remembers no candle."""

    def decide(self, view: MarketView) -> Signal:
        """The position wanted, and why."""
        if view.position.quantity != 0.0:
            return self._while_held(view)
        parameters, forecast = self._parameters, view.prediction
        expected = forecast.expected_return
        needed = self._needed(view.round_trip_cost)
        if abs(expected) <= needed:
            return _TOO_SMALL
        doubt = forecast.uncertainty
        if doubt is not None and not abs(expected) - parameters.edge_confidence * doubt > needed:
            # Asked so that a doubt which is not a number is doubted.
            return _UNCERTAIN
        if expected < 0 and not view.can_short:
            return _CANNOT_SHORT
        self._minutes = parameters.hold_minutes or forecast.horizon_minutes
        return _UP if expected > 0 else _DOWN

    def calm(self, position: Position, round_trip_cost: float) -> Calm | None:
        """Nothing is done on a forecast too small to enter on, nor, while something is held, before its time is over."""
        if position.quantity == 0.0:
            needed = self._needed(round_trip_cost)
            return Calm(_TOO_SMALL, -needed, needed)
        if not self._minutes:  # by the horizon of each forecast, after a restart
            return None
        kept = _KEEP_LONG if position.quantity > 0 else _KEEP_SHORT
        return Calm(kept, -math.inf, math.inf, position.opened_at_ms + self._minutes * MINUTE_MS)

    def _needed(self, round_trip_cost: float) -> float:
        """What an expected return must exceed."""
        return max(self._parameters.threshold, round_trip_cost + self._parameters.cost_margin)

    def _while_held(self, view: MarketView) -> Signal:
        # A fill carries the open time of its bar, which is the close of the candle decided on: after so many minutes the
        # close is the one that the forecast was about.
        held_ms = view.candle.closed_at_ms - view.position.opened_at_ms
        if held_ms >= (self._minutes or view.prediction.horizon_minutes) * MINUTE_MS:
            return _OVER
        return _KEEP_LONG if view.position.quantity > 0 else _KEEP_SHORT

    def snapshot(self) -> dict[str, Any]:
        """How long the last entry is held, as JSON values."""
        return {"minutes": self._minutes}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""
        # That of another strategy, which traded this symbol before, holds no minutes.
        self._minutes = state.get("minutes", self._parameters.hold_minutes)


_TOO_SMALL = Signal(Direction.FLAT, 0.0, "forecast_too_small")
_UNCERTAIN = Signal(Direction.FLAT, 0.0, "edge_uncertain")
_CANNOT_SHORT = Signal(Direction.FLAT, 0.0, "cannot_short")
_UP = Signal(Direction.LONG, 1.0, "forecast_up")
_DOWN = Signal(Direction.SHORT, 1.0, "forecast_down")
_OVER = Signal(Direction.FLAT, 0.0, "held_long_enough")
_KEEP_LONG = Signal(Direction.LONG, 1.0, "holding")
_KEEP_SHORT = Signal(Direction.SHORT, 1.0, "holding")
