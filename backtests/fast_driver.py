"""The fast driver: the exact core, minute by minute where something may happen, in stretches where nothing does.

A stretch is some minutes in a row on whose forecasts every strategy is sure to leave things as they are. Its candles
still meet the exchange one by one, and while something is held the account is valued at each; what is saved is asking
for a decision that is known. ``drive_plainly`` asks on every candle; both leave the same stream, to the last digit.
"""

from __future__ import annotations

import numpy as np

from backtests.blocks import Block, Stretch, blocks
from backtests.inputs import BacktestInput, minute_batches
from backtests.session import Session
from bot.core.market import MINUTE_MS

LONGEST_STRETCH = 256
"""Minutes: how far ahead is looked at once."""

SHORTEST_STRETCH = 4
"""Minutes: deciding on fewer is quicker than passing over them."""


def drive(session: Session) -> None:
    """Run a session over all candles of its input, in order of time."""
    if session.data.turns or not session.engine.is_foreseeable or not _all_finite(session.data):
        drive_plainly(session)
        return
    for block in blocks(session.data):
        _drive_block(session, block)


def drive_plainly(session: Session) -> None:
    """The same with a decision on every candle, whatever the strategy is."""
    match, observe, decide = session.match, session.observe, session.decide
    for candles, predictions in minute_batches(session.data):
        observe(candles, match(candles))
        decide(predictions, candles[0][1] + MINUTE_MS)


def _all_finite(data: BacktestInput) -> bool:
    """Whether no forecast is refused for its number: a bound says nothing of those."""
    return all(np.isfinite(columns.expected_return).all() for columns in data.predictions.values())


def _drive_block(session: Session, block: Block) -> None:
    minute, count, busy_until = 0, len(block.minutes), 0
    breaks = set(block.breaks)
    reports = None
    while minute < count:
        candles = block.candles(minute)
        if reports is None:
            reports = session.match(candles)
        if reports:
            session.settle(reports)
        if minute >= busy_until and minute not in breaks:
            stretch = _stretch_from(session, block, minute)
            if stretch.until - minute >= SHORTEST_STRETCH:
                minute, reports = session.pass_over(stretch)
                continue
            busy_until = stretch.until + 1
        session.observe(candles)
        session.decide(block.predictions(minute), block.minutes[minute] + MINUTE_MS)
        minute, reports = minute + 1, None


def _stretch_from(session: Session, block: Block, since: int) -> Stretch:
    """The calm minutes from ``since`` on, none perhaps, by what strategies say of forecasts."""
    lanes = block.lanes_at(since)
    calms = session.engine.calm([lane.symbol for lane in lanes])
    if calms is None:
        return Stretch(lanes, (), since, since)
    until = min(block.next_break(since), since + LONGEST_STRETCH)
    for lane, calm in zip(lanes, calms, strict=True):
        until = lane.calm_until(calm, since, until)
    return Stretch(lanes, calms, since, until)
