"""Where bars come from: a contract that tapes and the synthetic market keep."""

from __future__ import annotations

from typing import Any, Protocol

from models.candle_arrays import CandleArrays


class BarSource(Protocol):
    """Closed one-minute bars of several symbols; symbols are the exchange's ids (``BTCUSDT``), sorted."""

    symbols: tuple[str, ...]
    start_ms: int
    end_ms: int | None

    def between(self, symbol: str, since_ms: int, until_ms: int) -> CandleArrays:
        """The bars with since_ms <= ts < until_ms that there are, however late: the future is not hidden here."""

    def next_minute(self, at_ms: int) -> int | None:
        """The first minute at or after ``at_ms`` in which any symbol has a bar; None after the last."""

    def describe(self) -> dict[str, Any]:
        """What this is, for ``GET /sim/market``, as JSON values; ``fingerprint`` tells two sources apart."""
