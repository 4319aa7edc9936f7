"""Several strategies in one account, by flags and by settings: the same in a backtest and in the daemon."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from bot.cli.strategy_flags import shown_strategies, told_strategies
from bot.core.market import default_instrument
from bot.daemon.parts import engine_of
from bot.errors import UsageError
from bot.settings import load_settings
from bot.settings.model import StrategySettings
from strategies import ForecastHold, LstmScalping, symbol_choices
from tests.random_market import random_candles

BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"
NO_HALT = ("--set", "risk.max_drawdown_fraction=1", "--set", "risk.max_daily_loss_fraction=1")


def shown(
    texts: list[str], changes: dict[str, str] | None = None, **settings: object
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name with set, and parameters, of each symbol."""
    told = StrategySettings.model_validate(settings)
    chosen = told_strategies(told, texts, changes or {}, (BTC, ETH, SOL))
    choices = symbol_choices(chosen, (BTC, ETH, SOL))
    return {symbol: (choice.shown, dict(choice.parameters)) for symbol, choice in choices.items()}


def test_a_flag_with_an_at_is_for_its_symbols_and_one_without_for_the_rest():
    """Each symbol has the strategy that names it."""
    found = shown([f"lstm_scalping:aggressive@{BTC}", f"forecast_hold@{ETH},{SOL}"])
    assert [name for name, _ in found.values()] == [
        "lstm_scalping:aggressive",
        "forecast_hold:default",
        "forecast_hold:default",
    ]
    found = shown([f"forecast_hold@{ETH}", "lstm_scalping:conservative"])
    assert found[BTC][0] == found[SOL][0] == "lstm_scalping:conservative"
    assert found[ETH][0] == "forecast_hold:default"


def test_parameters_are_for_the_rest_or_for_one_symbol():
    """A key with an at changes that symbol alone; one without changes the strategy of the rest."""
    found = shown(
        [f"forecast_hold@{ETH}"],
        {"threshold": "0.002", f"threshold@{SOL}": "0.004", f"hold_minutes@{ETH}": "5"},
    )
    assert found[BTC] == ("lstm_scalping:default", {"threshold": "0.002"})
    assert found[SOL] == ("lstm_scalping:default", {"threshold": "0.004"})
    assert found[ETH] == ("forecast_hold:default", {"hold_minutes": "5"})


def test_flags_stand_over_settings():
    """A flag that names the strategy of the settings keeps its parameters, one that names another starts anew."""
    settings: dict[str, Any] = {
        "name": "lstm_scalping",
        "parameter_set": "aggressive",
        "parameters": {"threshold": 0.001},
        "by_symbol": {ETH: {"name": "forecast_hold", "parameters": {"hold_minutes": 5}}},
    }
    assert shown([], **settings)[ETH] == ("forecast_hold:default", {"hold_minutes": 5})
    kept = shown([f"lstm_scalping@{SOL}", f"forecast_hold@{ETH}"], **settings)
    assert kept[SOL] == ("lstm_scalping:aggressive", {"threshold": 0.001})
    assert kept[ETH] == ("forecast_hold:default", {"hold_minutes": 5})
    other = shown(["forecast_hold", f"lstm_scalping:conservative@{ETH}"], **settings)
    assert other[BTC] == ("forecast_hold:default", {})
    assert other[ETH] == ("lstm_scalping:conservative", {})


@pytest.mark.parametrize(
    ("texts", "parameters", "words"),
    [
        ([f"a@{BTC}", f"b@{BTC}"], {}, f"--strategy a and --strategy b both claim {BTC}"),
        (["a", "b"], {}, "both claim every symbol; a symbol has one position and so one strategy"),
        (["a@DOGE/USDT:USDT"], {}, "DOGE/USDT:USDT is not traded here; there is BTC"),
        (["a@"], {}, "--strategy a@: say which symbol after the @"),
        (["@" + BTC], {}, "write NAME or NAME@SYMBOL"),
        (["a", f"b@{BTC},{ETH},{SOL}"], {}, "--strategy a would trade nothing"),
        ([f"b@{BTC},{ETH},{SOL}"], {"x": "1"}, f"--set x reaches no symbol: each has a strategy of its own; write --set x@{BTC}"),
        ([], {"x@DOGE/USDT": "1"}, "--set x@DOGE/USDT: DOGE/USDT is not traded here"),
    ],
)  # fmt: skip
def test_flags_that_contradict_each_other_are_refused(
    texts: list[str], parameters: dict[str, str], words: str
):
    """One sentence that names flag and symbol."""
    with pytest.raises(UsageError) as refused:
        shown(texts, parameters)
    assert words in str(refused.value)


def test_strategies_are_shown_with_their_symbols_where_there_are_several():
    """One is its name; several tell which symbols each has."""
    told = StrategySettings.model_validate({"by_symbol": {ETH: {"name": "forecast_hold"}}})
    assert shown_strategies(symbol_choices(told, (BTC, SOL))) == "lstm_scalping:default"
    several = shown_strategies(symbol_choices(told, (BTC, ETH, SOL)))
    assert several == f"lstm_scalping:default@{BTC},{SOL}, forecast_hold:default@{ETH}"


