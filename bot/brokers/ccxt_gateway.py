"""The way to an exchange over ccxt.pro: commands out, once each; events back.

Which call carries out which command is in ``ccxt_orders``, what its answer says in ``ccxt_rows``, what an exception
means in ``ccxt_outcomes``. Nothing that trades is ever sent a second time, with one exception: a request that the
exchange refused for its timestamp was surely not carried out, and is sent again once the clocks agree.

Below ccxt, aiohttp sends a request again whose kept-alive connection turns out to be cut, but only one of an idempotent
method (its ``IDEMPOTENT_METHODS``): a cancel (DELETE) may go out twice, which does no harm; an order (POST) never.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from bot.brokers.account_check import check_fees, check_markets, check_symbols, opening_error
from bot.brokers.account_reader import AccountReader
from bot.brokers.ccxt_habits import VenueHabits, habits_of
from bot.brokers.ccxt_orders import (
    NOT_EXACT,
    InexactError,
    asking_for,
    order_arguments,
    pair_arguments,
    refusal_code,
)
from bot.brokers.ccxt_outcomes import Meaning, outcome_of, scrubbed, told
from bot.brokers.ccxt_rows import OrderOwners, client_id_of, conditional_seen, order_seen, trade_seen
from bot.brokers.ccxt_user_stream import UserStream
from bot.brokers.exchange_time import ExchangeTime
from bot.brokers.gateway_timing import GatewayTiming
from bot.brokers.venue_rows import UserRows
from bot.core.market import Symbol
from bot.core.orders import OrderIntent
from bot.core.venue import (
    CancelOrder,
    CancelRefused,
    CommandFailed,
    LookUpOrder,
    OrderRefused,
    OrderSeen,
    OrderUncertain,
    PlaceOrder,
    PlacePair,
    ReadState,
    ReadTrades,
    VenueCommand,
    VenueEvent,
)
from bot.errors import BotError, DataError, EngineProtocolError
from bot.exchange_client import Exchange
from bot.ports import Clock
from bot.quiet_time import QuietTime
from bot.reply_guard import guard_replies

_Answer = TypeVar("_Answer")


class CcxtGateway:
    """The ``OrderGateway`` port over ccxt.pro.

    Args:
        exchange: From ``bot.exchange_client.make_exchange``, with credentials. The gateway owns it and closes it; it
            must not be a feed's as well.
        symbols: What is traded, all of one kind and one quote currency.
        clock: Its time stamps requests, corrected by what the exchange's differs from it.
        random: In [0, 1); spreads the waits between dials.
        timing: Patience; ``GatewayTiming.at_speed`` for a simulated exchange.
        margin_mode: isolated or cross; counts where the exchange wants it with each order.

    Raises:
        ConfigError: An exchange that is not traded on here, or symbols that do not go together.
    """

    def __init__(
        self,
        exchange: Exchange,
        symbols: Sequence[Symbol],
        *,
        clock: Clock,
        random: Callable[[], float],
        timing: GatewayTiming | None = None,
        margin_mode: str = "isolated",
    ) -> None:
        timing = timing or GatewayTiming()
        self._exchange = exchange
        self._symbols = tuple(symbols)
        self._clock = clock
        self._habits: VenueHabits = habits_of(exchange.id)
        check_symbols(self._habits, self._symbols, exchange.id)
        self._time = ExchangeTime(clock, steady=timing.steady_clock)
        self._owners = OrderOwners()
        self._margin_mode = margin_mode
        exchange.options.update(self._habits.options)
        exchange.nonce = self._time.now_ms
        if self._habits.prepare is not None:
            self._habits.prepare(exchange, self._time.now_ms)
        guard_replies(exchange, self._habits.list_paths, self._habits.checked_reply)
        QuietTime(clock.monotonic_ns).keep(exchange)
        self._reader = AccountReader(exchange, self._habits, self._symbols, self._owners, self._time.now_ms)
        self._stream = UserStream(
            exchange,
            self._habits,
            read=self._read_message,
            now_ms=self._time.now_ms,
            synchronise=self._synchronise,
            timing=timing,
            random=random,
        )

    async def open(self) -> None:
        """Read the markets, set the clock, try the keys; ConfigError for what is refused, TransientError if offline."""
        try:
            await self._exchange.load_markets()
            check_markets(self._exchange, self._habits, self._symbols)
            await self._synchronise()
            # The first signed request: whether the keys are taken.
            await self._sent(self._exchange.fetch_balance)
            await self._sent(lambda: check_fees(self._exchange, self._habits))
            if self._habits.check_account is not None:
                await self._habits.check_account(self._exchange)
        except Exception as error:
            raise opening_error(error, self._habits) from error

    async def synchronise(self) -> None:
        """Set the clock of signed requests by the exchange's; TransientError or DataError where it tells no time."""
        try:
            await self._synchronise()
        except BotError:
            raise
        except Exception as error:
            raise opening_error(error, self._habits) from error

    async def perform(self, command: VenueCommand) -> Sequence[VenueEvent]:
        """Carry out a command once; whatever the exchange or the network does is an event."""
        if isinstance(command, PlaceOrder):
            return await self._place(command.intent)
        if isinstance(command, PlacePair):
            return await self._place_pair(command.stop, command.target)
        if isinstance(command, CancelOrder):
            return await self._cancel(command.intent)
        try:
            return await self._sent(lambda: self._answer(command))
        except EngineProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever went wrong, nothing was changed: ask again
            return [CommandFailed(command, self._time.now_ms(), told(error))]

    async def watch(self, deliver: Callable[[VenueEvent], None]) -> None:
        """Follow the user stream until cancelled, redialling for ever; ``deliver`` is called as messages arrive."""
        await self._stream.watch(deliver)

    async def close(self) -> None:
        """Leave no socket and no task behind; cancel ``watch`` before."""
        await self._exchange.close()
        await self._stream.close()

    # --- commands that change something -------------------------------------------------------------------

    async def _place(self, intent: OrderIntent) -> list[VenueEvent]:
        try:
            arguments = order_arguments(self._exchange, self._habits, intent, self._margin_mode)
        except InexactError as error:
            return [self._refused(intent, NOT_EXACT, scrubbed(str(error)))]
        try:
            row = await self._sent(lambda: self._exchange.create_order(**arguments))
        except Exception as error:  # noqa: BLE001 - see outcome_of
            return [self._not_placed(intent, error)]
        try:
            return [self._read_placed(intent, row)]
        except Exception as error:  # noqa: BLE001 - answered, and not readable: it may be there
            return [self._uncertain(intent, f"the answer cannot be read: {told(error)}")]

    async def _place_pair(self, stop: OrderIntent, target: OrderIntent) -> list[VenueEvent]:
        pair = (stop, target)
        method = self._habits.pair_method
        if method is None:
            text = f"{self._exchange.id} has no pairs of orders"
            return [self._refused(intent, "not_supported", text) for intent in pair]
        try:
            request = pair_arguments(self._exchange, stop, target)
        except InexactError as error:
            return [self._refused(intent, NOT_EXACT, scrubbed(str(error))) for intent in pair]
        try:
            reply = await self._sent(lambda: getattr(self._exchange, method)(dict(request)))
        except Exception as error:  # noqa: BLE001 - see outcome_of
            return [self._not_placed(intent, error) for intent in pair]
        try:
            reports = _reports_by_client_id(reply)
            return [self._read_report(intent, reports[intent.client_order_id]) for intent in pair]
        except Exception as error:  # noqa: BLE001 - answered, and not readable: they may be there
            reason = f"the answer cannot be read: {told(error)}"
            return [self._uncertain(intent, reason) for intent in pair]

    async def _cancel(self, intent: OrderIntent) -> list[VenueEvent]:
        params = asking_for(self._habits, intent)
        try:
            row = await self._sent(lambda: self._exchange.cancel_order(None, intent.symbol, params))
        except Exception as error:  # noqa: BLE001 - see outcome_of
            outcome = outcome_of(error, self._habits)
            if outcome.meaning is Meaning.UNCERTAIN:
                return [self._uncertain(intent, outcome.reason)]
            at_ms = self._time.now_ms()
            return [CancelRefused(intent.client_order_id, intent.symbol, at_ms, outcome.code, outcome.reason)]
        if not self._habits.cancel_tells:
            return await self._look_for_end(intent)
        try:
            return [self._read_canceled(intent, row)]
        except Exception as error:  # noqa: BLE001 - answered, and not readable: look it up
            return [self._uncertain(intent, f"the answer cannot be read: {told(error)}")]

    async def _look_for_end(self, intent: OrderIntent) -> list[VenueEvent]:
        """How an order ended whose cancel was only acknowledged: it may have filled before."""
        reason = "the cancel was taken, and how the order ended is not told yet"
        try:
            events = await self._sent(lambda: self._reader.look_up(intent))
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is to be looked up again
            return [self._uncertain(intent, f"{reason}: {told(error)}")]
        if any(isinstance(event, OrderSeen) and event.status.is_final for event in events):
            return events
        return [self._uncertain(intent, reason)]

    async def _sent(self, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """Send once; a second time only what was surely not carried out, since its timestamp was off."""
        try:
            return await call()
        except Exception as error:
            if outcome_of(error, self._habits).meaning is not Meaning.CLOCK:
                raise
            try:
                await self._synchronise()
            except Exception:  # noqa: BLE001 - what is to be told is that the first was not carried out
                raise error from None
        return await call()

    # --- what their answers say ---------------------------------------------------------------------------

    def _read_placed(self, intent: OrderIntent, row: Any) -> OrderSeen:
        if client_id_of(row) != intent.client_order_id:
            raise DataError(f"placed {intent.client_order_id}, answered {row['clientOrderId']}")
        conditional = self._reader.conditional(row)
        if conditional is None:
            seen = order_seen(self._exchange, row, intent.client_order_id, self._time.now_ms())
            self._owners.learn(intent.symbol, seen.exchange_id, intent.client_order_id)
            return seen
        if conditional.order_id:
            self._owners.learn(intent.symbol, conditional.order_id, intent.client_order_id)
        read = conditional_seen(self._exchange, conditional, intent.symbol, self._time.now_ms())
        if read is None:
            raise DataError("it is finished already: what became of it is to be looked up")
        return read

    def _read_report(self, intent: OrderIntent, report: Mapping[str, Any]) -> OrderSeen:
        row = self._exchange.parse_order(report, self._exchange.market(intent.symbol))
        return self._read_placed(intent, {**row, "clientOrderId": intent.client_order_id})

    def _read_canceled(self, intent: OrderIntent, row: Any) -> OrderSeen:
        """A cancel's answer: the order as it ended, or only that it was canceled (a conditional one), or the pair's."""
        info = row.get("info") if isinstance(row, Mapping) else None
        if isinstance(info, Mapping) and isinstance(info.get("orderReports"), list):
            report = _reports_by_client_id(info)[intent.client_order_id]
            row = self._exchange.parse_order(report, self._exchange.market(intent.symbol))
        if not isinstance(row, Mapping):
            raise DataError("the answer to a cancel is no structure")
        if row.get("status") is None:
            row = {**row, "status": "canceled", "symbol": intent.symbol, "filled": row.get("filled") or 0.0}
        return order_seen(self._exchange, row, intent.client_order_id, self._time.now_ms())

    def _not_placed(self, intent: OrderIntent, error: Exception) -> VenueEvent:
        outcome = outcome_of(error, self._habits)
        if outcome.meaning in {Meaning.UNCERTAIN, Meaning.DUPLICATE}:
            return self._uncertain(intent, outcome.reason)
        return self._refused(intent, refusal_code(self._habits, intent, outcome), outcome.reason)

    def _refused(self, intent: OrderIntent, code: str, reason: str) -> OrderRefused:
        return OrderRefused(intent.client_order_id, intent.symbol, self._time.now_ms(), code, reason)

    def _uncertain(self, intent: OrderIntent, reason: str) -> OrderUncertain:
        return OrderUncertain(intent.client_order_id, intent.symbol, self._time.now_ms(), reason)

    # --- questions ----------------------------------------------------------------------------------------

    async def _answer(self, command: VenueCommand) -> list[VenueEvent]:
        if isinstance(command, LookUpOrder):
            return await self._reader.look_up(command.intent)
        if isinstance(command, ReadTrades):
            return [*await self._reader.trades(command.symbol, command.since_ms)]
        if isinstance(command, ReadState):
            if self._habits.sets_clock_often:
                await self._synchronise()
            return [await self._reader.state(command.since_ms)]
        raise EngineProtocolError(f"no such command: {command!r}")

    async def _synchronise(self) -> None:
        """Ask the exchange for its time."""
        asked_ns = self._clock.monotonic_ns()
        at_ms = await self._exchange.fetch_time()
        if not isinstance(at_ms, int):
            raise DataError(f"the exchange's time was answered with {at_ms!r}")
        self._time.synchronise(at_ms, self._clock.monotonic_ns() - asked_ns)

    # --- the user stream ----------------------------------------------------------------------------------

    def _read_message(self, message: Mapping[str, Any]) -> list[VenueEvent]:
        """What a message of the stream says; executions come before the state that they bring about."""
        now_ms = self._time.now_ms()
        events: list[VenueEvent] = []
        for rows in self._habits.read_messages(self._exchange, message):
            events += self._read_rows(rows, now_ms)
        return events

    def _read_rows(self, rows: UserRows, now_ms: int) -> list[VenueEvent]:
        events: list[VenueEvent] = []
        conditional = rows.conditional
        if conditional is not None:
            symbol = self._exchange.safe_market(conditional.market_id, None, None, "swap")["symbol"]
            self._owners.learn(symbol, conditional.order_id, conditional.client_order_id)
            seen = conditional_seen(self._exchange, conditional, symbol, now_ms)
            return [] if seen is None else [seen]
        for row in rows.orders:
            self._owners.learn(str(row.get("symbol")), str(row.get("id") or ""), client_id_of(row))
        for row in rows.trades:
            owner = self._owners.of(str(row.get("symbol")), str(row.get("order")))
            events.append(trade_seen(self._exchange, row, owner))
        for row in rows.orders:
            owner = self._owners.of(str(row.get("symbol")), str(row.get("id")))
            events.append(order_seen(self._exchange, row, owner, now_ms))
        return events


def _reports_by_client_id(reply: Any) -> dict[str, Mapping[str, Any]]:
    """The orders of a pair; a cancel's report has the order's own id under another name."""
    return {
        str(report.get("origClientOrderId") or report.get("clientOrderId")): report
        for report in reply["orderReports"]
    }
