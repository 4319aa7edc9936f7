"""From one model to another between two minutes: warmed on what was decided on, then swapped in one step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bot.core.market import MINUTE_MS
from bot.core.promotion import NO_TRADE
from bot.daemon.loop import TradingLoop
from bot.daemon.recovery import WarmUpJournal, catch_up, read_histories, warm_all
from bot.daemon.serving import Serving
from bot.daemon.telling import Teller
from bot.errors import DataError, TransientError
from bot.ports import Feed, Predictor


class Handover:
    """Makes another model predict.

    Args:
        loop: Whose predictor changes.
        journal: Holds the candles that were decided on.
        feed: Has what the journal does not reach back to.
        teller: Log and journal.
        bind: Sets fields of every log line from then on.
    """

    def __init__(
        self,
        loop: TradingLoop,
        journal: WarmUpJournal,
        feed: Feed,
        teller: Teller,
        bind: Callable[..., None],
    ) -> None:
        self.loop = loop
        self._journal = journal
        self._feed = feed
        self._teller = teller
        self._bind = bind

    async def warm(self, predictor: Predictor, *, ask_exchange: bool = True) -> None:
        """Show a predictor the past, up to the last minute that was decided by the time this returns.

        Trading goes on meanwhile. Where the exchange is not asked, or does not answer, a model that remembers more
        than the journal holds gives its first forecast later.
        """
        engine = self.loop.engine
        since_ms = engine.last_opened_at_ms
        memory = max(predictor.history_minutes, engine.config.window_minutes)
        histories = {symbol: self._journal.recent_candles(symbol, memory) for symbol in engine.symbols}
        if ask_exchange and any(len(candles) < memory for candles in histories.values()):
            try:
                histories = await read_histories(
                    engine, since_ms, predictor, journal=self._journal, feed=self._feed
                )
            except (TransientError, DataError) as error:
                self._teller.warn("model.history_short", model_id=predictor.model_id, cause=str(error))
        await asyncio.to_thread(warm_all, predictor, histories)
        catch_up(predictor, engine, since_ms, self._journal)

    def swap(self, serving: Serving, why: str) -> None:
        """Let a warmed predictor decide from the next minute on; nobody closes what is held."""
        engine, previous = self.loop.engine, self.loop.predictor.model_id
        self.loop.swap_predictor(serving.predictor)
        self._bind(unproven=serving.proven is False)
        if serving.model_id == NO_TRADE:
            flatten_held(self.loop)
        fields: dict[str, Any] = {"model_id": serving.model_id, "previous": previous, "why": why}
        after_ms = engine.last_opened_at_ms + MINUTE_MS
        self._teller.tell("model.swapped", **fields, proven=serving.proven, after_ms=after_ms)


def flatten_held(loop: TradingLoop) -> None:
    """Close what is held or on its way: without a model nobody would ever let go of it but its stops."""
    engine = loop.engine
    if engine.account.has_positions or any(engine.open_orders(symbol) for symbol in engine.symbols):
        engine.request_flatten()
