"""The backtrader driver: a Cerebro with array feeds, a broker that is the core's exchange, a strategy that is the core.

The only file that imports backtrader. In each step Cerebro advances every feed that has a bar of that minute, calls
the broker, then the strategy: the broker takes the new bars to the core's matcher and account, the strategy decides.
Orders and fills are told to backtrader as its own, so that its analyzers work. Funding is in cash and value but in
no trade of backtrader's, whose ``pnlcomm`` is therefore ours plus the funding paid.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import backtrader as bt
import numpy as np

from backtests.inputs import Row
from backtests.session import Session
from bot.core.market import DAY_MS, MINUTE_MS, Candle, Symbol
from bot.core.orders import Accepted, Adopted, ExecutionReport, Fill, Funding, OrderIntent, OrderType, Side
from bot.core.prediction import Prediction
from bot.errors import EngineProtocolError
from models.candle_arrays import CandleArrays

EPOCH_DAY = 719_163
"""1970-01-01 as backtrader counts days."""

_MINUTES_A_DAY = DAY_MS // MINUTE_MS


ANALYZERS: Final[Mapping[str, Any]] = {
    "trades": bt.analyzers.TradeAnalyzer,
    "drawdown": bt.analyzers.DrawDown,
}
"""Two of backtrader's own, whose figures stand in the report beside ours: a second opinion on the accounting."""


def drive(session: Session, analyzers: Mapping[str, Any] = ANALYZERS) -> dict[str, Any]:
    """Run a session over all candles of its input through backtrader.

    Args:
        session: A new session.
        analyzers: Classes of backtrader analyzers by the name that their result shall have.

    Returns:
        What each analyzer found, as nested dicts; money in quote currency, drawdown in percent.
    """
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker = _CoreBroker(session)
    for symbol in session.data.symbols:
        cerebro.adddata(_ArrayFeed(arrays=session.data.candles[symbol], name=symbol), name=symbol)
    broker.attach(cerebro.datas)
    cerebro.addstrategy(_CoreStrategy)
    for name, kind in analyzers.items():
        cerebro.addanalyzer(kind, _name=name)
    (strategy,) = cerebro.run()
    broker.check_complete()
    return {name: _plain(getattr(strategy.analyzers, name).get_analysis()) for name in analyzers}


def _plain(found: Any) -> Any:
    """An analysis as JSON values."""
    return {str(key): _plain(value) for key, value in found.items()} if isinstance(found, dict) else found


class _ArrayFeed(bt.feed.DataBase):  # type: ignore[misc]  # backtrader ships no types
    """Candles in one piece: the lines are filled at once instead of bar by bar."""

    params = (
        ("arrays", None),
        ("timeframe", bt.TimeFrame.Minutes),
        ("compression", 1),
    )

    def preload(self) -> None:
        """Fill every line with its column; the times become backtrader's days."""
        arrays: CandleArrays = self.p.arrays
        columns = {
            "datetime": EPOCH_DAY + arrays.ts / DAY_MS,
            "open": arrays.open,
            "high": arrays.high,
            "low": arrays.low,
            "close": arrays.close,
            "volume": arrays.volume,
            "openinterest": np.zeros(len(arrays)),
        }
        for name, column in columns.items():
            getattr(self.lines, name).array = array("d", np.ascontiguousarray(column).tobytes())
        self.home()
        self.arrived = 0
        self._times: list[float] = columns["datetime"].tolist()
        self._columns = list(self.lines)

    def advance_peek(self) -> float:
        """The time of the next bar; backtrader's own looks it up in five calls."""
        return self._times[self.arrived] if self.arrived < len(self._times) else math.inf

    def advance(self, size: int = 1, datamaster: Any = None, ticks: bool = True) -> None:  # noqa: ARG002
        """The next bar, without the copy of it that only resampled feeds are asked for."""
        self.arrived += size
        for column in self._columns:
            column.advance(size)


