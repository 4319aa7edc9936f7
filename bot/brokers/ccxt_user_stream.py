"""The user stream of an exchange, kept up: dialled, authenticated, guarded, dialled again when it is lost.

What the exchange says is taken in ccxt's own handler, message by message, before ccxt puts it into its caches, which
keep only so many rows and merge what comes close together. A life of the line ends with

- whatever rejects what waits on ccxt's client (a closed socket, pongs that stay away),
- a frame that cannot be read: nobody knows what it said,
- a message by which the exchange ends the stream, or a listen key that is not prolonged.

After any of these the line is dialled anew, for ever. The exchange object must be this stream's alone.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bot.brokers.ccxt_habits import VenueHabits
from bot.brokers.ccxt_outcomes import Meaning, outcome_of, told
from bot.brokers.gateway_timing import GatewayTiming
from bot.core.venue import StreamLost, StreamRestored, VenueEvent
from bot.exchange_client import Exchange

LOST = "bot.brokers: lost"
"""The name, among a client's futures, of the one that is only ever rejected."""

Deliver = Callable[[VenueEvent], None]
Read = Callable[[Mapping[str, Any]], Sequence[VenueEvent]]


class UserStream:
    """Keeps one account's user stream.

    Args:
        exchange: The ccxt instance; some of its methods are wrapped on the instance.
        habits: Of that exchange.
        read: Turns a message about an order into events.
        now_ms: Exchange time.
        synchronise: Called when the exchange found our time wrong.
        timing: Waits.
        random: In [0, 1).
    """

    def __init__(
        self,
        exchange: Exchange,
        habits: VenueHabits,
        *,
        read: Read,
        now_ms: Callable[[], int],
        synchronise: Callable[[], Awaitable[None]],
        timing: GatewayTiming,
        random: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._habits = habits
        self._read = read
        self._now_ms = now_ms
        self._synchronise = synchronise
        self._timing = timing
        self._random = random
        self._deliver: Deliver | None = None
        self._lost: asyncio.Future[str] | None = None
        self._connected: asyncio.Future[None] | None = None
        self._unconfirmed = 0
        self._broken: BaseException | None = None
        self._hanging_up: set[asyncio.Task[None]] = set()
        self._make_client = exchange.client
        self._handle = getattr(exchange, habits.stream_handler)
        self._wrap()

    async def watch(self, deliver: Deliver) -> None:
        """Follow the stream until cancelled; raises only what ``deliver`` raised."""
        self._deliver = deliver
        failures = 0
        down = False
        try:
            while True:
                up, reason = await self._one_life()
                if self._broken is not None:
                    raise self._broken
                failures = 1 if up else failures + 1
                if up or not down:
                    deliver(StreamLost(self._now_ms(), reason))
                down = True
                await asyncio.sleep(self._timing.wait_seconds(failures, self._random))
        finally:
            self._deliver = None

    async def close(self) -> None:
        """Wait for what was hung up; after the exchange was closed."""
        if self._hanging_up:
            await asyncio.wait(self._hanging_up)

    # --- one life of the line -----------------------------------------------------------------------------

    async def _one_life(self) -> tuple[bool, str]:
        """Dial and stay until it is lost; returns whether it was ever up, and why it ended."""
        loop = asyncio.get_running_loop()
        self._lost, self._connected = loop.create_future(), loop.create_future()
        tasks: list[asyncio.Task[None]] = []
        up = False
        try:
            async with asyncio.timeout(self._timing.dial_seconds):
                await self._dial(tasks)
            if not self._lost.done():
                up = True
                self._emit(StreamRestored(self._now_ms()))
                if self._habits.listen_key is not None:
                    tasks.append(loop.create_task(self._renew(self._habits.listen_key.renew)))
            return up, await self._lost
        except TimeoutError:
            return up, f"not dialled within {self._timing.dial_seconds} s"
        except asyncio.CancelledError:
            # ccxt cancels what waits on a client that it closes; a cancellation of this task ends it.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return up, "the socket was closed"
        except Exception as error:  # noqa: BLE001 - whatever ends a life of the line, the next one begins
            told_by_ccxt = _said(error)
            if outcome_of(told_by_ccxt, self._habits).meaning is Meaning.CLOCK:
                await self._try_to_synchronise()
            return up, told(told_by_ccxt)
        finally:
            self._lost.cancel()
            self._lost = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._hang_up()

    async def _dial(self, tasks: list[asyncio.Task[None]]) -> None:
        """Return once the socket stands and the exchange knows who is listening, or once the line is lost."""
        self._forget_listen_key()
        self._exchange.ws_dial_backoff = {}  # the waits between dials are ours
        self._unconfirmed = len(self._habits.channels)
        if not self._habits.accesses:
            await self._exchange.authenticate()
        for access in self._habits.accesses:
            await self._exchange.authenticate({"access": access})
        loop = asyncio.get_running_loop()
        tasks += [loop.create_task(self._listen(channel)) for channel in self._habits.channels]
        waits = [future for future in (self._connected, self._lost) if future is not None]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)

    async def _listen(self, channel: Mapping[str, Any]) -> None:
        """Have ccxt dial, and always something wait on its client; what comes is taken in the handler."""
        try:
            while True:
                await self._exchange.watch_orders(params=dict(channel))
        except asyncio.CancelledError:
            # ccxt cancels what waits on a client that it closes; a cancellation of this task ends it.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._lose("the socket was closed")
        except Exception as error:  # noqa: BLE001 - every error of ccxt ends the line
            self._lose(told(error))

    async def _renew(self, method: str) -> None:
        """Prolong the listen key; one that can't be prolonged after a second try ends the line: the next has a new one."""
        while True:
            await asyncio.sleep(self._timing.renew_seconds)
            try:
                await self._renew_once(method)
            except Exception as error:  # noqa: BLE001 - every error of ccxt
                self._lose(f"the listen key was not prolonged: {told(error)}")
                return

    async def _renew_once(self, method: str) -> None:
        renew = getattr(self._exchange, method)
        try:
            await renew()
        except Exception as error:
            if outcome_of(error, self._habits).meaning is not Meaning.UNCERTAIN:
                raise
            await asyncio.sleep(self._timing.wait_seconds(1, self._random))
            await renew()

    async def _try_to_synchronise(self) -> None:
        try:
            await self._synchronise()
        except Exception as error:  # noqa: BLE001 - the next dial fails and tries again
            self._lose(told(error))

    def _forget_listen_key(self) -> None:
        """Make ccxt ask for a listen key: the exchange prolongs the one that there is, or makes a new one."""
        key = self._habits.listen_key
        if key is not None:
            kept = self._exchange.options.get(key.bucket) or {}
            self._exchange.options[key.bucket] = {**kept, "listenKey": None, "lastAuthenticatedTime": 0}

    def _lose(self, reason: str) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(reason)

    def _hang_up(self) -> None:
        """Close every client; the next dial makes new ones."""
        error = importlib.import_module("ccxt").NetworkError("the line is dialled anew")
        for client in list((self._exchange.clients or {}).values()):
            for future in list(client.futures.values()):
                future.add_done_callback(_looked_at)
            client.on_error(error)
            if self._exchange.clients.get(client.url) is client:
                del self._exchange.clients[client.url]
            self._close_later(client)

    def _close_later(self, client: Any) -> None:
        """Close without waiting: a peer that has gone silent does not answer the goodbye for seconds."""
        task = asyncio.get_running_loop().create_task(_closed(client))
        self._hanging_up.add(task)
        task.add_done_callback(self._hanging_up.discard)

    def _emit(self, event: VenueEvent) -> None:
        """Deliver; what that raises is a bug of ours and ends ``watch``."""
        if self._deliver is None:
            return
        try:
            self._deliver(event)
        except Exception as error:  # noqa: BLE001 - it must not be swallowed by ccxt's callbacks
            self._broken = error
            self._lose("an event could not be taken in")

    # --- what is wrapped of ccxt --------------------------------------------------------------------------

    def _wrap(self) -> None:
        self._exchange.streaming = {**self._exchange.streaming, "keepAlive": self._timing.keep_alive_ms}
        self._exchange.client = self._client
        # ccxt's own timers for listen keys add up with each dial, and tell nobody when they fail.
        self._exchange.delay = lambda *_: None
        setattr(self._exchange, self._habits.stream_handler, self._on_order_message)

    def _client(self, url: str) -> Any:
        client = self._make_client(url)
        if LOST not in client.futures and not getattr(client, "guarded_by_gateway", False):
            client.guarded_by_gateway = True
            client.future(LOST).add_done_callback(self._on_lost)
            self._guard(client)
        return client

    def _on_lost(self, future: asyncio.Future[Any]) -> None:
        error = None if future.cancelled() else future.exception()
        self._lose("the socket was closed" if error is None else told(error))

    def _guard(self, client: Any) -> None:
        """No frame may end the receive loop unseen, no end of the stream pass, no forgotten client live on."""
        handle, take, connected = (
            client.handle_message,
            client.on_message_callback,
            client.on_connected_callback,
        )

        def handle_message(frame: Any) -> None:
            try:
                handle(frame)
            except Exception as error:  # noqa: BLE001 - nobody knows what it said: reconcile
                self._lose(f"a frame could not be read: {told(error)}")

        def on_message(of: Any, message: Any) -> None:
            if reason := self._habits.stream_ending(message):
                self._lose(reason)
            take(of, message)
            self._note_confirmation(message)

        def on_connected(of: Any) -> None:
            connected(of)
            if self._lost is None or self._exchange.clients.get(of.url) is not of:
                self._close_later(of)
            elif self._habits.is_subscribed is None:
                self._is_heard()

        client.handle_message = handle_message
        client.on_message_callback = on_message
        client.on_connected_callback = on_connected

    def _note_confirmation(self, message: Any) -> None:
        """Where subscriptions are confirmed, the exchange speaks once all of them are."""
        if self._habits.is_subscribed is not None and self._habits.is_subscribed(message):
            self._unconfirmed -= 1
            if not self._unconfirmed:
                self._is_heard()

    def _is_heard(self) -> None:
        if self._connected is not None and not self._connected.done():
            self._connected.set_result(None)

    def _on_order_message(self, client: Any, message: Any) -> None:
        """Take what a message says, then let ccxt go on as always; what cannot be read ends the line (``_guard``)."""
        for event in self._read(message):
            self._emit(event)
        self._handle(client, message)


def _said(error: BaseException) -> BaseException:
    """The exception that tells what happened: ccxt's clearing up after a refused subscription raises one of its own."""
    found: BaseException | None = error
    while found is not None and not type(found).__module__.startswith("ccxt."):
        found = found.__context__
    return found or error


def _looked_at(future: asyncio.Future[Any]) -> None:
    """Keep asyncio from writing about an exception for which nobody was left to wait."""
    if not future.cancelled():
        future.exception()


async def _closed(client: Any) -> None:
    """Close a client; one that is broken already may raise anything, and nothing of it is of interest."""
    try:
        await client.close()
    except Exception as error:  # noqa: BLE001 - see above
        client.error = error
