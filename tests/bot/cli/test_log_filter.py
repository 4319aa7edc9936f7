"""Which lines are wanted, and that printing one does no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.log_filter import LineFilter, chosen_level, is_event, line_ms, moment_of, shown_line
from bot.errors import UsageError

NOON_MS = 1_706_702_400_000
"""2024-01-31 12:00 UTC."""


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("order.", {"order.filled", "order.failed"}),
        ("order.filled", {"order.filled"}),
        ("*.failed", {"order.failed", "retrain.failed"}),
        ("order.f?lled", {"order.filled"}),
        ("[or]*", {"order.filled", "order.failed", "retrain.failed"}),
        ("Order.", set()),
        ("", {"order.filled", "order.failed", "retrain.failed", "candle.late"}),
    ],
)
def test_events_are_meant_by_beginning_or_pattern(pattern: str, meant: set[str]) -> None:
    """Without a sign of a pattern it is a beginning, as ever."""
    names = {"order.filled", "order.failed", "retrain.failed", "candle.late"}
    assert {name for name in names if is_event(name, pattern)} == meant


def test_levels_count_from_the_one_asked_for() -> None:
    """Warning shows errors too; a line without a level is below all; an unknown one is refused."""
    wanted = LineFilter(level="warning")
    shown = [
        level for level in ("debug", "info", "warning", "error", "critical") if wanted.takes({"level": level})
    ]
    assert shown == ["warning", "error", "critical"]
    assert not wanted.takes({"event": "x"})
    assert chosen_level(None) is None
    with pytest.raises(UsageError, match="--level loud: there are debug, info"):
        chosen_level("loud")


def test_a_decision_takes_its_orders_along() -> None:
    """Its own lines, those of the entry that it made, of that one's stop and target, and no others."""
    wanted = LineFilter(decision="A@t1")
    rows: list[tuple[dict[str, object], bool]] = [
        ({"event": "order.filled", "client_order_id": "run1ae"}, False),  # not known yet
        ({"event": "prediction.made", "decision_id": "A@t1"}, True),
        ({"event": "decision.made", "decision_id": "A@t1", "orders": ["run1ae"]}, True),
        ({"event": "decision.made", "decision_id": "A@t2", "orders": ["run2ae"]}, False),
        ({"event": "order.filled", "client_order_id": "run1ae"}, True),
        ({"event": "order.accepted", "client_order_id": "run1as"}, True),
        ({"event": "order.filled", "client_order_id": "run2ae"}, False),
        ({"event": "trade.closed"}, False),
    ]
    assert [wanted.takes(row) for row, _ in rows] == [taken for _, taken in rows]
    assert not LineFilter(decision="A@t9").takes({"event": "x", "client_order_id": ""})


def test_times_bound_what_is_shown() -> None:
    """From since on and before until; a line without a time belongs to the one before it."""
    wanted = LineFilter(since_ms=NOON_MS, until_ms=NOON_MS + 1_000)
    rows: list[dict[str, object]] = [
        {"event": "foreign"},
        {"ts": "2024-01-31T11:59:59.999Z"},
        {"event": "foreign"},
        {"ts": "2024-01-31T12:00:00.000Z"},
        {"event": "foreign"},
        {"ts": "2024-01-31T12:00:01.000Z"},
    ]
    assert [wanted.takes(row) for row in rows] == [False, False, False, True, True, False]


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("10m", NOON_MS - 600_000),
        ("2 h", NOON_MS - 7_200_000),
        ("1d", NOON_MS - 86_400_000),
        ("30s", NOON_MS - 30_000),
        ("2024-01-31", NOON_MS - 43_200_000),
        ("2024-01-31T12:00", NOON_MS),
        ("2024-01-31T12:00:00Z", NOON_MS),
        ("2024-01-31T13:00:00+01:00", NOON_MS),
        (None, None),
    ],
)
def test_a_time_is_written_in_many_ways(text: str | None, at_ms: int | None) -> None:
    """So long ago, a day, a moment, with or without a zone."""
    assert moment_of("--since", text, NOON_MS) == at_ms


@pytest.mark.parametrize("text", ["yesterday-ish", "10", "m", "", "99999999999m"])
def test_a_time_that_cannot_be_read_is_one_sentence(text: str) -> None:
    """It names the option and the ways to write one."""
    with pytest.raises(UsageError, match=r"--since .*: write 10m, 2h or 1d"):
        moment_of("--since", text, NOON_MS)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30) | st.integers(), max_size=5))
def test_no_line_of_a_log_can_break_or_color_the_terminal(row: dict[str, object]) -> None:
    """Whatever somebody got into a log: one line, and nothing that a terminal obeys."""
    line = shown_line(row)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1


def test_a_line_of_a_log_reads_well() -> None:
    """Escapes are visible, letters of every language stay."""
    row = {"ts": "t", "level": "info", "event": "a.b", "x": "\x1b[2Jgrün\u2028\n", "run_id": "r"}
    assert shown_line(row) == "t  info     a.b                   x=\\x1b[2Jgrün\\u2028\\n"
    assert line_ms("nonsense") is None
