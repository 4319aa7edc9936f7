"""The gateway without a network: what tests do with it beyond the contract."""

from __future__ import annotations

import asyncio

from bot.core.venue import (
    CommandFailed,
    LookUpOrder,
    OrderAbsent,
    OrderSeen,
    OrderUncertain,
    PlaceOrder,
    ReadState,
    StreamLost,
    StreamRestored,
    TradeSeen,
    VenueCommand,
    VenueEvent,
)
from bot.simexchange.account import SimAccount
from bot.simexchange.config import Market
from bot.simexchange.exchange_info import list_symbol
from bot.simexchange.orders import AccountTerms
from tests.offline_exchange import NOW_MS, intent
from tests.venue_stand_in import AFTER, VenueStandIn


def stand_in() -> VenueStandIn:
    """An account at a price of 100,000."""
    listing = list_symbol("BTCUSDT", Market.USDM, 100_000.0)
    terms = AccountTerms({"BTCUSDT": listing})
    account = SimAccount(Market.USDM, terms, lambda _, __: 100_000.0)
    return VenueStandIn(account, Market.USDM, terms.listings, now_ms=NOW_MS)


async def test_a_stream_that_is_down_is_deaf() -> None:
    """What happens while the stream is down is missed for good, and both ends of that time are told."""
    venue, heard = stand_in(), list[VenueEvent]()
    task = asyncio.get_running_loop().create_task(venue.watch(heard.append))
    await asyncio.sleep(0)
    venue.take_stream_down()
    await venue.perform(PlaceOrder(intent()))
    venue.bring_stream_up()
    await venue.perform(PlaceOrder(intent(client_order_id="r0abcdef2e")))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [type(event) for event in heard[:3]] == [StreamRestored, StreamLost, StreamRestored]
    assert {event.fill.client_order_id for event in heard if isinstance(event, TradeSeen)} == {"r0abcdef2e"}


async def test_answers_are_lost_and_orders_hidden_as_told() -> None:
    """A lost answer leaves an order uncertain and a question open; a hidden order is absent until it is shown."""
    venue = stand_in()

    def lose(command: VenueCommand) -> str | None:
        return AFTER if isinstance(command, (PlaceOrder, ReadState)) else None

    venue.lose = lose
    assert isinstance((await venue.perform(PlaceOrder(intent())))[0], OrderUncertain)
    assert isinstance((await venue.perform(ReadState({})))[0], CommandFailed)
    venue.hidden.add("r0abcdef1e")
    assert isinstance((await venue.perform(LookUpOrder(intent())))[0], OrderAbsent)
    venue.hidden.clear()
    assert isinstance((await venue.perform(LookUpOrder(intent())))[0], OrderSeen)
    assert len(venue.performed) == 4
