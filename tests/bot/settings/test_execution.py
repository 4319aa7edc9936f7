"""Settings of live execution reach the core as they are."""

from __future__ import annotations

import pytest

from bot.core.execution_rules import ExecutionRules
from bot.core.orders import Protection
from bot.errors import ConfigError
from bot.settings import ExecutionSettings, load_settings


def test_the_defaults_are_the_cores():
    """What nobody sets is as the core's own dataclass has it; on spot the exchange keeps the pair."""
    assert ExecutionSettings().to_core() == ExecutionRules()
    assert ExecutionSettings().to_core(spot=True) == ExecutionRules(pair_on_exchange=True)


def test_every_setting_arrives():
    """Each value that is set is in the core's rules under its name."""
    given = {
        "lookup_seconds": 20.0,
        "protection_seconds": 3.0,
        "entry_max_age_seconds": 45.0,
        "reconcile_seconds": 30.0,
        "stray_orders": "cancel",
        "stray_positions": "adopt",
        "adopted_stop_fraction": 0.01,
        "adopted_target_fraction": 0.02,
    }
    settings = load_settings([], {f"execution.{name}": value for name, value in given.items()}, {})
    rules = settings.execution.to_core()
    assert rules.adopted_protection == Protection(0.01, 0.02)
    for name, value in given.items():
        if not name.startswith("adopted"):
            assert getattr(rules, name) == value, name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("leverage", 0),
        ("leverage", 21),
        ("leverage", 1.5),
        ("margin_mode", "crossed"),
        ("lookup_seconds", 5),
        ("settle_wait_seconds", -1),
        ("stray_orders", "adopt"),
        ("stray_positions", "adopt"),
    ],
)
def test_what_would_be_dangerous_is_refused(name, value):
    """Too much leverage, too short a look-up and adopting without protection are refused by name."""
    with pytest.raises(ConfigError, match=f"execution.{name}"):
        load_settings([], {f"execution.{name}": value}, {})
