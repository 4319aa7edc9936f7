"""What a model is trained to say, and how its output becomes an expected log return.

``volatility`` is the causal standard deviation of one-minute log returns, so ``volatility · sqrt(h)`` is the unit
of a move over h minutes; a *standardized* return is a log return in that unit. Labels are float64 [n, m], outputs
float64 [n, k]; k and m differ only where a direction is a pair of logits and its label a single 0 or 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from bot.errors import ModelError
from models import indicators as ta
from models.candle_arrays import CandleArrays
from models.scaling import Scaler

MINUTE_MS = 60_000
RETURN_LIMIT = 1.0
"""No forecast of a factor beyond e either way is taken at its word: a scaled price may decode to less than 0."""
MEAN_MOVE = math.sqrt(2.0 / math.pi)
"""Mean absolute value of a standard normal variable: what a standardized move is worth when its sign is known."""
PROBIT_OF_LOGIT = 1.0 / 1.702
"""A logit over 1.702 is about the normal quantile (D. J. Finney, Probit Analysis)."""
PERCENT = 100.0
LEAST_VARIANCE = 1e-10
"""Of a minute, (0.1 bps)²: below it nothing has traded."""
_MOST_TREND = 0.999
_MOST_RATIO = 3.0

Floats = npt.NDArray[np.float64]


class Decoded(NamedTuple):
    """Outputs in terms that a strategy knows; float64 [n] each.

    Attributes:
        expected_return: Log return over the horizon, as a fraction.
        score: Standardized evidence of a rise: what P(up) is a logistic curve of.
    """

    expected_return: Floats
    score: Floats


class Target(Protocol):
    """A training target and its way back.

    Attributes:
        kind: Its name in recipes.
        horizon: Minutes ahead that the forecast is traded on.
        reach: Minutes until a label is known: the farthest horizon.
        outputs: Names of the output columns.
        activation: Of the network's last layer.
    """

    kind: str
    horizon: int
    reach: int
    outputs: tuple[str, ...]
    activation: str

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:
        """float64 [n, m]: what the model should say at each candle; NaN where that is not known."""

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:
        """What model outputs [n, k] say, given the close and volatility of each window's last candle."""


class _Plain:
    """What most targets have in common: one linear output, known after ``horizon`` minutes."""

    kind = ""
    activation = "linear"
    outputs: tuple[str, ...] = ("forecast",)

    def __init__(self, horizon: int) -> None:
        self.horizon = self.reach = horizon


class ScaledReturn(_Plain):
    """The standardized return over the horizon: about unit variance in any market."""

    kind = "scaled_return"

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002  (Target)
        """The future log return over volatility · sqrt(horizon)."""
        return standardized_return(candles, volatility, self.horizon)[:, None]

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:  # noqa: ARG002
        """The output times volatility · sqrt(horizon)."""
        return _from_score(raw[:, 0], volatility, self.horizon)


class LogReturn(_Plain):
    """The log return over the horizon, in percent."""

    kind = "log_return"

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """The future log return times 100."""
        return (forward_log_return(candles, self.horizon) * PERCENT)[:, None]

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:  # noqa: ARG002
        """The output over 100."""
        return _from_return(raw[:, 0] / PERCENT, volatility, self.horizon)


class NextClose(_Plain):
    """The close at the horizon, scaled as the close column of the features is."""

    kind = "next_close"

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """The future close through the scaler."""
        future = np.full(len(candles), np.nan)
        index = has_future(candles.ts, self.horizon)
        future[index] = candles.close[index + self.horizon]
        return scaler.forward("close", future)[:, None]

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:
        """log(inverse(output) / close): a change in min-max space is not the change of the price."""
        ratio = scaler.inverse("close", raw[:, 0]) / close
        return _from_return(np.log(np.maximum(ratio, math.exp(-RETURN_LIMIT))), volatility, self.horizon)


class Direction(_Plain):
    """Whether the close at the horizon is higher: 1 or 0; a tie is no label."""

    kind = "direction"
    activation = "sigmoid"

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """1 for a rise, 0 for a fall, NaN for a tie."""
        return rises(forward_log_return(candles, self.horizon))[:, None]

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:  # noqa: ARG002
        """(2 p - 1) times the mean absolute move at this volatility."""
        return _from_score((2.0 * raw[:, 0] - 1.0) * MEAN_MOVE, volatility, self.horizon)


class TrendScore(_Plain):
    """tanh of the standardized return: -1 a strong fall, 0 neutral, 1 a strong rise."""

    kind = "trend_score"
    activation = "tanh"

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """Tanh of the future standardized return."""
        return np.tanh(standardized_return(candles, volatility, self.horizon))[:, None]

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:  # noqa: ARG002
        """The inverse of tanh, in units of the volatility."""
        return _from_score(trend_to_score(raw[:, 0]), volatility, self.horizon)


