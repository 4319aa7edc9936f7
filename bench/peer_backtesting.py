"""backtesting.py as it comes, its statistics included."""

from __future__ import annotations

import warnings
from typing import Any

import backtesting
import pandas as pd

from bench.peer_process import Outcome, Runner, serve
from bench.peer_tape import TICK_DIGITS, PeerTape


class Threshold(backtesting.Strategy):  # type: ignore[misc]
    """The strategy of ``bench.peer_tape``."""

    rules: Any = None

    def init(self) -> None:
        """No indicator is needed."""

    def next(self) -> None:
        """Decide on the bar that closed."""
        rules, forecast = self.rules, self.data.Forecast[-1]
        if self.position:
            if (forecast if self.position.is_long else -forecast) < -rules.threshold:
                for trade in self.trades:
                    # Its orders would come before the exit, which is at the open.
                    trade.sl = trade.tp = None
                self.position.close()
        elif abs(forecast) > rules.threshold:
            close = self.data.Close[-1]
            sign, enter = (1, self.buy) if forecast > 0 else (-1, self.sell)
            enter(
                size=int(self.equity * rules.share / close),
                sl=round(close * (1 - sign * rules.stop), TICK_DIGITS),
                tp=round(close * (1 + sign * rules.target), TICK_DIGITS),
            )


def prepare(tape: PeerTape) -> Runner:
    """The frame is made before."""
    names = ("open", "high", "low", "close", "volume", "forecast")
    columns = {name.capitalize(): getattr(tape, name) for name in names}
    frame = pd.DataFrame(columns, index=pd.to_datetime(tape.ts, unit="ms"))
    Threshold.rules = tape.rules
    warnings.simplefilter("ignore")
    # Its bar of progress is for people.
    backtesting.backtesting._tqdm = lambda rows, **_: rows  # noqa: SLF001

    def run() -> Any:
        made = backtesting.Backtest(frame, Threshold, cash=tape.rules.cash, commission=tape.rules.fee)
        return made.run()

    def outcome(found: Any) -> Outcome:
        closed = found["_trades"]
        return Outcome(len(closed), float(found["Equity Final [$]"]))

    return Runner(run, outcome, backtesting.__version__)


if __name__ == "__main__":
    serve(prepare)
