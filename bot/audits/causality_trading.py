"""The shipped ways from updates to candles and from candles to decisions, as pipelines for the causality audit."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from backtests.inputs import BacktestInput, PredictionColumns, rounded
from backtests.results import MinuteOutcome
from backtests.run import run_backtest
from bot.audits.causality import Answer, Finding, Market, Rows, StageCheck
from bot.audits.causality_alter import moved
from bot.audits.causality_compare import rows_difference
from bot.core.closer import BackfillNeeded, CandleCloser, CandleUpdate, Closed, CloserEvent
from bot.core.decision import Decision
from bot.core.engine_config import EngineConfig
from bot.core.market import MINUTE_MS, Candle, Symbol, default_instrument
from bot.core.orders import ApprovedOrder
from bot.core.risk import RiskLimits
from bot.core.signal import Strategy
from models.candle_arrays import CandleArrays

Floats = npt.NDArray[np.float64]

SIGNAL_COLUMNS = ("direction", "strength", "reason")
DECISION_COLUMNS = ("expected_return", "approved", "refused", "hold_reason")
CANDLE_COLUMNS = ("open", "high", "low", "close", "volume")
HORIZON_MINUTES = 15
MOVED = "the same candles 52 weeks later, to the bit"
MOVED_WEEKS = 52
"""Whole weeks keep hours, weekdays, funding times and the blocks of the features."""

_SPREAD = 0.004
"""Of the random forecasts: wide enough to pay costs, so that trades happen."""

_REFRESH_MINUTES = 2

_REST_ROWS = 10
"""How many finished candles REST tells besides the newest."""


class StrategyPipeline:
    """A strategy in the fast driver, on forecasts that are random numbers: signals, decisions and what was traded.

    Risk limits are so wide that a strategy without an edge, as any is here, is not halted for its losses.

    Args:
        name: For the report.
        make_strategy: Makes the strategy of one symbol.
        seed: Of the forecasts.
    """

    def __init__(self, name: str, make_strategy: Callable[[Symbol], Strategy], seed: int) -> None:
        self.name = f"strategy {name}"
        self.orders = 0
        self._make_strategy = make_strategy
        self._seed = seed

    def answer(self, market: Market) -> Answer:
        """Run from the first candle to the last."""
        found: list[Decision] = []

        def keep(outcomes: Sequence[MinuteOutcome]) -> None:
            for _, decisions in outcomes:
                found.extend(decisions)

        result = run_backtest(self._input(market), engine="fast", sink=keep)
        self.orders = sum(len(decision.approved) for decision in found)
        rows = []
        for symbol in market:
            own = [decision for decision in found if decision.symbol == symbol]
            ts = np.array([decision.closed_at_ms - MINUTE_MS for decision in own], np.int64)
            rows.append(
                Rows("signals", symbol, ts, SIGNAL_COLUMNS, _objects([_signal_row(one) for one in own]))
            )
            rows.append(
                Rows("decisions", symbol, ts, DECISION_COLUMNS, _objects([_decision_row(one) for one in own]))
            )
        curve = result.equity
        # Equity is of the whole account: what was filled, at which price and with what fee, is all in it.
        rows.append(Rows("equity", "account", curve.ts - MINUTE_MS, ("equity",), curve.equity[:, None]))
        return Answer(rows)

    def dates_check(self, market: Market) -> StageCheck:
        """Ask whether the strategy decides by its candles alone, or looks something up by date.

        The audit can alter the candles that it hands over, not a file in which a strategy finds the true future. But such
        a file knows its candles by their times: when these are moved by a year, the strategy finds something else.
        """
        shift_ms = MOVED_WEEKS * 7 * 1440 * MINUTE_MS
        check = StageCheck(self.name, "decisions", MOVED, moments=1)
        before, after = self.answer(market), self.answer(moved(market, shift_ms))
        later = {rows.key: rows for rows in after.rows}
        for rows in before.rows:
            other = later[rows.key]
            back = Rows(other.stage, other.symbol, other.ts - shift_ms, other.columns, other.values)
            told = f"the same candles carried dates {MOVED_WEEKS} weeks later"
            values, finding = rows_difference(rows, back, 2**62, told)
            check.values += values
            if finding is not None and check.finding is None:
                sentence = f"{finding.sentence.partition('; ')[0]}: it looks something up by date, be it a calendar or a stored future"
                check.finding = Finding(sentence, finding.at_ms, finding.symbol, finding.column)
        return check

    def _input(self, market: Market) -> BacktestInput:
        instruments = {
            symbol: default_instrument(symbol, price=float(candles.close[0]))
            for symbol, candles in market.items()
        }
        limits = RiskLimits(max_daily_loss_fraction=1.0, max_drawdown_fraction=1.0)
        config = EngineConfig("audit", instruments, limits=limits, starting_cash=1e6)
        begin = min(int(candles.ts[0]) for candles in market.values())
        predictions = {
            symbol: self._predictions(symbol, candles, begin) for symbol, candles in market.items()
        }
        return BacktestInput(market, predictions, config, self._make_strategy)

    def _predictions(self, symbol: Symbol, candles: CandleArrays, begin_ms: int) -> PredictionColumns:
        """A random forecast on every candle, by the minutes since the market's first one."""
        minutes = (candles.ts - begin_ms) // MINUTE_MS
        generator = np.random.default_rng([self._seed, zlib.crc32(symbol.encode())])
        numbers = generator.standard_normal(int(minutes[-1]) // _REFRESH_MINUTES + 1)
        said = rounded(numbers[minutes // _REFRESH_MINUTES] * _SPREAD)
        return PredictionColumns(candles.ts, said, "audit", HORIZON_MINUTES)


class CandlePath:
    """From the updates of a stream to closed candles: the batch is the candles, the stream what ``CandleCloser`` delivers.

    Args:
        flagged: Whether the exchange flags a finished bar; else REST tells the candles, an unfinished one among them.
    """

    def __init__(self, *, flagged: bool) -> None:
        self.name = f"candle path, {'flagged' if flagged else 'unflagged'} updates"
        self._flagged = flagged

    def answer(self, market: Market) -> Answer:
        """The candles as they closed."""
        return Answer([_candle_rows(symbol, candles) for symbol, candles in market.items()])

    def stream(self, market: Market, updates: Iterable[CandleUpdate]) -> Sequence[Rows]:
        """What the closer delivered."""
        lines = {symbol: _Line(symbol) for symbol in market}
        for update in updates:
            lines[update.symbol].take(update if self._flagged else update._replace(closed=None))
        for line in lines.values():
            line.end()
        return [_delivered(symbol, line.delivered) for symbol, line in lines.items() if line.delivered]


class _Line:
    """One symbol's closer, and a REST side that answers what it asks for with what has been told so far.

    Attributes:
        delivered: The candles that came out, in order.
    """

    def __init__(self, symbol: Symbol) -> None:
        self.delivered: list[Candle] = []
        self._closer = CandleCloser(symbol)
        self._rest: list[Candle] = []

    def take(self, update: CandleUpdate) -> None:
        """Feed one update, and answer the closer's questions."""
        candle = Candle._make(update[:7])
        if self._rest and self._rest[-1].opened_at_ms == candle.opened_at_ms:
            self._rest.pop()
        self._rest = [*self._rest[-_REST_ROWS:], candle]
        self._book(self._closer.on_update(update))

    def end(self) -> None:
        """The minute after the last one begins: REST's newest row is finished now."""
        if self._rest:
            self._book(self._closer.on_history(self._rest, self._rest[-1].opened_at_ms + MINUTE_MS))

    def _book(self, events: list[CloserEvent]) -> None:
        for event in events:
            if isinstance(event, Closed):
                self.delivered.append(event.candle)
            elif isinstance(event, BackfillNeeded):
                # The newest row of REST is the bar under way: it is in the answer, but not said to be complete.
                self._book(self._closer.on_history(self._rest, self._rest[-1].opened_at_ms))


def _candle_rows(symbol: Symbol, candles: CandleArrays) -> Rows:
    values = np.column_stack([getattr(candles, name) for name in CANDLE_COLUMNS])
    return Rows("candles", symbol, candles.ts, CANDLE_COLUMNS, values)


def _delivered(symbol: Symbol, candles: list[Candle]) -> Rows:
    ts = np.array([candle.opened_at_ms for candle in candles], np.int64)
    return Rows(
        "candles", symbol, ts, CANDLE_COLUMNS, np.array([candle[2:] for candle in candles], np.float64)
    )


def _signal_row(decision: Decision) -> tuple[object, ...]:
    signal = decision.signal
    return ("none", 0.0, "") if signal is None else (signal.direction.value, signal.strength, signal.reason)


def _decision_row(decision: Decision) -> tuple[object, ...]:
    expected = None if decision.prediction is None else decision.prediction.expected_return
    approved = tuple(map(_order_words, decision.approved))
    refused = tuple(f"{order.intent.side.value} {order.reason}" for order in decision.refused)
    return expected, " ".join(approved), " ".join(refused), decision.hold_reason


def _order_words(order: ApprovedOrder) -> str:
    """An order but for its id, which holds the time."""
    intent = order.intent
    price = intent.limit_price if intent.stop_price is None else intent.stop_price
    words = (intent.side.value, intent.quantity, intent.type.value, intent.leg.value, price)
    return " ".join(str(word) for word in words)


def _objects(rows: list[tuple[object, ...]]) -> npt.NDArray[np.object_]:
    """Rows of any values as a table, [n, f]."""
    width = len(rows[0]) if rows else len(SIGNAL_COLUMNS)
    table = np.empty((len(rows), width), dtype=object)
    for place, row in enumerate(rows):
        table[place] = row
    return table
