"""Rules, parameters and a fresh account as the records that the compiled loop reads."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from backtests.kernel_codes import STARTING
from backtests.kernel_records import ACCOUNT, DESK, RULES, WISHES, Records
from bot.core.engine_config import EngineConfig
from bot.core.market import MINUTE_MS, Instrument, InstrumentKind, Symbol, decimals_of
from bot.core.orders import Side
from strategies.lstm_scalping import LEAST_STOP, MOST_DISTANCE, ScalpingParameters


def rules_of(config: EngineConfig) -> Records:
    """One record a symbol, in the order of names."""
    made = np.zeros(len(config.instruments), dtype=RULES)
    for place, (_, instrument) in enumerate(sorted(config.instruments.items())):
        values = {**_instrument_rules(instrument, config.window_minutes), **_account_rules(config)}
        for name, value in values.items():
            made[place][name] = value
    return made


def _instrument_rules(instrument: Instrument, window_minutes: int) -> dict[str, float]:
    return {
        "is_spot": instrument.kind is InstrumentKind.SPOT,
        "tick_size": instrument.tick_size,
        "lot_step": instrument.lot_step,
        "tick_decimals": decimals_of(instrument.tick_size),
        "lot_decimals": decimals_of(instrument.lot_step),
        "min_quantity": instrument.min_quantity,
        "min_notional": instrument.min_notional,
        "stale_known": max(window_minutes - 1, 0),
    }


def _account_rules(config: EngineConfig) -> dict[str, float]:
    costs, entry, limits, sizing = config.costs, config.entry, config.limits, config.sizing
    return {
        # A price times one is that price: the very factor of ``Costs.market_price``.
        "buy_factor": costs.market_price(Side.BUY, 1.0),
        "sell_factor": costs.market_price(Side.SELL, 1.0),
        "taker_fee_bps": costs.taker_fee_bps,
        "maker_fee_bps": costs.maker_fee_bps,
        "half_spread_bps": costs.half_spread_bps,
        "is_maker": entry.is_maker,
        "limit_ms": entry.limit_minutes * MINUTE_MS,
        "falls_back": entry.taker_fallback,
        "equity_fraction": sizing.equity_fraction,
        "target_volatility": _or(sizing.target_volatility, math.nan),
        "max_symbol_notional_fraction": limits.max_symbol_notional_fraction,
        "max_total_notional_fraction": limits.max_total_notional_fraction,
        "max_symbol_notional": _or(limits.max_symbol_notional, math.inf),
        "max_total_notional": _or(limits.max_total_notional, math.inf),
        "max_daily_loss_fraction": limits.max_daily_loss_fraction,
        "max_drawdown_fraction": limits.max_drawdown_fraction,
        "max_orders_per_minute": limits.max_orders_per_minute,
        "max_trade_risk_fraction": _or(limits.max_trade_risk_fraction, math.inf),
        "max_loss_streak": _or(limits.max_loss_streak, -1),
        "loss_streak_ms": limits.loss_streak_minutes * MINUTE_MS,
        "max_funding_rate": _or(limits.max_funding_rate, math.nan),
        "max_jump_fraction": _or(limits.max_jump_fraction, math.inf),
        "max_stale_minutes": _or(limits.max_stale_minutes, -1),
    }


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def wishes_of(
    parameters: ScalpingParameters | Mapping[Symbol, ScalpingParameters], config: EngineConfig
) -> Records:
    """One record a symbol, in the order of names; the same parameters for all unless they are given by symbol."""
    made = np.zeros(len(config.instruments), dtype=WISHES)
    round_trip = config.entry.round_trip(config.costs)
    for place, symbol in enumerate(sorted(config.instruments)):
        told = parameters if isinstance(parameters, ScalpingParameters) else parameters[symbol]
        ratio = told.take_profit / told.stop_loss
        values = {
            "needed": max(told.threshold, round_trip + told.cost_margin),
            "threshold": told.threshold,
            "edge_confidence": told.edge_confidence,
            "stop_loss": told.stop_loss,
            "take_profit": told.take_profit,
            "stop_volatility": told.stop_volatility,
            "nearest_stop": max(round_trip, LEAST_STOP),
            "farthest_stop": MOST_DISTANCE / max(1.0, ratio),
            "target_ratio": ratio,
            "round_trip": round_trip,
            "rsi_overbought": told.rsi_overbought,
            "rsi_oversold": told.rsi_oversold,
            "require_macd": told.require_macd,
            "exit_on_reversal": told.exit_on_reversal,
            "max_holding_ms": told.max_holding_minutes * MINUTE_MS,
        }
        for name, value in values.items():
            made[place][name] = value
    return made


def fresh_account(starting_cash: float) -> Records:
    """The account before the first candle, as one record."""
    made = np.zeros(1, dtype=ACCOUNT)
    for name in ("cash", "equity", "peak", "trough", "day_start"):
        made[0][name] = starting_cash
    made[0]["day"] = -1
    made[0]["reason"] = STARTING
    return made


def fresh_desks(count: int) -> Records:
    """Of each symbol: nothing held, nothing resting, nothing known."""
    return np.zeros(count, dtype=DESK)
