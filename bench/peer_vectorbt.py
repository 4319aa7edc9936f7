"""vectorbt's ``from_signals`` with stops, compiled before it is timed.

In one bar it does one thing: a stop that is reached comes before an exit at the open, and the bar of the entry has no stop
at all. A size can't depend on the equity: it is a share of the cash at the start.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt

from bench.peer_process import Outcome, Runner, serve
from bench.peer_tape import PeerTape


def prepare(tape: PeerTape) -> Runner:
    """Signals are decided on a close and traded at the next open; making them is timed, as ours is."""
    rules = tape.rules
    index = pd.to_datetime(tape.ts, unit="ms")
    opened, high, low, close = (
        pd.Series(column, index=index) for column in (tape.open, tape.high, tape.low, tape.close)
    )

    def run() -> Any:
        before = np.concatenate([[0.0], tape.forecast[:-1]])
        size = np.floor(rules.cash * rules.share / np.concatenate([tape.open[:1], tape.close[:-1]]))
        return vbt.Portfolio.from_signals(
            close,
            entries=before > rules.threshold,
            short_entries=before < -rules.threshold,
            price=opened,
            open=opened,
            high=high,
            low=low,
            size=size,
            size_type="amount",
            fees=rules.fee,
            sl_stop=rules.stop,
            tp_stop=rules.target,
            stop_entry_price="fillprice",
            stop_exit_price="stoplimit",
            upon_opposite_entry="close",
            init_cash=rules.cash,
        )

    began = time.perf_counter()
    run()
    compile_seconds = time.perf_counter() - began

    def outcome(found: Any) -> Outcome:
        return Outcome(int(found.trades.closed.count()), float(found.final_value()))

    return Runner(run, outcome, vbt.__version__, compile_seconds)


if __name__ == "__main__":
    serve(prepare)
