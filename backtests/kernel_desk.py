"""What one bar does to one symbol, compiled: funding, the order that rests, the two protective levels, and the books.

The order of events and of operations is that of ``bot/core/matching.py``, ``bot/core/account.py`` and
``bot/core/position.py``, for orders that fill whole at fixed costs.
"""

from __future__ import annotations

from typing import Any

from backtests.kernel_codes import (
    CROSSED,
    ENTERED,
    ENTRY_CANCELED,
    EXITED,
    EXPIRED,
    FELL_BACK,
    FUNDED,
    LIMIT_ACCEPTED,
    LIMIT_CANCELED,
    LIMIT_ENTRY,
    LIMIT_FILLED,
    MARKET_EXIT,
    NOT_CANCELED,
    NOTHING,
    STOP_LOSS,
    STOPPED,
    TAKE_PROFIT,
    TARGET_MET,
)
from backtests.kernel_compile import compiled, inlined
from backtests.kernel_numbers import least, most, round_price
from backtests.kernel_records import Books, Records
from bot.core.costs import FUNDING_INTERVAL_MS
from bot.core.market import MINUTE_MS

_INSIDE_MS = MINUTE_MS - 1


@inlined
def match_bar(bar: Any, fundings: Records, rules: Any, desk: Any, account: Any, books: Books) -> None:
    """``BarMatcher.match`` of a symbol that holds something or has an order resting, and the booking of it."""
    if desk.quantity != 0.0 and not rules.is_spot:
        pay_funding(bar, fundings, desk, account, books)
    if desk.resting == MARKET_EXIT:
        leave(bar, rules, desk, account, books, bar.open, bar.ts, EXITED, desk.exit_code)
    elif desk.resting == LIMIT_ENTRY:
        limit_at_open(bar, rules, desk, account, books)
    elif desk.resting != NOTHING:
        enter_at_open(bar, rules, desk, account, books, desk.decided_ms)
    if desk.quantity != 0.0:
        within(bar, rules, desk, account, books)
    elif desk.resting == LIMIT_ENTRY:
        limit_within(bar, rules, desk, account, books)


@compiled
def pay_funding(bar: Any, fundings: Records, desk: Any, account: Any, books: Books) -> None:
    """``Account.apply_funding`` and ``Guards.on_funding`` for each funding time since the candle before."""
    for place in range(bar.first_funding, bar.first_funding + bar.funding_count):
        at_ms, rate = fundings[place].at_ms, fundings[place].rate
        paid = desk.quantity * bar.open * rate
        account.cash -= paid
        account.funding_paid += paid
        desk.funding += paid
        apart_ms = at_ms - desk.funded_ms
        if apart_ms > 0:
            desk.funding_rate = rate * FUNDING_INTERVAL_MS / min(apart_ms, FUNDING_INTERVAL_MS)
            desk.funded_ms = at_ms
        note(books, account, FUNDED, at_ms, rate, bar.open, 0.0, NOT_CANCELED)


@compiled
def enter_at_open(bar: Any, rules: Any, desk: Any, account: Any, books: Books, decided_ms: int) -> None:
    """A market entry fills at the open of the minute that follows its decision, or is canceled."""
    at_ms = bar.ts
    desk.resting = NOTHING
    account.resting -= 1
    if at_ms != decided_ms:
        note(books, account, ENTRY_CANCELED, at_ms, 0.0, 0.0, 0.0, NOT_CANCELED)
        return
    factor = rules.buy_factor if desk.sign > 0 else rules.sell_factor
    enter(rules, desk, account, books, bar.open * factor, rules.taker_fee_bps, at_ms, ENTERED)


@compiled
def enter(
    rules: Any, desk: Any, account: Any, books: Books, price: float, bps: float, at_ms: int, kind: int
) -> None:
    """Book an entry's fill and place its two protective levels."""
    fee = desk.wished * price * bps / 10_000
    if rules.is_spot:
        account.cash -= desk.sign * desk.wished * price
    account.cash -= fee
    account.fees_paid += fee
    account.held += 1
    desk.quantity = desk.sign * desk.wished
    desk.entry_price = price
    desk.opened_at_ms = at_ms
    desk.fees = 0.0 + fee
    desk.funding = 0.0
    desk.stop_level = round_price(
        price * (1 + -desk.sign * desk.stop_fraction), rules.tick_size, rules.tick_decimals
    )
    desk.target_level = round_price(
        price * (1 + desk.sign * desk.target_fraction), rules.tick_size, rules.tick_decimals
    )
    note(books, account, kind, at_ms, desk.wished, price, fee, NOT_CANCELED)


@inlined
def within(bar: Any, rules: Any, desk: Any, account: Any, books: Books) -> None:
    """The stop first, then the target; a bar that opens beyond a level fills at the open."""
    low, high = bar.low, bar.high
    if desk.quantity > 0:
        stopped, met = low <= desk.stop_level, high >= desk.target_level
    else:
        stopped, met = high >= desk.stop_level, low <= desk.target_level
    if stopped:
        stop_out(bar, rules, desk, account, books)
    elif met:
        opened = bar.open
        level = desk.target_level
        base = most(opened, level) if desk.quantity > 0 else least(opened, level)
        at_ms = bar.ts + _INSIDE_MS
        leave(bar, rules, desk, account, books, base, at_ms, TARGET_MET, TAKE_PROFIT)


