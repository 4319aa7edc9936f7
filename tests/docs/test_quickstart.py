"""docs/quickstart.md carried out: its very commands, in a folder that stands for the clone, in the order of the page.

In the short form the first model is a small one that lies ready, so that `make run` need not fetch and train; TESTS=all trains it.
"""

from __future__ import annotations

import http.cookiejar
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.newcomer import LONG, ROOT, Newcomer, blocks, lines_of
from tests.tiny_model import write_tiny_model

PAGE = ROOT / "docs" / "quickstart.md"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """Somebody who has just cloned the project."""
    person = Newcomer(tmp_path / "lstm-scalping-bot")
    if not LONG:
        write_tiny_model(person.folder / "var" / "demo" / "models")
    yield person
    person.leaves()


def page_of(address: str) -> str:
    """What a browser gets from an address with a token, its cookie kept."""
    browser = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), urllib.request.ProxyHandler({})
    )
    with browser.open(address, timeout=10) as answer:
        text: str = answer.read().decode("utf-8")
    return text


def test_the_half_hour_is_what_the_page_says(newcomer: Newcomer) -> None:
    """Every command of the page ends well, in its order: simulated market, page, own candles, own strategy, service."""
    newcomer.carries_out(PAGE)
    address = ADDRESS.search(newcomer.printed("bot dashboard"))
    assert address is not None
    assert "<html" in page_of(address[0])
    newcomer.press_ctrl_c("bot dashboard")
    watched = newcomer.press_ctrl_c("make run")
    assert "SIMULATED" in watched
    assert "Stopped in order" in watched
    status = next(said for line, said in newcomer.said.items() if line.startswith("bot status"))
    assert "SIMULATED" in status
    assert "UNPROVEN" in status
    for folder in ("report", "chance", "patient"):
        assert (newcomer.folder / folder / "report.html").stat().st_size > 100_000
    traded = json.loads((newcomer.folder / "patient" / "summary.json").read_text(encoding="utf-8"))
    assert traded["trades"] > 0
    assert "ExecStart=" in next(said for line, said in newcomer.said.items() if "install-service" in line)


def test_blocks_are_read_as_they_stand() -> None:
    """Language, remark and the text before a block are told apart, continued lines are one, and lines for elsewhere are left out."""
    text = (
        "Save this as `a.py`:\n```python\nx = 1\n```\n<!-- only the long test -->\n"
        "```sh\ncd there\nbot \\\n  status\nbot doctor # asks the exchange\n```\n"
    )
    first, second = blocks(text)
    assert (first.language, first.body, first.long) == ("python", "x = 1\n", False)
    assert (second.language, second.long) == ("sh", True)
    assert [" ".join(line.split()) for line in lines_of(second)] == ["bot status"]
