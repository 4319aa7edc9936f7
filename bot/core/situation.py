"""The account as the risk review sees it when an order is wished for."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.account import Account
from bot.core.desk import Desk
from bot.core.market import Symbol
from bot.core.risk import Situation


def situation_of(
    symbol: Symbol,
    price: float,
    closed_at_ms: int,
    equity: float,
    account: Account,
    desks: Mapping[Symbol, Desk],
) -> Situation:
    """Add up what is held and what is on its way.

    Args:
        symbol: Of the order.
        price: Its latest close.
        closed_at_ms: Candle time of the decision.
        equity: Of the account, at that close.
        account: Money and positions.
        desks: Open orders of every symbol.
    """
    pending = {
        name: desk.pending_entry_quantity() * account.mark_price(name)
        for name, desk in desks.items()
        if desk.orders
    }
    pending_notional = 0.0
    for notional in pending.values():  # one by one: from Python 3.12 on ``sum`` rounds otherwise
        pending_notional += notional
    return Situation(
        closed_at_ms=closed_at_ms,
        price=price,
        equity=equity,
        cash=account.cash,
        held=account.position(symbol).quantity,
        symbol_notional=account.notional(symbol) + pending.get(symbol, 0.0),
        total_notional=account.total_notional() + pending_notional,
        pending_notional=pending_notional,
    )
