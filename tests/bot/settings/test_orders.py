"""The settings of entries become the core's rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.entry import EntryRule, EntryStyle
from bot.errors import ConfigError
from bot.settings import EntrySettings, RiskSettings, load_settings


def test_the_defaults_are_the_cores():
    """Nobody who says nothing gets another order than a market order."""
    assert EntrySettings().to_core() == EntryRule()
    assert load_settings([], {}, {}).entry == EntrySettings()


def test_every_field_reaches_the_rule():
    """Style, minutes and fallback."""
    made = load_settings(
        [], {"entry.style": "maker", "entry.limit_minutes": "7", "entry.fallback": "taker"}, {}
    )
    assert made.entry.to_core() == EntryRule(EntryStyle.MAKER, 7, taker_fallback=True)


@pytest.mark.parametrize(
    "change", [{"entry.style": "both"}, {"entry.limit_minutes": "0"}, {"entry.fallback": "limit"}]
)
def test_nonsense_is_refused(change: dict[str, str]) -> None:
    """An unknown style or fallback, and no minute at all."""
    with pytest.raises(ConfigError, match=next(iter(change))):
        load_settings([], change, {})


def test_a_guard_can_be_turned_off(tmp_path: Path) -> None:
    """What a settings file says as null reaches the core as None."""
    names = ("max_trade_risk_fraction", "max_jump_fraction", "max_stale_minutes")
    file = tmp_path / "off.yaml"
    file.write_text("risk:\n" + "".join(f"  {name}: null\n" for name in names))
    made = load_settings([file], {}, {}).risk
    assert isinstance(made, RiskSettings)
    assert all(getattr(made.to_core(), name) is None for name in names)
