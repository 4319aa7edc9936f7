"""What the compiled kernel does, and one sentence where it does not; nothing here needs numba."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from backtests.inputs import BacktestInput
from bot.core.market import Symbol
from bot.errors import ConfigError
from strategies.lstm_scalping import LstmScalping, ScalpingParameters

LEAST_LOT_STEP = 1e-12
"""Quantities on finer steps would be rounded once more by the books, which the kernel does not follow."""


def kernel_fault(data: BacktestInput) -> str | None:
    """Why the compiled kernel can't run an input, as the end of a sentence; None when it can."""
    if not has_numba():
        return "numba is not installed (the extra `sweep` has it)"
    if data.turns:
        return "who predicts, or the size of entries, changes in it (a gated walk-forward), and it knows no such change"
    config = data.config
    if not config.costs.is_plain:
        return "its costs are fixed ones: it knows no estimated spread, impact, participation cap, latency or margin"
    if config.limits.max_correlated_notional_fraction is not None:
        return "it knows no risk.max_correlated_notional_fraction"
    if config.limits.max_prediction_age_seconds < 0:
        return "risk.max_prediction_age_seconds is negative: nothing would ever be decided"
    for symbol, rules in config.instruments.items():
        if not rules.lot_step >= LEAST_LOT_STEP or round(rules.lot_step, 12) != rules.lot_step:
            return f"the lot step of {symbol} has more than 12 decimals"
    for symbol in data.symbols:
        if type(data.make_strategy(symbol)) is not LstmScalping:
            return f"it knows no strategy but lstm_scalping, and {symbol} has another"
    return None


def has_numba() -> bool:
    """Whether the compiler is installed; it comes with the extras `sweep` and `train`."""
    return importlib.util.find_spec("numba") is not None


def check_numba() -> None:
    """Raise ConfigError where the compiler is not installed."""
    if not has_numba():
        raise ConfigError("the compiled kernel needs numba: install the extra `sweep`, or use --engine fast")


def check_scope(data: BacktestInput) -> None:
    """Raise ConfigError where the compiled kernel can't run an input."""
    if (why := kernel_fault(data)) is not None:
        raise ConfigError(f"the compiled kernel can't run this: {why}; use --engine fast")


def parameters_of(data: BacktestInput) -> Mapping[Symbol, ScalpingParameters]:
    """The parameters of each symbol's strategy; each is an ``LstmScalping`` (``check_scope`` asks)."""
    found: dict[Symbol, ScalpingParameters] = {}
    for symbol in data.symbols:
        strategy = data.make_strategy(symbol)
        if not isinstance(strategy, LstmScalping):
            raise ConfigError(f"the strategy of {symbol} is not lstm_scalping")
        found[symbol] = strategy.parameters
    return found
