"""The contracts between the daemon and the world: clock, feed, broker, journal, predictor.

An adapter of a port lives one floor up and is thin. Every port has a contract suite in ``tests/contracts``
that runs over each of its adapters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from bot.core.decision import CancelWish, Decision
from bot.core.limits import MarketFacts
from bot.core.market import Candle, Instrument, Quote, Symbol
from bot.core.orders import ApprovedOrder, ExecutionReport, OrderRecord
from bot.core.position import Position, Trade
from bot.core.prediction import Prediction
from bot.core.risk import StateChange
from bot.core.venue import VenueCommand, VenueEvent


class Clock(Protocol):
    """The exchange's time."""

    def now_ms(self) -> int:
        """UTC milliseconds on the exchange's clock."""

    def monotonic_ns(self) -> int:
        """A local counter that never goes back; for measuring durations only."""


@dataclass(frozen=True, slots=True)
class CandleClosed:
    """A closed candle, delivered once and in order of time for its symbol.

    Attributes:
        candle: Its final values.
        source: ``stream`` (the exchange flagged it closed), ``successor`` (a later bar proved it closed) or
            ``rest`` (fetched).
        received_at_ns: ``Clock.monotonic_ns`` when the message that closed it arrived.
    """

    candle: Candle
    source: str
    received_at_ns: int


@dataclass(frozen=True, slots=True)
class CandleRevised:
    """The exchange changed a candle after it had been delivered; decisions already made stand."""

    candle: Candle
    previous: Candle


@dataclass(frozen=True, slots=True)
class MarketTime:
    """The exchange's own clock was seen at this time (from the event time of a message)."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class FeedNotice:
    """Something that a person should be able to read in the log.

    Attributes:
        event: Dotted past-tense name: ``feed.stalled``, ``feed.reconnected``, ``candle.gap_found``,
            ``candle.gap_filled``, ``candle.gap_remains``, ``candle.refused``.
        fields: What happened, as JSON values (always ``symbol`` where there is one).
    """

    event: str
    fields: dict[str, Any] = field(default_factory=dict)


FeedEvent: TypeAlias = CandleClosed | CandleRevised | MarketTime | FeedNotice


class Feed(Protocol):
    """A source of closed candles for a fixed list of symbols."""

    symbols: tuple[Symbol, ...]

    @property
    def catching_up(self) -> AbstractSet[Symbol]:
        """Symbols whose earlier candles are being fetched right now; a minute waits for them."""

    def start_from(self, symbol: Symbol, last_opened_at_ms: int) -> None:
        """Before ``events``: deliver the candles after this one too, fetched if they closed earlier."""

    async def open(self) -> None:
        """Connect and read the markets; raises ConfigError for an unknown symbol, TransientError if offline."""

    async def exchange_time_ms(self) -> int:
        """The exchange's clock, asked now."""

    async def instruments(self) -> dict[Symbol, Instrument]:
        """The trading rules of each symbol."""

    async def history(self, symbol: Symbol, since_ms: int, until_ms: int) -> list[Candle]:
        """Closed candles with since_ms <= opened_at_ms < until_ms that the exchange has, in order, validated."""

    async def funding_rates(self, symbol: Symbol, since_ms: int, until_ms: int) -> dict[int, float]:
        """Funding rates by payment time in [since_ms, until_ms); empty on spot."""

    async def quotes(self) -> dict[Symbol, Quote]:
        """The best bid and ask of each symbol that has both, asked now and once; TransientError or DataError if not told."""

    async def coming_funding_rates(self) -> dict[Symbol, float]:
        """The rate that each perpetual pays next, per 8 hours, asked now and once; errors as those of ``quotes``."""

    def events(self) -> AsyncIterator[FeedEvent]:
        """Stream until closed. Gaps are backfilled before a later candle of the symbol is delivered."""

    async def close(self) -> None:
        """Leave no socket and no task behind."""


class Broker(Protocol):
    """What carries out approved orders."""

    def submit(self, orders: Sequence[ApprovedOrder]) -> None:
        """Take orders in; what becomes of them comes back as reports."""

    def cancel(self, wishes: Sequence[CancelWish]) -> None:
        """Let entries rest no longer; what becomes of them comes back as reports."""

    def warm(self, candles: Sequence[Candle]) -> None:
        """Closed candles of one symbol from before the first minute of a new account, in order."""

    def on_candles(self, candles: Sequence[Candle]) -> list[ExecutionReport]:
        """Reports that the candles of one minute bring, in the order in which they happened."""

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs beside the engine's orders and positions, as JSON values; empty where that is nothing."""

    def recover(
        self,
        orders: Sequence[OrderRecord],
        positions: Sequence[Position],
        seen_ms: Mapping[Symbol, int],
        state: Mapping[str, Any],
    ) -> None:
        """Make what the journal says true again after a start.

        Args:
            orders: Every order that may still trade, in the order in which they were made.
            positions: What is held.
            seen_ms: Open time of each symbol's last candle that was passed to ``on_candles``.
            state: What ``snapshot`` gave.
        """


