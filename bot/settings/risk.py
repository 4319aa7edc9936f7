"""Settings of risk: the limits of the account, and the guards of an entry."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from bot.core.limits import RiskLimits
from bot.settings.values import MAX_MONEY, Number, Section, Whole

_LIMITS = RiskLimits()
MAX_MINUTES: Final = 10_080


class WatchdogSettings(Section):
    """What happens when the bot has gone blind: no minute was decided for so long."""

    minutes: Number | None = Field(
        60.0,
        ge=5,
        le=MAX_MINUTES,
        description="Minutes without a decided minute after which it acts; null never does.",
    )
    action: Literal["halt", "reduce", "flatten"] = Field(
        "halt",
        description="halt and flatten take no new risk until a person resumes, reduce neither; flatten also closes at "
        "market what is held. Stops and targets rest on in all three.",
    )


class RiskSettings(Section):
    """What the account may never exceed."""

    max_symbol_notional_fraction: Number = Field(
        _LIMITS.max_symbol_notional_fraction,
        gt=0,
        le=5,
        description="Notional in one symbol, as a fraction of equity.",
    )
    max_total_notional_fraction: Number = Field(
        _LIMITS.max_total_notional_fraction,
        gt=0,
        le=10,
        description="Notional in all symbols together, as a fraction of equity.",
    )
    max_symbol_notional: Number | None = Field(
        _LIMITS.max_symbol_notional,
        gt=0,
        le=MAX_MONEY,
        description="The same for one symbol in quote currency; null leaves only the fraction.",
    )
    max_total_notional: Number | None = Field(
        _LIMITS.max_total_notional,
        gt=0,
        le=MAX_MONEY,
        description="The same for all together in quote currency; null leaves only the fraction.",
    )
    max_daily_loss_fraction: Number = Field(
        _LIMITS.max_daily_loss_fraction,
        gt=0,
        le=1,
        description="Loss since 00:00 UTC, of the equity then; beyond it no new risk until the next day.",
    )
    max_drawdown_fraction: Number = Field(
        _LIMITS.max_drawdown_fraction,
        gt=0,
        le=1,
        description="Fall from the highest equity; beyond it trading halts until a person resumes it.",
    )
    max_orders_per_minute: Whole = Field(
        _LIMITS.max_orders_per_minute,
        ge=1,
        le=1000,
        description="Orders decided within one minute; further entries are refused.",
    )
    max_prediction_age_seconds: Number = Field(
        _LIMITS.max_prediction_age_seconds,
        gt=0,
        le=3600,
        description="A candle older than this is not traded on.",
    )

    max_trade_risk_fraction: Number | None = Field(
        _LIMITS.max_trade_risk_fraction,
        gt=0,
        le=1,
        description="Equity lost when a new position's stop is hit, costs included; larger entries are cut. null does not ask.",
    )
    max_correlated_notional_fraction: Number | None = Field(
        _LIMITS.max_correlated_notional_fraction,
        gt=0,
        le=10,
        description="Notional of positions that move together, as a fraction of equity; larger entries are cut. null does "
        "not ask.",
    )
    correlation_threshold: Number = Field(
        _LIMITS.correlation_threshold,
        gt=0,
        le=1,
        description="From which correlation of one-minute returns on, of either sign, two symbols move together.",
    )
    max_loss_streak: Whole | None = Field(
        _LIMITS.max_loss_streak,
        ge=1,
        le=1000,
        description="So many losing trades in a row stop entries for a while; null does not count.",
    )
    loss_streak_minutes: Whole = Field(
        _LIMITS.loss_streak_minutes, ge=1, le=10_080, description="For how long they stop entries."
    )
    max_funding_rate: Number | None = Field(
        _LIMITS.max_funding_rate,
        ge=0,
        le=0.03,
        description="Entries that would pay more funding than this per 8 hours, as a fraction, are refused; null, or a rate "
        "that is not known, refuses nothing.",
    )
    max_spread_bps: Number | None = Field(
        _LIMITS.max_spread_bps,
        gt=0,
        le=1000,
        description="Entries are refused while bid and ask are farther apart, or while the exchange does not tell them; null does "
        "not ask. A backtest has no quotes, and there it refuses nothing.",
    )
    max_jump_fraction: Number | None = Field(
        _LIMITS.max_jump_fraction,
        gt=0,
        le=10,
        description="Entries are refused on a close that is farther from the one before; null does not ask.",
    )
    max_stale_minutes: Whole | None = Field(
        _LIMITS.max_stale_minutes,
        ge=1,
        le=1440,
        description="Entries are refused when the close has not moved for so long while nothing was traded; null does not ask.",
    )

    def to_core(self) -> RiskLimits:
        """The limits as the core takes them."""
        return RiskLimits(**self.model_dump())
