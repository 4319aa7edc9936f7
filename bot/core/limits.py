"""What the account may never exceed, and what the risk review judges an order by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from bot.core.market import Symbol


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """What the account may never exceed.

    Attributes:
        max_symbol_notional_fraction: Notional in one symbol, as a fraction of equity.
        max_total_notional_fraction: Notional in all symbols together, as a fraction of equity.
        max_symbol_notional: The same in quote currency; None leaves only the fraction.
        max_total_notional: The same in quote currency; None leaves only the fraction.
        max_daily_loss_fraction: Loss since 00:00 UTC, of the equity then; beyond it REDUCING until the next day.
        max_drawdown_fraction: Fall from the highest equity; beyond it HALTED until a person resumes.
        max_orders_per_minute: Orders decided within one minute; further entries are refused.
        max_prediction_age_seconds: A candle older than this is not traded on.
        max_trade_risk_fraction: Equity lost when the stop of a new position is hit, costs included; a larger entry is
            cut. None does not ask. A price that jumps over the stop loses more.
        max_correlated_notional_fraction: Notional of positions that move together, as a fraction of equity; a larger
            entry is cut. None does not ask.
        correlation_threshold: From which correlation on, of either sign, two symbols move together.
        max_loss_streak: So many losing trades in a row stop entries for a while; None does not count.
        loss_streak_minutes: For how long.
        max_funding_rate: An entry that would pay more than this per 8 hours, as a fraction, is refused; None, or a
            rate that is not known, refuses nothing.
        max_spread_bps: An entry is refused while bid and ask are farther apart, or were asked for in vain; None, or a
            driver that has no quotes, refuses nothing.
        max_jump_fraction: An entry is refused on a close that is farther from the one before; None does not ask.
        max_stale_minutes: An entry is refused when the close has not moved for so long while nothing was traded; None
            does not ask.
    """

    max_symbol_notional_fraction: float = 0.25
    max_total_notional_fraction: float = 1.0
    max_symbol_notional: float | None = None
    max_total_notional: float | None = None
    max_daily_loss_fraction: float = 0.03
    max_drawdown_fraction: float = 0.15
    max_orders_per_minute: int = 20
    max_prediction_age_seconds: float = 90.0
    max_trade_risk_fraction: float | None = 0.01
    max_correlated_notional_fraction: float | None = None
    correlation_threshold: float = 0.7
    max_loss_streak: int | None = None
    loss_streak_minutes: int = 60
    max_funding_rate: float | None = None
    max_spread_bps: float | None = None
    max_jump_fraction: float | None = 0.1
    max_stale_minutes: int | None = 10


class MarketFacts(NamedTuple):
    """What a driver knows of a market when it decides, beside candles and forecast; None is not known.

    A driver that tells facts of a market has asked for its quotes: a spread of None is then one that nobody would tell. A
    driver without quotes tells no facts at all.

    Attributes:
        symbol: The market.
        spread_bps: Distance of bid and ask, in basis points of their middle.
        funding_rate: The next one, per 8 hours, as a fraction; longs pay a positive one.
    """

    symbol: Symbol
    spread_bps: float | None = None
    funding_rate: float | None = None


class Surroundings(NamedTuple):
    """What the guards of an entry look at beside the account.

    Attributes:
        round_trip: Cost of entering and leaving, as a fraction of the notional.
        correlated_long: Notional, held or on its way, that gains when the symbol rises: its own, and that of symbols
            which move with it, or against it on the other side.
        correlated_short: The same that gains when it falls.
        jump: How far the close is from the one before, as a fraction.
        stale_minutes: For how long the close has not moved and nothing was traded.
        stale_known: How long that could be at most, by the candles at hand.
        funding_rate: Per 8 hours; None is not known.
        spread_bps: Distance of bid and ask; None is not known.
        quotes_asked: Whether the driver has quotes, so that a spread of None was asked for in vain.
    """

    round_trip: float = 0.0
    correlated_long: float = 0.0
    correlated_short: float = 0.0
    jump: float = 0.0
    stale_minutes: int = 0
    stale_known: int = 0
    funding_rate: float | None = None
    spread_bps: float | None = None
    quotes_asked: bool = False


class Situation(NamedTuple):
    """The account as the review sees it; money in quote currency at the close decided on.

    Attributes:
        closed_at_ms: Candle time of the decision.
        price: Close of the symbol.
        equity: Account equity.
        cash: Wallet balance or unspent money.
        held: Signed quantity held of the symbol.
        symbol_notional: Of the symbol: held plus entries not yet filled.
        total_notional: Of all symbols: held plus entries not yet filled.
        pending_notional: Of all symbols: entries not yet filled.
        around: What the guards of an entry look at.
    """

    closed_at_ms: int
    price: float
    equity: float
    cash: float
    held: float
    symbol_notional: float
    total_notional: float
    pending_notional: float
    around: Surroundings = Surroundings()
