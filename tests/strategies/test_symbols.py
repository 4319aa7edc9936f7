"""Each symbol of an account has one strategy: its own, or that of the rest."""

from __future__ import annotations

import pickle

import pytest

from bot.errors import ConfigError
from bot.settings.model import StrategySettings
from strategies import (
    ForecastHold,
    LstmScalping,
    StrategyChoice,
    factory_by_symbol,
    strategy_factory,
    symbol_choices,
)

BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"


def choices(by_symbol: dict[str, dict[str, object]], **rest: object) -> dict[str, StrategyChoice]:
    """The choices of three symbols by settings."""
    told = StrategySettings.model_validate({**rest, "by_symbol": by_symbol})
    return symbol_choices(told, (BTC, ETH, SOL))


def test_a_symbol_without_an_entry_has_the_strategy_of_the_rest():
    """Nothing said is that of all."""
    found = choices({}, name="lstm_scalping:aggressive", parameters={"threshold": 0.001})
    assert set(found) == {BTC, ETH, SOL}
    assert len({choice.shown for choice in found.values()}) == 1
    assert found[ETH].parameters == {"threshold": 0.001}


def test_an_entry_with_a_name_starts_from_that_strategys_defaults():
    """Neither set nor parameters of the rest are taken over."""
    found = choices(
        {ETH: {"name": "forecast_hold", "parameters": {"hold_minutes": 5}}},
        parameter_set="aggressive",
        parameters={"threshold": 0.001},
    )
    assert found[ETH] == ("forecast_hold", "default", {"hold_minutes": 5})
    assert found[BTC] == ("lstm_scalping", "aggressive", {"threshold": 0.001})


def test_an_entry_without_a_name_changes_that_of_the_rest():
    """Its set and single parameters take the place of those of the rest; the others stay."""
    rest = {"name": "lstm_scalping:aggressive", "parameters": {"threshold": 0.001, "stop_loss": 0.02}}
    found = choices(
        {ETH: {"parameters": {"threshold": 0.002}}, SOL: {"parameter_set": "conservative"}}, **rest
    )
    assert found[ETH].shown == "lstm_scalping:aggressive"
    assert found[ETH].parameters == {"threshold": 0.002, "stop_loss": 0.02}
    assert found[SOL].shown == "lstm_scalping:conservative"


def test_the_factory_makes_each_symbols_own_and_can_be_pickled():
    """Another process makes the same strategies of it."""
    made = factory_by_symbol(choices({ETH: {"name": "forecast_hold", "parameters": {"stop_loss": 0.03}}}))
    again = pickle.loads(pickle.dumps(made))  # noqa: S301 - what was just made
    for factory in (made, again):
        assert isinstance(factory(BTC), LstmScalping)
        assert isinstance(factory(ETH), ForecastHold)
        assert factory(ETH).protection.stop_loss_fraction == 0.03
        with pytest.raises(ConfigError, match="no strategy is chosen for DOGE/USDT:USDT"):
            factory("DOGE/USDT:USDT")


@pytest.mark.parametrize(
    "entry", [{"name": "hodl"}, {"parameters": {"treshold": 1}}, {"parameter_set": "bold"}]
)
def test_what_is_wrong_with_one_symbol_names_it(entry: dict[str, object]):
    """The sentence begins with the symbol; where all are alike it does not."""
    with pytest.raises(ConfigError, match=f"^{ETH}: "):
        factory_by_symbol(choices({ETH: entry}))
    with pytest.raises(ConfigError, match=r"^there is no strategy 'hodl'"):
        factory_by_symbol(choices({}, name="hodl"))


def test_a_strategy_of_another_name_starts_over_at_its_predecessors_snapshot():
    """Who changes the strategy of a symbol between two starts gets a fresh one, not a crash."""
    scalping, hold = strategy_factory("lstm_scalping")(BTC), strategy_factory("forecast_hold")(BTC)
    scalping.restore(hold.snapshot())
    assert scalping.snapshot() == strategy_factory("lstm_scalping")(BTC).snapshot()
    hold.restore(scalping.snapshot())
    assert hold.snapshot() == {"minutes": 0}
