"""A flood of the same is counted instead of written, and no line is longer than a bound."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import logs
from bot.log_limits import ALWAYS_WRITTEN, MOST_KINDS, MOST_LINE, RepeatRule, Repeats, shortened, told
from bot.log_lines import json_line
from bot.redaction import MOST_SEARCHED, forget_secrets, keep_secret
from bot.settings import Settings
from tests.bot.test_log_taps import Config

RULE = RepeatRule(3, 60.0, ("candle.closed",))
NAMES = st.sampled_from(["feed.stalled", "candle.late", "candle.closed", "order.filled", "risk.halted"])


def line(
    event: str = "feed.stalled", symbol: str | None = None, level: str = "warning", **fields: Any
) -> dict[str, Any]:
    """A line's fields."""
    return {"event": event, "level": level, **({} if symbol is None else {"symbol": symbol}), **fields}


def test_the_first_are_written_and_the_rest_is_one_line() -> None:
    """Three pass, seven are counted; when the minute is over they are told once, and counting begins anew."""
    repeats = Repeats(RULE)
    assert [repeats.takes(line(number=n), 100.0 + n) for n in range(10)] == [True] * 3 + [False] * 7
    assert repeats.over(159.0) == []
    (untold,) = repeats.over(160.0)
    assert (untold.left_out, untold.fields["number"]) == (7, 9)
    assert told(untold, 160.0) == line(number=9) | {
        "ts": 160.0,
        "repeated_count": 7,
        "repeated_seconds": 60.0,
    }
    assert repeats.over(161.0) == []
    assert repeats.takes(line(), 161.0)
    assert repeats.all() == []


def test_other_symbols_levels_and_events_are_counted_apart() -> None:
    """What is the same is the event, the symbol and the level together."""
    repeats = Repeats(RepeatRule(1, 60.0))
    kinds = [line(), line(symbol="A"), line(symbol="B"), line(level="error"), line("feed.failed")]
    assert all(repeats.takes(one, 0.0) for one in kinds)
    assert not any(repeats.takes(one, 1.0) for one in kinds)
    assert sum(one.left_out for one in repeats.over(60.0)) == len(kinds)


@pytest.mark.parametrize(
    "event",
    [
        *(f"{name.rstrip('.')}.any" if name.endswith(".") else name for name in ALWAYS_WRITTEN),
        "candle.closed",
    ],
)
def test_what_must_never_be_left_out_is_not(event: str) -> None:
    """Orders, decisions, risk and the like, however many: the settings can add to them and take none away."""
    repeats = Repeats(RepeatRule(1, 60.0, ("candle.closed",)))
    assert all(repeats.takes(line(event), 0.0) for _ in range(200))
    assert repeats.all() == []


def test_the_shipped_settings_write_what_happens_each_minute() -> None:
    """A fast market closes hundreds of candles in a minute of this machine: no line of the walk is left out."""
    chosen = Settings().logs
    repeats = Repeats(RepeatRule(chosen.repeat_most, chosen.repeat_seconds, chosen.repeat_exempt))
    for event in ("candle.closed", "prediction.made", "decision.made", "order.filled", "trade.closed"):
        assert all(repeats.takes(line(event, level="info"), 0.0) for _ in range(100)), event
    assert not all(repeats.takes(line("feed.frame_refused"), 0.0) for _ in range(100))


def test_none_is_left_out_where_the_limit_is_off() -> None:
    """repeat_most 0 writes all."""
    repeats = Repeats(RepeatRule(0, 60.0))
    assert all(repeats.takes(line(), 0.0) for _ in range(100))


def test_memory_is_bounded() -> None:
    """More kinds than are counted at a time: the oldest is told early, and no count is lost."""
    repeats = Repeats(RepeatRule(1, 3600.0))
    left_out = 0
    for number in range(5 * MOST_KINDS):
        left_out += sum(one.left_out for one in repeats.over(1.0))
        assert repeats.takes(line(symbol=str(number)), 1.0)
        assert not repeats.takes(line(symbol=str(number)), 1.0)
        assert len(repeats._stretches) <= MOST_KINDS + 1
        assert len(repeats._exempt) <= MOST_KINDS + 1
    left_out += sum(one.left_out for one in repeats.all())
    assert left_out == 5 * MOST_KINDS


def test_a_clock_that_is_set_back_ends_the_stretch() -> None:
    """Else what follows would be counted for hours without a word."""
    repeats = Repeats(RepeatRule(1, 60.0))
    assert repeats.takes(line(), 10_000.0)
    assert not repeats.takes(line(), 10_001.0)
    assert [one.left_out for one in repeats.over(5_000.0)] == [1]
    assert repeats.takes(line(), 5_000.0)


@given(st.lists(st.tuples(NAMES, st.sampled_from([None, "A", "B"]), st.floats(0, 30)), max_size=120))
def test_written_and_counted_lines_add_up(steps: list[tuple[str, str | None, float]]) -> None:
    """Of every kind, the lines that were written and those that were told as left out are all that there were."""
    repeats, at = Repeats(RULE), 0.0
    said, shown = Counter[tuple[str, str | None]](), Counter[tuple[str, str | None]]()
    for event, symbol, pause in steps:
        at += pause
        for one in repeats.over(at):
            shown[one.fields["event"], one.fields.get("symbol")] += one.left_out
        said[event, symbol] += 1
        shown[event, symbol] += repeats.takes(line(event, symbol), at)
    for one in repeats.all():
        shown[one.fields["event"], one.fields.get("symbol")] += one.left_out
    assert said == shown


