"""Candles, funding rates and the time over REST: paged, checked row by row, foreign errors mapped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

from bot.core.market import MINUTE_MS, Candle, InstrumentKind, Symbol, candle_fault, kind_of
from bot.errors import BotError, DataError, TransientError
from bot.exchange_client import Exchange, mapped
from bot.feeds.timing import FeedTiming

PAGE_LIMIT = 100
"""Rows that every exchange grants in one answer; ccxt's own table tells where there may be more."""

FUNDING_LIMIT = 100

SETTLING_MS = 1_000
"""How long after its close an exchange may still change a bar."""

_Answer = TypeVar("_Answer")

Retrying: TypeAlias = Callable[[dict[str, Any]], None]
"""Called with ``cause``, ``attempt``, ``attempts`` and ``wait_seconds`` before the wait."""


class Page(NamedTuple):
    """An answer of the exchange about one symbol.

    Attributes:
        candles: Final ones from the asked start on, in order.
        told_until_ms: A minute before this that is not among them does not exist.
        refused: Sentences on rows that were left out.
    """

    candles: list[Candle]
    told_until_ms: int
    refused: list[str]


class RestReader:
    """Reads from one exchange."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        now_ms: Callable[[], int],
        timing: FeedTiming,
        random: Callable[[], float],
        retrying: Retrying | None = None,
    ) -> None:
        """``now_ms`` stands in for the exchange's time where it cannot be asked; ``random`` in [0, 1).

        ``retrying`` is told of each request that failed and will be tried again.
        """
        self._exchange = exchange
        self._now_ms = now_ms
        self._timing = timing
        self._random = random
        self._retrying = retrying

    async def exchange_time_ms(self) -> int:
        """The exchange's clock, asked now; TransientError or DataError if there is no sound answer."""
        if not self._exchange.has.get("fetchTime"):
            return self._now_ms()
        answer = await self._asked(self._exchange.fetch_time())
        if not isinstance(answer, int) or answer <= 0:
            raise DataError(f"{self._exchange.id} answered the question for its time with {answer!r}")
        return answer

    async def page(self, symbol: Symbol, since_ms: int, until_ms: int, *, strict: bool = True) -> Page:
        """Final candles that open in [since_ms, until_ms), or the first part of them.

        A bar is final when a later one exists, or when it closed at least ``grace_ms`` ago on the exchange's
        clock. Rows of later minutes may come along. Ask again from ``told_until_ms``; if that is ``since_ms``
        the exchange cannot tell yet.

        Args:
            symbol: Unified name.
            since_ms: A whole minute.
            until_ms: A later one.
            strict: Whether one malformed row refuses the answer (DataError) or is left out.

        Raises:
            TransientError, DataError, ConfigError: As ``bot.exchange_client.mapped`` decides.
        """
        limit = min(self._limit(symbol), (until_ms - since_ms) // MINUTE_MS + 2)
        rows, refused = await self._rows(symbol, since_ms, limit, strict=strict)
        rows = await self._reach_back(symbol, since_ms, rows, strict=strict)
        newest_ms = rows[-1].opened_at_ms if rows else since_ms
        if newest_ms < until_ms:
            settled_ms = await self.exchange_time_ms() - self._timing.grace_ms
            reach_ms = MINUTE_MS if rows else min(limit, PAGE_LIMIT) * MINUTE_MS
            told_ms = max(newest_ms, min(newest_ms + reach_ms, settled_ms - settled_ms % MINUTE_MS))
        else:
            told_ms = newest_ms
        return Page([row for row in rows if row.opened_at_ms < told_ms], told_ms, refused)

    async def newest(self, symbol: Symbol, since_ms: int) -> list[Candle]:
        """The bars from ``since_ms`` on, the unfinished one too; for telling whether a silent symbol trades."""
        return (await self._rows(symbol, since_ms, PAGE_LIMIT, strict=False))[0]

    async def history(self, symbol: Symbol, since_ms: int, until_ms: int) -> list[Candle]:
        """Closed candles with since_ms <= opened_at_ms < until_ms, in order; minutes without one are missing.

        Each request is tried ``attempts`` times. A bar that closed within the last second is read once more a
        second later, since exchanges may still be adding to it.
        """
        since_ms += -since_ms % MINUTE_MS
        now_ms = await self.retried(self.exchange_time_ms)
        end_ms = min(until_ms + -until_ms % MINUTE_MS, now_ms - now_ms % MINUTE_MS)
        found: dict[int, Candle] = {}
        cursor_ms = since_ms
        while cursor_ms < end_ms:
            cursor_ms = await self._read_on(symbol, cursor_ms, end_ms, found)
        if found and now_ms - end_ms < SETTLING_MS and end_ms - MINUTE_MS in found:
            await asyncio.sleep(SETTLING_MS / 1000 / max(self._timing.market_speed, 1.0))
            await self._read_on(symbol, end_ms - MINUTE_MS, end_ms, found)
        return [found[at_ms] for at_ms in sorted(found) if since_ms <= at_ms < end_ms]

    async def funding_rates(self, symbol: Symbol, since_ms: int, until_ms: int) -> dict[int, float]:
        """Funding rates by payment time, whole minutes (exchanges stamp some milliseconds late); empty on spot."""
        if kind_of(symbol) is InstrumentKind.SPOT or not self._exchange.has.get("fetchFundingRateHistory"):
            return {}
        rates: dict[int, float] = {}
        cursor_ms = since_ms
        while cursor_ms < until_ms:
            rows = await self.retried(partial(self._funding_rows, symbol, cursor_ms))
            rows = {at_ms: rate for at_ms, rate in rows.items() if at_ms >= cursor_ms}
            if not rows:
                break
            rates.update(rows)
            cursor_ms = max(rows) + 1
        floored = {at_ms - at_ms % MINUTE_MS: rate for at_ms, rate in rates.items()}
        return {at_ms: floored[at_ms] for at_ms in sorted(floored) if since_ms <= at_ms < until_ms}

    async def retried(self, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Try until it works, at most ``attempts`` times; only what a retry may mend is tried again."""
        attempt = 0
        while True:
            try:
                return await call()
            except (TransientError, DataError) as error:
                attempt += 1
                if attempt >= self._timing.attempts:
                    raise
                wait_seconds = self._timing.wait_seconds(attempt, self._random)
                if self._retrying is not None:
                    self._retrying(
                        {
                            "cause": str(error),
                            "attempt": attempt,
                            "attempts": self._timing.attempts,
                            "wait_seconds": round(wait_seconds, 1),
                        }
                    )
                await asyncio.sleep(wait_seconds)

    async def _read_on(self, symbol: Symbol, since_ms: int, end_ms: int, found: dict[int, Candle]) -> int:
        """Add one answer to ``found``; returns where to go on, ``end_ms`` when there is nothing more."""
        limit = min(self._limit(symbol), (end_ms - since_ms) // MINUTE_MS + 2)

        async def read() -> list[Candle]:
            rows, _ = await self._rows(symbol, since_ms, limit, strict=True)
            return await self._reach_back(symbol, since_ms, rows, strict=True)

        rows = await self.retried(read)
        found.update((row.opened_at_ms, row) for row in rows)
        if rows:
            return rows[-1].opened_at_ms + MINUTE_MS
        return since_ms + min(limit, PAGE_LIMIT) * MINUTE_MS

    async def _reach_back(
        self, symbol: Symbol, since_ms: int, rows: list[Candle], *, strict: bool
    ) -> list[Candle]:
        """Believe a hole at the start of an answer only when its own minutes were asked for and did not come.

        Some exchanges answer a question for more rows than they grant with the last of them.
        """
        while rows and rows[0].opened_at_ms > since_ms:
            first_ms = rows[0].opened_at_ms
            limit = min((first_ms - since_ms) // MINUTE_MS, PAGE_LIMIT)
            try:
                earlier, _ = await self._rows(symbol, since_ms, limit, strict=strict)
            except DataError:
                if strict:
                    raise
                break  # nothing but rows that were refused already
            earlier = [row for row in earlier if row.opened_at_ms < first_ms]
            if not earlier:
                break
            joined = earlier[-1].opened_at_ms + MINUTE_MS == first_ms
            rows = earlier + rows if joined else earlier
        return rows

    async def _rows(
        self, symbol: Symbol, since_ms: int, limit: int, *, strict: bool
    ) -> tuple[list[Candle], list[str]]:
        """One request: sound rows from ``since_ms`` on in order, and sentences on the others."""
        answer = await self._asked(self._exchange.fetch_ohlcv(symbol, "1m", since_ms, limit))
        if not isinstance(answer, list):
            raise DataError(f"{symbol}: the exchange answered with {type(answer).__name__}, not candles")
        rows: dict[int, Candle] = {}
        refused = []
        for values in answer:
            candle = _candle(symbol, values)
            if isinstance(candle, str):
                if strict:
                    raise DataError(candle)
                refused.append(candle)
            elif candle.opened_at_ms >= since_ms:
                rows[candle.opened_at_ms] = candle
        if refused and not rows:
            raise DataError(refused[0])
        return [rows[at_ms] for at_ms in sorted(rows)], refused

    async def _funding_rows(self, symbol: Symbol, since_ms: int) -> dict[int, float]:
        answer = await self._asked(self._exchange.fetch_funding_rate_history(symbol, since_ms, FUNDING_LIMIT))
        try:
            return {int(row["timestamp"]): float(row["fundingRate"]) for row in answer}
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(f"{symbol}: a funding rate could not be read: {error!r}") from error

    def _limit(self, symbol: Symbol) -> int:
        granted = self._exchange.feature_value(symbol, "fetchOHLCV", "limit")
        return granted if isinstance(granted, int) and granted > 0 else PAGE_LIMIT

    @staticmethod
    async def _asked(request: Awaitable[Any]) -> Any:
        """The answer to a request of ccxt; raises errors of ours only."""
        try:
            return await request
        except BotError:
            raise
        except Exception as error:
            raise mapped(error) from error


def _candle(symbol: Symbol, values: Sequence[Any]) -> Candle | str:
    """A row as a candle, or a sentence on what is wrong with it."""
    try:
        opened_at_ms, *prices = values
        candle = Candle(symbol, int(opened_at_ms), *map(float, prices))
    except (TypeError, ValueError) as error:
        return f"{symbol}: row {values!r} of the exchange is not a candle: {error}"
    fault = candle_fault(candle)
    return f"{symbol}: row {values!r} of the exchange: {fault}" if fault else candle
