"""What each strategy of an account did: its own trades, counted and summed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.market import Symbol
from bot.core.position import Trade
from strategies.symbols import StrategyChoice


def split_by_strategy(
    trades: Sequence[Trade], choices: Mapping[Symbol, StrategyChoice]
) -> list[dict[str, Any]]:
    """Figures of each strategy, in the order of its first symbol.

    Args:
        trades: Round trips; each belongs to the strategy of its symbol.
        choices: The strategy of each symbol that was traded.

    Returns:
        JSON values: ``strategy``, ``parameters``, ``symbols``, ``trades``, ``win_rate``, ``average_trade_bps`` (net, of
        the entry's notional), ``profit``, ``fees`` and ``funding`` (quote currency), ``exit_reasons``. The two figures
        of an average are None without a trade. What is still open belongs to the account and is in none of them.
    """
    groups: list[tuple[StrategyChoice, list[Symbol]]] = []
    for symbol, choice in choices.items():
        known = next((symbols for other, symbols in groups if other == choice), None)
        if known is None:
            groups.append((choice, [symbol]))
        else:
            known.append(symbol)
    return [
        {
            "strategy": choice.shown,
            "parameters": dict(choice.parameters),
            "symbols": symbols,
            **_figures([trade for trade in trades if trade.symbol in symbols]),
        }
        for choice, symbols in groups
    ]


def _figures(trades: Sequence[Trade]) -> dict[str, Any]:
    """Of some trades."""
    count = len(trades)
    reasons = [trade.exit_reason for trade in trades]
    bps = [trade.pnl / (trade.entry_price * trade.quantity) * 10_000 for trade in trades]
    return {
        "trades": count,
        "win_rate": sum(trade.pnl > 0 for trade in trades) / count if count else None,
        "average_trade_bps": math.fsum(bps) / count if count else None,
        "profit": math.fsum(trade.pnl for trade in trades),
        "fees": math.fsum(trade.fees for trade in trades),
        "funding": math.fsum(trade.funding for trade in trades),
        "exit_reasons": {word: reasons.count(word) for word in sorted(set(reasons))},
    }
