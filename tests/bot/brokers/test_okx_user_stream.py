"""The two lines of OKX's user stream, over real sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.brokers.ccxt_gateway import CcxtGateway
from bot.brokers.gateway_timing import GatewayTiming
from bot.clock import MarketClock
from bot.core.venue import (
    OrderSeen,
    PlaceOrder,
    StreamLost,
    StreamRestored,
    TradeSeen,
    VenueEvent,
    VenueStatus,
)
from bot.errors import ConfigError
from bot.exchange_client import make_exchange
from bot.simexchange.config import API_KEY, API_PASSPHRASE, API_SECRET, SimConfig
from bot.simexchange.okx_room import OkxRoom
from bot.simexchange.okx_session import OkxSession
from bot.simexchange.server import running
from bot.simexchange.tape import write_tape
from tests.feed_rig import START_MS, stray_tasks, walk
from tests.offline_exchange import PERPETUAL, intent, stop_of


class Okx:
    """A gateway on a simulated OKX, the exchange's side of its lines, and what was heard."""

    def __init__(self, gateway: CcxtGateway, room: OkxRoom) -> None:
        self.gateway = gateway
        self.room = room
        self.heard: list[VenueEvent] = []
        self._changed = asyncio.Event()

    def __call__(self, event: VenueEvent) -> None:
        """Take an event in."""
        self.heard.append(event)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def ups(self, count: int) -> None:
        """Wait until the stream was up so many times."""
        await self.until(lambda: sum(isinstance(one, StreamRestored) for one in self.heard) >= count)

    def lines(self) -> dict[str, OkxSession]:
        """The exchange's sessions by place."""
        return {session.place: session for session in self.room.streams._sessions}

    def stops(self) -> list[OrderSeen]:
        """What was heard of a stop."""
        seen = [event for event in self.heard if isinstance(event, OrderSeen)]
        return [event for event in seen if event.client_order_id.endswith("s")]

    def why_lost(self) -> list[str]:
        """Reasons."""
        return [event.reason for event in self.heard if isinstance(event, StreamLost)]


@asynccontextmanager
async def okx(folder: Path, *, passphrase: str = API_PASSPHRASE, watch: bool = True) -> AsyncIterator[Okx]:
    """A gateway that is opened, and listened to."""
    tape = folder / "okx-BTCUSDT-1m-tape.parquet"
    write_tape(tape, walk("BTCUSDT", 30))
    config = SimConfig(state_dir=folder, tapes=(str(tape),), speed=1, hold_without_clients=True)
    async with running(config) as (server, end):
        exchange = make_exchange(
            "okx",
            connect_to=(end.host, end.port),
            ca_file=Path(end.ca_file),
            rate_limited=False,
            timeout_ms=1000,
            credentials={"apiKey": API_KEY, "secret": API_SECRET, "password": passphrase},
        )
        exchange.timeout_on_exit = 0
        clock, timing = MarketClock(START_MS), GatewayTiming.at_speed(1)
        gateway = CcxtGateway(
            exchange, [PERPETUAL], clock=clock, random=random.Random(1).random, timing=timing
        )
        assert isinstance(server.trading, OkxRoom)
        at = Okx(gateway, server.trading)
        task: asyncio.Task[Any] | None = None
        try:
            if watch:
                await gateway.open()
                task = asyncio.get_running_loop().create_task(gateway.watch(at))
                await at.ups(1)
            yield at
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await gateway.close()


async def test_the_stream_is_up_once_both_lines_are_subscribed(tmp_path: Path) -> None:
    """When it is said to be up the exchange has both subscriptions, and an order and a stop are heard of."""
    before = asyncio.all_tasks()
    async with okx(tmp_path) as at:
        channels = {arg["channel"] for line in at.lines().values() for arg in line.args.values()}
        assert set(at.lines()) == {"private", "business"}
        assert channels == {"orders", "orders-algo"}
        await at.gateway.perform(PlaceOrder(intent(quantity=0.123)))
        await at.gateway.perform(PlaceOrder(stop_of(quantity=0.123)))
        await at.until(lambda: any(isinstance(one, TradeSeen) for one in at.heard))
        await at.until(lambda: bool(at.stops()))
        assert (at.stops()[0].status, at.stops()[0].quantity) == (VenueStatus.OPEN, 0.123)
        assert [one.fill.quantity for one in at.heard if isinstance(one, TradeSeen)] == [0.123]
    assert not stray_tasks(before)


@pytest.mark.parametrize("place", ["private", "business"])
async def test_one_line_that_is_cut_ends_both(place: str, tmp_path: Path) -> None:
    """Half a stream is none: whichever line is cut, the stream is lost and dialled anew, both lines of it."""
    async with okx(tmp_path) as at:
        first = at.lines()
        first[place].cut()
        await at.ups(2)
        assert len(at.why_lost()) == 1
        assert set(at.lines()) == {"private", "business"}
        assert not set(at.lines().values()) & set(first.values())


async def test_a_line_that_is_announced_to_end_is_left(tmp_path: Path) -> None:
    """The exchange's notice that it closes the line soon is enough to dial anew."""
    async with okx(tmp_path) as at:
        notice = '{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade."}'
        await at.lines()["private"].socket.send_str(notice)
        await at.ups(2)
        assert at.why_lost() == ["the exchange is shutting the line down"]


async def test_a_wrong_passphrase_is_a_wrong_setting(tmp_path: Path) -> None:
    """The account is refused at the start with what the exchange said of it, without the keys."""
    async with okx(tmp_path, passphrase="wrong", watch=False) as at:  # noqa: S106 - of a market without money
        with pytest.raises(ConfigError, match=r"refuses the account.*PASSPHRASE") as caught:
            await at.gateway.open()
        assert API_SECRET not in str(caught.value)
