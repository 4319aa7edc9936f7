"""The same trader in other people's backtesters: backtrader with its own broker, and backtesting.py.

The trader: flat, it enters where the forecast is large enough, at the next open; it leaves after some minutes, or at its
stop or target. Each peer runs it in its own words, with its own orders, ledger and sizing; only the candles, the forecasts
and the numbers below are shared. What differs is classified by the rules that docs/backtesting.md tells.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from backtests.inputs import BacktestInput, PredictionColumns
from backtests.run import run_backtest
from backtests.seeded import seeded_predictions
from bot.core.engine_config import EngineConfig
from bot.core.market import MINUTE_MS, Instrument, InstrumentKind
from bot.core.matching import Costs
from bot.core.position import Trade
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule
from models.candle_arrays import CandleArrays
from strategies import strategy_factory

SYMBOL = "BTC/USDT:USDT"
WINDOW_MINUTES = 60
NEEDED = 0.0020001
"""The trader's threshold: no forecast, being on 1e-6, equals it."""


class RoundTrip(NamedTuple):
    """One trade as any ledger may tell it; times are the open of the bar, ms."""

    entry_ms: int
    direction: str
    entry_price: float
    exit_ms: int
    exit_price: float
    quantity: float
    fees: float
    pnl: float


@dataclass(frozen=True)
class Trader:
    """What all backtesters are told.

    Attributes:
        arrays: Candles.
        forecasts: float64 [n], on every candle; 0 where nothing may be entered.
        hold_minutes: Leave after so long.
        stop_loss: Distance of the stop from the fill.
        take_profit: Distance of the target.
        cash: Quote currency.
        share: Of the equity in a position.
        most_notional: Quote currency in a position at most; None for no bound.
        tick: Step of prices.
        lot: Step of quantities.
        fee: Of each fill, as a fraction.
        moved: How far a market order moves the price, as a fraction.
    """

    arrays: CandleArrays
    forecasts: np.ndarray
    hold_minutes: int = 15
    stop_loss: float = 0.9
    take_profit: float = 0.9
    cash: float = 1e6
    share: float = 0.2
    most_notional: float | None = None
    tick: float = 0.01
    lot: float = 0.00001
    fee: float = 0.0004
    moved: float = 0.0

    @classmethod
    def on(cls, arrays: CandleArrays, seed: int, *, every: int = 1, **numbers: Any) -> Trader:
        """A trader on random forecasts in every so many minutes; they begin when the core's first window is full."""
        forecasts = seeded_predictions(SYMBOL, arrays, seed).expected_return.copy()
        forecasts[: WINDOW_MINUTES - 1] = 0.0
        forecasts[arrays.ts // MINUTE_MS % every != 0] = 0.0
        return cls(arrays, forecasts, **numbers)

    def quantity(self, equity: float, close: float) -> float:
        """Base units of an entry: the share of the equity at this close, bounded, cut to the lot."""
        notional = self.share * equity
        if self.most_notional is not None:
            notional = min(notional, self.most_notional)
        lot = Decimal(repr(self.lot))
        return float(Decimal(repr(float(notional / close))) // lot * lot)

    def levels(self, side: int, fill: float) -> tuple[float, float]:
        """Stop and target of a fill, on the tick that is nearest."""
        tick = Decimal(repr(self.tick))
        wanted = (fill * (1 - side * self.stop_loss), fill * (1 + side * self.take_profit))
        return tuple(float(round(Decimal(repr(float(price))) / tick) * tick) for price in wanted)  # type: ignore[return-value]

    def is_over(self, row: int, entry_ms: int) -> bool:
        """Whether the time is over at the close of a row."""
        return int(self.arrays.ts[row]) + MINUTE_MS - entry_ms >= self.hold_minutes * MINUTE_MS


# --- ours ---------------------------------------------------------------------------------------------------


def our_trades(trader: Trader) -> list[Trade]:
    """The core, by the fast engine and the built-in strategy ``forecast_hold``."""
    instrument = Instrument(
        SYMBOL,
        InstrumentKind.PERPETUAL,
        tick_size=trader.tick,
        lot_step=trader.lot,
        min_quantity=trader.lot,
        min_notional=1e-9,
    )
    limits = RiskLimits(
        max_symbol_notional_fraction=1.0,
        max_symbol_notional=trader.most_notional,
        max_daily_loss_fraction=1.0,
        max_drawdown_fraction=1.0,
        max_trade_risk_fraction=None,
        max_jump_fraction=None,
        max_stale_minutes=None,
    )
    costs = Costs(
        taker_fee_bps=trader.fee * 10_000,
        half_spread_bps=0.0,
        slippage_bps=trader.moved * 10_000,
        funding_rate=0.0,
    )
    config = EngineConfig(
        run_id="agree",
        instruments={SYMBOL: instrument},
        costs=costs,
        limits=limits,
        sizing=SizingRule(trader.share),
        starting_cash=trader.cash,
        window_minutes=WINDOW_MINUTES,
    )
    parameters = {
        "threshold": NEEDED,
        "hold_minutes": trader.hold_minutes,
        "stop_loss": trader.stop_loss,
        "take_profit": trader.take_profit,
    }
    columns = PredictionColumns(trader.arrays.ts, trader.forecasts, "random", 15)
    factory = strategy_factory("forecast_hold", overrides=parameters)
    data = BacktestInput({SYMBOL: trader.arrays}, {SYMBOL: columns}, config, factory)
    return run_backtest(data).trades


def as_round_trip(trade: Trade) -> RoundTrip:
    """One of ours, its exit at the open of its bar."""
    return RoundTrip(
        trade.entry_at_ms,
        trade.direction,
        trade.entry_price,
        trade.exit_at_ms // MINUTE_MS * MINUTE_MS,
        trade.exit_price,
        trade.quantity,
        trade.fees,
        trade.pnl,
    )


# --- what differs, and why ------------------------------------------------------------------------------------

EQUAL = "equal"
EXIT_MOVED = "an exit is moved too"
AFTER_HOLE = "no decision until the window is full after a hole"
CANCELED = "an entry before a hole is canceled"
REFUSED = "an entry whose open jumps beyond a level is refused"
HALF_TICK = "a level on half a tick goes to either side"
BUSY = "one of the two is still in a trade that differs"

Pair = tuple[RoundTrip | None, RoundTrip | None]


def classified(
    trader: Trader, ours: Iterable[RoundTrip], theirs: Iterable[RoundTrip]
) -> dict[str, list[Pair]]:
    """Every trade of either under the rule that explains it; the key ``""`` holds what none explains."""
    found: dict[str, list[Pair]] = {}
    holes = _hole_ends(trader.arrays)
    ours, theirs = list(ours), list(theirs)
    for pair in _paired(ours, theirs):
        rule = _lone_rule(trader, pair, holes, ours, theirs) if None in pair else _rule(trader, pair, holes)
        found.setdefault(rule, []).append(pair)
    return found


def _paired(ours: list[RoundTrip], theirs: list[RoundTrip]) -> list[Pair]:
    """Trades of the same entry beside each other, in order of entry."""
    ours_by, theirs_by = ({trade.entry_ms: trade for trade in side} for side in (ours, theirs))
    assert (len(ours_by), len(theirs_by)) == (len(ours), len(theirs))
    return [(ours_by.get(ms), theirs_by.get(ms)) for ms in sorted(ours_by.keys() | theirs_by.keys())]


def _hole_ends(arrays: CandleArrays) -> list[int]:
    """Open times of the first candle after each hole."""
    return [int(ts) for ts in arrays.ts[1:][np.diff(arrays.ts) != MINUTE_MS]]


def _lone_rule(
    trader: Trader, pair: Pair, holes: list[int], ours: list[RoundTrip], theirs: list[RoundTrip]
) -> str:
    """Why only one side entered."""
    mine, other = pair
    entry_ms = (mine or other).entry_ms  # type: ignore[union-attr]  # one of them is there
    if mine is None and entry_ms in holes:
        return CANCELED
    if mine is None and any(0 < entry_ms - end < WINDOW_MINUTES * MINUTE_MS for end in holes):
        return AFTER_HOLE
    if mine is not None and _jumps(trader, mine):
        return REFUSED
    absent = ours if mine is None else theirs
    return BUSY if any(trade.entry_ms < entry_ms <= trade.exit_ms for trade in absent) else ""


def _on_half_tick(trader: Trader, ours: RoundTrip, theirs: RoundTrip) -> bool:
    """Whether the exits are one tick apart, of a level that lies in the middle of the two."""
    both = {ours.exit_price, theirs.exit_price}
    same = ours[:4] == theirs[:4] and ours.quantity == theirs.quantity
    side = 1 if ours.direction == "long" else -1
    exact = (ours.entry_price * (1 + side * distance) for distance in (-trader.stop_loss, trader.take_profit))
    middle = any(math.isclose(sum(both) / 2, level, rel_tol=1e-12) for level in exact)
    return same and middle and math.isclose(max(both) - min(both), trader.tick, rel_tol=1e-6)


def _jumps(trader: Trader, trade: RoundTrip) -> bool:
    """Whether the close decided on lies beyond a level of the fill that followed."""
    row = int(np.searchsorted(trader.arrays.ts, trade.entry_ms))
    side = 1 if trade.direction == "long" else -1
    told = float(trader.arrays.close[row - 1]) * (1 + side * trader.moved)  # as it looks at the close: moved
    low, high = sorted(trader.levels(side, trade.entry_price))
    return not low < told < high


def _rule(trader: Trader, pair: Pair, holes: list[int]) -> str:
    """Why two trades of one entry differ, if they do."""
    ours, theirs = pair
    assert ours is not None
    assert theirs is not None
    window_ms = WINDOW_MINUTES * MINUTE_MS
    if is_equal(ours, theirs):
        return EQUAL
    if is_equal(ours, _exit_moved(trader, theirs)):
        return EXIT_MOVED
    if _on_half_tick(trader, ours, theirs):
        return HALF_TICK
    first, last = sorted((ours.exit_ms, theirs.exit_ms))
    over_hole = any(ours.entry_ms < end <= first and last - end <= window_ms for end in holes)
    same_entry = is_equal(ours._replace(**_exit_of(theirs)), theirs)
    return AFTER_HOLE if over_hole and same_entry and ours.exit_ms >= theirs.exit_ms else ""


def _exit_of(trade: RoundTrip) -> dict[str, Any]:
    """The fields that an exit decides."""
    return {name: getattr(trade, name) for name in ("exit_ms", "exit_price", "fees", "pnl")}


def _exit_moved(trader: Trader, trade: RoundTrip) -> RoundTrip:
    """A trade of a ledger that moves entries alone, with its exit moved as well."""
    side = 1 if trade.direction == "long" else -1
    left = trade.exit_price * (1 - side * trader.moved)
    fees = (trade.entry_price + left) * trade.quantity * trader.fee
    pnl = side * (left - trade.entry_price) * trade.quantity - fees
    return trade._replace(exit_price=left, fees=fees, pnl=pnl)


def is_equal(one: RoundTrip, other: RoundTrip) -> bool:
    """Times and direction the same; prices, quantity, fees and profit to 1e-9 of the greater (profit: of the notional's)."""
    if (one.entry_ms, one.direction, one.exit_ms) != (other.entry_ms, other.direction, other.exit_ms):
        return False
    numbers = ("entry_price", "exit_price", "quantity", "fees")
    close = all(math.isclose(getattr(one, name), getattr(other, name), rel_tol=1e-9) for name in numbers)
    # A profit near 0 is the difference of two large numbers: its last digits are theirs.
    slack = 1e-12 * one.entry_price * one.quantity
    return close and math.isclose(one.pnl, other.pnl, rel_tol=1e-9, abs_tol=slack)


def situations(trader: Trader, trades: Iterable[Trade]) -> Counter[str]:
    """What happened to the brackets of our trades: the cases over which backtesters part."""
    arrays = trader.arrays
    rows = {int(ts): row for row, ts in enumerate(arrays.ts)}
    found: Counter[str] = Counter()
    for trade in trades:
        found[trade.exit_reason] += 1
        if trade.exit_reason not in {"stop_loss", "take_profit"}:
            continue
        side = 1 if trade.direction == "long" else -1
        stop, target = trader.levels(side, trade.entry_price)
        row = rows[trade.exit_at_ms // MINUTE_MS * MINUTE_MS]
        low, high, begin = float(arrays.low[row]), float(arrays.high[row]), float(arrays.open[row])
        found["both levels in one bar"] += low <= min(stop, target) and high >= max(stop, target)
        found["in the bar of the entry"] += trade.exit_at_ms // MINUTE_MS * MINUTE_MS == trade.entry_at_ms
        found["a gap over the level"] += (begin - stop) * side < 0 or (begin - target) * side > 0
    return found


def with_holes(arrays: CandleArrays, every: int, length: int) -> CandleArrays:
    """The same candles with so many missing at every so many."""
    keep = np.ones(len(arrays), dtype=bool)
    for start in range(every, len(arrays) - length, every):
        keep[start : start + length] = False
    return CandleArrays(
        *(getattr(arrays, name)[keep] for name in ("ts", "open", "high", "low", "close", "volume"))
    )


def counted(found: dict[str, list[Pair]]) -> dict[str, int]:
    """How many trades each rule explains."""
    return {rule or "UNEXPLAINED": len(pairs) for rule, pairs in sorted(found.items())}
