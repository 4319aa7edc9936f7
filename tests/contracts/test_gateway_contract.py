"""What every adapter of the OrderGateway port promises, checked over each of them on the same account."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bot.brokers.ccxt_gateway import CcxtGateway
from bot.brokers.ccxt_orders import NOT_EXACT, WOULD_TRIGGER
from bot.brokers.gateway_timing import GatewayTiming
from bot.clock import MarketClock
from bot.core.entry import WOULD_CROSS
from bot.core.market import Symbol
from bot.core.orders import Leg, OrderIntent, OrderType, Side
from bot.core.venue import (
    CancelOrder,
    CancelRefused,
    CommandFailed,
    LookUpOrder,
    OrderAbsent,
    OrderRefused,
    OrderSeen,
    OrderUncertain,
    PlaceOrder,
    PlacePair,
    ReadState,
    ReadTrades,
    StreamRestored,
    TradeSeen,
    VenueCommand,
    VenueEvent,
    VenueState,
    VenueStatus,
)
from bot.errors import DataError, TransientError
from bot.exchange_client import make_exchange
from bot.ports import OrderGateway
from bot.simexchange.account import SimAccount
from bot.simexchange.bars import Bar
from bot.simexchange.config import API_KEY, API_PASSPHRASE, API_SECRET, Market, SimConfig
from bot.simexchange.exchange_info import list_symbol
from bot.simexchange.okx_stream import OkxStreams
from bot.simexchange.orders import AccountTerms, Disturbance
from bot.simexchange.server import SimServer, running
from bot.simexchange.tape import write_tape
from bot.simexchange.user_stream import UserStreams
from tests.feed_rig import START_MS, walk
from tests.venue_stand_in import AFTER, BEFORE, VenueStandIn

PRICE = 100.0
"""The tape opens there."""

LOSABLE = {
    PlaceOrder: "POST .*[oO]rder.*",
    PlacePair: "POST .*[oO]rder.*",
    CancelOrder: "DELETE .*[oO]rder.*",
}
LOSABLE_OF_OKX = {PlaceOrder: "POST .*/order", CancelOrder: "POST .*/cancel-order"}


@dataclass
class Venue:
    """A gateway, and the account behind it as only the exchange sees it.

    Attributes:
        gateway: The adapter.
        symbol: What is traded.
        account: The truth.
        play: Ends a minute with this bar.
        pay: A funding time with this rate.
        lose: Loses the next answer to a command of a kind, ``before`` or ``after`` it was carried out.
        server: The exchange, where there is one.
        heard: What the stream delivered.
    """

    gateway: OrderGateway
    symbol: Symbol
    account: SimAccount
    play: Callable[[Bar], None]
    pay: Callable[[float], None]
    lose: Callable[[type[Any], str], None]
    server: SimServer | None = None
    heard: list[VenueEvent] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def deliver(self, event: VenueEvent) -> None:
        """Take from the stream."""
        self.heard.append(event)
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something to be heard."""
        async with asyncio.timeout(10):
            while not holds():
                self.changed.clear()
                await self.changed.wait()

    def trades(self) -> list[TradeSeen]:
        """Executions that the stream delivered."""
        return [event for event in self.heard if isinstance(event, TradeSeen)]

    async def one(self, command: VenueCommand) -> Any:
        """The one event that comes of a command."""
        events = await self.gateway.perform(command)
        assert len(events) == 1, events
        return events[0]

    async def state(self) -> VenueState:
        """Everything."""
        state = await self.one(ReadState({self.symbol: START_MS}))
        assert isinstance(state, VenueState), state
        return state

    @property
    def is_okx(self) -> bool:
        """Whether orders and cancels are only acknowledged."""
        return self.account.market is Market.OKX

    @property
    def market_id(self) -> str:
        """The exchange's name of what is traded."""
        return "ETH-USDT-SWAP" if self.is_okx else "SOLUSDT"

    @property
    def is_spot(self) -> bool:
        """Whether it is spot."""
        return self.account.market is Market.SPOT

    async def bought(self, quantity: float = 1.0) -> OrderIntent:
        """Buy at market."""
        entry = intent(self.symbol, quantity=quantity)
        seen = await self.one(PlaceOrder(entry))
        assert isinstance(seen, OrderSeen), seen
        return entry

    async def protect(self, quantity: float = 1.0) -> tuple[OrderIntent, OrderIntent]:
        """Place stop and target the way of the market."""
        common = {"quantity": quantity, "side": Side.SELL, "reduce_only": True}
        stop = intent(self.symbol, "s", type=OrderType.STOP, leg=Leg.STOP, stop_price=95.0, **common)
        kind, leg = OrderType.TAKE_PROFIT, Leg.TAKE_PROFIT
        target = intent(self.symbol, "t", type=kind, leg=leg, stop_price=105.0, **common)
        if self.is_spot:
            events = list(await self.gateway.perform(PlacePair(stop, target)))
        else:
            events = [await self.one(PlaceOrder(one)) for one in (stop, target)]
        told = [(event.client_order_id, event.status) for event in events if isinstance(event, OrderSeen)]
        assert told == [(one.client_order_id, VenueStatus.OPEN) for one in (stop, target)], events
        return stop, target


