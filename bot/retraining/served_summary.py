"""A walk-forward backtest summed up: each retraining, who served when, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from backtests.turns import EngineTurn
from bot.core.engine_config import NO_MODEL, NO_PREDICTION
from bot.core.market import MINUTE_MS
from bot.core.position import Trade
from bot.core.promotion import NO_TRADE
from bot.retraining.served import Served, ServedRun
from bot.retraining.served_succession import Piece, Turn

UNGATED = "UNGATED: every model served without the gate's word, so what it earned is unproven"


def engine_turns(served: Served) -> tuple[EngineTurn, ...]:
    """What the engine is told: at first that there is no model, then what was found; what says nothing new is left out.

    Who serves is written in the predictions, so a change from one model to the next is none.
    """
    turns = (Turn(served.plan.since_ms, None), *served.turns)
    # Of what came before the first minute that is traded, the last word counts.
    early = [turn for turn in turns if turn.after_ms <= served.plan.since_ms]
    later = [turn for turn in turns if turn.after_ms > served.plan.since_ms]
    found: list[EngineTurn] = [EngineTurn(served.plan.since_ms)]
    for turn in (early[-1], *later):
        absent = NO_MODEL if turn.model_id is None else NO_PREDICTION
        after_ms = max(turn.after_ms, served.plan.since_ms)
        told = EngineTurn(after_ms, absent, turn.size, turn.reason, turn.empties)
        if turn.empties or replace(told, after_ms=0) != replace(found[-1], after_ms=0, empties=False):
            found.append(told)
    return tuple(found[1:])


def walk_summary(served: Served, trades: Sequence[Trade], terms: Mapping[str, Any]) -> dict[str, Any]:
    """The part of ``summary.json`` under ``walk_forward``, as JSON values.

    Args:
        served: Who served.
        trades: Of the backtest on it.
        terms: What was asked for, for the record.
    """
    plan = served.plan
    rows = [_row(one, served, trades) for one in served.runs]
    return {
        "gate": "on" if plan.gated else "off",
        "sentence": sentence(served),
        **terms,
        "from": _iso(plan.since_ms),
        "to": _iso(plan.until_ms),
        "retrainings": rows,
        "events": [
            {"at": _iso(one.at_ms), "what": one.what, "model_id": one.model_id, "why": one.why}
            for one in served.events
        ],
        "totals": _totals(served, trades),
    }


def sentence(served: Served) -> str:
    """What happened, for a reader in a hurry."""
    count = len(served.runs)
    models = f"{count} model{'s' if count != 1 else ''}"
    if not served.plan.gated:
        return f"{UNGATED} ({models})"
    promoted = sum(one.judged is not None and one.judged.promote for one in served.runs)
    if not promoted:
        which = "the only model" if count == 1 else f"all {models}"
        return f"the gate refused {which}: nobody served, and nothing was traded"
    served_ones = len({piece.words.model_id for piece in served.pieces})
    back = sum(event.what == "rolled_back" for event in served.events)
    return (
        f"the gate promoted {promoted} of {models}; {served_ones} served in "
        f"{_share(_minutes(served, served.pieces), served):.1%} of the time, {back} rolled back"
    )


def _row(one: ServedRun, served: Served, trades: Sequence[Trade]) -> dict[str, Any]:
    """One retraining."""
    pieces = [piece for piece in served.pieces if piece.words.model_id == one.model_id]
    own = _trades_of(pieces, trades)
    judged = one.judged
    gain = one.words.gain_millinats
    return {
        "fire": _iso(one.run.fire_ms),
        "began": _iso(one.run.began_ms),
        "ready": _iso(one.run.ready_ms),
        "model_id": one.model_id,
        "judged_as": None if judged is None else judged.kind,
        "promoted": None if judged is None else judged.promote,
        "refused_because": None if judged is None or judged.promote else _why(judged.objections),
        "objections": [] if judged is None else list(judged.objections),
        "champion_before": None if judged is None else judged.champion_then or NO_TRADE,
        "champion_after": None if judged is None else _champion_at(served, one),
        "served_from": _iso(pieces[0].from_ms) if pieces else None,
        "served_until": _iso(pieces[-1].until_ms) if pieces else None,
        "served_minutes": _minutes(served, pieces),
        "trades": len(own),
        "pnl": sum(trade.pnl for trade in own),
        "gain_millinats": gain,
    }


def _why(objections: Sequence[str]) -> str:
    """One sentence: the first test that failed, and how many others did."""
    first, others = objections[0], len(objections) - 1
    return first if not others else f"{first} (and {others} other test{'s' if others > 1 else ''})"


def _champion_at(served: Served, one: ServedRun) -> str:
    """Who served in the last minute before the next model was ready."""
    place = served.runs.index(one)
    last = served.runs[place + 1].run.ready_ms if place + 1 < len(served.runs) else served.plan.until_ms
    held = [piece for piece in served.pieces if piece.from_ms < last <= piece.until_ms]
    return held[0].words.model_id if held else NO_TRADE


def _trades_of(pieces: Sequence[Piece], trades: Sequence[Trade]) -> list[Trade]:
    """The trades that were entered on forecasts of these stretches: a fill comes at the next open, or later."""
    return [
        trade
        for trade in trades
        if any(piece.from_ms < trade.entry_at_ms <= piece.until_ms for piece in pieces)
    ]


def _totals(served: Served, trades: Sequence[Trade]) -> dict[str, Any]:
    minutes = (served.plan.until_ms - served.plan.since_ms) // MINUTE_MS
    with_model = _minutes(served, served.pieces)
    proven = with_model if served.plan.gated else 0
    return {
        "minutes": minutes,
        "proven_minutes": proven,
        "unproven_minutes": with_model - proven,
        "no_model_minutes": minutes - with_model,
        "proven_share": proven / minutes,
        "unproven_share": (with_model - proven) / minutes,
        "no_model_share": 1.0 - with_model / minutes,
        "retrainings": len(served.runs),
        "promoted": sum(one.judged is not None and one.judged.promote for one in served.runs),
        "rolled_back": sum(event.what == "rolled_back" for event in served.events),
        "trades": len(trades),
        "pnl": sum(trade.pnl for trade in trades),
    }


def _minutes(served: Served, pieces: Sequence[Piece]) -> int:
    """Minutes of some stretches, as far as they may be traded."""
    since = served.plan.since_ms
    return sum(max(piece.until_ms - max(piece.from_ms, since), 0) for piece in pieces) // MINUTE_MS


def _share(minutes: int, served: Served) -> float:
    return minutes * MINUTE_MS / (served.plan.until_ms - served.plan.since_ms)


def _iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
