"""One order's life on the exchange.

::

    phase       SEND  SEEN       FINAL    REFUSED  LOST       AGAIN    DROP  COMPLETE
    PLANNED     SENT  OPEN       CLOSING  -        -          -        DONE  -
    SENT        -     OPEN       CLOSING  DONE     UNCERTAIN  -        -     DONE
    UNCERTAIN   -     OPEN       CLOSING  DONE     UNCERTAIN  PLANNED  DONE  DONE
    OPEN        -     OPEN       CLOSING  -        -          -        DONE  DONE
    CLOSING     -     CLOSING    CLOSING  -        -          -        DONE  DONE
    DONE        -     -          -        -        -          -        -     -

PLANNED was surely not sent. SENT waits for the answer. UNCERTAIN may be on the exchange or not, and is looked up. OPEN is
known to be there. CLOSING will not trade any more, and its trades are not all known yet. SEEN is an open order or a trade
of it, FINAL the exchange's word that it is over, LOST an answer that says nothing, AGAIN and DROP what follows when it is
surely absent, COMPLETE that everything ordered was filled or every trade of a final order is known.

What the exchange says where the table has no entry is old news, and changes nothing: its words come twice and late. A
move of our own that it does not have raises EngineProtocolError.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from bot.core.entry import LIMIT_EXPIRED
from bot.core.orders import Leg, OrderIntent, OrderRecord
from bot.core.records import intent_from_json, intent_to_json, order_from_json, order_to_json
from bot.core.venue import VenueStatus
from bot.errors import EngineProtocolError


class Phase(str, Enum):
    """Where an order stands, as far as we know."""

    PLANNED = "planned"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    OPEN = "open"
    CLOSING = "closing"
    DONE = "done"


class Move(str, Enum):
    """What brings an order from one phase to another."""

    SEND = "send"
    SEEN = "seen"
    FINAL = "final"
    REFUSED = "refused"
    LOST = "lost"
    AGAIN = "again"
    DROP = "drop"
    COMPLETE = "complete"


_P, _M = Phase, Move
MOVES: Final[dict[tuple[Phase, Move], Phase]] = {
    (_P.PLANNED, _M.SEND): _P.SENT,
    **{(phase, _M.SEEN): _P.OPEN for phase in (_P.PLANNED, _P.SENT, _P.UNCERTAIN, _P.OPEN)},
    **{(phase, _M.FINAL): _P.CLOSING for phase in _P if phase is not _P.DONE},
    (_P.CLOSING, _M.SEEN): _P.CLOSING,
    (_P.SENT, _M.REFUSED): _P.DONE,
    (_P.UNCERTAIN, _M.REFUSED): _P.DONE,
    (_P.SENT, _M.LOST): _P.UNCERTAIN,
    (_P.UNCERTAIN, _M.LOST): _P.UNCERTAIN,
    (_P.UNCERTAIN, _M.AGAIN): _P.PLANNED,
    **{(phase, _M.DROP): _P.DONE for phase in (_P.PLANNED, _P.UNCERTAIN, _P.OPEN, _P.CLOSING)},
    **{
        (phase, _M.COMPLETE): _P.DONE
        for phase in (_P.SENT, _P.UNCERTAIN, _P.OPEN, _P.CLOSING)
    },
}  # fmt: skip
_OURS = frozenset({Move.SEND, Move.AGAIN, Move.DROP, Move.COMPLETE})
_DUST = 1e-12
PROTECTIVE_LEGS: Final = frozenset({Leg.STOP, Leg.TAKE_PROFIT})
CLOSING_LEGS: Final = frozenset({Leg.EXIT, Leg.FLATTEN})


class Asked(str, Enum):
    """Which request of an order is under way."""

    NOTHING = ""
    PLACE = "place"
    CANCEL = "cancel"
    LOOK_UP = "look_up"


@dataclass(slots=True)
class LiveOrder:
    """An order on its way, on the exchange, or lately over.

    Attributes:
        intent: What is asked for; of an order that only reduces no more than was held when it was sent.
        record: What the engine knows of it; None before it was told.
        phase: See the table.
        asked: The request under way.
        asked_ms: Since when.
        exchange_ids: The exchange's numbers of it; a conditional order and the market order that it became have two.
        filled: Sum of its trades that were booked.
        shown_filled: The most that the exchange has shown as filled.
        final: How it ended, by the exchange.
        words: The exchange's reason for that, or ours.
        code: Of a refusal.
        never_sure: Taken up after a crash: it may never have been sent.
        looks: How often it was looked up in this doubt.
        look_ms: When it is to be looked up next; None when there is no need.
        window_ms: When it counts as absent if it was not found by then; None outside of doubt.
        cancel_words: Why it is to be canceled; empty while it is wanted.
        cancels: How often a cancel was asked for.
        read_back: How often it was shown as open again, after it had been accepted and while it was looked up.
        twin_id: Of a pair that the exchange itself keeps: the other one.
        generation: Of a protective order: which replacement.
        done_ms: When it was over.
    """

    intent: OrderIntent
    record: OrderRecord | None = None
    phase: Phase = Phase.PLANNED
    asked: Asked = Asked.NOTHING
    asked_ms: int = 0
    exchange_ids: list[str] = field(default_factory=list)
    filled: float = 0.0
    shown_filled: float = 0.0
    final: VenueStatus | None = None
    words: str = ""
    code: str = ""
    never_sure: bool = False
    looks: int = 0
    look_ms: int | None = None
    window_ms: int | None = None
    cancel_words: str = ""
    cancels: int = 0
    read_back: int = 0
    twin_id: str = ""
    generation: int = 0
    done_ms: int = 0

    @property
    def id(self) -> str:
        """The client id."""
        return self.intent.client_order_id

    @property
    def is_live(self) -> bool:
        """Whether something may still come of it, or be learned of it."""
        return self.phase is not Phase.DONE

    @property
    def is_protective(self) -> bool:
        """Whether it is a stop or a target."""
        return self.intent.leg in PROTECTIVE_LEGS

    @property
    def is_exit(self) -> bool:
        """Whether it closes the position at once."""
        return self.intent.leg in CLOSING_LEGS

    @property
    def remaining(self) -> float:
        """Base units not filled yet."""
        return round(self.intent.quantity - self.filled, 12)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is in flight, uncertain or missing: it rests, or it is over."""
        if self.phase is Phase.OPEN:
            resting = self.asked is Asked.NOTHING and self.look_ms is None and not self.cancel_words
            return resting and not self.lacks_trades
        return self.phase is Phase.DONE

    @property
    def is_confirmed(self) -> bool:
        """Whether it rests on the exchange for sure: accepted, read back, and not about to be canceled."""
        return self.phase is Phase.OPEN and self.read_back > 0 and not self.cancel_words

    @property
    def lacks_trades(self) -> bool:
        """Whether the exchange has shown more filled than its trades add up to."""
        return self.shown_filled > self.filled * (1 + _DUST) + _DUST

    @property
    def is_filled(self) -> bool:
        """Whether all of it was traded."""
        return self.filled >= self.intent.quantity * (1 - _DUST)

    def move(self, move: Move) -> bool:
        """Take a step of the table; False where it has none, for the exchange's word was old news then.

        Raises:
            EngineProtocolError: A move of our own that the table does not have.
        """
        after = MOVES.get((self.phase, move))
        if after is None:
            if move in _OURS:
                raise EngineProtocolError(f"order {self.id} is {self.phase.value}: no {move.value}")
            return False
        self.phase = after
        return True

    def ask(self, what: Asked, now_ms: int) -> None:
        """A request goes out."""
        self.asked, self.asked_ms = what, now_ms
        if what is Asked.LOOK_UP:
            self.look_ms = None
            self.looks += 1
        elif what is Asked.CANCEL:
            self.cancels += 1

    def answered(self, *kinds: Asked) -> None:
        """The request under way, if it is one of these, has had its answer."""
        if self.asked in kinds:
            self.asked = Asked.NOTHING

    def doubt(self, now_ms: int, window_ms: int, wait_ms: int) -> None:
        """Look it up: first after ``wait_ms``, and for ``window_ms`` before it counts as absent."""
        self.looks = 0
        self.look_ms, self.window_ms = now_ms + wait_ms, now_ms + window_ms

    def believe(self) -> None:
        """It was found: no more doubt."""
        self.look_ms = self.window_ms = None
        self.looks = 0

    def want_cancel(self, words: str) -> None:
        """It is not wanted any more; the first reason stays, but for an expiry, after which it is not replaced either."""
        if self.cancel_words in {"", LIMIT_EXPIRED}:
            self.cancel_words = words


def live_order_to_json(order: LiveOrder) -> dict[str, Any]:
    """An order as JSON values, complete and exact."""
    row: dict[str, Any] = {name: getattr(order, name) for name in LiveOrder.__slots__}
    row["intent"] = intent_to_json(order.intent)
    row["record"] = None if order.record is None else order_to_json(order.record)
    row["phase"], row["asked"] = order.phase.value, order.asked.value
    row["final"] = None if order.final is None else order.final.value
    row["exchange_ids"] = list(order.exchange_ids)
    return row


def live_order_from_json(row: dict[str, Any]) -> LiveOrder:
    """The order that ``live_order_to_json`` wrote."""
    fields = dict(row)
    fields["intent"] = intent_from_json(row["intent"])
    fields["record"] = None if row["record"] is None else order_from_json(row["record"])
    fields["phase"], fields["asked"] = Phase(row["phase"]), Asked(row["asked"])
    fields["final"] = None if row["final"] is None else VenueStatus(row["final"])
    fields["exchange_ids"] = list(row["exchange_ids"])
    return LiveOrder(**fields)