def intent(symbol: Symbol, letter: str = "e", **fields: Any) -> OrderIntent:
    """A market order to buy one unit, or what ``fields`` make of it."""
    usual: dict[str, Any] = {
        "client_order_id": f"r0abcdef1{letter}",
        "symbol": symbol,
        "side": Side.BUY,
        "quantity": 1.0,
        "type": OrderType.MARKET,
        "leg": Leg.ENTRY,
        "decided_at_ms": START_MS,
        "reason": "long",
    }
    return OrderIntent(**{**usual, **fields})


Adapter: TypeAlias = Callable[[Path], AbstractAsyncContextManager[Venue]]


def stand_in(market: Market) -> Adapter:
    """Without a network."""

    @asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[Venue]:
        del folder
        listing = list_symbol("SOLUSDT", market, PRICE)
        terms = AccountTerms({"SOLUSDT": listing})
        account = SimAccount(market, terms, lambda _, __: PRICE)
        gateway = VenueStandIn(account, market, terms.listings, now_ms=START_MS)

        def play(bar: Bar) -> None:
            account.match("SOLUSDT", bar)
            gateway.tell()

        def pay(rate: float) -> None:
            account.pay_funding("SOLUSDT", rate, PRICE, START_MS + 1)
            gateway.tell()

        def lose(kind: type[Any], when: str) -> None:
            def once(command: VenueCommand) -> str | None:
                if not isinstance(command, kind):
                    return None
                gateway.lose = lambda _: None
                return when

            gateway.lose = once

        yield Venue(gateway, listing.unified(market), account, play, pay, lose)

    return start


def over_ccxt(market: Market) -> Adapter:
    """The unmodified client against the simulated exchange, over real sockets."""

    @asynccontextmanager
    async def start(folder: Path) -> AsyncIterator[Venue]:
        traded = (
            "ETHUSDT" if market is Market.OKX else "SOLUSDT"
        )  # a contract of OKX's is a tenth of an ether
        tape = folder / f"{market.exchange_id}-{traded}-1m-tape.parquet"
        write_tape(tape, walk(traded, 30))
        # At the world's own speed, and held until somebody subscribes: the market stands, and we move it by hand.
        config = SimConfig(state_dir=folder, tapes=(str(tape),), speed=1, hold_without_clients=True)
        async with running(config) as (server, end):
            exchange = make_exchange(
                market.exchange_id,
                connect_to=(end.host, end.port),
                ca_file=Path(end.ca_file),
                rate_limited=False,
                timeout_ms=400,
                credentials={"apiKey": API_KEY, "secret": API_SECRET, "password": API_PASSPHRASE},
            )
            exchange.timeout_on_exit = 0
            assert server.trading is not None
            floor = server.trading.floor
            symbol = end.symbols[0]
            gateway = CcxtGateway(
                exchange,
                [symbol],
                clock=MarketClock(START_MS),
                random=random.Random(1).random,
                timing=GatewayTiming.at_speed(1),
            )

            def play(bar: Bar) -> None:
                floor.close_minute({traded: bar})

            def pay(rate: float) -> None:
                floor.account.pay_funding(traded, rate, PRICE, START_MS + 1)
                floor.settle()

            def lose(kind: type[Any], when: str) -> None:
                routes = LOSABLE_OF_OKX if market is Market.OKX else LOSABLE
                match = {"route": routes[kind], "count": 1}
                server.faults.replace({"faults": [{"match": match, "action": f"drop_{when}"}]})

            try:
                yield Venue(gateway, symbol, floor.account, play, pay, lose, server)
            finally:
                await gateway.close()

    return start


