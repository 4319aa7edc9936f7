"""The account after a minute, compiled: its worth, and what that does to the trading state (``bot/core/risk.py``)."""

from __future__ import annotations

from typing import Any

from backtests.kernel_codes import (
    DRAWDOWN,
    IN_HALTED,
    IN_REDUCING,
    IN_TRADING,
    LOSS_LIMIT,
    NEW_DAY,
)
from backtests.kernel_compile import compiled, inlined
from backtests.kernel_numbers import least, most
from backtests.kernel_records import Books, Records
from bot.core.market import DAY_MS


@inlined
def revalue(rules: Records, desks: Records, account: Any) -> float:
    """``Account.equity`` and ``Account.total_notional``, in the order of symbol names; returns the latter."""
    total, exposure = account.cash, 0.0
    if account.held:
        for place in range(len(desks)):
            desk = desks[place]
            if desk.quantity != 0.0:
                if rules[place].is_spot:
                    total += desk.quantity * desk.mark
                else:
                    total += desk.quantity * (desk.mark - desk.entry_price)
                exposure += abs(desk.quantity) * desk.mark
    account.equity = total
    return exposure


@inlined
def watch_equity(rules: Any, account: Any, books: Books, closed_ms: int) -> None:
    """``RiskGate.on_equity``, and how far equity has fallen from its highest."""
    equity = account.equity
    day = closed_ms // DAY_MS
    if day != account.day:
        if account.day >= 0 and account.state == IN_REDUCING and account.reason == LOSS_LIMIT:
            move(account, books, IN_TRADING, NEW_DAY, closed_ms)
        account.day = day
        account.day_start = equity
    if equity >= account.peak:
        settle_drawdown(account)
        account.peak = equity
        account.trough = equity
        return
    account.trough = least(account.trough, equity)
    if equity <= account.peak * (1 - rules.max_drawdown_fraction):
        if account.state != IN_HALTED:
            move(account, books, IN_HALTED, DRAWDOWN, closed_ms)
    elif equity <= account.day_start * (1 - rules.max_daily_loss_fraction) and account.state < IN_REDUCING:
        move(account, books, IN_REDUCING, LOSS_LIMIT, closed_ms)


@inlined
def settle_drawdown(account: Any) -> None:
    """Count the fall from the highest equity to the lowest since."""
    account.max_drawdown = most(account.max_drawdown, 1.0 - account.trough / account.peak)


@compiled
def move(account: Any, books: Books, after: int, event: int, at_ms: int) -> None:
    """Change the trading state."""
    if account.changes < len(books.changes):
        change = books.changes[account.changes]
        change.before = account.state
        change.after = after
        change.event = event
        change.at_ms = at_ms
    account.changes += 1
    account.state = after
    account.reason = event
