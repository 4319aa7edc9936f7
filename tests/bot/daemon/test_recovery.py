"""A start makes what the journal says true again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from bot.core.liquidation import MarginMode, MarginRule
from bot.core.market import MINUTE_MS
from bot.core.matching import Costs
from bot.core.position import Trade
from bot.core.slippage import ImpactRule
from bot.core.spread import SpreadRule
from bot.journal.reader import JournalReader
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import SYMBOLS, Daemon, random_market, random_predictions

HARD = Costs(
    spread=SpreadRule(40, 20.0),
    impact=ImpactRule(1.0, 30, 100.0),
    participation_cap=0.9,
    latency_ms=60_250,
    margin=MarginRule(MarginMode.ISOLATED, 100.0, 0.004, 125.0),
)


async def _life(
    folder: Path,
    seed: int,
    ends: list[int],
    *,
    missing: float = 0.0,
    outage: range = range(0),
    costs: Costs | None = None,
) -> tuple[list[Trade], dict[str, Any], list[dict[str, Any]]]:
    """Run a market through several lives of the daemon; give trades, account and decisions."""
    minutes = 400
    candles = [
        candle
        for candle in random_market(seed, minutes, missing=missing)
        if candle.symbol != SYMBOLS[0] or (candle.opened_at_ms - MIDNIGHT) // MINUTE_MS not in outage
    ]
    if costs is not None:  # a market whose volume is now more and now less than what is held
        candles = [one._replace(volume=one.opened_at_ms // MINUTE_MS % 5 * 0.3) for one in candles]
    for end in [*ends, minutes]:
        now_ms = MIDNIGHT + end * MINUTE_MS
        daemon = Daemon(folder, candles, random_predictions(seed, candles), now_ms=MIDNIGHT, costs=costs)
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


async def test_restarts_change_nothing_with_every_friction_on(tmp_path: Path) -> None:
    """Estimates, orders that are late or filled in part, and margin come out of the journal as they went in."""
    cuts = sorted(random.Random(4).sample(range(1, 399), 25))
    whole = await _life(tmp_path / "whole", 3, [], missing=0.02, costs=HARD)
    cut = await _life(tmp_path / "cut", 3, cuts, missing=0.02, costs=HARD)
    assert cut == whole
    assert len(whole[0]) > 10
    assert "liquidation" in {trade.exit_reason for trade in whole[0]}
    fills = [
        report
        for batch in JournalReader(tmp_path / "cut" / "journal.sqlite").batches()
        for report in batch.reports
        if report["kind"] == "fill"
    ]
    assert len({fill["client_order_id"] for fill in fills}) < len(fills)
    assert len({fill["slippage_bps"] for fill in fills}) > 10


async def test_a_first_start_warms_what_fills_cost(tmp_path: Path) -> None:
    """Spread and volatility are known from the first minute on, by the history that warms the windows."""
    candles = random_market(5, 200)
    first_ms = MIDNIGHT + 100 * MINUTE_MS
    daemon = Daemon(tmp_path, candles, random_predictions(5, candles), now_ms=first_ms, costs=HARD)
    await daemon.start()
    squares = daemon.broker.snapshot()["frictions"][SYMBOLS[0]]["volatility"][2]
    assert len(squares) == 30
    daemon.close()


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
