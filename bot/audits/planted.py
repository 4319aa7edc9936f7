"""A market with an edge of known size that no single candle shows and a window does; a pipeline has to find it.

A hidden state s is +1 or -1 and turns at random, after an hour on average. Then, for each minute t:

- **drift**: the log return of minute t+1 is ``scale · (z + delta · s[t])``, with z standard normal and the scale that of
  ``martingales`` (GARCH, Student-t, a day's pattern), known without the direction. So the next minute rises with
  probability Phi(delta) in state up, however wild the minute.
- **wicks**: candle t closes after a long lower and a short upper wick (w = +1), or the other way round (w = -1). Wicks
  are lengths of their own, in units of the scale: w knows nothing of the candle's own body. In state up w is +1 with
  probability 0.6: 0.65 in the thin two thirds of the minutes, 0.5 in the busy third. A busy minute has twelve times
  the volume, so the volume-weighted lean of the bars, which one row of ``scalping-v1`` holds
  (``volume_imbalance_15``, ``volume_imbalance_60``), shows little; the plain mean of ``close_position`` shows it.

**Accuracy** is that of the best filter over all wicks up to t, volumes left aside: with q the probability that the sign
of its belief is the state's, it gets ``1/2 + (2q - 1) · (Phi(delta) - 1/2)`` of the next minute's directions right, and
delta is solved for the accuracy asked. q does not depend on delta; ``state_accuracy`` computes it from the stationary
density of the belief, without simulation (0.756 for the constants below). Closes lie on a fine tick, ties count for
nobody.

Past returns carry a little of the state too, by their drift: at 52 % a quarter of what the wicks do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from bot.audits.martingales import MINUTE_MS, START_MS, on_tick, path_rng, volatility_path, volume_noise
from bot.errors import DataError
from models.candle_arrays import CandleArrays

Floats = npt.NDArray[np.float64]
Signs = npt.NDArray[np.int8]

STAY_MINUTES = 60.0
"""Mean time that the state stays as it is."""
BUSY_SHARE = 1.0 / 3.0
THIN_RELIABILITY = 0.65
RELIABILITY = (1.0 - BUSY_SHARE) * THIN_RELIABILITY + BUSY_SHARE * 0.5
"""Chance that a candle's wicks say what the state is: 0.6."""
BUSY_VOLUME = 12.0
LONG_WICK, SHORT_WICK = 1.2, 0.15
"""Mean lengths, in units of the minute's deviation."""
VOLATILITY = 3e-3
"""Thirty basis points a minute, a small coin on a lively day: at 52 % the edge over a quarter of an hour is then worth
more than a taker's costs, which at BTC's eight it is not."""
MOST_ACCURATE = 0.6

_PRICE, _TICK = 1_000_000.0, 0.01
_VOLUME = 50.0
_NOISE = 0.3
_GRID = 2401


@dataclass(frozen=True, slots=True, eq=False)
class PlantedMarket:
    """Candles, and the truth behind them.

    Attributes:
        candles: What a pipeline sees.
        state: int8 [n], s of each minute: the next minute's drift before any flip.
        wick: int8 [n], what each candle's wicks say.
        delta: Drift of a minute in units of its deviation.
        flip_at_minute: From this row on drifts have the other sign; None where they never turn.
    """

    candles: CandleArrays
    state: Signs
    wick: Signs
    delta: float
    flip_at_minute: int | None


def planted(
    accuracy: float = 0.52,
    *,
    minutes: int,
    seed: int,
    flip_at_minute: int | None = None,
    start_ms: int = START_MS,
    volatility: float = VOLATILITY,
) -> CandleArrays:
    """Candles with a known edge; the arguments are those of ``planted_market``."""
    return planted_market(
        accuracy,
        minutes=minutes,
        seed=seed,
        flip_at_minute=flip_at_minute,
        start_ms=start_ms,
        volatility=volatility,
    ).candles


