"""Markdown of stored values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.markdown import (
    NONE,
    as_table,
    bullets,
    flat,
    is_number,
    number,
    rows_table,
    section,
    table_of,
    time_words,
    words,
)


@given(cells=st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_no_text_breaks_a_table(cells: list[str]) -> None:
    """Whatever a cell holds, each row is one line with as many bars as the heading."""
    found = table_of(["c"] * len(cells), [cells])
    lines = found.split("\n")
    assert len(lines) == 3
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, NONE),
        (0.123456, "0.1235"),
        (12345.6, "12,346"),
        (1234567, "1,234,567"),
        ("x", "x"),
        (True, "True"),
    ],
)
def test_figures_have_few_digits(value: object, shown: str) -> None:
    """Floats have four digits, whole numbers their commas, and nothing is a dash."""
    assert number(value) == shown


def test_what_is_no_number_is_none() -> None:
    """Flags, texts and numbers that are not finite are no figures; what is no table is an empty one."""
    assert [is_number(one) for one in (1, 1.5, True, "1", None, math.nan, math.inf)] == [True, True] + [
        False
    ] * 5
    assert as_table([1]) == {}
    assert as_table({"a": 1}) == {"a": 1}
    assert time_words("soon") == NONE
    assert time_words(0) == "1970-01-01 00:00"


def test_parts_are_put_together() -> None:
    """Fields go by dotted names, rows by the columns that any of them has, and sections have a heading."""
    assert dict(flat({"a": {"b": 1}, "c": 2})) == {"a.b": 1, "c": 2}
    assert rows_table([{"a_b": 1}, {"c": 2.5}]).split("\n")[-1] == f"| {NONE} | 2.5 |"
    assert words("a_b") == "a b"
    assert section("T", bullets(["x", "y"])) == "## T\n\n- x\n- y"
