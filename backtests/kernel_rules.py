"""What is wanted and what is let pass on one bar, compiled: the strategy's entry and exit, size, and risk review.

The order of operations and comparisons is that of ``strategies/lstm_scalping.py``, ``bot/core/sizing.py``,
``bot/core/risk.py`` and ``bot/core/guards.py``: the results are the same to the bit, which tests prove.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from backtests.kernel_codes import (
    BELOW_MIN_NOTIONAL,
    BELOW_MIN_QUANTITY,
    CANNOT_SHORT,
    COOLING_DOWN,
    FORECAST_DOWN,
    FORECAST_UP,
    FUNDING_TOO_HIGH,
    HALTED,
    HELD_LONG_ENOUGH,
    IN_REDUCING,
    IN_TRADING,
    INDICATORS_WARMING_UP,
    KEEP_LONG,
    KEEP_SHORT,
    MACD_DISAGREES,
    NO_EQUITY,
    NO_PROTECTION,
    ORDER_SENT,
    OVER_NOTIONAL_LIMIT,
    OVER_TRADE_RISK,
    OVERBOUGHT,
    OVERSOLD,
    PRICE_JUMP,
    PRICE_STALE,
    REDUCING,
    REVERSED,
    STOP_UNKNOWN,
    TOO_MANY_ORDERS,
    TOO_SMALL,
    UNCERTAIN,
)
from backtests.kernel_compile import inlined
from backtests.kernel_numbers import cut_quantity, least, most, protects, trade_risk_room
from backtests.kernel_records import Records
from bot.core.orders import Protection
from bot.core.risk import SPOT_CASH_SHARE

_SLACK = 1 + 1e-12


class _Around(NamedTuple):
    """What ``trade_risk_room`` reads of the surroundings."""

    round_trip: float


class _At(NamedTuple):
    """What ``trade_risk_room`` reads of the situation."""

    equity: float
    around: _Around


class _Limits(NamedTuple):
    """What ``trade_risk_room`` reads of the limits."""

    max_trade_risk_fraction: float


@inlined
def entry_signal(bar: Any, hint: Any, wishes: Any, is_spot: int) -> int:
    """What the strategy wants while nothing is held: ``LstmScalping.decide``, but for the protection."""
    expected = bar.expected
    if abs(expected) <= wishes.needed:
        return TOO_SMALL
    doubt = hint.doubt
    if not math.isnan(doubt) and not abs(expected) - wishes.edge_confidence * doubt > wishes.needed:
        return UNCERTAIN
    if expected <= 0 and is_spot:
        return CANNOT_SHORT
    rsi, histogram = hint.rsi, hint.histogram
    if math.isnan(rsi):
        return INDICATORS_WARMING_UP
    if expected > 0:
        if rsi >= wishes.rsi_overbought:
            return OVERBOUGHT
        wanted = MACD_DISAGREES if wishes.require_macd and histogram <= 0 else FORECAST_UP
    else:
        if rsi <= wishes.rsi_oversold:
            return OVERSOLD
        wanted = MACD_DISAGREES if wishes.require_macd and histogram >= 0 else FORECAST_DOWN
    if wishes.stop_volatility > 0.0 and wanted != MACD_DISAGREES and not math.isfinite(hint.volatility):
        return STOP_UNKNOWN
    return wanted


@inlined
def protection_of(hint: Any, wishes: Any) -> tuple[float, float]:
    """Distances of stop and target of an entry, as fractions: the strategy's, or by the expected volatility."""
    if not wishes.stop_volatility > 0.0:
        return wishes.stop_loss, wishes.take_profit
    stop = least(most(wishes.stop_volatility * hint.volatility, wishes.nearest_stop), wishes.farthest_stop)
    return stop, stop * wishes.target_ratio


@inlined
def held_signal(expected: float, held_ms: int, wishes: Any, is_long: bool) -> int:
    """What the strategy wants of a position that it holds."""
    if wishes.exit_on_reversal and (expected if is_long else -expected) < -wishes.threshold:
        return REVERSED
    if wishes.max_holding_ms and held_ms >= wishes.max_holding_ms:
        return HELD_LONG_ENOUGH
    return KEEP_LONG if is_long else KEEP_SHORT


