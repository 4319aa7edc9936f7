"""What is around an entry: costs, what moves with it, how its price behaves, what else is known of its market."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from bot.core.account import Account
from bot.core.correlation import correlation
from bot.core.desk import Desk
from bot.core.guards import Guards
from bot.core.limits import MarketFacts, Surroundings
from bot.core.market import Symbol
from bot.core.window import Window


def surroundings_of(
    symbol: Symbol,
    *,
    desks: Mapping[Symbol, Desk],
    account: Account,
    guards: Guards,
    round_trip: float,
    facts: MarketFacts | None,
) -> Surroundings:
    """Look around before an entry.

    Args:
        symbol: What is to be entered.
        desks: Windows and open orders of every symbol.
        account: Positions and marks.
        guards: Limits, and what they remember.
        round_trip: Cost of entering and leaving, as a fraction of the notional.
        facts: What the driver knows beside the candles.
    """
    window = desks[symbol].window
    long, short = 0.0, 0.0
    if guards.limits.max_correlated_notional_fraction is not None:
        long, short = moving_together(symbol, desks, account, guards.limits.correlation_threshold)
    rate = facts.funding_rate if facts is not None else None
    return Surroundings(
        round_trip=round_trip,
        correlated_long=long,
        correlated_short=short,
        jump=last_jump(window),
        stale_minutes=stale_minutes(window),
        stale_known=max(len(window) - 1, 0),
        funding_rate=guards.funding_rate(symbol) if rate is None else rate,
        spread_bps=facts.spread_bps if facts is not None else None,
        quotes_asked=facts is not None,
    )


def last_jump(window: Window) -> float:
    """How far the last close is from the one before, as a fraction; 0 with fewer than two candles."""
    if len(window) < 2:
        return 0.0
    before, last = window.recent(2)
    return abs(last.close / before.close - 1)


def stale_minutes(window: Window) -> int:
    """For how many minutes up to now the close has not moved and nothing was traded."""
    newest = window.recent(2)
    if len(newest) < 2 or newest[0].close != newest[1].close or newest[1].volume != 0.0:
        return 0  # nearly always, and without a look at the others
    count = 0
    for last, before in pairwise(reversed(window.candles)):
        if last.close != before.close or last.volume != 0.0:
            break
        count += 1
    return count


def moving_together(
    symbol: Symbol, desks: Mapping[Symbol, Desk], account: Account, threshold: float
) -> tuple[float, float]:
    """Notional, held or on its way, that gains when a symbol rises, and that gains when it falls.

    What moves against it counts on the other side. A correlation that is not known counts as one.
    """
    long, short = 0.0, 0.0
    for name, desk in desks.items():
        sides = exposures(name, desk, account)
        if sides == (0.0, 0.0):
            continue
        sign = 1 if name == symbol else _together(desks[symbol].window, desk.window, threshold)
        if sign:
            rising, falling = sides if sign > 0 else sides[::-1]
            long, short = long + rising, short + falling
    return long, short


def exposures(symbol: Symbol, desk: Desk, account: Account) -> tuple[float, float]:
    """Notional of a symbol, held or on its way, that is long, and that is short."""
    price = account.mark_price(symbol)
    quantities = [account.position(symbol).quantity]
    quantities += [
        (record.intent.quantity - record.filled_quantity) * record.intent.side.sign
        for record in desk.orders.values()
        if not record.intent.reduce_only
    ]
    long = sum(quantity for quantity in quantities if quantity > 0) * price
    short = sum(-quantity for quantity in quantities if quantity < 0) * price
    return long, short


def _together(first: Window, second: Window, threshold: float) -> int:
    """+1 when two markets move together, -1 when against each other, 0 when neither."""
    rho = correlation(first.candles, second.candles)
    if rho is None:
        return 1
    if abs(rho) < threshold:
        return 0
    return 1 if rho > 0 else -1
