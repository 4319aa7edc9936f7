"""What the compiled kernel does not do it refuses with one sentence, before it runs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from backtests.inputs import BacktestInput
from backtests.kernel_scope import check_scope, has_numba, kernel_fault, parameters_of
from backtests.run import run_backtest
from backtests.session import new_matcher
from backtests.turns import EngineTurn
from bot.core.entry import EntryRule, EntryStyle
from bot.core.market import Candle, Symbol
from bot.core.slippage import ImpactRule
from bot.errors import ConfigError
from strategies.lstm_scalping import LstmScalping, ScalpingParameters
from tests.random_market import PERPETUALS, random_input


class OwnStrategy(LstmScalping):
    """A user's own, made from the one that the kernel knows."""

    def observe(self, candle: Candle) -> None:
        """Something else."""


def with_limits(data: BacktestInput, **values: Any) -> BacktestInput:
    """The same with other limits."""
    return replace(data, config=replace(data.config, limits=replace(data.config.limits, **values)))


def own(symbol: Symbol) -> OwnStrategy:
    """Makes one."""
    return OwnStrategy(symbol, ScalpingParameters())


def refused(name: str) -> BacktestInput:
    """An input that is out of the kernel's scope."""
    data = random_input(1, count=50)
    rules = data.config.instruments[PERPETUALS[0]]
    made = {
        "impact": lambda: replace(
            data, config=replace(data.config, costs=replace(data.config.costs, impact=ImpactRule()))
        ),
        "correlation": lambda: with_limits(data, max_correlated_notional_fraction=0.5),
        "age": lambda: with_limits(data, max_prediction_age_seconds=-1.0),
        "steps": lambda: replace(
            data,
            config=replace(data.config, instruments={PERPETUALS[0]: replace(rules, lot_step=2.5e-13)}),
        ),
        "strategy": lambda: replace(data, make_strategy=own),
        "turns": lambda: replace(data, turns=(EngineTurn(0),)),
    }
    return made[name]()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("impact", "its costs are fixed ones"),
        ("correlation", "risk.max_correlated_notional_fraction"),
        ("age", "nothing would ever be decided"),
        ("steps", "more than 12 decimals"),
        ("strategy", "no strategy but lstm_scalping, and BTC/USDT:USDT has another"),
        ("turns", "gated walk-forward"),
    ],
)
def test_what_is_out_of_scope_is_refused_with_a_sentence(name: str, words: str) -> None:
    """The sentence says what it is and which engine to use instead."""
    pytest.importorskip("numba")
    data = refused(name)
    assert words in str(kernel_fault(data))
    with pytest.raises(ConfigError, match=r"the compiled kernel can't run this: .*; use --engine fast"):
        check_scope(data)
    with pytest.raises(ConfigError, match="--engine fast"):
        run_backtest(data, engine="kernel")


def test_maker_entries_and_all_other_limits_are_in_scope() -> None:
    """Whatever else the settings can say is run."""
    pytest.importorskip("numba")
    data = random_input(1, count=50, entry=EntryRule(EntryStyle.MAKER, 3, taker_fallback=True))
    data = with_limits(
        data, max_loss_streak=3, max_funding_rate=0.001, max_spread_bps=5.0, max_symbol_notional=100.0
    )
    assert kernel_fault(data) is None
    check_scope(data)


def test_the_parameters_of_each_symbol_are_read() -> None:
    """One account may trade its symbols by different parameters; a strategy without them has none."""
    data = random_input(1, symbols=PERPETUALS[:2], count=50)
    told = {symbol: ScalpingParameters(threshold=0.001 * place) for place, symbol in enumerate(data.symbols)}
    data = replace(data, make_strategy=lambda symbol: LstmScalping(symbol, told[symbol]))
    assert parameters_of(data) == told


def test_another_exchange_is_refused() -> None:
    """The kernel fills its orders itself."""
    data = random_input(1, count=50)
    with pytest.raises(ConfigError, match="can't trade at another exchange"):
        run_backtest(data, engine="kernel", matcher=new_matcher(data))


def test_without_numba_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the kernel is told which extra holds its compiler."""
    known = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == "numba" else known(name, *more)
    )
    assert not has_numba()
    data = random_input(1, count=50)
    assert kernel_fault(data) == "numba is not installed (the extra `sweep` has it)"
    with pytest.raises(ConfigError, match="needs numba: install the extra `sweep`"):
        run_backtest(data, engine="kernel")


def test_importing_the_kernel_without_numba_says_the_same() -> None:
    """``from backtests.kernel import KernelTape`` ends with the same sentence, as a ConfigError."""
    code = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'numba': raise ModuleNotFoundError(name)\n"
        "import importlib.util as util\n"
        "known = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'numba' else known(name, *more)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from bot.errors import ConfigError\n"
        "try:\n"
        "    import backtests.kernel\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("the compiled kernel needs numba: install the extra `sweep`")
