"""Who listens to the log."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bot import log_taps
from bot.logs import close, configure, get_logger, listen, stop_listening


class Config(NamedTuple):
    """The settings of a log."""

    format: str = "json"
    level: str = "info"
    console_omits: tuple[str, ...] = ()
    file: Path | None = None
    max_bytes: int = 1_000_000
    backups: int = 1
    repeat_most: int = 0
    repeat_seconds: float = 60.0
    repeat_exempt: tuple[str, ...] = ()


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str, dict[str, Any]]]]:
    """What a tap hears while the test runs."""
    lines: list[tuple[str, str, dict[str, Any]]] = []

    def tap(event: str, level: str, fields: Mapping[str, Any]) -> None:
        lines.append((event, level, dict(fields)))

    listen(tap)
    yield lines
    stop_listening(tap)
    close()


def written(stream: io.BytesIO) -> list[str]:
    """Events of the lines that were written."""
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_a_tap_hears_from_info_on_whatever_is_written(
    heard: list[tuple[str, str, dict[str, Any]]], level: str
) -> None:
    """The level of the log only says what is written; a tap misses nothing for it, and makes nothing be written."""
    stream = io.BytesIO()
    configure(Config(level=level), stream=stream, run_id="r1")
    log = get_logger("test")
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)(f"told.{name}", symbol="X")
    assert [event for event, _, _ in heard] == ["told.info", "told.warning", "told.error"]
    assert [said for _, said, _ in heard] == ["info", "warning", "error"]
    assert all(fields["run_id"] == "r1" and fields["symbol"] == "X" for _, _, fields in heard)
    names = ["debug", "info", "warning", "error"]
    assert written(stream) == [f"told.{name}" for name in names[names.index(level) :]]


def test_a_tap_sees_no_secret(heard: list[tuple[str, str, dict[str, Any]]]) -> None:
    """What is hidden in the log is hidden from whoever listens."""
    configure(Config(), stream=io.BytesIO())
    get_logger("test").warning("told.secret", api_key="hush-hush", text="x?signature=deadbeef")
    assert "hush" not in str(heard)
    assert "deadbeef" not in str(heard)


def test_a_tap_that_fails_is_taken_off_and_told() -> None:
    """The line is written all the same, with the fault and its traceback after it, and others still hear."""
    stream, others = io.BytesIO(), []

    def broken(event: str, level: str, fields: Mapping[str, Any]) -> None:
        raise ZeroDivisionError("no")

    def sound(event: str, level: str, fields: Mapping[str, Any]) -> None:
        others.append(event)

    configure(Config(), stream=stream)
    listen(broken)
    listen(sound)
    try:
        get_logger("test").info("told.first")
        get_logger("test").info("told.second")
    finally:
        stop_listening(sound)
        stop_listening(broken)
        close()
    assert written(stream) == ["log.tap_failed", "told.first", "told.second"]
    fault = json.loads(stream.getvalue().splitlines()[0])
    assert "broken" in fault["listener"]
    assert "ZeroDivisionError" in fault["exception"]
    assert others == ["log.tap_failed", "told.first", "told.second"]


def test_without_taps_nothing_is_made_that_is_not_written() -> None:
    """A quiet log costs what it did before."""
    assert log_taps.least_level("error") == "error"
    assert log_taps.processors("error") == []
