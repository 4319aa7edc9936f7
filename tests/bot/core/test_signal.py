"""Tests of the direction that a strategy wants."""

from __future__ import annotations

from bot.core.signal import Direction


def test_directions_have_the_sign_of_the_position_they_mean() -> None:
    """Long is above zero, short below, flat neither."""
    assert [Direction("long").sign, Direction("flat").sign, Direction("short").sign] == [1, 0, -1]
