"""A backtest's input as the compiled kernel reads it: made once, run many times with other parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backtests.inputs import BacktestInput
from backtests.kernel_books import KernelRun, new_books
from backtests.kernel_codes import IN_HALTED
from backtests.kernel_loop import play
from backtests.kernel_merge import columns_of
from backtests.kernel_records import Books, Columns, Integers, Records
from backtests.kernel_scope import check_scope
from backtests.kernel_setup import fresh_account, fresh_desks, rules_of, wishes_of
from bot.core.engine_config import EngineConfig
from bot.core.market import DAY_MS, MINUTE_MS, Symbol
from bot.errors import DataError
from strategies.lstm_scalping import ScalpingParameters


@dataclass(frozen=True, slots=True)
class Played:
    """A run as the loop left it.

    Attributes:
        run: The sum of it.
        books: All that was written.
        account: The account's record.
        first_row: First row of the part.
        first_batch: First minute of the part.
        last_batch: Its end, not included.
    """

    run: KernelRun
    books: Books
    account: Records
    first_row: int
    first_batch: int
    last_batch: int


@dataclass(frozen=True, slots=True)
class KernelTape:
    """Candles, forecasts and rules as columns.

    Attributes:
        symbols: By name.
        config: Rules, costs, limits, money.
        columns: One row a candle.
        batch_ms: Open time of each minute that has a candle.
        stops: Minutes that a run may not leap over: the first of each day of the risk review, the last of each UTC day.
        rules: One record a symbol.
    """

    symbols: tuple[Symbol, ...]
    config: EngineConfig
    columns: Columns
    batch_ms: Integers
    stops: Integers
    rules: Records

    @classmethod
    def of(cls, data: BacktestInput) -> KernelTape:
        """The tape of an input; the strategy's parameters are given to each run.

        Raises:
            ConfigError: The input asks for something that the kernel does not do; the sentence says what.
        """
        check_scope(data)
        columns = columns_of(data)
        batch_ms = columns.bars["ts"][columns.first_row[:-1]]
        review_day, day = (batch_ms + MINUTE_MS) // DAY_MS, batch_ms // DAY_MS
        starts = np.flatnonzero(np.diff(review_day)) + 1
        ends = np.flatnonzero(np.diff(day))
        stops = np.union1d(starts, ends).astype(np.int64)
        return cls(data.symbols, data.config, columns, batch_ms, stops, rules_of(data.config))

    def run(
        self,
        parameters: ScalpingParameters | Mapping[Symbol, ScalpingParameters],
        since_ms: int | None = None,
        until_ms: int | None = None,
    ) -> KernelRun:
        """Trade the tape, or a part of it, from a fresh account.

        The candles before a part have been seen, as by an engine that was warmed with them: windows and indicators are
        warm at its first candle.

        Args:
            parameters: Of the strategy of every symbol, or by symbol.
            since_ms: Open time of the first candle of the part; None begins with the tape.
            until_ms: End, not included; None ends with the tape.

        Raises:
            DataError: The part holds no candle.
        """
        return self.play(parameters, since_ms, until_ms).run

    def play(
        self,
        parameters: ScalpingParameters | Mapping[Symbol, ScalpingParameters],
        since_ms: int | None = None,
        until_ms: int | None = None,
        *,
        recording: bool = False,
    ) -> Played:
        """As ``run``, with all that was written; with ``recording`` that is every decision."""
        first, last = self._batches(since_ms, until_ms)
        rows = self.columns.first_row
        stops = np.union1d(self.stops[(self.stops >= first) & (self.stops < last)], [first, last - 1])
        stops = stops.astype(np.int64)
        books = new_books(
            int(rows[last] - rows[first]),
            last - first,
            len(stops),
            len(self.columns.fundings),
            full=recording,
        )
        account, desks = fresh_account(self.config.starting_cash), fresh_desks(len(self.symbols))
        wishes = wishes_of(parameters, self.config)
        play(self.columns, self.rules, wishes, desks, account, books, stops, first, last)
        run = self._summed_up(books, account, desks, stops, int(rows[last] - rows[first]))
        return Played(run, books, account, int(rows[first]), first, last)

    def _batches(self, since_ms: int | None, until_ms: int | None) -> tuple[int, int]:
        first = 0 if since_ms is None else int(np.searchsorted(self.batch_ms, since_ms))
        last = len(self.batch_ms) if until_ms is None else int(np.searchsorted(self.batch_ms, until_ms))
        if first >= last:
            raise DataError(f"the tape holds no candle from {since_ms} to {until_ms}")
        return first, last

    def _summed_up(
        self, books: Books, account: Records, desks: Records, stops: Integers, bar_count: int
    ) -> KernelRun:
        days = self.batch_ms[stops] // DAY_MS
        every = np.arange(days[0], days[-1] + 1)
        closes = np.searchsorted(days, every, side="right") - 1
        end = account[0]
        return KernelRun(
            symbols=self.symbols,
            records=books.trades[: end["trades"]].copy(),
            daily_ts=(every + 1) * DAY_MS,
            daily_equity=books.noted[closes],
            final_equity=float(end["equity"]),
            cash=float(end["cash"]),
            fees=float(end["fees_paid"]),
            funding=float(end["funding_paid"]),
            max_drawdown=float(end["max_drawdown"]),
            bar_count=bar_count,
            open_quantity=desks["quantity"].copy(),
            halted=bool(end["state"] == IN_HALTED),
        )
