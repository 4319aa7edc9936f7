"""``bot run`` with a notebook: ``python -m bench.probe OUT BATCHES run …``.

OUT tells when each minute's candles arrived and when they were decided and committed; after BATCHES minutes the
daemon is stopped. It is the daemon as it is: real command line, sockets, journal and log. What is noted is noted
after the measured span has ended, but for a clock's reading and the count of a candle (below 1 µs each).
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.cli import main
from bot.daemon.batching import Batch
from bot.daemon.loop import TradingLoop
from bot.ports import CandleClosed, FeedEvent


@dataclass(slots=True)
class Notebook:
    """What a run showed.

    Attributes:
        wanted: Minutes after which the daemon is stopped.
        batches: Of each minute: open time (ms), candles, then in ns: first and last arrival, when the loop began
            with it, when it was committed.
        candles: How often each candle was delivered, by symbol and open time.
        sources: How the candles came.
    """

    wanted: int
    batches: list[list[int]] = field(default_factory=list)
    candles: Counter[tuple[str, int]] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)

    def note(self, loop: TradingLoop, batch: Batch, began_ns: int) -> None:
        """A minute was committed; one that REST completed has no latency of the stream and is left out."""
        arrived = [arrival.received_at_ns for arrival in batch.arrivals]
        last = max(batch.arrivals, key=lambda arrival: arrival.received_at_ns)
        if last.source == "stream":
            committed = last.received_at_ns + loop.latencies_ns[-1]
            row = [batch.opened_at_ms, len(arrived), min(arrived), last.received_at_ns, began_ns, committed]
            self.batches.append(row)
        if loop.batch_count >= self.wanted:
            signal.raise_signal(signal.SIGTERM)

    def count(self, event: FeedEvent) -> None:
        """A candle was delivered."""
        if isinstance(event, CandleClosed):
            self.candles[event.candle.symbol, event.candle.opened_at_ms] += 1
            self.sources[event.source] += 1

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        candles = [[*key, times] for key, times in self.candles.items()]
        return {"batches": self.batches, "candles": candles, "sources": dict(self.sources)}


def attach(notebook: Notebook) -> None:
    """Make every loop of this process tell the notebook."""
    process, take = TradingLoop.process, TradingLoop._take  # noqa: SLF001 - the daemon is measured as it is

    def processing(self: TradingLoop, batch: Batch) -> None:
        began_ns = time.perf_counter_ns()
        process(self, batch)
        notebook.note(self, batch, began_ns)

    def taking(self: TradingLoop, event: FeedEvent) -> None:
        notebook.count(event)
        take(self, event)

    TradingLoop.process = processing  # type: ignore[method-assign]
    TradingLoop._take = taking  # type: ignore[method-assign]  # noqa: SLF001


def run(out: Path, batches: int, words: list[str]) -> int:
    """Run the daemon and write the notebook; returns the daemon's exit code."""
    notebook = Notebook(batches)
    attach(notebook)
    code = main(words)
    out.write_text(json.dumps(notebook.to_json()))
    return code


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
