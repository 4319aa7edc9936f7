"""Log lines: their fields, that nothing breaks them, and that they hide secrets."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import logs
from bot.errors import ConfigError
from bot.redaction import forget_secrets, keep_secret
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@dataclass(frozen=True)
class Config:
    """The section of the settings, as small as a test needs it."""

    format: str = "json"
    level: str = "info"
    console_omits: tuple[str, ...] = ()
    file: Path | None = None
    max_bytes: int = 10_000
    backups: int = 2
    repeat_most: int = 0
    repeat_seconds: float = 60.0
    repeat_exempt: tuple[str, ...] = ()


@pytest.fixture(autouse=True)
def closed():
    """Leave logging as it was."""
    yield
    logs.close()
    logs.bind_always(run_id=None, mode=None, simulated=None)


def configured(config: Config | None = None, **always: object) -> io.BytesIO:
    """Configure logging onto a buffer."""
    stream = io.BytesIO()
    logs.configure(config or Config(), stream=stream, **always)
    return stream


def rows(stream: io.BytesIO) -> list[dict[str, object]]:
    """The JSON lines of a buffer."""
    return [json.loads(line) for line in stream.getvalue().decode().split("\n")[:-1]]


def test_every_line_has_the_fixed_fields():
    """A line has ts in UTC with milliseconds, level, event, module and what was given at the start, then the caller's fields."""
    stream = configured(run_id="r1", mode="paper", simulated=True)
    logs.get_logger("bot.x").info("order.filled", symbol="BTC/USDT", price=1.5)
    (row,) = rows(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(row.pop("ts")))
    assert row == {
        "level": "info",
        "event": "order.filled",
        "run_id": "r1",
        "mode": "paper",
        "simulated": True,
        "module": "bot.x",
        "symbol": "BTC/USDT",
        "price": 1.5,
    }


def test_a_real_market_is_not_called_simulated():
    """The field simulated is there only where it is so; fields can be added later."""
    stream = configured(mode="paper", simulated=False)
    logs.bind_always(run_id="late")
    logs.get_logger("bot.x").info("service.ready")
    assert "simulated" not in rows(stream)[0]
    assert rows(stream)[0]["run_id"] == "late"


def test_loggers_made_before_configure_follow_it():
    """A logger of a module's top level, bound or not, writes where the last configure says."""
    early = logs.get_logger("bot.early")
    bound = early.bind(symbol="A")
    first = configured()
    early.info("a.begun")
    bound.info("b.begun")
    second = configured(Config(format="console"))
    early.info("c.begun")
    bound.info("d.begun")
    assert [row["event"] for row in rows(first)] == ["a.begun", "b.begun"]
    assert "c.begun" in second.getvalue().decode()
    assert "d.begun" in second.getvalue().decode()


def test_before_configure_only_warnings_are_written_and_to_stderr():
    """A command that prints JSON on stdout is not disturbed by a log line."""
    code = "from bot.logs import get_logger\nlog = get_logger('m')\nlog.info('a.said')\nlog.warning('b.said')\nprint('{}')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "{}\n"
    assert json.loads(done.stderr)["event"] == "b.said"


def test_levels_below_the_configured_one_are_not_written():
    """At level warning an info line is dropped, an error is not."""
    stream = configured(Config(level="warning"))
    log = logs.get_logger("bot.x")
    log.info("a.said")
    log.error("b.said")
    assert [row["level"] for row in rows(stream)] == ["error"]


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda key: key not in {"event", "ts", "level"}), VALUES, max_size=4
    )
)
def test_json_is_one_line_whatever_the_values(fields):
    """Any key and value gives exactly one line by everybody's idea of a line, and JSON that parses."""
    line = logs.json_line({"ts": "t", "event": "a.b", **fields})
    assert len(line.decode().splitlines()) == 1
    assert line.endswith(b"\n")
    assert json.loads(line)["event"] == "a.b"


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), st.text())
def test_a_console_line_is_one_printable_line_whatever_the_values(fields, event):
    """No value can break a line of the terminal, move its cursor or color it."""
    fields = {name: value for name, value in fields.items() if name not in {"exception", "level", "ts"}}
    line = logs.console_line(
        {**fields, "ts": "2024-01-01T00:00:00.000Z", "level": "info", "event": event}, colored=False
    )
    assert line.endswith("\n")
    assert line[:-1].isprintable()


