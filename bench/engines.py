"""The two backtest engines on a year of one symbol: bars a second, and that their trades are the same."""

from __future__ import annotations

import time

from backtests.inputs import BacktestInput
from backtests.results import BacktestResult
from backtests.run import run_backtest
from backtests.seeded import seeded_predictions
from bench.context import Context
from bench.figures import Figure
from bench.market import BITCOIN, DAY_MINUTES, SEED, synthetic_candles
from bench.processes import BenchError
from bot.core.engine_config import EngineConfig
from bot.core.market import default_instrument
from bot.core.risk import RiskLimits
from strategies import strategy_factory


def measure(context: Context) -> list[Figure]:
    """Fast, backtrader, fast again: the machine is not the same at every moment."""
    minutes = context.pick(365 * DAY_MINUTES, 60 * DAY_MINUTES, 2 * DAY_MINUTES)
    data = year_of_trading(minutes)
    first, slow, second = (timed(data, engine) for engine in ("fast", "backtrader", "fast"))
    if not slow.trades or (slow.trades, slow.fills) != (first.trades, first.fills):
        raise BenchError("the engines do not agree: run `bot verify-parity` on a tape")
    fast = max(first.bars_per_second, second.bars_per_second)
    shared = f"{minutes:,} candles, {len(slow.trades):,} trades, the same in both"
    return [
        Figure("fast", fast, "1/s", note=shared),
        Figure("backtrader", slow.bars_per_second, "1/s"),
        Figure("fast_over_backtrader", fast / slow.bars_per_second, "ratio", ">= 3"),
        Figure("fast_a_year", 365 * DAY_MINUTES / fast, "s"),
    ]


def year_of_trading(minutes: int) -> BacktestInput:
    """The synthetic market with seeded forecasts, which trade often; nothing halts it."""
    candles = synthetic_candles(minutes)
    config = EngineConfig(
        run_id="bench",
        instruments={BITCOIN: default_instrument(BITCOIN, price=float(candles.close[0]))},
        limits=RiskLimits(max_daily_loss_fraction=1.0, max_drawdown_fraction=1.0),
        starting_cash=1e9,
    )
    return BacktestInput(
        candles={BITCOIN: candles},
        predictions={BITCOIN: seeded_predictions(BITCOIN, candles, SEED)},
        config=config,
        make_strategy=strategy_factory("lstm_scalping"),
    )


def timed(data: BacktestInput, engine: str) -> BacktestResult:
    """One run; its time is that of driver and core, without reading and writing."""
    return run_backtest(data, engine=engine, monotonic_ns=time.perf_counter_ns)
