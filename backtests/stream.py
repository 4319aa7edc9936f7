"""The decision stream: what a run did, one canonical line an event, so that two runs can be compared exactly.

In each minute first the executions and fundings that were settled, in their order, then the decisions. A line is
JSON with sorted keys and shortest exact floats; the hash of all lines is the parity hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, Self

import orjson

from backtests.results import MinuteOutcome
from bot.core.decision import Decision, decision_to_json
from bot.core.market import MINUTE_MS
from bot.core.orders import ExecutionReport, Fill, Funding
from bot.core.prediction import Prediction

_END = object()
_NOTHING: tuple[()] = ()
_LINES_AT_ONCE = 1024
_MINUTES_A_DAY = 24 * 60
_MINUTE_WORDS = tuple(f"{minute // 60:02d}:{minute % 60:02d}Z" for minute in range(_MINUTES_A_DAY))


def report_line(report: ExecutionReport) -> bytes | None:
    """The line of an execution or a funding; None for a report that moves no money.

    The exchange's own id of an execution is left out: two exchanges number differently.
    """
    if isinstance(report, Fill):
        return _line(
            {
                "event": "fill",
                "symbol": report.symbol,
                "at_ms": report.filled_at_ms,
                "client_order_id": report.client_order_id,
                "side": report.side.value,
                "quantity": report.quantity,
                "price": report.price,
                "fee": report.fee,
            }
        )
    if isinstance(report, Funding):
        return _line(
            {
                "event": "funding",
                "symbol": report.symbol,
                "at_ms": report.paid_at_ms,
                # Of an exchange's own booking only the sum is known.
                **(
                    {"rate": report.rate, "mark_price": report.mark_price}
                    if report.paid is None
                    else {"paid": report.paid}
                ),
            }
        )
    return None


def decision_line(decision: Decision) -> bytes:
    """The line of a decision.

    A year has half a million of them, nearly all without an order: those are written with their keys in order already,
    which is several times quicker and the same to the byte (a test says so).
    """
    symbol, closed_at_ms, prediction, signal, approved, refused, hold_reason, cancel = decision
    if approved or refused or cancel or (signal is not None and signal.protection is not None):
        return _line({"event": "decision", **decision_to_json(decision)})
    return orjson.dumps(
        {
            "approved": _NOTHING,
            "closed_at_ms": closed_at_ms,
            "decision_id": f"{symbol}@{_minute_words(closed_at_ms)}",
            "event": "decision",
            "hold_reason": hold_reason,
            "prediction": None if prediction is None else _prediction_row(prediction),
            "refused": _NOTHING,
            "signal": None if signal is None else (signal.direction.value, signal.strength, signal.reason),
            "symbol": symbol,
        }
    )


def stored_decision_line(row: dict[str, Any]) -> bytes:
    """The line of a decision that was stored as ``decision_to_json`` gave it."""
    return _line({"event": "decision", **row})


def outcome_lines(reports: Sequence[ExecutionReport], decisions: Sequence[Decision]) -> Iterator[bytes]:
    """The lines of one minute, without line ends."""
    for report in reports:
        line = report_line(report)
        if line is not None:
            yield line
    for decision in decisions:
        yield decision_line(decision)


@dataclass(frozen=True, slots=True)
class StreamDigest:
    """A stream, summed up.

    Attributes:
        sha256: Over all lines, each with its line end.
        line_count: How many lines.
    """

    sha256: str
    line_count: int


class StreamWriter:
    """Hashes a stream line by line and, where a path is given, keeps the lines in a file for a second pass.

    Use it as a context manager, and as the sink of a run. Memory does not grow with the stream.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._hash = hashlib.sha256()
        self._line_count = 0
        self._file = path.open("wb") if path is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __call__(self, outcomes: Sequence[MinuteOutcome]) -> None:
        """Take the outcomes of some minutes."""
        self.add(line for reports, decisions in outcomes for line in outcome_lines(reports, decisions))

    def add(self, lines: Iterable[bytes]) -> None:
        """Take lines without line ends."""
        left = iter(lines)
        while told := list(islice(left, _LINES_AT_ONCE)):
            block = b"\n".join(told) + b"\n"
            self._hash.update(block)
            self._line_count += len(told)
            if self._file is not None:
                self._file.write(block)

    def digest(self) -> StreamDigest:
        """Of all lines so far."""
        return StreamDigest(self._hash.hexdigest(), self._line_count)


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines that a StreamWriter kept, without line ends."""
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\n")


def first_difference(
    first: Iterable[bytes], second: Iterable[bytes], *, names: tuple[str, str] = ("first", "second")
) -> str | None:
    """Say in one sentence where two streams part: minute, symbol, field and both values; None if nowhere."""
    pairs = zip_longest(first, second, fillvalue=None)
    for number, (one, two) in enumerate(pairs, start=1):
        if one == two:
            continue
        if one is None or two is None:
            ended, going = names if one is None else names[::-1]
            return f"{ended} ends before line {number}, where {going} has {_event_words(one or two or b'{}')}"
        return _difference(orjson.loads(one), orjson.loads(two), number, names)
    return None


def _difference(one: dict[str, Any], two: dict[str, Any], number: int, names: tuple[str, str]) -> str:
    where = f"line {number}"
    for key in ("event", "symbol", "at_ms", "closed_at_ms"):
        if one.get(key) != two.get(key):
            words = (_event_words(orjson.dumps(one)), _event_words(orjson.dumps(two)))
            return f"{where}: {names[0]} has {words[0]}, {names[1]} has {words[1]}"
    field, left, right = _first_field(one, two, "")
    return (
        f"{_event_words(orjson.dumps(one))} ({where}): {field} is {_value(left)} in {names[0]} "
        f"and {_value(right)} in {names[1]}"
    )


def _first_field(one: Any, two: Any, path: str) -> tuple[str, Any, Any]:
    """The path of the first value in which two JSON values differ, and both values."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            if one.get(key, _END) != two.get(key, _END):
                return _first_field(one.get(key, _END), two.get(key, _END), f"{path}.{key}" if path else key)
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for place, (left, right) in enumerate(zip(one, two, strict=True)):
            if left != right:
                return _first_field(left, right, f"{path}[{place}]")
    return path or "the line", one, two


