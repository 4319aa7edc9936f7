"""A simulated market that stands still."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.clock import monotonic_ns
from bot.daemon.progress import Progress
from bot.daemon.standstill import reason_to_stand, watch_standstill
from bot.errors import TransientError

GOING = {"ended": False, "held_because": None, "end_ms": 600_000}


@pytest.mark.parametrize(
    ("clock", "reason"),
    [
        ({}, None),
        ({"held_because": "told_to_hold"}, "the market is held"),
        ({"held_because": "awaiting_ack"}, None),
        ({"held_because": "awaiting_subscribers"}, None),
        ({"ended": True}, "the tape has ended"),
        ({"ended": True, "end_ms": 660_000}, None),
    ],
)
def test_only_what_is_not_our_turn_is_a_reason(clock: dict[str, Any], reason: str | None) -> None:
    """A market that waits for our word, or a tape whose last minutes we have not decided, waits for us."""
    assert reason_to_stand({**GOING, **clock}, 600_000) == reason


class Market:
    """Answers with one clock after the other, the last again and again."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def clock(self) -> dict[str, Any]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {**GOING, **answer}


async def told(market: Market, progress: Progress, asked: int) -> list[str]:
    """What is passed on until the market was asked so often."""
    reasons: list[str] = []
    watching = asyncio.create_task(
        watch_standstill(market, progress, lambda: 600_000, reasons.append, every_seconds=0.005)
    )
    async with asyncio.timeout(20):
        while market.asked < asked and not watching.done():
            await asyncio.sleep(0.002)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return reasons


async def test_a_held_market_is_told_of_and_one_that_goes_on_is_not() -> None:
    """A market that does not answer is no reason, and is asked again."""
    market = Market(TransientError("gone"), {}, {"held_because": "told_to_hold"})
    reasons = await told(market, Progress(monotonic_ns, 180.0), 4)
    assert set(reasons) == {"the market is held"}
    assert len(reasons) <= market.asked - 2


async def test_while_minutes_are_decided_nobody_asks() -> None:
    """The question costs a request; it is asked only when no minute came."""
    market, progress = Market({"held_because": "told_to_hold"}), Progress(monotonic_ns, 180.0)
    reasons: list[str] = []
    watching = asyncio.create_task(
        watch_standstill(market, progress, lambda: 0, reasons.append, every_seconds=0.2)
    )
    for _ in range(60):
        progress.decided()
        await asyncio.sleep(0.01)
    watching.cancel()
    assert (market.asked, reasons) == (0, [])
