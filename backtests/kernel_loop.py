"""The compiled loop over the minutes of a tape: match, observe, decide, as ``backtests/session.py`` does it.

One loop serves both modes. A lean run leaps over minutes in which nothing can happen; a recording one takes every
minute and writes down every decision.
"""

from __future__ import annotations

from typing import Any

from backtests.kernel_account import revalue, settle_drawdown, watch_equity
from backtests.kernel_codes import IN_REDUCING, NOTHING
from backtests.kernel_compile import borrowed, entry_point, inlined
from backtests.kernel_decide import decide, wait_on
from backtests.kernel_desk import match_bar
from backtests.kernel_numbers import least
from backtests.kernel_records import Books, Columns, Integers, Records
from bot.core.market import MINUTE_MS


@entry_point
def play(
    tape: Columns,
    rules: Records,
    wishes: Records,
    desks: Records,
    accounts: Records,
    books: Books,
    stops: Integers,
    first_batch: int,
    last_batch: int,
) -> None:
    """Run a part of a tape.

    Args:
        tape: The rows.
        rules: One record a symbol.
        wishes: Likewise.
        desks: Likewise, fresh; written to.
        accounts: One record, fresh; written to.
        books: What is written; with rows for decisions it is a recording run.
        stops: Batches that must not be leapt over, increasing, the first and the last of the part among them; the
            equity after each is noted.
        first_batch: Where the part begins.
        last_batch: Where it ends, not included.
    """
    tape, books = borrowed_tape(tape), borrowed_books(books)
    rules, wishes, desks, accounts = borrowed(rules), borrowed(wishes), borrowed(desks), borrowed(accounts)
    account = accounts[0]
    recording = len(books.decisions) > 0
    needed = wishes[0].needed
    for place in range(1, len(wishes)):
        needed = least(needed, wishes[place].needed)
    batch, noted, stop = first_batch, 0, stops[0]
    while batch < last_batch:
        if batch < stop and account.held == 0 and account.resting == 0 and not recording:
            batch = next_chance(tape, account, needed, batch, stop)
        one_minute(tape, rules, wishes, desks, account, books, batch, first_batch)
        if batch == stop:
            books.noted[noted] = account.equity
            noted += 1
            stop = stops[noted] if noted < len(stops) else last_batch
        batch += 1
    settle_drawdown(account)


@inlined
def borrowed_tape(tape: Columns) -> Columns:
    """The columns, uncounted."""
    return Columns(
        borrowed(tape.bars),
        borrowed(tape.hints),
        borrowed(tape.fundings),
        borrowed(tape.first_row),
        borrowed(tape.loudest),
    )


@inlined
def borrowed_books(books: Books) -> Books:
    """The books, uncounted."""
    return Books(
        borrowed(books.trades),
        borrowed(books.events),
        borrowed(books.changes),
        borrowed(books.noted),
        borrowed(books.decisions),
        borrowed(books.minutes),
    )


@inlined
def next_chance(tape: Columns, account: Any, needed: float, batch: int, stop: int) -> int:
    """The next batch, up to the stop, on which an account that holds nothing could enter."""
    if account.state >= IN_REDUCING:
        return stop
    while batch < stop and tape.loudest[batch] <= needed:
        batch += 1
    return batch


@inlined
def one_minute(
    tape: Columns,
    rules: Records,
    wishes: Records,
    desks: Records,
    account: Any,
    books: Books,
    batch: int,
    first_batch: int,
) -> None:
    """The three steps on the candles of one minute."""
    first, end = tape.first_row[batch], tape.first_row[batch + 1]
    closed_ms = tape.bars[first].ts + MINUTE_MS
    offset = tape.first_row[first_batch]
    for row in range(first, end):
        bar = tape.bars[row]
        desk = desks[bar.symbol]
        if desk.quantity != 0.0 or desk.resting != NOTHING:
            account.row = row - offset
            match_bar(bar, tape.fundings, rules[bar.symbol], desk, account, books)
        desk.mark = bar.close
    exposure = revalue(rules, desks, account)
    watch_equity(rules[0], account, books, closed_ms)
    if len(books.minutes) > 0:
        minute = books.minutes[batch - first_batch]
        minute.equity = account.equity
        minute.cash = account.cash
        minute.exposure = exposure
    account.sent = 0
    for row in range(first, end):
        account.row = row - offset
        bar = tape.bars[row]
        if desks[bar.symbol].resting != NOTHING:
            wait_on(closed_ms, desks[bar.symbol], account, books)
        else:
            decide(bar, tape.hints[row], rules, wishes, desks, account, books)
