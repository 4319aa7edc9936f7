"""Our engines as peers: ``python -m bench.peer_ours TAPE ENGINE``."""

from __future__ import annotations

import importlib.util
import sys
import time
from importlib.metadata import version
from typing import Any

from backtests.inputs import BacktestInput, PredictionColumns
from backtests.run import run_backtest
from bench.peer_process import Outcome, Runner, serve
from bench.peer_tape import TICK_DIGITS, PeerTape
from bot.core.costs import Costs
from bot.core.engine_config import EngineConfig
from bot.core.market import Instrument, InstrumentKind
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule
from models.candle_arrays import CandleArrays
from strategies import ScalpingParameters, strategy_factory

BITCOIN = "BTC/USDT:USDT"
WARM_MINUTES = 1440


def parameters_of(tape: PeerTape) -> dict[str, Any]:
    """The strategy of ``bench.peer_tape``: ours without the indicators that it filters with."""
    rules = tape.rules
    return {
        "threshold": rules.threshold,
        "cost_margin": 0.0,
        "stop_loss": rules.stop,
        "take_profit": rules.target,
        "rsi_overbought": 100.0,
        "rsi_oversold": 0.0,
        "require_macd": False,
    }


def input_of(tape: PeerTape) -> BacktestInput:
    """The tape as one of our backtests is fed."""
    rules = tape.rules
    tick = 10.0**-TICK_DIGITS
    instrument = Instrument(BITCOIN, InstrumentKind.PERPETUAL, tick, 1.0, 1.0, 1.0)
    config = EngineConfig(
        run_id="bench",
        instruments={BITCOIN: instrument},
        costs=Costs(
            taker_fee_bps=rules.fee * 10_000, half_spread_bps=0.0, slippage_bps=0.0, funding_rate=0.0
        ),
        limits=RiskLimits(max_daily_loss_fraction=1.0, max_drawdown_fraction=1.0),
        sizing=SizingRule(rules.share),
        starting_cash=rules.cash,
    )
    candles = CandleArrays(tape.ts, tape.open, tape.high, tape.low, tape.close, tape.volume)
    predictions = PredictionColumns(tape.ts, tape.forecast, "bench", 15)
    factory = strategy_factory("lstm_scalping", overrides=parameters_of(tape))
    return BacktestInput({BITCOIN: candles}, {BITCOIN: predictions}, config, factory)


def has_kernel() -> bool:
    """Whether the compiled kernel is there, and what compiles it."""
    return all(importlib.util.find_spec(name) for name in ("backtests.kernel", "numba"))


def prepare(tape: PeerTape, engine: str) -> Runner:
    """One of our engines on the tape."""
    if engine == "kernel":
        return _kernel(tape)
    data = input_of(tape)
    run_backtest(
        input_of(tape.head(WARM_MINUTES)), engine=engine
    )  # what is imported with the first run is not timed

    def outcome(found: Any) -> Outcome:
        return Outcome(len(found.trades), float(found.equity.equity[-1]))

    return Runner(lambda: run_backtest(data, engine=engine), outcome, version("lstm-scalping-bot"))


def _kernel(tape: PeerTape) -> Runner:
    from backtests.kernel import KernelTape

    began = time.perf_counter()
    made = KernelTape.of(input_of(tape))
    parameters = ScalpingParameters.of("default", parameters_of(tape))
    made.run(parameters)
    seconds = time.perf_counter() - began

    def outcome(found: Any) -> Outcome:
        return Outcome(len(found.trades()), float(found.final_equity))

    return Runner(lambda: made.run(parameters), outcome, version("lstm-scalping-bot"), seconds)


if __name__ == "__main__":
    serve(lambda tape: prepare(tape, sys.argv[2]))
