"""Commands and the watchdog, on a running daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.core.state import TradingState
from bot.daemon.service_rules import WatchdogAction
from bot.journal.reader import JournalReader
from tests.service_rig import Running, running, service_rules


async def tripped(one: Running) -> None:
    """Wait until the watchdog has acted."""
    async with asyncio.timeout(30):
        while "risk.watchdog_tripped" not in one.text.getvalue().decode():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("action", "state", "reason"),
    [
        ("halt", TradingState.HALTED, "watchdog"),
        ("reduce", TradingState.REDUCING, "pause"),
        ("flatten", TradingState.HALTED, "watchdog"),
    ],
)
async def test_a_bot_that_is_blind_takes_no_new_risk(
    tmp_path: Path, action: WatchdogAction, state: TradingState, reason: str
) -> None:
    """When no minute comes for as long as was set; journaled before it acts, and what it did outlives the silence."""
    async with running(tmp_path, service_rules(blind_seconds=0.4, blind_action=action)) as one:
        loop = one.daemon.loop
        assert loop is not None
        while not loop.engine.account.has_positions:
            await one.minutes(1)
        await tripped(one)
        assert (loop.engine.risk.state, loop.engine.risk.reason) == (state, reason)
        symbols = loop.engine.symbols
        closing = [
            record.intent
            for symbol in symbols
            for record in loop.engine.open_orders(symbol)
            if record.intent.reason == "flatten"
        ]
        assert bool(closing) is (action == "flatten")
        await one.minutes(3)
        assert loop.engine.account.has_positions is (action != "flatten")
        assert loop.engine.risk.state is state
        path = one.daemon.journal.path
    reader = JournalReader(path)
    noted = reader.newest_note(("risk.watchdog_tripped",))
    reader.close()
    assert noted is not None
    assert noted["action"] == action
