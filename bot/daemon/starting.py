"""From a connected feed to an engine that knows where it stands: on paper, or with the exchange's own books."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bot.brokers.paper import PaperBroker
from bot.clock import MarketClock, SystemClock
from bot.core.engine import TradingEngine
from bot.core.market import Instrument, Symbol
from bot.daemon.live_side import LiveSide
from bot.daemon.recovery import recover
from bot.feeds.ccxt_feed import CcxtFeed
from bot.journal.journal import SqliteJournal
from bot.ports import Broker, Clock, Feed, Predictor

MakeEngine = Callable[[Mapping[Symbol, Instrument], float], TradingEngine]


class Started(NamedTuple):
    """What a start makes ready."""

    engine: TradingEngine
    broker: Broker
    recovered: bool


@dataclass(frozen=True, slots=True)
class Start:
    """Asks the exchange, and may wait for it long.

    Attributes:
        make_engine: Given the rules and the money that a new account begins with.
        predictor: The loaded model.
        journal: Open.
        feed: Not open yet.
        clock: Set by the exchange's.
        instruments: Trading rules instead of those that the exchange tells.
        step: Told what comes next.
    """

    make_engine: MakeEngine
    predictor: Predictor
    journal: SqliteJournal
    feed: CcxtFeed
    clock: Clock
    instruments: Mapping[Symbol, Instrument] | None
    step: Callable[[str], None]

    async def on_paper(
        self, make_broker: Callable[[Mapping[Symbol, Instrument]], PaperBroker], starting_cash: float
    ) -> Started:
        """Recover an account of ours."""
        rules = await self._connect()
        return await self._recovered(self.make_engine(rules, starting_cash), make_broker(rules))

    async def live(self, side: LiveSide, require_fit: Callable[[], Awaitable[object]]) -> Started:
        """Recover an account of the exchange's; it is compared with the exchange before the first decision.

        Args:
            side: Connected here.
            require_fit: Raises where exchange or account are not fit for trading.
        """
        rules = await self._connect()
        now_ms = await self.feed.exchange_time_ms()
        if isinstance(self.clock, MarketClock):
            self.clock.advance_to(now_ms)
        self.step("opening the account")
        broker = await side.open(rules, now_ms)
        self.step("checking exchange and account")
        await require_fit()
        cash = await side.wallet() if self.journal.snapshot() is None else 0.0
        return await self._recovered(self.make_engine(rules, cash), broker)

    async def _connect(self) -> Mapping[Symbol, Instrument]:
        self.step("reading the exchange's markets")
        await self.feed.open()
        if isinstance(self.clock, SystemClock):
            await synchronize(self.clock, self.feed)
        return self.instruments or await self.feed.instruments()

    async def _recovered(self, engine: TradingEngine, broker: Broker) -> Started:
        recovered = await recover(
            engine=engine,
            broker=broker,
            predictor=self.predictor,
            journal=self.journal,
            feed=self.feed,
            step=self.step,
        )
        return Started(engine, broker, recovered)


async def synchronize(clock: SystemClock, feed: Feed) -> None:
    """Set our clock by the exchange's: deadlines and the age of a candle are judged by it."""
    asked_at_ns = clock.monotonic_ns()
    exchange_ms = await feed.exchange_time_ms()
    clock.synchronize(exchange_ms, asked_at_ns=asked_at_ns, answered_at_ns=clock.monotonic_ns())
