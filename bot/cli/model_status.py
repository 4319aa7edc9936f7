"""What ``bot status`` says of the model: who trades, proven or not, who stands beside, when it is trained anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.journal.reader import JournalReader

SHOWN_REASONS = 6


def serving_now(reader: JournalReader) -> dict[str, Any]:
    """Who predicts: the newest start or swap; empty before the first start."""
    return reader.newest_note(("service.ready", "model.swapped")) or {}


def model_status(reader: JournalReader, snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Everything about the model, as JSON values; times in ms are the exchange's.

    Args:
        reader: Of the journal.
        snapshot: The engine's last one, with what the daemon knew of the model after that minute.
    """
    now = serving_now(reader)
    model_id = now.get("model_id")
    known = snapshot.get("models") or {}
    return {
        "model_id": model_id,
        "proven": now.get("proven"),
        "no_trade": model_id == "no-trade",
        "since": {"event": now.get("kind"), "at_ms": now.get("at_ms"), "why": now.get("why")},
        "shadow": known.get("shadow"),
        "shadow_hours": known.get("shadow_hours"),
        "shadow_refused": reader.newest_note(("model.shadow_refused",)),
        "rolled_back": reader.newest_note(("model.rolled_back",)),
        "last_retrain": reader.newest_note(("retrain.finished", "retrain.failed")),
        "retraining": bool(known.get("retraining")),
        "next_retrain_ms": known.get("next_retrain_ms"),
        "watch": None if model_id is None else reader.watch_report(model_id),
    }


def model_lines(model: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person."""
    if model["no_trade"]:
        yield "no-trade: nothing has beaten the baselines"
    elif model["proven"] is False:
        yield f"UNPROVEN: the gate has not promoted {model['model_id']}"
    elif model["proven"]:
        yield f"proven: the gate has promoted {model['model_id']}"
    if model["since"]["why"]:
        yield f"since {_iso(model['since']['at_ms'])}: {model['since']['why']}"
    if (back := model["rolled_back"]) is not None:
        yield f"taken back on {_iso(back['at_ms'])}: {back['previous']} ({back['reason']})"
    yield from _challenger_lines(model)
    yield from _retrain_lines(model)
    yield from _watch_lines(model["watch"])


def is_unproven(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the newest whole line of a log says that the model is unproven."""
    newest: Mapping[str, Any] = {}
    for row in rows:
        newest = row if "run_id" in row else newest
    return newest.get("unproven") is True


def _challenger_lines(model: Mapping[str, Any]) -> Iterator[str]:
    shadow, refused = model["shadow"], model["shadow_refused"]
    if shadow is not None:
        yield (
            f"challenger {shadow['model_id']} beside it since {_iso(shadow['since_ms'])}, for "
            f"{model['shadow_hours']:g} hours: {shadow['given']} of {shadow['due']} forecasts given"
        )
    elif refused is not None:
        yield (
            f"the last challenger that was refused: {refused['model_id']} on {_iso(refused['at_ms'])}: "
            f"{'; '.join(refused['reasons'])}"
        )


def _retrain_lines(model: Mapping[str, Any]) -> Iterator[str]:
    last = model["last_retrain"]
    if last is not None and last["kind"] == "retrain.failed":
        yield f"the last retraining of {_iso(last['began_ms'])} failed: {last['reason']}"
    elif last is not None:
        word = "promoted" if last["promote"] else "refused"
        yield f"the last retraining of {_iso(last['began_ms'])}: {last['model_id']} was {word} by the gate"
        for reason in last["reasons"][:SHOWN_REASONS]:
            yield f"  {reason}"
    if model["retraining"]:
        yield "a retraining is at work"
    elif model["next_retrain_ms"] is not None:
        yield f"next retraining: {_iso(model['next_retrain_ms'])}"


def _watch_lines(watch: Mapping[str, Any] | None) -> Iterator[str]:
    """What the watch holds against the model; nothing where it trusts it."""
    if watch is None:
        return
    size, reasons = watch.get("size_factor", 1.0), watch.get("reasons") or []
    if size < 1.0 or watch.get("freeze") or reasons:
        frozen = ", no new positions" if watch.get("freeze") else ""
        yield f"the watch: entries at {size:.0%}{frozen} ({', '.join(reasons)})"


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
