"""The one owner of the engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.core.market import MINUTE_MS
from bot.errors import StorageError
from bot.journal.reader import JournalReader
from bot.ports import BatchRecord, CandleClosed, CandleRevised, FeedEvent, FeedNotice, MarketTime
from tests.core_builders import MIDNIGHT
from tests.daemon_harness import Daemon, drained, random_market, random_predictions


async def test_a_batch_is_journaled_before_the_broker_gets_its_orders(tmp_path: Path) -> None:
    """When the journal refuses, no order has been sent and nothing was told."""
    candles = random_market(1, 300)
    daemon = Daemon(tmp_path, candles, random_predictions(1, candles), now_ms=MIDNIGHT)
    await daemon.start()
    order: list[str] = []
    commit, submit = daemon.journal.commit, daemon.broker.submit

    def committing(record: BatchRecord) -> None:
        order.append("commit")
        if any(decision.approved for decision in record.decisions):
            raise StorageError("the disk is full")
        commit(record)

    def submitting(orders: object) -> None:
        if orders:
            order.append("submit")
        submit(orders)  # type: ignore[arg-type]

    daemon.journal.commit = committing  # type: ignore[method-assign]
    daemon.broker.submit = submitting  # type: ignore[method-assign]
    with pytest.raises(StorageError):
        await daemon.run()
    assert order[-1] == "commit"
    assert "submit" not in order
    daemon.close()


async def test_late_and_revised_candles_are_told_and_never_traded_on(tmp_path: Path) -> None:
    """A candle of a decided minute changes no decision; a revision is kept in the journal."""
    candles = random_market(2, 10)
    daemon = Daemon(tmp_path, candles, random_predictions(2, candles), now_ms=MIDNIGHT)
    await daemon.start()
    await daemon.run()
    assert daemon.loop is not None
    done = daemon.loop.batch_count
    queue: asyncio.Queue[FeedEvent] = asyncio.Queue()
    old = candles[0]
    changed = old._replace(close=old.low)
    for event in (
        CandleClosed(old, "rest", 0),
        CandleRevised(changed, old),
        FeedNotice("feed.stalled", {"symbol": "x"}),
    ):
        queue.put_nowait(event)
    stop = asyncio.Event()
    running = asyncio.create_task(daemon.loop.run(drained(queue), stop))
    while not queue.empty() and not running.done():
        await asyncio.sleep(0.01)
    stop.set()
    await running
    assert daemon.loop.batch_count == done
    told = [event for event, _ in daemon.log.lines]
    assert {"candle.late", "candle.revised", "feed.stalled"} <= set(told)
    daemon.close()
    reader = JournalReader(tmp_path / "journal.sqlite")
    assert reader.notes("candle.revised")[0]["old"] == list(old[1:])


async def test_a_missing_symbol_is_decided_without_after_the_deadline(tmp_path: Path) -> None:
    """The minute is decided with whoever is there, and the journal holds who that was."""
    candles = [
        candle
        for candle in random_market(3, 5)
        if not (candle.symbol[0] == "E" and candle.opened_at_ms == MIDNIGHT + 2 * MINUTE_MS)
    ]
    daemon = Daemon(tmp_path, candles, random_predictions(3, candles), now_ms=MIDNIGHT)
    await daemon.start()
    await daemon.run()
    daemon.close()
    sizes = [len(batch.candles) for batch in JournalReader(tmp_path / "journal.sqlite").batches()]
    assert sizes == [2, 2, 1, 2, 2]
    assert (
        "candle.missing",
        {"symbol": "ETH/USDT:USDT", "candle_at_ms": MIDNIGHT + 2 * MINUTE_MS},
    ) in daemon.log.lines


async def test_every_decision_is_told_with_what_identifies_it(tmp_path: Path) -> None:
    """One decision.made line a candle, with decision id, symbol, candle time and model id."""
    candles = random_market(4, 100)
    daemon = Daemon(tmp_path, candles, random_predictions(4, candles), now_ms=MIDNIGHT)
    await daemon.start()
    await daemon.run()
    daemon.close()
    lines = [fields for event, fields in daemon.log.lines if event == "decision.made"]
    assert len(lines) == len(candles)
    assert len({line["decision_id"] for line in lines}) == len(candles)
    assert all({"symbol", "candle_at_ms", "model_id", "reason", "equity"} <= set(line) for line in lines)


async def test_the_deadline_passes_by_market_time_alone(tmp_path: Path) -> None:
    """Nothing is decided on an incomplete minute until the exchange's clock passes the deadline."""
    candles = random_market(6, 1)
    daemon = Daemon(tmp_path, candles, random_predictions(6, candles), now_ms=MIDNIGHT)
    await daemon.start()
    assert daemon.loop is not None
    queue: asyncio.Queue[FeedEvent] = asyncio.Queue()
    stop = asyncio.Event()
    running = asyncio.create_task(daemon.loop.run(drained(queue), stop))
    queue.put_nowait(CandleClosed(candles[0], "stream", 0))
    queue.put_nowait(MarketTime(MIDNIGHT + MINUTE_MS + 4_000))
    await asyncio.sleep(0.15)
    assert daemon.loop.batch_count == 0
    queue.put_nowait(MarketTime(MIDNIGHT + MINUTE_MS + 5_000))
    await asyncio.sleep(0.15)
    assert daemon.loop.batch_count == 1
    stop.set()
    await running
    daemon.close()
