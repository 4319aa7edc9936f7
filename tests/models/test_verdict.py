"""The sentence at the end of a report."""

from __future__ import annotations

import pytest

from models.verdict import judge


@pytest.mark.parametrize(
    ("gain", "interval", "moves", "blocks", "edge"),
    [
        (1.0, [0.2, 1.8], 5000, 50, "shown"),
        (1.0, [-0.2, 2.2], 5000, 50, "not_shown"),
        (-1.0, [-2.2, -0.2], 5000, 50, "not_shown"),
        (1.0, [0.2, 1.8], 999, 50, "not_enough_data"),
        (1.0, [0.2, 1.8], 5000, 19, "not_enough_data"),
        (1.0, None, 5000, 50, "not_enough_data"),
        (None, None, 5000, 50, "not_enough_data"),
    ],
)
def test_only_an_interval_above_zero_is_an_edge(
    gain: float | None, interval: list[float] | None, moves: int, blocks: float, edge: str
) -> None:
    """An edge needs enough data and a log-loss gain whose whole interval is above zero."""
    found = judge(
        {"log_loss_gain_millinats": gain, "log_loss_gain_interval": interval}, moves=moves, blocks=blocks
    )
    assert found["edge"] == edge
    assert found["sentence"].endswith(".")
