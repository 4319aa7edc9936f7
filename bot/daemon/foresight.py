"""What a predictor says of one minute, and whether it failed to: a model that breaks must not end the daemon."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from bot.core.engine_config import MODEL_FAILED, NO_MODEL, NO_PREDICTION
from bot.core.market import Candle, Symbol
from bot.core.prediction import Prediction
from bot.core.promotion import NO_TRADE
from bot.errors import ModelError
from bot.ports import Predictor


class Foresight(NamedTuple):
    """One minute's forecasts.

    Attributes:
        predictions: What may be decided on. The expected return of one that is not finite in any figure is NaN,
            which is never traded on.
        absent: Why a symbol has no prediction.
        fault: What went wrong, None when nothing did.
        took_ns: How long it took.
    """

    predictions: list[Prediction]
    absent: str
    fault: str | None
    took_ns: int


class DecidedMinute(NamedTuple):
    """A minute that was decided, committed and acted upon.

    Attributes:
        closed_at_ms: Close time of its candles.
        candles: Who was in the batch, by name of symbol.
        foresight: What the model that trades said.
        model_id: Which model that is.
    """

    closed_at_ms: int
    candles: Sequence[Candle]
    foresight: Foresight
    model_id: str


class Attendant(Protocol):
    """What looks after the model that trades: shadow, watch, swap and rollback."""

    def snapshot(self) -> dict[str, Any]:
        """What goes into a batch's snapshot, as JSON values; made before, so that no decision waits for it."""

    def decided(self, minute: DecidedMinute) -> None:
        """A minute was decided and acted upon."""

    async def between(self, closed_at_ms: int) -> None:
        """Nothing is being decided: a change of predictor may be made; the next minute waits for it."""


def foresee(predictor: Predictor, symbols: Sequence[Symbol], monotonic_ns: Callable[[], int]) -> Foresight:
    """Ask a predictor, and take what it raises about itself or its numbers as a fault of the model."""
    began_ns = monotonic_ns()
    try:
        said = predictor.predict(symbols)
    except (ModelError, RuntimeError, ArithmeticError, ValueError, TypeError, LookupError) as error:
        fault = f"it failed on {len(symbols)} symbols: {type(error).__name__}: {error}"
        return Foresight([], MODEL_FAILED, fault, monotonic_ns() - began_ns)
    took_ns = monotonic_ns() - began_ns
    absent = NO_MODEL if predictor.model_id == NO_TRADE else NO_PREDICTION
    wrong = [one.symbol for one in said if not _is_finite(one)]
    if not wrong:
        return Foresight(said, absent, None, took_ns)
    marked = [one if _is_finite(one) else one._replace(expected_return=math.nan) for one in said]
    return Foresight(
        marked, absent, f"it said a number that is not finite, for {', '.join(sorted(wrong))}", took_ns
    )


def _is_finite(prediction: Prediction) -> bool:
    """Whether what is traded on is a number."""
    up = prediction.probability_up
    return math.isfinite(prediction.expected_return) and (up is None or math.isfinite(up))
