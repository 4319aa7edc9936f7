"""A headless Chromium for the dashboard's tests: pages opened strictly, and what a reader needs measured on them."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

CHROMIUM: Final = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
NEEDS_CHROMIUM: Final = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="needs playwright and a Chromium in PATH",
)
DESK: Final = (1360, 900)
PHONE: Final = (360, 780)
DRAWN: Final = "html[data-drawn=true]"
PATIENCE_MS: Final = 45_000
PAGES: Final = ("/", "/symbols", "/decisions", "/model", "/log", "/health")

CONTRASTS: Final = """
() => {
  const parts = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [found[0] * scale, found[1] * scale, found[2] * scale, found.length > 3 ? found[3] : 1];
  };
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3]));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((one) => one / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const stack = [];
    for (let at = element; at; at = at.parentElement) stack.push(parts(getComputedStyle(at).backgroundColor));
    return stack.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *:not(script):not(svg *):not(button:disabled)")) {
    const told = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!told || !element.getClientRects().length) continue;
    const below = ground(element), text = over(parts(getComputedStyle(element).color), below);
    const [one, other] = [light(text), light(below)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)} ${element.textContent.slice(0, 30)}`);
  }
  return poor;
}
"""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser for the length of a block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as played:
        started = played.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


@contextmanager
def visited(
    browser: Any,
    home: str,
    *,
    size: tuple[int, int] = DESK,
    scheme: str = "light",
    forgiven: str | None = None,
    enter: str | None = None,
) -> Iterator[Any]:
    """A page of a fresh visitor; what the browser complains of, and requests to other hosts, fail the test.

    Args:
        browser: Chromium.
        home: Address that everything has to come from.
        size: Of the window; a phone's has touch.
        scheme: The system's wish, light or dark.
        forgiven: A complaint with these words is expected.
        enter: An address to open first, such as one with a token.
    """
    touch = size == PHONE
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
        has_touch=touch,
        is_mobile=touch,
        reduced_motion="reduce",
    )
    complaints: list[str] = []
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: _note_stranger(asked.url, home, complaints))
    if enter is not None:
        page.goto(enter)
    try:
        yield page
    finally:
        context.close()
    assert [words for words in complaints if forgiven is None or forgiven not in words] == []


def _note_stranger(url: str, home: str, complaints: list[str]) -> None:
    if not url.startswith((f"{home}/", "data:")):
        complaints.append(f"asked for {url}")


def show(page: Any, address: str) -> None:
    """Open an address and wait until everything is drawn."""
    page.goto(address)
    page.wait_for_selector(DRAWN)


def until(page: Any, expression: str) -> None:
    """Wait until JavaScript says true; ``wait_for_function`` is no way, since the pages forbid ``eval``."""
    for _ in range(PATIENCE_MS // 50):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {expression}")


def width(page: Any) -> int:
    """How wide the page is, pixels: more than the window is a page that scrolls sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth"))


def brightness(page: Any) -> float:
    """Mean of the background's three colours, 0 to 255."""
    told = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    return float(sum(told[:3]) / 3)
