"""Stretches of whole days that a sweep is made of: each is traded by itself, and is out of sample once at most.

With K folds the time is cut into K + 1 blocks as equal as whole days allow. Fold number k chooses on the blocks before
block k, and is scored on block k. A block begins with a new account and no position, so nothing is carried from one
into the next; what is still open at its end is valued at the last close.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bot.candles.columns import iso_utc
from bot.core.market import DAY_MS, MINUTE_MS, Symbol
from bot.errors import DataError
from models.candle_arrays import CandleArrays

LEAST_BLOCK_DAYS = 2


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole days, UTC.

    Attributes:
        first_day: Days since 1970.
        last_day: Included.
    """

    first_day: int
    last_day: int

    @property
    def since_ms(self) -> int:
        """Its first instant."""
        return self.first_day * DAY_MS

    @property
    def until_ms(self) -> int:
        """Its end, not included."""
        return (self.last_day + 1) * DAY_MS

    @property
    def days(self) -> npt.NDArray[np.int64]:
        """Each of its days, int64."""
        return np.arange(self.first_day, self.last_day + 1, dtype=np.int64)


def cut_into_blocks(candles: Mapping[Symbol, CandleArrays], folds: int) -> tuple[Block, ...]:
    """``folds`` + 1 blocks from the first candle's day to the last one's.

    Raises:
        DataError: There are fewer than two days a block, or a block holds no candle.
    """
    first = min(int(arrays.ts[0]) for arrays in candles.values()) // DAY_MS
    last = max(int(arrays.ts[-1]) for arrays in candles.values()) // DAY_MS
    days = np.arange(first, last + 1)
    if len(days) < LEAST_BLOCK_DAYS * (folds + 1):
        raise DataError(
            f"{len(days)} days can't be cut into {folds} folds: it takes {LEAST_BLOCK_DAYS * (folds + 1)}; "
            "give more candles or fewer --folds"
        )
    blocks = tuple(Block(int(part[0]), int(part[-1])) for part in np.array_split(days, folds + 1))
    for block in blocks:
        if not any(len(arrays.between(block.since_ms, block.until_ms)) for arrays in candles.values()):
            raise DataError(
                f"no candle lies between {iso_utc(block.since_ms)} and {iso_utc(block.until_ms)}: a fold there would "
                "choose or score nothing; give fewer --folds, or candles without that hole"
            )
    return blocks


def days_of(blocks: Sequence[Block]) -> npt.NDArray[np.int64]:
    """The days of all blocks, in order, int64."""
    return np.concatenate([block.days for block in blocks])


def block_of_day(blocks: Sequence[Block]) -> npt.NDArray[np.int64]:
    """Which block each of those days is of, int64."""
    return np.repeat(np.arange(len(blocks)), [len(block.days) for block in blocks])


def embargo_ms(*, lookback_minutes: int, horizon_minutes: int, holding_minutes: float) -> int:
    """How long before an out-of-sample part nothing in sample may count, ms."""
    return int(max(lookback_minutes, horizon_minutes, holding_minutes)) * MINUTE_MS
