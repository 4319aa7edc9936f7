"""Marked secrets, and a search for them wherever a program may have left them.

A test trades with ``KEY`` and ``SECRET`` and then calls ``assert_nowhere`` with all that was written and said. What is
looked for is not the values alone, but parts of them, and what they look like in an address, in base64 and in hex: a
secret that is cut or encoded is out all the same.
"""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

KEY: Final = "CanaryKeyQ7vXz2LmT9pWs4RbN8cJf6YhGd3KtUe5AoViBnMx1ZqEyCrOlPgHw0"
SECRET: Final = "CanarySecretH3kPz8WnV5tQe1RxJ7mLb2DyGf9SuCo4AiTvKhNq6BlMwZrXgE0Y"
PASSWORD: Final = "Canary/Pass+Phrase=27"

ENVIRONMENT: Final = {"BOT__EXCHANGE__API_KEY": KEY, "BOT__EXCHANGE__API_SECRET": SECRET}

_PART: Final = 16
"""So many characters in a row are enough to be found."""


class FoundError(AssertionError):
    """A canary sang: says where, and never what."""


def key_files(folder: Path) -> dict[str, str]:
    """Private files with the secrets, and the variables of the environment that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    variables = {}
    for name, value in (("api_key", KEY), ("api_secret", SECRET)):
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(f"{value}\n")
        variables[f"BOT__EXCHANGE__{name.upper()}_FILE"] = str(file)
    return variables


def forms(secret: str) -> Iterator[bytes]:
    """What gives a secret away."""
    for start in {0, (len(secret) - _PART) // 2, max(0, len(secret) - _PART)}:
        yield secret[start : start + _PART].encode()
    plain = secret.encode()
    yield quote(secret, safe="").encode()
    yield base64.b64encode(plain).rstrip(b"=")[:-1]
    yield base64.urlsafe_b64encode(plain).rstrip(b"=")[:-1]
    yield plain.hex().encode()


def assert_nowhere(
    paths: Iterable[Path], texts: Iterable[str | bytes], *, secrets: Iterable[str] = (KEY, SECRET)
) -> None:
    """Fail where a secret is in a file, in the name of a file, in a database or in a text.

    Args:
        paths: Files, and folders with all that is in them; what is missing holds nothing.
        texts: What was said: standard output and error, command lines, environments of children.
        secrets: What to look for.

    Raises:
        FoundError: It is there; says in which file or text, and not what.
    """
    wanted = {secret: tuple(dict.fromkeys(forms(secret))) for secret in secrets}
    for number, text in enumerate(texts):
        content = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
        _require_none(content, f"text {number}", wanted)
    for file in _files(paths):
        _require_none(os.fsencode(file), f"the name of {file.name!r}", wanted)
        _require_none(file.read_bytes(), str(file), wanted)
        if file.suffix == ".sqlite":
            _require_none(_dump(file), f"{file} (as SQL)", wanted)


def _require_none(content: bytes, place: str, wanted: dict[str, tuple[bytes, ...]]) -> None:
    for number, found in enumerate(wanted.values()):
        if any(form in content for form in found):
            raise FoundError(f"secret {number} is in {place}")


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file())
        elif path.is_file():
            yield path


def _dump(file: Path) -> bytes:
    """A database as text: its pages may cut a value in two. Values that are blobs come as hex, so as bytes too."""
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        parts = []
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in database.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 - names of its own tables
                parts += [value if isinstance(value, bytes) else str(value).encode() for value in row]
        return b"\n".join(parts)
    finally:
        database.close()
