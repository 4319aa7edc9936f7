"""The LSTM of an audit: it learns a planted edge from windows, and knows nothing of the week that it forecasts."""

import numpy as np
import pytest

from bot.audits.lstm import LstmLearner
from bot.audits.planted import planted
from models.candle_arrays import CandleArrays
from models.log_loss import log_loss

pytestmark = pytest.mark.training

TRAIN_MINUTES = 3 * 10_080
CANDLES = planted(0.58, minutes=780 + TRAIN_MINUTES + 10_080 + 60, seed=9)
START_MS = int(CANDLES.ts[0]) + (780 + TRAIN_MINUTES) * 60_000


def _learner(candles: CandleArrays) -> LstmLearner:
    return LstmLearner({"A": candles}, seed=3, horizon=15, train_minutes=TRAIN_MINUTES)


def test_it_gains_over_the_base_rate_out_of_sample_and_is_no_wiser_for_the_future():
    """A week is forecast better than by the base rate, and other candles in it change no first forecast."""
    learner = _learner(CANDLES)
    week = learner.week(START_MS)
    scored = week.scored
    gain = log_loss(week.baselines["base_rate"][scored], week.realized[scored]) - log_loss(
        week.probability[scored], week.realized[scored]
    )
    assert gain.mean() > 0.005
    later = CANDLES.ts > START_MS
    other = CandleArrays(
        CANDLES.ts,
        np.where(later, CANDLES.open * 1.01, CANDLES.open),
        np.where(later, CANDLES.high * 1.01, CANDLES.high),
        np.where(later, CANDLES.low * 1.01, CANDLES.low),
        np.where(later, CANDLES.close * 1.01, CANDLES.close),
        CANDLES.volume,
    )
    changed = _learner(other).week(START_MS, until_ms=START_MS + 60_000)
    assert changed.probability[0] == pytest.approx(week.probability[0], abs=1e-6)
