"""Settings of what trading costs, and of how a market carries out orders on paper and in a backtest."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bot.core.costs import Costs
from bot.core.liquidation import MarginMode, MarginRule
from bot.core.slippage import ImpactRule
from bot.core.spread import SpreadRule
from bot.settings.values import Number, Section, Whole

_COSTS, _SPREAD, _IMPACT, _MARGIN = Costs(), SpreadRule(), ImpactRule(), MarginRule()

PAPER_ONLY = ("spread_model", "impact_coefficient", "participation_cap", "latency_ms", "liquidation")
"""Keys that switch on what a real exchange does by itself: live trading looks at none of them."""


class CostSettings(Section):
    """What trading costs, in basis points of the notional (1 bp = 0.01 %), and how paper and backtest fill orders."""

    preset: str | None = Field(
        None,
        pattern=r"^[a-z0-9-]+$",
        description="Figures of an exchange to begin with, such as binanceusdm (docs/backtesting.md#presets); whatever "
        "a file, the environment or a flag says of a single figure wins.",
    )
    taker_fee_bps: Number = Field(_COSTS.taker_fee_bps, ge=0, le=100, description="Fee of a market order.")
    half_spread_bps: Number = Field(
        _COSTS.half_spread_bps,
        ge=0,
        le=100,
        description="Half the distance between bid and ask; the least of it where it is estimated.",
    )
    slippage_bps: Number = Field(
        _COSTS.slippage_bps, ge=0, le=100, description="What a market order moves beyond that."
    )
    funding_rate: Number = Field(
        _COSTS.funding_rate,
        ge=-0.03,
        le=0.03,
        description="Per 8 hours, as a fraction, for a perpetual whose rates are not given.",
    )
    maker_fee_bps: Number = Field(
        _COSTS.maker_fee_bps, ge=0, le=100, description="Fee of a limit order that waited."
    )
    spread_model: Literal["fixed", "estimated"] = Field(
        "fixed",
        description="estimated: half the spread of each fill is estimated from the candles before it, and is "
        "costs.half_spread_bps at least.",
    )
    spread_minutes: Whole = Field(
        _SPREAD.window_minutes,
        ge=30,
        le=10_080,
        description="How many minutes the estimate looks at.",
    )
    spread_cap_bps: Number = Field(
        _SPREAD.cap_bps, gt=0, le=500, description="The most that half the spread is estimated at."
    )
    impact_coefficient: Number = Field(
        0.0,
        ge=0,
        le=100,
        description="Slippage by size, beyond costs.slippage_bps: this times the volatility of a minute times the root "
        "of the order's share of the minute's volume; about 1 by the literature, 0: none.",
    )
    impact_minutes: Whole = Field(
        _IMPACT.window_minutes,
        ge=2,
        le=10_080,
        description="How many one-minute returns that volatility is of.",
    )
    impact_cap_bps: Number = Field(
        _IMPACT.cap_bps, gt=0, le=500, description="The most that an order moves by its size."
    )
    participation_cap: Number | None = Field(
        None,
        gt=0,
        le=1,
        description="Share of a candle's volume that our orders trade at most; the rest of an entry is canceled, that "
        "of an exit goes on; null: orders fill whole.",
    )
    latency_ms: Whole = Field(
        0,
        ge=0,
        le=600_000,
        description="Milliseconds from a decision to the moment at which its order reaches the market; 60000 is a bar.",
    )
    liquidation: Literal["none", "isolated", "cross"] = Field(
        "none",
        description="Whether the exchange closes a perpetual by force, and what stands behind it: its own margin, or "
        "the whole account.",
    )
    leverage: Number = Field(
        _MARGIN.leverage, ge=1, le=125, description="Notional of a position over its own margin (isolated)."
    )
    maintenance_margin_rate: Number = Field(
        _MARGIN.maintenance_rate,
        gt=0,
        lt=0.5,
        description="Share of the notional below which what stands behind a position may not fall.",
    )
    liquidation_fee_bps: Number = Field(
        _MARGIN.liquidation_fee_bps,
        ge=0,
        le=500,
        description="Charged by a liquidation beside the taker fee, as far as the margin goes.",
    )

    def to_core(self) -> Costs:
        """The costs as the core takes them."""
        return Costs(
            taker_fee_bps=self.taker_fee_bps,
            half_spread_bps=self.half_spread_bps,
            slippage_bps=self.slippage_bps,
            funding_rate=self.funding_rate,
            maker_fee_bps=self.maker_fee_bps,
            spread=self._spread(),
            impact=self._impact(),
            participation_cap=self.participation_cap,
            latency_ms=self.latency_ms,
            margin=self._margin(),
        )

    def _spread(self) -> SpreadRule | None:
        if self.spread_model == "fixed":
            return None
        return SpreadRule(self.spread_minutes, self.spread_cap_bps)

    def _impact(self) -> ImpactRule | None:
        if self.impact_coefficient == 0:
            return None
        return ImpactRule(self.impact_coefficient, self.impact_minutes, self.impact_cap_bps)

    def _margin(self) -> MarginRule | None:
        if self.liquidation == "none":
            return None
        return MarginRule(
            MarginMode(self.liquidation),
            self.leverage,
            self.maintenance_margin_rate,
            self.liquidation_fee_bps,
        )

    def paper_only(self) -> tuple[str, ...]:
        """Dotted names of the keys in force that live trading looks at not at all."""
        defaults = CostSettings()
        return tuple(f"costs.{name}" for name in PAPER_ONLY if getattr(self, name) != getattr(defaults, name))

    def fault(self, most_notional_fraction: float) -> tuple[str, str] | None:
        """The first key that contradicts another, by its dotted name, and what is wrong; None when all agree.

        Args:
            most_notional_fraction: Of equity, that the risk limits let be held.
        """
        if self.spread_model == "estimated" and self.spread_cap_bps < self.half_spread_bps:
            problem = f"must be at least costs.half_spread_bps, which is {self.half_spread_bps:g}"
            return "costs.spread_cap_bps", problem
        if self.liquidation == "none":
            return None
        if self.liquidation == "isolated" and self.maintenance_margin_rate * self.leverage >= 1:
            problem = f"with costs.leverage {self.leverage:g} it must be below {1 / self.leverage:g}, or every entry is liquidated"
            return "costs.maintenance_margin_rate", problem
        if most_notional_fraction > self.leverage:
            problem = f"must be at least {most_notional_fraction:g}, which risk.max_total_notional_fraction lets be held"
            return "costs.leverage", problem
        return None
