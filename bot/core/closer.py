"""From the updates of a stream to closed candles: each exactly once, with final values, in order.

Pure: no clock, no socket, no task. One ``CandleCloser`` serves one symbol. A minute is over as soon as an update
of a later minute is seen, or its own update carries the exchange's closed flag. Its values are final only when
flagged, or when REST has told them.

========================  =======================================  ============================================
What arrives              Where its minute stands                  What happens
========================  =======================================  ============================================
flagged closed            next after the last delivered            ``Closed`` (stream)
flagged closed            later: minutes between are unknown       held back; ``BackfillNeeded`` for those
flagged closed            held back already                        the newer values are held; REST's stay
flagged closed            delivered, other values, REST has not    ``Revised``, once for each distinct value
                          told it yet
flagged closed            delivered, REST has told it              nothing: REST's word stands
not flagged               newest                                   minutes before it that are not known to be
                                                                   final: ``BackfillNeeded``, at once
not flagged               over, held back or delivered             nothing
any, same values again    held back or delivered                   nothing
unsound (candle_fault)    any                                      ``Refused``; if flagged closed, the minute is
                                                                   over and unknown: ``BackfillNeeded``
history answer            before ``complete_until_ms``, unknown    ``Closed`` in order: ``successor`` where the
                                                                   last update had the same values, else ``rest``
history answer            held back                                REST's values replace the stream's
history answer            delivered, other than its values now     ``Revised``
history answer            minute not in it                         an outage: passed over, a gap remains
history answer            at or after ``complete_until_ms``        not looked at
history answer            ends before all that is unknown          ``BackfillNeeded`` for what is still unknown
========================  =======================================  ============================================

An exchange without flags (``closed=None``) is served by the same rows: its minutes always wait for REST.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from bot.core.market import MINUTE_MS, Candle, Symbol, candle_fault
from bot.errors import EngineProtocolError

MAX_HELD = 500
"""Candles held back while REST is silent; further ones are forgotten and asked for with the rest of the hole."""

MAX_REMEMBERED = 240
"""Delivered minutes whose values are kept, to tell a revision from a repetition."""

MAX_VALUES = 16
"""Distinct values remembered for one delivered minute."""

Source: TypeAlias = Literal["stream", "successor", "rest"]


class CandleUpdate(NamedTuple):
    """What a stream says about a minute, finished or not; a value that the message lacks is NaN.

    ``closed`` is the exchange's own flag, or None where the exchange sends none.
    """

    symbol: Symbol
    opened_at_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool | None


@dataclass(frozen=True, slots=True)
class Closed:
    """A candle to deliver: flagged by the stream, or told by REST (``successor`` if the last update agreed)."""

    candle: Candle
    source: Source


@dataclass(frozen=True, slots=True)
class Revised:
    """A delivered candle has other values now; it is not delivered again."""

    candle: Candle
    previous: Candle


@dataclass(frozen=True, slots=True)
class BackfillNeeded:
    """Fetch the minutes since_ms <= opened_at < until_ms over REST and answer with ``on_history``.

    A request starts at the first unknown minute, so a newer one includes what an older one still lacks.
    """

    since_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An unsound row, and the rule that it breaks."""

    update: CandleUpdate
    reason: str


CloserEvent: TypeAlias = Closed | Revised | BackfillNeeded | Refused


