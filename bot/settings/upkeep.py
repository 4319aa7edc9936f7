"""Settings of what a state folder needs over months: how long its journal keeps what, and backups by night."""

from __future__ import annotations

from pydantic import Field

from bot.settings.values import HomePath, Number, Section, Whole


class RetentionSettings(Section):
    """For how many days the journal keeps what is large; trades, orders, fills and daily equity stay for ever."""

    enabled: bool = Field(True, description="Whether anything is ever removed.")
    minutes_days: Whole = Field(
        180,
        ge=9,
        le=36_500,
        description="Decided minutes with their candles, forecasts and decisions: what `bot report`, `bot explain` and a "
        "replay read. Those since an open position was entered stay.",
    )
    candles_days: Whole = Field(
        400,
        ge=23,
        le=36_500,
        description="Candles; at least 14 days more than minutes, and what a retraining looks at.",
    )
    forecasts_days: Whole = Field(
        400, ge=9, le=36_500, description="Live forecasts and what came of them (`bot models performance`)."
    )
    equity_days: Whole = Field(
        400, ge=9, le=36_500, description="The account minute by minute; older days keep their last minute."
    )


class BackupSettings(Section):
    """A backup of the state folder each night, made beside trading (docs/commands.md#bot-backup-bot-restore)."""

    enabled: bool = Field(False, description="Whether one is made each day.")
    hour_utc: Whole = Field(2, ge=0, le=23, description="Hour (UTC) from which the day's backup is made.")
    folder: HomePath | None = Field(
        None,
        description="Where; best on another disk. null is backups in the state folder.",
    )
    keep: Whole = Field(7, ge=1, le=3650, description="How many of this bot's backups stay there.")
    candles: bool = Field(
        False, description="Whether downloaded candles are in it; they can be fetched anew."
    )
    logs: bool = Field(False, description="Whether log files are in it.")
    timeout_minutes: Number = Field(120.0, gt=0, le=1440, description="A backup that takes longer is ended.")
