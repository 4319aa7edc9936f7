"""What the compiled kernel writes as small numbers, and the words of the core that they stand for.

Each is a number of numpy and not of Python: numba would compile a function anew for every Python number it is called with.
"""

from __future__ import annotations

from typing import Final, cast

from numpy import int64

from bot.core.entry import LIMIT_EXPIRED, WOULD_CROSS
from bot.core.state import StateEvent, TradingState


def _code(number: int) -> int:
    return cast("int", int64(number))


# --- what a row of the tape allows --------------------------------------------------------------------------
WINDOW_NOT_FULL: Final = _code(0)
NO_FORECAST: Final = _code(1)
FORECAST_NOT_FINITE: Final = _code(2)
FORECAST_GOOD: Final = _code(3)

# --- what the strategy wanted -------------------------------------------------------------------------------
NOT_ASKED: Final = _code(0)
TOO_SMALL: Final = _code(1)
UNCERTAIN: Final = _code(2)
CANNOT_SHORT: Final = _code(3)
INDICATORS_WARMING_UP: Final = _code(4)
OVERBOUGHT: Final = _code(5)
OVERSOLD: Final = _code(6)
MACD_DISAGREES: Final = _code(7)
STOP_UNKNOWN: Final = _code(8)
FORECAST_UP: Final = _code(9)
FORECAST_DOWN: Final = _code(10)
REVERSED: Final = _code(11)
HELD_LONG_ENOUGH: Final = _code(12)
KEEP_LONG: Final = _code(13)
KEEP_SHORT: Final = _code(14)

SIGNAL_WORDS: Final = (
    "",
    "forecast_too_small",
    "edge_uncertain",
    "cannot_short",
    "indicators_warming_up",
    "rsi_overbought",
    "rsi_oversold",
    "macd_disagrees",
    "volatility_unknown",
    "forecast_up",
    "forecast_down",
    "prediction_reversed",
    "held_long_enough",
    "holding",
    "holding",
)
"""Reason of a signal by its code."""

# --- what became of a decision ------------------------------------------------------------------------------
ORDER_SENT: Final = _code(0)
AS_THE_SIGNAL: Final = _code(1)
ORDER_PENDING: Final = _code(2)
WARMING_UP: Final = _code(3)
NO_PREDICTION: Final = _code(4)
PREDICTION_NOT_FINITE: Final = _code(5)
SIZE_UNKNOWN: Final = _code(6)
FIRST_REFUSAL: Final = _code(7)
REDUCING: Final = _code(7)
HALTED: Final = _code(8)
NO_EQUITY: Final = _code(9)
NO_PROTECTION: Final = _code(10)
BELOW_MIN_QUANTITY: Final = _code(11)
BELOW_MIN_NOTIONAL: Final = _code(12)
OVER_NOTIONAL_LIMIT: Final = _code(13)
COOLING_DOWN: Final = _code(14)
PRICE_JUMP: Final = _code(15)
PRICE_STALE: Final = _code(16)
FUNDING_TOO_HIGH: Final = _code(17)
OVER_TRADE_RISK: Final = _code(18)
TOO_MANY_ORDERS: Final = _code(19)

OUTCOME_WORDS: Final = (
    "",
    "",
    "order_pending",
    "warming_up",
    "no_prediction",
    "prediction_not_finite",
    "volatility_unknown",
    "reducing",
    "halted",
    "no_equity",
    "no_protection",
    "below_min_quantity",
    "below_min_notional",
    "over_notional_limit",
    "cooling_down",
    "price_jump",
    "price_stale",
    "funding_too_high",
    "over_trade_risk",
    "too_many_orders",
)
"""Hold reason by its code; from ``FIRST_REFUSAL`` on, the reason of a refusal."""

# --- what rests ---------------------------------------------------------------------------------------------
NOTHING: Final = _code(0)
MARKET_ENTRY: Final = _code(1)
MARKET_EXIT: Final = _code(2)
LIMIT_ENTRY: Final = _code(3)

# --- why a trade ended --------------------------------------------------------------------------------------
STOP_LOSS: Final = _code(1)
TAKE_PROFIT: Final = _code(2)
"""Any other exit has the code of its signal; ``EXIT_WORDS`` names both."""

EXIT_WORDS: Final = {
    STOP_LOSS: "stop_loss",
    TAKE_PROFIT: "take_profit",
    REVERSED: SIGNAL_WORDS[REVERSED],
    HELD_LONG_ENOUGH: SIGNAL_WORDS[HELD_LONG_ENOUGH],
}

# --- what happened at the exchange --------------------------------------------------------------------------
FUNDED: Final = _code(1)
ENTERED: Final = _code(2)
EXITED: Final = _code(3)
STOPPED: Final = _code(4)
TARGET_MET: Final = _code(5)
ENTRY_CANCELED: Final = _code(6)
LIMIT_ACCEPTED: Final = _code(7)
LIMIT_CANCELED: Final = _code(8)
LIMIT_FILLED: Final = _code(9)
FELL_BACK: Final = _code(10)

# --- why a resting entry is canceled ------------------------------------------------------------------------
NOT_CANCELED: Final = _code(0)
EXPIRED: Final = _code(1)
CANCEL_REDUCING: Final = _code(2)
CANCEL_HALTED: Final = _code(3)
CROSSED: Final = _code(4)

CANCEL_WORDS: Final = (
    "",
    LIMIT_EXPIRED,
    TradingState.REDUCING.value,
    TradingState.HALTED.value,
    WOULD_CROSS,
)
"""Why an entry was canceled, by code."""

# --- the trading state --------------------------------------------------------------------------------------
STATES: Final = (
    TradingState.WARMING_UP,
    TradingState.TRADING,
    TradingState.REDUCING,
    TradingState.HALTED,
)
IN_WARM_UP: Final = _code(0)
IN_TRADING: Final = _code(1)
IN_REDUCING: Final = _code(2)
IN_HALTED: Final = _code(3)

STATE_EVENTS: Final = (
    StateEvent.WARMED,
    StateEvent.LOSS_LIMIT,
    StateEvent.NEW_DAY,
    StateEvent.DRAWDOWN,
)
WARMED: Final = _code(0)
LOSS_LIMIT: Final = _code(1)
NEW_DAY: Final = _code(2)
DRAWDOWN: Final = _code(3)
STARTING: Final = _code(-1)
"""Why the account is in its first state: no event."""