@inlined
def full_size_share(target: float, volatility: float) -> float:
    """``SizingRule.share``: 0 to 1, NaN where a target is set and the volatility is not known."""
    if math.isnan(target):
        return 1.0
    if not volatility >= 0.0:
        return math.nan
    return 1.0 if volatility <= target else target / volatility


@inlined
def notional_elsewhere(desks: Records) -> tuple[float, float]:
    """Notional of what is held, and of entries on their way; in the order of symbol names."""
    held, pending = 0.0, 0.0
    for place in range(len(desks)):
        desk = desks[place]
        if desk.quantity != 0.0:
            held += abs(desk.quantity) * desk.mark
        elif desk.resting:
            pending += desk.wished * desk.mark
    return held, pending


@inlined
def limits_room(rules: Any, account: Any, held: float, pending: float) -> float:
    """``RiskGate.room`` of a symbol of which nothing is held nor on its way."""
    symbol_limit = least(rules.max_symbol_notional_fraction * account.equity, rules.max_symbol_notional)
    total_limit = least(rules.max_total_notional_fraction * account.equity, rules.max_total_notional)
    room = least(symbol_limit, total_limit - (held + pending))
    if rules.is_spot:
        room = least(room, account.cash * SPOT_CASH_SHARE - pending)
    return most(room, 0.0)


@inlined
def stop_room(rules: Any, wishes: Any, account: Any, stop: float, target: float) -> float:
    """``guards.trade_risk_room`` of an entry."""
    at = _At(account.equity, _Around(wishes.round_trip))
    return trade_risk_room(_Limits(rules.max_trade_risk_fraction), at, Protection(stop, target))  # type: ignore[arg-type]


@inlined
def entry_quantity(rules: Any, equity: float, price: float, share: float, room: float) -> float:
    """``sizing.entry_quantity`` of a signal at full strength."""
    wanted = rules.equity_fraction * equity * 1.0 * share
    if not (wanted > 0 and room > 0 and price > 0):
        return 0.0
    return cut_quantity(least(wanted, room) / price, rules.lot_step, rules.lot_decimals)


@inlined
def entry_fault(
    bar: Any, hint: Any, rules: Any, account: Any, desk: Any, room: float, risk_room: float
) -> int:
    """The first rule that the entry wished for on a desk breaks: ``RiskGate._entry_fault``; 0 for none."""
    if account.state != IN_TRADING:
        return REDUCING if account.state == IN_REDUCING else HALTED
    if account.equity <= 0:
        return NO_EQUITY
    if not protects(Protection(desk.stop_fraction, desk.target_fraction)):
        return NO_PROTECTION
    if not (desk.wished > 0 and desk.wished >= rules.min_quantity):
        return BELOW_MIN_QUANTITY
    notional = desk.wished * bar.close
    if not notional >= rules.min_notional:
        return BELOW_MIN_NOTIONAL
    if not notional <= room * _SLACK:
        return OVER_NOTIONAL_LIMIT
    fault = guard_fault(bar, hint, rules, account, desk)
    if fault != ORDER_SENT:
        return fault
    if not notional <= risk_room * _SLACK:
        return OVER_TRADE_RISK
    return TOO_MANY_ORDERS if account.sent >= rules.max_orders_per_minute else ORDER_SENT


@inlined
def guard_fault(bar: Any, hint: Any, rules: Any, account: Any, desk: Any) -> int:
    """The cool-down after losses, and ``guards.market_fault`` without quotes."""
    if bar.ts + 60_000 < account.cooling_until_ms:
        return COOLING_DOWN
    if not hint.jump <= rules.max_jump_fraction:
        return PRICE_JUMP
    if rules.max_stale_minutes >= 0:
        enough = min(rules.max_stale_minutes, rules.stale_known)
        if 0 < enough <= hint.stale:
            return PRICE_STALE
    if desk.funded_ms > 0 and not math.isnan(rules.max_funding_rate):
        return ORDER_SENT if desk.sign * desk.funding_rate <= rules.max_funding_rate else FUNDING_TOO_HIGH
    return ORDER_SENT
