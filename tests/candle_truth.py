"""What a tape holds, what a run made of it, and what the exchange did meanwhile: for comparing them minute by minute."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bot.candles.names import parse_tape
from bot.core.market import MINUTE_MS, Candle
from bot.journal.reader import JournalReader
from tests.live_rig import LiveTape, fills, log_lines, said


def tape_candles(tape: LiveTape) -> list[Candle]:
    """The candles of a tape by time, and within a minute by name of symbol."""
    candles = []
    for symbol, path in map(parse_tape, tape.words[1 : 2 * len(tape.symbols) : 2]):
        rows = pq.read_table(path).to_pylist()
        candles += [Candle(symbol, row.pop("ts"), **row) for row in rows]
    return sorted(candles, key=lambda candle: (candle.opened_at_ms, candle.symbol))


def decided_candles(state: Path) -> list[Candle]:
    """The candles on which the run decided, in the order in which it did."""
    reader = JournalReader(state / "journal.sqlite")
    try:
        return [candle for batch in reader.batches() for candle in batch.candles]
    finally:
        reader.close()


def decisions(state: Path) -> list[tuple[int, list[dict[str, Any]]]]:
    """What was decided, by the close of the minute: all that the journal has of it."""
    reader = JournalReader(state / "journal.sqlite")
    try:
        return [(batch.closed_at_ms, batch.decisions) for batch in reader.batches()]
    finally:
        reader.close()


def notes(state: Path, kind: str) -> list[dict[str, Any]]:
    """The journal's notes of a kind, in order."""
    reader = JournalReader(state / "journal.sqlite")
    try:
        return reader.notes(kind, 10_000)[::-1]
    finally:
        reader.close()


def acts(state: Path) -> list[dict[str, Any]]:
    """What the exchange did to its clients, in order."""
    lines = (state / "sim" / "faults.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == "act"]


def log_of(state: Path, event: str) -> list[dict[str, Any]]:
    """The lines of the log about one event."""
    return [line for line in log_lines(state) if line["event"] == event]


def assert_candles(state: Path, tape: LiveTape) -> None:
    """Each candle of the tape was decided on once, in order, with its own values; and the log told each once."""
    found, expected = decided_candles(state), tape_candles(tape)
    wrong = [pair for pair in zip(found, expected, strict=False) if pair[0] != pair[1]]
    assert not wrong, (wrong[:3], said(state))
    assert len(found) == len(expected), (len(found), len(expected), said(state))
    minutes = sorted({candle.opened_at_ms + MINUTE_MS for candle in expected})
    assert [closed_at_ms for closed_at_ms, _ in decisions(state)] == minutes
    told = Counter((line["symbol"], line["candle_at_ms"]) for line in log_of(state, "candle.closed"))
    # A life that is killed between the commit and its lines takes them along.
    assert set(told.values()) == {1}
    assert len(expected) - len(tape.symbols) <= len(told) <= len(expected)


def assert_traded_around(state: Path) -> None:
    """There were executions before the first fault acted and after the last one did."""
    moments = [act["at_ms"] for act in acts(state)]
    filled = [row["filled_at_ms"] for row in fills(state)]
    assert filled[0] < moments[0], (filled[0], moments[0])
    assert filled[-1] > moments[-1], (filled[-1], moments[-1])


def assert_nothing_unhandled(state: Path) -> None:
    """Neither asyncio nor the interpreter had to say what nobody caught."""
    output = (state / "output.txt").read_text(errors="replace")
    for words in ("Traceback", "never retrieved", "was never awaited", "Task was destroyed", "Exception in"):
        assert words not in output, output[max(output.index(words) - 500, 0) :][:3000]
