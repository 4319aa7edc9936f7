"""What a fault makes of a message's text. Pure."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from bot.simexchange.fault_actions import Mutate
from bot.simexchange.okx_faults import closed, opened


def torn(text: str, share: float) -> str:
    """The first part of a text; never the whole, never nothing."""
    return text[: min(max(int(len(text) * share), 1), len(text) - 1)]


def mutated(text: str, mutate: Mutate) -> str:
    """The message with fields set, where the object that holds them is there, and fields removed."""
    given = json.loads(text)
    message = opened(given)
    for path, value in mutate.set:
        holder, name = _holder(message, path)
        if holder is not None:
            holder[name] = value
    for path in mutate.remove:
        holder, name = _holder(message, path)
        if holder is not None:
            holder.pop(name, None)
    return json.dumps(closed(message, given), separators=(",", ":"))


def off_by(text: str, by_bps: float) -> str:
    """A candle's message with its close moved by some bps, at least one unit of its last digit; others as they are."""
    given = json.loads(text)
    message = opened(given)
    candle = message.get("k") or message.get("data")
    if not isinstance(candle, dict) or "c" not in candle:
        return text
    close = Decimal(candle["c"])
    unit = Decimal(1).scaleb(int(close.as_tuple().exponent))
    moved = (close * (1 + Decimal(str(by_bps)) / 10_000)).quantize(unit)
    if moved == close:
        moved += unit if by_bps >= 0 else -unit
    candle["c"] = str(moved)
    candle["h"] = str(max(Decimal(candle["h"]), moved))
    candle["l"] = str(min(Decimal(candle["l"]), moved))
    return json.dumps(closed(message, given), separators=(",", ":"))


def _holder(message: Any, path: str) -> tuple[dict[str, Any] | None, str]:
    """The object that has the last name of a path, or would have it."""
    *way, name = path.split(".")
    for step in way:
        message = message.get(step) if isinstance(message, dict) else None
    return (message, name) if isinstance(message, dict) else (None, name)
