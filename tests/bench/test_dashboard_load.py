"""The bench of the dashboard's load holds minutes against the turns that they fell into."""

from __future__ import annotations

import pytest

from bench.dashboard_load import Turn, split, wal_figures
from bench.processes import BenchError


def test_a_minute_belongs_to_the_turn_that_it_began_and_ended_in() -> None:
    """Those across an edge, and those while pages open or close, are in neither figure."""
    turns = [Turn(False, 100, 200, 1), Turn(True, 250, 350, 1), Turn(False, 400, 500, 1)]
    rows = [
        [0, 1, 0, arrived, 0, committed]
        for arrived, committed in [
            (90, 110),
            (100, 130),
            (190, 201),
            (220, 230),
            (250, 257),
            (300, 350),
            (340, 360),
            (450, 451),
        ]
    ]
    assert split(rows, turns) == ([30, 1], [7, 50])


def test_a_log_that_was_never_seen_proves_nothing() -> None:
    """Its size beside that without pages is a ratio; without either there is no figure."""
    figures = {
        one.name: one for one in wal_figures([Turn(False, 0, 1, 4_000_000), Turn(True, 1, 2, 8_000_000)])
    }
    assert figures["wal_ratio"].value == 2.0
    assert figures["wal_ratio"].met is False
    assert figures["wal_mb"].value == 8.0
    with pytest.raises(BenchError, match="never seen"):
        wal_figures([Turn(True, 0, 1, 5)])
