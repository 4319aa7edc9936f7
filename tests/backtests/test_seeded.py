"""Seeded predictions are a function of seed, symbol and minute, and make trades."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backtests.seeded import VOLATILITY_MINUTES, seeded_predictions
from bot.core.market import MINUTE_MS
from tests.random_market import random_candles


def test_the_same_seed_gives_the_same_and_another_does_not():
    """Seed and symbol make the numbers; the same ones make the same."""
    arrays = random_candles(1, 500)
    one = seeded_predictions("BTC/USDT", arrays, 4).expected_return
    assert (one == seeded_predictions("BTC/USDT", arrays, 4).expected_return).all()
    assert (one != seeded_predictions("BTC/USDT", arrays, 5).expected_return).mean() > 0.9
    assert (one != seeded_predictions("ETH/USDT", arrays, 4).expected_return).mean() > 0.9


def test_where_a_tape_begins_changes_no_later_prediction():
    """Once an hour has passed, a stretch has the predictions that the whole has."""
    arrays = random_candles(2, 4000)
    whole = seeded_predictions("BTC/USDT", arrays, 4).expected_return
    part = seeded_predictions("BTC/USDT", arrays.rows(1000, 3000), 4).expected_return
    np.testing.assert_array_equal(part[VOLATILITY_MINUTES:], whole[1000 + VOLATILITY_MINUTES : 3000])


def test_a_later_candle_changes_no_earlier_prediction():
    """The volatility that scales a prediction is that of the candles up to its own."""
    arrays = random_candles(3, 1000)
    whole = seeded_predictions("BTC/USDT", arrays, 4).expected_return
    cut = seeded_predictions("BTC/USDT", arrays.rows(0, 500), 4).expected_return
    np.testing.assert_array_equal(cut, whole[:500])


def test_every_candle_has_a_rounded_prediction_of_the_size_of_its_volatility():
    """There is one for each candle, on 1e-6, centred on zero and wider in a wilder market."""
    calm = random_candles(5, 8000)
    open_, high, low, close = (100 * (c / 100) ** 4 for c in (calm.open, calm.high, calm.low, calm.close))
    wild = replace(calm, open=open_, high=high, low=low, close=close)
    narrow, wide = (seeded_predictions("X/USDT", arrays, 1) for arrays in (calm, wild))
    assert (narrow.ts == calm.ts).all()
    assert np.isfinite(narrow.expected_return).all()
    assert (np.round(narrow.expected_return, 6) == narrow.expected_return).all()
    assert abs(narrow.expected_return.mean()) < 0.1 * narrow.expected_return.std()
    assert wide.expected_return.std() > 3 * narrow.expected_return.std()
    assert (np.diff(narrow.ts) % MINUTE_MS == 0).all()
