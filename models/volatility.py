"""How far the price is expected to move over the horizon: trailing realized volatility and the time of day.

A heterogeneous autoregression (F. Corsi, A Simple Approximate Long-Memory Model of Realized Volatility, 2009) of the
log of realized variance on its own trailing values over 15, 60 and 240 minutes, with two harmonics of the day after
T. Andersen and T. Bollerslev, Intraday periodicity and volatility persistence in financial markets (1997). It looks
no further back than the features do, and a stream gives the bits of a whole series.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models import indicators as ta
from models.hashing import canonical_json

FILE_NAME = "volatility.json"
MINUTE_MS = 60_000
SPANS = (15, 60, 240)
"""Minutes over which trailing variance is looked at."""

CLOSES = SPANS[-1] + 1
"""Contiguous closes that one forecast needs."""

FLOOR = 1e-10
"""Least variance of a minute, (0.1 bps)²: below it nothing has traded, and the logarithm of nothing says nothing."""

_MINUTES_A_DAY = 1440
_HARMONICS = 2
COEFFICIENTS = 1 + len(SPANS) + 2 * _HARMONICS
"""Constant, a slope for each span, sine and cosine of each harmonic."""

_ANGLES = [2.0 * math.pi * minute / _MINUTES_A_DAY for minute in range(_MINUTES_A_DAY)]
# Tables, since the sine of a vector may differ in its last bit from the sine of one number.
_SEASON = np.array(
    [[wave(order * angle) for order in (1, 2) for wave in (math.sin, math.cos)] for angle in _ANGLES]
)
_CHUNK = 2048

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class VolatilityModel:
    """A fitted heterogeneous autoregression.

    Attributes:
        horizon: Minutes ahead.
        coefficients: ``COEFFICIENTS`` numbers: the log of the mean squared one-minute log return over the horizon is
            their product with what ``predictors`` gives.
        level: Mean over the train slice of what came over exp(forecast of the log): N. Duan, Smearing Estimate (1983).
        return_share: Variance of the whole horizon's return over the expected sum of the variances of its minutes, on the
            train slice: below 1 where moves are taken back, as by the bounce between bid and ask.
    """

    horizon: int
    coefficients: tuple[float, ...]
    level: float
    return_share: float

    def log_variance(self, predictors: Floats) -> Floats:
        """Expected log of the mean squared one-minute return over the horizon, for rows of ``predictors``, [k]."""
        # Column by column: the same to the bit for one row and for a thousand.
        total = np.full(len(predictors), self.coefficients[0])
        for place, slope in enumerate(self.coefficients[1:]):
            total += slope * predictors[:, place]
        return total

    def variance(self, predictors: Floats) -> Floats:
        """Expected mean squared one-minute return over the horizon, float64 [k]."""
        expected: Floats = ta.EXP(self.log_variance(predictors)) * self.level
        return expected

    def forecast(self, predictors: Floats) -> Floats:
        """Standard deviation of the log return over the horizon, as a fraction, float64 [k]."""
        expected: Floats = np.sqrt(self.variance(predictors) * (self.horizon * self.return_share))
        return expected

    def at_windows(self, closes: Floats, ts: Indices) -> Floats:
        """The forecast on each of some newest candles.

        Args:
            closes: float64 [k, CLOSES], contiguous minutes, the newest last; NaN where history is missing.
            ts: int64 [k], open time of the newest, ms.

        Returns:
            float64 [k]; NaN where a close is.
        """
        known = np.isfinite(closes.sum(axis=1))
        safe = np.where(known[:, None], closes, 1.0)
        logs = ta.LN(safe.reshape(-1)).reshape(closes.shape)
        return np.where(known, self.forecast(predictors_of(logs, ts)), np.nan)

    def along(self, close: Floats, ts: Indices, ends: Indices) -> Floats:
        """The forecast on some candles of a series, float64 [k]; NaN where fewer contiguous minutes lie before."""
        made = np.full(len(ends), np.nan)
        whole = np.flatnonzero(has_history(ts, ends))
        if len(whole):
            made[whole] = self.forecast(predictors_along(close, ts, ends[whole]))
        return made

    def to_json(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(asdict(self))


def has_history(ts: Indices, ends: Indices) -> npt.NDArray[np.bool_]:
    """Before which rows ``CLOSES`` contiguous minutes lie, themselves included; bool [k]."""
    first = np.maximum(ends - (CLOSES - 1), 0)
    found: npt.NDArray[np.bool_] = ts[ends] - ts[first] == (CLOSES - 1) * MINUTE_MS
    return found


def predictors_along(close: Floats, ts: Indices, ends: Indices) -> Floats:
    """``predictors_of`` at rows of a series that have the history, float64 [k, COEFFICIENTS - 1]."""
    logs = ta.LN(np.ascontiguousarray(close, dtype=np.float64))
    back = np.arange(CLOSES) - (CLOSES - 1)
    made = np.empty((len(ends), COEFFICIENTS - 1))
    for start in range(0, len(ends), _CHUNK):
        piece = ends[start : start + _CHUNK]
        made[start : start + len(piece)] = predictors_of(logs[piece[:, None] + back], ts[piece])
    return made


def predictors_of(log_closes: Floats, ts: Indices) -> Floats:
    """Log mean squared return over each span, then the season's sines and cosines.

    Args:
        log_closes: float64 [k, CLOSES], the newest last.
        ts: int64 [k], open time of the newest, ms.

    Returns:
        float64 [k, COEFFICIENTS - 1]; a row is the same to the bit whichever rows lie around it.
    """
    moves = np.diff(log_closes[:, ::-1], axis=1)
    # A running sum adds in one order by definition; a plain sum adds as it likes.
    running = np.cumsum(moves * moves, axis=1)
    made = np.empty((len(log_closes), COEFFICIENTS - 1))
    for place, span in enumerate(SPANS):
        made[:, place] = ta.LN(np.maximum(running[:, span - 1] / span, FLOOR))
    made[:, len(SPANS) :] = _SEASON[ts // MINUTE_MS % _MINUTES_A_DAY]
    return made


def volatility_from_json(content: bytes, horizon: int) -> VolatilityModel:
    """Read what ``VolatilityModel.to_json`` wrote; ModelError when it is not that, or of another horizon."""
    try:
        document = json.loads(content)
        model = VolatilityModel(
            horizon=int(document["horizon"]),
            coefficients=tuple(float(value) for value in document["coefficients"]),
            level=float(document["level"]),
            return_share=float(document["return_share"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError) as fault:
        raise ModelError(f"{FILE_NAME} is not a volatility model: {fault}") from fault
    if len(model.coefficients) != COEFFICIENTS or not all(math.isfinite(one) for one in model.coefficients):
        raise ModelError(f"{FILE_NAME} does not hold {COEFFICIENTS} finite coefficients")
    if not (0.0 < model.level < math.inf and 0.0 < model.return_share < math.inf):
        raise ModelError(f"{FILE_NAME} holds a level or a return_share that is not positive")
    if model.horizon != horizon:
        raise ModelError(f"{FILE_NAME} looks {model.horizon} minutes ahead, the passport says {horizon}")
    return model
