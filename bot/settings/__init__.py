"""Settings: defaults, then YAML files, then the environment, then flags, all checked before anything starts."""

from bot.settings.costs import CostSettings
from bot.settings.exchange import ExchangeSettings
from bot.settings.execution import ExecutionSettings
from bot.settings.loading import LoadedSettings, load_settings, load_with_sources
from bot.settings.model import (
    AccountSettings,
    LogSettings,
    ModelSettings,
    Settings,
    SizingSettings,
    StrategySettings,
)
from bot.settings.orders import EntrySettings
from bot.settings.risk import RiskSettings

__all__ = [
    "AccountSettings",
    "CostSettings",
    "EntrySettings",
    "ExchangeSettings",
    "ExecutionSettings",
    "LoadedSettings",
    "LogSettings",
    "ModelSettings",
    "RiskSettings",
    "Settings",
    "SizingSettings",
    "StrategySettings",
    "load_settings",
    "load_with_sources",
]
