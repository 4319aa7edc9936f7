"""Settings of the orders that open a position."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bot.core.entry import EntryRule, EntryStyle
from bot.settings.values import Section, Whole

_RULE = EntryRule()


class EntrySettings(Section):
    """How a position is entered."""

    style: Literal["taker", "maker"] = Field(
        "taker",
        description="taker sends a market order; maker a post-only limit order half a spread from the close, which pays "
        "less and may not fill.",
    )
    limit_minutes: Whole = Field(
        _RULE.limit_minutes,
        ge=1,
        le=60,
        description="How many minutes a maker entry waits before it is canceled.",
    )
    fallback: Literal["none", "taker"] = Field(
        "none",
        description="What takes its place then, or when it would have traded at once: none, or a market order.",
    )

    def to_core(self) -> EntryRule:
        """The rule as the core takes it."""
        return EntryRule(EntryStyle(self.style), self.limit_minutes, self.fallback == "taker")
