"""Another future alters everything behind a moment, and nothing before it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.audits.causality_alter import (
    KINDS,
    copied,
    cut_off,
    delisted,
    hole_moments,
    moved,
    updates_of,
    with_another_future,
    with_holes,
)
from models.features import check_candles
from tests.leaky_pipelines import MINUTE, small_market

COLUMNS = ("open", "high", "low", "close", "volume")
MARKET = small_market(4, minutes=300)
FIRST = min(int(candles.ts[0]) for candles in MARKET.values())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300), st.sampled_from([0, 30_000]), st.sampled_from(KINDS), st.integers(0, 99))
def test_every_later_candle_is_altered_and_no_earlier_one(minute, within, kind, seed):
    """Candles that closed by the moment keep their bits; of all others every price and volume is another one."""
    moment = FIRST + minute * MINUTE + within
    made = with_another_future(MARKET, moment, np.random.default_rng(seed), kind=kind)
    for symbol, candles in MARKET.items():
        later = candles.ts + MINUTE > moment
        other = made[symbol]
        assert np.array_equal(other.ts, candles.ts)
        check_candles(other)
        assert (other.high >= np.maximum(other.open, other.close)).all()
        assert (other.low <= np.minimum(other.open, other.close)).all()
        for name in COLUMNS:
            one, two = getattr(candles, name), getattr(other, name)
            assert np.array_equal(one[~later], two[~later])
            under_way = (candles.ts < moment) & later
            altered = later & ~under_way if name == "open" else later
            assert (one != two)[altered].all()


def test_the_open_of_the_bar_under_way_stays():
    """In the middle of a minute that minute's open is known already, and stays."""
    symbol, candles = next(iter(MARKET.items()))
    moment = int(candles.ts[40]) + 30_000
    made = with_another_future(MARKET, moment, np.random.default_rng(1))[symbol]
    assert made.open[40] == candles.open[40]
    assert made.close[40] != candles.close[40]


def test_what_is_cut_off_ends_at_the_moment():
    """A prefix holds the candles that had closed, and leaves out a symbol that had none."""
    moment = FIRST + 50 * MINUTE
    cut = cut_off(MARKET, moment)
    assert all(candles.ts[-1] + MINUTE <= moment for candles in cut.values())
    assert cut_off(MARKET, FIRST) == {}


def test_a_delisted_symbol_keeps_its_past_and_the_others_keep_everything():
    """Only the future of the one symbol is gone."""
    moment = FIRST + 100 * MINUTE
    made = delisted(MARKET, "AAA/USDT", moment)
    assert made["AAA/USDT"].ts[-1] + MINUTE == moment
    assert np.array_equal(made["BBB/USDT"].close, MARKET["BBB/USDT"].close)


def test_copies_share_no_memory():
    """A pipeline may write into what it is given."""
    for made in (copied(MARKET), moved(MARKET, 0), with_another_future(MARKET, 0, np.random.default_rng(1))):
        for symbol, candles in made.items():
            candles.close[:] = 0.0
            assert (MARKET[symbol].close > 0.0).all()


def test_holes_are_found_in_their_middle():
    """The moment of a gap lies behind the last candle before it and before the first one after it."""
    moments = hole_moments(MARKET)
    assert len(moments)
    for moment in moments.tolist():
        inside = [
            (candles.ts[place] + MINUTE <= moment < candles.ts[place + 1])
            for candles in MARKET.values()
            for place in np.flatnonzero(np.diff(candles.ts) > MINUTE)
        ]
        assert any(inside)


def test_a_market_gets_holes_and_keeps_its_ends():
    """Some minutes go, first and last stay, and the same seed takes the same."""
    whole = small_market(1, minutes=900)
    made = with_holes(whole, np.random.default_rng(2))
    again = with_holes(whole, np.random.default_rng(2))
    for symbol, candles in whole.items():
        assert len(made[symbol]) < len(candles)
        assert (made[symbol].ts[0], made[symbol].ts[-1]) == (candles.ts[0], candles.ts[-1])
        assert np.array_equal(made[symbol].ts, again[symbol].ts)


@pytest.mark.parametrize("flagged", [True, False])
def test_unfinished_bars_do_not_know_how_they_end(flagged):
    """Updates before a moment are the same whatever comes after it, and only the last of a minute is its candle."""
    until = FIRST + 80 * MINUTE
    moment = FIRST + 60 * MINUTE + 30_000
    other = with_another_future(MARKET, moment, np.random.default_rng(3))
    one, two = (list(updates_of(market, until, flagged=flagged)) for market in (MARKET, other))
    # Finished bars of the minute under way differ: they are told after the moment.
    early = [update for update in one if update.opened_at_ms <= moment - MINUTE]
    assert early == two[: len(early)]
    unfinished = [update for update in one if not update.closed and update.opened_at_ms <= moment]
    if flagged:
        assert unfinished == [update for update in two if not update.closed and update.opened_at_ms <= moment]
        closes = {(u.symbol, u.opened_at_ms): u.close for u in one if u.closed}
        for symbol, candles in MARKET.items():
            for ts, close in zip(candles.ts.tolist(), candles.close.tolist(), strict=True):
                if ts + MINUTE <= until:
                    assert closes[symbol, ts] == close
    else:
        assert all(update.closed is None for update in one)
