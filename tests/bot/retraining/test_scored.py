"""Scored weeks: pooled in order, kept in files, and priced at the open that an order could have had."""

import numpy as np
import pytest

from bot.errors import DataError
from bot.retraining.scored import fill_prices, from_parquet, pooled, to_parquet
from models.candle_arrays import CandleArrays
from tests.scored_weeks import scored_week


def test_a_file_gives_back_the_week():
    """What was written is read back, to the bit and with its baselines."""
    week = scored_week(0, minutes=50, symbols=("A/USDT", "B/USDT"))
    again = from_parquet(to_parquet(week), "here")
    assert (again.start_ms, again.horizon, again.symbols) == (week.start_ms, week.horizon, week.symbols)
    for name in ("ts", "symbol", "realized", "probability", "expected", "uncertainty", "fill", "late_fill"):
        np.testing.assert_array_equal(getattr(again, name), getattr(week, name))
    assert set(again.baselines) == set(week.baselines)


@pytest.mark.parametrize("content", [b"", b"PAR1", to_parquet(scored_week(0, minutes=9))[:-20]])
def test_a_damaged_file_is_refused(content):
    """A file that is no week is refused with its name."""
    with pytest.raises(DataError, match=r"week\.parquet"):
        from_parquet(content, "week.parquet")


def test_weeks_are_pooled_in_order_of_symbol_and_time():
    """A pool has all rows of its weeks, by symbol and then by time."""
    weeks = [scored_week(number, minutes=30, symbols=("A/USDT", "B/USDT")) for number in (1, 0)]
    pool = pooled(weeks)
    assert len(pool) == 120
    assert (np.diff(pool.moments) > 0).all()
    assert pool.start_ms == weeks[1].start_ms
    first = pool.moments == weeks[0].moments[40]
    assert pool.probability[first] == weeks[0].probability[40]


def test_unlike_weeks_are_not_pooled():
    """Weeks of different horizons or symbols, or none at all, make no pool."""
    with pytest.raises(DataError):
        pooled([scored_week(0, minutes=9), scored_week(1, minutes=9, horizon=3)])
    with pytest.raises(DataError):
        pooled([scored_week(0, minutes=9), scored_week(1, minutes=9, symbols=("B/USDT",))])
    with pytest.raises(DataError):
        pooled([])


def test_an_order_is_filled_at_the_next_open_and_never_over_a_gap():
    """The fill is the open so many minutes on; where a minute is missing there is none."""
    ts = np.array([0, 1, 2, 4, 5], np.int64) * 60_000
    price = np.arange(10.0, 15.0)
    candles = CandleArrays(ts, price, price, price, price, price)
    np.testing.assert_array_equal(fill_prices(candles, 1), [11, 12, np.nan, 14, np.nan])
    np.testing.assert_array_equal(fill_prices(candles, 2), [12, np.nan, np.nan, np.nan, np.nan])


def test_only_forecasts_with_a_move_are_scored():
    """Ties, unknown outcomes and abstentions do not count."""
    week = scored_week(0, minutes=5)
    week.realized[0], week.realized[1], week.probability[2] = 0.0, np.nan, np.nan
    assert week.scored.tolist() == [False, False, False, True, True]
