"""What differs is told with its minute and column; what does not differ is passed over."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bot.audits.causality import Learned, Rows
from bot.audits.causality_compare import (
    UNALTERED,
    changed_at_all,
    differs,
    learned_difference,
    rows_difference,
    stream_difference,
)
from tests.leaky_pipelines import MINUTE
from tests.planted_leaks import rows_only

TS = np.arange(20, dtype=np.int64) * MINUTE
X = np.linspace(1.0, 2.0, 20)
LATE = 2**62


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(allow_nan=True, width=64)))
def test_an_array_is_equal_to_itself_and_its_copy(values):
    """NaN is like NaN, so that missing history is no difference."""
    assert not differs(values, values.copy()).any()


def test_one_bit_and_the_sign_of_zero_are_differences():
    """To the bit means to the last one."""
    assert differs(np.array([1.0]), np.nextafter(np.array([1.0]), 2.0)).all()
    assert differs(np.array([0.0]), np.array([-0.0])).all()
    assert differs(np.array([1.0]), np.array([np.nan])).all()
    assert differs(np.array([1.0]), np.array([1.0], np.float32)).all()


def test_objects_are_compared_as_they_are():
    """Words and None in decisions are compared by equality."""
    one, two = np.array(["buy", None], object), np.array(["buy", "sell"], object)
    assert differs(one, two).tolist() == [False, True]


def test_a_changed_value_is_named_with_its_minute_and_how_far_it_looked():
    """Row 5 changed when all after row 9 was altered: it looks five candles ahead."""
    other = X.copy()
    other[5] += 1e-16 + 1e-15
    count, found = rows_difference(
        rows_only("A", TS, X), rows_only("A", TS, other), int(TS[9]) + MINUTE, "cut"
    )
    assert count == 10
    assert found is not None
    assert (found.at_ms, found.column, found.ahead) == (int(TS[5]), "x", 5)
    assert "at least 5 minutes ahead" in found.sentence


def test_what_is_known_later_is_not_compared():
    """A difference behind the moment is what the other future is for."""
    other = X.copy()
    other[10:] += 1.0
    count, found = rows_difference(
        rows_only("A", TS, X), rows_only("A", TS, other), int(TS[9]) + MINUTE, "cut"
    )
    assert (count, found) == (10, None)


def test_rows_that_vanish_or_appear_are_differences():
    """Which rows there are must not follow from the future either."""
    whole, fewer = rows_only("A", TS, X), rows_only("A", TS[2:], X[2:])
    assert "gone" in str(rows_difference(whole, fewer, LATE, "cut")[1])
    assert "appear" in str(rows_difference(fewer, whole, LATE, "cut")[1])
    assert "gone" in str(rows_difference(whole, None, LATE, "cut")[1])


def test_most_rows_changed_means_the_whole_series():
    """A statistic of the whole sample shows in all rows."""
    found = rows_difference(rows_only("A", TS, X), rows_only("A", TS, X * 2.0), LATE, "cut")[1]
    assert "depends on the whole series" in str(found)


def test_a_pipeline_that_is_not_repeatable_is_told_so():
    """Where nothing was altered the fault is another one."""
    found = rows_difference(rows_only("A", TS, X), rows_only("A", TS, X * 2.0), LATE, UNALTERED)[1]
    assert "same question the same way" in str(found)


def test_learned_constants_are_compared_by_name():
    """Numbers, arrays and bytes; one that is missing is a difference."""
    one = Learned("scaler", {"mean": X, "graph": b"ab", "n": 3}, 0)
    assert (
        learned_difference(
            one, Learned("scaler", {"mean": X.copy(), "graph": b"ab", "n": 3}, 0), LATE, "cut"
        )[1]
        is None
    )
    for values in ({"mean": X + 1.0}, {"graph": b"ac"}, {"n": 4}, {"mean": X[:3]}):
        found = learned_difference(one, Learned("scaler", {**one.values, **values}, 0), LATE, "cut")[1]
        assert found is not None
        assert found.column == next(iter(values))
    assert learned_difference(one, Learned("scaler", {"mean": X}, 0), LATE, "cut")[1] is not None
    assert learned_difference(one, None, LATE, "cut")[1] is not None


def test_a_stream_may_differ_by_one_part_in_a_thousand_million():
    """Within 1e-9 of the batch, and no farther; a row too few or too many is a difference."""
    batch = rows_only("A", TS, X)
    assert stream_difference(batch, rows_only("A", TS, X + 5e-10), LATE)[1] is None
    found = stream_difference(batch, rows_only("A", TS, X + 5e-9), LATE)[1]
    assert found is not None
    assert (found.at_ms, found.column) == (0, "x")
    assert "lacks" in str(stream_difference(batch, rows_only("A", TS[1:], X[1:]), LATE)[1])
    assert "only the stream" in str(stream_difference(rows_only("A", TS[1:], X[1:]), batch, LATE)[1])
    assert stream_difference(batch, rows_only("A", TS[:5], X[:5]), int(TS[5]))[1] is None


def test_a_stream_of_float32_must_have_the_same_bits():
    """There are no 1e-9 in a float32."""
    small = X.astype(np.float32)[:, None]
    near = np.nextafter(small, np.float32(9.0))
    batch, stream = (Rows("inputs", "A", TS, ("x",), values) for values in (small, near))
    assert stream_difference(batch, stream, LATE)[1] is not None


def test_deafness_is_no_change_at_all():
    """One changed value is a sign of life."""
    other = X.copy()
    chosen = np.ones(20, np.bool_)
    assert not changed_at_all(rows_only("A", TS, X), rows_only("A", TS, other), chosen)
    other[19] = 0.0
    assert changed_at_all(rows_only("A", TS, X), rows_only("A", TS, other), chosen)
    assert changed_at_all(rows_only("A", TS, X), None, chosen)
