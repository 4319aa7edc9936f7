"""One decision laid open: what went in, what was forecast, by what rules it was judged, and what came of it.

It lies on the floor of the backtests, beside the other readers of a journal (``backtests.recorded``): it needs the journal,
the code that serves forecasts and the models, and is needed by the commands and by the dashboard, which are above it.
The daemon may be running. docs/logs.md describes the object.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from backtests.explain_after import after_section
from backtests.explain_inputs import WINDOW_MINUTES, beside, candle_section, model_files, remake
from backtests.explain_lookup import LAST, Found, UnknownDecisionError, find
from backtests.explain_rules import (
    INDICATOR_MINUTES,
    decision_section,
    risk_section,
    rules_then,
    sizing_section,
    strategy_section,
)
from bot.core.market import MINUTE_MS, Symbol
from bot.journal.explain import ExplainReader

__all__ = ["FORMAT", "LAST", "UnknownDecisionError", "explain"]

FORMAT: Final = 1
"""Version of the object; a field that is taken away or means something else makes it another one."""


def explain(
    journal_path: Path,
    decision_id: str,
    models_dir: Path,
    *,
    symbol: Symbol | None = None,
    acted: bool = False,
) -> dict[str, Any]:
    """Everything about one decision as JSON values: times in ms UTC, money in quote currency, fractions as fractions.

    What is not known any more is null, and a sentence beside it says why: model files that are gone, a journal of an
    older version, a horizon that is not over.

    Args:
        journal_path: The journal's file; it is only read.
        decision_id: An id, a beginning of one that is unique, or ``last``.
        models_dir: The folder of all models.
        symbol: With ``last``: of this symbol.
        acted: With ``last``: the newest that sent an order, or wished to and was refused.

    Raises:
        NotRunningError: There is no journal.
        UnknownDecisionError: It holds no such decision (a ``DataError``).
        UsageError: It is no id, or several begin so.
        StorageError: The journal can't be read.
    """
    reader = ExplainReader(journal_path)
    try:
        found = find(reader, decision_id, symbol=symbol, acted=acted)
        return _explained(reader, found, models_dir)
    finally:
        reader.close()


def _explained(reader: ExplainReader, found: Found, models_dir: Path) -> dict[str, Any]:
    minute, row = found
    closed_at_ms, symbol = minute.closed_at_ms, str(row["symbol"])
    rules = rules_then(reader, closed_at_ms - MINUTE_MS)
    made = row["prediction"]
    files = model_files(models_dir, rules.model_id if made is None else made["model_id"])
    remade = remake(reader, files, symbol, closed_at_ms)
    window = WINDOW_MINUTES if files.passport is None else files.passport.window
    history = reader.candles(symbol, closed_at_ms - INDICATOR_MINUTES * MINUTE_MS, closed_at_ms)
    closes = [candle.close for candle in history]
    meta = reader.meta()
    return {
        "format": FORMAT,
        "decision_id": row["decision_id"],
        "symbol": symbol,
        "closed_at_ms": closed_at_ms,
        "decided_at_ms": minute.now_ms,
        "run_id": meta.get("run_id"),
        "mode": rules.mode,
        "simulated": meta.get("simulated") == "true",
        "schema": reader.schema(),
        "candles": candle_section(reader, symbol, closed_at_ms, window),
        "window": remade.window,
        "prediction": beside(made, remade),
        "strategy": strategy_section(rules, symbol, row, closes),
        "decision": decision_section(row),
        "risk": risk_section(rules, minute, row),
        "sizing": sizing_section(
            rules, minute, row, closes[-1] if closes else None, reader.equity_at(closed_at_ms)
        ),
        "model": files.shown,
        "after": after_section(reader, row),
    }
