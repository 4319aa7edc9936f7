"""Our ledger and our brackets held against other people's, on real months: every trade equal, or explained by a rule.

``pytest tests/backtests/test_agreement.py -rP`` prints how many trades each rule explains; docs/backtesting.md has the table.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from bot.candles.rawrows import time_ms
from bot.candles.store import read_candles
from models.candle_arrays import CandleArrays
from tests.agreement import (
    AFTER_HOLE,
    BUSY,
    CANCELED,
    EQUAL,
    EXIT_MOVED,
    HALF_TICK,
    REFUSED,
    RoundTrip,
    Trader,
    as_round_trip,
    classified,
    counted,
    is_equal,
    our_trades,
    situations,
    with_holes,
)
from tests.agreement_peers import backtesting_trades, backtrader_trades
from tests.shared_data import candle_file

TAPE = "binance-BTCUSDT-1m-2021-04-01_2021-07-31.parquet"
LEAST_TRADES = 100
BRACKET = {
    "stop_loss": 0.002,
    "take_profit": 0.003,
    "hold_minutes": 30,
    "lot": 1.0,
    "cash": 1e9,
    "most_notional": 2e7,
}


def candles(since: str, until: str) -> CandleArrays:
    """Real candles of a time; a skip where there are none."""
    return read_candles(candle_file(TAPE)).between(time_ms(since), time_ms(until))


def compared(
    trader: Trader, peer: Callable[[Trader], list[RoundTrip]], *allowed: str
) -> tuple[dict[str, int], Counter[str]]:
    """Run both, and demand that each trade is equal or explained by one of the rules allowed.

    Returns trades by rule, and what happened to ours.
    """
    ours = our_trades(trader)
    found = classified(trader, map(as_round_trip, ours), peer(trader))
    counts = counted(found)
    seen = situations(trader, ours)
    sys.stdout.write(f"{peer.__name__}: {counts}; of ours {dict(seen)}\n")
    assert found.get("", []) == [], counts
    assert set(counts) <= {EQUAL, *allowed}
    return counts, seen


def test_the_ledger_is_backtraders_own_for_market_orders():
    """On a month without a hole every price, fee and profit equals BackBroker's, and so do the sizes of growing equity."""
    counts, _ = compared(Trader.on(candles("2021-05-01", "2021-06-01"), 1, moved=0.00015), backtrader_trades)
    assert counts[EQUAL] >= LEAST_TRADES


def test_backtrader_knows_no_holes_in_a_tape():
    """Where minutes are missing the two differ by our rules of holes alone, and agree again after them."""
    arrays = candles("2021-04-19", "2021-04-27")
    trader = Trader.on(arrays, 2, moved=0.00015, most_notional=20_000.0)
    counts, _ = compared(trader, backtrader_trades, AFTER_HOLE, CANCELED, BUSY)
    assert counts[EQUAL] >= LEAST_TRADES
    assert counts[AFTER_HOLE] > 0


def test_brackets_are_those_of_backtesting_py():
    """Stops and targets fill in the same bars at the same prices, also where one bar touches both and in the entry's bar."""
    trader = Trader.on(candles("2021-05-01", "2021-06-01"), 1, every=23, **BRACKET)
    counts, seen = compared(trader, backtesting_trades, REFUSED, BUSY, HALF_TICK)
    assert counts[EQUAL] >= LEAST_TRADES
    assert min(seen["stop_loss"], seen["take_profit"], seen["held_long_enough"]) >= 10
    assert seen["both levels in one bar"] >= 10
    assert seen["in the bar of the entry"] >= LEAST_TRADES


def test_backtesting_py_pays_no_spread_on_the_way_out():
    """With a spread the entries are equal, and the exits differ by exactly the half spread that ours pay."""
    trader = Trader.on(candles("2021-05-15", "2021-05-25"), 3, every=11, moved=0.0001, **BRACKET)
    counts, _ = compared(trader, backtesting_trades, EXIT_MOVED, REFUSED, BUSY, HALF_TICK)
    assert counts[EXIT_MOVED] >= LEAST_TRADES
    assert EQUAL not in counts


def test_gaps_over_a_level_fill_at_the_open_in_both():
    """Bars that open beyond a stop or a target fill there; what our rules of holes make different is told apart."""
    arrays = with_holes(candles("2021-04-08", "2021-04-21"), every=300, length=7)
    trader = Trader.on(arrays, 2, every=3, **BRACKET)
    counts, seen = compared(trader, backtesting_trades, AFTER_HOLE, CANCELED, REFUSED, BUSY, HALF_TICK)
    assert counts[EQUAL] >= LEAST_TRADES
    assert seen["a gap over the level"] >= 3


ONE = RoundTrip(600_000, "long", 100.0, 660_000, 101.0, 2.0, 0.1, 1.9)


@pytest.mark.parametrize(
    "change",
    [
        {"exit_price": 101.0 * (1 + 1e-8)},
        {"entry_price": 100.000001},
        {"quantity": 2.00001},
        {"fees": 0.1000001},
        {"pnl": 1.900001},
        {"exit_ms": 720_000},
        {"direction": "short"},
    ],
)
def test_a_difference_is_not_taken_for_equality(change):
    """A trade that differs in any field beyond the last digits is not equal, and stays unexplained on a whole tape."""
    other = ONE._replace(**change)
    assert is_equal(ONE, ONE)
    assert not is_equal(ONE, other)
    ts = np.arange(0, 6_000_000, 60_000, dtype=np.int64)
    flat = np.full(len(ts), 100.0)
    trader = Trader(CandleArrays(ts, flat, flat, flat, flat, flat), np.zeros(len(ts)))
    assert list(classified(trader, [ONE], [other])) == [""]
    assert list(classified(trader, [ONE], [])) == [""]
    assert list(classified(trader, [], [ONE])) == [""]


def test_rounding_alone_is_no_difference():
    """The last digits of sums in another order do not count."""
    assert is_equal(ONE, ONE._replace(pnl=math.nextafter(1.9, 2.0), exit_price=math.nextafter(101.0, 0.0)))
