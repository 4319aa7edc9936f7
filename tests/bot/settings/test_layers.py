"""Layers: what each source says, and who is named for it."""

from __future__ import annotations

import pytest

from bot.errors import ConfigError
from bot.settings import RiskSettings, Settings
from bot.settings.layers import Layer, environment_layer, flag_layer, is_secret, section_at, yaml_layer


def test_a_yaml_layer_knows_the_line_of_every_key():
    """Sections and keys are remembered with the line on which they stand."""
    layer = yaml_layer("mode: paper\n\nrisk:\n  max_orders_per_minute: 5\n", "f.yaml")
    assert layer.tree == {"mode": "paper", "risk": {"max_orders_per_minute": 5}}
    assert layer.origins == {
        ("mode",): "f.yaml line 1",
        ("risk",): "f.yaml line 3",
        ("risk", "max_orders_per_minute"): "f.yaml line 4",
    }


def test_the_environment_is_read_by_its_prefix_alone():
    """Variables without the prefix are not ours; names are cut at double underscores and lowered."""
    layer = environment_layer({"PATH": "x", "BOT_STATE_DIR": "y", "BOT__A__B_C": "1", "BOT__D": "null"})
    assert layer.tree == {"a": {"b_c": "1"}, "d": None}
    assert layer.origins["a", "b_c"] == "BOT__A__B_C"


def test_flags_that_were_not_given_are_left_out():
    """None is a flag that was not given; the word null is a value that is none."""
    assert flag_layer({"a.b": None, "a.c": "null", "d": 0}).tree == {"a": {"c": None}, "d": 0}


def test_a_value_cannot_be_a_section_too():
    """A path that leads through a value is refused instead of losing the value."""
    layer = Layer()
    layer.put(("a",), 1, "x")
    with pytest.raises(ConfigError, match=r"y: a\.b: a has a value itself"):
        layer.put(("a", "b"), 2, "y")
    assert layer.tree == {"a": 1}


def test_paths_lead_to_sections_fields_or_nowhere():
    """section_at finds sections only; is_secret knows the two secrets."""
    assert section_at(()) is Settings
    assert section_at(("risk",)) is RiskSettings
    assert section_at(("mode",)) is None
    assert section_at(("risk", "nothing")) is None
    assert is_secret(("exchange", "api_key"))
    assert is_secret(("exchange", "api_secret"))
    assert not is_secret(("exchange", "id"))
    assert not is_secret(("nothing", "api_key"))
