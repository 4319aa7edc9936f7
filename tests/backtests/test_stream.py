"""The decision stream is canonical, its hash says equal or not, and the first difference has a name."""

from __future__ import annotations

import hashlib
import tracemalloc

import orjson
import pytest

from backtests.run import run_backtest
from backtests.stream import (
    StreamWriter,
    decision_line,
    first_difference,
    outcome_lines,
    read_lines,
    report_line,
)
from bot.core.decision import Decision, decision_to_json
from bot.core.orders import Accepted, Fill, Funding, Side
from tests.random_market import PERPETUALS, random_input


def lines_of(seed: int = 3) -> list[bytes]:
    """The stream of a small run."""
    lines: list[bytes] = []
    data = random_input(seed, symbols=PERPETUALS[:2], count=600)
    run_backtest(data, sink=lambda part: lines.extend(x for o in part for x in outcome_lines(*o)))
    return lines


def test_the_hash_is_that_of_the_lines_and_the_lines_come_back(tmp_path):
    """The digest is SHA-256 over the lines with their ends, and a second pass reads what was written."""
    lines = lines_of()
    with StreamWriter(tmp_path / "stream") as writer:
        writer.add(lines)
    assert writer.digest().sha256 == hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    assert writer.digest().line_count == len(lines)
    assert list(read_lines(tmp_path / "stream")) == lines


def test_a_fill_a_funding_and_a_decision_keep_every_digit():
    """Prices, quantities, fees and predictions are written so that they read back as the same floats."""
    fill = Fill("t-1", "abc", "BTC/USDT", Side.SELL, 0.1 + 0.2, 1 / 3, 1e-17, "USDT", 60_000)
    row = orjson.loads(report_line(fill) or b"")
    assert (row["quantity"], row["price"], row["fee"]) == (0.1 + 0.2, 1 / 3, 1e-17)
    assert "trade_id" not in row
    paid = orjson.loads(report_line(Funding("BTC/USDT:USDT", 1e-4 / 3, 7.7, 0)) or b"")
    assert (paid["rate"], paid["mark_price"]) == (1e-4 / 3, 7.7)
    booked = orjson.loads(report_line(Funding("BTC/USDT:USDT", 0.0, 0.0, 0, -1 / 3)) or b"")
    assert booked == {"event": "funding", "symbol": "BTC/USDT:USDT", "at_ms": 0, "paid": -1 / 3}
    assert report_line(Accepted("abc", "BTC/USDT", 0)) is None
    decisions: list[Decision] = []
    run_backtest(
        random_input(3, count=100), sink=lambda part: decisions.extend(d for o in part for d in o[1])
    )
    for decision in decisions:
        assert orjson.loads(decision_line(decision)) == {
            "event": "decision",
            **orjson.loads(orjson.dumps(decision_to_json(decision))),
        }


def test_equal_streams_have_no_difference():
    """Two runs of the same input give the same lines."""
    assert first_difference(lines_of(), lines_of()) is None


@pytest.mark.parametrize("event", ["decision", "fill", "funding"])
def test_a_changed_value_is_named(event):
    """The sentence tells minute, symbol, field and both values of the first line that differs."""
    lines = lines_of(3)
    place, row = next(
        (place, row)
        for place, row in enumerate(map(orjson.loads, lines))
        if row["event"] == event and (event != "decision" or row["approved"])
    )
    field = {"decision": "approved[0][2]", "fill": "fee", "funding": "rate"}[event]
    if event == "decision":
        old, row["approved"][0][2] = row["approved"][0][2], 123.456
    else:
        old, row[field] = row[field], 123.456
    changed = [*lines[:place], orjson.dumps(row, option=orjson.OPT_SORT_KEYS), *lines[place + 1 :]]
    found = first_difference(lines, changed, names=("fast", "daemon"))
    assert found is not None
    for part in (
        field,
        row["symbol"],
        "123.456 in daemon",
        f"{orjson.dumps(old).decode()} in fast",
        "minute 20",
    ):
        assert part in found


def test_a_missing_event_is_named():
    """An event that only one stream has, and a stream that ends early, are told as such."""
    lines = lines_of()
    short = first_difference(lines, lines[:-1], names=("fast", "replay"))
    assert short is not None
    assert "replay ends before line" in short
    place = next(place for place, line in enumerate(lines) if b'"fill"' in line)
    gone = first_difference(lines, lines[:place] + lines[place + 1 :])
    assert gone is not None
    assert "first has the fill of" in gone


def test_an_absent_field_differs_from_null():
    """A field that is not there is no null."""
    found = first_difference([b'{"event":"x","a":null}'], [b'{"event":"x"}'])
    assert found is not None
    assert "a is null in first and absent in second" in found


def test_memory_does_not_grow_with_the_stream():
    """Hashing ten times the lines takes no more memory."""
    line = lines_of()[0]

    def peak(count: int) -> int:
        tracemalloc.start()
        writer = StreamWriter()
        writer.add(line for _ in range(count))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(50_000) < peak(5_000) + 10_000


def test_the_quick_line_of_a_decision_is_the_plain_one():
    """Every decision, with orders and without, is written to the byte as canonical JSON of all that it holds."""
    decisions: list[Decision] = []
    data = random_input(7, symbols=PERPETUALS[:2], count=900, stop_volatility=1.0)
    run_backtest(data, sink=lambda part: decisions.extend(d for o in part for d in o[1]))
    odd = decisions[-1]._replace(prediction=None, signal=None, approved=(), refused=(), hold_reason=None)
    decisions += [
        odd,
        odd._replace(closed_at_ms=1),
        odd._replace(symbol="Ä/<\u2028", closed_at_ms=86_399_999),
    ]
    assert any(decision.approved for decision in decisions)
    assert any(decision.prediction and decision.prediction.volatility is None for decision in decisions)
    for decision in decisions:
        row = {"event": "decision", **decision_to_json(decision)}
        assert decision_line(decision) == orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
