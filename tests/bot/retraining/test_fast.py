"""The quick model: refitted weekly on what lies before, through the same slices, calibration and baselines."""

import numpy as np
import pytest

from bot.audits.planted import planted
from bot.retraining.fast import FastLearner
from bot.retraining.scored import WEEK_MS
from models.candle_arrays import CandleArrays
from models.evaluation import log_loss

TRAIN_MINUTES = 4 * 10_080
CANDLES = planted(0.55, minutes=780 + TRAIN_MINUTES + 2 * 10_080, seed=3)
START_MS = int(CANDLES.ts[0]) + (780 + TRAIN_MINUTES) * 60_000


def _altered(candles: CandleArrays, since_ms: int) -> CandleArrays:
    """The same candles up to a moment, and others from then on."""
    later = candles.ts >= since_ms
    factor = np.where(later, 1.0 + 0.01 * np.sin(np.arange(len(candles))), 1.0)
    return CandleArrays(
        candles.ts,
        candles.open * factor,
        candles.high * factor,
        candles.low * factor,
        candles.close * factor,
        np.where(later, 7.0, candles.volume),
    )


@pytest.fixture(scope="module")
def learner() -> FastLearner:
    """One learner for all tests that do not change it."""
    return FastLearner({"BTC/USDT": CANDLES}, horizon=15, train_minutes=TRAIN_MINUTES)


def test_it_finds_a_planted_edge_that_the_newest_row_does_not_show(learner):
    """Out of sample its log loss is below that of every baseline, and its forecasts have the sign of what comes."""
    week = learner.week(START_MS)
    scored = week.scored
    loss = log_loss(week.probability[scored], week.realized[scored]).mean()
    for name, said in week.baselines.items():
        assert loss < log_loss(said[scored], week.realized[scored]).mean() - 0.001, name
    assert len(week) == 10_080
    assert (week.ts >= START_MS).all()
    assert (week.ts < START_MS + WEEK_MS).all()
    assert np.isfinite(week.uncertainty).all()


def test_candles_of_the_week_and_after_change_nothing_of_the_fit():
    """What a week's model says of its first minute is the same whatever comes from the second on."""
    whole = FastLearner({"A": CANDLES}, horizon=15, train_minutes=TRAIN_MINUTES)
    other = FastLearner({"A": _altered(CANDLES, START_MS + 60_000)}, horizon=15, train_minutes=TRAIN_MINUTES)
    until = START_MS + 60_000
    first, second = whole.week(START_MS, until_ms=until), other.week(START_MS, until_ms=until)
    assert len(first) == 1
    for name in ("probability", "expected", "uncertainty"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for name, said in first.baselines.items():
        np.testing.assert_array_equal(said, second.baselines[name])


def test_a_minute_of_the_train_slice_changes_the_fit():
    """The test above can fail: a change before the week does change what is said."""
    whole = FastLearner({"A": CANDLES}, horizon=15, train_minutes=TRAIN_MINUTES)
    other = FastLearner(
        {"A": _altered(CANDLES, START_MS - 20_000 * 60_000)}, horizon=15, train_minutes=TRAIN_MINUTES
    )
    until = START_MS + 60_000
    assert (
        whole.week(START_MS, until_ms=until).probability != other.week(START_MS, until_ms=until).probability
    )


def test_symbols_share_one_model_and_keep_their_rows(learner):
    """Two symbols are forecast together, each minute of each once, in order of name."""
    other = planted(0.55, minutes=len(CANDLES), seed=4)
    both = FastLearner({"B": other, "A": CANDLES}, horizon=15, train_minutes=TRAIN_MINUTES)
    week = both.week(START_MS)
    assert week.symbols == ("A", "B")
    assert (np.diff(week.moments) > 0).all()
    np.testing.assert_array_equal(week.fill[week.symbol == 0], learner.week(START_MS).fill)


def test_a_gap_is_not_forecast_over():
    """Windows that reach over a gap are left out; the rest goes on."""
    kept = np.ones(len(CANDLES), np.bool_)
    hole = np.searchsorted(CANDLES.ts, START_MS + 500 * 60_000)
    kept[hole : hole + 30] = False
    gapped = CandleArrays(
        CANDLES.ts[kept],
        CANDLES.open[kept],
        CANDLES.high[kept],
        CANDLES.low[kept],
        CANDLES.close[kept],
        CANDLES.volume[kept],
    )
    week = FastLearner({"A": gapped}, horizon=15, train_minutes=TRAIN_MINUTES).week(START_MS)
    minutes = (week.ts - START_MS) // 60_000
    assert 0 < len(week) < 10_080
    # The last forecast before the gap has its label before it; the next comes when the features have warmed up.
    assert not ((minutes > 485 - 1) & (minutes < 530 + 240)).any()
