"""What trading costs: fees, spread, slippage, and the funding of perpetuals."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.core.liquidation import MarginRule
from bot.core.market import MINUTE_MS, Symbol
from bot.core.orders import Side
from bot.core.slippage import ImpactRule
from bot.core.spread import SpreadRule

FUNDING_INTERVAL_MS = 8 * 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs, in basis points of the notional (1 bp = 0.01 %).

    Attributes:
        taker_fee_bps: Fee of a market order.
        half_spread_bps: Half the distance between bid and ask.
        slippage_bps: What a market order moves beyond that.
        funding_rate: Per 8 hours, as a fraction, for a perpetual whose rates are not given.
        maker_fee_bps: Fee of a limit order that waited.
        spread: How half the spread is estimated from candles, ``half_spread_bps`` at least; None takes that as it is.
        impact: What an order moves beyond ``slippage_bps`` by its size; None for nothing.
        participation_cap: Share of a candle's volume that our orders trade at most; None for no cap.
        latency_ms: From a decision to the moment at which its order reaches the market.
        margin: When the exchange closes a perpetual position by force; None for never.
    """

    taker_fee_bps: float = 4.0
    half_spread_bps: float = 0.5
    slippage_bps: float = 1.0
    funding_rate: float = 0.0001
    maker_fee_bps: float = 2.0
    spread: SpreadRule | None = None
    impact: ImpactRule | None = None
    participation_cap: float | None = None
    latency_ms: int = 0
    margin: MarginRule | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing but fees, a fixed half spread, a fixed slippage and funding is at work."""
        return (
            self.spread is None
            and self.impact is None
            and self.participation_cap is None
            and self.latency_ms == 0
            and self.margin is None
        )

    @property
    def round_trip(self) -> float:
        """Cost of entering and leaving at market, as a fraction of the notional: the fixed part of it.

        It is what a strategy and the risk review expect. What depends on a candle that has not come yet (an estimated
        spread, the impact of a size, latency) is not in it: the fixed figures stand for what is usual.
        """
        return 2 * (self.taker_fee_bps + self.half_spread_bps + self.slippage_bps) / 10_000

    def market_price(self, side: Side, price: float) -> float:
        """A price moved against us by half the spread plus slippage."""
        return price * (1 + side.sign * (self.half_spread_bps + self.slippage_bps) / 10_000)

    def fee(self, notional: float) -> float:
        """The taker fee, quote currency."""
        return notional * self.taker_fee_bps / 10_000

    def maker_fee(self, notional: float) -> float:
        """The maker fee, quote currency."""
        return notional * self.maker_fee_bps / 10_000


@dataclass(slots=True)
class FundingRates:
    """Which rate is paid when.

    Attributes:
        constant: Rate per 8 hours, paid at 00:00, 08:00 and 16:00 UTC, where a symbol has no table.
        tables: Per symbol: rate by payment time, which must be cut to the whole minute.
    """

    constant: float
    tables: dict[Symbol, dict[int, float]] = field(default_factory=dict)

    def between(self, symbol: Symbol, after_ms: int, until_ms: int) -> list[tuple[int, float]]:
        """Payment times with after_ms < time <= until_ms, and their rates, in order."""
        table = self.tables.get(symbol)
        if table is not None:
            next_ms = (after_ms // MINUTE_MS + 1) * MINUTE_MS
            return [(at, table[at]) for at in range(next_ms, until_ms + 1, MINUTE_MS) if at in table]
        first = after_ms // FUNDING_INTERVAL_MS + 1
        last = until_ms // FUNDING_INTERVAL_MS
        if first > last:  # nearly always
            return []
        return [(index * FUNDING_INTERVAL_MS, self.constant) for index in range(first, last + 1)]
