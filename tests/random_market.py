"""Small random markets for tests of whatever drives the core."""

from __future__ import annotations

from typing import Any

import numpy as np

from backtests.inputs import BacktestInput, PredictionColumns, rounded
from bot.core.engine_config import EngineConfig
from bot.core.entry import EntryRule
from bot.core.market import MINUTE_MS, default_instrument
from bot.core.matching import FundingRates
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule
from models.candle_arrays import CandleArrays
from strategies import strategy_factory

START_MS = 1_700_000_000_000 // 28_800_000 * 28_800_000
PERPETUALS = ("BTC/USDT:USDT", "ETH/USDT:USDT", "XRP/USDT:USDT")
SPOTS = ("BTC/USDT", "ETH/USDT", "XRP/USDT")
NO_LIMITS = RiskLimits(max_daily_loss_fraction=1.0, max_drawdown_fraction=1.0)


def random_candles(seed: int, count: int, *, gaps: bool = True, price: float = 100.0) -> CandleArrays:
    """A random walk of one-minute candles on ticks of 0.01, some minutes missing."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(count)
    if gaps:
        # A few long holes and some single missing minutes.
        keep = rng.random(count) > 0.01
        for start in rng.integers(0, count, 2):
            keep[start : start + int(rng.integers(2, 40))] = False
        keep[int(rng.integers(0, count))] = True
        minutes = minutes[keep]
    moves = rng.standard_t(4, len(minutes)) * 0.002
    close = np.round(price * np.exp(np.cumsum(moves)), 2)
    opened = np.round(np.concatenate([[price], close[:-1]]) * (1 + rng.normal(0, 0.0003, len(minutes))), 2)
    high = np.round(np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 0.001, len(minutes)))), 2)
    low = np.round(np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 0.001, len(minutes)))), 2)
    high, low = np.maximum.reduce([high, opened, close]), np.minimum.reduce([low, opened, close])
    volume = rng.integers(0, 9, len(minutes)).astype(np.float64)
    return CandleArrays(START_MS + minutes * MINUTE_MS, opened, high, low, close, volume)


def random_predictions(seed: int, arrays: CandleArrays, *, share: float = 0.9) -> PredictionColumns:
    """Predictions wide enough to trade on, on most of the candles, with probabilities, doubts and volatility on some."""
    rng = np.random.default_rng([seed, 1])
    ts = arrays.ts[rng.random(len(arrays)) < share]
    probability = np.where(rng.random(len(ts)) < 0.5, rounded(rng.random(len(ts))), np.nan)
    expected = rounded(rng.normal(0, 0.004, len(ts)))
    doubt = np.where(rng.random(len(ts)) < 0.5, rounded(rng.uniform(0, 0.003, len(ts))), np.nan)
    wide = np.where(rng.random(len(ts)) < 0.8, rounded(rng.uniform(0.0005, 0.006, len(ts))), np.nan)
    return PredictionColumns(
        ts, expected, "random", 15, probability_up=probability, uncertainty=doubt, volatility=wide
    )


def random_input(
    seed: int,
    *,
    symbols: tuple[str, ...] = PERPETUALS[:1],
    count: int = 600,
    gaps: bool = True,
    limits: RiskLimits = NO_LIMITS,
    funding: FundingRates | None = None,
    sizing: SizingRule | None = None,
    entry: EntryRule | None = None,
    **parameters: Any,
) -> BacktestInput:
    """A whole backtest on random candles of some symbols that share one account."""
    candles = {
        symbol: random_candles(seed * 101 + place, count, gaps=gaps, price=100.0 / 4**place)
        for place, symbol in enumerate(symbols)
    }
    config = EngineConfig(
        run_id="test",
        instruments={
            symbol: default_instrument(symbol, price=float(arrays.close[0]))
            for symbol, arrays in candles.items()
        },
        limits=limits,
        sizing=sizing or SizingRule(),
        window_minutes=10,
        entry=entry or EntryRule(),
    )
    predictions = {symbol: random_predictions(seed + 7, arrays) for symbol, arrays in candles.items()}
    overrides = {"require_macd": False, **parameters}
    return BacktestInput(
        candles, predictions, config, strategy_factory("lstm_scalping", overrides=overrides), funding
    )
