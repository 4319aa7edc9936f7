"""What is decided on one candle, compiled: ``TradingEngine._decide_one``, ``entry_wish`` and what rests."""

from __future__ import annotations

from typing import Any

from backtests.kernel_account import move
from backtests.kernel_codes import (
    AS_THE_SIGNAL,
    CANCEL_HALTED,
    CANCEL_REDUCING,
    EXPIRED,
    FIRST_REFUSAL,
    FORECAST_DOWN,
    FORECAST_NOT_FINITE,
    FORECAST_UP,
    IN_HALTED,
    IN_REDUCING,
    IN_TRADING,
    IN_WARM_UP,
    KEEP_LONG,
    LIMIT_ENTRY,
    MARKET_ENTRY,
    MARKET_EXIT,
    NO_FORECAST,
    NO_PREDICTION,
    NOT_ASKED,
    NOT_CANCELED,
    ORDER_PENDING,
    ORDER_SENT,
    PREDICTION_NOT_FINITE,
    SIZE_UNKNOWN,
    WARMED,
    WARMING_UP,
    WINDOW_NOT_FULL,
)
from backtests.kernel_compile import compiled, inlined
from backtests.kernel_numbers import ceil_price, floor_price, least, most
from backtests.kernel_records import Books, Records
from backtests.kernel_rules import (
    entry_fault,
    entry_quantity,
    entry_signal,
    full_size_share,
    held_signal,
    limits_room,
    notional_elsewhere,
    protection_of,
    stop_room,
)
from bot.core.market import MINUTE_MS


@compiled
def wait_on(closed_ms: int, desk: Any, account: Any, books: Books) -> None:
    """A decision while an entry rests: it may be canceled, nothing else."""
    cancel = NOT_CANCELED
    if account.state == IN_REDUCING:
        cancel = CANCEL_REDUCING
    elif account.state == IN_HALTED:
        cancel = CANCEL_HALTED
    elif closed_ms >= desk.expires_ms:
        cancel = EXPIRED
    # What was wished before is not wished again, but for an expiry that another reason overtakes.
    if desk.cancel > EXPIRED or (cancel == EXPIRED and desk.cancel == EXPIRED):
        cancel = NOT_CANCELED
    if cancel != NOT_CANCELED:
        desk.cancel = cancel
    if len(books.decisions) > 0:
        books.decisions[account.row].cancel = cancel
    write(books, account, ORDER_PENDING, NOT_ASKED)


@inlined
def decide(
    bar: Any, hint: Any, rules: Records, wishes: Records, desks: Records, account: Any, books: Books
) -> None:
    """``TradingEngine._decide_one`` of a symbol without an order that rests."""
    if bar.status == WINDOW_NOT_FULL:
        write(books, account, WARMING_UP, NOT_ASKED)
        return
    if account.state == IN_WARM_UP:
        move(account, books, IN_TRADING, WARMED, bar.ts + MINUTE_MS)
    if bar.status == NO_FORECAST:
        write(books, account, NO_PREDICTION, NOT_ASKED)
    elif bar.status == FORECAST_NOT_FINITE:
        write(books, account, PREDICTION_NOT_FINITE, NOT_ASKED)
    elif desks[bar.symbol].quantity != 0.0:
        keep_or_leave(bar, wishes[bar.symbol], desks[bar.symbol], account, books)
    else:
        signal = entry_signal(bar, hint, wishes[bar.symbol], rules[bar.symbol].is_spot)
        if signal not in (FORECAST_UP, FORECAST_DOWN):
            write(books, account, AS_THE_SIGNAL, signal)
        else:
            wish_entry(bar, hint, rules[bar.symbol], wishes[bar.symbol], desks, account, books, signal)


@inlined
def keep_or_leave(bar: Any, wish: Any, desk: Any, account: Any, books: Books) -> None:
    """A position is held: the strategy keeps it, or an exit waits for the next candle."""
    held_ms = bar.ts + MINUTE_MS - desk.opened_at_ms
    signal = held_signal(bar.expected, held_ms, wish, desk.quantity > 0)
    if signal >= KEEP_LONG:
        write(books, account, AS_THE_SIGNAL, signal)
        return
    desk.resting = MARKET_EXIT
    desk.exit_code = signal
    account.resting += 1
    account.sent += 1
    write(books, account, ORDER_SENT, signal)


@inlined
def wish_entry(
    bar: Any, hint: Any, rules: Any, wish: Any, desks: Records, account: Any, books: Books, signal: int
) -> None:
    """``entry_wish`` and the review of it."""
    desk = desks[bar.symbol]
    desk.sign = 1 if signal == FORECAST_UP else -1
    desk.stop_fraction, desk.target_fraction = protection_of(hint, wish)
    if len(books.decisions) > 0:
        books.decisions[account.row].stop_fraction = desk.stop_fraction
        books.decisions[account.row].target_fraction = desk.target_fraction
    share = full_size_share(rules.target_volatility, hint.volatility)
    if not share >= 0.0:
        write(books, account, SIZE_UNKNOWN, signal)
        return
    held, pending = notional_elsewhere(desks)
    room = limits_room(rules, account, held, pending)
    risk_room = stop_room(rules, wish, account, desk.stop_fraction, desk.target_fraction)
    desk.wished = entry_quantity(rules, account.equity, bar.close, share, least(room, risk_room))
    fault = entry_fault(bar, hint, rules, account, desk, room, risk_room)
    write(books, account, fault, signal)
    if len(books.decisions) > 0:
        books.decisions[account.row].quantity = desk.wished
    if fault >= FIRST_REFUSAL:
        return
    account.sent += 1
    account.resting += 1
    desk.decided_ms = bar.ts + MINUTE_MS
    desk.resting = MARKET_ENTRY
    if rules.is_maker:
        desk.resting = LIMIT_ENTRY
        desk.cancel = NOT_CANCELED
        desk.expires_ms = desk.decided_ms + rules.limit_ms
        desk.limit_price = touch_price(desk.sign, bar.close, rules)


@compiled
def touch_price(sign: int, close: float, rules: Any) -> float:
    """``bot.core.entry.touch_price``."""
    price = close * (1 - sign * rules.half_spread_bps / 10_000)
    if sign > 0:
        return most(floor_price(price, rules.tick_size, rules.tick_decimals), rules.tick_size)
    return ceil_price(price, rules.tick_size, rules.tick_decimals)


@inlined
def write(books: Books, account: Any, outcome: int, signal: int) -> None:
    """Write down a decision, where a run is recorded."""
    if len(books.decisions) > 0:
        decision = books.decisions[account.row]
        decision.outcome = outcome
        decision.signal = signal
