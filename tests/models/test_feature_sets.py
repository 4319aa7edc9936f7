"""What the columns say, against direct formulas."""

from __future__ import annotations

import numpy as np
import pytest

from models import indicators as ta
from models.features import feature_set
from tests.random_candles import random_candles

LAST = 699


@pytest.fixture(scope="module")
def arrays():
    """Candles within one block's reach, so that one anchor serves the last row."""
    return random_candles(700, seed=11)


def test_scalping_columns_follow_their_definitions(arrays) -> None:
    """Volatility, returns, z-scores, lean and time of day equal what plain numpy makes of the definitions."""
    features = feature_set("scalping-v1")
    table = features.compute(arrays)
    row = dict(zip(features.columns, table.matrix[LAST], strict=True))
    log_close = np.log(arrays.close)
    returns = np.diff(log_close)
    short, long = returns[-60:].std(), returns[-240:].std()
    volatility = np.sqrt((short**2 + long**2) / 2)
    position = (2 * arrays.close - arrays.high - arrays.low) / (arrays.high - arrays.low)
    volume = arrays.volume
    minute = arrays.ts[LAST] // 60_000 % 1440
    expected = {
        **{
            f"return_{span}": (log_close[-1] - log_close[-1 - span]) / (volatility * np.sqrt(span))
            for span in (1, 5, 15, 60)
        },
        "log_volatility": np.log(volatility * 1e4),
        "volatility_ratio": np.log(short / long),
        "range_ratio": np.log(arrays.high[-1] / arrays.low[-1]) / volatility,
        "close_position": position[-1],
        "volume_z_60": (volume[-1] - volume[-60:].mean()) / volume[-60:].std(),
        "volume_z_240": (volume[-1] - volume[-240:].mean()) / volume[-240:].std(),
        "volume_imbalance_15": (volume * position)[-15:].sum() / volume[-15:].sum(),
        "volume_imbalance_60": (volume * position)[-60:].sum() / volume[-60:].sum(),
        "bollinger_position": (log_close[-1] - log_close[-20:].mean()) / (2 * log_close[-20:].std()),
        "time_sine": np.sin(2 * np.pi * minute / 1440),
        "time_cosine": np.cos(2 * np.pi * minute / 1440),
    }
    assert table.volatility[LAST] == pytest.approx(volatility, rel=1e-9)
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
    assert set(features.columns) - set(expected) == {
        "macd_line", "macd_signal", "macd_histogram", "atr_ratio", "rsi_14",
    }  # fmt: skip
    assert row["macd_histogram"] == pytest.approx(row["macd_line"] - row["macd_signal"])
    assert -1 < row["rsi_14"] < 1
    assert 0.2 < row["atr_ratio"] < 10


def test_min_max_columns_are_the_usual_indicators(arrays) -> None:
    """RSI, MACD and bands equal TA-Lib's on the prices themselves."""
    features = feature_set("minmax-close-v1")
    row = dict(zip(features.columns, features.compute(arrays).matrix[LAST], strict=True))
    upper, _, lower = ta.BBANDS(arrays.close, 20, 2.0, 2.0, 0)
    assert row["close"] == arrays.close[-1]
    assert row["volume"] == arrays.volume[-1]
    assert row["rsi"] == pytest.approx(ta.RSI(arrays.close, 14)[-1], rel=1e-9)
    assert row["macd"] == pytest.approx(ta.MACD(arrays.close, 12, 26, 9)[0][-1], rel=1e-6)
    assert row["bollinger_upper"] == pytest.approx(upper[-1], rel=1e-9)
    assert row["bollinger_lower"] == pytest.approx(lower[-1], rel=1e-9)


def test_bands_of_a_cheap_coin_have_a_width() -> None:
    """At a price of 1e-5 the bands are as wide, relative to the price, as at 1e5."""
    features = feature_set("minmax-close-v1")
    widths = []
    for price in (1e-5, 1e5):
        row = features.compute(random_candles(300, seed=4, price=price)).matrix[-1]
        widths.append((row[4] - row[5]) / row[0])
    assert widths[0] == pytest.approx(widths[1], rel=1e-6)
    assert widths[0] > 1e-4
