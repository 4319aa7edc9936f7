"""The live broker: journal first, then the exchange; what our own code does wrong ends the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Self

import pytest

from bot.core.execution import LiveExecution
from bot.core.execution_rules import ExecutionRules
from bot.core.orders import ApprovedOrder, ExecutionReport, Fill
from bot.core.state import StateEvent
from bot.core.venue import PlaceOrder, ReadState, VenueCommand, VenueEvent
from bot.daemon.batching import Batch
from bot.daemon.live import LiveBroker, LiveMinute, steady
from bot.daemon.telling import Teller
from bot.errors import EngineProtocolError
from bot.ports import CandleClosed
from bot.simexchange.account import SimAccount
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import list_symbol
from bot.simexchange.orders import AccountTerms, OrderRequest
from bot.simexchange.orders import OrderKind as Kind
from tests.core_builders import PERPETUAL, approved, at, candle, instrument, order
from tests.daemon_harness import Silent
from tests.venue_stand_in import AFTER, VenueStandIn

PRICE = 20_000.0


class Recorder:
    """A host and a journal that write down in which order things happen."""

    def __init__(self, venue: VenueStandIn) -> None:
        self.done: list[Any] = []
        self._venue = venue
        self.notes: list[str] = []

    def settle(self, reports: Sequence[ExecutionReport], approved: Sequence[ApprovedOrder] = ()) -> None:
        assert not approved
        self.done.append(("settled", list(reports), len(self._venue.performed)))

    def act(self, event: StateEvent | None = None, *, flatten: bool = False) -> None:
        assert not flatten
        self.done.append(("acted", event, len(self._venue.performed)))

    def note(self, kind: str, _at_ms: int, _fields: Any) -> None:
        self.notes.append(kind)


class Rig:
    """A live broker on an account without a network."""

    def __init__(self) -> None:
        listing = list_symbol("BTCUSDT", Market.USDM, PRICE)
        terms = AccountTerms({"BTCUSDT": listing})
        self.account = SimAccount(Market.USDM, terms, lambda _, __: PRICE)
        self.venue = VenueStandIn(self.account, Market.USDM, terms.listings, now_ms=at(1))
        self.host = Recorder(self.venue)
        self.log = Silent()
        rules = {PERPETUAL: instrument(tick_size=0.1)}
        execution = LiveExecution(rules, ExecutionRules(lookup_backoff_ms=(1, 1)))
        teller = Teller(self.log, self.host, lambda: at(1))
        self.broker = LiveBroker(execution, self.venue, steady(at(1), _loop_ns), teller)
        self.broker.attach(self.host)
        self.broker.recover([], [], {}, {})

    async def __aenter__(self) -> Self:
        self.serving = asyncio.create_task(self.broker.serve())
        await asyncio.sleep(0)
        self.broker.ask()
        assert await self.broker.quiet(5.0)
        self.venue.performed.clear()
        self.host.done.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.serving.cancel()
        await asyncio.gather(self.serving, return_exceptions=True)


def _loop_ns() -> int:
    return int(asyncio.get_running_loop().time() * 1e9)


def batch(minute: int) -> Batch:
    """One candle of the perpetual."""
    return Batch(at(minute), (CandleClosed(candle(minute), "stream", 0),), ())


def entry() -> ApprovedOrder:
    """A small purchase."""
    return approved(order(minute=1, quantity=0.01))


async def test_protective_orders_are_journaled_before_they_are_sent() -> None:
    """An entry of the engine is sent at once; its fill, and the orders that follow from it, are on disk before those."""
    async with Rig() as rig:
        rig.broker.submit([entry()])
        assert rig.host.done == [], "the minute that decided it has journaled it"
        assert await rig.broker.quiet(5.0)
        placed = [one.intent for one in rig.venue.performed if isinstance(one, PlaceOrder)]
        assert [intent.leg.value for intent in placed] == ["e", "s", "t"]
        filled_at = next(
            sent
            for what, reports, sent in rig.host.done
            if what == "settled" and any(isinstance(report, Fill) for report in reports)
        )
        assert filled_at == 1, "only the entry had been sent when its fill was journaled"
        assert len(rig.account.open_orders(conditional=True)) == 2


async def test_a_lost_answer_is_found_out_and_nothing_is_sent_twice() -> None:
    """An entry that was executed without an answer is looked up; the exchange has one order of it."""
    async with Rig() as rig:
        lost: list[VenueCommand] = []

        def lose(command: VenueCommand) -> str | None:
            if isinstance(command, PlaceOrder) and not lost:
                lost.append(command)
                return AFTER
            return None

        rig.venue.take_stream_down()  # else the stream would tell of it before the answer is missed
        rig.venue.lose = lose
        rig.broker.submit([entry()])
        assert not rig.broker.is_quiet
        while len(rig.venue.performed) < 2:  # the entry, and the look-up that follows
            await asyncio.sleep(0)
        rig.venue.bring_stream_up()
        assert await rig.broker.quiet(5.0)
        entries = [row for row in rig.account.orders("BTCUSDT") if not row.request.only_reduces]
        assert len(entries) == 1
        assert "order.uncertain" in rig.host.notes


async def test_what_a_stranger_trades_halts() -> None:
    """An execution that is none of ours stops new risk and is told."""
    async with Rig() as rig:
        stranger = OrderRequest("BTCUSDT", "BUY", Kind.MARKET, 0.01, "somebodyelse")
        rig.account.place(stranger, at(1))
        rig.venue.tell()
        rig.broker.ask()
        await rig.broker.quiet(3.0)
        assert ("acted", StateEvent.RECONCILIATION) in [one[:2] for one in rig.host.done]
        assert any(kind.startswith("account.foreign") for kind in rig.host.notes)


async def test_a_bug_of_ours_ends_what_serves() -> None:
    """An exception out of the gateway's code is raised where the daemon hears of it, and nothing waits for ever."""
    rig = Rig()

    async def broken(command: VenueCommand) -> Sequence[VenueEvent]:
        raise EngineProtocolError(f"no such command: {command!r}")

    async with rig:
        rig.venue.perform = broken  # type: ignore[method-assign]
        rig.broker.submit([entry()])
        with pytest.raises(EngineProtocolError, match="no such command"):
            async with asyncio.timeout(5):
                await rig.serving


