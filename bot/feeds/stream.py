"""The subscriptions to an exchange's candle streams, kept up: dialled, guarded, redialled when lost.

ccxt tells of a lost socket by rejecting what waits on it, so one future that nothing resolves is laid into every
client. A frame that ccxt cannot read would end its receive loop without a word: each frame is handled in a guard.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from bot.core.market import Symbol
from bot.errors import BotError, ConfigError, EngineProtocolError, TransientError
from bot.exchange_client import Exchange, mapped
from bot.feeds.timing import FeedTiming

LOST = "bot.feeds: lost"
"""The name, among a client's futures, of the one that is only ever rejected."""

SYMBOLS_A_REQUEST = 100
FEWER_A_REQUEST = {"bybit": 10}
"""Symbols in one subscription message; Bybit's spot streams take ten."""

Rows = Sequence[Sequence[Any]]


class CandleStream:
    """Keeps one exchange's candle subscriptions.

    Args:
        exchange: The ccxt instance; its ``client`` and ``on_connected`` are wrapped on the instance.
        symbols: Unified names.
        take_rows: Where no hook reads the messages: called with a symbol and what ``watch_ohlcv`` returned.
            None where a hook does.
        dialled: Called when a connection stands.
        tell: Called with the name and fields of a notice.
        fail: Called with what a retry cannot mend.
        timing: Waits.
        random: In [0, 1).
    """

    def __init__(
        self,
        exchange: Exchange,
        symbols: Sequence[Symbol],
        *,
        take_rows: Callable[[Symbol, Rows], None] | None,
        dialled: Callable[[], None],
        tell: Callable[[str, dict[str, Any]], None],
        fail: Callable[[BaseException], None],
        timing: FeedTiming,
        random: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._symbols = tuple(symbols)
        self._take_rows = take_rows
        self._dialled = dialled
        self._tell = tell
        self._fail = fail
        self._timing = timing
        self._random = random
        self._lost: asyncio.Future[BotError] | None = None
        self._failures = 0
        self._hanging_up: set[asyncio.Task[None]] = set()
        self._dial = exchange.client
        exchange.client = self._client

    def heard(self) -> None:
        """A candle message came: the line works. Cheap, for every message."""
        if self._failures:
            self._tell("feed.reconnected", {"dials": self._failures})
            self._failures = 0

    def drop(self, reason: str) -> None:
        """Give the line up; it is dialled again."""
        self._lose(TransientError(reason))

    async def run(self) -> None:
        """Keep the subscriptions until cancelled; returns only when a retry cannot help, after ``fail``."""
        while True:
            error = await self._subscribed_until_lost()
            self._failures += 1
            if isinstance(error, (ConfigError, EngineProtocolError)):
                self._fail(error)
                return
            self._tell("feed.disconnected", {"cause": str(error), "failures": self._failures})
            await asyncio.sleep(self._timing.wait_seconds(self._failures, self._random))

    async def close(self) -> None:
        """Wait for what was hung up; after the exchange was closed."""
        if self._hanging_up:
            await asyncio.wait(self._hanging_up)

    async def _subscribed_until_lost(self) -> BotError:
        """One life of the line; returns why it ended."""
        self._lost = asyncio.get_running_loop().create_future()
        tasks = [asyncio.create_task(self._guarded(watch)) for watch in self._watches()]
        try:
            return await self._lost
        finally:
            self._lost = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._hang_up()

    def _watches(self) -> list[Callable[[], Any]]:
        """What to call for the subscriptions."""
        exchange, take_rows = self._exchange, self._take_rows
        if take_rows is not None:
            return [partial(self._poll, symbol) for symbol in self._symbols]
        if not exchange.has.get("watchOHLCVForSymbols"):
            return [partial(exchange.watch_ohlcv, symbol, "1m") for symbol in self._symbols]
        size = FEWER_A_REQUEST.get(exchange.id, SYMBOLS_A_REQUEST)
        pairs = [[symbol, "1m"] for symbol in self._symbols]
        chunks = [pairs[start : start + size] for start in range(0, len(pairs), size)]
        return [partial(exchange.watch_ohlcv_for_symbols, chunk) for chunk in chunks]

    async def _guarded(self, watch: Callable[[], Any]) -> None:
        """Subscribe; the line is lost if that fails. After the first candle the hook does the rest."""
        try:
            await watch()
        except asyncio.CancelledError:
            # ccxt cancels what waits on a client that it closes; a cancellation of this task ends it.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._lose(TransientError("the socket was closed"))
        except Exception as error:  # noqa: BLE001 - every error of ccxt, mapped
            self._lose(mapped(error))

    async def _poll(self, symbol: Symbol) -> None:
        """Take what ccxt returns of one symbol, again and again."""
        while True:
            rows = await self._exchange.watch_ohlcv(symbol, "1m")
            if self._take_rows is not None:
                self._take_rows(symbol, rows)

    def _lose(self, error: BotError) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(error)

    def _hang_up(self) -> None:
        """Close every client; the next subscription makes new ones."""
        error = _network_error("the line is dialled anew")
        for client in list((self._exchange.clients or {}).values()):
            client.on_error(error)
            if self._exchange.clients.get(client.url) is client:
                del self._exchange.clients[client.url]
            self._close_later(client)

    def _close_later(self, client: Any) -> None:
        """Close without waiting: a peer that has gone silent does not answer the goodbye for seconds."""
        task = asyncio.get_running_loop().create_task(client.close())
        self._hanging_up.add(task)
        task.add_done_callback(self._hung_up)

    def _hung_up(self, task: asyncio.Task[None]) -> None:
        self._hanging_up.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._tell("feed.frame_refused", {"cause": f"closing a socket: {error!r}"})

    # --- what is wrapped of ccxt --------------------------------------------------------------------------

    def _client(self, url: str) -> Any:
        client = self._dial(url)
        if LOST not in client.futures and not getattr(client, "guarded_by_feed", False):
            client.guarded_by_feed = True
            client.future(LOST).add_done_callback(self._on_lost)
            self._guard_frames(client)
            self._guard_connection(client)
        return client

    def _on_lost(self, future: asyncio.Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        self._lose(TransientError("the socket was closed") if error is None else mapped(error))

    def _guard_frames(self, client: Any) -> None:
        handle = client.handle_message

        def handle_message(message: Any) -> None:
            try:
                handle(message)
            except BotError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - no frame may end the receive loop unseen
                self._tell("feed.frame_refused", {"cause": repr(error)})

        client.handle_message = handle_message

    def _guard_connection(self, client: Any) -> None:
        """A client that was given up while it dialled must not live on when it gets through."""
        connected = client.on_connected_callback

        def on_connected(of: Any) -> None:
            connected(of)
            if self._exchange.clients.get(of.url) is of:
                self._dialled()
            else:
                self._close_later(of)

        client.on_connected_callback = on_connected


def _network_error(text: str) -> Exception:
    """The class of ccxt's own, which its clients are rejected with."""
    error: Exception = importlib.import_module("ccxt").NetworkError(text)
    return error
