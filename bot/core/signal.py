"""What a strategy wants, and the contract that every strategy keeps."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, Protocol, runtime_checkable

from bot.core.candle_run import CandleRun
from bot.core.market import Candle, Symbol
from bot.core.orders import Protection
from bot.core.position import Position
from bot.core.prediction import Prediction


class Direction(str, Enum):
    """The position that is wanted."""

    LONG = "long"
    FLAT = "flat"
    SHORT = "short"

    @property
    def sign(self) -> int:
        """+1, 0 or -1."""
        return 1 if self is _LONG else -1 if self is _SHORT else 0


_LONG, _SHORT = Direction.LONG, Direction.SHORT


class Signal(NamedTuple):
    """A wish for a position.

    Attributes:
        direction: The position wanted from now on.
        strength: 0 to 1; scales the size.
        reason: A stable word in snake case, for logs and reports.
        protection: Where the protective orders of this entry go; None takes the strategy's.
    """

    direction: Direction
    strength: float
    reason: str
    protection: Protection | None = None


class MarketView(NamedTuple):
    """All that a strategy may look at when it decides on one symbol.

    Attributes:
        symbol: The market.
        candle: The candle that just closed.
        prediction: The forecast made on it.
        position: What is held now (flat, long or short).
        can_short: False on spot.
        round_trip_cost: What entering and leaving costs, as a fraction of the notional.
    """

    symbol: Symbol
    candle: Candle
    prediction: Prediction
    position: Position
    can_short: bool
    round_trip_cost: float


class Strategy(Protocol):
    """One strategy on one symbol; the engine makes an instance for each symbol.

    A strategy is deterministic: the same candles and predictions give the same signals. It reads no clock,
    no file and no random source. What it remembers must go through ``snapshot`` and ``restore``, so that a
    restart changes nothing.
    """

    protection: Protection

    def observe(self, candle: Candle) -> None:
        """Take in a closed candle; called once for each, in order, before any decision on it."""

    def forget(self) -> None:
        """Drop what was remembered of past candles: there was a gap."""

    def decide(self, view: MarketView) -> Signal:
        """Say which position is wanted."""

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a snapshot."""


class Calm(NamedTuple):
    """Forecasts that a strategy is sure to answer alike, whatever the candles are, while the position stays as it is.

    Attributes:
        signal: The answer; its direction is that of the position, so that nothing is sent.
        least: Smallest expected return that is answered so.
        most: Largest expected return that is answered so.
        until_ms: Only candles that close before this time; None for all.
    """

    signal: Signal
    least: float
    most: float
    until_ms: int | None = None


@runtime_checkable
class ForeseeableStrategy(Strategy, Protocol):
    """A strategy that can say beforehand when it will do nothing: a backtest need not ask it on each of those candles.

    A strategy need not be one; it is then asked on every candle. What it says here must be what ``decide`` would answer,
    and ``decide`` must remember nothing of a forecast that it answers so.
    """

    def calm(self, position: Position, round_trip_cost: float) -> Calm | None:
        """What is surely answered while this position is held; None where that depends on more than the forecast."""

    def observe_all(self, candles: CandleRun) -> None:
        """The same as ``observe`` on one after the other."""