ADAPTERS = {
    "stand-in usdm": stand_in(Market.USDM),
    "stand-in spot": stand_in(Market.SPOT),
    "ccxt usdm": over_ccxt(Market.USDM),
    "ccxt spot": over_ccxt(Market.SPOT),
    "ccxt okx": over_ccxt(Market.OKX),
}


@asynccontextmanager
async def watched(adapter: Adapter, folder: Path) -> AsyncIterator[Venue]:
    """A gateway that was opened, and whose stream is up."""
    async with adapter(folder) as at:
        await at.gateway.open()
        task = asyncio.get_running_loop().create_task(at.gateway.watch(at.deliver))
        await at.until(lambda: any(isinstance(event, StreamRestored) for event in at.heard))
        yield at
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(params=list(ADAPTERS))
async def venue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Venue]:
    """One way to the same account, opened and watched."""
    async with watched(ADAPTERS[request.param], tmp_path) as at:
        yield at


@pytest.fixture(params=[name for name in ADAPTERS if name.startswith("ccxt")])
async def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Venue]:
    """The same over a network only."""
    async with watched(ADAPTERS[request.param], tmp_path) as at:
        yield at


def bar(low: float, high: float) -> Bar:
    """The first minute, from the price to both ends and back."""
    return Bar(START_MS, PRICE, high, low, PRICE, 1.0)


def seen_by(venue: Venue) -> list[tuple[str, float, float, float]]:
    """The exchange's own executions: number, quantity, price, fee."""
    return [
        (f"{venue.market_id}-{one['trade_id']}", one["quantity"], one["price"], one["fee"])
        for one in venue.account.truth()["trades"]
    ]


def figures(trades: list[TradeSeen]) -> list[tuple[str, float, float, float]]:
    """The same of ours."""
    return [(one.fill.trade_id, one.fill.quantity, one.fill.price, one.fill.fee) for one in trades]


async def test_a_market_order_executes_and_every_way_tells_the_same(venue: Venue) -> None:
    """Answer, stream, look-up, trades and state tell of a market order what the exchange has, to the last digit."""
    entry = await venue.bought(2.0)
    await venue.until(lambda: len(venue.trades()) == 1)
    assert figures(venue.trades()) == seen_by(venue)
    assert {one.fill.client_order_id for one in venue.trades()} == {entry.client_order_id}
    looked_up = await venue.one(LookUpOrder(entry))
    assert isinstance(looked_up, OrderSeen)
    assert (looked_up.status, looked_up.filled_quantity) == (VenueStatus.FILLED, 2.0)
    read = [*await venue.gateway.perform(ReadTrades(venue.symbol, START_MS))]
    assert read == venue.trades()
    state = await venue.state()
    assert list(state.trades) == venue.trades()
    assert (state.orders, state.positions) == ((), {venue.symbol: 2.0})
    balances = {one["asset"]: one["free"] + one["locked"] for one in venue.account.truth()["balances"]}
    assert state.wallet == balances["USDT"]


async def test_a_position_comes_with_its_entry_price(venue: Venue) -> None:
    """A position that no order of ours explains can be adopted: the exchange tells its average price; spot tells none."""
    assert (await venue.state()).entry_prices == {}
    await venue.bought(2.0)
    paid = venue.account.truth()["trades"][0]["price"]
    state = await venue.state()
    assert state.entry_prices == ({} if venue.is_spot else {venue.symbol: pytest.approx(paid, rel=1e-9)})


async def test_the_clock_can_be_set_anew(venue: Venue) -> None:
    """Setting the clock of signed requests is no request that needs one, and orders go through after it."""
    await venue.gateway.synchronise()
    await venue.bought()


