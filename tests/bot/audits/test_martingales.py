"""Markets without an edge: what they are like, and that nothing in them tells the direction."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bot.audits.martingales import (
    DAY_MINUTES,
    KINDS,
    MINUTE_MS,
    START_MS,
    Character,
    day_pattern,
    martingale,
    on_tick,
)
from bot.errors import DataError
from models.candle_arrays import CandleArrays
from models.features import check_candles

MINUTES = 300_000
FINE = Character(tick=1e-5)


@pytest.fixture(scope="module", params=[1, 2])
def mid(request) -> CandleArrays:
    """A mid-price on a tick that hides nothing."""
    return martingale("garch_t", minutes=MINUTES, seed=request.param, character=FINE)


def returns(candles: CandleArrays) -> np.ndarray:
    """One-minute log returns of the closes."""
    return np.diff(np.log(candles.close))


def autocorrelation(values: np.ndarray, lag: int) -> tuple[float, float]:
    """Mean of x[t]·x[t+lag] over the variance, and its standard error whatever the volatility does."""
    products = values[:-lag] * values[lag:]
    scale = np.mean(values * values)
    return float(products.mean() / scale), float(np.sqrt(np.mean(products**2) / len(products)) / scale)


@pytest.mark.parametrize("lag", [1, 2, 5, 15, 60])
def test_mid_returns_have_no_autocorrelation(mid, lag):
    """Returns of the mid-price do not tell the next ones, beyond four standard errors of such volatile returns."""
    value, error = autocorrelation(returns(mid), lag)
    assert abs(value) < 4.0 * error


@pytest.mark.parametrize("what", ["sign", "volume", "wicks", "range"])
def test_the_next_direction_is_a_coin_toss_whatever_is_known(mid, what):
    """Where the last sign, volume, wicks or range is high, rises are as frequent as where it is low."""
    moves = returns(mid)
    known = {
        "sign": np.sign(moves),
        "volume": mid.volume[1:],
        "wicks": (2 * mid.close - mid.high - mid.low)[1:],
        "range": (mid.high - mid.low)[1:] / mid.close[1:],
    }[what]
    up = (moves[1:] > 0.0)[moves[1:] != 0.0]
    high = (known > known.mean())[:-1][moves[1:] != 0.0]
    gap = up[high].mean() - up[~high].mean()
    error = 0.5 * math.sqrt(1.0 / high.sum() + 1.0 / (~high).sum())
    assert abs(gap) < 4.0 * error


@pytest.mark.parametrize("horizon", [1, 15, 240])
def test_rises_are_half_of_the_moves(mid, horizon):
    """The log price is symmetric: at any horizon a rise is as likely as a fall."""
    closes = np.log(mid.close[::horizon])
    moves = np.diff(closes)
    moves = moves[moves != 0.0]
    assert abs((moves > 0.0).mean() - 0.5) < 4.0 * 0.5 / math.sqrt(len(moves))


def test_tails_are_fat_and_volatility_clusters(mid):
    """Extreme minutes are far more frequent than a normal distribution has them, and come together."""
    moves = returns(mid)
    scaled = moves / moves.std()
    assert (scaled**4).mean() > 8.0
    # A normal distribution has 2.7 in a thousand beyond three deviations, and none of 300,000 beyond six.
    assert (np.abs(scaled) > 6.0).sum() > 50
    assert autocorrelation(np.abs(moves) - np.abs(moves).mean(), 30)[0] > 0.03


def test_volatility_has_the_days_pattern(mid):
    """The mean absolute return by hour goes with the pattern of the day."""
    size = np.abs(returns(mid))
    hour = (mid.ts[1:] // MINUTE_MS) % DAY_MINUTES // 60
    measured = np.array([size[hour == number].mean() for number in range(24)])
    pattern = day_pattern().reshape(24, 60).mean(axis=1)
    assert np.corrcoef(measured, pattern)[0, 1] > 0.95
    assert measured.max() > 1.8 * measured.min()


def test_the_deviation_is_what_was_asked_for(mid):
    """A minute's return has about the deviation of the character; jumps and fat tails move it a little."""
    assert returns(mid).std() == pytest.approx(FINE.volatility, rel=0.15)


