"""Strategies by name: predictions in, signals out. A user's own is named by dotted path."""

from __future__ import annotations

from strategies.factory import STRATEGIES, strategy_factory
from strategies.forecast_hold import HOLD_SETS, ForecastHold, HoldParameters
from strategies.lstm_scalping import PARAMETER_SETS, LstmScalping, ScalpingParameters
from strategies.symbols import StrategyChoice, factory_by_symbol, symbol_choices

__all__ = [
    "HOLD_SETS",
    "PARAMETER_SETS",
    "STRATEGIES",
    "ForecastHold",
    "HoldParameters",
    "LstmScalping",
    "ScalpingParameters",
    "StrategyChoice",
    "factory_by_symbol",
    "strategy_factory",
    "symbol_choices",
]
