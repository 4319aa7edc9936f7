"""Settings: defaults, then YAML files, then the environment, then flags, all checked before anything starts."""

from bot.settings.loading import LoadedSettings, load_settings, load_with_sources
from bot.settings.model import (
    AccountSettings,
    CostSettings,
    ExchangeSettings,
    LogSettings,
    ModelSettings,
    RiskSettings,
    Settings,
    SizingSettings,
    StrategySettings,
)

__all__ = [
    "AccountSettings",
    "CostSettings",
    "ExchangeSettings",
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