async def test_executions_in_parts_are_all_told(venue: Venue) -> None:
    """An order that executes in parts and of which a rest expires is told so, each part once."""
    venue.account.disturb = lambda _: Disturbance(fill_shares=(0.25, 0.5))
    wish = intent(venue.symbol)
    seen = await venue.one(PlaceOrder(wish))
    if venue.is_okx:
        assert isinstance(seen, OrderSeen)
        assert (seen.status, seen.filled_quantity) == (VenueStatus.OPEN, 0.0)
        seen = await venue.one(LookUpOrder(wish))
    assert isinstance(seen, OrderSeen)
    assert (seen.status, seen.filled_quantity, seen.quantity) == (VenueStatus.EXPIRED, 0.75, 1.0)
    await venue.until(lambda: isinstance(venue.heard[-1], OrderSeen) and venue.heard[-1].status.is_final)
    last = venue.heard[-1]
    assert isinstance(last, OrderSeen)
    assert (last.status, last.filled_quantity) == (VenueStatus.EXPIRED, 0.75)
    assert figures(venue.trades()) == seen_by(venue)


async def test_protection_rests_and_is_canceled(venue: Venue) -> None:
    """Stop and target rest together under our ids; a cancel ends one, on spot both, and a second cancel is refused."""
    await venue.bought()
    stop, target = await venue.protect()
    state = await venue.state()
    assert {one.client_order_id: one.status for one in state.orders} == {
        stop.client_order_id: VenueStatus.OPEN,
        target.client_order_id: VenueStatus.OPEN,
    }
    canceled = await venue.one(CancelOrder(stop))
    assert isinstance(canceled, OrderSeen)
    assert (canceled.client_order_id, canceled.status) == (stop.client_order_id, VenueStatus.CANCELED)
    left = [one.client_order_id for one in (await venue.state()).orders]
    assert left == ([] if venue.is_spot else [target.client_order_id])
    refused = await venue.one(CancelOrder(stop))
    assert isinstance(refused, CancelRefused)
    assert refused.code == ("51400" if venue.is_okx else "-2011")
    looked_up = await venue.one(LookUpOrder(stop))
    assert isinstance(looked_up, OrderSeen)
    assert looked_up.status is VenueStatus.CANCELED


async def test_a_stop_that_was_hit_is_told_under_its_own_id(venue: Venue) -> None:
    """What a stop traded carries the stop's client id on the stream, in its look-up and in what is read later."""
    await venue.bought()
    await venue.until(lambda: len(venue.trades()) == 1)
    stop, _ = await venue.protect()
    venue.play(bar(90.0, 100.0))
    await venue.until(lambda: len(venue.trades()) == 2)
    assert venue.trades()[1].fill.client_order_id == stop.client_order_id
    looked_up = await venue.one(LookUpOrder(stop))
    assert isinstance(looked_up, OrderSeen)
    assert (looked_up.client_order_id, looked_up.status) == (stop.client_order_id, VenueStatus.FILLED)
    assert looked_up.filled_quantity == 1.0
    state = await venue.state()
    assert list(state.trades) == venue.trades()
    assert figures(list(state.trades)) == seen_by(venue)
    assert state.positions == {}


async def test_whose_executions_are_is_known_after_a_start(venue: Venue, tmp_path: Path) -> None:
    """A gateway that has seen nothing itself still tells whose the executions before it are."""
    entry = await venue.bought()
    stop, _ = await venue.protect()
    venue.play(bar(90.0, 100.0))
    await venue.until(lambda: len(venue.trades()) == 2)
    if isinstance(venue.gateway, CcxtGateway):
        venue.gateway._owners._owners.clear()
    state = await venue.state()
    assert [one.fill.client_order_id for one in state.trades] == [
        entry.client_order_id,
        stop.client_order_id,
    ]


async def test_a_resting_limit_order_fills_as_a_maker(venue: Venue) -> None:
    """A post-only order rests, is filled at its price when the market goes through it, and pays the maker's fee."""
    limit = intent(venue.symbol, type=OrderType.LIMIT, limit_price=99.0)
    resting = await venue.one(PlaceOrder(limit))
    assert isinstance(resting, OrderSeen)
    assert resting.status is VenueStatus.OPEN
    venue.play(bar(98.0, 100.0))
    await venue.until(lambda: len(venue.trades()) == 1)
    assert figures(venue.trades()) == seen_by(venue)
    assert venue.trades()[0].fill.price == 99.0


