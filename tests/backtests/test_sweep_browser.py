"""The page of a sweep in a real browser: drawn without a complaint, on a laptop and a phone, in light and dark."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backtests.sweep_page import sweep_page
from tests.backtests.test_sweep_page import GRID, VARY, document_of, findings_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="needs playwright and a Chromium in PATH",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as played:
        started = played.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with three pairs of parameters."""
    findings = findings_of(GRID)
    document = document_of(findings, *VARY, importance={"threshold": 0.7, "stop_loss": 0.2})
    path = tmp_path_factory.mktemp("sweep") / "sweep.html"
    path.write_text(sweep_page(document, findings))
    return path


@pytest.mark.parametrize(("size", "scheme"), [((1280, 900), "dark"), ((390, 844), "light")])
def test_every_chart_is_drawn_and_nothing_is_too_wide(browser, page_file, size, scheme):
    """No complaint, no request but for the file, a drawing in every chart, and no scrolling to the side."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    try:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request", lambda request: said.append(request.url) if "sweep.html" not in request.url else None
        )
        page.goto(page_file.as_uri())
        page.wait_for_selector("html[data-drawn=true]", timeout=60_000, state="attached")
        assert said == []
        assert page.locator(".chart").count() == 7
        assert page.locator(".chart .main-svg").count() >= 7
        assert page.locator(".heatmaplayer image").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 19, 24)"
        assert dark == (scheme == "dark")
    finally:
        context.close()
