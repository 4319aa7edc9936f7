"""Where orders, market and streams meet: everything that changes the account ends here, is stored, then told.

After every request, and at every minute's end, ``settle`` writes what changed into the account's journal and only
then sends the events to the private streams, so that what was answered or told survives ``kill -9``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bot.simexchange.account import SimAccount
from bot.simexchange.account_journal import AccountJournal
from bot.simexchange.account_teller import FuturesTeller, SpotTeller, Teller
from bot.simexchange.bars import MINUTE_MS, Bar
from bot.simexchange.config import Market
from bot.simexchange.funding import FundingClerk
from bot.simexchange.market import VisibleMarket
from bot.simexchange.orders import OrderKind, OrderRequest, SimOrder


class PrivateStreams(Protocol):
    """Who listens to an account."""

    def publish(self, events: Sequence[dict[str, Any]]) -> None:
        """Queue messages for everybody who listens."""

    async def wait_until_read(self) -> None:
        """Wait until clients have read what was queued."""


class TradingFloor:
    """One account on a market.

    Attributes:
        account: Its orders, positions and money.
        streams: Who listens to it.
        teller: What they are told; ``spot_teller`` on spot; of OKX it is set by its room.
        stored: Called after the account was stored, so that the clock's file keeps up with it.
    """

    def __init__(
        self,
        market: VisibleMarket,
        account: SimAccount,
        journal: AccountJournal,
        streams: PrivateStreams,
        since_ms: int,
    ) -> None:
        """``since_ms``: where the market starts, or goes on."""
        self.account = account
        self.streams = streams
        self.stored: Callable[[], None] = _nothing
        self.spot_teller = SpotTeller(account)
        self.teller: Teller = self.spot_teller
        if market.market is Market.USDM:
            self.teller = FuturesTeller(account, market.trading_price, market.listings)
        self._journal = journal
        self._funding = None if market.market is Market.SPOT else FundingClerk(market, account, since_ms)

    def settle(self) -> bool:
        """Store what changed and tell it; False if nothing did. Raises StorageError, and then nothing is told."""
        if self._journal.commit(self.account):
            self.stored()
        events = self.account.take_events()
        if not events:
            return False
        self.streams.publish([message for event in events for message in self.teller.messages(event)])
        return True

    def close_minute(self, bars: Mapping[str, Bar]) -> bool:
        """A minute ended: match its bars, by symbol; then funding, where it is due. False if nothing came of it."""
        for symbol, bar in bars.items():
            self.account.match(symbol, bar)
        ends = {bar.opened_at_ms + MINUTE_MS for bar in bars.values()}
        return self.begin_minute(max(ends)) if ends else self.settle()

    def begin_minute(self, minute_ms: int) -> bool:
        """A minute begins: pay the funding that waited for it. False if nothing came of it."""
        if self._funding is not None:
            self._funding.pay(minute_ms)
        return self.settle()

    def trade(self, symbol: str, side: str, quantity: float, client_order_id: str, now_ms: int) -> SimOrder:
        """A market order of somebody else who has a key to the same account; raises Refusal."""
        request = OrderRequest(symbol, side, OrderKind.MARKET, quantity, client_order_id)
        try:
            return self.account.place(request, now_ms)
        finally:
            self.settle()

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


def _nothing() -> None:
    """Nobody wants to know."""
