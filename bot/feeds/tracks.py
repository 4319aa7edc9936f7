"""What a feed knows of each of its symbols."""

from __future__ import annotations

from bot.core.closer import CandleCloser
from bot.core.market import MINUTE_MS, Symbol


class SymbolTrack:
    """One symbol: its closer, and how far stream and REST have come.

    Attributes:
        closer: Turns updates into closed candles.
        next_ms: The minute after the last one delivered; None before the first thing seen.
        told_ms: REST has told every minute that opened before this.
        seen_ms: Open time of the newest bar that the stream showed; 0 before the first.
        heard_ns: Local count at the last message.
        retry_at_ns: A lateness is not asked after before this local count.
    """

    __slots__ = ("closer", "heard_ns", "next_ms", "retry_at_ns", "seen_ms", "symbol", "told_ms")

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self.closer = CandleCloser(symbol)
        self.next_ms: int | None = None
        self.told_ms = 0
        self.seen_ms = 0
        self.heard_ns = 0
        self.retry_at_ns = 0

    def start_from(self, last_opened_at_ms: int) -> None:
        """Begin after this minute; EngineProtocolError once begun."""
        self.closer.resume_after(last_opened_at_ms)
        self.next_ms = last_opened_at_ms + MINUTE_MS

    @property
    def unknown_ms(self) -> int | None:
        """The first minute that was neither delivered nor told; None before the first thing seen."""
        return None if self.next_ms is None else max(self.next_ms, self.told_ms)
