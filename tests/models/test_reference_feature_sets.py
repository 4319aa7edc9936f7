"""What the columns of deep-price and direction say, against direct formulas."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import indicators as ta
from models.candle_arrays import CandleArrays
from models.feature_sets import SCALPING_COLUMNS
from models.features import feature_set
from models.reference_feature_sets import relative_strength
from tests.random_candles import random_candles

LAST = 699


@pytest.fixture(scope="module")
def arrays() -> CandleArrays:
    """Candles within one block's reach, so that one anchor serves the last row."""
    return random_candles(700, seed=12)


def last_row(tag: str, arrays: CandleArrays) -> dict[str, float]:
    """The newest row of a feature set, by column."""
    features = feature_set(tag)
    return dict(zip(features.columns, features.compute(arrays).matrix[-1].tolist(), strict=True))


def volatility_of(arrays: CandleArrays) -> float:
    """The causal volatility at the newest candle, as documented."""
    returns = np.diff(np.log(arrays.close))
    return float(np.sqrt((returns[-60:].std() ** 2 + returns[-240:].std() ** 2) / 2))


def plain_ema(values: np.ndarray, period: int) -> float:
    """An exponential mean started at the plain mean of its first ``period`` values."""
    mean = values[:period].mean()
    for value in values[period:]:
        mean += (value - mean) * 2.0 / (period + 1)
    return float(mean)


def wilder(values: np.ndarray, period: int) -> float:
    """Wilder's mean, started at the plain mean of its first ``period`` values."""
    mean = values[:period].mean()
    for value in values[period:]:
        mean += (value - mean) / period
    return float(mean)


def plain_rsi(log_close: np.ndarray, period: int) -> float:
    """RSI from -1 to 1 by its definition."""
    moves = np.diff(log_close)
    gain, loss = wilder(np.maximum(moves, 0.0), period), wilder(np.maximum(-moves, 0.0), period)
    return (gain - loss) / (gain + loss)


def position(arrays: CandleArrays, period: int) -> float:
    """Where the newest close lies in the range of the newest ``period`` candles."""
    low, high = arrays.low[-period:].min(), arrays.high[-period:].max()
    return float(2.0 * (arrays.close[-1] - low) / (high - low) - 1.0)


def flat_after(arrays: CandleArrays, start: int) -> CandleArrays:
    """The same candles, with no trade and no move from index ``start`` on."""
    level = arrays.close[start]
    prices = {}
    for name in ("open", "high", "low", "close"):
        prices[name] = getattr(arrays, name).copy()
        prices[name][start:] = level
    volume = arrays.volume.copy()
    volume[start:] = 0.0
    return dataclasses.replace(arrays, volume=volume, **prices)


def test_deep_price_has_thirty_two_columns_of_which_twenty_are_scalping(arrays) -> None:
    """The names are 32 different ones, and the first twenty columns equal scalping's to the bit."""
    deep, scalping = feature_set("deep-price-v1"), feature_set("scalping-v1")
    assert len(set(deep.columns)) == len(deep.columns) == 32
    assert deep.columns[:20] == SCALPING_COLUMNS
    np.testing.assert_array_equal(deep.compute(arrays).matrix[:, :20], scalping.compute(arrays).matrix)


