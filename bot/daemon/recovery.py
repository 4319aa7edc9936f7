"""A start is a recovery: what the journal says is made true again, then what happened meanwhile is caught up.

With an empty journal the same path reads history from the exchange and warms windows, indicators and the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bot.core.engine import TradingEngine
from bot.core.market import MINUTE_MS, Candle, Symbol
from bot.ports import Broker, Feed, Journal, Predictor

BROKER_KEY = "broker"
"""Where a snapshot has what the broker needs."""


class WarmUpJournal(Journal, Protocol):
    """A journal that also keeps the history read before the first decision."""

    def store_warm_up(self, candles: Sequence[Candle]) -> None:
        """Keep candles; those it has already stay as they are."""


def _untold(_text: str) -> None:
    """Tells nobody."""


async def recover(
    *,
    engine: TradingEngine,
    broker: Broker,
    predictor: Predictor,
    journal: WarmUpJournal,
    feed: Feed,
    step: Callable[[str], None] = _untold,
) -> bool:
    """Bring engine, broker, model and feed to where the journal ends; ``step`` is told what comes next.

    Returns:
        True when there was something to recover, False on a first start.
    """
    snapshot = journal.snapshot()
    now_ms = await feed.exchange_time_ms()
    decided_ms = snapshot["batch_ms"] if snapshot else now_ms // MINUTE_MS * MINUTE_MS - MINUTE_MS
    histories = await read_histories(engine, decided_ms, predictor, journal=journal, feed=feed, step=step)
    step("warming up")
    if snapshot:
        engine.restore(snapshot, histories)
        orders = [record for symbol in engine.symbols for record in engine.open_orders(symbol)]
        broker.recover(orders, engine.account.positions(), engine.seen_ms(), snapshot.get(BROKER_KEY, {}))
    else:
        _warm_engine(engine, histories)
        for candles in histories.values():
            broker.warm(candles)
    warm_all(predictor, histories)
    for symbol in histories:
        feed.start_from(symbol, decided_ms)
    return snapshot is not None


async def read_histories(
    engine: TradingEngine,
    decided_ms: int,
    predictor: Predictor,
    *,
    journal: WarmUpJournal,
    feed: Feed,
    step: Callable[[str], None] = _untold,
) -> dict[Symbol, list[Candle]]:
    """As many minutes up to the last one decided as engine and model remember, by symbol."""
    memory = max(predictor.history_minutes, engine.config.window_minutes)
    histories = {}
    for symbol in engine.symbols:
        step(f"reading the history of {symbol}")
        histories[symbol] = await _history(symbol, decided_ms, memory, journal=journal, feed=feed)
    return histories


def warm_all(predictor: Predictor, histories: Mapping[Symbol, Sequence[Candle]]) -> None:
    """Show a predictor every symbol's history."""
    for symbol, candles in histories.items():
        predictor.warm(symbol, candles)


def catch_up(predictor: Predictor, engine: TradingEngine, since_ms: int, journal: Journal) -> None:
    """Show a predictor that was warmed up to a minute what was committed after it."""
    count = (engine.last_opened_at_ms - since_ms) // MINUTE_MS
    for symbol in engine.symbols if count > 0 else ():
        for candle in journal.recent_candles(symbol, count):
            if candle.opened_at_ms > since_ms:
                predictor.observe(candle)


async def _history(
    symbol: Symbol, decided_ms: int, memory: int, *, journal: WarmUpJournal, feed: Feed
) -> list[Candle]:
    """The last ``memory`` minutes up to the last one decided: from the journal, else from the exchange."""
    since_ms = decided_ms - (memory - 1) * MINUTE_MS
    stored = [c for c in journal.recent_candles(symbol, memory) if since_ms <= c.opened_at_ms <= decided_ms]
    if len(stored) >= memory:
        return stored
    # A first start, a symbol new to the account, or an outage within the journal's last minutes.
    known = {candle.opened_at_ms for candle in stored}
    fetched = await feed.history(symbol, since_ms, decided_ms + MINUTE_MS)
    missing = [candle for candle in fetched if candle.opened_at_ms not in known]
    if not stored:
        journal.store_warm_up(missing)
        return missing
    # What the journal holds is what decisions were made on; only older history is added before it.
    older = [candle for candle in missing if candle.opened_at_ms < stored[0].opened_at_ms]
    journal.store_warm_up(older)
    return older + stored


def _warm_engine(engine: TradingEngine, histories: dict[Symbol, list[Candle]]) -> None:
    """Show the engine its history minute by minute."""
    minutes: dict[int, list[Candle]] = {}
    for symbol in engine.symbols:
        for candle in histories[symbol]:
            minutes.setdefault(candle.opened_at_ms, []).append(candle)
    for opened in sorted(minutes):
        engine.warm(minutes[opened])
