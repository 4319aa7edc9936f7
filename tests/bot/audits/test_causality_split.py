"""A split is in order, purged, and has its embargo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audits.causality import Slice, Split
from bot.audits.causality_split import split_finding
from models.windows import purged_slices, within
from tests.leaky_pipelines import MINUTE


def part(name: str, first: int, last: int, reach: int = 5) -> Slice:
    """Minutes first to last, the last one included."""
    return Slice(name, np.arange(first, last + 1, dtype=np.int64) * MINUTE, reach)


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        ((part("train", 0, 50), part("test", 40, 90)), "are in train and in test"),
        ((part("train", 60, 90), part("test", 0, 50)), "mixed"),
        ((part("train", 0, 50), part("test", 55, 90)), "not purged"),
        ((part("train", 0, 50), part("test", 64, 90)), "at least 10"),
        ((part("train", 0, 50), part("test", 51, 50)), "is empty"),
    ],
)
def test_a_fault_is_named(slices, words):
    """Overlap, mixture, missing purge, missing embargo and emptiness each have their sentence."""
    found = split_finding(Split(slices, 10))
    assert found is not None
    assert words in found.sentence


def test_the_least_room_is_enough():
    """Label reach 5, window 10: after the last row at 50 the next slice may begin at 65."""
    assert split_finding(Split((part("train", 0, 50), part("test", 65, 90)), 10)) is None


@given(st.integers(2, 60), st.integers(1, 60), st.integers(1500, 4000))
def test_our_own_slices_have_no_fault(window, horizon, minutes):
    """Whatever window and horizon, the slices that training makes pass."""
    times = np.arange(minutes, dtype=np.int64) * MINUTE
    slices = purged_slices(times, (0.65, 0.1, 0.1, 0.15), horizon=horizon, embargo=max(window, horizon))
    parts = [
        Slice(name, times[within(times, (bounds[0], bounds[1]))], horizon)
        for name, bounds in slices.as_dict().items()
    ]
    assert split_finding(Split(tuple(parts), window)) is None