def test_volume_goes_with_volatility_and_not_with_direction(mid):
    """Wide minutes trade more; rises trade no more than falls."""
    moves = returns(mid)
    volume = mid.volume[1:]
    assert np.corrcoef(np.log(volume), np.log(np.abs(moves) + 1e-6))[0, 1] > 0.2
    assert abs(np.corrcoef(np.log(volume), np.sign(moves))[0, 1]) < 4.0 / math.sqrt(len(moves))


@pytest.mark.parametrize("kind", KINDS)
def test_candles_are_valid_and_on_the_tick(kind):
    """Every candle lies in its range, on whole ticks, minute by minute, and the bot's features accept them."""
    candles = martingale(kind, minutes=20_000, seed=5, start_ms=START_MS + 7 * MINUTE_MS)
    check_candles(candles)
    assert len(candles) == 20_000
    assert candles.ts[0] == START_MS + 7 * MINUTE_MS
    assert set(np.diff(candles.ts)) == {MINUTE_MS}
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    for column in (candles.open, candles.high, candles.low, candles.close):
        assert np.abs(column * 20.0 - np.rint(column * 20.0)).max() < 1e-8
        assert (column == np.round(column, 2)).all()
    assert (candles.high > candles.low).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_candles(kind):
    """A path is a function of kind and seed, and of nothing that was made before it."""
    first = martingale(kind, minutes=3000, seed=11)
    martingale(kind, minutes=50, seed=12)
    again = martingale(kind, minutes=3000, seed=11)
    other = martingale(kind, minutes=3000, seed=12)
    for name in ("ts", "open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.close, other.close)


def test_bounced_closes_return_by_what_the_spread_says():
    """Trades at bid and ask have the lag-1 autocovariance of -(half spread)² (Roll), and none beyond."""
    spread = 3e-4
    character = Character(tick=1e-5, half_spread_bps=3.0)
    moves = returns(martingale("bounce", minutes=MINUTES, seed=4, character=character))
    variance = np.mean(moves * moves)
    value, error = autocorrelation(moves, 1)
    assert value * variance == pytest.approx(-(spread**2), abs=4.0 * error * variance)
    assert value < -0.05
    further, error = autocorrelation(moves, 2)
    assert abs(further) < 4.0 * error


def test_whoever_pays_the_spread_earns_nothing_from_the_bounce():
    """Selling a close at the ask and buying one at the bid loses once both legs pay half the spread at the next open."""
    character = Character(tick=1e-5)
    candles = martingale("bounce", minutes=MINUTES, seed=4, character=character)
    side = -np.sign(np.log(candles.close / candles.open))[:-2]
    gross = side * np.log(candles.open[2:] / candles.open[1:-1])
    traded = side != 0.0
    net = gross[traded] - 2e-4
    error = gross[traded].std() / math.sqrt(traded.sum())
    assert abs(gross[traded].mean()) < 4.0 * error
    assert net.mean() < -4.0 * error


@pytest.mark.parametrize(
    ("kind", "asked", "said"),
    [
        ("walk", {"minutes": 10}, "there is no martingale"),
        ("garch_t", {"minutes": 0}, "at least one minute"),
        ("garch_t", {"minutes": 5, "start_ms": START_MS + 1}, "at a whole one"),
        ("garch_t", {"minutes": 5, "character": Character(price=1.0)}, "the price fell to 20 ticks"),
    ],
)
def test_what_cannot_be_made_is_refused(kind, asked, said):
    """An unknown kind, no minute, a broken start and a price of a few ticks are DataErrors."""
    if said.startswith("the price"):
        with pytest.raises(DataError, match=r"ticks of 0\.05"):
            on_tick(np.array([1.0, 0.9]), 0.05)
        return
    with pytest.raises(DataError, match=said):
        martingale(kind, seed=1, **asked)
