"""The report in a real browser: drawn, readable and usable on a laptop and a phone, in light and dark, by keys alone."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backtests.report import ReportFolder, summarize
from backtests.run import run_backtest
from tests.random_market import PERPETUALS, random_input

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="needs playwright and a Chromium in PATH",
)
LAPTOP, PHONE = (1280, 900), (390, 844)
LEAST_CONTRAST = 4.5

CONTRASTS = """
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
    if (ratio < LEAST) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)} ${element.textContent.slice(0, 30)}`);
  }
  return poor;
}
""".replace("LEAST", str(LEAST_CONTRAST))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium for all tests of this file."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as played:
        started = played.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report with trades of two symbols on a simulated market, and one without a trade."""
    root = tmp_path_factory.mktemp("reports")
    for name, threshold in (("traded", 0.0005), ("idle", 0.9)):
        data = random_input(3, symbols=PERPETUALS[:2], count=2000, threshold=threshold)
        with ReportFolder(root / name) as folder:
            result = run_backtest(data, sink=folder)
            summary = summarize(result, data, strategy="<b>s</b>", parameters={}, warnings=["<i>one</i>"])
            folder.finish(
                result, data, summary, simulated=name == "traded", argv=["backtest", "--out", "a b"]
            )
    return {name: root / name / "report.html" for name in ("traded", "idle")}


@contextmanager
def opened(
    browser: Any, file: Path, *, size: tuple[int, int] = LAPTOP, scheme: str = "light"
) -> Iterator[Any]:
    """The page, drawn; whatever the browser complains of or asks the network for fails the test."""
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
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: _note_request(asked.url, complaints))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn=true]", timeout=90_000)
    yield page
    assert complaints == []
    context.close()


def _note_request(url: str, complaints: list[str]) -> None:
    if not url.startswith(("file:", "data:", "blob:")):
        complaints.append(f"asked for {url}")


def brightness(page: Any) -> float:
    """Mean of the background's three colours, 0 to 255."""
    told = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    return float(sum(told[:3]) / 3)


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [("traded", LAPTOP, "light"), ("traded", PHONE, "dark"), ("idle", LAPTOP, "dark")],
)
def test_the_page_is_drawn_and_fits(browser, reports, name, size, scheme):
    """Every chart has lines, nothing is wider than the screen, the theme is the system's and text can be read on it."""
    with opened(browser, reports[name], size=size, scheme=scheme) as page:
        charts = page.locator(".chart").count()
        assert charts >= 2
        assert page.locator(".chart:has(svg.main-svg)").count() == charts
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert (brightness(page) < 80) == (scheme == "dark")
        assert page.evaluate(CONTRASTS) == []
        assert ("SIMULATED MARKET" in page.inner_text("body")) == (name == "traded")


def test_trades_can_be_chosen_and_sorted(browser, reports):
    """A click in the table zooms to the trade and says what it was; symbols, order and pages can be chosen."""
    with opened(browser, reports["traded"]) as page:
        whole = page.get_attribute("#market-chart", "data-span")
        assert int(whole) > 1
        page.click("#trades-table tbody tr:nth-child(3) button")
        assert page.get_attribute("#market-chart", "data-picked") == "3"
        assert page.get_attribute("#market-chart", "data-span") == "1"
        assert page.inner_text("#market-status").startswith("Trade 3: ")
        assert page.locator("#trades-table tr[aria-current=true]").count() == 1
        assert "stop" in page.inner_text("#market-chart")
        page.click("#market-after")
        assert page.get_attribute("#market-chart", "data-picked") == "4"
        page.click("#market-out")
        page.click("#market-whole")
        assert page.get_attribute("#market-chart", "data-span") == whole
        assert page.get_attribute("#market-chart", "data-picked") == ""
        page.select_option("#market-symbol", "1")
        assert "A candle is" in page.inner_text("#market-status")
        page.click("#trades-table th[data-key=pnl] button")
        assert page.get_attribute("#trades-table th[data-key=pnl]", "aria-sort") == "ascending"
        column = page.locator("#trades-table th[data-key=pnl]").evaluate("head => head.cellIndex + 1")
        cells = page.locator(f"#trades-table tbody tr > :nth-child({column})").all_inner_texts()
        values = [float(cell.replace("−", "-").replace(",", "")) for cell in cells]
        assert values == sorted(values)
        page.click("#trades-after")
        assert page.inner_text("#trades-page").startswith("Page 2 of")


def test_the_theme_is_chosen_by_keys_and_remembered(browser, reports):
    """The button is reached by tab, turns light into dark with the charts, and the page opens dark next time."""
    with opened(browser, reports["traded"]) as page:
        before = brightness(page)
        colour = "document.querySelector('.chart .xtick text, .chart .ytick text').style.fill"
        ink = page.evaluate(colour)
        for _ in range(3):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "theme":
                break
        assert page.evaluate("document.activeElement.id") == "theme"
        page.keyboard.press("Enter")
        page.wait_for_function(f"{colour} !== {ink!r}")
        assert brightness(page) < before - 100
        assert page.evaluate(CONTRASTS) == []
        page.reload()
        page.wait_for_selector("#theme:has-text('Light')", timeout=90_000)
        assert brightness(page) < before - 100
        page.wait_for_selector("html[data-drawn=true]", timeout=90_000)


def test_everything_can_be_reached_by_keys(browser, reports):
    """Tab walks from the skip link over links and buttons to the table and the settings; Enter shows a trade."""
    with opened(browser, reports["traded"]) as page:
        seen = []
        for _ in range(120):
            page.keyboard.press("Tab")
            told = page.evaluate(
                "(() => { const at = document.activeElement;"
                " return [at.id || at.className, at.tagName, at.textContent.slice(0, 24)]; })()"
            )
            if told[1] == "BODY":
                break
            seen.append(told)
        names = [name for name, _, _ in seen]
        assert names[0] == "skip"
        for wanted in ("theme", "market-symbol", "market-whole", "market-after", "trades-after"):
            assert wanted in names
        assert any(tag == "SUMMARY" and "All settings" in text for _, tag, text in seen)
        page.focus("#trades-table tbody tr:nth-child(2) button")
        page.keyboard.press("Enter")
        assert page.get_attribute("#market-chart", "data-picked") == "2"


def test_the_page_prints(browser, reports):
    """On paper there are no tools, and the ink is dark whatever the theme."""
    with opened(browser, reports["traded"], scheme="dark") as page:
        page.emulate_media(media="print")
        assert not page.is_visible("nav")
        assert not page.is_visible("#theme")
        assert brightness(page) > 250
        assert page.evaluate(CONTRASTS) == []
