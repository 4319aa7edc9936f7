"""Candles and trades are packed without loss that could be seen, and fit into a page."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtests import report_pack as pack
from backtests.report_costs import Level
from backtests.run import run_backtest
from bot.core.market import MINUTE_MS
from bot.core.position import Trade
from models.candle_arrays import CandleArrays
from tests.random_market import PERPETUALS, START_MS, random_candles, random_input


def unpacked_bars(packed: dict[str, Any]) -> CandleArrays:
    """What the page's script makes of packed bars."""
    steps = {name: pack.unpacked_steps(packed[name]) for name in ("minutes", "close", "open", "high", "low")}
    close = np.cumsum(steps["close"])
    opened = steps["open"] + np.concatenate([[0], close[:-1]])[: len(close)]
    high = np.maximum(opened, close) + steps["high"]
    low = np.minimum(opened, close) - steps["low"]
    step, ts = packed["step"], np.cumsum(steps["minutes"]) * MINUTE_MS
    return CandleArrays(ts, opened * step, high * step, low * step, close * step, np.zeros(len(close)))


@given(st.lists(st.integers(-(2**30), 2**30), max_size=50))
def test_steps_read_back_as_they_were(values: list[int]):
    """Whole numbers of either sign survive."""
    assert pack.unpacked_steps(pack.packed_steps(np.array(values, dtype=np.int64))).tolist() == values


def test_bars_read_back_to_the_step():
    """Times are exact and prices within half a step, holes included."""
    arrays = random_candles(3, 500)
    found = unpacked_bars(pack.packed_bars(arrays, 0.001))
    assert found.ts.tolist() == arrays.ts.tolist()
    for name in ("open", "high", "low", "close"):
        assert getattr(found, name) == pytest.approx(getattr(arrays, name), abs=0.0005)
    assert pack.packed_bars(arrays.rows(0, 0), 0.001)["count"] == 0


@given(st.integers(0, 500), st.sampled_from(pack.SPANS))
def test_joined_bars_hold_every_minute(seed: int, span: int):
    """Joining keeps first open, highest high, lowest low, last close and the volume of every bar."""
    arrays = random_candles(seed, 200)
    bars = pack.joined(arrays, span)
    of_minute = arrays.ts // (span * MINUTE_MS)
    for place, begin in enumerate(bars.ts.tolist()):
        mine = of_minute == begin // (span * MINUTE_MS)
        assert bars.open[place] == arrays.open[mine][0]
        assert bars.close[place] == arrays.close[mine][-1]
        assert bars.high[place] == arrays.high[mine].max()
        assert bars.low[place] == arrays.low[mine].min()
        assert bars.volume[place] == pytest.approx(arrays.volume[mine].sum())
    assert len(bars) == len(np.unique(of_minute))


def test_a_long_run_is_joined_and_keeps_the_minutes_around_its_trades(monkeypatch):
    """Beyond what a page carries, bars are joined; the minutes from before to after each trade are there."""
    monkeypatch.setattr(pack, "MOST_BARS", 400)
    data = random_input(3, symbols=PERPETUALS[:1], count=1500, gaps=False)
    result = run_backtest(data)
    trades = result.trades[::8]
    packed = pack.packed_market(data, trades)
    assert packed["span"] == 5
    near = unpacked_bars(packed["symbols"][0]["near"])
    minutes = set(near.ts.tolist())
    for trade in trades:
        entry = trade.entry_at_ms // MINUTE_MS * MINUTE_MS
        assert entry in minutes
        assert max(entry - 10 * MINUTE_MS, START_MS) in minutes
    monkeypatch.setattr(pack, "MOST_NEAR", 0)
    assert pack.packed_market(data, trades)["symbols"][0]["near"] is None


def test_a_trade_finds_its_own_stop_and_target():
    """Of two trades in a row, each has the levels that came to life with it, whichever side it was on."""
    symbol = PERPETUALS[0]
    long = Trade(symbol, "long", 60_000, 100.0, 119_999, 99.0, 1.0, 0.0, 0.0, -1.0, "stop_loss")
    short = Trade(symbol, "short", 119_999, 99.0, 300_000, 98.0, 1.0, 0.0, 0.0, 1.0, "exit")
    levels = {
        "as": Level(symbol, False, 99.0, 60_000),
        "at": Level(symbol, True, 102.0, 60_000),
        "bs": Level(symbol, False, 99.5, 119_999),
        "bt": Level(symbol, True, 98.0, 119_999),
    }
    assert pack.protections([long, short], levels) == [(99.0, 102.0), (99.5, 98.0)]
    assert pack.protections([long], {}) == [(None, None)]


def test_the_columns_of_trades_are_those_of_the_run():
    """What the table shows is what the run did."""
    data = random_input(3, symbols=PERPETUALS[:2], count=600)
    trades = run_backtest(data).trades
    text = zlib.decompress(base64.b64decode(pack.packed_trades(trades, data.symbols, {})))
    told = json.loads(text)
    assert [data.symbols[place] for place in told["symbol"]] == [trade.symbol for trade in trades]
    assert told["pnl"] == pytest.approx([trade.pnl for trade in trades])
    assert [told["reasons"][at] for at in told["reason"]] == [t.exit_reason.replace("_", " ") for t in trades]