@pytest.mark.parametrize("kind", [PlaceOrder, CancelOrder])
@pytest.mark.parametrize("when", [BEFORE, AFTER])
async def test_a_lost_answer_is_uncertain_and_the_look_up_knows(
    venue: Venue, kind: type[Any], when: str
) -> None:
    """Whether a request was carried out whose answer was lost is not guessed; the look-up tells, and nothing is doubled."""
    limit = intent(venue.symbol, type=OrderType.LIMIT, limit_price=99.0)
    if kind is CancelOrder:
        await venue.one(PlaceOrder(limit))
    venue.lose(kind, when)
    unsure = await venue.one(kind(limit))
    if kind is CancelOrder and isinstance(unsure, (OrderSeen, CancelRefused)):
        unsure = None  # a cancel may go out twice on a connection that was cut: then it has an answer
    else:
        assert isinstance(unsure, OrderUncertain), unsure
        assert unsure.client_order_id == limit.client_order_id
    looked_up = await venue.one(LookUpOrder(limit))
    orders = venue.account.truth()["orders"]
    if kind is PlaceOrder and when == BEFORE:
        assert isinstance(looked_up, OrderAbsent)
        assert orders == []
    else:
        assert isinstance(looked_up, OrderSeen)
        assert len(orders) == 1
        carried_out = when == AFTER or unsure is None
        gone = kind is CancelOrder and carried_out
        assert looked_up.status is (VenueStatus.CANCELED if gone else VenueStatus.OPEN)


async def test_what_is_refused_is_told_with_its_code(venue: Venue) -> None:
    """Too much, too little, off the step, a crossing post-only order and a triggered stop are refused, and nothing trades."""
    cases = [
        (
            intent(venue.symbol, quantity=100_000.0),
            {"-2019", "-2010", "insufficient_funds", "-4005", "-1013", "51008", "51202"},
        ),
        (
            intent(venue.symbol, quantity=0.0001 if venue.is_okx else 0.01),
            {"-4164", "-1013", "invalid_order", NOT_EXACT},
        ),
        (intent(venue.symbol, quantity=0.0101), {NOT_EXACT}),
    ]
    for wish, codes in cases:
        refused = await venue.one(PlaceOrder(wish))
        assert isinstance(refused, OrderRefused), refused
        assert refused.code in codes, refused
    crossing = intent(venue.symbol, "l", type=OrderType.LIMIT, limit_price=101.0)
    crossed = await venue.one(PlaceOrder(crossing))
    if venue.is_okx:  # taken, and canceled at once
        assert isinstance(crossed, OrderSeen)
        crossed = await venue.one(LookUpOrder(crossing))
        assert isinstance(crossed, OrderSeen)
        assert (crossed.status, crossed.filled_quantity) == (VenueStatus.EXPIRED, 0.0)
    else:
        assert isinstance(crossed, OrderRefused)
        assert crossed.code == WOULD_CROSS
    entry = await venue.bought()
    stop = intent(venue.symbol, "s", side=Side.SELL, type=OrderType.STOP, leg=Leg.STOP, stop_price=101.0)
    triggered = await venue.one(PlaceOrder(replace(stop, reduce_only=True)))
    assert isinstance(triggered, OrderRefused), triggered
    assert triggered.code == WOULD_TRIGGER, triggered
    made = [one["request"]["client_order_id"] for one in venue.account.truth()["orders"]]
    assert made == [*([crossing.client_order_id] if venue.is_okx else []), entry.client_order_id]
    assert len(venue.account.truth()["trades"]) == 1


async def test_an_id_that_is_taken_is_not_refused(venue: Venue) -> None:
    """A client id that rests already is uncertain: its order is there, and the look-up shows it."""
    limit = intent(venue.symbol, type=OrderType.LIMIT, limit_price=99.0)
    await venue.one(PlaceOrder(limit))
    again = await venue.one(PlaceOrder(limit))
    assert isinstance(again, OrderUncertain), again
    assert isinstance(await venue.one(LookUpOrder(limit)), OrderSeen)
    assert len(venue.account.truth()["orders"]) == 1


