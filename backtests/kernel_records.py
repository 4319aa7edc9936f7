"""The records that the compiled kernel reads and writes: flat structures of numbers, as a C program would keep them."""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Records: TypeAlias = npt.NDArray[np.void]

BAR: Final = np.dtype(
    [
        ("ts", np.int64),
        ("open", np.float64),
        ("high", np.float64),
        ("low", np.float64),
        ("close", np.float64),
        ("expected", np.float64),
        ("first_funding", np.int32),
        ("funding_count", np.int32),
        ("symbol", np.int32),
        ("status", np.int32),
    ]
)
"""A candle, a cache line long: open time (ms), prices, expected return (0 where nothing may be decided), the fundings that
are paid at it if something is held, place of its symbol, ``WINDOW_NOT_FULL`` to ``FORECAST_GOOD``."""

HINT: Final = np.dtype(
    [
        ("doubt", np.float64),
        ("volatility", np.float64),
        ("rsi", np.float64),
        ("histogram", np.float64),
        ("jump", np.float64),
        ("stale", np.float64),
    ]
)
"""What is only read where an entry is near: deviation of the expected return and expected volatility (NaN for none), RSI
(NaN until both indicators are warm), MACD histogram, distance of the close from the one before it in the window (fraction),
minutes for which it has not moved while nothing was traded."""

FUNDING: Final = np.dtype([("at_ms", np.int64), ("rate", np.float64)])
"""A funding time, and its rate as a fraction."""

RULES: Final = np.dtype(
    [
        ("is_spot", np.int64),
        ("tick_size", np.float64),
        ("lot_step", np.float64),
        ("tick_decimals", np.int64),
        ("lot_decimals", np.int64),
        ("min_quantity", np.float64),
        ("min_notional", np.float64),
        ("buy_factor", np.float64),
        ("sell_factor", np.float64),
        ("taker_fee_bps", np.float64),
        ("maker_fee_bps", np.float64),
        ("half_spread_bps", np.float64),
        ("is_maker", np.int64),
        ("limit_ms", np.int64),
        ("falls_back", np.int64),
        ("equity_fraction", np.float64),
        ("target_volatility", np.float64),
        ("max_symbol_notional_fraction", np.float64),
        ("max_total_notional_fraction", np.float64),
        ("max_symbol_notional", np.float64),
        ("max_total_notional", np.float64),
        ("max_daily_loss_fraction", np.float64),
        ("max_drawdown_fraction", np.float64),
        ("max_orders_per_minute", np.int64),
        ("max_trade_risk_fraction", np.float64),
        ("max_loss_streak", np.int64),
        ("loss_streak_ms", np.int64),
        ("max_funding_rate", np.float64),
        ("max_jump_fraction", np.float64),
        ("max_stale_minutes", np.int64),
        ("stale_known", np.int64),
    ]
)
"""What one symbol is played by: its instrument, and the costs, sizes and limits of the account (the same for all).

A limit that is None stands as infinity, or as -1 where it counts something; a target volatility or funding rate as NaN.
"""

WISHES: Final = np.dtype(
    [
        ("needed", np.float64),
        ("threshold", np.float64),
        ("edge_confidence", np.float64),
        ("stop_loss", np.float64),
        ("take_profit", np.float64),
        ("stop_volatility", np.float64),
        ("nearest_stop", np.float64),
        ("farthest_stop", np.float64),
        ("target_ratio", np.float64),
        ("round_trip", np.float64),
        ("rsi_overbought", np.float64),
        ("rsi_oversold", np.float64),
        ("require_macd", np.int64),
        ("exit_on_reversal", np.int64),
        ("max_holding_ms", np.int64),
    ]
)
"""The parameters of the strategy of one symbol, and what follows from them for every bar."""

