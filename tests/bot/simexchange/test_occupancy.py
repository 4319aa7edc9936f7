"""One simulated exchange a state folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.simexchange import occupancy
from bot.simexchange.occupancy import occupied


async def test_a_second_exchange_waits_for_the_first_to_leave(tmp_path: Path) -> None:
    """The second gets the folder once the first lets go, and not before."""
    order: list[str] = []

    async def first() -> None:
        async with occupied(tmp_path):
            order.append("first in")
            await asyncio.sleep(0.2)
            order.append("first out")

    async def second() -> None:
        await asyncio.sleep(0.05)
        async with occupied(tmp_path):
            order.append("second in")

    await asyncio.gather(first(), second())
    assert order == ["first in", "first out", "second in"]


async def test_a_folder_that_stays_occupied_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its patience the second says what to do."""
    monkeypatch.setattr(occupancy, "PATIENCE_SECONDS", 0.2)
    async with occupied(tmp_path):
        with pytest.raises(ConfigError, match="another folder"):
            async with occupied(tmp_path):
                pass
