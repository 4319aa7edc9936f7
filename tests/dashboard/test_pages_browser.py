"""The dashboard's pages in a real browser, on made-up data: readable, live, safe, and usable by keys alone."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.dashboard import fake_data
from tests.dashboard.fake_api import FakeApi, fake_api
from tests.dashboard.page_browser import (
    CONTRASTS,
    DESK,
    NEEDS_CHROMIUM,
    PAGES,
    PHONE,
    brightness,
    show,
    until,
    visited,
    width,
)

pytestmark = NEEDS_CHROMIUM
ACTED = fake_data.decision("run", 0)["decision_id"]


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    """An ordinary run of five symbols."""
    with fake_api("run") as started:
        yield started


def explained(decision_id: str) -> str:
    """The address that explains a decision."""
    return f"/decisions?id={quote(decision_id, safe='')}"


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_every_page_is_drawn_and_fits(browser, api, size, scheme):
    """Each page shows its data, is no wider than the screen, can be read, and says what market and money it is."""
    with visited(browser, api.url, size=size, scheme=scheme) as page:
        for path in (*PAGES, explained(ACTED)):
            show(page, api.url + path)
            banner = page.inner_text("#banner")
            assert all(words in banner for words in ("SIMULATED MARKET", "PAPER", "MODEL UNPROVEN"))
            assert (
                page.evaluate("parseFloat(getComputedStyle(document.querySelector('#banner p')).fontSize)")
                >= 16
            )
            assert page.locator("main table tbody tr, main .log li, main .checks li").count() > 0
            assert page.locator(".chart:visible").count() == page.locator(".chart:has(svg.main-svg)").count()
            assert width(page) <= size[0], path
            assert (brightness(page) < 80) == (scheme == "dark")
            assert page.evaluate(CONTRASTS) == [], path


def test_hostile_words_are_only_words(browser):
    """Markup in a symbol, a reason, a run's name or a line of the log is shown as text and does nothing."""
    with fake_api("hostile") as api, visited(browser, api.url, size=PHONE) as page:
        for path in (*PAGES, explained(fake_data.decision("hostile", 0)["decision_id"])):
            show(page, api.url + path)
            assert "<script>" in page.inner_text("body"), path
            assert page.locator("body script, body img, a[href^=javascript]").count() == 0
            assert page.evaluate("typeof window.stung") == "undefined"
            assert width(page) <= PHONE[0], path
        assert "HALTED" in page.inner_text("#banner")


def test_a_minute_a_decision_and_a_line_arrive_by_themselves(browser, api):
    """What the stream tells is on the page at once, without a reload."""
    with visited(browser, api.url) as page:
        show(page, f"{api.url}/")
        page.wait_for_selector("#pulse[data-state=live]")
        page.evaluate("window.same = true")
        api.push("minute", api.overview | {"equity": 11_111.25})
        page.wait_for_selector("#figures :text('11,111.25')")
        show(page, f"{api.url}/decisions")
        page.wait_for_selector("#pulse[data-state=live]")
        api.push(
            "decision",
            fake_data.decision("run", 0)
            | {"decision_id": "new@1", "hold_reason": "just_now", "approved": []},
        )
        page.wait_for_selector("#decisions tr:first-child :text('just now')")
        show(page, f"{api.url}/log")
        page.wait_for_selector("#pulse[data-state=live]")
        page.click("#lines li:first-child summary")
        api.push("log", fake_data.log_line("run", 0) | {"event": "risk.halted", "cursor": "2:1"})
        page.wait_for_selector("#lines li:first-child :text('risk.halted')")
        assert page.locator("#lines li:nth-child(2) details[open] pre").inner_text().startswith("{")


def test_new_rows_wait_while_somebody_reads_further_down(browser, api):
    """A reader who has scrolled down is not pushed: what is new is counted, and comes when asked for."""
    with visited(browser, api.url) as page:
        show(page, f"{api.url}/decisions")
        page.wait_for_selector("#pulse[data-state=live]")
        first = page.get_attribute("#decisions tr:first-child", "data-key")
        page.evaluate("window.scrollTo(0, 900)")
        api.push("decision", fake_data.decision("run", 0) | {"decision_id": "late@2"})
        page.wait_for_selector("#fresh:has-text('1 new decisions')")
        assert page.get_attribute("#decisions tr:first-child", "data-key") == first
        page.evaluate("document.getElementById('fresh').click()")
        page.wait_for_selector("#decisions tr:first-child[data-key='late@2']")


def test_a_halt_and_an_end_are_shown_in_large_letters(browser):
    """A change of state is asked for when it is told, and a bot that ended says so until it runs again."""
    with fake_api("run") as api, visited(browser, api.url) as page:
        show(page, f"{api.url}/model")
        page.wait_for_selector("#pulse[data-state=live]")
        api.overview |= {"state": "halted", "state_reason": "max_drawdown", "ended": True}
        api.push("state", {})
        page.wait_for_selector("#banner .alarm:has-text('HALTED')")
        assert "max drawdown" in page.inner_text("#banner")
        assert "ENDED" in page.inner_text("#banner")
        api.overview |= {
            "state": "trading",
            "ended": False,
            "simulated": False,
            "mode": "live",
            "unproven": False,
        }
        api.push("state", {})
        page.wait_for_selector("#banner .alarm:has-text('real money')")
        assert "SIMULATED" not in page.inner_text("#banner")


