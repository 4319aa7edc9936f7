"""What an exchange is told when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.errors import ConfigError
from bot.simexchange.config import SimConfig


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("speed", -1.0),
        ("speed", 1e9),
        ("port", 70_000),
        ("history_days", -1),
        ("wait_for_symbols", 0),
        ("ping_seconds", 0.0),
        ("partial_offsets_ms", ()),
        ("partial_offsets_ms", (20_000, 5_000)),
        ("partial_offsets_ms", (0, 5_000)),
        ("partial_offsets_ms", (5_000, 60_000)),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(field: str, value: Any) -> None:
    """Each refusal is a ConfigError that begins with the field."""
    with pytest.raises(ConfigError, match=f"^{field}:"):
        SimConfig(state_dir=Path(), **{field: value})


@pytest.mark.parametrize(
    ("speed", "chosen", "holds"),
    [(1.0, None, False), (0.0, None, True), (60.0, None, True), (1.0, True, True), (60.0, False, False)],
)
def test_only_a_market_in_real_time_runs_alone(speed: float, chosen: bool | None, holds: bool) -> None:
    """Time stands without clients at every speed but 1, unless it is chosen otherwise."""
    assert SimConfig(state_dir=Path(), speed=speed, hold_without_clients=chosen).holds is holds
