"""The dashboard's pages in a real browser while a real bot trades a tape: nothing between journal and screen is made up."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.dashboard.page_browser import DESK, NEEDS_CHROMIUM, PAGES, show, until, visited, width
from tests.dashboard.taped_run import TapedRun, taped_run

pytestmark = [NEEDS_CHROMIUM, pytest.mark.slow]
LOADS = 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TapedRun]:
    """A bot on a tape with a model of its own, and a dashboard."""
    with taped_run(tmp_path_factory.mktemp("taped")) as started:
        yield started


def loaded_ms(page: Any) -> float:
    """From asking for the page until its words were there, by the browser's clock."""
    return float(page.get_attribute("html", "data-shown"))


def test_every_page_of_a_run_on_a_tape(browser, run, capsys):
    """Every page shows the run without a complaint or a foreign request, and how long pages took is printed."""
    took: list[float] = []
    with visited(browser, run.home, enter=run.enter) as page:
        for turn in range(LOADS):
            for path in PAGES:
                if turn and path == "/symbols":
                    page.goto(run.home + path)
                    page.wait_for_selector("html[data-shown]")
                else:
                    show(page, run.home + path)
                took.append(loaded_ms(page))
                assert page.is_hidden("#problem"), path
                assert width(page) <= DESK[0], path
                banner = page.inner_text("#banner")
                assert all(words in banner for words in ("SIMULATED MARKET", "PAPER", "MODEL UNPROVEN"))
    p95 = statistics.quantiles(took, n=20)[-1]
    with capsys.disabled():
        print(  # noqa: T201 - the figure is what this is for
            f"\npages of a run: p50 {statistics.median(took):.0f} ms, p95 {p95:.0f} ms, n {len(took)}"
        )


def test_minutes_and_lines_arrive_while_it_trades(browser, run):
    """The account's last minute, the chart and the log go on by themselves."""
    with visited(browser, run.home, enter=run.enter) as page:
        show(page, f"{run.home}/")
        told = page.inner_text("#run")
        until(page, f"document.getElementById('run').textContent !== {told!r}")
        show(page, f"{run.home}/log")
        first = page.get_attribute("#lines li:first-child", "data-key")
        until(page, f"document.querySelector('#lines li').dataset.key !== {first!r}")
        show(page, f"{run.home}/symbols?symbol=BTC%2FUSDT%3AUSDT&minutes=60")
        drawn = page.get_attribute("#chart", "data-times")
        until(page, f"document.getElementById('chart').dataset.times !== {drawn!r}")


def test_a_real_decision_is_explained(browser, run):
    """A decision that sent an order is laid open from journal and model: candles, window, forecast made again, orders."""
    with visited(browser, run.home, enter=run.enter) as page:
        rows = page.request.get(f"{run.home}/api/decisions?kind=acted").json()["decisions"]
        show(page, f"{run.home}/decisions?id={quote(rows[0]['decision_id'], safe='')}")
        told = page.inner_text("#detail")
        assert "60 candles" in told
        assert "sent" in told
        assert "Made again it is the same" in told
        assert page.locator("#heat svg.main-svg").count() >= 1


def test_a_bot_that_ends_is_said_to_have_ended(browser, run):
    """When the daemon stops, every open page says so in large letters without being asked; it is the last test of the run."""
    with visited(browser, run.home, enter=run.enter) as page:
        show(page, f"{run.home}/health")
        run.stop_bot()
        page.wait_for_selector("#banner .alarm:has-text('ENDED')")
        until(page, "document.getElementById('figures').textContent.includes('NOT RUNNING')")
        assert page.is_hidden("#loud [data-name=lost]")
