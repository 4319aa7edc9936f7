"""What forecasts would have earned: trades that do not overlap, at the prices that could be had, net of costs.

The rule is the plainest that uses a forecast: enter at the next open when the expected return, less what is uncertain
of it, exceeds the costs; stay for the horizon, and then for as long as the forecast has not turned; leave at the next
open after that. No stops, no other filters: it measures the forecast's worth in money, not a strategy's. A backtest of
the strategy is ``bot backtest``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.windows import MINUTE_MS

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class TradingCosts:
    """What a trade costs, as fractions of the notional.

    Attributes:
        round_trip: Fees, spread and slippage of entering and leaving together.
        buffer: What an expected return must exceed that by.
    """

    round_trip: float
    buffer: float = 0.0

    def times(self, factor: float) -> TradingCosts:
        """Costs of so many times the round trip; the buffer stays."""
        return TradingCosts(self.round_trip * factor, self.buffer)


@dataclass(frozen=True, slots=True, eq=False)
class ForecastTrades:
    """Trades in order of symbol and time; arrays of length k.

    Attributes:
        symbol: int16.
        entered: int64, minute of the decision to enter (open time of its candle), ms.
        left: int64, minute of the decision to leave, ms.
        side: 1.0 long, -1.0 short.
        gross: float64, return before costs, as a fraction.
    """

    symbol: npt.NDArray[np.int16]
    entered: Indices
    left: Indices
    side: Floats
    gross: Floats

    def __len__(self) -> int:
        """How many."""
        return len(self.gross)

    def net(self, costs: TradingCosts) -> Floats:
        """Return of each trade after the round trip's costs."""
        return self.gross - costs.round_trip

    def daily(self, costs: TradingCosts, since_ms: int, until_ms: int, symbols: int) -> Floats:
        """Net return of each day in [since, until) by the day of leaving; each symbol has an equal share."""
        first = since_ms // DAY_MS
        days = max(0, -(-until_ms // DAY_MS) - first)
        place = np.clip(self.left // DAY_MS - first, 0, max(days - 1, 0))
        return np.bincount(place, weights=self.net(costs), minlength=days) / max(symbols, 1)


def forecast_trades(
    ts: Indices,
    symbol: npt.NDArray[np.int16],
    expected: Floats,
    fill: Floats,
    *,
    horizon: int,
    costs: TradingCosts,
    uncertainty: Floats | None = None,
    confidence: float = 1.0,
) -> ForecastTrades:
    """Trade the forecasts of some symbols, each by itself.

    Args:
        ts: int64 [n], minutes, ms; within a symbol increasing.
        symbol: int16 [n], numbers of symbols, each symbol's rows together.
        expected: float64 [n], expected return over the horizon, as a fraction; NaN where there is no forecast.
        fill: float64 [n], the price at which an order decided in that minute is filled (the next open); NaN where
            there is none.
        horizon: Minutes a trade stays at least.
        costs: Decide which forecasts are worth a trade.
        uncertainty: float64 [n], deviation of the expected return; NaN counts as 0.
        confidence: So many of those deviations are taken off the expected return.
    """
    edge = np.abs(expected)
    if uncertainty is not None:
        edge = edge - confidence * np.nan_to_num(uncertainty)
    tradable = np.isfinite(expected) & np.isfinite(fill)
    worth = tradable & (edge > costs.round_trip + costs.buffer)
    breaks = np.flatnonzero(
        (np.diff(symbol) != 0) | (np.diff(ts) != MINUTE_MS) | ~tradable[1:] | ~tradable[:-1]
    )
    edges = np.concatenate([[0], breaks + 1, [len(ts)]])
    found: list[tuple[int, int]] = []
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if stop - start > 1:
            found += _trades_within(expected, worth, start, stop, horizon)
    entries = np.array([entry for entry, _ in found], np.int64)
    exits = np.array([leave for _, leave in found], np.int64)
    side = np.sign(expected[entries])
    return ForecastTrades(
        symbol=symbol[entries],
        entered=ts[entries],
        left=ts[exits],
        side=side,
        gross=side * (fill[exits] / fill[entries] - 1.0),
    )


def _trades_within(
    expected: Floats, worth: npt.NDArray[np.bool_], start: int, stop: int, horizon: int
) -> list[tuple[int, int]]:
    """(entry, exit) rows within a stretch of minutes without a gap; what is open at its end is left at its last row."""
    chances = np.flatnonzero(worth[start:stop]) + start
    if not len(chances):
        return []
    piece = expected[start:stop]
    against = {1: np.flatnonzero(piece <= 0.0) + start, -1: np.flatnonzero(piece >= 0.0) + start}
    last = stop - 1
    trades = []
    now = start
    while (place := int(np.searchsorted(chances, now))) < len(chances):
        entry = int(chances[place])
        turned = against[1 if expected[entry] > 0.0 else -1]
        after = int(np.searchsorted(turned, entry + horizon))
        leave = min(int(turned[after]) if after < len(turned) else last, last)
        if leave <= entry:
            break
        trades.append((entry, leave))
        now = leave
    return trades
