"""backtrader as it comes: the pandas feed, the default observers, ``next`` on every bar, bracket orders.

A bracket's children wake on the bar after the entry, so a stop or target that the entry's own bar reaches is missed there.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd

from bench.peer_process import Outcome, Runner, serve
from bench.peer_tape import TICK_DIGITS, PeerTape


class Feed(bt.feeds.PandasData):  # type: ignore[misc]  # backtrader ships no types
    """Candles with a forecast beside them."""

    lines = ("forecast",)
    params = (("forecast", "forecast"),)


class Threshold(bt.Strategy):  # type: ignore[misc]
    """The strategy of ``bench.peer_tape``."""

    params = (("rules", None),)

    def __init__(self) -> None:
        self.trade_count = 0
        self.bracket: list[Any] = []

    def notify_trade(self, trade: Any) -> None:
        """Count round trips."""
        self.trade_count += trade.isclosed

    def next(self) -> None:
        """Decide on the bar that closed."""
        rules, forecast, held = self.p.rules, self.data.forecast[0], self.position.size
        if held:
            if (forecast if held > 0 else -forecast) < -rules.threshold:
                self.cancel(self.bracket[1])
                self.close()
        elif abs(forecast) > rules.threshold:
            close = self.data.close[0]
            sign, enter = (1, self.buy_bracket) if forecast > 0 else (-1, self.sell_bracket)
            self.bracket = enter(
                size=int(self.broker.getvalue() * rules.share / close),
                exectype=bt.Order.Market,
                stopprice=round(close * (1 - sign * rules.stop), TICK_DIGITS),
                limitprice=round(close * (1 + sign * rules.target), TICK_DIGITS),
            )


def prepare(tape: PeerTape) -> Runner:
    """The frame is made before; reading it is backtrader's, and timed."""
    columns = {name: getattr(tape, name) for name in ("open", "high", "low", "close", "volume", "forecast")}
    frame = pd.DataFrame(columns, index=pd.to_datetime(tape.ts, unit="ms"))

    def run() -> Any:
        cerebro = bt.Cerebro()
        cerebro.adddata(Feed(dataname=frame))
        cerebro.addstrategy(Threshold, rules=tape.rules)
        cerebro.broker.setcash(tape.rules.cash)
        cerebro.broker.setcommission(commission=tape.rules.fee)
        return cerebro, cerebro.run()[0]

    def outcome(found: Any) -> Outcome:
        cerebro, strategy = found
        return Outcome(strategy.trade_count, cerebro.broker.getvalue())

    return Runner(run, outcome, bt.__version__)


if __name__ == "__main__":
    serve(prepare)