def test_what_orjson_cannot_write_is_written_all_the_same():
    """Integers of more than 64 bits, broken text and foreign objects end in a line, not in a crash."""
    stream = configured()
    logs.get_logger("bot.x").info("odd.seen", big=1 << 80, broken="\ud800", path=Path("/a"), nan=float("nan"))
    (row,) = rows(stream)
    assert row["big"] == 1 << 80
    assert row["path"] == "/a"


def test_secrets_are_hidden_by_name_and_in_text():
    """Values named like secrets, nested too, and secrets inside addresses and error texts are not written."""
    stream = configured()
    logs.get_logger("bot.x").info(
        "request.failed",
        apiKey="HUSH",
        nested={"password": "HUSH", "kept": ["x", {"auth_token": "HUSH"}]},
        url="https://x/y?symbol=A&signature=HUSH&limit=5",
        error='{"apiKey": "HUSH", "code": -2015, "secret":"HUSH", "message": "key refused"}',
    )
    text = stream.getvalue().decode()
    assert "HUSH" not in text
    assert "limit=5" in text
    assert "key refused" in text
    assert rows(stream)[0]["nested"] == {"password": "***", "kept": ["x", {"auth_token": "***"}]}


def test_an_exception_is_logged_with_its_traceback():
    """log.exception is an error with the traceback as one field; on a console it stands below, indented."""
    for config in (Config(), Config(format="console")):
        stream = configured(config)
        try:
            raise ValueError("bad\nvalue\x1b[2J")
        except ValueError:
            logs.get_logger("bot.x").exception("task.failed")
        text = stream.getvalue().decode()
        assert "ValueError" in text
        assert "\x1b" not in text
        if config.format == "json":
            assert rows(stream)[0]["level"] == "error"
            assert "Traceback" in str(rows(stream)[0]["exception"])
        else:
            assert all(line.startswith("    ") for line in text.splitlines()[1:])


def test_auto_is_json_off_a_terminal_and_a_readable_line_on_one():
    """A pipe gets JSON; a terminal gets a line that says simulated, in color for a warning."""
    stream = configured(Config(format="auto"))
    logs.get_logger("bot.x").info("a.said")
    assert rows(stream)[0]["event"] == "a.said"
    leader, follower = os.openpty()
    with os.fdopen(follower, "wb", buffering=0) as terminal:
        logs.configure(Config(format="auto"), stream=terminal, run_id="r1", simulated=True)
        logs.get_logger("bot.x").warning("feed.stalled", seconds=1.25)
        shown = os.read(leader, 10_000).decode()
    os.close(leader)
    assert shown.startswith("\x1b[33m")
    assert "warning simulated feed.stalled" in shown
    assert "seconds=1.25" in shown
    assert "r1" not in shown


def test_the_file_gets_json_and_rotates(tmp_path):
    """The file holds JSON whatever the console shows; full ones are renamed, and only so many are kept."""
    file = tmp_path / "deep" / "bot.jsonl"
    configured(Config(format="console", file=file))
    log = logs.get_logger("bot.x")
    for number in range(400):
        log.info("a.said", number=number, padding="x" * 60)
    logs.close()
    kept = sorted(path.name for path in file.parent.iterdir())
    assert kept == ["bot.jsonl", "bot.jsonl.1", "bot.jsonl.2"]
    numbers = [
        json.loads(line)["number"]
        for name in ("bot.jsonl.2", "bot.jsonl.1", "bot.jsonl")
        for line in (file.parent / name).read_text().splitlines()
    ]
    assert numbers == list(range(numbers[0], 400))
    assert all((file.parent / name).stat().st_size <= 10_000 for name in kept)


def test_a_file_is_appended_to(tmp_path):
    """A second start goes on in the same file."""
    file = tmp_path / "bot.jsonl"
    for number in range(2):
        configured(Config(file=file))
        logs.get_logger("bot.x").info("a.said", number=number)
        logs.close()
    assert [json.loads(line)["number"] for line in file.read_text().splitlines()] == [0, 1]


def test_a_file_that_cannot_be_opened_is_a_wrong_setting(tmp_path):
    """The sentence names the field and the file, and what was set before still works."""
    stream = configured()
    with pytest.raises(ConfigError, match=r"logs\.file: .* cannot be opened: Is a directory"):
        logs.configure(replace(Config(), file=tmp_path))
    logs.get_logger("bot.x").info("a.said")
    assert len(rows(stream)) == 1