def test_deep_price_columns_follow_their_definitions(arrays) -> None:
    """Each of the twelve further columns equals what plain numpy makes of its definition."""
    row, volatility = last_row("deep-price-v1", arrays), volatility_of(arrays)
    log_close = np.log(arrays.close)
    body = np.sort([arrays.open[-1], arrays.close[-1]])
    # The anchor of the last row's block, where recursions start.
    start = LAST - (int(arrays.ts[LAST]) // 60_000 % 240) - 480
    since = log_close[max(start, 0) :]
    expected = {
        **{
            f"return_{span}": (log_close[-1] - log_close[-1 - span]) / (volatility * np.sqrt(span))
            for span in (2, 3, 10, 30, 120)
        },
        "ema_spread_9_21": (plain_ema(since, 9) - plain_ema(since, 21)) / volatility,
        "mean_distance_50": (log_close[-1] - log_close[-50:].mean()) / volatility,
        "upper_shadow": np.log(arrays.high[-1] / body[1]) / volatility,
        "lower_shadow": np.log(body[0] / arrays.low[-1]) / volatility,
        "rsi_7": plain_rsi(since, 7),
        "stochastic_14": position(arrays, 14),
        "range_position_60": position(arrays, 60),
    }
    assert tuple(expected) == feature_set("deep-price-v1").columns[20:]
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_direction_columns_follow_their_definitions(arrays) -> None:
    """Each of the nine columns equals what plain numpy makes of its definition."""
    row, volatility = last_row("direction-v1", arrays), volatility_of(arrays)
    close, volume = arrays.close, arrays.volume
    log_close = np.log(close)
    since = log_close[max(LAST - (int(arrays.ts[LAST]) // 60_000 % 240) - 480, 0) :]
    lower = log_close[-20:].mean() - 2 * log_close[-20:].std()
    expected = {
        "return_1": (close[-1] / close[-2] - 1.0) / volatility,
        "volume_change": np.tanh(0.5 * np.log(volume[-1] / volume[-2])),
        "rsi": plain_rsi(since, 14),
        "macd": (plain_ema(since, 12) - plain_ema(since, 26)) / volatility,
        "bollinger_position": (log_close[-1] - lower) / (4 * log_close[-20:].std()),
        **{
            name: np.log(getattr(arrays, name)[-1] / close[-1]) / volatility
            for name in ("open", "high", "low")
        },
        "volume_z_60": (volume[-1] - volume[-60:].mean()) / volume[-60:].std(),
    }
    assert tuple(expected) == feature_set("direction-v1").columns
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize("quiet", [300, 700])
def test_a_market_that_stands_still_is_neutral(quiet: int) -> None:
    """After five still hours nothing points up or down, whatever the prices were before them."""
    still = flat_after(random_candles(1200, seed=7, price=1e-5), 1200 - quiet)
    direction, deep = last_row("direction-v1", still), last_row("deep-price-v1", still)
    for name in ("return_1", "volume_change", "open", "high", "low", "volume_z_60"):
        assert direction[name] == 0.0, name
    assert direction["bollinger_position"] == 0.5
    assert direction["macd"] == pytest.approx(0.0, abs=1e-3)
    for name in ("upper_shadow", "lower_shadow", "stochastic_14", "range_position_60", "return_120"):
        assert deep[name] == 0.0, name
    assert deep["mean_distance_50"] == pytest.approx(0.0, abs=1e-6)


def test_relative_strength_is_neutral_only_where_nothing_moves() -> None:
    """No move is 0, nothing but falls is -1, nothing but rises is 1, and 14 still minutes after falls are 0 again."""
    fall = np.linspace(0.0, -100.0, 60)
    assert relative_strength(np.zeros(60), 14)[-1] == 0.0
    assert relative_strength(fall, 14)[-1] == -1.0
    assert relative_strength(-fall, 14)[-1] == 1.0
    assert relative_strength(np.concatenate([fall, np.full(15, -100.0)]), 14)[-1] == 0.0
    assert np.isnan(relative_strength(np.zeros(60), 14)[:14]).all()


def test_volume_from_nothing_and_to_nothing() -> None:
    """Volume after none is a change of 1, none after volume one of -1, none after none 0: no division by zero."""
    arrays = random_candles(500, seed=2)
    volume = arrays.volume.copy()
    volume[490:493] = 0.0
    features = feature_set("direction-v1")
    table = features.compute(dataclasses.replace(arrays, volume=volume))
    change = table.matrix[490:494, features.columns.index("volume_change")]
    assert change.tolist() == [-1.0, 0.0, 0.0, 1.0]


def test_a_burst_leaves_no_trace_in_still_volume() -> None:
    """An hour without trades after a burst of 1e12 has a z-score of 0, though running sums are not back at 0."""
    arrays = random_candles(700, seed=3)
    volume = np.zeros(700)
    volume[600:620] = arrays.volume[600:620] * 1e12
    features = feature_set("direction-v1")
    table = features.compute(dataclasses.replace(arrays, volume=volume))
    assert table.matrix[690, features.columns.index("volume_z_60")] == 0.0
    assert table.valid[690]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    quiet=st.sampled_from([0.0, 0.3, 0.9, 0.99, 1.0]),
    jump=st.sampled_from([1.0, 0.5, 1.0001, 30.0]),
    price=st.sampled_from([1e-8, 1e-5, 1.0, 1e5]),
)
def test_bounded_columns_stay_within_their_bounds(seed: int, quiet: float, jump: float, price: float) -> None:
    """Jumps, stillness and any price level leave every row finite and every bounded column within its bounds."""
    arrays = random_candles(700, seed=seed, price=price, quiet_share=quiet)
    factor = np.where(np.arange(700) < 500, 1.0, jump)
    prices = {name: getattr(arrays, name) * factor for name in ("open", "high", "low", "close")}
    arrays = dataclasses.replace(arrays, **prices)
    bounds = {
        "direction-v1": {
            "return_1": (-10.0, 10.0),
            "volume_change": (-1.0, 1.0),
            "rsi": (-1.0, 1.0),
            "bollinger_position": (-1.0, 2.0),
            "high": (-1e-9, np.inf),
            "low": (-np.inf, 1e-9),
            "volume_z_60": (-10.0, 10.0),
        },
        "deep-price-v1": {
            "rsi_7": (-1.0, 1.0),
            "stochastic_14": (-1.0, 1.0),
            "range_position_60": (-1.0, 1.0),
            "upper_shadow": (0.0, np.inf),
            "lower_shadow": (0.0, np.inf),
        },
    }
    for tag, limits in bounds.items():
        features = feature_set(tag)
        table = features.compute(arrays)
        assert table.valid[240:].all()
        for name, (least, most) in limits.items():
            column = table.matrix[240:, features.columns.index(name)]
            assert column.min() >= least, (tag, name)
            assert column.max() <= most, (tag, name)


@pytest.mark.parametrize("rising", [True, False])
def test_shadows_begin_at_the_candles_own_body(rising: bool) -> None:
    """In a rising candle the upper shadow begins at the close, in a falling one at the open."""
    arrays = random_candles(400, seed=9)
    close = float(arrays.close[-1])
    other = close * (0.999 if rising else 1.001)
    top, bottom = max(close, other), min(close, other)
    last = {"open": other, "high": top * 1.002, "low": bottom / 1.003}
    prices = {name: np.append(getattr(arrays, name)[:-1], value) for name, value in last.items()}
    row, volatility = last_row("deep-price-v1", dataclasses.replace(arrays, **prices)), volatility_of(arrays)
    assert row["upper_shadow"] == pytest.approx(np.log(1.002) / volatility, rel=1e-9)
    assert row["lower_shadow"] == pytest.approx(np.log(1.003) / volatility, rel=1e-9)


def test_moving_averages_start_at_the_anchor(arrays) -> None:
    """TA-Lib's EMA from the anchor is what the spread is made of, to the bit."""
    start = max(LAST - (int(arrays.ts[LAST]) // 60_000 % 240) - 480, 0)
    close = ta.LN(arrays.close[start:] / arrays.close[start]) * 1e4
    spread = ta.EMA(close, 9)[-1] - ta.EMA(close, 21)[-1]
    volatility = feature_set("deep-price-v1").compute(arrays).volatility[-1]
    assert last_row("deep-price-v1", arrays)["ema_spread_9_21"] == spread / (volatility * 1e4)
