"""The guards of an entry: what may make it smaller, and what refuses it, beyond the limits of the account.

Each is a rule about numbers that every driver has alike. One that is None in the limits does nothing; a number that is
not known refuses nothing, but for two: symbols of which the correlation is not known count as moving together, and where
quotes can be had a spread that is not known is no spread to enter at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.costs import FUNDING_INTERVAL_MS
from bot.core.limits import RiskLimits, Situation
from bot.core.market import MINUTE_MS, Symbol
from bot.core.orders import ExecutionReport, Funding, OrderIntent, Protection, Side
from bot.core.position import Trade

_SLACK = 1 + 1e-12
"""Relative: what was cut to a limit is not over it by the last digit of a product."""


class Guards:
    """What the guards remember: losing trades in a row, and the last funding rate of each symbol.

    Args:
        limits: What must hold.
    """

    def __init__(self, limits: RiskLimits) -> None:
        self.limits = limits
        self._streak = 0
        self._cooling_until_ms = 0
        self._funding: dict[Symbol, tuple[float, int]] = {}

    def on_settled(self, trades: Sequence[Trade], reports: Sequence[ExecutionReport]) -> None:
        """Take note of what was booked."""
        for trade in trades:
            self.on_trade(trade)
        for report in reports:
            if isinstance(report, Funding) and report.paid is None:  # else the rate was not told
                self.on_funding(report)

    def on_trade(self, trade: Trade) -> None:
        """Count a round trip; the last of too many losing ones in a row starts the cool-down, and a new count."""
        self._streak = self._streak + 1 if trade.pnl < 0 else 0
        limit = self.limits.max_loss_streak
        if limit is not None and self._streak >= limit:
            self._streak = 0
            self._cooling_until_ms = trade.exit_at_ms + self.limits.loss_streak_minutes * MINUTE_MS

    def on_funding(self, funding: Funding) -> None:
        """Remember a rate, per 8 hours.

        A market pays every 8 hours where it is not known to pay more often: two payments in less time show that.
        """
        _, before_ms = self._funding.get(funding.symbol, (0.0, 0))
        apart_ms = funding.paid_at_ms - before_ms
        if apart_ms > 0:
            rate = funding.rate * FUNDING_INTERVAL_MS / min(apart_ms, FUNDING_INTERVAL_MS)
            self._funding[funding.symbol] = (rate, funding.paid_at_ms)

    def funding_rate(self, symbol: Symbol) -> float | None:
        """The last known rate of a symbol, per 8 hours."""
        known = self._funding.get(symbol)
        return None if known is None else known[0]

    def start_over(self) -> None:
        """Forget the losing trades: a person said that trading goes on."""
        self._streak, self._cooling_until_ms = 0, 0

    def fault(self, entry: OrderIntent, notional: float, at: Situation) -> str | None:
        """The first guard that an entry breaks, as a stable word in snake case.

        Args:
            entry: With protection.
            notional: Of the entry, quote currency.
            at: The account, and what is around it.
        """
        if at.closed_at_ms < self._cooling_until_ms:
            return "cooling_down"
        if (reason := market_fault(self.limits, at, entry.side)) is not None:
            return reason
        # Asked so that a number that is not one (NaN) is refused too.
        if not notional <= trade_risk_room(self.limits, at, entry.protection) * _SLACK:
            return "over_trade_risk"
        if not notional <= correlated_room(self.limits, at, entry.side) * _SLACK:
            return "over_correlated_limit"
        return None

    def snapshot(self) -> dict[str, Any]:
        """What a restart needs, as JSON values."""
        return {
            "streak": self._streak,
            "cooling_until_ms": self._cooling_until_ms,
            "funding": {symbol: list(known) for symbol, known in self._funding.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a snapshot; an empty one is that of a journal older than the guards."""
        self._streak = state.get("streak", 0)
        self._cooling_until_ms = state.get("cooling_until_ms", 0)
        self._funding = {symbol: (rate, at_ms) for symbol, (rate, at_ms) in state.get("funding", {}).items()}


def market_fault(limits: RiskLimits, at: Situation, side: Side) -> str | None:
    """Why a market is not entered now: its price, its spread or its funding."""
    around = at.around
    if limits.max_jump_fraction is not None and not around.jump <= limits.max_jump_fraction:
        return "price_jump"
    if limits.max_stale_minutes is not None:
        # A window that is shorter than the limit can't show more than all of itself.
        enough = min(limits.max_stale_minutes, around.stale_known)
        if 0 < enough <= around.stale_minutes:
            return "price_stale"
    if limits.max_spread_bps is not None and around.quotes_asked and around.spread_bps is None:
        return "spread_unknown"
    if _over(around.spread_bps, limits.max_spread_bps):
        return "spread_too_wide"
    paid = None if around.funding_rate is None else side.sign * around.funding_rate
    return "funding_too_high" if _over(paid, limits.max_funding_rate) else None


def _over(number: float | None, limit: float | None) -> bool:
    """Whether a number breaks a limit; one of them missing breaks nothing, NaN does."""
    return number is not None and limit is not None and not number <= limit


def trade_risk_room(limits: RiskLimits, at: Situation, protection: Protection | None) -> float:
    """Notional at which the stop would lose just what one trade may lose, costs included, quote currency."""
    if limits.max_trade_risk_fraction is None:
        return math.inf
    if protection is None:
        return 0.0
    lost = protection.stop_loss_fraction + at.around.round_trip
    return limits.max_trade_risk_fraction * at.equity / lost if lost > 0 else math.inf


def correlated_room(limits: RiskLimits, at: Situation, side: Side) -> float:
    """Notional that is left for an entry beside what moves with it, quote currency; never below zero."""
    if limits.max_correlated_notional_fraction is None:
        return math.inf
    beside = at.around.correlated_long if side is Side.BUY else at.around.correlated_short
    return max(limits.max_correlated_notional_fraction * at.equity - beside, 0.0)


def entry_room(limits: RiskLimits, at: Situation, side: Side, protection: Protection | None) -> float:
    """Notional that the guards leave for an entry, quote currency."""
    return min(trade_risk_room(limits, at, protection), correlated_room(limits, at, side))
