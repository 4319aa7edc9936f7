"""The trader of ``tests.agreement`` in other people's backtesters, each in its own words."""

from __future__ import annotations

import contextlib
import warnings
from array import array
from typing import Any

import numpy as np

from tests.agreement import NEEDED, RoundTrip, Trader

# --- backtrader's own broker --------------------------------------------------------------------------------


def backtrader_trades(trader: Trader) -> list[RoundTrip]:  # noqa: C901 - the peer is two classes in one piece
    """A plain Cerebro with BackBroker, CommissionInfo and slippage by percentage; market orders only."""
    import backtrader as bt

    class Feed(bt.feed.DataBase):  # type: ignore[misc]  # backtrader ships no types
        params = (("timeframe", bt.TimeFrame.Minutes), ("compression", 1))

        def preload(self) -> None:
            arrays = trader.arrays
            columns = {"datetime": 719_163 + arrays.ts / 86_400_000, "openinterest": np.zeros(len(arrays))}
            columns |= {name: getattr(arrays, name) for name in ("open", "high", "low", "close", "volume")}
            for name, column in columns.items():
                getattr(self.lines, name).array = array("d", np.ascontiguousarray(column).tobytes())
            self.home()

    class Peer(bt.Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            self.pending = False
            self.filled: list[Any] = []
            self.done: list[RoundTrip] = []

        def next(self) -> None:
            row = len(self.data) - 1
            if self.pending:
                return
            forecast = float(trader.forecasts[row])
            if self.position.size:
                if trader.is_over(row, self.filled[0][0]):
                    self.close()
                    self.pending = True
            elif abs(forecast) > NEEDED:
                size = trader.quantity(self.broker.getvalue(), self.data.close[0])
                (self.buy if forecast > 0 else self.sell)(size=size)
                self.pending = True

        def notify_order(self, order: Any) -> None:
            if order.status in {order.Submitted, order.Accepted}:
                return
            assert order.status == order.Completed, order.getstatusname()
            self.pending = False
            self.filled.append(
                (int(trader.arrays.ts[len(self.data) - 1]), order.executed.price, order.executed.size)
            )

        def notify_trade(self, trade: Any) -> None:
            if not trade.isclosed:
                return
            (entry_ms, entry, size), (exit_ms, left, _) = self.filled
            self.filled = []
            side = "long" if size > 0 else "short"
            self.done.append(
                RoundTrip(entry_ms, side, entry, exit_ms, left, abs(size), trade.commission, trade.pnlcomm)
            )

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(Feed())
    cerebro.addstrategy(Peer)
    cerebro.broker.setcash(trader.cash)
    cerebro.broker.setcommission(commission=trader.fee, commtype=bt.CommInfoBase.COMM_PERC, stocklike=True)
    # slip_out: by default backtrader does not let a price slip beyond the bar.
    cerebro.broker.set_slippage_perc(trader.moved, slip_open=True, slip_match=True, slip_out=True)
    (peer,) = cerebro.run()
    return list(peer.done)


# --- backtesting.py -----------------------------------------------------------------------------------------


def backtesting_trades(trader: Trader) -> list[RoundTrip]:
    """backtesting.py with the bracket of its orders (``sl``, ``tp``); its lot is one unit, its spread is paid on entry."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from backtesting import Backtest, Strategy

    arrays = trader.arrays

    class Peer(Strategy):  # type: ignore[misc]  # backtesting.py ships no types
        def init(self) -> None:
            self.opens = arrays.open.tolist()
            self.closes = arrays.close.tolist()
            self.forecasts = trader.forecasts.tolist()

        def next(self) -> None:
            row = len(self.data) - 1
            if self.trades:
                if trader.is_over(row, int(arrays.ts[self.trades[0].entry_bar])):
                    self.trades[0].close()
                return
            forecast = self.forecasts[row]
            if abs(forecast) <= NEEDED or row + 1 == len(self.opens):
                return
            side = 1 if forecast > 0 else -1
            # Its levels are prices, told with the order: those of the fill to come.
            stop, target = trader.levels(side, self.opens[row + 1] * (1 + side * trader.moved))
            units = int(trader.quantity(self.equity, self.closes[row]))
            with contextlib.suppress(ValueError):  # it wants the last close between its levels
                (self.buy if side > 0 else self.sell)(size=units, sl=stop, tp=target)

    frame = pd.DataFrame(
        {name.title(): getattr(arrays, name) for name in ("open", "high", "low", "close", "volume")},
        index=pd.to_datetime(arrays.ts, unit="ms"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = Backtest(frame, Peer, cash=trader.cash, commission=trader.fee, spread=trader.moved).run()
    found = stats["_trades"].sort_values("EntryBar")
    return [
        RoundTrip(
            int(arrays.ts[row.EntryBar]),
            "long" if row.Size > 0 else "short",
            row.EntryPrice,
            int(arrays.ts[row.ExitBar]),
            row.ExitPrice,
            abs(row.Size),
            row.Commission,
            row.PnL,
        )
        for row in found.itertuples()
    ]