def test_the_daemon_makes_what_the_settings_say():
    """Its engine has the strategy of each symbol, with that symbol's parameters."""
    settings = load_settings(
        [], {"strategy.by_symbol": json.dumps({ETH: {"name": "forecast_hold", "parameters": {"stop_loss": 0.03}}})}, {}
    )  # fmt: skip
    instruments = {name: default_instrument(name, price=100.0) for name in (BTC, ETH)}
    engine = engine_of(settings, "run", instruments, 1000.0)
    made = {symbol: desk.strategy for symbol, desk in engine._desks.items()}
    assert isinstance(made[BTC], LstmScalping)
    assert isinstance(made[ETH], ForecastHold)
    assert made[ETH].protection.stop_loss_fraction == 0.03


# --- through the command line -------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder and a state folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOT_STATE_DIR", "state")
    return tmp_path


@pytest.fixture
def tapes() -> list[str]:
    """Two symbols, a day of random candles each, as flags."""
    flags = []
    for seed, symbol in ((3, BTC), (4, ETH)):
        arrays = random_candles(seed, 1440, gaps=False)
        name = f"{symbol[:3]}.parquet"
        pq.write_table(pa.table({field.name: getattr(arrays, field.name) for field in fields(arrays)}), name)
        flags += ["--candles", f"{symbol}={name}"]
    return flags


def run(capsys, *words: str) -> dict[str, Any]:
    """Run a backtest; its summary."""
    assert main(["backtest", "--engine", "fast", "--seed", "1", "--json", *NO_HALT, *words]) == 0
    summary: dict[str, Any] = json.loads(capsys.readouterr().out)
    return summary


def test_the_summary_is_split_by_strategy(tapes, capsys):
    """Trades, profit and fees of the strategies add up to the account's, and each symbol trades as if its own ran alone."""
    both = run(capsys, *tapes, "--strategy", f"forecast_hold@{ETH}", "--set", f"hold_minutes@{ETH}=7")
    scalping, hold = both["by_strategy"]
    assert (scalping["strategy"], scalping["symbols"]) == ("lstm_scalping:default", [BTC])
    assert (hold["strategy"], hold["symbols"]) == ("forecast_hold:default", [ETH])
    assert hold["parameters"] == {"hold_minutes": "7"}
    assert scalping["trades"] + hold["trades"] == both["trades"] > 60
    assert "held_long_enough" in hold["exit_reasons"]
    assert "held_long_enough" not in scalping["exit_reasons"]
    alone = run(capsys, *tapes, "--strategy", "forecast_hold", "--set", "hold_minutes=7")
    assert [one["symbols"] for one in alone["by_strategy"]] == [[BTC, ETH]]
    assert both["strategy"] == f"lstm_scalping:default@{BTC}, forecast_hold:default@{ETH}"


def test_a_settings_file_says_the_same_as_flags(tapes, capsys):
    """strategy.by_symbol in a file makes the very run of the flags, to the last digit."""
    Path("mine.yaml").write_text(
        f"strategy:\n  by_symbol:\n    {ETH}: {{name: forecast_hold, parameters: {{hold_minutes: 7}}}}\n"
    )
    by_file = run(capsys, *tapes, "--config", "mine.yaml")
    by_flag = run(capsys, *tapes, "--strategy", f"forecast_hold@{ETH}", "--set", f"hold_minutes@{ETH}=7")
    assert by_file["final_equity"] == by_flag["final_equity"]
    assert [one["trades"] for one in by_file["by_strategy"]] == [
        one["trades"] for one in by_flag["by_strategy"]
    ]


def test_the_table_has_a_row_for_each_strategy(tapes, capsys):
    """On a console a second table tells them apart."""
    words = ["backtest", "--engine", "fast", "--seed", "1", *tapes, "--strategy", f"forecast_hold@{ETH}"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "by strategy" in printed
    assert "forecast_hold:default" in printed


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--strategy", f"lstm_scalping@{BTC}", "--strategy", f"forecast_hold@{BTC}"], 2, f"both claim {BTC}"),
        (["--strategy", "lstm_scalping@XRP/USDT:USDT"], 2, "XRP/USDT:USDT is not traded here"),
        (["--strategy", f"hodl@{ETH}"], 4, f"{ETH}: there is no strategy 'hodl'"),
        (["--set", f"treshold@{ETH}=1"], 4, f"{ETH}: lstm_scalping has no parameter 'treshold': did you mean threshold?"),
        (["--set", f"costs.taker_fee_bps@{ETH}=1"], 2, "only a parameter of a strategy can be for one symbol"),
    ],
)  # fmt: skip
def test_a_wrong_flag_is_one_sentence(tapes, capsys, words, code, said):
    """Exit code and sentence, before a candle is read."""
    assert main(["backtest", "--seed", "1", *tapes, *words]) == code
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err


def test_a_symbol_of_the_settings_that_is_not_traded_is_refused(capsys):
    """The file, its line and the symbols that there are."""
    Path("mine.yaml").write_text("strategy:\n  by_symbol:\n    DOGE/USDT:USDT: {name: forecast_hold}\n")
    assert main(["config", "check", "--config", "mine.yaml"]) == 4
    assert (
        "mine.yaml line 3: strategy.by_symbol.DOGE/USDT:USDT: DOGE/USDT:USDT is not traded"
        in capsys.readouterr().err
    )


def test_settings_show_a_symbols_strategy(capsys):
    """`bot config show --json` gives it back as it was said."""
    told = json.dumps({ETH: {"name": "forecast_hold"}})
    assert main(["config", "show", "--json", "--set", f"strategy.by_symbol={told}"]) == 0
    assert '"name": "forecast_hold"' in capsys.readouterr().out
