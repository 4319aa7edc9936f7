"""Structured logs: one JSON object a line for machines, one readable line on a terminal.

An event is a dotted name in the past tense (``order.filled``) and plain fields. Every line carries ``ts`` (UTC,
milliseconds), ``level``, ``event`` and what ``configure`` was given (run_id, mode, and simulated or unproven where it is so).
No value can break a line or move a cursor, and what is named like a secret is not written. A line has a bound, and what
comes too often is counted and told in one line with ``repeated_count`` (``bot.log_limits``); whoever taps the log hears all.

Loggers may be made before ``configure`` and kept: they follow it. Until then only warnings are written, to stderr.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeAlias

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from bot import log_taps
from bot.errors import ConfigError
from bot.log_files import RotatingFile
from bot.log_limits import MOST_LINE, RepeatRule, Repeats, Untold, shortened, told
from bot.log_lines import console_line, json_line
from bot.redaction import (
    HIDDEN,
    line_without_secrets,
    names_a_secret,
    redacted,
    redacted_closely,
    redacted_end,
    redacted_value,
    without_secrets,
)

__all__ = [
    "EVENT_NAME",
    "LogConfig",
    "RotatingFile",
    "bind_always",
    "close",
    "configure",
    "console_line",
    "get_logger",
    "json_line",
    "listen",
    "redact_library_logs",
    "stop_listening",
]

EVENT_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
"""What every event's name looks like."""

_LONG: Final = 40
"""Shorter texts without ``=`` are symbols and ids; searching them for telling names would cost 1 µs each."""
Fields: TypeAlias = MutableMapping[str, Any]


class LogConfig(Protocol):
    """What ``configure`` reads; the ``logs`` section of the settings has it."""

    @property
    def format(self) -> str:
        """auto, json or console."""

    @property
    def level(self) -> str:
        """debug, info, warning or error."""

    @property
    def console_omits(self) -> tuple[str, ...]:
        """Events that the console form leaves out."""

    @property
    def file(self) -> Path | None:
        """A file for the JSON lines."""

    @property
    def max_bytes(self) -> int:
        """Size at which the file is rotated."""

    @property
    def backups(self) -> int:
        """Rotated files that are kept."""

    @property
    def repeat_most(self) -> int:
        """Lines of the same event, symbol and level that are written in a stretch of time; 0 writes all."""

    @property
    def repeat_seconds(self) -> float:
        """How long that stretch is."""

    @property
    def repeat_exempt(self) -> tuple[str, ...]:
        """Events, or beginnings of them, that are always written."""


class Output:
    """Where rendered lines go: a stream and perhaps a file. structlog calls it by the name of the level."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.stream: BinaryIO | None = None
        self.file: RotatingFile | None = None

    def msg(self, lines: tuple[bytes, bytes]) -> None:
        """Write a line: the first form to the stream, the second to the file."""
        shown, stored = lines
        with self._lock:
            # Until it is configured: whatever stderr is now (a test, for one, replaces it).
            stream = self.stream or sys.stderr.buffer
            stream.write(shown)
            stream.flush()
            if self.file is not None:
                self._store(stored, stream)

    def _store(self, line: bytes, stream: BinaryIO) -> None:
        """Append to the file; a disk that refuses ends the file, says so on the stream, and trading goes on."""
        if self.file is None:
            return
        try:
            self.file.write(line)
        except OSError as error:
            broken, self.file = self.file, None
            notice = {
                "level": "error",
                "event": "log.file_failed",
                "file": str(broken.path),
                "error": str(error),
            }
            stream.write(orjson.dumps(notice) + b"\n")
            stream.flush()

    debug = info = warning = error = critical = exception = msg


_output = Output()
_always: dict[str, Any] = {}
_processors: list[Any] = []
_applied: tuple[str, _Renderer, _Limiter]


def configure(config: LogConfig, *, stream: BinaryIO | None = None, **always: Any) -> None:
    """Set up logging; calling it again replaces what was set.

    Args:
        config: The ``logs`` section of the settings.
        stream: Where lines go, standard output where it is None.
        **always: Fields of every line: run_id, mode, simulated and unproven (left out where it is not so).

    Raises:
        ConfigError: The log file can't be opened.
    """
    file = None
    if config.file is not None:
        try:
            file = RotatingFile(config.file, config.max_bytes, config.backups)
        except OSError as error:
            raise ConfigError(
                f"logs.file: {config.file} cannot be opened: {error.strerror or error}"
            ) from error
    close()
    redact_library_logs()
    target = stream if stream is not None else sys.stdout.buffer
    on_terminal = target.isatty()
    _output.stream, _output.file = target, file
    _always.clear()
    bind_always(**always)
    console = config.format == "console" or (config.format == "auto" and on_terminal)
    renderer = _Renderer(
        console=console,
        colored=console and on_terminal,
        stored=file is not None,
        omits=frozenset(config.console_omits),
    )
    rule = RepeatRule(config.repeat_most, config.repeat_seconds, config.repeat_exempt)
    _apply(config.level, renderer, _Limiter(rule, renderer))


def bind_always(**fields: Any) -> None:
    """Add fields to every line from now on; one that is None or False is left out."""
    for name, value in fields.items():
        if value is None or value is False:
            _always.pop(name, None)
        else:
            _always[name] = value


def close() -> None:
    """Tell what was left out, close the log file, and write to stderr again."""
    _applied[2].flush()
    if _output.file is not None:
        _output.file.close()
    _output.file = _output.stream = None


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger whose lines name the part of the program that wrote them.

    ``log.info("order.filled", symbol=..., price=...)``; ``log.bind(symbol=...)`` keeps fields.
    """
    logger: FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