class _Bars:
    """The bars of one feed as they arrive, as core values."""

    def __init__(self, feed: _ArrayFeed, symbol: Symbol, rows: Iterator[Row]) -> None:
        self.feed = feed
        self.symbol = symbol
        self.rows = rows
        self.seen = 0

    def take_new(self) -> Row | None:
        """The bar that arrived in this step, if one did, with the prediction made on it."""
        arrived = self.feed.arrived
        if arrived == self.seen:
            return None
        self.seen += 1
        if arrived != self.seen:
            raise EngineProtocolError(f"backtrader went over a bar of {self.symbol}")
        return next(self.rows)


class _CoreBroker(bt.broker.BrokerBase):  # type: ignore[misc]  # backtrader ships no types
    """The core's exchange and account, as backtrader wants to see a broker."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.startingcash = session.data.config.starting_cash
        self.batch: tuple[Candle, ...] = ()
        self.batch_predictions: tuple[Prediction, ...] = ()
        self._bars: list[_Bars] = []
        self._feeds: dict[Symbol, Any] = {}
        self._orders: dict[str, Any] = {}
        self._positions: dict[Symbol, Any] = {}
        self._notices: deque[Any] = deque()
        # Prices times sizes, no margin and no fee: fees come with the core's fills.
        self._no_commission = bt.CommissionInfo(commission=0.0, stocklike=True)

    def attach(self, feeds: list[Any]) -> None:
        """Take the feeds, in the order in which their symbols are decided."""
        for feed in feeds:
            symbol = feed._name  # noqa: SLF001  # backtrader's public name of a feed
            self._bars.append(_Bars(feed, symbol, self.session.data.rows(symbol)))
            self._feeds[symbol] = feed
            self._positions[symbol] = bt.Position()

    def check_complete(self) -> None:
        """Every candle must have passed; EngineProtocolError otherwise."""
        for bars in self._bars:
            if bars.seen != len(self.session.data.candles[bars.symbol]):
                raise EngineProtocolError(f"backtrader delivered {bars.seen} bars of {bars.symbol}")

    def next(self) -> None:
        """Take the new bars of this minute to the matcher and the account."""
        batch, predictions = [], []
        for bars in self._bars:
            row = bars.take_new()
            if row is None:
                continue
            candle, prediction = row
            batch.append(candle)
            if prediction is not None:
                predictions.append(prediction)
        self.batch, self.batch_predictions = tuple(batch), tuple(predictions)
        reports = self.session.match(self.batch)
        self.session.observe(self.batch, reports)
        for report in reports:
            self._tell(report)

    def decide(self) -> None:
        """Let the core decide on the batch of this step."""
        decisions = self.session.decide(self.batch_predictions, self.batch[0].closed_at_ms)
        for decision in decisions:
            for order in decision.approved:
                self._open(order.intent)

    # --- what backtrader asks -----------------------------------------------------------------------------

    def getcash(self) -> float:
        """The core's cash."""
        return self.session.engine.account.cash

    get_cash = getcash

    def getvalue(self, datas: Any = None) -> float:
        """The account's equity at the close of this bar; of some feeds: what is held of them is worth."""
        if datas is None:
            return self.session.engine.equity
        return sum(self.session.engine.account.value(feed._name) for feed in datas)  # noqa: SLF001

    get_value = getvalue

    def getposition(self, data: Any) -> Any:
        """What is held of a feed's symbol."""
        return self._positions[data._name]  # noqa: SLF001

    def get_notification(self) -> Any:
        """The next order whose state changed, or None."""
        return self._notices.popleft() if self._notices else None

    # --- orders, told as backtrader's -----------------------------------------------------------------------

    def _open(self, intent: OrderIntent) -> None:
        kind = bt.BuyOrder if intent.side is Side.BUY else bt.SellOrder
        execution = {OrderType.MARKET: bt.Order.Market, OrderType.STOP: bt.Order.Stop}
        order = kind(
            data=self._feeds[intent.symbol],
            size=intent.quantity,
            price=intent.limit_price if intent.stop_price is None else intent.stop_price,
            exectype=execution.get(intent.type, bt.Order.Limit),
        )
        order.addcomminfo(self._no_commission)
        order.submit(self)
        order.accept(self)
        self._orders[intent.client_order_id] = order
        self._notices.append(order.clone())

    def _tell(self, report: ExecutionReport) -> None:
        if isinstance(report, Funding | Adopted):
            return
        if isinstance(report, Accepted):
            if report.intent is not None:
                self._open(report.intent)
            return
        if isinstance(report, Fill):
            order = self._orders[report.client_order_id]
            self._execute(order, report)
            if not order.alive():
                del self._orders[report.client_order_id]
        else:
            order = self._orders.pop(report.client_order_id, None)
            if order is None:
                return
            order.cancel()
        self._notices.append(order.clone())

    def _execute(self, order: Any, fill: Fill) -> None:
        position = self._positions[fill.symbol]
        entry_price = position.price
        signed = fill.quantity * fill.side.sign
        size, price, opened, closed = position.update(signed, fill.price)
        closed_share = abs(closed) / fill.quantity
        order.execute(
            order.data.datetime[0],
            signed,
            fill.price,
            closed,
            abs(closed) * entry_price,
            fill.fee * closed_share,
            opened,
            abs(opened) * fill.price,
            fill.fee * (1 - closed_share),
            0.0,
            -closed * (fill.price - entry_price),
            size,
            price,
        )