@compiled
def stop_out(bar: Any, rules: Any, desk: Any, account: Any, books: Books) -> None:
    """The stop was reached."""
    opened = bar.open
    base = least(opened, desk.stop_level) if desk.quantity > 0 else most(opened, desk.stop_level)
    leave(bar, rules, desk, account, books, base, bar.ts + _INSIDE_MS, STOPPED, STOP_LOSS)


@compiled
def leave(
    bar: Any,
    rules: Any,
    desk: Any,
    account: Any,
    books: Books,
    base: float,
    at_ms: int,
    kind: int,
    exit_code: int,
) -> None:
    """Close all that is held at market, from a price that is moved against us, and book the round trip."""
    quantity = abs(desk.quantity)
    is_long = desk.quantity > 0
    price = base * (rules.sell_factor if is_long else rules.buy_factor)
    fee = quantity * price * rules.taker_fee_bps / 10_000
    gain = quantity * (price - desk.entry_price) * (1 if is_long else -1)
    if rules.is_spot:
        account.cash -= (-1 if is_long else 1) * quantity * price
    else:
        account.cash += gain
    account.cash -= fee
    account.fees_paid += fee
    desk.fees += fee
    pnl = (0.0 + gain) - desk.fees - desk.funding
    trade = books.trades[account.trades]
    trade.symbol = bar.symbol
    trade.is_long = is_long
    trade.entry_at_ms = desk.opened_at_ms
    trade.entry_price = desk.entry_price
    trade.exit_at_ms = at_ms
    trade.exit_price = price
    trade.quantity = quantity
    trade.fees = desk.fees
    trade.funding = desk.funding
    trade.pnl = pnl
    trade.exit_code = exit_code
    account.trades += 1
    account.held -= 1
    if desk.resting != NOTHING:
        account.resting -= 1
    desk.quantity = 0.0
    desk.resting = NOTHING
    count_loss(rules, account, pnl, at_ms)
    note(books, account, kind, at_ms, quantity, price, fee, NOT_CANCELED)


@compiled
def count_loss(rules: Any, account: Any, pnl: float, at_ms: int) -> None:
    """``Guards.on_trade``."""
    account.streak = account.streak + 1 if pnl < 0 else 0
    if rules.max_loss_streak >= 0 and account.streak >= rules.max_loss_streak:
        account.streak = 0
        account.cooling_until_ms = at_ms + rules.loss_streak_ms


@compiled
def limit_at_open(bar: Any, rules: Any, desk: Any, account: Any, books: Books) -> None:
    """What an open does to a limit entry: it is canceled, it is given up, it is there, or it just rests on."""
    at_ms, opened = bar.ts, bar.open
    if desk.cancel > EXPIRED:
        desk.resting = NOTHING
        account.resting -= 1
        note(books, account, LIMIT_CANCELED, at_ms, 0.0, 0.0, 0.0, desk.cancel)
    elif at_ms >= desk.expires_ms:
        give_up(bar, rules, desk, account, books, desk.expires_ms, EXPIRED)
    elif at_ms == desk.decided_ms:
        crossed = opened <= desk.limit_price if desk.sign > 0 else opened >= desk.limit_price
        if crossed:
            give_up(bar, rules, desk, account, books, at_ms, CROSSED)
        else:
            note(books, account, LIMIT_ACCEPTED, at_ms, 0.0, 0.0, 0.0, NOT_CANCELED)


@compiled
def give_up(bar: Any, rules: Any, desk: Any, account: Any, books: Books, at_ms: int, reason: int) -> None:
    """Cancel a limit entry that has not filled; a market order takes its place where it may."""
    if rules.falls_back:
        note(books, account, FELL_BACK, at_ms, 0.0, 0.0, 0.0, reason)
        enter_at_open(bar, rules, desk, account, books, at_ms)
    else:
        desk.resting = NOTHING
        account.resting -= 1
        note(books, account, LIMIT_CANCELED, at_ms, 0.0, 0.0, 0.0, reason)
    desk.cancel = NOT_CANCELED


@compiled
def limit_within(bar: Any, rules: Any, desk: Any, account: Any, books: Books) -> None:
    """A bar goes through the price of a limit entry: it fills there, and of this bar only its stop counts."""
    low, high = bar.low, bar.high
    if (low < desk.limit_price) if desk.sign > 0 else (high > desk.limit_price):
        desk.resting = NOTHING
        desk.cancel = NOT_CANCELED
        account.resting -= 1
        at_ms = bar.ts + _INSIDE_MS
        price, bps = desk.limit_price, rules.maker_fee_bps
        enter(rules, desk, account, books, price, bps, at_ms, LIMIT_FILLED)
        stopped = low <= desk.stop_level if desk.quantity > 0 else high >= desk.stop_level
        if stopped:
            stop_out(bar, rules, desk, account, books)


@inlined
def note(
    books: Books,
    account: Any,
    kind: int,
    at_ms: int,
    quantity: float,
    price: float,
    fee: float,
    reason: int,
) -> None:
    """Write down what happened at the exchange, where a run is recorded."""
    if len(books.events) == 0:
        return
    event = books.events[account.events]
    event.row = account.row
    event.kind = kind
    event.at_ms = at_ms
    event.quantity = quantity
    event.price = price
    event.fee = fee
    event.reason = reason
    account.events += 1
