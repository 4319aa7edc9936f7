"""The values of the causality audit refuse what they cannot compare."""

from __future__ import annotations

import numpy as np
import pytest

from bot.audits.causality import Rows, minute_words
from bot.errors import DataError

TS = np.array([0, 60_000, 120_000], np.int64)


def test_rows_refuse_values_of_another_shape():
    """A row for every moment and a value for every column, or the pipeline's author is told."""
    with pytest.raises(DataError, match="2 columns"):
        Rows("features", "A", TS, ("a", "b"), np.zeros((3, 1)))


def test_rows_refuse_moments_that_do_not_rise():
    """A moment that comes twice could hide a difference."""
    with pytest.raises(DataError, match="do not rise"):
        Rows("features", "A", TS[[0, 0, 1]], ("a",), np.zeros((3, 1)))


def test_rows_refuse_known_times_of_another_length():
    """Every row says when it is known."""
    with pytest.raises(DataError, match="known_ms"):
        Rows("features", "A", TS, ("a",), np.zeros((3, 1)), TS[:2])


def test_a_row_is_known_when_its_candle_closes_unless_it_says_so():
    """The default is the close of the candle; only such rows are plain."""
    plain = Rows("features", "A", TS, ("a",), np.zeros((3, 1)))
    late = Rows("labels", "A", TS, ("a",), np.zeros((3, 1)), TS + 600_000)
    assert plain.known.tolist() == [60_000, 120_000, 180_000]
    assert plain.is_plain
    assert not late.is_plain


def test_instants_within_a_minute_show_their_seconds():
    """A moment within a bar is told as such."""
    assert minute_words(1_704_067_200_000) == "2024-01-01T00:00Z"
    assert minute_words(1_704_067_230_000) == "2024-01-01T00:00:30Z"
