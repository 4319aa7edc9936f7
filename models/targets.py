"""What a model is trained to say, and how its output becomes an expected log return.

``scaled_return``: log(close[t+h] / close[t]) / (volatility[t] · sqrt(h)), about unit variance in any market.
``next_close``: close[t+h] in the scaled space of the close column, as the min-max recipe has it.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models.candle_arrays import CandleArrays
from models.scaling import Scaler

MINUTE_MS = 60_000
RETURN_LIMIT = 1.0
"""No forecast of a factor beyond e either way is taken at its word: a scaled price may decode to less than 0."""

Floats = npt.NDArray[np.float64]


class Target(Protocol):
    """A training target and its way back."""

    kind: str
    horizon: int

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:
        """float64 [n]: what the model should say at each candle; NaN where the future is not there."""

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Floats:
        """Expected log return over the horizon (fraction) of model outputs [n]."""


class ScaledReturn:
    """The log return over the horizon in units of its causal standard deviation."""

    kind = "scaled_return"

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002  (Target)
        """The future log return over volatility · sqrt(horizon)."""
        return forward_log_return(candles, self.horizon) / (volatility * math.sqrt(self.horizon))

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """The output times volatility · sqrt(horizon)."""
        return _bounded(raw * (volatility * math.sqrt(self.horizon)))


class NextClose:
    """The close at the horizon, scaled as the close column of the features is."""

    kind = "next_close"

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """The future close through the scaler."""
        future = np.full(len(candles), np.nan)
        index = _has_future(candles.ts, self.horizon)
        future[index] = candles.close[index + self.horizon]
        return scaler.forward("close", future)

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """log(inverse(output) / close): a change in min-max space is not the change of the price."""
        ratio = scaler.inverse("close", raw) / close
        return _bounded(np.log(np.maximum(ratio, math.exp(-RETURN_LIMIT))))


TARGETS: dict[str, type[ScaledReturn | NextClose]] = {
    ScaledReturn.kind: ScaledReturn,
    NextClose.kind: NextClose,
}


def make_target(kind: str, horizon: int) -> Target:
    """The target of a name; ModelError when this program has none of that name."""
    if kind not in TARGETS:
        raise ModelError(f"the target {kind!r} is not known here (known: {', '.join(sorted(TARGETS))})")
    return TARGETS[kind](horizon)


def forward_log_return(candles: CandleArrays, horizon: int) -> Floats:
    """log(close[t+h] / close[t]) as float64 [n]; NaN where the minutes up to t+h are not all there."""
    future = np.full(len(candles), np.nan)
    index = _has_future(candles.ts, horizon)
    future[index] = np.log(candles.close[index + horizon] / candles.close[index])
    return future


def _has_future(ts: npt.NDArray[np.int64], horizon: int) -> npt.NDArray[np.intp]:
    """Indices i such that candles i to i + horizon follow each other minute by minute."""
    if len(ts) <= horizon:
        return np.empty(0, np.intp)
    return np.flatnonzero(ts[horizon:] - ts[:-horizon] == horizon * MINUTE_MS)


def _bounded(log_return: Floats) -> Floats:
    """The forecast, kept within ±``RETURN_LIMIT``."""
    return np.minimum(np.maximum(log_return, -RETURN_LIMIT), RETURN_LIMIT)
