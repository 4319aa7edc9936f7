"""The columns of a tape are what the core's own objects say bar by bar."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from backtests.inputs import PredictionColumns
from backtests.kernel_codes import FORECAST_GOOD, FORECAST_NOT_FINITE, NO_FORECAST, WINDOW_NOT_FULL
from backtests.kernel_columns import fundings_of, runs_of
from backtests.kernel_merge import columns_of
from bot.core.costs import FUNDING_INTERVAL_MS
from bot.core.market import MINUTE_MS, Candle
from bot.core.matching import FundingRates
from bot.core.surroundings import last_jump, stale_minutes
from bot.core.window import Window
from models.candle_arrays import CandleArrays
from strategies.indicators import Macd, Rsi
from tests.random_market import PERPETUALS, SPOTS, START_MS, random_candles, random_input


def still(arrays: CandleArrays, seed: int) -> CandleArrays:
    """The same candles, in which the market stands still for stretches at a time."""
    rng = np.random.default_rng(seed)
    close, volume = arrays.close.copy(), arrays.volume.copy()
    for row in range(1, len(close)):
        if rng.random() < 0.5:
            close[row] = close[row - 1]
            volume[row] = 0.0 if rng.random() < 0.8 else volume[row]
    return replace(arrays, close=close, volume=volume)


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 10, 60]))
@settings(max_examples=12, deadline=None)
def test_indicators_and_guards_see_what_the_core_sees(seed: int, window_minutes: int) -> None:
    """RSI, MACD, jump and stale minutes of every bar, holes included, to the bit."""
    data = random_input(seed, count=300)
    arrays = still(data.candles[PERPETUALS[0]], seed)
    config = replace(data.config, window_minutes=window_minutes)
    columns = columns_of(replace(data, candles={PERPETUALS[0]: arrays}, config=config))
    window, rsi, macd = Window(window_minutes), Rsi(), Macd()
    rows = zip(arrays.ts.tolist(), arrays.close.tolist(), arrays.volume.tolist(), strict=True)
    for (ts, close, volume), hint in zip(rows, columns.hints, strict=True):
        if not window.push(Candle("X", ts, close, close, close, close, volume)):
            rsi.reset()
            macd.reset()
        rsi.update(close)
        macd.update(close)
        if rsi.value is None or macd.histogram is None:
            assert np.isnan(hint["rsi"])
        else:
            assert (hint["rsi"], hint["histogram"]) == (rsi.value, macd.histogram)
        assert hint["jump"] == last_jump(window)
        assert hint["stale"] == stale_minutes(window)


def test_the_tape_holds_all_rows_in_the_order_of_the_batches() -> None:
    """Several symbols with holes: by time, then by name, a batch for each minute of any of them."""
    data = random_input(4, symbols=PERPETUALS)
    columns = columns_of(data)
    expected = sorted(
        (ts, place) for place, symbol in enumerate(data.symbols) for ts in data.candles[symbol].ts.tolist()
    )
    assert list(zip(columns.bars["ts"].tolist(), columns.bars["symbol"].tolist(), strict=True)) == expected
    assert len(columns.first_row) == data.minute_count() + 1
    for first, end in zip(columns.first_row[:-1], columns.first_row[1:], strict=True):
        assert len(set(columns.bars["ts"][first:end].tolist())) == 1
    for place, symbol in enumerate(data.symbols):
        mine = columns.bars[columns.bars["symbol"] == place]
        for name in ("open", "high", "low", "close"):
            assert np.array_equal(mine[name], getattr(data.candles[symbol], name))


def test_what_may_be_decided_follows_window_and_forecast() -> None:
    """A bar with too few before it, without a forecast, or with one that is no number, is told from a good one."""
    candles = random_candles(1, 40, gaps=False)
    expected = np.full(39, 0.001)
    expected[[20, 21]] = [np.nan, np.inf]
    data = random_input(1, count=40, gaps=False)
    predictions = PredictionColumns(np.delete(candles.ts, 30), expected, "m", 15)
    columns = columns_of(
        replace(data, candles={PERPETUALS[0]: candles}, predictions={PERPETUALS[0]: predictions})
    )
    status = columns.bars["status"]
    assert (status[:9] == WINDOW_NOT_FULL).all()
    assert status[9] == FORECAST_GOOD
    assert (status[[20, 21]] == FORECAST_NOT_FINITE).all()
    assert status[30] == NO_FORECAST
    assert columns.bars["expected"][[5, 9, 20, 21, 30]].tolist() == [0.0, 0.001, 0.0, 0.0, 0.0]
    assert np.isnan(columns.hints["doubt"]).all()
    without = columns_of(replace(data, predictions={}))
    assert set(without.bars["status"][9:].tolist()) == {int(NO_FORECAST)}


@pytest.mark.parametrize("table", [False, True])
def test_fundings_are_those_between_a_bar_and_the_one_before(table: bool) -> None:
    """By constant and by table, over holes that several payments fall into."""
    minutes = np.array([0, 1, 479, 480, 481, 2000, 2001, 2400])
    ts = START_MS + minutes * MINUTE_MS
    tables = {
        "X": {START_MS + minute * MINUTE_MS: minute / 1e6 for minute in (1, 480, 500, 1999, 2000, 2399)}
    }
    rates = FundingRates(0.0001, tables if table else {})
    found = fundings_of("X", ts, rates)
    for row in range(1, len(ts)):
        due = list(
            zip(
                found.at_ms[found.first[row] : found.end[row]].tolist(),
                found.rate[found.first[row] : found.end[row]].tolist(),
                strict=True,
            )
        )
        assert due == rates.between("X", int(ts[row - 1]), int(ts[row]))
    assert found.first[0] == found.end[0]
    assert START_MS % FUNDING_INTERVAL_MS == 0


def test_spot_pays_no_funding() -> None:
    """Beside a perpetual only that one's bars have fundings."""
    data = random_input(2, symbols=(SPOTS[0], PERPETUALS[0]), count=1000, gaps=False)
    columns = columns_of(data)
    paying = columns.bars[columns.bars["funding_count"] > 0]
    assert {data.symbols[place] for place in paying["symbol"].tolist()} == {PERPETUALS[0]}
    assert len(columns.fundings) == int(columns.bars["funding_count"].sum()) == 2


def test_runs_begin_again_after_a_hole() -> None:
    """1, 2, 3, and 1 again after a missing minute."""
    ts = np.array([0, 1, 2, 4, 5]) * MINUTE_MS
    assert runs_of(ts).tolist() == [1, 2, 3, 1, 2]
