"""What others send cannot forge, split or hide a line of the log, nor command the terminal that shows it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import logs
from bot.cli.log_filter import shown_line
from bot.log_lines import console_line, visible
from tests.bot.test_log_taps import Config

FORGED = '{"ts":"2024-01-01T00:00:00.000Z","level":"error","event":"risk.halted"}'
BREAKS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
"""Everything that somebody takes for the end of a line."""
COMMANDS = {
    "clear the screen": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "one byte CSI": "\x9b31m",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "go back": "all is well\r\b\b\b\b",
    "right to left": "safe\u202eevil",
    "hidden": "a\u200b\u200db\ufeff",
    "null": "a\x00b",
    "bell": "\x07",
    "private": "\ue000",
    "half a pair": "\ud83d",
}


@pytest.fixture(autouse=True)
def closed():
    """Leave logging as it was."""
    yield
    logs.close()


def written(tmp_path: Path, form: str, **fields: object) -> tuple[str, bytes]:
    """A line as it stands on the stream and in the file."""
    stream, file = io.BytesIO(), tmp_path / "bot.jsonl"
    logs.configure(Config(format=form, file=file), stream=stream, mode="paper")
    logs.get_logger("bot.feeds").warning("feed.frame_refused", **fields)
    logs.close()
    return stream.getvalue().decode("utf-8", "surrogatepass"), file.read_bytes()


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("end", BREAKS, ids=[repr(end) for end in BREAKS])
def test_no_value_can_forge_a_line(tmp_path: Path, form: str, end: str) -> None:
    """A reason, a nested text or a field's name with the end of a line and a whole forged line in it stays one line."""
    evil = f"x{end}{FORGED}{end}"
    shown, stored = written(tmp_path, form, cause=evil, nested={"a": [evil]}, **{f"name{end}": 1})
    assert len(shown.splitlines()) == 1
    assert len(stored.decode().splitlines()) == 1
    row = json.loads(stored)
    assert (row["event"], row["level"], row["cause"]) == ("feed.frame_refused", "warning", evil)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_value_commands_the_terminal(tmp_path: Path, command: str) -> None:
    """Neither as it is written, nor when `bot logs` shows the stored line: the sequence is spelled out."""
    shown, stored = written(tmp_path, "console", cause=command)
    assert shown[:-1].isprintable()
    raw = stored.decode("utf-8")
    assert not set(raw[:-1]) & {"\x1b", "\x9b", "\x07", "\x00", "\r", "\b"}
    again = shown_line(json.loads(raw))
    assert again.isprintable()
    assert "\\" in again


def test_a_header_of_a_request_cannot_forge_a_line(tmp_path: Path) -> None:
    """A path and an address of a client, as the control API logs them when it refuses somebody."""
    path = f"/v1/halt HTTP/1.1\r\nX-Evil: 1\r\n\r\n{FORGED}"
    _, stored = written(tmp_path, "json", client="127.0.0.1\n", path=path, status=401, reason="no token")
    assert stored.count(b"\n") == 1
    assert json.loads(stored)["path"] == path


def test_fields_cannot_take_the_place_of_the_fixed_ones(tmp_path: Path) -> None:
    """A field that is called level, ts or event in what somebody sent is nested, and stays there."""
    sent = {"level": "info", "event": "service.ready", "ts": "1999-01-01T00:00:00.000Z"}
    _, stored = written(tmp_path, "json", message=sent)
    row = json.loads(stored)
    assert (row["level"], row["event"], row["ts"][:2]) == ("warning", "feed.frame_refused", "20")
    assert row["message"] == sent


@given(st.text(), st.text())
def test_an_error_below_a_console_line_stays_indented(cause: str, error: str) -> None:
    """A traceback takes lines of its own; each begins with blanks, so that none can be taken for an event."""
    fields = {
        "ts": "2024-01-01T00:00:00.000Z",
        "level": "error",
        "event": "a.failed",
        "cause": cause,
        "exception": error,
    }
    first, *below = console_line(fields, colored=False).split("\n")[:-1]
    assert first.isprintable()
    assert all(line.startswith("    ") and line.isprintable() for line in below)


@given(st.text())
def test_visible_text_is_printable_and_leaves_letters_alone(text: str) -> None:
    """What prints stays as it is, letter by letter; the rest is spelled out."""
    made = visible(text)
    assert made.isprintable()
    assert visible(made) == made
    if text.isprintable():
        assert made == text
