"""What must never be read by anybody: secrets by their value, and what texts carry under a name that tells of one.

Whoever reads a secret (the settings do) calls ``keep_secret``; from then on no log line, no text of an error and no
traceback of this process shows it. The names are a second net, for what nobody has told: a signature in an address,
a listen key in a reply.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "***"
LEAST_LENGTH: Final = 8
"""A value shorter than this is not looked for: half of every line would be made of it."""
LEAST_WORD: Final = 16
"""Of a secret of several words or lines (a private key in PEM), those from this length on are secrets themselves."""

MOST_SEARCHED: Final = 16_384
"""Characters of a field of a log line that are searched and kept at most."""
_EDGE: Final = 4_096
"""Longer than any secret that is looked for."""

_NAME = r"api[-_]?key|listen[-_]?key|private[-_]?key|signature|secret|token|password|passphrase"
_NAMES: Final = re.compile(
    r"key|secret|token|password|passphrase|signature|credential|authorization", re.IGNORECASE
)
_LOOSE: Final = re.compile(
    rf"((?:{_NAME})[\"']?\s*[=:]\s*[\"']?)[^\s&\"',}}]+"
    r"|(authorization[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic)\s+)?)[^\s&\"',}]+",
    re.IGNORECASE,
)
_STRICT: Final = re.compile(
    # name=value of an address, "name": "value" of JSON, name: value of a request's head
    rf"((?:{_NAME})=)[^\s&\"'<>]+"
    rf"|([\"'][a-z_-]*(?:{_NAME})[\"']\s*:\s*[\"'])[^\"']+"
    r"|(x-mbx-apikey[\"']?\s*:\s*[\"']?)[^\s\"',}]+"
    # a user stream's address ends in its listen key; an address may carry a password
    r"|(/ws/)[a-z0-9_-]{32,}"
    r"|(://[^\s/:@]+:)[^\s/@]+(?=@)",
    re.IGNORECASE,
)

_texts: list[str] = []
_lines: list[bytes] = []


def keep_secret(*values: str | None) -> None:
    """Never show these from now on, nor what they look like in an address, in JSON and in base64."""
    for value in values:
        for part in _parts(value or ""):
            for form in _forms(part):
                if form not in _texts:
                    _texts.append(form)
    # A form that contains another is hidden as a whole.
    _texts.sort(key=len, reverse=True)
    _lines[:] = [form.encode("utf-8", "backslashreplace") for form in _texts]


def forget_secrets() -> None:
    """Show everything again; for tests."""
    _texts.clear()
    _lines.clear()


def without_secrets(text: str) -> str:
    """A text without the values that are kept secret."""
    for form in _texts:
        if form in text:
            text = text.replace(form, HIDDEN)
    return text


def line_without_secrets(line: bytes) -> bytes:
    """``without_secrets`` for what is about to be written."""
    for form in _lines:
        if form in line:
            line = line.replace(form, HIDDEN.encode())
    return line


def redacted(text: str) -> str:
    """A text for a person: no secret, and nothing that an address or a reply carries under a telling name.

    Prose about a secret stays (``exchange.api_key: mode live needs it``).
    """
    return without_secrets(_STRICT.sub(_keep_name, text))


def redacted_closely(text: str) -> str:
    """``redacted``, and whatever follows a telling name even in prose: for the fields of a log line.

    Of a text beyond ``MOST_SEARCHED`` the rest is cut: to search a megabyte takes a second, and nobody reads it. What is
    left ends before that place, so that no half of a secret is shown.
    """
    if len(text) <= MOST_SEARCHED:
        return _LOOSE.sub(_keep_name, redacted(text))
    return _LOOSE.sub(_keep_name, redacted(text[:MOST_SEARCHED]))[:-_EDGE] + "… (the rest is cut)"


def redacted_end(text: str) -> str:
    """``redacted_closely`` of a traceback, whose end is kept: there stands the error."""
    if len(text) <= MOST_SEARCHED:
        return redacted_closely(text)
    return "(the beginning is cut) …" + redacted_closely(text[-MOST_SEARCHED:])[_EDGE:]


def redacted_value(value: Any) -> Any:
    """A JSON value, nested as it may be: what is named like a secret is hidden whole, texts as in a log line."""
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if names_a_secret(str(key)) else redacted_value(inner) for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redacted_value(inner) for inner in value]
    return redacted_closely(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)
def names_a_secret(name: str) -> bool:
    """Whether a field of this name is never written."""
    return _NAMES.search(name) is not None


def _keep_name(match: re.Match[str]) -> str:
    return next(part for part in match.groups() if part is not None) + HIDDEN


def _parts(value: str) -> Iterable[str]:
    """The secret, and the longer words of one that has several."""
    whole = value.strip()
    words = whole.split()
    longer = [word for word in words if len(word) >= LEAST_WORD] if len(words) > 1 else []
    return [part for part in (whole, *longer) if len(part) >= LEAST_LENGTH]


def _forms(value: str) -> Iterable[str]:
    """What a value looks like wherever it may turn up."""
    return dict.fromkeys(
        (
            value,
            quote(value, safe=""),
            quote_plus(value),
            json.dumps(value)[1:-1],
            repr(value)[1:-1],
            base64.b64encode(value.encode()).decode(),
        )
    )
