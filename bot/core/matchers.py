"""Which matcher plays by which costs."""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.costs import Costs, FundingRates
from bot.core.friction_matching import FrictionMatcher
from bot.core.liquidating import LiquidatingMatcher
from bot.core.market import Instrument, Symbol
from bot.core.matching import BarMatcher


def matcher_of(
    costs: Costs, instruments: Mapping[Symbol, Instrument], funding: FundingRates, starting_cash: float
) -> BarMatcher:
    """The matcher that plays by these costs; plain ones keep the plain one, which is the quickest.

    Args:
        costs: What trading costs.
        instruments: The rules of each symbol.
        funding: Which funding rate is paid when.
        starting_cash: Of the account, quote currency: what stands behind its positions.
    """
    if costs.margin is not None:
        return LiquidatingMatcher(costs, costs.margin, instruments, funding, starting_cash)
    if not costs.is_plain:
        return FrictionMatcher(costs, instruments, funding)
    return BarMatcher(costs, instruments, funding)