def test_a_lost_connection_is_loud_and_ends(browser):
    """When the server goes the page says since when; when it is back the page goes on by itself, with fresh figures."""
    with fake_api("run") as api:
        port = api.port
        with visited(browser, api.url, forgiven="Failed to load resource") as page:
            show(page, f"{api.url}/")
            page.wait_for_selector("#pulse[data-state=live]")
            api.close()
            page.wait_for_selector("#loud [data-name=lost]:visible")
            assert "Connection lost since" in page.inner_text("#loud")
            assert page.get_attribute("#pulse", "data-state") == "lost"
            with fake_api("run", port) as again:
                again.overview |= {"equity": 12_345.5}
                page.wait_for_selector("#figures :text('12,345.50')")
                page.wait_for_selector("#loud [data-name=lost]", state="hidden")


def test_silent_symbols_and_forty_of_them(browser):
    """Forty symbols fit on a phone, and those that fell silent are named above everything."""
    with fake_api("many") as api, visited(browser, api.url, size=PHONE) as page:
        show(page, f"{api.url}/")
        assert "Silent: DOT/USDT:USDT" in page.inner_text("#loud")
        assert page.locator("#symbols tr").count() == 40
        assert width(page) <= PHONE[0]
        show(page, f"{api.url}/health")
        assert "✕ look here" in page.inner_text("#checks li:first-child")


@pytest.mark.parametrize("kind", ["empty", "one"])
def test_little_is_shown_as_well(browser, kind):
    """A run without a minute says what is not there yet, and one symbol is enough for every page."""
    with fake_api(kind) as api, visited(browser, api.url) as page:
        for path in PAGES:
            show(page, api.url + path)
            assert page.is_hidden("#problem"), path
            if kind == "empty":
                assert page.locator(".nothing:visible, .wait:visible").count() > 0, path


def test_without_a_journal_the_page_says_what_to_do(browser):
    """Where there is nothing to read the page gives the server's sentence and the command, and no empty tables."""
    with fake_api("none") as api, visited(browser, api.url, forgiven="503") as page:
        for path in ("/", "/log"):
            show(page, api.url + path)
            page.wait_for_selector("#problem:visible")
            assert "There is no journal in var yet." in page.inner_text("#problem")
            assert "bot run" in page.inner_text("#problem")
            assert page.locator("main table:visible").count() == 0
            assert "Connection lost" not in page.inner_text("body")


def test_a_decision_is_explained_and_closed(browser, api):
    """A click lays a decision open with its charts and judgements; Escape and the browser's back button work."""
    with visited(browser, api.url) as page:
        show(page, f"{api.url}/decisions")
        page.click("#kinds button:has-text('acted')")
        until(page, "document.querySelectorAll('#decisions tr').length < 50")
        page.click("#decisions tr:first-child a")
        page.wait_for_selector("#heat svg.main-svg")
        told = page.inner_text("#detail")
        for words in (
            "60 candles",
            "An entry needs",
            "12.0 bps",
            "What happened after",
            "Made again it is the same",
            "UNPROVEN",
        ):
            assert words in told
        assert "id=" in page.url
        page.keyboard.press("Escape")
        page.wait_for_selector("#detail", state="hidden")
        page.go_back()
        page.wait_for_selector("#detail:visible :text('What happened after')")


def test_a_symbol_is_chosen_and_its_stretch(browser, api):
    """The address names symbol and minutes; picking another one changes chart, title and address."""
    with visited(browser, api.url) as page:
        show(page, f"{api.url}/symbols?symbol=ETH%2FUSDT%3AUSDT&minutes=60")
        assert page.inner_text("h1") == "ETH/USDT:USDT"
        assert "56 candles, 1 gap" in page.inner_text("#status")
        assert {"stop", "target"} <= set(page.inner_text("#levels").split())
        before = page.get_attribute("#chart", "data-times")
        page.select_option("#filter", "SOL/USDT:USDT")
        until(page, f"document.getElementById('chart').dataset.times > {before}")
        assert "SOL" in page.inner_text("h1")
        page.click("#spans button:has-text('4 h')")
        page.wait_for_selector("#status:has-text('236 candles')")
        assert "minutes=240" in page.url
        page.click("#before")
        page.wait_for_selector("#follow[aria-pressed=false]")


def test_keys_alone_are_enough(browser, api):
    """The skip link comes first, letters walk between pages and rows, / filters, ? helps, and t changes the theme for good."""
    with visited(browser, api.url) as page:
        show(page, f"{api.url}/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        page.keyboard.press("g")
        page.keyboard.press("d")
        page.wait_for_url("**/decisions")
        page.wait_for_selector("html[data-drawn=true]")
        page.keyboard.press("/")
        page.keyboard.type("b000000009e")
        until(page, "document.querySelectorAll('#decisions tr').length === 1")
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        assert page.locator("#decisions tr[aria-current=true]").count() == 1
        page.keyboard.press("Enter")
        page.wait_for_selector("#detail:visible :text('What went in')")
        page.keyboard.press("?")
        page.wait_for_selector("dialog[open]")
        assert "go to Health" in page.inner_text("dialog")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog", state="detached")
        page.keyboard.press("t")
        assert brightness(page) < 80
        page.reload()
        assert brightness(page) < 80


def test_tab_reaches_every_tool_with_a_ring(browser, api):
    """Every control and table can be reached by Tab, in order, and shows that it has the focus."""
    with visited(browser, api.url) as page:
        show(page, f"{api.url}/symbols")
        seen = []
        for _ in range(40):
            page.keyboard.press("Tab")
            at = page.evaluate(
                "(() => { const e = document.activeElement, s = getComputedStyle(e);"
                " return [e.tagName, e.id || e.textContent.trim(), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; })()"
            )
            if at[0] == "BODY":
                break
            seen.append(at)
        names = [name for _, name, _ in seen]
        assert names[1:7] == ["Overview", "Symbols", "Decisions", "Model", "Log", "Health"]
        assert names.index("theme") < names.index("filter") < names.index("before") < names.index("follow")
        assert all(ring for _, _, ring in seen), seen