def redact_library_logs() -> None:
    """Hide secrets in what libraries log through the standard library (asyncio, uvicorn, APScheduler); call it once."""
    make = logging.getLogRecordFactory()
    if getattr(make, "redacts", False):
        return

    def redacting(*words: Any, **named: Any) -> logging.LogRecord:
        record = make(*words, **named)
        try:
            said = record.getMessage()
        except (TypeError, ValueError):
            return record  # words that do not fit their template: whoever handles the record says so
        shown = redacted(said)
        if shown != said:
            record.msg, record.args = shown, ()
        if record.exc_info and record.exc_info[1] is not None:
            # The formatter prints what it finds here instead of formatting the traceback itself.
            record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
        return record

    redacting.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(redacting)


def listen(tap: log_taps.Tap) -> None:
    """Hand every line of level info and above to ``tap`` from now on, whether the level lets it be written or not."""
    log_taps.add(tap)
    _apply(*_applied)


def stop_listening(tap: log_taps.Tap) -> None:
    """Hand it no more; safe to call twice."""
    log_taps.remove(tap)
    _apply(*_applied)


def _apply(level: str, renderer: _Renderer, limiter: _Limiter) -> None:
    global _applied  # noqa: PLW0603 - as the processors, one for the process
    _applied = (level, renderer, limiter)
    # In place: a bound logger that was made earlier keeps this very list.
    _processors[:] = [
        _begin,
        structlog.processors.TimeStamper(fmt=None, key="ts"),
        structlog.processors.format_exc_info,
        _redact,
        *log_taps.processors(level),
        limiter,
        renderer,
    ]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(log_taps.least_level(level)),
        logger_factory=lambda *_: _output,
        cache_logger_on_first_use=False,
    )


# --- processors -------------------------------------------------------------------------------------------


def _begin(_logger: Any, method: str, fields: Fields) -> Fields:
    """Put the fixed fields first; what the caller said wins."""
    level = "error" if method == "exception" else method
    return {"ts": None, "level": level, "event": fields.pop("event"), **_always, **fields}


def _redact(_logger: Any, _method: str, fields: Fields) -> Fields:
    """Hide values named like secrets, and secrets inside the text of errors and addresses, nested ones too."""
    for name, value in fields.items():
        if names_a_secret(name):
            fields[name] = HIDDEN
        elif isinstance(value, str):
            if "=" in value or len(value) > _LONG:
                fields[name] = redacted_end(value) if name == "exception" else redacted_closely(value)
        elif isinstance(value, BaseException):
            fields[name] = redacted_closely(str(value))
        elif isinstance(value, (dict, list, tuple)):
            fields[name] = redacted_value(value)
    return fields


class _Renderer:
    """The last processor: the line for the stream and the line for the file."""

    def __init__(
        self, *, console: bool, colored: bool, stored: bool, omits: frozenset[str] = frozenset()
    ) -> None:
        self._console = console
        self._omits = omits
        self._colored = colored
        self._stored = stored
        self._second = -1
        self._second_text = ""

    def _time_text(self, seconds: float) -> str:
        """ISO 8601 with milliseconds; the part up to the second is kept, since most lines share it."""
        whole = int(seconds)
        if whole != self._second:
            self._second, self._second_text = whole, f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"
        return f"{self._second_text}.{int((seconds - whole) * 1000):03d}Z"

    def __call__(self, _logger: Any, _method: str, fields: Fields) -> tuple[tuple[Any, ...], dict[str, Any]]:
        fields["ts"] = self._time_text(fields["ts"])
        forms = self._forms(fields)
        if max(map(len, forms)) > MOST_LINE:
            forms = self._forms(shortened(fields, without_secrets))
        return (forms,), {}

    def _forms(self, fields: Mapping[str, Any]) -> tuple[bytes, bytes]:
        """What the stream and the file get."""
        if not self._console:
            line = line_without_secrets(json_line(fields))
            return line, line
        shown = b""
        if fields["event"] not in self._omits:
            text = console_line(fields, colored=self._colored).encode("utf-8", "backslashreplace")
            shown = line_without_secrets(text)
        return shown, line_without_secrets(json_line(fields)) if self._stored else b""


class _Limiter:
    """The processor before the last: leaves out what comes too often, and tells how much that was."""

    def __init__(self, rule: RepeatRule, renderer: _Renderer) -> None:
        self._repeats = Repeats(rule)
        self._renderer = renderer
        self._at = 0.0

    def __call__(self, _logger: Any, _method: str, fields: Fields) -> Fields:
        self._at = at = fields["ts"]
        self._tell(self._repeats.over(at))
        if self._repeats.takes(fields, at):
            return fields
        raise structlog.DropEvent

    def flush(self) -> None:
        """Tell what was left out so far."""
        self._tell(self._repeats.all())

    def _tell(self, untold: Sequence[Untold]) -> None:
        for one in untold:
            (forms,), _ = self._renderer(None, "", told(one, self._at))
            _output.msg(forms)


_first = _Renderer(console=False, colored=False, stored=False)
_apply("warning", _first, _Limiter(RepeatRule(0, 0.0), _first))