DESK: Final = np.dtype(
    [
        ("quantity", np.float64),
        ("entry_price", np.float64),
        ("opened_at_ms", np.int64),
        ("fees", np.float64),
        ("funding", np.float64),
        ("mark", np.float64),
        ("stop_level", np.float64),
        ("target_level", np.float64),
        ("resting", np.int64),
        ("sign", np.int64),
        ("wished", np.float64),
        ("decided_ms", np.int64),
        ("expires_ms", np.int64),
        ("limit_price", np.float64),
        ("cancel", np.int64),
        ("stop_fraction", np.float64),
        ("target_fraction", np.float64),
        ("exit_code", np.int64),
        ("funded_ms", np.int64),
        ("funding_rate", np.float64),
    ]
)
"""One symbol: what is held, its two protective levels, the one order that may rest, and its last funding rate."""

ACCOUNT: Final = np.dtype(
    [
        ("cash", np.float64),
        ("equity", np.float64),
        ("fees_paid", np.float64),
        ("funding_paid", np.float64),
        ("peak", np.float64),
        ("trough", np.float64),
        ("max_drawdown", np.float64),
        ("day_start", np.float64),
        ("day", np.int64),
        ("state", np.int64),
        ("reason", np.int64),
        ("row", np.int64),
        ("held", np.int64),
        ("resting", np.int64),
        ("streak", np.int64),
        ("cooling_until_ms", np.int64),
        ("sent", np.int64),
        ("trades", np.int64),
        ("events", np.int64),
        ("changes", np.int64),
    ]
)
"""The account, the risk gate, the row at hand, and how much was written so far."""

TRADE: Final = np.dtype(
    [
        ("symbol", np.int64),
        ("is_long", np.int64),
        ("entry_at_ms", np.int64),
        ("entry_price", np.float64),
        ("exit_at_ms", np.int64),
        ("exit_price", np.float64),
        ("quantity", np.float64),
        ("fees", np.float64),
        ("funding", np.float64),
        ("pnl", np.float64),
        ("exit_code", np.int64),
    ]
)
"""A round trip: place of its symbol, times in ms, prices and money in quote currency, a key of ``EXIT_WORDS``."""

EVENT: Final = np.dtype(
    [
        ("row", np.int64),
        ("kind", np.int64),
        ("at_ms", np.int64),
        ("quantity", np.float64),
        ("price", np.float64),
        ("fee", np.float64),
        ("reason", np.int64),
    ]
)
"""What happened at the exchange: in which row, when (ms), base units (of a funding: its rate), price, fee."""

CHANGE: Final = np.dtype(
    [("before", np.int64), ("after", np.int64), ("event", np.int64), ("at_ms", np.int64)]
)
"""A move of the trading state: places in ``STATES`` and ``STATE_EVENTS``."""


DECISION: Final = np.dtype(
    [
        ("outcome", np.int64),
        ("signal", np.int64),
        ("cancel", np.int64),
        ("quantity", np.float64),
        ("stop_fraction", np.float64),
        ("target_fraction", np.float64),
    ]
)
"""What was decided on a candle: three codes, and the entry that was wished for."""

MINUTE: Final = np.dtype([("equity", np.float64), ("cash", np.float64), ("exposure", np.float64)])
"""The account at the close of a minute, quote currency."""


class Columns(NamedTuple):
    """The tape: one row a candle, in order of time and then of symbol names; one batch a minute.

    Attributes:
        bars: ``BAR``, shape (n,).
        hints: ``HINT``, shape (n,).
        fundings: ``FUNDING``, in the order in which bars pay them.
        first_row: First row of each batch, and the end; shape (b + 1,).
        loudest: Largest absolute expected return of each batch; shape (b,).
    """

    bars: Records
    hints: Records
    fundings: Records
    first_row: Integers
    loudest: Floats


class Books(NamedTuple):
    """What a run writes; of a lean run events, changes, decisions and minutes have length 0.

    Attributes:
        trades: ``TRADE``, as many as the account says; likewise the next two.
        events: ``EVENT``.
        changes: ``CHANGE``.
        noted: Equity after each of the batches that were asked for.
        decisions: ``DECISION``, of each row of the part.
        minutes: ``MINUTE``, of each batch of the part.
    """

    trades: Records
    events: Records
    changes: Records
    noted: Floats
    decisions: Records
    minutes: Records
