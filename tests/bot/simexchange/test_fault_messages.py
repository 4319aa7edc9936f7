"""What a fault makes of a message's text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange.bars import Bar, kline_message
from bot.simexchange.fault_actions import Mutate
from bot.simexchange.fault_messages import mutated, off_by, torn


@given(text=st.text(min_size=2), share=st.floats(0.01, 0.99))
def test_a_torn_text_is_a_real_part_of_it(text: str, share: float) -> None:
    """Never nothing, never all."""
    part = torn(text, share)
    assert text.startswith(part)
    assert 0 < len(part) < len(text)


@given(close=st.integers(1, 10_000_000), digits=st.integers(0, 6), by_bps=st.floats(-500, 500))
def test_a_wrong_candle_differs_in_its_close_and_stays_a_candle(
    close: int, digits: int, by_bps: float
) -> None:
    """The close is another on the same grid of digits, and lies between low and high."""
    price = close / 10**digits
    text = kline_message("BTCUSDT", Bar(0, price, price, price, price, 1.0), 60_000, closed=True)
    right, wrong = json.loads(text)["k"], json.loads(off_by(text, by_bps))["k"]
    assert float(wrong["c"]) != price
    assert len(wrong["c"].partition(".")[2]) == len(right["c"].partition(".")[2])
    assert float(wrong["l"]) <= float(wrong["c"]) <= float(wrong["h"])
    assert {**wrong, "c": "", "h": "", "l": ""} == {**right, "c": "", "h": "", "l": ""}


def test_what_is_no_candle_is_left_alone() -> None:
    """Only candles can be corrected."""
    assert off_by('{"e":"ACCOUNT_UPDATE"}', 5) == '{"e":"ACCOUNT_UPDATE"}'


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        (Mutate(remove=("k.x",)), {"e": "kline", "k": {"c": "1"}}),
        (Mutate(set=(("k.x", None), ("e", "other"))), {"e": "other", "k": {"c": "1", "x": None}}),
        (
            Mutate(set=(("k.x.y", 1), ("no.such", 1)), remove=("e.f", "z")),
            {"e": "kline", "k": {"c": "1", "x": True}},
        ),
    ],
)
def test_fields_are_set_and_removed_by_their_paths(mutate: Mutate, expected: object) -> None:
    """A path that leads nowhere changes nothing."""
    assert json.loads(mutated('{"e":"kline","k":{"c":"1","x":true}}', mutate)) == expected
