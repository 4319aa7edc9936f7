"""What a run of the compiled kernel leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtests.kernel_codes import EXIT_WORDS
from backtests.kernel_records import CHANGE, DECISION, EVENT, MINUTE, TRADE, Books, Floats, Integers, Records
from bot.core.market import Symbol
from bot.core.position import Trade

_MOST_EVENTS = 3
"""That a row can bring beside fundings: a limit entry is given up, its market order fills, its stop is reached."""


@dataclass(frozen=True, slots=True)
class KernelRun:
    """One run, summed up.

    Attributes:
        symbols: Of the account, by name; ``records`` has their places.
        records: Round trips in the order in which they ended, as ``kernel_records.TRADE``.
        daily_ts: End of each UTC day, ms, from the first day to the last, days without candles included; shape (d,).
        daily_equity: Equity at the last close of each day, quote currency; shape (d,).
        final_equity: At the last close, what is still held included.
        cash: Wallet balance or money not spent, then.
        fees: Sum of all fees.
        funding: Sum of all funding (negative when received).
        max_drawdown: Largest fall of equity below its highest so far, minute by minute, as a fraction of the highest.
        bar_count: Candles, over all symbols.
        open_quantity: What is still held of each symbol, signed base units; shape (s,).
        halted: Whether the drawdown limit ended trading.
    """

    symbols: tuple[Symbol, ...]
    records: Records
    daily_ts: Integers
    daily_equity: Floats
    final_equity: float
    cash: float
    fees: float
    funding: float
    max_drawdown: float
    bar_count: int
    open_quantity: Floats
    halted: bool

    @property
    def trade_count(self) -> int:
        """How many round trips."""
        return len(self.records)

    def trades(self) -> list[Trade]:
        """The round trips as the core's own values."""
        return [
            Trade(
                self.symbols[symbol],
                "long" if is_long else "short",
                entry_at_ms,
                entry_price,
                exit_at_ms,
                exit_price,
                quantity,
                fees,
                funding,
                pnl,
                EXIT_WORDS[exit_code],
            )
            for (
                symbol,
                is_long,
                entry_at_ms,
                entry_price,
                exit_at_ms,
                exit_price,
                quantity,
                fees,
                funding,
                pnl,
                exit_code,
            ) in self.records.tolist()
        ]


def new_books(row_count: int, batch_count: int, stop_count: int, funding_count: int, *, full: bool) -> Books:
    """Room for all that a run can write.

    Memory that is never written is never taken: a lean run of a year costs what its trades need.

    Args:
        row_count: Candles of the part.
        batch_count: Minutes of the part.
        stop_count: At how many minutes equity is noted.
        funding_count: Fundings of the tape.
        full: Whether every decision is written down.
    """
    rows, batches = (row_count, batch_count) if full else (0, 0)
    return Books(
        trades=np.empty(row_count, dtype=TRADE),
        events=np.empty(_MOST_EVENTS * rows + (funding_count if full else 0), dtype=EVENT),
        changes=np.empty(2 * stop_count + 4 if full else 0, dtype=CHANGE),
        noted=np.empty(stop_count),
        decisions=np.zeros(rows, dtype=DECISION),
        minutes=np.zeros(batches, dtype=MINUTE),
    )
