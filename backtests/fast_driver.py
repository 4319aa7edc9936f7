"""The fast driver: the exact core in a plain loop over the batches of each minute."""

from __future__ import annotations

from backtests.inputs import minute_batches
from backtests.session import Session
from bot.core.market import MINUTE_MS


def drive(session: Session) -> None:
    """Run a session over all candles of its input, in order of time."""
    match, observe, decide = session.match, session.observe, session.decide
    for candles, predictions in minute_batches(session.data):
        observe(candles, match(candles))
        decide(predictions, candles[0][1] + MINUTE_MS)
