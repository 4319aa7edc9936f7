"""What all peers are given: one year of candles, one column of forecasts, one strategy in numbers.

The strategy, for every peer: flat, and the forecast of the candle that closed is beyond the threshold either way: enter
at the next open with a tenth of the equity, in whole units, with a stop and a target measured from that close; held, and
the forecast has turned beyond the threshold: leave at the next open. A candle opens where the last closed, so a distance
from the close and one from the fill are the same. Nothing but a fee is charged: not every peer can move the price of a
fill, so slippage is in the fee. Numbers are of numpy alone: the peers have an environment of their own, without us.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

MINUTE_MS = 60_000
START_MS = 1_704_067_200_000
"""2024-01-01 00:00 UTC."""

SEED = 11
FIRST_PRICE = 100.0
TICK_DIGITS = 2
QUIET_MINUTES = 100
"""The first forecasts are 0, until every peer has seen enough."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The strategy in numbers; fractions are of the price or of the equity.

    Attributes:
        threshold: Forecasts beyond it are traded.
        stop: Distance of the stop.
        target: Distance of the target.
        fee: Of each side, as a fraction of the notional: 4 bps of fee and 1.5 of slippage.
        share: Of the equity in a trade.
        cash: At the start, quote currency.
        loud_share: How many of the forecasts are beyond the threshold.
    """

    threshold: float = 0.0012
    stop: float = 0.005
    target: float = 0.010
    fee: float = 0.00055
    share: float = 0.1
    cash: float = 1e8
    loud_share: float = 0.005


@dataclass(frozen=True, slots=True)
class PeerTape:
    """The candles and forecasts, arrays of one length; and the rules."""

    rules: Rules
    ts: np.ndarray[Any, np.dtype[np.int64]]
    open: np.ndarray[Any, np.dtype[np.float64]]
    high: np.ndarray[Any, np.dtype[np.float64]]
    low: np.ndarray[Any, np.dtype[np.float64]]
    close: np.ndarray[Any, np.dtype[np.float64]]
    volume: np.ndarray[Any, np.dtype[np.float64]]
    forecast: np.ndarray[Any, np.dtype[np.float64]]

    def __len__(self) -> int:
        return len(self.ts)

    def head(self, minutes: int) -> PeerTape:
        """Its first minutes."""
        return PeerTape(self.rules, **{name: getattr(self, name)[:minutes] for name in _COLUMNS})


def make_tape(minutes: int, rules: Rules | None = None) -> PeerTape:
    """A random walk of 9 bps a minute whose candles open where the last closed, and forecasts that know nothing of it."""
    rules = rules or Rules()
    rng = np.random.default_rng(SEED)
    moves = rng.standard_t(5, minutes) * 7e-4
    # Drawn back to where it began, so that a year of it stays a price.
    level, walk = 0.0, np.empty(minutes)
    for place, move in enumerate(moves.tolist()):
        level += move - 1e-5 * level
        walk[place] = level
    close = np.round(FIRST_PRICE * np.exp(walk), TICK_DIGITS)
    opened = np.concatenate([[FIRST_PRICE], close[:-1]])
    reach = np.abs(rng.normal(size=(2, minutes))) * 3e-4
    high = np.maximum(
        np.round(np.maximum(opened, close) * (1 + reach[0]), TICK_DIGITS), np.maximum(opened, close)
    )
    low = np.minimum(
        np.round(np.minimum(opened, close) * (1 - reach[1]), TICK_DIGITS), np.minimum(opened, close)
    )
    loud = rng.random(minutes) < rules.loud_share
    size = np.where(loud, 1.0 + rng.random(minutes), 0.9 * rng.random(minutes)) * rules.threshold
    forecast = np.round(size * rng.choice([-1.0, 1.0], minutes), 6)
    forecast[:QUIET_MINUTES] = 0.0
    ts = START_MS + np.arange(minutes, dtype=np.int64) * MINUTE_MS
    return PeerTape(rules, ts, opened, high, low, close, np.full(minutes, 100.0), forecast)


def write_tape(path: Path, tape: PeerTape) -> None:
    """Store a tape for the peers."""
    columns = {name: getattr(tape, name) for name in _COLUMNS}
    np.savez(path, rules=np.array(json.dumps(asdict(tape.rules))), **columns)


def read_tape(path: Path) -> PeerTape:
    """The tape of a file that ``write_tape`` made."""
    with np.load(path) as stored:
        rules = Rules(**json.loads(str(stored["rules"])))
        return PeerTape(rules, **{name: stored[name] for name in _COLUMNS})


_COLUMNS = ("ts", "open", "high", "low", "close", "volume", "forecast")
