"""The settings files that come with the bot."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.settings import Settings, load_settings
from strategies.lstm_scalping import PARAMETER_SETS, ScalpingParameters

CONFIG = Path(__file__).resolve().parents[2] / "config"
KEYS = {"BOT__EXCHANGE__API_KEY": "k", "BOT__EXCHANGE__API_SECRET": "s"}


def test_the_defaults_are_packaged():
    """The defaults are found where Python finds the package, not where the working folder is."""
    with as_file(files("config").joinpath("default.yaml")) as file:
        assert load_settings([file], {}, {}) == Settings()


def test_paper_needs_no_keys():
    """The paper example loads with an empty environment."""
    assert load_settings([CONFIG / "paper.yaml"], {}, {}).mode == "paper"


def test_live_is_tighter_than_the_defaults_and_holds_no_keys():
    """The live example wants its keys from outside, and no limit of it is above a default."""
    with pytest.raises(ConfigError, match=r"live\.yaml line \d+: exchange\.api_key: mode live needs it"):
        load_settings([CONFIG / "live.yaml"], {}, {})
    live, default = load_settings([CONFIG / "live.yaml"], {}, KEYS), Settings()
    assert live.mode == "live"
    assert live.sizing.equity_fraction < default.sizing.equity_fraction
    longer = {"loss_streak_minutes"}  # the longer, the tighter
    for name, value in default.risk.model_dump().items():
        if name in longer:
            assert getattr(live.risk, name) > value, name
        else:
            assert value is None or getattr(live.risk, name) < value, name


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_a_parameter_file_spells_out_its_set(name):
    """Each strategy file names all parameters of its set with the values that the code has."""
    strategy = load_settings([CONFIG / "strategies" / f"lstm_scalping.{name}.yaml"], {}, {}).strategy
    assert strategy.parameter_set == name
    assert ScalpingParameters.of("default", strategy.parameters) == PARAMETER_SETS[name]
    assert set(strategy.parameters) == set(ScalpingParameters.__slots__)


def test_every_set_has_a_file():
    """There is no file without a set and no set without a file."""
    found = {file.name.split(".")[1] for file in (CONFIG / "strategies").glob("lstm_scalping.*.yaml")}
    assert found == set(PARAMETER_SETS)