class TripleBarrier(_Plain):
    """Which is touched first: the upper barrier (1), the lower (-1), or neither within the horizon (0).

    Barriers lie ``barrier`` standardized moves from the close; one candle that touches both counts as 0. After
    M. López de Prado, Advances in Financial Machine Learning (2018), chapter 3.
    """

    kind = "triple_barrier"

    def __init__(self, horizon: int, barrier: float = 1.0) -> None:
        super().__init__(horizon)
        self.barrier = barrier

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """1, -1 or 0 by the highs and lows of the next ``horizon`` candles."""
        label = np.full(len(candles), np.nan)
        index = has_future(candles.ts, self.horizon)
        width = self.barrier * volatility[index] * math.sqrt(self.horizon)
        above, below = candles.close[index] * np.exp(width), candles.close[index] * np.exp(-width)
        found, open_ = np.zeros(len(index)), np.isfinite(width)
        for step in range(1, self.horizon + 1):
            up = open_ & (candles.high[index + step] >= above)
            down = open_ & (candles.low[index + step] <= below)
            found[up & ~down], found[down & ~up] = 1.0, -1.0
            open_ &= ~(up | down)
        found[~np.isfinite(width)] = np.nan
        label[index] = found
        return label[:, None]

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:  # noqa: ARG002
        """The output times the distance of the barriers."""
        return _from_score(raw[:, 0] * self.barrier, volatility, self.horizon)


class Path(_Plain):
    """The standardized returns over 1, 2, … ``horizon`` minutes: a path, one column a step."""

    kind = "path"

    def __init__(self, horizon: int) -> None:
        super().__init__(horizon)
        self.outputs = tuple(f"step_{step}" for step in range(1, horizon + 1))

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """Column j: the log return over j + 1 minutes over volatility · sqrt(j + 1)."""
        steps = range(1, self.horizon + 1)
        labels = np.column_stack([standardized_return(candles, volatility, step) for step in steps])
        labels[~np.isfinite(labels[:, -1])] = np.nan
        return labels

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:  # noqa: ARG002
        """The last step; ``log_path`` gives them all."""
        return _from_score(raw[:, -1], volatility, self.horizon)

    def log_path(self, raw: Floats, volatility: Floats) -> Floats:
        """Log returns from the last close to each step, float64 [n, horizon]."""
        return _bounded(raw * (volatility[:, None] * np.sqrt(np.arange(1.0, self.horizon + 1.0))))


class TrendAndDirection(_Plain):
    """At two horizons, a trend score and a direction as two logits (down, up); the shorter one is traded on.

    Labels [n, 4] are trend and rise (1 or 0; a tie is one half) at the short, then at the long horizon.
    """

    kind = "trend_and_direction"

    def __init__(self, horizon: int, second_horizon: int) -> None:
        super().__init__(horizon)
        self.second_horizon = second_horizon
        self.reach = max(horizon, second_horizon)
        self.outputs = tuple(
            f"{name}_{minutes}"
            for minutes in (horizon, second_horizon)
            for name in ("trend", "down_logit", "up_logit")
        )

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """trend, rise, trend, rise."""
        columns = []
        for minutes in (self.horizon, self.second_horizon):
            z = standardized_return(candles, volatility, minutes)
            columns += [np.tanh(z), np.where(z == 0.0, 0.5, rises(z))]
        labels = np.column_stack(columns)
        labels[~np.isfinite(labels).all(axis=1)] = np.nan
        return labels

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:  # noqa: ARG002
        """The return from the short trend score, the evidence of a rise from the short direction."""
        expected = _from_score(trend_to_score(raw[:, 0]), volatility, self.horizon).expected_return
        return Decoded(expected, (raw[:, 2] - raw[:, 1]) * PROBIT_OF_LOGIT)

    def log_path(self, raw: Floats, volatility: Floats) -> Floats:
        """Log returns from the last close to the short and to the long horizon, float64 [n, 2]."""
        spans = ((0, self.horizon), (3, self.second_horizon))
        points = [_from_score(trend_to_score(raw[:, place]), volatility, span) for place, span in spans]
        return np.column_stack([point.expected_return for point in points])