def test_a_disk_that_is_full_does_not_stop_the_lines_on_the_stream():
    """The file is given up with one line that says so; the stream goes on."""
    stream = configured(Config(file=Path("/dev/full")))
    log = logs.get_logger("bot.x")
    log.info("a.said")
    log.info("b.said")
    found = rows(stream)
    assert [row["event"] for row in found] == ["a.said", "log.file_failed", "b.said"]
    assert "No space left" in str(found[1]["error"])


def test_the_settings_section_is_what_configure_takes(tmp_path):
    """The logs section of the settings configures logging as it is."""
    stream = io.BytesIO()
    logs.configure(Settings().logs, stream=stream)
    logs.get_logger("bot.x").info("a.said")
    assert rows(stream)[0]["event"] == "a.said"


def events_in(source: str) -> list[str]:
    """Names of the events that a module logs with a literal name."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    return [
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in {"debug", "info", "warning", "error", "exception"}
        and isinstance(call.args[0], ast.Constant)
        and ast.unparse(call.func.value).rpartition(".")[2].strip("_") in {"log", "logger"}
    ]


def test_event_names_are_dotted_words():
    """Every event that the daemon logs by a literal name is lower-case words joined by dots."""
    found = {
        (file.name, name)
        for file in (ROOT / "bot").rglob("*.py")
        if "bot.logs" in file.read_text(encoding="utf-8")
        for name in events_in(file.read_text(encoding="utf-8"))
    }
    assert not {(file, name) for file, name in found if not logs.EVENT_NAME.fullmatch(name)}
    assert events_in("self._log.info('Bad name')\nlog.error('x.failed')\nother.info('y')") == [
        "Bad name",
        "x.failed",
    ]
    assert not logs.EVENT_NAME.fullmatch("Bad name")
    assert not logs.EVENT_NAME.fullmatch("filled")


def test_the_console_leaves_out_the_events_that_it_is_told_to_and_the_file_none(tmp_path: Path) -> None:
    """A person is spared the lines of every candle; whoever reads the file has them all."""
    stream = io.BytesIO()
    path = tmp_path / "bot.jsonl"
    logs.configure(Config(format="console", console_omits=("candle.closed",), file=path), stream=stream)
    log = logs.get_logger("test")
    log.info("candle.closed", close=1.5)
    log.info("decision.made", reason="holding")
    assert b"candle.closed" not in stream.getvalue()
    assert b"decision.made" in stream.getvalue()
    assert path.read_text().count("\n") == 2


def test_a_kept_secret_is_in_no_form_of_a_line(tmp_path):
    """By value, in every field, nested, in a traceback, in an object that is only turned into text: it is not written."""
    file = tmp_path / "bot.jsonl"
    secret = "n0body/may+read=this"
    keep_secret(secret)

    class Speaks:
        def __repr__(self) -> str:
            return f"Speaks({secret})"

    try:
        for form in ("json", "console"):
            stream = configured(Config(format=form, file=file))
            log = logs.get_logger("m")
            log.info(
                "a.said", short=secret, nested={"a": [secret, {"b": secret}]}, thing=Speaks(), pair=(secret,)
            )
            log.info("a.said", error=ValueError(secret), url=f"https://x/?q={quote(secret, safe='')}")
            try:
                raise ValueError(secret)
            except ValueError:
                log.exception("a.failed")
            text = stream.getvalue().decode()
            assert text.count("***") >= 6
            assert secret not in text
            assert quote(secret, safe="") not in text
        logs.close()
        assert secret not in file.read_text()
    finally:
        forget_secrets()


def test_what_libraries_log_holds_no_secret():
    """A record of the standard library, its arguments and its traceback, is redacted before any handler sees it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("some.library")
    logger.addHandler(handler)
    logger.propagate = False
    keep_secret("n0body-may-read")
    factory = logging.getLogRecordFactory()
    try:
        logs.redact_library_logs()
        logger.warning("key %s, GET /x?signature=%s", "n0body-may-read", "abcdef")
        try:
            raise ValueError("n0body-may-read")
        except ValueError:
            logger.exception("failed")
        logger.warning("plain %d", 7)
    finally:
        logging.setLogRecordFactory(factory)
        logger.removeHandler(handler)
        forget_secrets()
    text = stream.getvalue()
    assert "n0body" not in text
    assert "abcdef" not in text
    assert "ValueError: ***" in text
    assert "plain 7" in text
