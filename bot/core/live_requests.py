"""Which request each order needs next.

Never two requests of one order at a time; nothing is sent again before the order was looked for longer than the exchange
would still take the first request.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core.entry import LIMIT_EXPIRED
from bot.core.execution_rules import ExecutionRules
from bot.core.live_answers import Answers
from bot.core.live_endings import Endings
from bot.core.live_ledger import LiveLedger
from bot.core.live_order import Asked, LiveOrder, Move, Phase
from bot.core.market import InstrumentKind, Symbol
from bot.core.orders import Leg
from bot.core.venue import CancelOrder, LookUpOrder, PlaceOrder, PlacePair, ReadTrades, VenueCommand

TOO_OLD = "too old to be sent"
EXPIRY_GRACE_MS = 10_000
"""The decision on the candle that closes at its expiry ends a limit order, as on paper; where none comes, this does."""

_MANY_CANCELS = 5
_MANY_READS = 12


class Requests:
    """Sends, looks up and cancels.

    Args:
        ledger: The orders.
        answers: Takes in that there was none.
        endings: Ends orders that are not sent.
        rules: Bounds in time.

    Attributes:
        commands: To be performed, in order.
    """

    def __init__(self, ledger: LiveLedger, answers: Answers, endings: Endings, rules: ExecutionRules) -> None:
        self._ledger = ledger
        self._answers = answers
        self._endings = endings
        self._rules = rules
        self.commands: list[VenueCommand] = []
        self._reads: dict[Symbol, tuple[int, int]] = {}

    @property
    def is_reading(self) -> bool:
        """Whether trades are missing."""
        return bool(self._reads)

    def work(self, exchange_ms: int, now_ms: int) -> bool:
        """Ask for what is due; True where an order was dropped, which may let another go."""
        dropped = False
        for order in list(self._ledger.orders.values()):
            if order.is_live:
                dropped |= self._work(order, exchange_ms, now_ms)
        self._read_trades(now_ms)
        return dropped

    def _work(self, order: LiveOrder, exchange_ms: int, now_ms: int) -> bool:
        if order.asked is not Asked.NOTHING:
            self._overdue(order, exchange_ms, now_ms)
            return False
        if order.phase is Phase.PLANNED:
            return self._place(order, exchange_ms, now_ms)
        if order.look_ms is not None:
            if now_ms >= order.look_ms and order.phase in {Phase.UNCERTAIN, Phase.OPEN}:
                order.ask(Asked.LOOK_UP, now_ms)
                self.commands.append(LookUpOrder(order.intent))
            return False
        expires_ms = order.intent.expires_at_ms
        if expires_ms is not None and max(exchange_ms, now_ms) >= expires_ms + EXPIRY_GRACE_MS:
            order.want_cancel(LIMIT_EXPIRED)
        if order.phase is Phase.OPEN and order.cancel_words and not self._goes_with_twin(order):
            self._cancel(order, now_ms)
        return False

    def _overdue(self, order: LiveOrder, exchange_ms: int, now_ms: int) -> None:
        """A request that nothing at all was heard of."""
        if now_ms - order.asked_ms < self._rules.answer_seconds * 1000:
            return
        if order.asked is Asked.PLACE:
            self._answers.lost(order, "no answer at all", exchange_ms, now_ms)
        order.answered(*Asked)
        if order.phase is Phase.OPEN or (order.phase is Phase.UNCERTAIN and order.look_ms is None):
            order.look_ms = now_ms

    def _goes_with_twin(self, order: LiveOrder) -> bool:
        """Of a pair the exchange cancels both when one is canceled: the stop is asked for."""
        twin = self._ledger.orders.get(order.twin_id)
        return (
            order.intent.leg is Leg.TAKE_PROFIT
            and twin is not None
            and twin.is_live
            and bool(twin.cancel_words)
        )

    def _cancel(self, order: LiveOrder, now_ms: int) -> None:
        order.ask(Asked.CANCEL, now_ms)
        self.commands.append(CancelOrder(order.intent))
        if order.cancels == _MANY_CANCELS:
            self._ledger.alarm("order.cancel_failing", symbol=order.intent.symbol, client_order_id=order.id)

    def _place(self, order: LiveOrder, exchange_ms: int, now_ms: int) -> bool:
        reason = self._why_not(order, exchange_ms, now_ms)
        if reason is not None:
            self._endings.drop(order, reason, exchange_ms, now_ms, rejected=order.is_exit)
            return True
        if self._must_wait(order):
            return False
        held = abs(self._ledger.held(order.intent.symbol))
        if order.intent.reduce_only and order.intent.quantity > held and order.filled == 0.0:
            order.intent = replace(order.intent, quantity=held)
        order.move(Move.SEND)
        order.ask(Asked.PLACE, now_ms)
        twin = self._ledger.orders.get(order.twin_id)
        if twin is not None and twin.phase is Phase.PLANNED:
            twin.move(Move.SEND)
            twin.ask(Asked.PLACE, now_ms)
            stop, target = (order, twin) if order.intent.leg is Leg.STOP else (twin, order)
            self.commands.append(PlacePair(stop.intent, target.intent))
        else:
            self.commands.append(PlaceOrder(order.intent))
        return False

    def _why_not(self, order: LiveOrder, exchange_ms: int, now_ms: int) -> str | None:
        """Why an order that was not sent is not to be sent any more."""
        intent = order.intent
        held = self._ledger.held(intent.symbol)
        if order.cancel_words:
            return order.cancel_words
        if intent.reduce_only:
            return None if held * intent.side.sign < 0 else "nothing to reduce"
        if held != 0.0:
            return "a position is held"
        time_ms = max(exchange_ms, now_ms)
        if intent.expires_at_ms is not None and time_ms >= intent.expires_at_ms:
            return LIMIT_EXPIRED
        age_ms = time_ms - intent.decided_at_ms
        return TOO_OLD if age_ms > self._rules.entry_max_age_seconds * 1000 else None

    def _must_wait(self, order: LiveOrder) -> bool:
        """Entries wait until nothing of the symbol is left; on spot an exit waits until the coins are free."""
        others = [one for one in self._ledger.live(order.intent.symbol) if one is not order]
        if not order.intent.reduce_only:
            return bool(others)
        if order.is_protective:
            twin = self._ledger.orders.get(order.twin_id)
            return twin is not None and twin.phase in {Phase.SENT, Phase.UNCERTAIN}
        spot = self._ledger.instruments[order.intent.symbol].kind is InstrumentKind.SPOT
        return spot and any(one.is_protective for one in others)

    def _read_trades(self, now_ms: int) -> None:
        """Ask for trades that the exchange's count says there are."""
        lacking = {
            one.intent.symbol for one in self._ledger.orders.values() if one.is_live and one.lacks_trades
        }
        self._reads = {symbol: read for symbol, read in self._reads.items() if symbol in lacking}
        for symbol in sorted(lacking):
            tries, next_ms = self._reads.get(symbol, (0, now_ms))
            if now_ms < next_ms:
                continue
            self._reads[symbol] = (tries + 1, now_ms + self._rules.backoff_ms(tries))
            self.commands.append(ReadTrades(symbol, self._ledger.floors.get(symbol, 0)))
            if tries == _MANY_READS:
                self._ledger.alarm("order.trades_missing", halt=True, symbol=symbol)

    def wake_ms(self) -> int | None:
        """When the next request is due."""
        answer_ms = int(self._rules.answer_seconds * 1000)
        times = [next_ms for _, next_ms in self._reads.values()]
        for order in self._ledger.orders.values():
            if not order.is_live:
                continue
            if order.asked is not Asked.NOTHING:
                times.append(order.asked_ms + answer_ms)
            elif order.look_ms is not None:
                times.append(order.look_ms)
            elif order.intent.expires_at_ms is not None and not order.cancel_words:
                times.append(order.intent.expires_at_ms + EXPIRY_GRACE_MS)
        return min(times, default=None)