class ReturnAndVolatility(_Plain):
    """The standardized return over the horizon, and how far realized volatility will be from the causal one.

    Labels [n, 2] are the standardized return and log(realized / causal volatility of a minute), where realized is the
    root mean square of the one-minute log returns over the horizon, at least 0.1 bps.
    """

    kind = "return_and_volatility"
    outputs: tuple[str, ...] = ("forecast", "log_volatility")

    def encode(self, candles: CandleArrays, volatility: Floats, scaler: Scaler) -> Floats:  # noqa: ARG002
        """Standardized return and log ratio of volatilities."""
        realized = np.full(len(candles), np.nan)
        index = has_future(candles.ts, self.horizon)
        logs = np.log(candles.close)
        squares = np.zeros(len(index))
        for ahead in range(1, self.horizon + 1):
            squares += (logs[index + ahead] - logs[index + ahead - 1]) ** 2
        realized[index] = np.sqrt(np.maximum(squares / self.horizon, LEAST_VARIANCE))
        labels = np.column_stack(
            [standardized_return(candles, volatility, self.horizon), np.log(realized / volatility)]
        )
        labels[~np.isfinite(labels).all(axis=1)] = np.nan
        return labels

    def decode(self, raw: Floats, close: Floats, volatility: Floats, scaler: Scaler) -> Decoded:  # noqa: ARG002
        """The first output times volatility · sqrt(horizon)."""
        return _from_score(raw[:, 0], volatility, self.horizon)

    def volatility_of(self, raw: Floats, volatility: Floats) -> Floats:
        """Standard deviation of the return over the horizon that the second output stands for, float64 [n].

        It is kept within a factor of e³ (about 20) of the causal one either way; its level is for calibration to set.
        """
        ratio = np.minimum(np.maximum(raw[:, 1], -_MOST_RATIO), _MOST_RATIO)
        expected: Floats = ta.EXP(np.ascontiguousarray(ratio)) * (volatility * math.sqrt(self.horizon))
        return expected


_MAKERS: dict[str, Callable[[int, Mapping[str, float]], Target]] = {
    ScaledReturn.kind: lambda horizon, _: ScaledReturn(horizon),
    LogReturn.kind: lambda horizon, _: LogReturn(horizon),
    NextClose.kind: lambda horizon, _: NextClose(horizon),
    Direction.kind: lambda horizon, _: Direction(horizon),
    TrendScore.kind: lambda horizon, _: TrendScore(horizon),
    TripleBarrier.kind: lambda horizon, options: TripleBarrier(horizon, float(options.get("barrier", 1.0))),
    Path.kind: lambda horizon, _: Path(horizon),
    ReturnAndVolatility.kind: lambda horizon, _: ReturnAndVolatility(horizon),
    TrendAndDirection.kind: lambda horizon, options: TrendAndDirection(
        horizon, int(options.get("second_horizon", 4 * horizon))
    ),
}
TARGETS = tuple(_MAKERS)


def make_target(kind: str, horizon: int, options: Mapping[str, float] | None = None) -> Target:
    """The target of a name; ModelError when this program has none of that name.

    Args:
        kind: One of ``TARGETS``.
        horizon: Minutes ahead.
        options: ``barrier`` of triple_barrier, ``second_horizon`` of trend_and_direction.
    """
    if kind not in _MAKERS:
        raise ModelError(f"the target {kind!r} is not known here (known: {', '.join(sorted(_MAKERS))})")
    return _MAKERS[kind](horizon, options or {})


def forward_log_return(candles: CandleArrays, horizon: int) -> Floats:
    """log(close[t+h] / close[t]) as float64 [n]; NaN where the minutes up to t+h are not all there."""
    future = np.full(len(candles), np.nan)
    index = has_future(candles.ts, horizon)
    future[index] = np.log(candles.close[index + horizon] / candles.close[index])
    return future


def standardized_return(candles: CandleArrays, volatility: Floats, horizon: int) -> Floats:
    """The future log return over volatility · sqrt(horizon), float64 [n]."""
    return forward_log_return(candles, horizon) / (volatility * math.sqrt(horizon))


def rises(moves: Floats) -> Floats:
    """1 where a move is up, 0 where it is down, NaN where it is neither."""
    return np.where(moves > 0.0, 1.0, np.where(moves < 0.0, 0.0, np.nan))


def trend_to_score(trend: Floats) -> Floats:
    """The standardized return that a trend score stands for."""
    return np.arctanh(np.minimum(np.maximum(trend, -_MOST_TREND), _MOST_TREND))


def has_future(ts: npt.NDArray[np.int64], horizon: int) -> npt.NDArray[np.intp]:
    """Indices i such that candles i to i + horizon follow each other minute by minute."""
    if len(ts) <= horizon:
        return np.empty(0, np.intp)
    return np.flatnonzero(ts[horizon:] - ts[:-horizon] == horizon * MINUTE_MS)


def _from_score(score: Floats, volatility: Floats, horizon: int) -> Decoded:
    """A forecast that is given as a standardized return."""
    return _from_return(score * (volatility * math.sqrt(horizon)), volatility, horizon)


def _from_return(log_return: Floats, volatility: Floats, horizon: int) -> Decoded:
    """A forecast that is given as a log return; it is kept within ±``RETURN_LIMIT``."""
    expected = _bounded(log_return)
    return Decoded(expected, expected / (volatility * math.sqrt(horizon)))


def _bounded(log_return: Floats) -> Floats:
    """The forecast, kept within ±``RETURN_LIMIT``."""
    return np.minimum(np.maximum(log_return, -RETURN_LIMIT), RETURN_LIMIT)
