"""What the guards of an entry must know of a market beside its candles: the spread, and the funding to come.

Only what a limit asks for is asked of the exchange. Quotes are of this moment: they are asked for before each minute's
decision, with one request for all symbols, and what does not come in time is not known. Funding rates change slowly: they
are asked for once an hour and kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from bot.core.costs import FUNDING_INTERVAL_MS
from bot.core.limits import MarketFacts, RiskLimits
from bot.core.market import MINUTE_MS, InstrumentKind, Quote, Symbol, kind_of
from bot.daemon.batching import Batch
from bot.daemon.telling import Teller
from bot.errors import ConfigError, DataError, TransientError
from bot.ports import Clock, Feed

HOUR_MS = 60 * MINUTE_MS
ASK_SECONDS = 1.0
"""How long a minute's decision waits for an answer at most."""

BeforeBatch = Callable[[Batch], Awaitable[None]]

_Answer = TypeVar("_Answer")


class FactSource:
    """Knows the spread and the coming funding rate of each symbol, as far as the limits need them.

    Args:
        feed: Is asked; errors of its requests mean that something is not known, and end nothing.
        limits: Say what is needed.
        clock: The exchange's time: of a minute that is decided late nothing is asked, since the answer is about now.
        teller: Log and journal: of what is no longer known, and of when it is again.
        ask_seconds: How long an answer is waited for.
    """

    def __init__(
        self, feed: Feed, limits: RiskLimits, clock: Clock, teller: Teller, ask_seconds: float = ASK_SECONDS
    ) -> None:
        perpetual = [symbol for symbol in feed.symbols if kind_of(symbol) is InstrumentKind.PERPETUAL]
        self._feed = feed
        self._clock = clock
        self._max_age_ms = int(limits.max_prediction_age_seconds * 1000)
        self._ask_seconds = ask_seconds
        self._wants_quotes = limits.max_spread_bps is not None
        self._wants_rates = limits.max_funding_rate is not None and bool(perpetual)
        self._quotes: Mapping[Symbol, Quote] = {}
        self._rates: Mapping[Symbol, float] = {}
        self._rates_ms = 0
        self._quote_lack = _Lack("feed.quotes_unknown", "feed.quotes_known", feed.symbols, teller)
        self._rate_lack = _Lack("funding.rates_unknown", "funding.rates_known", perpetual, teller)

    @property
    def is_needed(self) -> bool:
        """Whether a limit asks for anything."""
        return self._wants_quotes or self._wants_rates

    def after(self, first: BeforeBatch) -> BeforeBatch:
        """What comes before a minute's decision: ``first``, which may take a while, and then our questions."""
        if not self.is_needed:
            return first

        async def both(batch: Batch) -> None:
            await first(batch)
            await self.before_batch(batch)

        return both

    async def before_batch(self, batch: Batch) -> None:
        """Ask for what this minute's decision needs."""
        closed_ms = batch.opened_at_ms + MINUTE_MS
        self._quotes = {}
        if closed_ms - self._rates_ms > FUNDING_INTERVAL_MS:
            self._rates = {}  # of a payment that is over
        if self._clock.now_ms() - closed_ms > self._max_age_ms:
            return
        asked = [self._ask_quotes(closed_ms)] if self._wants_quotes else []
        if self._wants_rates and self._rates_ms // HOUR_MS != closed_ms // HOUR_MS:
            asked.append(self._ask_rates(closed_ms))
        await asyncio.gather(*asked)

    def facts(self, symbols: Sequence[Symbol]) -> list[MarketFacts]:
        """What is known of these markets now."""
        quotes, rates = self._quotes, self._rates
        spreads = {symbol: quote.spread_bps for symbol, quote in quotes.items()}
        return [MarketFacts(symbol, spreads.get(symbol), rates.get(symbol)) for symbol in symbols]

    async def _ask_quotes(self, closed_ms: int) -> None:
        answer, cause = await self._asked(self._feed.quotes())
        self._quotes = answer or {}
        self._quote_lack.note(self._quotes, cause, closed_ms)

    async def _ask_rates(self, closed_ms: int) -> None:
        """An answer that lacks nothing is kept for the hour; else the question is asked again the next minute."""
        answer, cause = await self._asked(self._feed.coming_funding_rates())
        if answer:
            self._rates = {**self._rates, **answer}
        if not self._rate_lack.note(answer or {}, cause, closed_ms):
            self._rates_ms = closed_ms

    async def _asked(self, question: Awaitable[_Answer]) -> tuple[_Answer | None, str]:
        """The answer, or None and why there is none."""
        try:
            async with asyncio.timeout(self._ask_seconds):
                return await question, "not told of all symbols"
        except TimeoutError:
            return None, f"no answer within {self._ask_seconds:g} s"
        except (TransientError, DataError, ConfigError) as error:
            return None, str(error)


class _Lack:
    """What is not known of which symbols, and since when; told when that changes, and not each minute.

    Args:
        unknown: The event that tells of a lack...
        known: ...and the one of its end.
        symbols: Of which it should be known.
        teller: Log and journal.
    """

    def __init__(self, unknown: str, known: str, symbols: Sequence[Symbol], teller: Teller) -> None:
        self._unknown, self._known = unknown, known
        self._symbols = symbols
        self._teller = teller
        self._missing: list[Symbol] = []
        self._since_ms = 0

    def note(self, known: Mapping[Symbol, Any], cause: str, closed_ms: int) -> bool:
        """Take note of an answer; returns whether something is missing in it."""
        before = self._missing
        self._missing = missing = [symbol for symbol in self._symbols if symbol not in known]
        if missing and not before:
            self._since_ms = closed_ms
        if missing and not set(missing) <= set(before):
            self._teller.warn(self._unknown, symbols=missing, cause=cause)
        elif before and not missing:
            self._teller.tell(self._known, minutes=(closed_ms - self._since_ms) // MINUTE_MS)
        return bool(missing)
