"""By what a decision was made: the strategy's thresholds, what risk said, and how large the order was allowed to be.

The rules are those that the start before it has journaled (``service.rules``). What a strategy of a user's own compares is
its own affair: its parameters are shown as they were set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, NamedTuple, TypeVar

from bot.core.costs import Costs
from bot.core.entry import EntryRule, EntryStyle
from bot.core.limits import RiskLimits
from bot.core.market import MINUTE_MS, Symbol
from bot.core.sizing import SizingRule
from bot.errors import ConfigError
from bot.journal.explain import ExplainReader, KeptMinute
from strategies import STRATEGIES, StrategyChoice, strategy_factory, symbol_choices
from strategies.indicators import Macd, Rsi

RULES_NOTE: Final = "service.rules"
SWAP_NOTE: Final = "model.swapped"
READY_NOTE: Final = "service.ready"
INDICATOR_MINUTES: Final = 600
"""After so many candles RSI and MACD have forgotten where they began."""

NO_RULES: Final = "the journal is of an older version, which kept no rules"
T = TypeVar("T")


class RulesThen(NamedTuple):
    """What was in force.

    Attributes:
        settings: Sections of the settings, JSON values; None where the journal kept none.
        model_id: Who predicted, or was to; None where the journal does not tell.
        mode: ``paper`` or ``live``; None likewise.
    """

    settings: Mapping[str, Any] | None
    model_id: str | None
    mode: str | None


def rules_then(reader: ExplainReader, opened_at_ms: int) -> RulesThen:
    """The rules of the last start before a minute, and the model that predicted in it."""
    started: Mapping[str, Any] = {}
    model: tuple[int, str | None] = (-2, None)
    mode = None
    for note in reader.kept_notes([READY_NOTE, RULES_NOTE, SWAP_NOTE]):
        if note["kind"] == READY_NOTE:
            mode = note.get("mode", mode)
            if model[0] == -2:  # all that an older journal has to tell
                model = (-2, note.get("model_id"))
            continue
        after_ms = int(note["batch_ms"] if note["kind"] == RULES_NOTE else note["after_ms"] - MINUTE_MS)
        if after_ms >= opened_at_ms:
            continue
        model = (after_ms, note.get("model_id"))
        if note["kind"] == RULES_NOTE:
            started = note
    settings = started.get("settings")
    return RulesThen(settings, model[1], (settings or {}).get("mode", mode))


# --- the strategy -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """The strategy of some symbols, as a journaled section tells it."""

    name: str = "lstm_scalping"
    parameter_set: str = "default"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    by_symbol: Mapping[Symbol, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _OwnTold:
    """The strategy of one symbol, likewise."""

    name: str | None = None
    parameter_set: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def strategy_section(
    rules: RulesThen, symbol: Symbol, row: Mapping[str, Any], closes: Sequence[float]
) -> dict[str, Any]:
    """Name, parameters and thresholds of the strategy, what it compared, and what it wanted.

    Args:
        rules: In force.
        symbol: Decided on.
        row: The decision as it was journaled.
        closes: Of the minutes up to it, oldest first: the indicators are computed from them.
    """
    shown: dict[str, Any] = {
        "name": None,
        "parameters": None,
        "round_trip_cost": None,
        "needed_return": None,
        "doubt": None,
        "sure_return": None,
        "indicators": None,
        "signal": _signal(row["signal"]),
        "unknown_because": None if rules.settings is not None else NO_RULES,
    }
    if rules.settings is None:
        return shown
    try:
        choice = _choice(rules.settings, symbol)
        parameters = _parameters(choice)
    except (ConfigError, TypeError) as fault:
        shown["unknown_because"] = f"this version does not know the strategy of then: {fault}"
        return shown
    shown |= {"name": choice.shown, "parameters": parameters}
    shown["round_trip_cost"] = cost = round_trip_of(rules.settings)
    if choice.name.partition(":")[0] not in STRATEGIES:
        return shown
    shown |= _compared(parameters, cost, row["prediction"])
    if "rsi_overbought" in parameters:
        shown["indicators"] = _indicators(closes)
    return shown


def _choice(settings: Mapping[str, Any], symbol: Symbol) -> StrategyChoice:
    told = dict(settings.get("strategy", {}))
    own = {name: _OwnTold(**row) for name, row in told.pop("by_symbol", {}).items()}
    return symbol_choices(_Told(**told, by_symbol=own), [symbol])[symbol]


def _parameters(choice: StrategyChoice) -> dict[str, Any]:
    """Every parameter; of a user's own strategy those that were set, since its code may have changed since."""
    if choice.name.partition(":")[0] not in STRATEGIES:
        return dict(choice.parameters)
    factory: Any = strategy_factory(
        choice.name, parameter_set=choice.parameter_set, overrides=choice.parameters
    )
    return asdict(factory.parameters)