class OrderGateway(Protocol):
    """The way to an exchange that takes orders: commands out, events back."""

    async def open(self) -> None:
        """Read the markets and set the clock; raises ConfigError for keys that are refused, TransientError if offline."""

    async def synchronise(self) -> None:
        """Set the clock of signed requests by the exchange's; TransientError or DataError where it tells no time."""

    async def perform(self, command: VenueCommand) -> Sequence[VenueEvent]:
        """Carry out a command once and say what came of it; whatever the exchange or the network does is an event."""

    async def watch(self, deliver: Callable[[VenueEvent], None]) -> None:
        """Follow the user stream until cancelled, redialling for ever; ``deliver`` is called as messages arrive."""

    async def close(self) -> None:
        """Leave no socket and no task behind."""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """All that the candles of one minute brought: one transaction of the journal, one step of a replay.

    Attributes:
        closed_at_ms: Close time of the candles.
        now_ms: The exchange's time when it was decided.
        candles: Who was in the batch, by name of symbol.
        sources: How each candle came (``stream``, ``successor``, ``rest``).
        reports: What was settled, in order.
        decisions: One for each candle.
        trades: Round trips that ended.
        state_changes: Moves of the trading state.
        equity: After it, quote currency.
        cash: After it, quote currency.
        exposure: Notional held after it, quote currency.
        snapshot: The engine after it, as JSON values, and under ``inputs`` what the predictor counted.
        facts: What was known of the markets beside candles when it was decided.
    """

    closed_at_ms: int
    now_ms: int
    candles: Sequence[Candle]
    sources: Sequence[str]
    reports: Sequence[ExecutionReport]
    decisions: Sequence[Decision]
    trades: Sequence[Trade]
    state_changes: Sequence[StateChange]
    equity: float
    cash: float
    exposure: float
    snapshot: Mapping[str, Any]
    facts: Sequence[MarketFacts] = ()


@dataclass(frozen=True, slots=True)
class InterimRecord:
    """What happened between two batches: one transaction of the journal too.

    Attributes:
        at_ms: The exchange's time.
        reports: What was settled, in order.
        approved: Orders that were made outside of a batch (a command, an emergency) and are sent once this is stored.
        trades: Round trips that ended.
        state_changes: Moves of the trading state.
        snapshot: As a batch's.
        event: What acted on the trading state, a value of ``StateEvent``; None where nothing did.
        flatten: Whether everything held was to be closed.
    """

    at_ms: int
    reports: Sequence[ExecutionReport]
    approved: Sequence[ApprovedOrder]
    trades: Sequence[Trade]
    state_changes: Sequence[StateChange]
    snapshot: Mapping[str, Any]
    event: str | None = None
    flatten: bool = False


class Journal(Protocol):
    """Where every batch is written before it is acted upon."""

    def commit(self, record: BatchRecord) -> None:
        """Store a batch durably, whole or not at all; raises StorageError and stores nothing if it can't."""

    def commit_interim(self, record: InterimRecord) -> None:
        """Store what happened between two batches, in the same way."""

    def note(self, kind: str, at_ms: int, fields: Mapping[str, Any]) -> None:
        """Append an event that is not a batch (a start, a stop, a revision, a gap)."""

    def rest(self) -> None:
        """Do between two batches what would only delay one."""

    def snapshot(self) -> dict[str, Any] | None:
        """The engine's last snapshot; None when nothing was committed yet."""

    def recent_candles(self, symbol: Symbol, count: int) -> list[Candle]:
        """The newest candles of a symbol that were committed, oldest first."""


class Predictor(Protocol):
    """A loaded model."""

    model_id: str
    horizon_minutes: int
    history_minutes: int

    def warm(self, symbol: Symbol, candles: Sequence[Candle]) -> None:
        """Replace what is remembered of a symbol by these candles (in order; a gap in them empties)."""

    def observe(self, candle: Candle) -> None:
        """Take in one closed candle; a gap empties what was remembered."""

    def predict(self, symbols: Sequence[Symbol]) -> list[Prediction]:
        """One prediction for each of the symbols whose window is whole, made together in one batch."""


@runtime_checkable
class Rehearsing(Protocol):
    """A predictor that gains by going its way shortly before it counts."""

    def rehearse(self) -> None:
        """Compute a forecast for nobody; nothing is changed by it."""
