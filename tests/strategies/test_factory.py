"""Tests of strategies by name: the shipped one, and a user's own by dotted path, through the engine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bot.core.orders import Protection
from bot.errors import ConfigError
from strategies import PARAMETER_SETS, STRATEGIES, strategy_factory
from strategies.lstm_scalping import LstmScalping
from tests.core_builders import PERPETUAL, SPOT, SYMBOLS, engine_config, random_tape, restarted, world

USERS_MODULE = '''
from bot.core.orders import Protection
from bot.core.signal import Direction, Signal


class Contrarian:
    """Does the opposite of what is forecast, after seeing some candles."""

    def __init__(self, symbol, stop=0.002, patience=3):
        if patience < 1:
            raise ValueError("patience must be at least 1")
        self.symbol, self.patience, self.seen = symbol, patience, 0
        self.protection = Protection(stop, 2 * stop)

    def observe(self, candle):
        self.seen += 1

    def forget(self):
        self.seen = 0

    def decide(self, view):
        expected = view.prediction.expected_return
        if view.position.quantity or self.seen < self.patience or abs(expected) < 0.001:
            held = view.position.quantity
            return Signal(Direction.LONG if held > 0 else Direction.SHORT if held < 0 else Direction.FLAT, 1.0, "wait")
        if expected > 0 and not view.can_short:
            return Signal(Direction.FLAT, 0.0, "cannot_short")
        return Signal(Direction.SHORT if expected > 0 else Direction.LONG, 1.0, "against")

    def snapshot(self):
        return {"seen": self.seen}

    def restore(self, state):
        self.seen = state["seen"]


NOT_A_FACTORY = 7
'''


@pytest.fixture
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's on the import path, and one that can't be parsed."""
    (tmp_path / "my_own_strategy.py").write_text(USERS_MODULE, encoding="utf-8")
    (tmp_path / "my_broken_strategy.py").write_text("def make(:\n", encoding="utf-8")
    (tmp_path / "my_raising_strategy.py").write_text("raise ValueError('not today')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("my_own_strategy", "my_broken_strategy", "my_raising_strategy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "my_own_strategy"


def test_a_users_strategy_trades_end_to_end_and_over_a_restart(users_module: str) -> None:
    """Named by dotted path it enters, is protected by its own stop, exits, and goes on after a restart."""
    make = strategy_factory(f"{users_module}:Contrarian", overrides={"stop": 0.004})
    tape = random_tape(5, 150)
    whole = world(engine_config(SYMBOLS), make).run(tape)
    first = world(engine_config(SYMBOLS), make).run(tape[:70])
    second = restarted(first, tape[:70], make).run(tape[70:])
    assert first.trades + second.trades == whole.trades
    assert first.equities + second.equities == whole.equities
    assert {trade.exit_reason for trade in whole.trades} == {"stop_loss", "take_profit"}
    assert {trade.direction for trade in whole.trades} == {"long", "short"}
    assert {trade.symbol for trade in whole.trades} == set(SYMBOLS)
    assert all(trade.direction == "long" for trade in whole.trades if trade.symbol == SPOT)
    entries = [order.intent for d in whole.decisions for order in d.approved if order.intent.protection]
    assert {intent.protection for intent in entries} == {Protection(0.004, 0.008)}


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("unheard_of", {}, "lstm_scalping"),
        ("lstm_scalping:reckless", {}, "reckless"),
        ("lstm_scalping", {"treshold": 1}, "treshold"),
        ("my_own_strategy:Missing", {}, "Missing"),
        ("no_such_module_of_mine:make", {}, "no_such_module_of_mine"),
        (":make", {}, "make"),
        (".relative:make", {}, "relative"),
        ("my_broken_strategy:make", {}, "my_broken_strategy"),
        ("my_raising_strategy:make", {}, "not today"),
        ("my_own_strategy:NOT_A_FACTORY", {}, "NOT_A_FACTORY"),
        ("my_own_strategy:Contrarian", {"stopp": 0.1}, "stopp"),
        ("my_own_strategy:Contrarian", {"patience": 0}, "patience must be at least 1"),
    ],
)
@pytest.mark.usefixtures("users_module")
def test_a_name_or_parameter_that_is_wrong_is_refused_before_anything_starts(
    name: str, overrides: dict[str, Any], words: str
) -> None:
    """One sentence that says what is wrong, when the factory is asked for and not at the first candle."""
    with pytest.raises(ConfigError, match=words):
        strategy_factory(name, overrides=overrides)


@pytest.mark.parametrize("chosen", sorted(PARAMETER_SETS))
def test_a_parameter_set_is_named_in_either_way(chosen: str) -> None:
    """After a colon, or by argument; the colon wins."""
    expected = Protection(PARAMETER_SETS[chosen].stop_loss, PARAMETER_SETS[chosen].take_profit)
    for make in (
        strategy_factory(f"lstm_scalping:{chosen}"),
        strategy_factory("lstm_scalping", parameter_set=chosen),
        strategy_factory(f"lstm_scalping:{chosen}", parameter_set="aggressive"),
    ):
        assert make(PERPETUAL).protection == expected


def test_each_symbol_has_a_strategy_of_its_own() -> None:
    """What one symbol's instance remembers is not another's."""
    assert STRATEGIES == ("lstm_scalping", "forecast_hold")
    make = strategy_factory("lstm_scalping", overrides={"threshold": "0.002"})
    one, two = make(PERPETUAL), make(SPOT)
    assert one is not two
    assert isinstance(one, LstmScalping)
    assert isinstance(two, LstmScalping)
    assert (one.symbol, two.symbol) == (PERPETUAL, SPOT)
