"""A start makes what the journal says true again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from bot.core.market import MINUTE_MS
from bot.core.position import Trade
from bot.journal.reader import JournalReader
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS, Daemon, random_market, random_predictions


async def _life(
    folder: Path, seed: int, ends: list[int], *, missing: float = 0.0, outage: range = range(0)
) -> tuple[list[Trade], dict[str, Any], list[dict[str, Any]]]:
    """Run a market through several lives of the daemon; give trades, account and decisions."""
    minutes = 400
    candles = [
        candle
        for candle in random_market(seed, minutes, missing=missing)
        if candle.symbol != SYMBOLS[0] or (candle.opened_at_ms - MIDNIGHT) // MINUTE_MS not in outage
    ]
    for end in [*ends, minutes]:
        now_ms = MIDNIGHT + end * MINUTE_MS
        daemon = Daemon(folder, candles, random_predictions(seed, candles), now_ms=MIDNIGHT)
        daemon.feed.now_ms = MIDNIGHT
        await daemon.start()
        await daemon.run(until_ms=now_ms)
        daemon.close()  # nothing is saved on the way out: what counts is in the journal
    reader = JournalReader(folder / "journal.sqlite")
    snapshot = reader.snapshot()
    assert snapshot is not None
    decisions = [decision for batch in reader.batches() for decision in batch.decisions]
    return reader.trades(), snapshot["account"], decisions


@pytest.mark.parametrize(("seed", "missing"), [(1, 0.0), (2, 0.0), (3, 0.02)])
async def test_any_number_of_restarts_change_nothing(tmp_path: Path, seed: int, missing: float) -> None:
    """Trades, account and every decision equal those of an uninterrupted run, wherever it was cut."""
    cuts = sorted(random.Random(seed).sample(range(1, 399), 25))
    whole = await _life(tmp_path / "whole", seed, [], missing=missing)
    cut = await _life(tmp_path / "cut", seed, cuts, missing=missing)
    assert len(whole[0]) > 10
    assert cut == whole


async def test_a_restart_within_a_long_outage_of_one_symbol_changes_nothing(tmp_path: Path) -> None:
    """A symbol that has been silent for longer than the bot remembers recovers its orders, position and gap."""
    outage = range(150, 300)
    whole = await _life(tmp_path / "whole", 11, [], outage=outage)
    cut = await _life(tmp_path / "cut", 11, [149, 150, 151, 200, 260, 299, 300, 301, 330], outage=outage)
    assert len(whole[0]) > 10
    assert cut == whole


async def test_a_first_start_warms_windows_and_keeps_the_history(tmp_path: Path) -> None:
    """With an empty journal history is read from the exchange, stored, and not decided on."""
    candles = random_market(5, 200)
    daemon = Daemon(tmp_path, candles, random_predictions(5, candles), now_ms=MIDNIGHT + 100 * MINUTE_MS)
    assert await daemon.start() is False
    assert all(daemon.engine.window(symbol).is_full for symbol in SYMBOLS)
    assert daemon.feed.started_from == dict.fromkeys(SYMBOLS, MIDNIGHT + 99 * MINUTE_MS)
    stored = daemon.journal.recent_candles(SYMBOLS[0], 1000)
    assert [c.opened_at_ms for c in stored] == [MIDNIGHT + m * MINUTE_MS for m in range(40, 100)]
    await daemon.run()
    daemon.close()
    first = next(iter(JournalReader(tmp_path / "journal.sqlite").batches()))
    assert first.closed_at_ms == MIDNIGHT + 101 * MINUTE_MS


async def test_a_restart_without_new_candles_recovers_the_same_account(tmp_path: Path) -> None:
    """A second start, with nothing that happened meanwhile, has the equity, positions and orders of the first."""
    candles = random_market(7, 300)
    first = Daemon(tmp_path, candles, random_predictions(7, candles), now_ms=MIDNIGHT)
    await first.start()
    await first.run()
    before = first.engine.snapshot()
    first.close()
    second = Daemon(tmp_path, candles, random_predictions(7, candles), now_ms=MIDNIGHT + 300 * MINUTE_MS)
    assert await second.start() is True
    assert second.engine.snapshot() == before
    second.close()