def test_a_flood_through_the_log_is_heard_by_every_tap() -> None:
    """A hundred lines: three in the log and one that counts the rest, a hundred for who counts them; no order is missing."""
    heard: Counter[str] = Counter()

    def tap(event: str, level: str, fields: Mapping[str, Any]) -> None:
        heard[event] += 1

    stream = io.BytesIO()
    logs.configure(Config(repeat_most=3), stream=stream, run_id="r1")
    logs.listen(tap)
    try:
        log = logs.get_logger("bot.feeds")
        for number in range(100):
            log.warning("feed.frame_refused", cause="broken", number=number)
            log.info("order.filled", symbol="A", number=number)
        logs.close()
    finally:
        logs.stop_listening(tap)
    rows = [json.loads(row) for row in stream.getvalue().splitlines()]
    assert heard == {"feed.frame_refused": 100, "order.filled": 100}
    assert sum(row["event"] == "order.filled" for row in rows) == 100
    refused = [row for row in rows if row["event"] == "feed.frame_refused"]
    assert [row["number"] for row in refused] == [0, 1, 2, 99]
    assert refused[-1]["repeated_count"] == 97
    assert refused[-1]["run_id"] == "r1"
    assert set(refused[-1]) - set(refused[0]) == {"repeated_count", "repeated_seconds"}
    assert refused[-1]["ts"] >= refused[0]["ts"]


# --- how long a line may be -------------------------------------------------------------------------------

TEXTS = st.text(max_size=40) | st.text(
    alphabet=["\x7f", "\u2028", "\U0001f600", "\x1b", "\n", "a"], min_size=300, max_size=900
)
VALUES = st.one_of(
    TEXTS.map(lambda text: text * 30),
    st.integers(),
    st.just(10**3000),
    st.floats(),
    st.none(),
    st.lists(TEXTS, max_size=30),
    st.dictionaries(st.text(max_size=300), TEXTS, max_size=4),
)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=200).filter(lambda name: name not in {"event", "ts", "level"}), VALUES, max_size=80
    )
)
def test_no_line_is_longer_than_the_bound(fields: dict[str, Any]) -> None:
    """Whatever somebody sends: cut values, dropped fields, and still the event and JSON that parses."""
    whole = {"ts": "2024-01-01T00:00:00.000Z", "level": "info", "event": "a.b", **fields}
    made = json_line(shortened(whole, str))
    assert len(made) <= MOST_LINE
    assert json.loads(made)["event"] == "a.b"


def test_what_was_cut_says_so() -> None:
    """A value keeps its beginning, a traceback its end, and short ones beside them stay as they are."""
    made = shortened(
        {
            "event": "a.b",
            "text": "x" * 50_000,
            "exception": "y" * 50_000 + "ValueError: why",
            "n": 7,
            "ok": True,
        },
        str,
    )
    assert made["text"].startswith("xxx")
    assert made["text"].endswith("… (48000 more characters)")
    assert made["exception"].endswith("ValueError: why")
    assert (made["n"], made["ok"]) == (7, True)
    many = shortened({"event": "a.b"} | {f"f{number}": number for number in range(500)}, str)
    assert many["fields_left_out"] == 441


def test_secrets_are_hidden_before_a_cut_could_halve_them() -> None:
    """The text is cut where the secret stood, and no part of it is left."""
    secret = "n0body-may-read-this"
    made = shortened(
        {"event": "a.b", "text": "x" * 1_990 + secret + "x" * 50_000},
        lambda text: text.replace(secret, "***"),
    )
    assert "n0body" not in json.dumps(made)


def test_the_log_writes_short_lines_as_they_are_and_long_ones_cut() -> None:
    """Through the whole log, as JSON and on a console."""
    for form in ("json", "console"):
        stream = io.BytesIO()
        logs.configure(Config(format=form), stream=stream)
        log = logs.get_logger("bot.x")
        log.info("a.said", text="x" * 500)
        log.info("a.said", text="x" * 50_000_000, nested=["y" * 50_000_000], many=list(range(10_000)))
        logs.close()
        short, long = stream.getvalue().splitlines()
        assert b"x" * 500 in short
        assert len(long) <= MOST_LINE
        assert b"more characters" in long


def test_half_a_secret_is_not_shown_where_a_long_text_is_cut() -> None:
    """Wherever the cut falls, in a field, nested or in a traceback: no part of a kept secret is left at its edge."""
    secret = "n0body-may-read-this-" * 10
    keep_secret(secret)
    try:
        for before in range(MOST_SEARCHED - len(secret) - 20, MOST_SEARCHED + 20, 17):
            text = "x" * before + secret + "y" * 20_000
            stream = io.BytesIO()
            logs.configure(Config(), stream=stream)
            fields: dict[str, Any] = {"text": text, "nested": {"a": [text]}, "exception": text[::-1]}
            logs.get_logger("bot.x").error("a.failed", **fields)
            logs.get_logger("bot.x").error("a.failed", exception="y" * 20_000 + secret + "x" * before)
            logs.close()
            assert b"n0body" not in stream.getvalue()
            assert b"may-read" not in stream.getvalue()
    finally:
        forget_secrets()
