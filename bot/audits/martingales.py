"""Two kinds of market in which no forecast of the direction can have an edge; whoever finds one there fools himself.

``garch_t``, the mid-price. In minute t the log price moves by ``scale_t · z_t`` plus, rarely, a jump:

- ``z`` is a standard normal noise, ``scale_t = base · season(minute of the day) · sqrt(h_t · w_t)``;
- ``w`` is inverse chi-squared with mean 1, which makes of ``sqrt(w) · z`` a Student-t noise of 5 degrees of freedom
  and variance 1;
- ``h`` is a GARCH(1,1) process of mean 1, ``h[t+1] = (1 - a - b) + a · h[t] · w[t] · z[t]² + b · h[t]`` (T. Bollerslev,
  Generalized autoregressive conditional heteroskedasticity, 1986);
- jumps come as a Poisson process, three a day, normal with mean 0 and six times the minute's deviation;
- the minute is walked in six steps, whose extremes are high and low, and every price lies on the tick;
- volume follows volatility and a noise of its own, never the direction.

``bounce``: trades of such a mid-price alternate at random between bid and ask, half a spread below and above it. Closes
then return (R. Roll, A simple implicit measure of the effective bid-ask spread, 1984): their changes have a negative
autocorrelation, which ends where the spread is paid.

**Which martingale.** The *log* price is one, and its moves are symmetric: the signs of all z are coin tosses that
neither volatility nor volume knows. So a rise has probability 1/2 at any horizon, whatever is known, and direction is
what is forecast here. The price itself then drifts by half its variance, 0.003 basis points a minute at 8 basis points
of deviation, 1/3000 of a trade's costs over a quarter of an hour. (A martingale in price would have that drift in its
logarithm, and rises with probability 0.4998.) Rounding to a tick of half a basis point gives mid closes an
autocorrelation of -0.0003, which is below what half a million minutes can show.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from bot.errors import DataError
from models.candle_arrays import CandleArrays

Floats = npt.NDArray[np.float64]
Kind = Literal["garch_t", "bounce"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MINUTE_MS = 60_000
DAY_MINUTES = 1440
START_MS = 1_704_067_200_000
"""2024-01-01T00:00Z, a Monday."""

GARCH_A, GARCH_B = 0.05, 0.93
FREEDOM = 5
JUMPS_A_DAY = 3.0
JUMP_DEVIATIONS = 6.0
STEPS = 6
"""Of the walk within a minute."""
VOLUME_NOISE = 0.5
QUIETEST = 1e-3
"""GARCH starts at its mean; a variance below this share of it would only make candles without range."""
_FEWEST_TICKS = 20


@dataclass(frozen=True, slots=True)
class Character:
    """What a market is like.

    Attributes:
        volatility: Standard deviation of a minute's log return, as a fraction.
        price: The first one.
        tick: Prices are whole multiples of it.
        half_spread_bps: Half the distance between bid and ask, where trades are seen and not the mid.
        volume: Mean of a minute.
    """

    volatility: float = 8e-4
    price: float = 1000.0
    tick: float = 0.05
    half_spread_bps: float = 1.0
    volume: float = 50.0


class Scales(NamedTuple):
    """The moves of a path before their direction is given a meaning.

    Attributes:
        noise: float64 [n, steps], standard normal noise of each step of a minute.
        scale: float64 [n], standard deviation of each minute's log return, known without its direction.
    """

    noise: Floats
    scale: Floats


def martingale(
    kind: Kind,
    *,
    minutes: int,
    seed: int,
    start_ms: int = START_MS,
    character: Character | None = None,
) -> CandleArrays:
    """Candles of one symbol without an edge; the same arguments give the same candles.

    Args:
        kind: ``garch_t`` shows the mid-price, ``bounce`` trades at bid and ask.
        minutes: How many candles, without a gap.
        seed: Any whole number from 0 on.
        start_ms: Open time of the first, UTC milliseconds, a whole minute.
        character: Volatility, price, tick and spread.

    Raises:
        DataError: There is no such kind, no minute is asked for, or the price fell to a few ticks on so long a way.
    """
    if kind not in KINDS:
        raise DataError(f"there is no martingale {kind!r}: use {' or '.join(KINDS)}")
    market = character or Character()
    rng = path_rng(kind, seed)
    found = volatility_path(rng, minutes, start_ms, market.volatility, steps=STEPS)
    moves = found.noise * (found.scale / math.sqrt(STEPS))[:, None]
    _add_jumps(rng, moves, found.scale)
    walk = np.cumsum(moves.ravel())
    # Column 0 is the mid at the minute's start, where the minute before ended.
    path = np.empty((minutes, STEPS + 1))
    path[:, 1:] = walk.reshape(minutes, STEPS)
    path[0, 0], path[1:, 0] = 0.0, path[:-1, -1]
    if kind == "bounce":
        path += rng.choice(np.array([-1.0, 1.0]), size=path.shape) * math.log1p(market.half_spread_bps / 1e4)
    prices = on_tick(market.price * np.exp(path), market.tick)
    volume = market.volume * (found.scale / market.volatility) * volume_noise(rng, minutes, VOLUME_NOISE)
    ts = start_ms + np.arange(minutes, dtype=np.int64) * MINUTE_MS
    return CandleArrays(
        ts, prices[:, 0].copy(), prices.max(axis=1), prices.min(axis=1), prices[:, -1].copy(), volume
    )


def path_rng(kind: str, seed: int) -> np.random.Generator:
    """The random numbers of a path: another seed or another kind, other numbers."""
    return np.random.default_rng([seed, zlib.crc32(kind.encode())])


def volatility_path(
    rng: np.random.Generator, minutes: int, start_ms: int, volatility: float, *, steps: int
) -> Scales:
    """Noise of every step and the deviation of every minute: GARCH(1,1), Student-t, a day's pattern.

    Args:
        rng: What is drawn from.
        minutes: How many.
        start_ms: Open time of the first, UTC milliseconds.
        volatility: Root of the mean square of a minute's log return.
        steps: Steps within a minute.

    Raises:
        DataError: No minute is asked for, or the start is no whole minute.
    """
    if minutes < 1 or start_ms % MINUTE_MS:
        raise DataError("a market needs at least one minute, and begins at a whole one")
    noise = rng.standard_normal((minutes, steps))
    mixing = (FREEDOM - 2.0) / rng.chisquare(FREEDOM, minutes)
    surprise = noise.sum(axis=1) / math.sqrt(steps)
    growth = GARCH_A * mixing * surprise * surprise + GARCH_B
    variance = np.maximum(_garch(growth), QUIETEST)
    season = day_pattern()[(start_ms // MINUTE_MS + np.arange(minutes)) % DAY_MINUTES]
    return Scales(noise, volatility * season * np.sqrt(variance * mixing))


def day_pattern() -> Floats:
    """Volatility by minute of the day (UTC), float64 [1440], of mean square 1: quiet at night, two busy hours."""
    hour = np.arange(DAY_MINUTES) / 60.0
    level = (
        0.8 + 0.5 * np.exp(-0.5 * ((hour - 8.0) / 1.5) ** 2) + 1.1 * np.exp(-0.5 * ((hour - 14.5) / 1.8) ** 2)
    )
    pattern: Floats = level / np.sqrt(np.mean(level * level))
    return pattern


def volume_noise(rng: np.random.Generator, minutes: int, spread: float) -> Floats:
    """Lognormal noise of mean 1, float64 [minutes]."""
    return rng.lognormal(-0.5 * spread * spread, spread, minutes)


def on_tick(prices: Floats, tick: float) -> Floats:
    """Prices on whole ticks.

    Raises:
        DataError: A price is so few ticks that rounding would be most of its moves.
    """
    ticks = np.rint(prices / tick)
    if ticks.min() < _FEWEST_TICKS:
        raise DataError(
            f"the price fell to {ticks.min():.0f} ticks of {tick}: take a finer tick or fewer minutes"
        )
    # Divided where a tick is one over a whole number: 20123 / 20 is the float that 1006.15 is read as.
    inverse = round(1.0 / tick)
    rounded: Floats = ticks / inverse if inverse >= 1 and math.isclose(inverse * tick, 1.0) else ticks * tick
    return rounded


def _garch(growth: Floats) -> Floats:
    """``h[t+1] = (1 - a - b) + growth[t] · h[t]`` from 1 on; each step needs the one before it, so it is a loop."""
    constant, level = 1.0 - GARCH_A - GARCH_B, 1.0
    found: list[float] = []
    keep = found.append
    for factor in growth.tolist():
        keep(level)
        level = constant + factor * level
    return np.array(found)


def _add_jumps(rng: np.random.Generator, moves: Floats, scale: Floats) -> None:
    """Put jumps into the steps of a walk, in place; up as often as down."""
    minutes, steps = moves.shape
    count = int(rng.poisson(JUMPS_A_DAY * minutes / DAY_MINUTES))
    where, step = rng.integers(0, minutes, count), rng.integers(0, steps, count)
    np.add.at(moves, (where, step), JUMP_DEVIATIONS * scale[where] * rng.standard_normal(count))
