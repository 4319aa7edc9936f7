"""What a pipeline says about candles, and whether two such answers agree on all that was known at a moment.

Nothing here computes a feature or fits a model. A *pipeline* is anything that answers a market with an ``Answer``:
rows of its stages by time, what it learnt and until when, and how it split time. The audit (``bot.audits.causality_probe``)
asks again after every candle behind some moment was altered. Whatever is said to be known by then must be the same to
the bit.

Times: ``ts`` is the open time of a candle, ms UTC; the candle is known one minute later. A *moment* is an instant: all
candles that close after it are altered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from bot.core.closer import CandleUpdate
from bot.core.market import MINUTE_MS
from bot.errors import DataError
from models.candle_arrays import CandleArrays

Market: TypeAlias = Mapping[str, CandleArrays]
"""Candles by symbol."""

Values: TypeAlias = npt.NDArray[Any]
Times: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What one stage says of one symbol, a row a moment; arrays of length n.

    Attributes:
        stage: Such as ``features``, ``predictions``, ``decisions``.
        symbol: The market.
        ts: int64 [n], strictly increasing: the candle that the row is about.
        columns: Names of the f columns.
        values: [n, f], any dtype: numbers are compared by their bits, everything else by ``==``.
        known_ms: int64 [n], when each row is said to be known; None is the close of its candle, ``ts`` plus a minute. A
            label is known later, a row that a fit went into not before the fit's data are.
    """

    stage: str
    symbol: str
    ts: Times
    columns: tuple[str, ...]
    values: Values
    known_ms: Times | None = None

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.ts), len(self.columns)):
            raise DataError(
                f"stage {self.stage} of {self.symbol}: {self.values.shape} values for {len(self.ts)} moments and "
                f"{len(self.columns)} columns"
            )
        if np.any(np.diff(self.ts) <= 0):
            raise DataError(f"stage {self.stage} of {self.symbol}: its moments do not rise")
        if self.known_ms is not None and self.known_ms.shape != self.ts.shape:
            raise DataError(f"stage {self.stage} of {self.symbol}: known_ms must have one entry a row")

    @property
    def known(self) -> Times:
        """int64 [n], when each row is known, ms."""
        return self.ts + MINUTE_MS if self.known_ms is None else self.known_ms

    @property
    def key(self) -> tuple[str, str]:
        """Stage and symbol."""
        return self.stage, self.symbol

    @property
    def is_plain(self) -> bool:
        """Whether every row is known when its candle closes: no fit of another time went into it."""
        return self.known_ms is None or bool(np.all(self.known_ms <= self.ts + MINUTE_MS))


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What one stage learnt from candles, once and for all.

    Attributes:
        stage: Such as ``scaler``, ``model``, ``threshold``.
        values: Name -> number, array or bytes.
        until_ms: It is said to depend on no candle that closes after this.
    """

    stage: str
    values: Mapping[str, Any]
    until_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """The moments that one purpose was given.

    Attributes:
        name: Such as ``train``, ``early_stop``, ``calibrate``, ``test``.
        ts: int64, times of its rows, all symbols together, in any order.
        reach: Minutes until the label of a row is known; 0 where no label is used.
    """

    name: str
    ts: Times
    reach: int


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """How time was shared out.

    Attributes:
        slices: In the order in which they must follow each other. A purpose that deliberately shares the slice before it
            is left out.
        window: Minutes that a row looks back.
        symbols: Whose rows were used; empty where the pipeline does not say.
    """

    slices: tuple[Slice, ...]
    window: int
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """All that a pipeline says about a market.

    Attributes:
        rows: One entry a stage and symbol.
        learned: What was fitted.
        split: None where nothing is learnt.
    """

    rows: Sequence[Rows] = ()
    learned: Sequence[Learned] = ()
    split: Split | None = None


class Pipeline(Protocol):
    """What can be audited: the same market must be answered the same every time.

    Attributes:
        name: For the report.
    """

    name: str

    def answer(self, market: Market) -> Answer:
        """Run over these candles, from features to decisions, fitting anew whatever is fitted."""


@runtime_checkable
class StreamingPipeline(Protocol):
    """A pipeline that can also be fed as it would be live."""

    name: str

    def answer(self, market: Market) -> Answer:
        """As ``Pipeline``."""

    def stream(self, market: Market, updates: Iterable[CandleUpdate]) -> Sequence[Rows]:
        """The rows that it makes update by update.

        Args:
            market: What ``answer`` was given, to fit on.
            updates: The first part of the same market as an exchange tells it: for each minute updates of the unfinished
                bar (``closed`` is False), then the finished one (``closed`` is True).
        """


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference that must not be.

    Attributes:
        sentence: What was found, in words.
        at_ms: The minute (its open time) of the first difference; None where there is none.
        symbol: Of the first difference.
        column: Of the first difference.
        moment_ms: The candles that close after this had been altered.
        ahead: At least so many minutes does it look ahead; of several findings of a stage the farthest is kept.
    """

    sentence: str
    at_ms: int | None = None
    symbol: str | None = None
    column: str | None = None
    moment_ms: int | None = None
    ahead: int = 0


@dataclass(slots=True)
class StageCheck:
    """How one stage of one pipeline fared in one comparison.

    Attributes:
        subject: Name of the pipeline.
        stage: Of the pipeline; ``split`` for how it shares out time.
        compared: What was compared, in words.
        moments: How often something was compared.
        values: How many numbers were.
        finding: The first difference, if any.
        note: What a reader should know besides.
    """

    subject: str
    stage: str
    compared: str
    moments: int = 0
    values: int = 0
    finding: Finding | None = None
    note: str = field(default="")


def minute_words(at_ms: int) -> str:
    """Spell an instant to the minute, such as ``2024-01-03T04:05Z``; with seconds where it has some."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%MZ}" if at_ms % MINUTE_MS == 0 else f"{at:%Y-%m-%dT%H:%M:%SZ}"
