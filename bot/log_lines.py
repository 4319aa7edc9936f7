"""What a line of the log looks like: JSON for machines, words for a terminal; nothing in it can break it.

Whatever a value holds (an exchange may have sent it), a line stays one line, and a terminal obeys none of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

_LINE_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029]")
_COLORS: Final = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_PLAIN: Final = "\x1b[0m"
_NOT_ON_CONSOLE: Final = frozenset(
    {
        "ts",
        "level",
        "event",
        "run_id",
        "mode",
        "simulated",
        "unproven",
        "exception",
        "module",
        "model_id",
        "candle_at_ms",
    }
)


def json_line(fields: Mapping[str, Any]) -> bytes:
    """One JSON object and a line feed; every other character that ends a line anywhere is escaped."""
    try:
        line = orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (
        TypeError
    ):  # an integer of more than 64 bits, half a surrogate pair: slower, but a line all the same
        line = json.dumps(fields, default=str).encode()
    if not line.isascii():
        line = _LINE_BREAKS.sub(lambda match: f"\\u{ord(match[0]):04x}", line.decode()).encode()
    return line + b"\n"


def console_line(fields: Mapping[str, Any], *, colored: bool) -> str:
    """Time, level, event and fields for a person; a traceback follows on lines of its own, indented."""
    level = str(fields["level"])
    words = [str(fields["ts"])[11:23], f"{level:<7}"]
    if fields.get("simulated"):
        words.append("simulated")
    if fields.get("unproven"):
        words.append("UNPROVEN")
    words.append(f"{visible(str(fields['event'])):<20}")
    words += [
        f"{visible(str(name))}={_worded(value)}"
        for name, value in fields.items()
        if name not in _NOT_ON_CONSOLE
    ]
    line = " ".join(words)
    color = _COLORS.get(level, "") if colored else ""
    text = f"{color}{line}{_PLAIN}\n" if color else f"{line}\n"
    below = str(fields.get("exception") or "").splitlines()
    return text + "".join(f"    {visible(row)}\n" for row in below)


def _worded(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return visible(value if isinstance(value, str) else str(value))


def visible(text: str) -> str:
    """Text with every character that does not print written as an escape; letters of every language stay."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )
