"""Settings of retention and of nightly backups."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.settings import load_settings


def test_as_shipped_much_is_kept_and_no_backup_is_made() -> None:
    """Half a year of minutes, more than a year of the rest; a backup by night is a choice."""
    settings = load_settings(environ={})
    assert settings.retention.enabled
    assert settings.retention.candles_days >= settings.retrain.span_days
    assert settings.retention.minutes_days == 180
    assert not settings.backup.enabled


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention.minutes_days", 8),
        ("retention.candles_days", 22),
        ("retention.forecasts_days", 8),
        ("retention.equity_days", 0),
        ("backup.hour_utc", 24),
        ("backup.keep", 0),
    ],
)
def test_less_than_a_week_of_replays_and_a_feature_look_back_on_is_refused(name: str, value: int) -> None:
    """The sentence names the setting."""
    with pytest.raises(ConfigError, match=name):
        load_settings(overrides={name: value}, environ={})


def test_the_folder_may_begin_at_home() -> None:
    """A tilde is the user's home."""
    folder = load_settings(overrides={"backup.folder": "~/backups"}, environ={}).backup.folder
    assert folder == Path.home() / "backups"