class CandleCloser:
    """Closes the candles of one symbol; see the table at the top of this module.

    Delivery starts after ``resume_after``, or without it at the minute of the first thing seen.
    """

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self._after_ms: int | None = None  # open time of the last delivered minute
        self._over_ms = 0  # every minute that opened before this is over
        self._told_ms = 0  # REST has told every minute that opened before this
        self._asked_ms = 0  # the end of the newest request
        self._held: dict[int, Closed] = {}
        self._partial: dict[int, Candle] = {}
        self._delivered: dict[int, list[Candle]] = {}  # all values of a minute, the present ones last
        self._confirmed: set[int] = set()  # delivered minutes that REST has told

    def resume_after(self, opened_at_ms: int) -> None:
        """Begin after this minute, which was delivered before a restart; EngineProtocolError once begun."""
        if self._after_ms is not None:
            raise EngineProtocolError(f"{self.symbol}: resume_after must come before the first update")
        self._after_ms = opened_at_ms

    def on_update(self, update: CandleUpdate, *, now_ms: int | None = None) -> list[CloserEvent]:
        """Take in one update from the stream.

        Args:
            update: What the stream said.
            now_ms: The exchange's time, if known: a minute that opens more than a minute after it is refused,
                since a wrong time would declare all minutes before it over.

        Returns:
            Candles to deliver, in order, and at most one request, last.

        Raises:
            EngineProtocolError: The update is of another symbol.
        """
        candle = Candle._make(update[:7])
        self._check_symbol(candle)
        fault = candle_fault(candle)
        at_ms = candle.opened_at_ms
        if now_ms is not None and at_ms > now_ms + MINUTE_MS:
            return [Refused(update, "ts is in the future")]
        if at_ms % MINUTE_MS:
            return [Refused(update, str(fault))]
        self._begin(at_ms)
        self._over_ms = max(self._over_ms, at_ms + MINUTE_MS if update.closed else at_ms)
        events: list[CloserEvent] = []
        if fault:
            events.append(Refused(update, fault))
        elif update.closed:
            events += self._on_final(candle)
        else:
            self._remember_partial(candle)
        return events + self._deliver() + self._ask()

    def on_history(self, candles: Sequence[Candle], complete_until_ms: int) -> list[CloserEvent]:
        """Take in REST's answer to a request.

        The answer must reach back to the request's ``since_ms``. Rows are final for opened_at_ms <
        complete_until_ms and a minute that is not among them is an outage, so ``complete_until_ms`` must not
        be later than what the exchange had finished when it answered: the open time of the newest row is a
        safe choice, the end of the request is not while REST may lag behind the stream. When the answer
        leaves minutes unknown the rest is asked for again at once; the caller chooses the pace. A time within
        a minute counts as that minute's start, as the minute cannot be finished.

        Raises:
            EngineProtocolError: A row is of another symbol.
        """
        complete_until_ms -= complete_until_ms % MINUTE_MS
        events: list[CloserEvent] = []
        for candle in sorted(candles, key=lambda row: row.opened_at_ms):
            self._check_symbol(candle)
            fault = candle_fault(candle)
            if fault:
                events.append(Refused(CandleUpdate(*candle, closed=True), fault))
            elif candle.opened_at_ms < complete_until_ms:
                events += self._on_told(candle)
        if self._after_ms is not None:
            self._told_ms = max(self._told_ms, complete_until_ms)
            self._over_ms = max(self._over_ms, complete_until_ms)
        self._asked_ms = complete_until_ms
        return events + self._deliver() + self._ask()

    def missing(self) -> BackfillNeeded | None:
        """What is over and still unknown, or None; for asking again after a request was lost."""
        if self._after_ms is None:
            return None
        since_ms, until_ms = self._first_unknown_ms(self._after_ms), self._over_ms
        while until_ms > since_ms and until_ms - MINUTE_MS in self._held:
            until_ms -= MINUTE_MS
        return BackfillNeeded(since_ms, until_ms) if since_ms < until_ms else None

    def _check_symbol(self, candle: Candle) -> None:
        if candle.symbol != self.symbol:
            raise EngineProtocolError(f"the closer of {self.symbol} was given a row of {candle.symbol}")

    def _begin(self, opened_at_ms: int) -> None:
        """Start at the first minute seen, unless told where."""
        if self._after_ms is None:
            self._after_ms = opened_at_ms - MINUTE_MS

    def _on_final(self, candle: Candle) -> list[CloserEvent]:
        """A flagged candle: hold it for delivery, or compare it with what was delivered."""
        at_ms = candle.opened_at_ms
        if self._is_past(at_ms):
            return self._revise(candle, by_rest=False)
        held = self._held.get(at_ms)
        if (held is None and len(self._held) < MAX_HELD) or (held is not None and held.source == "stream"):
            self._held[at_ms] = Closed(candle, "stream")
        return []

    def _on_told(self, candle: Candle) -> list[CloserEvent]:
        """A final row of REST: it outranks what the stream said."""
        at_ms = candle.opened_at_ms
        self._begin(at_ms)
        if self._is_past(at_ms):
            return self._revise(candle, by_rest=True)
        held = self._held.get(at_ms)
        if held is None or held.candle != candle:
            agrees = self._partial.get(at_ms) == candle
            self._held[at_ms] = Closed(candle, "successor" if agrees else "rest")
        self._confirmed.add(at_ms)
        return []

    def _is_past(self, opened_at_ms: int) -> bool:
        return self._after_ms is not None and opened_at_ms <= self._after_ms

    def _revise(self, candle: Candle, *, by_rest: bool) -> list[CloserEvent]:
        """Report a delivered minute's new values; a minute long past is left alone.

        A flagged row may be a repetition of values that were corrected since, so the stream is believed only
        where it brings values never seen, and not against REST.
        """
        at_ms = candle.opened_at_ms
        values = self._delivered.get(at_ms)
        if values is None or (not by_rest and (at_ms in self._confirmed or candle in values)):
            return []
        if by_rest:
            self._confirmed.add(at_ms)
        if candle == values[-1]:
            return []
        values.append(candle)
        if len(values) > MAX_VALUES:
            del values[0]
        return [Revised(candle, values[-2])]

    def _remember_partial(self, candle: Candle) -> None:
        """Keep the last values of the newest minutes, to tell whether REST confirms them."""
        if not self._is_past(candle.opened_at_ms):
            self._partial[candle.opened_at_ms] = candle
            if len(self._partial) > MAX_HELD:
                del self._partial[min(self._partial)]

    def _first_unknown_ms(self, after_ms: int) -> int:
        """The first minute of which neither the stream nor REST has told the end."""
        return max(after_ms + MINUTE_MS, self._told_ms)

    def _deliver(self) -> list[CloserEvent]:
        """Release held candles up to the first unknown minute."""
        events: list[CloserEvent] = []
        if self._after_ms is None:
            return events
        for at_ms in sorted(self._held):
            if at_ms > self._first_unknown_ms(self._after_ms):
                break
            closed = self._held.pop(at_ms)
            self._after_ms = at_ms
            self._delivered[at_ms] = [closed.candle]
            events.append(closed)
        if events:
            self._forget()
        return events

    def _forget(self) -> None:
        """Drop what is older than the memory is long."""
        for at_ms in list(self._delivered)[:-MAX_REMEMBERED]:
            del self._delivered[at_ms]
            self._confirmed.discard(at_ms)
        for at_ms in [at_ms for at_ms in self._partial if self._is_past(at_ms)]:
            del self._partial[at_ms]

    def _ask(self) -> list[CloserEvent]:
        """Ask for what is unknown, unless the newest request reaches as far."""
        needed = self.missing()
        if needed is None or needed.until_ms <= self._asked_ms:
            return []
        self._asked_ms = needed.until_ms
        return [needed]