class _CoreStrategy(bt.Strategy):  # type: ignore[misc]  # backtrader ships no types
    """Decides through the core on every step, also while a feed has not begun yet.

    A step is backtrader's own, in its order, without what nothing here needs: indicators, observers, and calls to
    analyzers that have nothing to say to them.
    """

    def start(self) -> None:
        """See who wants to hear of what."""
        self._has_lines = any(map(len, self._lineiterators.values()))
        self._valuers = [one for one in self.analyzers if _answers(one, "notify_cashvalue", "notify_fund")]
        self._steppers = [one for one in self.analyzers if _answers(one, "next", "nextstart", "prenext")]

    def next(self) -> None:
        """Decide on this minute's bars."""
        self.broker.decide()

    def _oncepost(self, dt: float) -> None:
        if self._has_lines:
            super()._oncepost(dt)
            return
        self.forward()
        self.lines.datetime[0] = dt
        self._notify()
        # Below zero, every feed has more bars than it must have; that stays so.
        status = self._minperstatus if self._minperstatus < 0 else self._getminperstatus()
        self.broker.decide()
        for analyzer in self._steppers:
            step = "_next" if status < 0 else "_nextstart" if status == 0 else "_prenext"
            getattr(analyzer, step)()
        if self._orderspending or self._tradespending:
            self.clear()

    def _notify(self, qorders: Sequence[Any] = (), qtrades: Sequence[Any] = ()) -> None:
        if self._orderspending or self._tradespending or self._has_lines:
            super()._notify(qorders, qtrades)
            return
        broker = self.broker
        cash, value = broker.getcash(), broker.getvalue()
        for analyzer in self._valuers:
            analyzer._notify_cashvalue(cash, value)  # noqa: SLF001  # what backtrader's strategy calls
            analyzer._notify_fund(cash, value, broker.fundvalue, broker.fundshares)  # noqa: SLF001

    def clear(self) -> None:
        """Drop the orders that were delivered in this step: backtrader would keep every one to the end."""
        super().clear()
        self._orders.clear()

    def prenext(self) -> None:
        """The same before every feed has a bar."""
        self.broker.decide()

    def nextstart(self) -> None:
        """The same on the first step with all feeds."""
        self.broker.decide()


def _answers(analyzer: Any, *names: str) -> bool:
    """Whether an analyzer, or one inside it, does more than backtrader's base class on one of these calls."""
    own = any(getattr(type(analyzer), name) is not getattr(bt.Analyzer, name) for name in names)
    return own or any(_answers(child, *names) for child in analyzer._children)  # noqa: SLF001
