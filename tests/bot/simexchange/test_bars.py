"""Bars as the exchange shows them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.bars import Bar, kline_message, number, partial_bar, rest_row

MINUTE = 1_684_454_400_000


@st.composite
def some_bars(draw: st.DrawFn) -> Bar:
    """Sound bars on a grid of 0.01."""
    cents = sorted(draw(st.lists(st.integers(1, 10_000_000), min_size=4, max_size=4)))
    low, one, two, high = (value / 100 for value in cents)
    open_, close = draw(st.sampled_from([(one, two), (two, one)]))
    return Bar(MINUTE, open_, high, low, close, draw(st.integers(0, 10**9)) / 1000)


@given(some_bars(), st.integers(1, 59_999), st.integers(1, 59_999))
def test_an_unfinished_bar_stays_inside_the_final_one_and_only_grows(bar: Bar, one: int, two: int) -> None:
    """A later view of a bar contains an earlier one, and both lie inside the final bar."""
    early, late = (partial_bar(bar, at) for at in sorted((one, two)))
    assert early.open == late.open == bar.open
    assert bar.low <= late.low <= early.low <= early.close <= early.high <= late.high <= bar.high
    assert early.volume <= late.volume <= bar.volume


@given(some_bars(), st.integers(1, 59_999))
def test_an_unfinished_price_lies_on_the_grid_of_the_bar(bar: Bar, elapsed_ms: int) -> None:
    """No view of a bar shows more decimals than the bar itself has."""
    close = partial_bar(bar, elapsed_ms).close
    assert close == round(close, 2)


def test_an_unfinished_bar_goes_through_both_extremes() -> None:
    """A rising bar visits its low after a third of the minute and its high after two."""
    bar = Bar(MINUTE, 10.0, 12.0, 9.0, 11.0, 6.0)
    assert partial_bar(bar, 20_000) == Bar(MINUTE, 10.0, 10.0, 9.0, 9.0, 2.0)
    assert partial_bar(bar, 40_000) == Bar(MINUTE, 10.0, 12.0, 9.0, 12.0, 4.0)


@given(st.floats(min_value=1e-12, max_value=1e15))
def test_a_number_parses_back_to_the_identical_float(value: float) -> None:
    """Text of a float is plain decimals, without an exponent, and exact."""
    text = number(value)
    assert float(text) == value
    assert set(text) <= set("0123456789.")


@given(some_bars(), st.booleans())
def test_a_stream_message_holds_the_bar_exactly(bar: Bar, closed: bool) -> None:
    """The JSON of a kline message parses to the bar's floats and flag, with all of Binance's fields."""
    message = json.loads(kline_message("BTCUSDT", bar, MINUTE + 60_000, closed=closed))
    kline = message["k"]
    assert set(kline) == set("tTsifLochlvnxqVQB")
    assert (message["e"], message["E"], message["s"]) == ("kline", MINUTE + 60_000, "BTCUSDT")
    assert (kline["t"], kline["T"], kline["i"], kline["x"]) == (MINUTE, MINUTE + 59_999, "1m", closed)
    assert tuple(float(kline[key]) for key in "ohlcv") == bar[1:]


@given(some_bars())
def test_a_rest_row_holds_the_bar_exactly(bar: Bar) -> None:
    """A REST row has Binance's twelve columns and the bar's floats."""
    row = json.loads(rest_row(bar))
    assert len(row) == 12
    assert (row[0], row[6]) == (MINUTE, MINUTE + 59_999)
    assert tuple(float(value) for value in row[1:6]) == bar[1:]


@pytest.mark.parametrize("volume", [0.0, 3.5])
def test_a_bar_without_volume_has_no_trades(volume: float) -> None:
    """The number of trades is zero exactly where the volume is."""
    kline = json.loads(
        kline_message("X", Bar(MINUTE, 1e-05, 1e-05, 1e-05, 1e-05, volume), MINUTE, closed=True)
    )["k"]
    assert (kline["n"] == 0) == (volume == 0)
    assert kline["o"] == "0.00001"