def _event_words(line: bytes) -> str:
    """Name an event: what, of which symbol, of which minute."""
    event = orjson.loads(line)
    # A decision is named by the minute that closed, an execution by the minute in which it happened.
    opened_at_ms = event["closed_at_ms"] - MINUTE_MS if "closed_at_ms" in event else event.get("at_ms", 0)
    minute = datetime.fromtimestamp(opened_at_ms / 1000, UTC)
    return f"the {event.get('event', 'event')} of {event.get('symbol', '?')} in the minute {minute:%Y-%m-%dT%H:%MZ}"


def _value(value: Any) -> str:
    return "absent" if value is _END else orjson.dumps(value).decode()


def _prediction_row(prediction: Prediction) -> dict[str, Any]:
    """A forecast, its keys in order."""
    (
        symbol,
        closed_at_ms,
        model_id,
        horizon_minutes,
        expected,
        probability_up,
        uncertainty,
        raw,
        volatility,
    ) = prediction
    return {
        "closed_at_ms": closed_at_ms,
        "expected_return": expected,
        "horizon_minutes": horizon_minutes,
        "model_id": model_id,
        "probability_up": probability_up,
        "raw": raw,
        "symbol": symbol,
        "uncertainty": uncertainty,
        "volatility": volatility,
    }


def _minute_words(at_ms: int) -> str:
    """A time as a decision's id spells it."""
    day, minute = divmod(at_ms // MINUTE_MS, _MINUTES_A_DAY)
    return _day_words(day) + _MINUTE_WORDS[minute]


@lru_cache(maxsize=64)
def _day_words(day: int) -> str:
    return f"{datetime.fromtimestamp(day * _MINUTES_A_DAY * MINUTE_MS / 1000, UTC):%Y-%m-%dT}"


def _line(event: dict[str, Any]) -> bytes:
    return orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
