"""Settings of the weekly retraining, of the gate that its models pass, and of the watch over the one that trades."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator

from bot.core.promotion import GateRules
from bot.core.skill_watch import WatchRules
from bot.settings.values import Number, Section, Whole

_RULES = GateRules()


class RetrainSettings(Section):
    """When and what is trained anew."""

    enabled: bool = Field(False, description="Whether new models are trained, by the schedule.")
    by: Literal["daemon", "service"] = Field(
        "daemon",
        description="Who does it: the daemon, or `bot retrainer`, a process of its own on the same state folder.",
    )
    schedule: str = Field(
        "0 3 * * sun",
        description="When, as a crontab line: minute, hour, day of the month, month, day of the week.",
    )
    time_zone: str = Field("UTC", description="Time zone of the schedule, such as Europe/Berlin.")
    recipe: str = Field("scalping", min_length=1, description="Name or path of the recipe.")
    train_days: Whole = Field(112, ge=2, le=3650, description="Days of candles that each model is made of.")
    max_weeks: Whole = Field(
        26, ge=1, le=520, description="Weeks of walk-forward that evidence is pooled over, at most."
    )
    max_minutes: Number = Field(
        10.0, gt=0, le=1440, description="Time limit of each fit; the recipe's own limit holds too."
    )
    timeout_hours: Number = Field(24.0, gt=0, le=168, description="A retraining that runs longer is ended.")
    shadow_hours: Number = Field(
        24.0, ge=0, le=720, description="How long a challenger predicts beside the champion before it trades."
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value} is not a time zone; write it as Europe/Berlin")
        return value

    @property
    def span_days(self) -> int:
        """Days of candles that a retraining looks at, those for the features' warm-up included."""
        return self.train_days + 7 * self.max_weeks + 2

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.time_zone)


class GateSettings(Section):
    """What a model must show before it trades."""

    min_weeks: Whole = Field(_RULES.min_weeks, ge=1, le=520, description="Weeks out of sample.")
    min_minutes: Whole = Field(_RULES.min_minutes, ge=1, description="Scored minutes.")
    min_trades: Whole = Field(_RULES.min_trades, ge=1, description="Trades that do not overlap.")
    min_gain_millinats: Number = Field(
        _RULES.min_gain_millinats, ge=0, description="Least log-loss gain over the best baseline."
    )
    gain_confidence: Number = Field(
        _RULES.gain_confidence, ge=0.5, lt=1, description="Confidence with which that gain must lie above 0."
    )
    recent_weeks: Whole = Field(_RULES.recent_weeks, ge=1, le=520, description="Of so many last weeks ...")
    min_positive_weeks: Whole = Field(
        _RULES.min_positive_weeks, ge=1, le=520, description="... so many must have gained."
    )
    max_spa_p: Number = Field(_RULES.max_spa_p, gt=0, le=1, description="P of the SPA test over all trials.")
    max_overfitting: Number = Field(
        _RULES.max_overfitting, gt=0, le=1, description="Probability of backtest overfitting."
    )
    min_deflated_sharpe: Number = Field(
        _RULES.min_deflated_sharpe, ge=0, lt=1, description="Deflated Sharpe ratio of the daily net returns."
    )
    expectancy_confidence: Number = Field(
        _RULES.expectancy_confidence,
        ge=0.5,
        lt=1,
        description="Confidence with which a trade's net return must lie above 0.",
    )
    stressed_costs: Number = Field(
        _RULES.stressed_costs, ge=1, le=10, description="At so many times the costs a trade must still pay."
    )
    min_slope: Number = Field(_RULES.min_slope, ge=0, le=1, description="Least calibration slope.")
    max_slope: Number = Field(_RULES.max_slope, ge=1, le=10, description="Greatest calibration slope.")
    refit_margin_millinats: Number = Field(
        _RULES.refit_margin_millinats, ge=0, description="A refit may be worse than the champion by so much."
    )
    refit_confidence: Number = Field(
        _RULES.refit_confidence, ge=0.5, lt=1, description="Confidence of that comparison."
    )
    refit_correlation: Number = Field(
        _RULES.refit_correlation, ge=-1, lt=1, description="Least correlation of a refit with the champion."
    )
    refit_min_minutes: Whole = Field(
        _RULES.refit_min_minutes, ge=1, description="Minutes that refit and champion are compared on."
    )

    def to_core(self) -> GateRules:
        """The rules as the core takes them."""
        return GateRules(**self.model_dump())


class WatchSettings(Section):
    """When the model that trades is doubted: its size is cut, entries stop, or the version before takes over."""

    enabled: bool = Field(True, description="Whether a model is taken out of trading by itself.")
    doubt_days: Number = Field(
        0.75, gt=0, le=30, description="Losses over so many days cut entries to half their size."
    )
    doubt_confidence: Number = Field(
        0.75, ge=0.5, lt=1, description="Confidence with which those losses must lie above the base rate's."
    )
    freeze_days: Number = Field(
        0.75, gt=0, le=30, description="A doubt that lasts so many days stops entries until it ends."
    )
    rollback_days: Number = Field(3.0, gt=0, le=90, description="Losses over so many days end its trading.")
    rollback_confidence: Number = Field(
        0.99, ge=0.5, lt=1, description="Confidence with which those losses must lie above the base rate's."
    )
    min_slope: Number = Field(
        0.5,
        ge=-10,
        le=1,
        description="A live calibration slope likely below this cuts entries, surely below ends them.",
    )
    max_psi: Number = Field(
        0.25, gt=0, le=100, description="Population stability index of a feature that counts as drift."
    )
    max_drift_share: Number = Field(
        0.5, gt=0, le=1, description="Share of the features in drift above which no position is opened."
    )
    inference_deadline_ms: Number = Field(
        1000.0,
        gt=0,
        le=30_000,
        description="A forecast that takes longer, three times in a row, ends its trading.",
    )
    max_stale_minutes: Whole = Field(
        10,
        ge=1,
        le=1440,
        description="Minutes in a row without a forecast that was due, which end its trading.",
    )

    def to_core(self) -> WatchRules:
        """The rules as the core takes them; whether they are kept at all is ``enabled``."""
        return WatchRules(**self.model_dump(exclude={"enabled"}))
