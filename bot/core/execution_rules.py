"""How live execution behaves: its bounds in time, and what it does about what is not ours; and what it tells a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.core.orders import Protection
from bot.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ExecutionRules:
    """Bounds of live execution; seconds and milliseconds of the exchange's time.

    Attributes:
        lookup_seconds: How long an uncertain order is looked for before it counts as absent. More than the exchange's
            recvWindow (5 s), after which a late request is refused.
        lookup_backoff_ms: Waits between two looks; the last one repeats.
        protection_seconds: From knowing of a fill to a confirmed stop; beyond it the position is closed.
        entry_max_age_seconds: An entry that was not sent and is older is canceled instead of sent.
        answer_seconds: A request that nothing was heard of for so long counts as one with an uncertain outcome.
        settle_ms: How long the first stop waits for further trades of an entry that is known to be done.
        pair_on_exchange: On spot, stop and target are one order list of which the exchange cancels the other.
        stray_orders: What becomes of an open order that is not ours; either way new risk stops.
        stray_positions: What becomes of a position that is not ours.
        adopted_protection: Distances of stop and target of an adopted position; needed to adopt.
        trade_overlap_ms: Trades are asked for again from so long before the last reconciliation.
        reconcile_seconds: Between two reconciliations.
        blind_reconcile_seconds: The same while the user stream is down.
        second_look_ms: After which a difference is looked at again before it counts.
        wallet_tolerance: Quote currency.
    """

    lookup_seconds: float = 8.0
    lookup_backoff_ms: tuple[int, ...] = (200, 400, 800, 1500, 2000)
    protection_seconds: float = 5.0
    entry_max_age_seconds: float = 90.0
    answer_seconds: float = 30.0
    settle_ms: int = 300
    pair_on_exchange: bool = False
    stray_orders: Literal["halt", "cancel"] = "halt"
    stray_positions: Literal["halt", "adopt"] = "halt"
    adopted_protection: Protection | None = None
    trade_overlap_ms: int = 60_000
    reconcile_seconds: float = 60.0
    blind_reconcile_seconds: float = 5.0
    second_look_ms: int = 1500
    wallet_tolerance: float = 0.01

    def __post_init__(self) -> None:
        if not self.lookup_backoff_ms or min(self.lookup_backoff_ms) <= 0:
            raise ConfigError(
                "execution needs waits between two look-ups of an order, each more than nothing"
            )
        if self.stray_positions == "adopt" and self.adopted_protection is None:
            raise ConfigError("to adopt a position, say how far from its price its stop and target shall be")

    def backoff_ms(self, tries: int) -> int:
        """How long to wait before another try."""
        return self.lookup_backoff_ms[min(tries, len(self.lookup_backoff_ms) - 1)]

    @property
    def lookup_ms(self) -> int:
        """Length of the window in which an uncertain order is looked for."""
        return int(self.lookup_seconds * 1000)

    @property
    def protection_ms(self) -> int:
        """Longest time that a position may be known and have no confirmed stop."""
        return int(self.protection_seconds * 1000)


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a person must read.

    Attributes:
        event: Stable dotted name (docs/events.md).
        fields: JSON values.
        halt: Whether no new risk may be taken until a person has looked.
    """

    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    halt: bool = False
