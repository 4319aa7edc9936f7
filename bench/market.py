"""Candles to measure with: the synthetic market, as arrays and as tapes of the simulated exchange."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bot.core.market import Symbol
from bot.simexchange.exchange_info import symbol_id
from bot.simexchange.synthetic import DAY_MS, ORIGIN_MS, SyntheticSource
from bot.simexchange.tape import write_tape
from models.candle_arrays import CandleArrays

SEED = 11
DAY_MINUTES = 1440
BITCOIN = "BTC/USDT:USDT"


def symbols(count: int) -> list[Symbol]:
    """Names of that many perpetuals."""
    return [BITCOIN, *(f"SIM{number:03}/USDT:USDT" for number in range(1, count))]


def synthetic_candles(minutes: int, symbol: Symbol = BITCOIN) -> CandleArrays:
    """The first minutes of the synthetic market."""
    source = SyntheticSource((symbol_id(symbol),), SEED)
    days = -(-minutes // DAY_MINUTES)
    return source.between(symbol_id(symbol), ORIGIN_MS, ORIGIN_MS + days * DAY_MS).rows(0, minutes)


def random_tapes(folder: Path, names: list[Symbol], minutes: int) -> list[str]:
    """A tape of random candles for each symbol, as ``SYMBOL=PATH``."""
    folder.mkdir(parents=True, exist_ok=True)
    words = []
    for number, name in enumerate(names):
        path = folder / f"{symbol_id(name)}.parquet"
        write_tape(path, random_walk(minutes, seed=SEED + number))
        words.append(f"{name}={path}")
    return words


def random_walk(minutes: int, *, seed: int) -> CandleArrays:
    """Candles of a random walk of 9 bps a minute with 100 as its first price."""
    rng = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(rng.standard_t(5, minutes) * 7e-4)), 4)
    open_ = np.concatenate([[100.0], close[:-1]])
    reach = np.abs(rng.normal(size=(2, minutes))) * 3e-4
    high = np.round(np.maximum(open_, close) * (1.0 + reach[0]), 4)
    low = np.round(np.minimum(open_, close) * (1.0 - reach[1]), 4)
    ts = ORIGIN_MS + np.arange(minutes, dtype=np.int64) * 60_000
    volume = np.round(rng.lognormal(3.0, 1.0, minutes), 3)
    return CandleArrays(ts, open_, np.maximum(high, close), np.minimum(low, close), close, volume)