def _compared(
    parameters: Mapping[str, Any], cost: float, prediction: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What an entry asks of a forecast, and how far the forecast goes for sure."""
    needed = max(parameters["threshold"], cost + parameters["cost_margin"])
    doubt = sure = None
    if prediction is not None and prediction["expected_return"] is not None:
        unsure = prediction.get("uncertainty")
        doubt = None if unsure is None else parameters["edge_confidence"] * unsure
        sure = abs(prediction["expected_return"]) - (doubt or 0.0)
    return {"needed_return": needed, "doubt": doubt, "sure_return": sure}


def _indicators(closes: Sequence[float]) -> dict[str, float | None]:
    rsi, macd = Rsi(), Macd()
    rsi.update_all(list(closes))
    macd.update_all(list(closes))
    return {"rsi": rsi.value, "macd_histogram": macd.histogram}


def _signal(row: Sequence[Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    stop, target = row[3] if len(row) > 3 else (None, None)
    return {
        "direction": row[0],
        "strength": row[1],
        "reason": row[2],
        "stop_loss_fraction": stop,
        "take_profit_fraction": target,
    }


def round_trip_of(settings: Mapping[str, Any]) -> float:
    """What entering and leaving costs by journaled settings, as a fraction of the notional."""
    told = settings.get("entry", {})
    rule = EntryRule(
        EntryStyle(told.get("style", "taker")),
        told.get("limit_minutes", 3),
        told.get("fallback", "none") == "taker",
    )
    return rule.round_trip(_of(Costs, settings.get("costs", {})))


def _of(kind: type[T], told: Mapping[str, Any]) -> T:
    """A value of the core out of a section: what it has no field for, or what is nested there, is left out."""
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]  # dataclasses of the core
    return kind(
        **{name: value for name, value in told.items() if name in names and not isinstance(value, dict)}
    )


# --- risk and size ----------------------------------------------------------------------------------------


def decision_section(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was decided: orders sent, wishes refused, entries called back, or why nothing was done."""
    return {
        "hold_reason": row["hold_reason"],
        "approved": [_order(order) for order in row["approved"]],
        "refused": [{**_order(order[:-1]), "reason": order[-1]} for order in row["refused"]],
        "cancel": [{"client_order_id": one[0], "reason": one[1]} for one in row.get("cancel", ())],
    }


def _order(row: Sequence[Any]) -> dict[str, Any]:
    limit, expires, fallback = row[5:8] if len(row) > 5 else (None, None, False)
    return {
        "client_order_id": row[0],
        "side": row[1],
        "quantity": row[2],
        "type": row[3],
        "leg": row[4],
        "limit_price": limit,
        "expires_at_ms": expires,
        "taker_fallback": fallback,
    }


def risk_section(rules: RulesThen, minute: KeptMinute, row: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict of the risk review, its limits, and what was known of the market.

    ``verdict`` is ``approved``, ``refused``, or ``not_asked`` where there was no wish to judge.
    """
    known: Sequence[Any] = next((one for one in minute.facts if one[0] == row["symbol"]), ())
    return {
        "verdict": "approved" if row["approved"] else "refused" if row["refused"] else "not_asked",
        "reason": row["refused"][0][-1] if row["refused"] else None,
        "size_factor": minute.size[0],
        "size_reason": minute.size[1] or None,
        "limits": None if rules.settings is None else dict(rules.settings.get("risk", {})) or None,
        "spread_bps": known[1] if known else None,
        "funding_rate": known[2] if known else None,
    }


def sizing_section(
    rules: RulesThen, minute: KeptMinute, row: Mapping[str, Any], close: float | None, equity: float | None
) -> dict[str, Any] | None:
    """How large the entry was, what was wished for, and which bounds lay near; None where nothing was entered.

    The bounds are those of an account that holds nothing else; what was held beside leaves less.
    """
    wishes = [order for order in (*row["approved"], *row["refused"]) if order[4] == "e"]
    if not wishes:
        return None
    quantity = wishes[0][2]
    shown: dict[str, Any] = {
        "quantity": quantity,
        "close": close,
        "notional": None if close is None else quantity * close,
        "equity": equity,
        "wanted_notional": None,
        "bounds": [],
    }
    if rules.settings is None or equity is None or row["signal"] is None:
        return shown
    sizing = _of(SizingRule, rules.settings.get("sizing", {}))
    share = sizing.share((row["prediction"] or {}).get("volatility"))
    wanted = sizing.equity_fraction * equity * row["signal"][1] * minute.size[0] * (share or 0.0)
    limits = _of(RiskLimits, rules.settings.get("risk", {}))
    return {**shown, "wanted_notional": wanted, "bounds": _bounds(limits, equity, _lost(rules, row))}


def _lost(rules: RulesThen, row: Mapping[str, Any]) -> float | None:
    """What an entry loses at its stop, costs included, as a fraction of its notional; None where that is not known."""
    signal, settings = row["signal"], rules.settings or {}
    if len(signal) > 3:
        stop = signal[3][0]
    else:
        try:
            stop = _parameters(_choice(settings, row["symbol"])).get("stop_loss")
        except (ConfigError, TypeError):
            return None
    return None if stop is None else stop + round_trip_of(settings)


def _bounds(limits: RiskLimits, equity: float, lost: float | None) -> list[dict[str, Any]]:
    found = {
        "max_symbol_notional_fraction": limits.max_symbol_notional_fraction * equity,
        "max_total_notional_fraction": limits.max_total_notional_fraction * equity,
        "max_symbol_notional": limits.max_symbol_notional,
        "max_total_notional": limits.max_total_notional,
    }
    if limits.max_trade_risk_fraction is not None and lost:
        found["max_trade_risk_fraction"] = limits.max_trade_risk_fraction * equity / lost
    told = [(name, value) for name, value in found.items() if value is not None and math.isfinite(value)]
    return [{"limit": name, "notional": value} for name, value in sorted(told, key=lambda one: one[1])]