async def test_waiting_for_quiet_ends() -> None:
    """Whoever waits for orders in flight waits no longer than was said, and is told that they still are."""
    async with Rig() as rig:
        answer = asyncio.Event()

        async def slow(command: VenueCommand) -> Sequence[VenueEvent]:
            await answer.wait()
            raise AssertionError(f"{command!r} was not given up")

        rig.venue.perform = slow  # type: ignore[method-assign]
        rig.broker.submit([entry()])
        assert not await rig.broker.quiet(0.05)


async def test_nothing_is_settled_without_a_host() -> None:
    """A broker that nobody settles for refuses to trade."""
    rig = Rig()
    rig.broker._host = None
    with pytest.raises(EngineProtocolError, match="attached to nothing"):
        rig.broker.submit([entry()])


async def test_the_funding_of_a_position_that_is_closed_on_the_hour_is_read() -> None:
    """With a position held at a full hour the exchange is read at once, and a minute later even if it is closed then."""
    async with Rig() as rig:
        held = {"now": True}
        minute = LiveMinute(rig.broker, lambda _symbol: held["now"], at(57), 1.0)
        reads = []
        for number in (58, 59, 60, 61):
            rig.venue.performed.clear()
            await minute.before_batch(batch(number))
            reads.append(sum(isinstance(command, ReadState) for command in rig.venue.performed))
            held["now"] = number < 59
        assert reads == [0, 1, 1, 0]


async def test_nothing_is_read_on_the_hour_while_nothing_is_held() -> None:
    """Without a position there is no funding to ask for."""
    async with Rig() as rig:
        minute = LiveMinute(rig.broker, lambda _symbol: False, at(58), 1.0)
        rig.venue.performed.clear()
        for number in (59, 60):
            await minute.before_batch(batch(number))
        assert not rig.venue.performed