async def test_what_was_never_sent_is_absent(venue: Venue) -> None:
    """An order that the exchange does not know is absent, its cancel refused, and no question raises."""
    stop = intent(venue.symbol, "s", side=Side.SELL, type=OrderType.STOP, leg=Leg.STOP, stop_price=95.0)
    for wish in (intent(venue.symbol), stop):
        absent = await venue.one(LookUpOrder(wish))
        assert absent == OrderAbsent(wish.client_order_id, venue.symbol, absent.at_ms)
        assert isinstance(await venue.one(CancelOrder(wish)), CancelRefused)
    assert await venue.gateway.perform(ReadTrades(venue.symbol, START_MS)) == []
    assert not [event for event in venue.heard if isinstance(event, CommandFailed)]


async def test_funding_is_part_of_the_state(venue: Venue) -> None:
    """What a position paid at a funding time is in the state, once, and positive when it was paid."""
    if venue.is_spot:
        assert (await venue.state()).fundings == ()
        return
    await venue.bought()
    venue.pay(0.001)
    state = await venue.state()
    assert [(one.symbol, one.paid, one.paid_at_ms) for one in state.fundings] == [
        (venue.symbol, 0.001 * PRICE, START_MS + 1)
    ]


# --- what can only happen over a network ----------------------------------------------------------------------


@pytest.mark.parametrize("way", [1, -1])
async def test_an_exchange_whose_clock_is_wrong_is_traded_on(exchange: Venue, way: int) -> None:
    """Orders, questions and a new stream go through on an exchange whose clock went off, either way."""
    assert exchange.server is not None
    skew_ms = way * (30_500 if exchange.is_okx else 5_500)  # more than it takes
    plan = {"match": {"state": "clock"}, "action": {"kind": "skew", "ms": skew_ms}}
    exchange.server.faults.replace({"faults": [plan]})
    exchange.server.faults.tick(exchange.server.conductor.now_ms())
    assert exchange.server.faults.desk.skew_ms == skew_ms
    await exchange.bought()
    assert (await exchange.state()).positions == {exchange.symbol: 1.0}
    await drop_and_wait(exchange, streams_of(exchange).drop)


async def test_a_clock_that_cannot_be_set_is_told_in_our_own_words(exchange: Venue) -> None:
    """Without an answer to the question for the time, or with a page instead, a BotError says so."""
    assert exchange.server is not None
    for action in ("drop_before", {"kind": "spoil", "how": "html"}):
        plan = {"match": {"route": "GET .*/time", "count": "every"}, "action": action}
        exchange.server.faults.replace({"faults": [plan]})
        with pytest.raises((TransientError, DataError)):
            await exchange.gateway.synchronise()


async def test_a_stream_that_the_exchange_ends_comes_up_again(exchange: Venue) -> None:
    """A listen key that expired, or a subscription that was ended, is made anew, and executions are heard again."""
    streams = streams_of(exchange)
    await drop_and_wait(exchange, streams.drop if exchange.is_okx else streams.expire)
    await exchange.bought()
    await exchange.until(lambda: len(exchange.trades()) == 1)


async def test_a_page_instead_of_rows_is_no_empty_account(exchange: Venue) -> None:
    """Pages, rows of nothing and broken JSON in place of what is asked for never look like an account without orders."""
    assert exchange.server is not None
    entry = await exchange.bought()
    for how in ("html", "null_rows", "cut", "empty"):
        match = {
            "route": "GET .*([tT]rades|[oO]penOrders|[oO]penAlgoOrders|positionRisk|/account|/fills|pending)",
            "count": "every",
        }
        plan = [{"match": match, "action": {"kind": "spoil", "how": how}}]
        exchange.server.faults.replace({"faults": plan})
        for command in (ReadState({exchange.symbol: START_MS}), ReadTrades(exchange.symbol, START_MS)):
            failed = await exchange.one(command)
            assert isinstance(failed, CommandFailed), (how, failed)
            assert API_KEY not in failed.reason
    exchange.server.faults.replace({"faults": []})
    assert isinstance(await exchange.one(LookUpOrder(entry)), OrderSeen)


def streams_of(venue: Venue) -> UserStreams | OkxStreams:
    """The exchange's side of the user stream."""
    assert venue.server is not None
    assert venue.server.trading is not None
    return venue.server.trading.streams


async def drop_and_wait(venue: Venue, drop: Callable[[], Any]) -> None:
    """End the stream and wait until it is up again."""
    ups = sum(isinstance(event, StreamRestored) for event in venue.heard)
    drop()
    await venue.until(lambda: sum(isinstance(event, StreamRestored) for event in venue.heard) > ups)
