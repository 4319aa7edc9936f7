"""What chaos with orders needs beside ``live_rig``: which faults acted, who was told what, and how long a position was naked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bot.simexchange.exchange_info import symbol_id
from tests.live_rig import LiveTape

PROTECTION_MS = 5_000
"""``execution.protection_seconds`` of the shipped settings."""
_ENDED = frozenset({"CANCELED", "EXPIRED", "REJECTED", "FILLED", "FINISHED", "TRIGGERED"})
_DUST = 1e-9


def acts(state: Path) -> Counter[str]:
    """How often each fault acted, by its name."""
    return Counter(row["fault"] for row in _fault_rows(state) if row["event"] == "act")


def acted_on(state: Path, fault: str) -> list[dict[str, Any]]:
    """What a fault acted on, in order."""
    return [row for row in _fault_rows(state) if row["event"] == "act" and row["fault"] == fault]


def carried_out(state: Path, fault: str) -> list[bool]:
    """Of each request that a fault took, whether the exchange carried it out."""
    numbers = {row["act"] for row in acted_on(state, fault)}
    return [
        row["executed"] for row in _fault_rows(state) if row["event"] == "truth" and row["act"] in numbers
    ]


def _fault_rows(state: Path) -> list[dict[str, Any]]:
    path = state / "sim" / "faults.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def told(state: Path, event: str) -> list[dict[str, Any]]:
    """The lines of the log of an event."""
    lines = (state / "logs" / "bot.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["event"] == event]


def made(theirs: Mapping[str, Any], ending: str = "") -> list[dict[str, Any]]:
    """The orders that were sent to the exchange (not those that a conditional one became), by the end of their ids."""
    rows = [row for row in (*theirs["orders"], *theirs["conditional_orders"]) if not row["parent_id"]]
    return [row for row in rows if row["request"]["client_order_id"].endswith(ending)]


def naked_ms(theirs: Mapping[str, Any], tape: LiveTape) -> int:
    """The longest time, of the market, that something was held without stops that covered all of it."""
    return max((_naked_ms(theirs, symbol_id(name)) for name in tape.symbols), default=0)


def _naked_ms(theirs: Mapping[str, Any], symbol: str) -> int:
    trades = sorted(
        (row for row in theirs["trades"] if row["symbol"] == symbol),
        key=lambda row: (row["at_ms"], row["trade_id"]),
    )
    stops = [
        row
        for row in made(theirs)
        if row["request"]["symbol"] == symbol and row["request"]["kind"].startswith("STOP")
    ]
    times = sorted({row["at_ms"] for row in trades} | {when for stop in stops for when in _life(stop)})
    longest = current = 0
    for start, end in pairwise(times):
        held = _held(trades, start)
        current = 0 if abs(held) < _DUST or _covers(stops, held, start, end) else current + end - start
        longest = max(longest, current)
    return longest


def _life(stop: Mapping[str, Any]) -> tuple[int, int]:
    """From when to when a stop rested; one that is open rests on."""
    end = stop["updated_at_ms"] if stop["status"] in _ENDED else 2**62
    return stop["created_at_ms"], end


def _held(trades: Iterable[Mapping[str, Any]], at_ms: int) -> float:
    return sum(
        row["quantity"] * (1 if row["side"] == "BUY" else -1) for row in trades if row["at_ms"] <= at_ms
    )


def _covers(stops: Sequence[Mapping[str, Any]], held: float, start: int, end: int) -> bool:
    side = "SELL" if held > 0 else "BUY"
    covered = 0.0
    for stop in stops:
        first, last = _life(stop)
        if stop["request"]["side"] == side and first <= start and last >= end:
            covered = max(covered, stop["request"]["quantity"])
    return covered >= abs(held) * (1 - _DUST)
