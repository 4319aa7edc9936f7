"""What a person should know before believing the figures of a backtest, in words.

Most results that look too good are faults: of the data, of the predictions or of the costs. Each warning says where to
look. The levels are rules of thumb, not tests: above them a fault is likelier than a fortune.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from backtests.inputs import BacktestInput
from backtests.results import BacktestResult
from bot.candles.columns import iso_utc
from bot.core.market import MINUTE_MS
from bot.core.state import TradingState

LEAST_TRADES_TO_TRUST = 20
GOOD_SHARPE = 3.0
GOOD_WIN_RATE = 0.6
GOOD_PROFIT_FACTOR = 5.0
SMALL_DRAWDOWN = 0.02
LARGE_DAY_SHARE = 0.25
LEAST_DAYS_FOR_A_DAY = 2
"""Of a single day the best day is the whole result."""

_FUTURE = "look for predictions that knew the future or were made on training data"


def cautions_of(values: Mapping[str, Any], result: BacktestResult) -> list[str]:
    """All warnings about a run.

    Args:
        values: The figures that ``figures_of`` makes.
        result: The run.
    """
    found: list[str] = []
    if not values["trades"]:
        found.append(f"no trade was closed; held back: {_held_back(result)}")
    else:
        if values["trades"] < LEAST_TRADES_TO_TRUST:
            found.append(
                f"only {values['trades']} trades: too few to tell skill from luck (at least {LEAST_TRADES_TO_TRUST}): take a "
                "longer time or more symbols"
            )
        found += _too_good(values)
    if values["open_positions"]:
        held = ", ".join(f"{name} {quantity:g}" for name, quantity in values["open_positions"].items())
        found.append(f"still open at the end, valued at the last close: {held}")
    found += _halts(result)
    return found


def hole_warnings(data: BacktestInput) -> list[str]:
    """Which candles are missing between the first and the last of each symbol, and what that does."""
    found = []
    for symbol in data.symbols:
        ts = data.candles[symbol].ts
        steps = np.diff(ts)
        places = np.flatnonzero(steps != MINUTE_MS)
        if not len(places):
            continue
        missing = steps[places] // MINUTE_MS - 1
        longest = int(missing.argmax())
        found.append(
            f"{int(missing.sum()):,} minutes of {symbol} are missing in {len(places):,} hole{'s' if len(places) > 1 else ''}"
            f" (the longest has {int(missing[longest]):,}, after {iso_utc(int(ts[places[longest]]))}): an entry decided just "
            f"before is canceled, and nothing is decided until {data.config.window_minutes} candles follow each other again"
        )
    return found


def _held_back(result: BacktestResult) -> str:
    """The most frequent reasons why nothing was sent."""
    reasons: Sequence[tuple[str | None, int]] = result.hold_reasons.most_common(3)
    return (
        ", ".join(f"{reason.replace('_', ' ')} {count:,} times" for reason, count in reasons if reason)
        or "nothing"
    )


def _halts(result: BacktestResult) -> Iterator[str]:
    for change in result.state_changes:
        if change.after is TradingState.HALTED:
            yield f"trading halted ({change.reason}) at {iso_utc(change.at_ms)} and took no new risk from then on"


def _too_good(values: Mapping[str, Any]) -> Iterator[str]:
    """Figures of a run with trades that are seldom honest."""
    sharpe, wins, factor = values["sharpe"], values["win_rate"], values["profit_factor"]
    if sharpe is not None and sharpe > GOOD_SHARPE:
        yield (
            f"a Sharpe ratio of {sharpe:.1f} is too good to be true (above {GOOD_SHARPE:g} hardly anyone stays for long): "
            f"{_FUTURE}, and for costs below those of your exchange"
        )
    if wins is not None and wins > GOOD_WIN_RATE:
        yield (
            f"a win rate of {wins:.0%} is too good to be true (above {GOOD_WIN_RATE:.0%}): look for stops much farther away "
            f"than targets, so that a rare loss takes many gains, and else {_FUTURE}"
        )
    if factor is not None and factor > GOOD_PROFIT_FACTOR:
        yield f"a profit factor of {factor:.1f} is too good to be true (above {GOOD_PROFIT_FACTOR:g}): {_FUTURE}"
    if values["profit"] > 0:
        yield from _too_smooth(values)


def _too_smooth(values: Mapping[str, Any]) -> Iterator[str]:
    """A profit that never hurt, or that came on one day."""
    if values["max_drawdown"] < SMALL_DRAWDOWN:
        yield (
            f"a largest drawdown of {values['max_drawdown']:.2%} beside a profit is too good to be true (below "
            f"{SMALL_DRAWDOWN:.0%}): look for a time without a bad stretch of the market, for tiny positions (mean exposure "
            f"{values['exposure']:.1%}), and else {_FUTURE}"
        )
    share = values["best_day_share"]
    if share is not None and share > LARGE_DAY_SHARE and values["days"] >= LEAST_DAYS_FOR_A_DAY:
        yield (
            f"{values['best_day']} made {share:.0%} of the whole profit of {values['days']} days (more than "
            f"{LARGE_DAY_SHARE:.0%}): look at that day's trades for a wrong candle or an event that will not come again, and "
            "at what is left without it"
        )
