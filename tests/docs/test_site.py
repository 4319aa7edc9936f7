"""The site of the documents: built strictly, whole, the same as the repository shows, and without anything from another host."""

from __future__ import annotations

import html
import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADING = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "audio": "src",
    "video": "src",
}
STYLE_LOADS = re.compile(r"url\(\s*['\"]?([^)'\"]+)|@import\s+['\"]([^'\"]+)")
CHROMIUM = Path("/usr/bin/chromium")
LONG = os.environ.get("TESTS") == "all"
FOREIGN = re.compile(r"(?:[a-z]+:)?//", re.IGNORECASE)


class Page(HTMLParser):
    """What a page loads, links to and says in its paragraphs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.paragraphs: list[str] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.ids |= {told["id"]} if "id" in told else set()
        if tag in LOADING and LOADING[tag] in told and told.get("rel") not in {"canonical", "prev", "next"}:
            self.loads.append(told[LOADING[tag]])
        if tag == "a" and "href" in told:
            self.links.append(told["href"])
        if tag == "p":
            self.paragraphs.append("")
        self._open = tag == "p" or (self._open and tag not in {"pre", "table"})

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "p"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.paragraphs[-1] += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it; a warning, such as that of a broken link, ends the build."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page of the site."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """The hooks, as mkdocs loads them."""
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_of_the_repository_is_there(site: Path) -> None:
    """Each Markdown file of docs/ and of the root has its page; no source of the site itself is served."""
    wanted = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    wanted |= {Path("project") / path.name for path in ROOT.glob("*.md")}
    made = {Path("index.html" if path.name == "README.md" else f"{path.stem}.html") for path in wanted}
    assert {path.name for path in made} <= {path.name for path in site.rglob("*.html")}
    for path in wanted:
        assert (
            site / path.parent / ("index.html" if path.name == "README.md" else f"{path.stem}.html")
        ).is_file()
    assert not list(site.rglob("*.py"))


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[Path, Page]) -> None:
    """Scripts, styles, pictures and fonts are files of the site: it can be read without a network."""
    loaded = {(path.name, target) for path, page in pages.items() for target in page.loads}
    for style in site.rglob("*.css"):
        found = STYLE_LOADS.findall(style.read_text(encoding="utf-8"))
        loaded |= {(style.name, target) for pair in found for target in pair if target}
    assert {one for one in loaded if FOREIGN.match(one[1])} == set()
    assert any(target.endswith(".js") for _, target in loaded)
    for path, page in pages.items():
        for target in page.loads:
            if not target.startswith("data:"):
                folder = site if target.startswith("/") else path.parent  # the page of a lost link
                assert (folder / target.partition("?")[0].lstrip("/")).is_file(), (path.name, target)


def test_every_link_leads_to_a_page_and_a_heading(pages: dict[Path, Page]) -> None:
    """On the built site too, those between docs/ and the root of the repository among them."""
    broken = []
    for path, page in pages.items():
        for link in page.links:
            if FOREIGN.match(link) or path.name == "404.html":
                continue
            name, _, anchor = html.unescape(link).partition("#")
            there = (path.parent / name).resolve() if name else path
            there = there / "index.html" if there.is_dir() else there
            if not there.is_file() or (anchor and there in pages and anchor not in pages[there].ids):
                broken.append((path.name, link))
    assert broken == []


def test_lists_and_tables_are_lists_and_tables(pages: dict[Path, Page]) -> None:
    """What the repository shows as a list or a table is no paragraph of signs on the site."""
    for path, page in pages.items():
        for text in page.paragraphs:
            assert not re.search(r"(^|\n)\s*(- |\* |\d+\. |\|)", text), (path.name, text)


def test_search_knows_the_pages(site: Path) -> None:
    """The index of the search lies on the site, and has what only one page says."""
    assert "strategy-tutorial.html" in (site / "search" / "search_index.json").read_text(encoding="utf-8")


@pytest.mark.skipif(
    not LONG or not CHROMIUM.exists(), reason="a browser takes its time: TESTS=all, with Chromium"
)
def test_a_page_that_is_opened_as_a_file_can_be_searched(site: Path) -> None:
    """Without a server and without a network the search finds pages, and the browser asks no other host for anything."""
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.click(".md-search__input")
        page.type(".md-search__input", "watchdog")
        page.wait_for_selector(".md-search-result__link", timeout=30_000)
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []


def test_a_folder_is_opened_and_a_forgotten_page_is_not_lost(hooks: ModuleType) -> None:
    """`decisions/` in the navigation stands for its pages, the README first; what no entry names stands under More."""
    config = SimpleNamespace(nav=["README.md", {"Why": [{"Decisions": "decisions/"}]}])
    hooks.on_config(config)
    first, why, more = config.nav
    assert first == "README.md"
    decisions = why["Why"][0]["Decisions"]
    assert decisions[:2] == ["decisions/README.md", "decisions/0001-named-tuples-on-the-hot-path.md"]
    assert "models.md" in more["More"]
    assert not set(decisions) & set(more["More"])


def test_links_are_turned_both_ways(hooks: ModuleType) -> None:
    """A link as it stands in the repository becomes the one that leads to the same file on the site."""
    turned = {
        ("../README.md", "commands.md"): "project/README.md",
        ("docs/models.md", "project/README.md"): "../models.md",
        ("ARCHITECTURE.md", "project/CONTRIBUTING.md"): "ARCHITECTURE.md",
        ("LICENSE", "project/README.md"): "LICENSE",
        ("decisions/", "README.md"): "decisions/README.md",
        ("../../config/live.yaml", "decisions/README.md"): "../project/config/live.yaml",
        ("0002-features-anchored-to-blocks.md", "decisions/README.md"): "0002-features-anchored-to-blocks.md",
    }
    assert {(target, here): hooks.site_link(target, here) for target, here in turned} == turned
