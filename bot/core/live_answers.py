"""What the exchange's words mean for an order.

They come late, twice and in any order: what the table of ``bot.core.live_order`` does not have is old news.
"""

from __future__ import annotations

from bot.core.execution_rules import ExecutionRules
from bot.core.live_endings import ABSENT, Endings
from bot.core.live_ledger import LiveLedger
from bot.core.live_order import Asked, LiveOrder, Move, Phase
from bot.core.orders import Leg, OrderIntent, OrderType
from bot.core.venue import (
    CancelOrder,
    CancelRefused,
    LookUpOrder,
    OrderAbsent,
    OrderRefused,
    OrderSeen,
    OrderUncertain,
    PlaceOrder,
    PlacePair,
    VenueCommand,
    VenueStatus,
)

_DUPLICATE_CODES = frozenset({"-4116", "51016", "110072"})


def is_duplicate(code: str, reason: str) -> bool:
    """Whether a refusal says that the exchange has an order of this client id already (Binance, OKX, Bybit)."""
    return code in _DUPLICATE_CODES or "duplicate" in reason.lower()


class Answers:
    """Takes in what is said of orders.

    Args:
        ledger: The orders.
        endings: Ends them.
        rules: Bounds in time.
    """

    def __init__(self, ledger: LiveLedger, endings: Endings, rules: ExecutionRules) -> None:
        self._ledger = ledger
        self._endings = endings
        self._rules = rules

    def on_seen(self, seen: OrderSeen, now_ms: int) -> bool:
        """The exchange shows an order; False where it is none of ours."""
        order = self._ledger.find(seen.symbol, seen.client_order_id, seen.exchange_id)
        if order is None:
            return False
        if seen.exchange_id and seen.exchange_id not in order.exchange_ids:
            order.exchange_ids.append(seen.exchange_id)
        if not order.is_live:
            self._came_back(order, seen, now_ms)
            return True
        whole = seen.status is VenueStatus.FILLED and seen.filled_quantity == 0.0
        shown = order.intent.quantity if whole else seen.filled_quantity
        order.shown_filled = max(order.shown_filled, shown)
        if seen.status is VenueStatus.OPEN:
            self._seen_open(order, seen.at_ms, now_ms)
        else:
            self._resolved(order, now_ms)
            order.move(Move.FINAL)
            if order.final is None:
                order.final, order.words = seen.status, seen.reason
            order.answered(*Asked)
            order.believe()
        return True

    def _seen_open(self, order: LiveOrder, at_ms: int, now_ms: int) -> None:
        first = order.phase in {Phase.PLANNED, Phase.SENT, Phase.UNCERTAIN}
        looked_up = order.asked is Asked.LOOK_UP
        self._resolved(order, now_ms)
        order.move(Move.SEEN)
        order.answered(Asked.PLACE, Asked.LOOK_UP)
        if order.phase is not Phase.OPEN:
            return
        if first:
            self._ledger.tell_accepted(order, at_ms)
        order.read_back += looked_up
        looks = order.looks
        if first or looked_up:
            order.believe()
        if order.intent.type is OrderType.MARKET:  # is done at once, or soon
            order.looks = looks
            order.look_ms = order.look_ms or now_ms + self._rules.backoff_ms(looks)
        elif order.intent.leg is Leg.STOP and not order.read_back:
            order.look_ms = now_ms

    def _resolved(self, order: LiveOrder, now_ms: int) -> None:
        if order.phase is Phase.UNCERTAIN:
            seconds = (
                0.0
                if order.window_ms is None
                else (now_ms - order.window_ms) / 1000 + self._rules.lookup_seconds
            )
            self._ledger.alarm(
                "order.resolved",
                symbol=order.intent.symbol,
                client_order_id=order.id,
                after_seconds=round(max(seconds, 0.0), 3),
                looks=order.looks,
            )

    def _came_back(self, order: LiveOrder, seen: OrderSeen, now_ms: int) -> None:
        """An order that counted as absent, and is there: it is not wanted, and a person must know."""
        if seen.status is VenueStatus.OPEN and order.words == ABSENT:
            self.revive(order, seen, now_ms, halt=True)

    def revive(self, order: LiveOrder, seen: OrderSeen, now_ms: int, *, halt: bool) -> None:
        """An order that is over by our count rests on the exchange, for sure: cancel it."""
        revived = LiveOrder(order.intent, phase=Phase.OPEN, exchange_ids=list(order.exchange_ids))
        revived.filled, revived.shown_filled = order.filled, max(seen.filled_quantity, order.filled)
        revived.asked_ms = now_ms
        revived.want_cancel("it came back")
        self._ledger.orders[order.id] = revived
        self._ledger.alarm("order.came_back", halt=halt, symbol=order.intent.symbol, client_order_id=order.id)

    def on_refused(self, refused: OrderRefused, now_ms: int) -> None:
        """It was surely not taken; unless that is since it was taken before."""
        order = self._ledger.find(refused.symbol, refused.client_order_id, "")
        if order is None or not order.is_live:
            return
        if is_duplicate(refused.code, refused.reason):
            self.lost(order, refused.reason, refused.at_ms, now_ms)
            return
        for one in self._of_one_request(order):
            if one.move(Move.REFUSED):
                one.code, one.words = refused.code, refused.reason
                one.answered(*Asked)
                one.believe()
                self._endings.over(one, refused.at_ms, now_ms, rejected=True)

    def on_uncertain(self, uncertain: OrderUncertain, now_ms: int) -> None:
        """A request had no answer that says what came of it."""
        order = self._ledger.find(uncertain.symbol, uncertain.client_order_id, "")
        if order is None or not order.is_live:
            return
        if order.asked is Asked.CANCEL:
            order.answered(Asked.CANCEL)
            order.look_ms = now_ms + self._rules.backoff_ms(0)
        for one in self._of_one_request(order):
            self.lost(one, uncertain.reason, uncertain.at_ms, now_ms)

    def _of_one_request(self, order: LiveOrder) -> list[LiveOrder]:
        """The order, and the other of its pair where both wait for the same answer."""
        twin = self._ledger.orders.get(order.twin_id)
        both = twin is not None and twin.phase is Phase.SENT and order.phase is Phase.SENT
        return [order, twin] if both and twin is not None else [order]

    def lost(self, order: LiveOrder, reason: str, at_ms: int, now_ms: int) -> None:
        """The answer to its placing says nothing: look it up."""
        if order.phase is not Phase.SENT or not order.move(Move.LOST):
            return
        order.answered(Asked.PLACE)
        order.doubt(now_ms, self._rules.lookup_ms, self._rules.backoff_ms(0))
        self._ledger.tell_unknown(order, at_ms, reason)
        self._ledger.alarm(
            "order.uncertain", symbol=order.intent.symbol, client_order_id=order.id, reason=reason
        )

    def on_absent(self, absent: OrderAbsent, now_ms: int) -> None:
        """Looked up and not found: that counts once it was looked for long enough."""
        order = self._ledger.find(absent.symbol, absent.client_order_id, "")
        if order is None or order.asked is not Asked.LOOK_UP:
            return
        asked_ms = order.asked_ms
        order.answered(Asked.LOOK_UP)
        if order.phase not in {Phase.UNCERTAIN, Phase.OPEN}:
            return
        if order.window_ms is None:
            order.window_ms = now_ms + self._rules.lookup_ms
        # A stop that is sent again under its id is refused where the first one is there after all, and can only reduce:
        # that is better than a position that waits for it without one.
        hurried = order.is_protective and order.phase is Phase.UNCERTAIN
        if asked_ms < order.window_ms and not hurried:
            order.look_ms = now_ms + self._rules.backoff_ms(order.looks)
        elif order.phase is Phase.UNCERTAIN:
            self._gone(order, absent.at_ms, now_ms)
        else:
            self._tell_absent(order, "ended", halt=False)
            order.final, order.words = VenueStatus.CANCELED, ABSENT
            order.move(Move.FINAL)
            order.believe()

    def on_cancel_refused(self, refused: CancelRefused, now_ms: int) -> None:
        """Mostly it is not open any more: look it up."""
        order = self._ledger.find(refused.symbol, refused.client_order_id, "")
        if order is None or not order.is_live:
            return
        order.answered(Asked.CANCEL)
        if order.phase is Phase.OPEN:
            order.look_ms = now_ms + (self._rules.backoff_ms(order.cancels) if order.cancels > 1 else 0)

    def on_failed(self, command: VenueCommand, reason: str, at_ms: int, now_ms: int) -> None:
        """A request had no answer; a look-up is made again, anything else is as uncertain as ever."""
        if isinstance(command, PlacePair):
            intents: tuple[OrderIntent, ...] = (command.stop, command.target)
        elif isinstance(command, PlaceOrder | CancelOrder | LookUpOrder):
            intents = (command.intent,)
        else:
            return
        for intent in intents:
            order = self._ledger.orders.get(intent.client_order_id)
            if order is None or not order.is_live:
                continue
            if not isinstance(command, LookUpOrder):
                self.on_uncertain(OrderUncertain(order.id, intent.symbol, at_ms, reason), now_ms)
            elif order.asked is Asked.LOOK_UP:
                order.answered(Asked.LOOK_UP)
                order.look_ms = now_ms + self._rules.backoff_ms(order.looks)

    def _gone(self, order: LiveOrder, at_ms: int, now_ms: int) -> None:
        """It is surely not on the exchange: send it (again), or let it be."""
        order.believe()
        held = self._ledger.held(order.intent.symbol)
        useful = held * order.intent.side.sign < 0 if order.intent.reduce_only else order.never_sure
        if useful and not order.cancel_words:
            self._tell_absent(order, "sent", halt=False)
            order.never_sure = False
            order.move(Move.AGAIN)
        else:
            self._tell_absent(order, "dropped", halt=False)
            self._endings.drop(order, order.cancel_words or ABSENT, at_ms, now_ms)

    def _tell_absent(self, order: LiveOrder, then: str, *, halt: bool) -> None:
        self._ledger.alarm(
            "order.absent", halt=halt, symbol=order.intent.symbol, client_order_id=order.id, then=then
        )
