"""Answers made once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.dashboard.cache import MOST_ANSWERS, Answers, as_json


class Kitchen:
    """Counts what it makes."""

    def __init__(self) -> None:
        self.made = 0
        self.now_ns = 0
        self.gate: asyncio.Event | None = None
        self.fault: Exception | None = None
        self.answers = Answers(lambda: self.now_ns)

    async def make(self) -> Any:
        self.made += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return {"made": self.made}

    async def ask(self, key: object = "k", stamp: object = 1) -> Any:
        return (await self.answers.get(key, stamp, self.make)).value()


async def test_an_answer_holds_while_nothing_changes() -> None:
    """A second whatever happens, then as long as the stamp is the same, a minute at most."""
    kitchen = Kitchen()
    for seconds, stamp, made in [(0, 1, 1), (0.9, 2, 1), (1.1, 1, 1), (1.2, 2, 2), (2.0, 3, 2), (62.3, 2, 3)]:
        kitchen.now_ns = int(seconds * 1e9)
        assert await kitchen.ask(stamp=stamp) == {"made": made}, (seconds, stamp)


async def test_who_asks_meanwhile_waits_for_the_same() -> None:
    """One is made for all; who goes away does not take it from the others."""
    kitchen = Kitchen()
    kitchen.gate = asyncio.Event()
    asking = [asyncio.create_task(kitchen.ask()) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    kitchen.gate.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [{"made": 1}] * 9


async def test_a_fault_is_given_to_all_and_not_kept() -> None:
    """The next one who asks tries again."""
    kitchen = Kitchen()
    kitchen.fault = RuntimeError("no")
    found = await asyncio.gather(*(kitchen.ask() for _ in range(3)), return_exceptions=True)
    assert [str(fault) for fault in found] == ["no"] * 3
    assert kitchen.made == 1
    kitchen.fault = None
    assert await kitchen.ask() == {"made": 2}


async def test_the_store_is_bounded() -> None:
    """Questions without end take no memory without end; the newest are kept."""
    kitchen = Kitchen()
    for number in range(MOST_ANSWERS * 2):
        await kitchen.ask(key=number)
    assert len(kitchen.answers._kept) == MOST_ANSWERS
    made = kitchen.made
    await kitchen.ask(key=MOST_ANSWERS * 2 - 1)
    assert kitchen.made == made
    await kitchen.ask(key=0)
    assert kitchen.made == made + 1


def test_json_is_strict() -> None:
    """No NaN, no infinity; keys that are no text become one."""
    assert as_json({"a": float("nan"), 1: float("inf")}) == b'{"a":null,"1":null}'
    with pytest.raises(TypeError):
        as_json({(1, 2): 3})
