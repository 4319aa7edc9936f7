"""From a signal to the entry that is wished for: how large, at what price, and what the review is to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bot.core.account import Account
from bot.core.desk import Desk, entry_side
from bot.core.engine_config import EngineConfig
from bot.core.limits import MarketFacts, Situation
from bot.core.market import Candle, Symbol
from bot.core.orders import OrderIntent
from bot.core.prediction import Prediction
from bot.core.risk import RiskGate
from bot.core.signal import Signal
from bot.core.sizing import entry_quantity
from bot.core.surroundings import surroundings_of


class EntryView(NamedTuple):
    """What an entry is decided on.

    Attributes:
        candle: That just closed.
        prediction: Made on it.
        signal: What the strategy wants.
        facts: What the driver knows of the market beside candles.
    """

    candle: Candle
    prediction: Prediction
    signal: Signal
    facts: MarketFacts | None


def entry_wish(
    config: EngineConfig,
    risk: RiskGate,
    desks: Mapping[Symbol, Desk],
    account: Account,
    view: EntryView,
    at: Situation,
) -> tuple[OrderIntent, Situation]:
    """The order that would take the position which a signal wants, cut to what limits and guards leave.

    Args:
        config: Rules, costs, sizing.
        risk: Limits and guards.
        desks: Windows and open orders of every symbol.
        account: Positions and marks.
        view: What is decided on.
        at: The account.

    Returns:
        The intent, and the situation with what is around it: what the review judges it by.
    """
    candle, prediction, signal, facts = view
    desk = desks[candle.symbol]
    around = surroundings_of(
        candle.symbol,
        desks=desks,
        account=account,
        guards=risk.guards,
        round_trip=config.entry.round_trip(config.costs),
        facts=facts,
    )
    at = at._replace(around=around)
    quantity = entry_quantity(
        config.sizing,
        equity=at.equity,
        strength=min(max(signal.strength, 0.0), 1.0) * risk.size_factor,
        price=candle.close,
        room=risk.entry_room(desk.instrument, at, entry_side(signal), desk.protection_of(signal)),
        instrument=desk.instrument,
        volatility=prediction.volatility,
    )
    intent = desk.entry_intent(config.run_id, candle.closed_at_ms, signal, quantity)
    return config.entry.applied(intent, candle.close, config.costs, desk.instrument), at
