"""Parameters of requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simexchange import parameters
from bot.simexchange.orders import OrderKind, Refusal

DAY_MS = 86_400_000


def code(read, *arguments) -> int:
    """With which code something is refused."""
    with pytest.raises(Refusal) as caught:
        read(*arguments)
    return caught.value.code


@given(st.integers(-(10**18), 10**18))
def test_whole_numbers_are_read_back(value: int) -> None:
    """Any that a client may write."""
    assert parameters.integer({"n": str(value)}, "n") == value


@given(st.floats(0, 1e12, allow_subnormal=False))
def test_decimals_are_read_back(value: float) -> None:
    """Any that is written without an exponent, to the last digit that there is room for."""
    text = f"{value:.12f}"
    assert parameters.decimal({"n": text}, "n") == float(text)


@pytest.mark.parametrize("text", ["x", "1.5", "--1", "²", "1" * 21, ""])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    """Letters, fractions, digits of other kinds, too many of them."""
    assert code(parameters.integer, {"n": text}, "n") == -1100


@pytest.mark.parametrize("text", ["x", "-1", "1e5", "1.", ".5", "nan", "inf", "1" * 21])
def test_what_is_no_decimal_is_refused(text: str) -> None:
    """Signs, exponents, and what only Python takes for a number."""
    assert code(parameters.decimal, {"n": text}, "n") == -1100


def test_what_is_missing_is_named() -> None:
    """An empty parameter is a missing one, where it is needed."""
    assert code(parameters.needed, {"symbol": ""}, "symbol") == -1102
    assert parameters.needed({"symbol": "BTCUSDT"}, "symbol") == "BTCUSDT"
    assert (parameters.integer({}, "n", 5), parameters.decimal({}, "n"), parameters.flag({}, "n")) == (
        5,
        None,
        False,
    )


def test_words_and_flags() -> None:
    """Only those that there are."""
    assert parameters.word({"type": "LIMIT"}, "type", OrderKind, Refusal(-1116, "")) is OrderKind.LIMIT
    assert code(parameters.word, {"type": "limit"}, "type", OrderKind, Refusal(-1116, "")) == -1116
    assert code(parameters.side, {"side": "buy"}) == -1117
    assert parameters.side({"side": "SELL"}) == "SELL"
    assert parameters.flag({"f": "TRUE"}, "f")
    assert code(parameters.flag, {"f": "yes"}, "f") == -1130


def test_how_many_rows() -> None:
    """As many as asked, no more than there may be, at least one."""
    assert [parameters.rows(params, 500, 1000) for params in ({}, {"limit": "7"}, {"limit": "5000"})] == [
        500,
        7,
        1000,
    ]
    assert code(parameters.rows, {"limit": "0"}, 500, 1000) == -1130


@given(st.integers(0, 2**41), st.integers(0, 30 * DAY_MS), st.integers(1, 7))
def test_a_stretch_of_time_is_never_longer_than_allowed(start: int, length: int, days: int) -> None:
    """Given both ends it is what was asked or refused; given one or none it is the longest."""
    most = days * DAY_MS
    both = {"startTime": str(start), "endTime": str(start + length)}
    if length > most:
        assert code(parameters.span, both, 0, most) == -4165
        assert code(parameters.span, both, 0, most, (-1127, "")) == -1127
    else:
        assert parameters.span(both, 0, most) == (start, start + length)
    assert parameters.span({"startTime": str(start)}, 0, most) == (start, start + most)
    assert parameters.span({"endTime": str(start)}, 0, most) == (start - most, start)
    assert parameters.span({}, start, most) == (start - most, start)
    assert code(parameters.span, {"startTime": "2", "endTime": "1"}, 0, most) == -1023
