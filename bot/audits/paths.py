"""What an audit of many markets is made of: a market for each seed, a pipeline that is tried on it, and what came out.

A pipeline is plugged in by name, ``package.module:factory``. The factory is called with ``model``, ``weeks`` and
``watch_minutes`` as keywords and gives a ``PathAudit``, which must be picklable: each path runs in a process of its own.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from bot.audits.martingales import Character, Kind, martingale
from bot.audits.planted import VOLATILITY, planted
from bot.core.matching import Costs
from bot.errors import ConfigError, DataError
from models.candle_arrays import CandleArrays

SYMBOLS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")
SYMBOL = SYMBOLS[0]
"""What the one symbol of a martingale is called; a planted market has them all, as the bot does by default."""
WEEK_MINUTES = 7 * 1440
PIPELINE = "bot.audits.weekly:weekly_audit"
"""The pipeline that the bot itself retrains with."""

Model = Literal["fast", "lstm"]


@dataclass(frozen=True, slots=True)
class PathResult:
    """What a pipeline did on one market.

    Attributes:
        seed: Of the market.
        kind: Of the market.
        promoted_week: The first weekly decision, from 1 on, that promoted a model; None where none did.
        decisions: Weekly decisions that were made.
        stopped_by: Test of the gate -> weekly decisions that it refused.
        figures: Whatever else is worth keeping, by name; finite numbers.
        half_after_minutes: From the flip of the edge until entries were cut to half their size; None where never.
        flat_after_minutes: From the flip until nothing was traded any more; None where never; not above 0 where it was
            out before the flip.
        seconds: How long the path took.
    """

    seed: int
    kind: str
    promoted_week: int | None
    decisions: int
    stopped_by: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    half_after_minutes: int | None = None
    flat_after_minutes: int | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """JSON values; DataError where a figure is not a finite number."""
        wild = [name for name, value in self.figures.items() if not math.isfinite(value)]
        if wild:
            raise DataError(f"the figure {wild[0]} of path {self.seed} is not a finite number")
        return asdict(self)


class Progress(Protocol):
    """Told how far a path is."""

    def __call__(self, share: float, words: str) -> None:
        """Say how much of the path is done, 0 to 1, and what is being done."""


@runtime_checkable
class PathAudit(Protocol):
    """The weekly pipeline, run from the first week to the last on one market; picklable.

    Attributes:
        settings: Everything that the outcome depends on, as JSON values; other settings, another file of results.
        history_minutes: Candles before its first weekly decision, those of the week that it decides upon included.
    """

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything that the outcome depends on besides market, costs and seed, as JSON values."""

    @property
    def history_minutes(self) -> int:
        """Candles before the first weekly decision; the others follow a week apart."""

    def __call__(
        self, series: dict[str, CandleArrays], costs: Costs, seed: int, progress: Progress
    ) -> PathResult:
        """Run on the candles of each symbol; ``kind``, ``seed`` and ``seconds`` are filled in by the runner."""


class Market(Protocol):
    """A market for each seed; picklable."""

    @property
    def kind(self) -> str:
        """Its name, fit for a file."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What makes it the market it is, as JSON values."""

    def series(self, seed: int) -> dict[str, CandleArrays]:
        """Candles by symbol."""


@dataclass(frozen=True, slots=True)
class MartingaleMarket:
    """A market without an edge.

    Attributes:
        kind: Which.
        minutes: How many candles.
    """

    kind: Kind
    minutes: int

    @property
    def settings(self) -> Mapping[str, Any]:
        """Kind, length and character."""
        return {"kind": self.kind, "minutes": self.minutes, **asdict(Character())}

    def series(self, seed: int) -> dict[str, CandleArrays]:
        """Candles of the one symbol."""
        return {SYMBOL: martingale(self.kind, minutes=self.minutes, seed=seed)}


@dataclass(frozen=True, slots=True)
class PlantedMarket:
    """A market with a known edge, which may turn.

    Attributes:
        accuracy: Share of the next minute's directions that the best filter gets right.
        minutes: How many candles.
        flip_at_minute: From this row on the edge has the other sign; None where it never turns.
        volatility: Standard deviation of a minute's log return.
        symbols: How many, each with moves of its own; at most three.
    """

    accuracy: float
    minutes: int
    flip_at_minute: int | None = None
    volatility: float = VOLATILITY
    symbols: int = len(SYMBOLS)

    @property
    def kind(self) -> str:
        """Such as ``planted-0.52``."""
        return f"planted-{self.accuracy:g}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Accuracy, length, flip and volatility."""
        return {"kind": self.kind, **asdict(self)}

    def series(self, seed: int) -> dict[str, CandleArrays]:
        """Candles of each symbol."""
        return {
            name: planted(
                self.accuracy,
                minutes=self.minutes,
                seed=seed * len(SYMBOLS) + place,
                flip_at_minute=self.flip_at_minute,
                volatility=self.volatility,
            )
            for place, name in enumerate(SYMBOLS[: self.symbols])
        }


def pipeline_audit(path: str, *, model: Model, weeks: int, watch_minutes: int) -> PathAudit:
    """The pipeline behind ``package.module:factory``.

    Args:
        path: Where its factory is.
        model: ``fast`` or ``lstm``.
        weeks: Weekly decisions to make.
        watch_minutes: Minutes after the last decision, in which the champion is only watched; the edge turns where
            they begin. 0 for none.

    Raises:
        ConfigError: There is no such factory, or what it makes is no audit of a path.
    """
    module_name, _, attribute = path.partition(":")
    try:
        factory: Callable[..., object] = getattr(importlib.import_module(module_name), attribute)
        made = factory(model=model, weeks=weeks, watch_minutes=watch_minutes)
    except (ImportError, AttributeError, TypeError, ValueError, SyntaxError, NameError) as fault:
        raise ConfigError(f"pipeline {path!r} can't be used: {fault}") from fault
    if not isinstance(made, PathAudit):
        raise ConfigError(f"pipeline {path!r} gave no audit of a path but {type(made).__name__}")
    return made
