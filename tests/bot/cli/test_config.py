"""`bot config`: what is in force, who said it, and the page made of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.cli import main
from bot.cli.config import settings_page
from bot.settings import Settings, load_with_sources

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """No variable of the machine may speak."""
    for name in ("BOT_STATE_DIR", "BOT__EXCHANGE__ID"):
        monkeypatch.delenv(name, raising=False)


def test_show_prints_every_setting_with_its_source(monkeypatch, tmp_path, capsys):
    """Each field once, with value and source; what the environment and a flag say is named so."""
    file = tmp_path / "mine.yaml"
    file.write_text("costs: {taker_fee_bps: 2}\nstrategy: {parameters: {threshold: 0.001}}\n")
    monkeypatch.setenv("BOT__EXCHANGE__ID", "okx")
    assert (
        main(["config", "show", "--json", "--config", str(file), "--set", "sizing.equity_fraction=0.1"]) == 0
    )
    shown = json.loads(capsys.readouterr().out)
    assert shown["exchange.id"] == {"value": "okx", "source": "BOT__EXCHANGE__ID"}
    assert shown["costs.taker_fee_bps"] == {"value": 2.0, "source": f"{file} line 1"}
    assert shown["sizing.equity_fraction"] == {"value": 0.1, "source": "flag"}
    assert shown["strategy.parameters.threshold"] == {"value": 0.001, "source": f"{file} line 2"}
    assert shown["state_dir"] == {"value": "var", "source": "default"}
    everything = set(load_with_sources([], {}, {}).sources) - {"strategy.parameters"}
    assert everything | {"strategy.parameters.threshold"} == set(shown)


def test_show_is_a_table_for_a_person(capsys):
    """One line a setting: name, value, source."""
    assert main(["config", "show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(load_with_sources([], {}, {}).sources)
    assert lines[0].split()[:2] == ["mode", "paper"]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_show_hides_secrets(form, monkeypatch, capsys):
    """A key that is set is shown as set, never as what it is."""
    monkeypatch.setenv("BOT__EXCHANGE__API_KEY", "hush-hush")
    assert main(["config", "show", *form]) == 0
    out = capsys.readouterr().out
    assert "hush" not in out
    assert "****" in out


def test_check_says_that_the_settings_are_right(capsys):
    """A right file ends with 0 and says which mode it is for."""
    assert main(["config", "check", "--config", str(ROOT / "config" / "paper.yaml")]) == 0
    assert capsys.readouterr().out == "the settings are right (mode paper)\n"
    assert main(["config", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "mode": "paper"}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("strategy.name=nothing", "there is no strategy 'nothing'"),
        ("strategy.parameter_set=bold", "no parameter set 'bold'"),
        ('strategy.parameters={"treshold": 1}', "no parameter 'treshold'"),
        ("costs.taker_fee_bps=1000", "flag costs.taker_fee_bps: must be at most 100"),
    ],
)
def test_check_ends_with_4_for_a_wrong_setting(setting, said, capsys):
    """Strategy, set and parameters are checked too, beyond what the shape of the settings tells."""
    assert main(["config", "check", "--set", setting]) == 4
    assert said in capsys.readouterr().err


def test_check_tells_everything_that_is_wrong_at_once(capsys, tmp_path):
    """A wrong strategy hides no wrong exchange, and of a file all faults are told."""
    assert main(["config", "check", "--set", "strategy.name=nothing", "--set", "exchange.id=binanc"]) == 4
    said = capsys.readouterr().err
    assert "there is no strategy 'nothing'" in said
    assert "did you mean binance" in said
    file = tmp_path / "wrong.yaml"
    file.write_text("mode: dry\ncosts: {taker_fee_bps: lots}\nriks: {}\n")
    assert main(["config", "check", "--config", str(file), "--json"]) == 4
    said = json.loads(capsys.readouterr().out)["error"]
    assert all(f"{file} line {line}: " in said for line in (1, 2, 3))
    assert "did you mean risk?" in said


def test_the_committed_page_is_the_generated_one():
    """docs/settings.md is what `bot config docs` prints: a new setting without documentation fails here."""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()


def test_every_setting_is_described():
    """No field has an empty description."""
    for name in load_with_sources([], {}, {}).sources:
        section, _, key = name.rpartition(".")
        fields = type(getattr(Settings(), section)).model_fields if section else Settings.model_fields
        assert (fields[key].description or "").endswith("."), name
