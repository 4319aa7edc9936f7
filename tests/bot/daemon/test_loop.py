"""The one owner of the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.core.market import MINUTE_MS
from bot.core.orders import ApprovedOrder
from bot.core.state import StateEvent, TradingState
from bot.daemon.rehearsal import LEAD_SECONDS, Rehearsal
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


async def _holding(tmp_path: Path, seed: int) -> Daemon:
    """A daemon that was stopped while something is held, and nothing on its way."""
    candles = random_market(seed, 300)
    daemon = Daemon(tmp_path, candles, random_predictions(seed, candles), now_ms=MIDNIGHT)
    await daemon.start()
    for minute in range(100, 290, 7):
        await daemon.run(until_ms=MIDNIGHT + minute * MINUTE_MS)
        engine = daemon.engine
        orders = [order.intent for name in engine.symbols for order in engine.open_orders(name)]
        if engine.account.has_positions and all(intent.stop_price is not None for intent in orders):
            return daemon
        daemon.feed.started_from = dict.fromkeys(daemon.feed.symbols, daemon.engine.last_opened_at_ms)
    raise AssertionError("it never held anything")


async def test_a_command_between_two_minutes_is_journaled_when_it_returns(tmp_path: Path) -> None:
    """After a pause the journal holds the state it led to, and a restart finds it."""
    candles = random_market(5, 120)
    daemon = Daemon(tmp_path, candles, random_predictions(5, candles), now_ms=MIDNIGHT)
    await daemon.start()
    await daemon.run(until_ms=MIDNIGHT + 100 * MINUTE_MS)
    assert daemon.loop is not None
    daemon.loop.act(StateEvent.PAUSE)
    daemon.close()
    reader = JournalReader(tmp_path / "journal.sqlite")
    assert [row["state_changes"][0][1:3] for row in reader.interims()] == [["reducing", "pause"]]
    again = Daemon(tmp_path, candles, random_predictions(5, candles), now_ms=MIDNIGHT)
    assert await again.start()
    assert again.engine.risk.state is TradingState.REDUCING
    again.close()


async def test_flattening_sends_the_exits_at_once_and_survives_a_death_right_after(tmp_path: Path) -> None:
    """Exits are journaled before they are sent; a daemon that dies then closes the positions after its restart."""
    daemon = await _holding(tmp_path, 3)
    assert daemon.loop is not None
    held = {position.symbol: position.quantity for position in daemon.engine.account.positions()}
    sent: list[ApprovedOrder] = []
    daemon.broker.submit = sent.extend  # type: ignore[method-assign,assignment]  # dies before anything is sent
    daemon.loop.act(flatten=True)
    assert {order.intent.symbol: order.intent.quantity for order in sent} == {
        symbol: abs(quantity) for symbol, quantity in held.items()
    }
    daemon.loop.act(flatten=True)
    assert len(sent) == len(held), "asked twice, sent once"
    daemon.close()
    reader = JournalReader(tmp_path / "journal.sqlite")
    assert {row["client_order_id"] for row in reader.interims()[0]["approved"]} == {
        order.intent.client_order_id for order in sent
    }
    again = Daemon(tmp_path, daemon.feed.candles, daemon.predictor, now_ms=daemon.feed.now_ms)
    assert await again.start()
    await again.run(until_ms=again.engine.last_opened_at_ms + 4 * MINUTE_MS)
    trades = JournalReader(tmp_path / "journal.sqlite").trades()
    assert {trade.symbol for trade in trades if trade.exit_reason == "flatten"} == set(held)
    again.close()


async def test_before_a_minute_ends_the_predictor_rehearses(tmp_path: Path) -> None:
    """The market's time plans it, whoever predicts then is asked, and one that can't rehearse is left alone."""
    candles = random_market(1, 3)
    daemon = Daemon(tmp_path, candles, random_predictions(1, candles), now_ms=MIDNIGHT)
    await daemon.start()
    assert daemon.loop is not None
    planned: list[float] = []
    again: list[Callable[[], None]] = []

    def later(seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        planned.append(seconds)
        again.append(call)
        return asyncio.get_running_loop().call_later(3600, lambda: None)

    loop = daemon.loop
    loop._rehearsal = Rehearsal(loop._rehearse, 1.0, lambda: 0, later)
    loop._take(MarketTime(MIDNIGHT + 30_000))
    assert planned == [30 - LEAD_SECONDS]
    again[0]()
    rehearsed: list[int] = []
    loop.predictor.rehearse = lambda: rehearsed.append(1)  # type: ignore[attr-defined]
    again[0]()
    assert rehearsed == [1]
    daemon.close()
