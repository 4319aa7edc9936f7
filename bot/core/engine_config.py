"""What an engine is built from, and its words for why nothing is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.costs import Costs
from bot.core.entry import EntryRule
from bot.core.market import Instrument, Symbol
from bot.core.risk import RiskLimits
from bot.core.sizing import SizingRule

NO_PREDICTION = "no_prediction"
"""Why nothing is decided on a candle that the model says nothing of."""

NO_MODEL = "no_model"
"""The same where nobody predicts."""

MODEL_FAILED = "model_failed"
"""The same where the model failed instead of predicting."""


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Everything that an engine is built from, but its strategies.

    Attributes:
        run_id: At most 12 characters of ``[a-z0-9]``; part of every order id; the same over restarts.
        instruments: The rules of each symbol that is traded.
        costs: What trading costs; the strategy sees the round trip.
        limits: Risk limits.
        sizing: How large an entry is.
        starting_cash: Quote currency.
        window_minutes: Contiguous candles needed before a decision.
        entry: How entries are sent.
    """

    run_id: str
    instruments: Mapping[Symbol, Instrument]
    costs: Costs = field(default_factory=Costs)
    limits: RiskLimits = field(default_factory=RiskLimits)
    sizing: SizingRule = field(default_factory=SizingRule)
    starting_cash: float = 10_000.0
    window_minutes: int = 60
    entry: EntryRule = field(default_factory=EntryRule)
