"""Hooks of mkdocs: pages of the repository's root are on the site too, and one link leads to them here and there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs/"
OUTSIDE = "project/"
"""The site's folder for what lies outside docs/."""
ROOT_PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
_TARGET = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")


def on_config(config: MkDocsConfig) -> None:
    """Put every page of a folder in the place of the folder's name in the navigation, and pages that it forgets at its end."""
    nav = _opened(config.nav)
    there = {path.relative_to(ROOT / DOCS).as_posix() for path in (ROOT / DOCS).rglob("*.md")}
    forgotten = sorted(there.difference(_named(nav)))
    config.nav = [*nav, {"More": forgotten}] if forgotten else nav


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages of the root, and every other file outside docs/ that a page links to."""
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in ROOT_PAGES}
    pages |= {DOCS + file.src_uri: file.content_string for file in files.documentation_pages()}
    linked = {in_repository(target, page) for page, text in pages.items() for target in _TARGET.findall(text)}
    for name in sorted({*ROOT_PAGES, *linked}):
        if not name.startswith(DOCS) and (ROOT / name).is_file():
            files.append(File.generated(config, OUTSIDE + name, abs_src_path=str(ROOT / name)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn each link as it stands in the repository into the one that leads to the same file on the site."""
    here = page.file.src_uri
    return _TARGET.sub(lambda found: site_link(found[1], here), markdown)


def in_repository(target: str, page: str) -> str:
    """The path in the repository that a link of a page there leads to; a folder's is its README."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
    return f"{path}/README.md" if (ROOT / path).is_dir() else path


def site_link(target: str, here: str) -> str:
    """The link on the site's page ``here`` that leads where ``target`` leads in the repository."""
    page = here.removeprefix(OUTSIDE) if here.startswith(OUTSIDE) else DOCS + here
    path = in_repository(target, page)
    there = path.removeprefix(DOCS) if path.startswith(DOCS) else OUTSIDE + path
    return posixpath.relpath(there, posixpath.dirname(here) or ".")


def _opened(nav: Any) -> Any:
    """Navigation with ``folder/`` replaced by the folder's pages, the README first."""
    if isinstance(nav, list):
        return [_opened(entry) for entry in nav]
    if isinstance(nav, dict):
        return {title: _opened(entry) for title, entry in nav.items()}
    if not nav.endswith("/"):
        return nav
    names = sorted(path.name for path in (ROOT / DOCS / nav).glob("*.md"))
    return [nav + name for name in sorted(names, key=lambda name: name != "README.md")]


def _named(nav: Any) -> Iterator[str]:
    """Every page that a navigation names."""
    for entry in nav.values() if isinstance(nav, dict) else nav:
        if isinstance(entry, str):
            yield entry
        else:
            yield from _named(entry)
