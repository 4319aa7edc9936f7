"""Settings of live execution: its bounds in time, leverage and margin, and what is done about what is not ours."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bot.core.execution_rules import ExecutionRules
from bot.core.orders import Protection
from bot.settings.values import Number, Section, Whole

_RULES = ExecutionRules()


class ExecutionSettings(Section):
    """How orders are carried out in live mode."""

    leverage: Whole = Field(
        1,
        ge=1,
        le=20,
        description="Leverage that the exchange must have for each symbol (perpetuals); `bot doctor --live --fix` sets it.",
    )
    margin_mode: Literal["isolated", "cross"] = Field(
        "isolated", description="Margin mode that the exchange must have for each symbol (perpetuals)."
    )
    settle_wait_seconds: Number = Field(
        1.5, ge=0, le=10, description="How long a minute's decision waits for orders in flight."
    )
    lookup_seconds: Number = Field(
        _RULES.lookup_seconds,
        ge=6,
        le=120,
        description="How long an order of unknown fate is looked for before it counts as never sent; more than the "
        "5 seconds after which the exchange refuses a late request.",
    )
    protection_seconds: Number = Field(
        _RULES.protection_seconds,
        ge=1,
        le=60,
        description="From knowing of a fill to a confirmed stop on the exchange; beyond it the position is closed.",
    )
    entry_max_age_seconds: Number = Field(
        _RULES.entry_max_age_seconds,
        ge=1,
        le=3600,
        description="An entry that was not sent and is older is canceled instead of sent.",
    )
    reconcile_seconds: Number = Field(
        _RULES.reconcile_seconds,
        ge=5,
        le=3600,
        description="Between two comparisons of our books with the exchange's.",
    )
    stray_orders: Literal["halt", "cancel"] = Field(
        _RULES.stray_orders,
        description="What becomes of an open order on our symbols that is not ours; no new risk is taken either way.",
    )
    stray_positions: Literal["halt", "adopt"] = Field(
        _RULES.stray_positions, description="What becomes of a position on our symbols that is not ours."
    )
    adopted_stop_fraction: Number | None = Field(
        None, gt=0, lt=1, description="Distance of the stop that an adopted position is given; 0.01 is 1 %."
    )
    adopted_target_fraction: Number | None = Field(
        None, gt=0, lt=10, description="Distance of its take-profit."
    )

    @property
    def adopted_protection(self) -> Protection | None:
        """What an adopted position is given; None where one of the two distances is missing."""
        if self.adopted_stop_fraction is None or self.adopted_target_fraction is None:
            return None
        return Protection(self.adopted_stop_fraction, self.adopted_target_fraction)

    def to_core(self, *, spot: bool = False) -> ExecutionRules:
        """The rules as the core takes them.

        Args:
            spot: Whether spot is traded: stop and target are then one pair on the exchange, since each by itself would
                lock the same coins.
        """
        return ExecutionRules(
            lookup_seconds=self.lookup_seconds,
            protection_seconds=self.protection_seconds,
            entry_max_age_seconds=self.entry_max_age_seconds,
            reconcile_seconds=self.reconcile_seconds,
            stray_orders=self.stray_orders,
            stray_positions=self.stray_positions,
            adopted_protection=self.adopted_protection,
            pair_on_exchange=spot,
        )