def planted_market(
    accuracy: float = 0.52,
    *,
    minutes: int,
    seed: int,
    flip_at_minute: int | None = None,
    start_ms: int = START_MS,
    volatility: float = VOLATILITY,
) -> PlantedMarket:
    """A market with a known edge; the same arguments give the same candles.

    Args:
        accuracy: Share of the next minute's directions that the best filter over past wicks gets right.
        minutes: How many candles, without a gap.
        seed: Any whole number from 0 on.
        flip_at_minute: From this row on the returns turn against what the wicks say, which go on as before; the
            candles before it are those of a market that never turns.
        start_ms: Open time of the first, UTC milliseconds, a whole minute.
        volatility: Standard deviation of a minute's log return, as a fraction.

    Raises:
        DataError: The accuracy is out of range, or the market cannot be made (see ``martingales``).
    """
    delta = drift_of(accuracy)
    rng = path_rng("planted", seed)
    found = volatility_path(rng, minutes, start_ms, volatility, steps=1)
    turns = rng.random(minutes) < 1.0 / STAY_MINUTES
    state = np.where((np.cumsum(turns) + rng.integers(0, 2)) % 2 == 0, 1, -1).astype(np.int8)
    busy = rng.random(minutes) < BUSY_SHARE
    right = rng.random(minutes) < np.where(busy, 0.5, THIN_RELIABILITY)
    wick = np.where(right, state, -state).astype(np.int8)
    drift = np.concatenate([[0.0], delta * state[:-1]])
    if flip_at_minute is not None:
        drift[flip_at_minute:] *= -1.0
    close = np.cumsum(found.scale * (found.noise[:, 0] + drift))
    open_ = np.concatenate([[0.0], close[:-1]])
    # Both lengths are drawn for each candle, whichever side they then fall on.
    long_wick = found.scale * LONG_WICK * (0.5 + rng.random(minutes))
    short_wick = found.scale * SHORT_WICK * (0.5 + rng.random(minutes))
    high = np.maximum(open_, close) + np.where(wick > 0, short_wick, long_wick)
    low = np.minimum(open_, close) - np.where(wick > 0, long_wick, short_wick)
    opened, highest, lowest, closed = (
        on_tick(_PRICE * np.exp(column), _TICK) for column in (open_, high, low, close)
    )
    crowd = np.where(busy, BUSY_VOLUME, 1.0)
    volume = _VOLUME * crowd * (found.scale / volatility) * volume_noise(rng, minutes, _NOISE)
    ts = start_ms + np.arange(minutes, dtype=np.int64) * MINUTE_MS
    return PlantedMarket(
        CandleArrays(ts, opened, highest, lowest, closed, volume), state, wick, delta, flip_at_minute
    )


def drift_of(accuracy: float) -> float:
    """Delta, the drift that makes the best filter right in so many minutes; DataError beyond 0.5 to 0.6."""
    if not 0.5 <= accuracy <= MOST_ACCURATE:
        raise DataError(f"an accuracy of {accuracy} cannot be planted: take 0.5 to {MOST_ACCURATE}")
    return NormalDist().inv_cdf(0.5 + (accuracy - 0.5) / (2.0 * state_accuracy() - 1.0))


def oracle(market: PlantedMarket) -> Floats:
    """P(next minute rises) for each minute, by the best filter over the wicks up to it, float64 [n].

    It goes on in its belief after a flip, as does whoever learnt before it.
    """
    rise = NormalDist().cdf(market.delta)
    belief = wick_filter(market.wick)
    probability: Floats = belief * rise + (1.0 - belief) * (1.0 - rise)
    return probability


def wick_filter(wick: Signs) -> Floats:
    """P(state is up) at each minute, given the wicks up to and with it, float64 [n].

    The forward recursion of a hidden Markov chain (L. R. Rabiner, A tutorial on hidden Markov models, 1989).
    """
    turn, up = 1.0 / STAY_MINUTES, 0.5
    found = []
    for sign in wick.tolist():
        prior = up * (1.0 - turn) + (1.0 - up) * turn
        says_up = RELIABILITY if sign > 0 else 1.0 - RELIABILITY
        above = prior * says_up
        up = above / (above + (1.0 - prior) * (1.0 - says_up))
        found.append(up)
    return np.array(found)


@lru_cache(maxsize=1)
def state_accuracy() -> float:
    """How often the sign of the filter's belief is the state's: the stationary density of its log odds.

    ``mass`` is the density of the log odds of the true state. A wick adds or takes ``log(r / (1 - r))``; a turn of the
    state negates them; the chance of a turn then pulls them in. Mass between two points of the grid is shared so that
    its mean stays, and the recursion is run until nothing moves.
    """
    turn = 1.0 / STAY_MINUTES
    step_odds = math.log(RELIABILITY / (1.0 - RELIABILITY))
    limit = math.log((1.0 - turn) / turn) + step_odds  # a prior is never surer than a turn allows
    grid = np.linspace(-limit, limit, _GRID)
    odds = np.exp(grid)
    prior = np.log((odds * (1.0 - turn) + turn) / (1.0 - turn + odds * turn))
    raised, lowered = _Spread(prior + step_odds, grid), _Spread(prior - step_odds, grid)
    mass = np.zeros(_GRID)
    mass[_GRID // 2] = 1.0
    for _ in range(20 * int(STAY_MINUTES)):
        turned = (1.0 - turn) * mass + turn * mass[::-1]
        mass = raised(RELIABILITY * turned) + lowered((1.0 - RELIABILITY) * turned)
    middle = _GRID // 2
    return float(mass[middle + 1 :].sum() + 0.5 * mass[middle])


class _Spread:
    """Moves the mass of each grid point to a place between two others."""

    def __init__(self, targets: Floats, grid: Floats) -> None:
        place = (targets - grid[0]) / (grid[1] - grid[0])
        self._below = np.clip(np.floor(place).astype(np.int64), 0, len(grid) - 2)
        self._share = np.clip(place - self._below, 0.0, 1.0)

    def __call__(self, mass: Floats) -> Floats:
        """The mass where it goes."""
        length = len(mass)
        moved = np.zeros(length)
        moved += np.bincount(self._below, weights=mass * (1.0 - self._share), minlength=length)
        moved += np.bincount(self._below + 1, weights=mass * self._share, minlength=length)
        return moved
