"""A model's words about a time: those that it would have said live, and what is known of what came."""

from __future__ import annotations

import numpy as np
import pytest

from bot.core.market import MINUTE_MS
from bot.inference import predict_series
from bot.retraining.served_words import ModelWords, Words, words_of
from models.candle_arrays import CandleArrays
from tests.random_market import START_MS, random_candles
from tests.tiny_model import write_tiny_model

SYMBOL = "BTC/USDT:USDT"
CANDLES = random_candles(5, 3000, gaps=False)
FROM, UNTIL = START_MS + 1500 * MINUTE_MS, START_MS + 1800 * MINUTE_MS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small model."""
    return write_tiny_model(tmp_path_factory.mktemp("models"))


def test_the_words_are_those_of_the_whole_series(folder):
    """Asked about five hours, a model says to the last bit what it says of the same minutes in a longer series."""
    whole = predict_series(folder, SYMBOL, CANDLES)
    within = (whole.ts >= FROM) & (whole.ts < UNTIL)
    found = words_of(folder, {SYMBOL: CANDLES}, FROM, UNTIL).by_symbol[SYMBOL]
    np.testing.assert_array_equal(found.ts, whole.ts[within])
    for name in ("expected_return", "probability_up", "raw", "uncertainty", "volatility"):
        np.testing.assert_array_equal(found.columns[name], getattr(whole, name)[within])
    assert len(found.ts) == len(found.due) == 300
    assert found.rows.shape[0] == 0


def test_what_came_is_known_as_far_as_the_candles_reach(folder):
    """The return over the horizon, NaN where the candles end before it."""
    cut = CANDLES.between(0, UNTIL)
    found = words_of(folder, {SYMBOL: cut}, FROM, UNTIL, rows=True).by_symbol[SYMBOL]
    place = np.searchsorted(cut.ts, found.ts)
    known = np.isfinite(found.realized)
    np.testing.assert_array_equal(known, found.ts + 15 * MINUTE_MS < UNTIL)
    came = np.log(cut.close[place[known] + 15] / cut.close[place[known]])
    np.testing.assert_allclose(found.realized[known], came)
    assert found.rows.shape == (300, 20)


def test_after_a_gap_a_minute_is_due_before_a_daemon_counts_it(folder):
    """Whole windows come back before the history is as long as the watch asks for."""
    gap = CANDLES.ts == START_MS + 1400 * MINUTE_MS
    columns = (getattr(CANDLES, name)[~gap] for name in ("ts", "open", "high", "low", "close", "volume"))
    holed = CandleArrays(*columns)
    late = START_MS + 2600 * MINUTE_MS
    found = words_of(folder, {SYMBOL: holed}, FROM, late).by_symbol[SYMBOL]
    assert len(found.due) < (late - FROM) // MINUTE_MS
    first_due, first_long = int(found.due[0]), int(found.due[found.long][0])
    assert FROM < first_due < first_long
    assert found.long[-1]


def test_a_time_without_candles_has_no_words(folder):
    """Beyond the end of the candles nothing is said, and there is no gain to tell."""
    found = words_of(folder, {SYMBOL: CANDLES.between(0, FROM)}, FROM, UNTIL)
    assert len(found.by_symbol[SYMBOL].ts) == 0
    assert found.gain_millinats is None


def test_the_gain_is_over_the_base_rate():
    """Even odds gain nothing over even odds; knowing the direction gains, and ties do not count."""

    def said(probability, realized):
        size = len(realized)
        columns = {"probability_up": np.array(probability, float)}
        ts = np.arange(size, dtype=np.int64) * MINUTE_MS
        one = Words(
            ts, columns, ts, np.array(realized, float), np.ones(size, bool), np.zeros((0, 1), np.float32)
        )
        return ModelWords("m", 1, 0.5, {SYMBOL: one}).gain_millinats

    assert said([0.5, 0.5], [0.01, -0.01]) == pytest.approx(0.0)
    assert said([0.6, 0.4, 0.9], [0.01, -0.01, 0.0]) == pytest.approx(1000 * np.log(0.6 / 0.5))
    assert said([0.4], [0.01]) < 0.0
