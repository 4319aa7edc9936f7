"""A simulated market that stands still because it was told to, or because its tape is over: nothing is due, nobody is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bot.daemon.progress import Progress
from bot.errors import DataError, TransientError


class MarketHands(Protocol):
    """What shows where a market's time stands."""

    async def clock(self) -> Mapping[str, Any]:
        """``held_because``, ``ended``, ``end_ms`` and others."""


def reason_to_stand(clock: Mapping[str, Any], closed_at_ms: int) -> str | None:
    """Why no minute is due, None where one is.

    A market that waits for an acknowledgement or for subscribers waits for us: that is no reason.

    Args:
        clock: What the market says.
        closed_at_ms: Close of the last minute that was decided, ms.
    """
    if clock["ended"]:
        return "the tape has ended" if closed_at_ms >= clock["end_ms"] else None
    return "the market is held" if clock["held_because"] == "told_to_hold" else None


async def watch_standstill(
    market: MarketHands,
    progress: Progress,
    closed_at_ms: Callable[[], int],
    stands: Callable[[str], None],
    every_seconds: float,
) -> None:
    """While no minute comes, ask the market whether one is due, and pass on its reason; until cancelled.

    Args:
        market: Asked; one that does not answer gives no reason.
        progress: When the last minute was decided.
        closed_at_ms: Close of that minute, ms.
        stands: Told why no minute is due.
        every_seconds: How often it looks.
    """
    while True:
        await asyncio.sleep(every_seconds)
        if progress.since_decided_seconds < every_seconds:
            continue
        try:
            reason = reason_to_stand(await market.clock(), closed_at_ms())
        except (TransientError, DataError):
            continue  # whoever watches us hears nothing, which is the point
        if reason is not None:
            stands(reason)
