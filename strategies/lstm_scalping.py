"""The default strategy: trade a forecast that pays its costs, with RSI and MACD agreeing.

Enter when the lower bound of the expected return exceeds both the threshold and the round-trip cost plus a margin,
the RSI is not overbought (long) or oversold (short), and the MACD is on the same side. Leave at the stop, at the target, or when
the forecast has turned by the threshold. Parameter sets and levels are those of the source system
(``lstm_scalping`` default, aggressive, conservative).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.candle_run import CandleRun
from bot.core.market import Candle, Symbol
from bot.core.orders import Protection
from bot.core.position import Position
from bot.core.signal import Calm, Direction, MarketView, Signal
from bot.errors import ConfigError
from strategies.indicators import Macd, Rsi
from strategies.parameters import chosen_parameters, refuse_negative, refuse_wide

LEAST_STOP = 0.0001
"""A stop by volatility is never nearer than 1 bp, even where trading costs nothing."""

MOST_DISTANCE = 0.5
"""A stop or target by volatility is never farther than half of the price."""


@dataclass(frozen=True, slots=True)
class ScalpingParameters:
    """Parameters of ``lstm_scalping``; returns and distances are fractions (0.0005 = 0.05 % = 5 bps).

    Attributes:
        threshold: Smallest expected return worth a trade.
        cost_margin: What the expected return must exceed the round-trip cost by.
        edge_confidence: How many standard deviations of the expected return are taken off it before it is compared: the
            normal quantile of a one-sided bound. 0 takes the forecast at its word, 1 leaves a chance of 16 % that the
            edge is smaller, 1.645 of 5 %. A forecast whose deviation is not known has nothing taken off.
        stop_loss: Distance of the stop from the fill.
        take_profit: Distance of the target from the fill.
        stop_volatility: Above 0: the stop lies so many times the expected volatility of the horizon away, in place of
            ``stop_loss``, and the target as many times further as ``take_profit`` is of ``stop_loss``.
        rsi_overbought: No long entry at or above this RSI.
        rsi_oversold: No short entry at or below this RSI.
        require_macd: Whether the MACD histogram must be on the trade's side.
        exit_on_reversal: Whether a forecast that turned by ``threshold`` ends the trade.
        max_holding_minutes: Leave after this long; 0 never does.
    """

    threshold: float = 0.0005
    cost_margin: float = 0.0001
    edge_confidence: float = 1.0
    stop_loss: float = 0.005
    take_profit: float = 0.010
    stop_volatility: float = 0.0
    rsi_overbought: float = 70.0
    rsi_oversold: float = 30.0
    require_macd: bool = True
    exit_on_reversal: bool = True
    max_holding_minutes: int = 0

    @classmethod
    def of(cls, name: str, overrides: Mapping[str, Any]) -> ScalpingParameters:
        """A named set with some values replaced.

        Raises:
            ConfigError: Unknown set or parameter, a value of the wrong type or out of range.
        """
        chosen = chosen_parameters("lstm_scalping", PARAMETER_SETS, name, overrides)
        _check(chosen)
        return chosen


PARAMETER_SETS = {
    "default": ScalpingParameters(threshold=0.0005, stop_loss=0.005, take_profit=0.010),
    "aggressive": ScalpingParameters(
        threshold=0.0002, edge_confidence=0.5, stop_loss=0.003, take_profit=0.006
    ),
    "conservative": ScalpingParameters(
        threshold=0.0010, edge_confidence=1.645, stop_loss=0.010, take_profit=0.020
    ),
}


def _check(parameters: ScalpingParameters) -> None:
    """Refuse values that no trade could have."""
    refuse_negative("lstm_scalping", parameters)
    refuse_wide("lstm_scalping", parameters, "stop_loss", "take_profit")
    if not parameters.rsi_oversold < parameters.rsi_overbought <= 100:
        raise ConfigError("lstm_scalping.rsi_oversold must be below rsi_overbought, both within 0 to 100")


class LstmScalping:
    """The strategy on one symbol."""

    __slots__ = ("_macd", "_parameters", "_rsi", "protection", "symbol")

    def __init__(self, symbol: Symbol, parameters: ScalpingParameters) -> None:
        self.symbol = symbol
        self._parameters = parameters
        self.protection = Protection(parameters.stop_loss, parameters.take_profit)
        self._rsi = Rsi()
        self._macd = Macd()

    @property
    def parameters(self) -> ScalpingParameters:
        """What it trades by."""
        return self._parameters

    def observe(self, candle: Candle) -> None:
        """Feed the indicators."""
        self._rsi.update(candle.close)
        self._macd.update(candle.close)

    def observe_all(self, candles: CandleRun) -> None:
        """Feed the indicators with many candles."""
        self._rsi.update_all(candles.closes)
        self._macd.update_all(candles.closes)

    def forget(self) -> None:
        """Start the indicators over after a gap."""
        self._rsi.reset()
        self._macd.reset()

    def decide(self, view: MarketView) -> Signal:
        """The position wanted, and why."""
        expected = view.prediction.expected_return
        if view.position.quantity != 0.0:
            return self._while_held(view, expected)
        parameters = self._parameters
        needed = max(parameters.threshold, view.round_trip_cost + parameters.cost_margin)
        if abs(expected) <= needed:
            return _STAY_FLAT
        doubt = view.prediction.uncertainty
        if doubt is not None and not abs(expected) - parameters.edge_confidence * doubt > needed:
            # Asked so that a doubt which is not a number is doubted.
            return _EDGE_UNCERTAIN
        if expected > 0:
            wanted = self._long(parameters)
        elif not view.can_short:
            return Signal(Direction.FLAT, 0.0, "cannot_short")
        else:
            wanted = self._short(parameters)
        return self._protected(wanted, view) if parameters.stop_volatility > 0.0 else wanted

    def calm(self, position: Position, round_trip_cost: float) -> Calm:
        """Nothing is done on a forecast too small to enter on or, while something is held, that has not turned."""
        parameters = self._parameters
        if position.quantity == 0.0:
            needed = max(parameters.threshold, round_trip_cost + parameters.cost_margin)
            return Calm(_STAY_FLAT, -needed, needed)
        turned = -parameters.threshold if parameters.exit_on_reversal else -math.inf
        minutes = parameters.max_holding_minutes
        until_ms = position.opened_at_ms + minutes * 60_000 if minutes else None
        if position.quantity > 0:
            return Calm(_KEEP_LONG, turned, math.inf, until_ms)
        return Calm(_KEEP_SHORT, -math.inf, -turned, until_ms)

    def _protected(self, wanted: Signal, view: MarketView) -> Signal:
        """The signal with stop and target by the expected volatility; none enters where that is not known."""
        if wanted.direction is Direction.FLAT:
            return wanted
        volatility = view.prediction.volatility
        if volatility is None or not math.isfinite(volatility):
            return Signal(Direction.FLAT, 0.0, "volatility_unknown")
        parameters = self._parameters
        ratio = parameters.take_profit / parameters.stop_loss
        # A stop within the round trip's cost would be a loss by itself; one at the whole price would be none.
        nearest, farthest = max(view.round_trip_cost, LEAST_STOP), MOST_DISTANCE / max(1.0, ratio)
        stop = min(max(parameters.stop_volatility * volatility, nearest), farthest)
        return wanted._replace(protection=Protection(stop, stop * ratio))

    def _while_held(self, view: MarketView, expected: float) -> Signal:
        parameters = self._parameters
        long = view.position.quantity > 0
        held_ms = view.candle.closed_at_ms - view.position.opened_at_ms
        if parameters.exit_on_reversal and (expected if long else -expected) < -parameters.threshold:
            return Signal(Direction.FLAT, 0.0, "prediction_reversed")
        if parameters.max_holding_minutes and held_ms >= parameters.max_holding_minutes * 60_000:
            return Signal(Direction.FLAT, 0.0, "held_long_enough")
        return _KEEP_LONG if long else _KEEP_SHORT

    def _long(self, parameters: ScalpingParameters) -> Signal:
        rsi, histogram = self._rsi.value, self._macd.histogram
        if rsi is None or histogram is None:
            return Signal(Direction.FLAT, 0.0, "indicators_warming_up")
        if rsi >= parameters.rsi_overbought:
            return Signal(Direction.FLAT, 0.0, "rsi_overbought")
        if parameters.require_macd and histogram <= 0:
            return Signal(Direction.FLAT, 0.0, "macd_disagrees")
        return Signal(Direction.LONG, 1.0, "forecast_up")

    def _short(self, parameters: ScalpingParameters) -> Signal:
        rsi, histogram = self._rsi.value, self._macd.histogram
        if rsi is None or histogram is None:
            return Signal(Direction.FLAT, 0.0, "indicators_warming_up")
        if rsi <= parameters.rsi_oversold:
            return Signal(Direction.FLAT, 0.0, "rsi_oversold")
        if parameters.require_macd and histogram >= 0:
            return Signal(Direction.FLAT, 0.0, "macd_disagrees")
        return Signal(Direction.SHORT, 1.0, "forecast_down")

    def snapshot(self) -> dict[str, Any]:
        """Indicator state as JSON values."""
        return {"rsi": self._rsi.snapshot(), "macd": self._macd.snapshot()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot; that of another strategy, which traded this symbol before, starts the indicators over."""
        if not {"rsi", "macd"} <= state.keys():
            self.forget()
            return
        self._rsi.restore(state["rsi"])
        self._macd.restore(state["macd"])


_STAY_FLAT = Signal(Direction.FLAT, 0.0, "forecast_too_small")
_EDGE_UNCERTAIN = Signal(Direction.FLAT, 0.0, "edge_uncertain")
_KEEP_LONG = Signal(Direction.LONG, 1.0, "holding")
_KEEP_SHORT = Signal(Direction.SHORT, 1.0, "holding")
