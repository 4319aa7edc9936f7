"""Funding rates for the paper broker: asked of the exchange when a funding time has passed with a position held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.core.market import MINUTE_MS, InstrumentKind, Symbol, kind_of
from bot.core.matching import FundingRates
from bot.daemon.batching import Batch
from bot.daemon.telling import Log
from bot.errors import TransientError
from bot.ports import Feed

HOUR_MS = 60 * MINUTE_MS
ASK_SECONDS = 5.0


class FundingRateSource:
    """Fills in the rates of each funding time before the batch that pays it is matched.

    Args:
        rates: The broker's table, extended in place.
        feed: Asked for rates; the constant rate stands in when it does not answer.
        is_held: Tells whether a position in a symbol is open.
        checked_ms: Open time of the last candle before this run.
        log: Tells of a rate that could not be had.
    """

    def __init__(
        self, rates: FundingRates, feed: Feed, is_held: Callable[[Symbol], bool], checked_ms: int, log: Log
    ) -> None:
        self._rates = rates
        self._feed = feed
        self._is_held = is_held
        self._checked_ms = checked_ms
        self._log = log

    async def before_batch(self, batch: Batch) -> None:
        """Ask for the rates of every funding time since the last batch; they fall on whole hours."""
        since_ms, self._checked_ms = self._checked_ms, batch.opened_at_ms
        if since_ms // HOUR_MS == batch.opened_at_ms // HOUR_MS:
            return
        for arrival in batch.arrivals:
            symbol = arrival.candle.symbol
            if kind_of(symbol) is InstrumentKind.PERPETUAL and self._is_held(symbol):
                await self._ask(symbol, since_ms + MINUTE_MS, batch.opened_at_ms + MINUTE_MS)

    async def _ask(self, symbol: Symbol, since_ms: int, until_ms: int) -> None:
        constant = FundingRates(self._rates.constant)
        paid = dict(constant.between(symbol, since_ms - 1, until_ms - 1))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer = await self._feed.funding_rates(symbol, since_ms, until_ms)
        except (TransientError, TimeoutError) as error:
            self._log.warning(
                "funding.rate_unknown", symbol=symbol, instead=constant.constant, cause=str(error)
            )
        else:
            # An exchange may stamp a payment some milliseconds late: the minute is what counts.
            paid = {at_ms // MINUTE_MS * MINUTE_MS: rate for at_ms, rate in answer.items()}
        self._rates.tables.setdefault(symbol, {}).update(paid)
