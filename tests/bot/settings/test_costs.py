"""Tests of the section ``costs``: presets below every file, keys that reach the core, contradictions in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.core.costs import Costs
from bot.core.liquidation import MarginMode, MarginRule
from bot.core.slippage import ImpactRule
from bot.core.spread import SpreadRule
from bot.errors import ConfigError
from bot.settings import CostSettings, load_settings, load_with_sources
from bot.settings.costs import PAPER_ONLY
from bot.settings.presets import preset_names

EXPECTED_FEES = {
    "binance": (10.0, 10.0),
    "binanceusdm": (5.0, 2.0),
    "bybit": (5.5, 2.0),
    "bybit-spot": (10.0, 10.0),
    "okx": (5.0, 2.0),
    "okx-spot": (10.0, 8.0),
}
"""Taker and maker fee of a regular user, basis points."""


def test_the_defaults_are_the_cores_and_plain() -> None:
    """Nothing but fees, fixed spread, fixed slippage and funding is at work unless asked for."""
    assert CostSettings().to_core() == Costs()
    assert CostSettings().to_core().is_plain
    assert CostSettings().paper_only() == ()


@pytest.mark.parametrize("key", sorted({"spread_model", *PAPER_ONLY}))
def test_every_switch_is_seen_as_not_plain(key: str) -> None:
    """Each key that changes how orders are carried out is known to be of no use live."""
    values: dict[str, Any] = {
        "spread_model": "estimated",
        "impact_coefficient": 1.0,
        "participation_cap": 0.1,
        "latency_ms": 1,
        "liquidation": "cross",
    }
    chosen = CostSettings(**{key: values[key]})
    assert not chosen.to_core().is_plain
    assert chosen.paper_only() == (f"costs.{key}",)


def test_every_key_reaches_the_core() -> None:
    """Flags as a person writes them become the rules of the core."""
    flags = {
        "spread_model": "estimated",
        "spread_minutes": "60",
        "spread_cap_bps": "9",
        "impact_coefficient": "0.7",
        "impact_minutes": "30",
        "impact_cap_bps": "40",
        "participation_cap": "0.2",
        "latency_ms": "250",
        "liquidation": "isolated",
        "leverage": "10",
        "maintenance_margin_rate": "0.01",
        "liquidation_fee_bps": "20",
    }
    costs = load_settings((), {f"costs.{key}": value for key, value in flags.items()}, {}).costs.to_core()
    assert costs == Costs(
        spread=SpreadRule(60, 9.0),
        impact=ImpactRule(0.7, 30, 40.0),
        participation_cap=0.2,
        latency_ms=250,
        margin=MarginRule(MarginMode.ISOLATED, 10.0, 0.01, 20.0),
    )


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_a_settings_file_of_costs_alone(name: str) -> None:
    """By name or as a file it gives the same costs, fees as the exchange publishes them, and every default elsewhere."""
    by_name = load_settings((), {"costs.preset": name}, {})
    file = Path(__file__).resolve().parents[3] / "config" / "costs" / f"{name}.yaml"
    by_file = load_settings((file,), {}, {})
    assert by_name.costs.model_copy(update={"preset": None}) == by_file.costs
    assert (by_name.costs.taker_fee_bps, by_name.costs.maker_fee_bps) == EXPECTED_FEES[name]
    assert by_name.costs.to_core().is_plain
    assert by_file == load_settings((), {}, {}).model_copy(update={"costs": by_file.costs})


def test_every_preset_is_known() -> None:
    """The table of this test holds all of them."""
    assert set(preset_names()) == set(EXPECTED_FEES)


def test_a_preset_is_below_files_environment_and_flags(tmp_path: Path) -> None:
    """What anybody says of a figure wins over the preset, whoever named the preset; sources say who said what."""
    file = tmp_path / "mine.yaml"
    file.write_text("costs:\n  maker_fee_bps: 1.5\n  preset: okx-spot\n")
    loaded = load_with_sources(
        [file], {"costs.preset": "bybit", "costs.slippage_bps": 3}, {"BOT__COSTS__HALF_SPREAD_BPS": "0.2"}
    )
    costs, sources = loaded.settings.costs, loaded.sources
    assert (costs.taker_fee_bps, costs.maker_fee_bps) == (5.5, 1.5)
    assert (costs.half_spread_bps, costs.slippage_bps) == (0.2, 3.0)
    assert sources["costs.taker_fee_bps"].startswith("config/costs/bybit.yaml line ")
    assert sources["costs.maker_fee_bps"].startswith(str(file))
    assert sources["costs.preset"] == "flag"


def test_a_preset_is_taken_back_by_null(tmp_path: Path) -> None:
    """A later place that says null has the defaults again."""
    file = tmp_path / "mine.yaml"
    file.write_text("costs:\n  preset: okx-spot\n")
    assert load_settings([file], {"costs.preset": "null"}, {}).costs == CostSettings()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"preset": "kraken"}, r"flag costs\.preset: there is no preset 'kraken'; use binance, "),
        ({"preset": 7}, r"flag costs\.preset: must be text"),
        ({"latency_ms": "-1"}, r"flag costs\.latency_ms: must be at least 0, not '-1'"),
        ({"latency_ms": "0.5"}, r"flag costs\.latency_ms: must be a whole number"),
        ({"participation_cap": "0"}, r"flag costs\.participation_cap: must be greater than 0"),
        ({"spread_model": "guessed"}, r"flag costs\.spread_model: must be 'fixed' or 'estimated'"),
        (
            {"spread_model": "estimated", "spread_cap_bps": "0.1"},
            r"flag costs\.spread_cap_bps: must be at least costs\.half_spread_bps, which is 0\.5",
        ),
        (
            {"liquidation": "isolated", "leverage": "100", "maintenance_margin_rate": "0.01"},
            r"flag costs\.maintenance_margin_rate: with costs\.leverage 100 it must be below 0\.01",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_that_names_the_key(flags: dict[str, Any], sentence: str) -> None:
    """Unknown presets, wrong values, and keys that contradict each other."""
    with pytest.raises(ConfigError, match=sentence) as caught:
        load_settings((), {f"costs.{key}": value for key, value in flags.items()}, {})
    assert "\n" not in str(caught.value)


def test_leverage_must_carry_what_the_limits_let_be_held() -> None:
    """A total of three times the equity needs a leverage of three, where margin is looked at."""
    flags = {"risk.max_total_notional_fraction": "3", "costs.liquidation": "cross"}
    with pytest.raises(ConfigError, match=r"costs\.leverage: must be at least 3"):
        load_settings((), flags, {})
    assert load_settings((), {**flags, "costs.leverage": "3"}, {}).costs.leverage == 3.0
    assert load_settings((), {**flags, "costs.liquidation": "none"}, {}).costs.to_core().is_plain
