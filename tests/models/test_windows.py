"""Window ends, purged slices and gathers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import ConfigError, DataError
from models.windows import MINUTE_MS, batches, gather, purged_slices, window_ends, within


@given(
    steps=st.lists(st.sampled_from([1, 1, 1, 1, 5]), min_size=1, max_size=80),
    invalid=st.sets(st.integers(0, 79)),
    window=st.integers(2, 6),
)
def test_a_window_is_contiguous_and_valid(steps: list[int], invalid: set[int], window: int) -> None:
    """Exactly the rows are ends whose last ``window`` rows are valid and a minute apart."""
    ts = np.cumsum(steps).astype(np.int64) * MINUTE_MS
    valid = np.array([index not in invalid for index in range(len(ts))])
    expected = [
        end
        for end in range(window - 1, len(ts))
        if valid[end - window + 1 : end + 1].all()
        and (np.diff(ts[end - window + 1 : end + 1]) == MINUTE_MS).all()
    ]
    assert window_ends(ts, valid, window).tolist() == expected


@settings(max_examples=50)
@given(
    counts=st.lists(st.integers(500, 3000), min_size=1, max_size=3),
    offsets=st.lists(st.integers(0, 1000), min_size=3, max_size=3),
    horizon=st.integers(1, 60),
    calibrate=st.sampled_from([0.0, 0.1]),
)
def test_no_slice_sees_another(counts: list[int], offsets: list[int], horizon: int, calibrate: float) -> None:
    """Of all symbols, the first row of any later window comes after the last label of every earlier slice."""
    window = 60
    embargo = max(window, horizon)
    times = np.concatenate(
        [
            (np.arange(count, dtype=np.int64) + offset) * MINUTE_MS
            for count, offset in zip(counts, offsets, strict=False)
        ]
    )
    shares = (0.6, 0.15, calibrate, 0.25 - calibrate)
    try:
        slices = purged_slices(times, shares, horizon=horizon, embargo=embargo)
    except DataError:
        assert len(times) < 3000
        return
    order = [slices.train, slices.early_stop, slices.test]
    if calibrate:
        order.insert(2, slices.calibrate)
    else:
        assert slices.calibrate == slices.early_stop
    for earlier, later in itertools.pairwise(order):
        last_label = times[within(times, earlier)].max() + horizon * MINUTE_MS
        first_row = times[within(times, later)].min() - (window - 1) * MINUTE_MS
        assert first_row > last_label


def test_shares_must_make_a_whole() -> None:
    """Shares that do not add up to 1 are a setting that is wrong."""
    with pytest.raises(ConfigError, match="add up"):
        purged_slices(np.arange(10), (0.5, 0.1, 0.1, 0.1), horizon=1, embargo=60)


def test_too_few_windows_are_refused() -> None:
    """Slices that the embargo leaves empty are refused with the number of windows, as is no window at all."""
    times = np.arange(200, dtype=np.int64) * MINUTE_MS
    with pytest.raises(DataError, match="200 windows"):
        purged_slices(times, (0.7, 0.1, 0.1, 0.1), horizon=15, embargo=60)
    with pytest.raises(DataError, match="no whole window"):
        purged_slices(times[:0], (0.7, 0.1, 0.1, 0.1), horizon=15, embargo=60)


def test_gathered_windows_are_the_rows_before_their_end() -> None:
    """A gather gives each end's own rows in order, and batches cover every end once."""
    table = np.arange(200, dtype=np.float32).reshape(100, 2)
    ends = np.array([4, 50, 99], np.int64)
    found = gather(table, ends, 5)
    for window, end in zip(found, ends, strict=True):
        np.testing.assert_array_equal(window, table[end - 4 : end + 1])
    assert [piece.tolist() for piece in batches(ends, 2)] == [[4, 50], [99]]
