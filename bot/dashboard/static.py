"""The files of the pages: read, hashed and compressed once; nothing that was not found then is ever served."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from bot.errors import ConfigError

PAGES: Final = Path(__file__).parent / "pages"
CHARTS: Final = "plotly.min.js"
"""The library of charts; its Python package ships it."""

KINDS: Final = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".ico": b"image/x-icon",
    ".json": b"application/json",
    ".webmanifest": b"application/manifest+json",
    ".woff2": b"font/woff2",
}
PACKED: Final = frozenset({".png", ".ico", ".woff2"})
PATHS: Final = {"/": "overview.html"} | {
    f"/{name}": f"{name}.html" for name in ("symbols", "decisions", "model", "log", "health")
}
"""The address of each page, and its file."""

DIGITS: Final = 12
"""Of a content's hash, in an address."""

_VERSION = re.compile(r"\{\{v:([A-Za-z0-9._-]+)\}\}")


class Asset(NamedTuple):
    """A file as it is served.

    Attributes:
        name: In its address.
        kind: For ``Content-Type``.
        body: Its bytes.
        compressed: The same for who takes gzip; None where that is not shorter.
        version: Begins the SHA-256 of its bytes; in quotes it is the ``ETag``.
    """

    name: str
    kind: bytes
    body: bytes
    compressed: bytes | None
    version: str


class Assets:
    """Everything that can be served as a file.

    Args:
        folder: Of the pages.

    Raises:
        ConfigError: A page is missing, or names a file that is not there: the program is not whole.
    """

    def __init__(self, folder: Path = PAGES) -> None:
        found = {file.name: file.read_bytes() for file in _files(folder)}
        drawn = charts()
        versions = {name: digest(body) for name, body in found.items()} | {CHARTS: drawn.version}
        self._pages: dict[str, Asset] = {}
        self._files: dict[str, Asset] = {CHARTS: drawn}
        for name, body in found.items():
            if name.endswith(".html"):
                self._pages[name] = asset(name, versioned(name, body, versions))
            else:
                self._files[name] = asset(name, body)
        missing = [name for name in PATHS.values() if name not in self._pages]
        if missing:
            raise ConfigError(f"the dashboard's pages {', '.join(missing)} are missing: install the bot anew")

    def page(self, path: str) -> Asset | None:
        """The page of an address; None where there is none."""
        return self._pages.get(PATHS.get(path, ""))

    def file(self, path: str) -> Asset | None:
        """The file of an address that begins with /static/; None where there is none."""
        return self._files.get(path.removeprefix("/static/")) if path.startswith("/static/") else None

    @property
    def names(self) -> list[str]:
        """Every file that is served."""
        return sorted(self._files)


def _files(folder: Path) -> Iterator[Path]:
    """Files of known kinds; links are none of ours."""
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.is_symlink() and file.suffix in KINDS:
            yield file


@lru_cache(maxsize=1)
def charts() -> Asset:
    """The library of charts: megabytes that are compressed once a process."""
    return asset(CHARTS, charts_file().read_bytes())


def charts_file() -> Path:
    """Where the library of charts lies, without loading its package; raises ConfigError where it is missing."""
    spec = importlib.util.find_spec("plotly")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    for folder in folders:
        file = Path(folder) / "package_data" / CHARTS
        if file.is_file():
            return file
    raise ConfigError("the package plotly is missing, which draws the charts: install the bot anew")


def digest(body: bytes) -> str:
    """What tells one content from another in an address."""
    return hashlib.sha256(body).hexdigest()[:DIGITS]


def versioned(name: str, body: bytes, versions: Mapping[str, str]) -> bytes:
    """A page with ``{{v:NAME}}`` replaced by the file's hash; raises ConfigError where there is no such file."""

    def version(match: re.Match[str]) -> str:
        if match[1] not in versions:
            raise ConfigError(f"the dashboard's page {name} names {match[1]}, which is missing")
        return versions[match[1]]

    return _VERSION.sub(version, body.decode("utf-8")).encode()


def asset(name: str, body: bytes) -> Asset:
    """A file made ready."""
    suffix = Path(name).suffix
    packed = None if suffix in PACKED else gzip.compress(body, 6, mtime=0)
    if packed is not None and len(packed) >= len(body):
        packed = None
    return Asset(name, KINDS[suffix], body, packed, digest(body))
