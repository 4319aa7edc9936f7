"""The page of an inspection: whole in itself, and honest about what was looked at."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from models.inspection import Inspection
from models.inspection_page import inspection_page
from tests.inspected_model import whole_inspection
from tests.random_candles import random_candles

CANDLES = {"BTC/USDT:USDT": random_candles(700, seed=1)}


class Reader(HTMLParser):
    """What a page loads, its text, its headings, and how many plots it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.text = ""
        self.headings: list[str] = []
        self.plots = 0
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        named = dict(attrs)
        self.loaded += [f"{tag} {named[key]}" for key in ("src", "href", "srcset", "data") if named.get(key)]
        self.plots += "plotly-graph-div" in (named.get("class") or "")

    def handle_data(self, data: str) -> None:
        if self._open in {"script", "style"}:
            return
        self.text += data
        if self._open in {"h1", "h2", "h3"}:
            self.headings.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._open = ""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    """An inspection with everything."""
    return whole_inspection(tmp_path_factory.mktemp("models"), CANDLES)


def test_the_page_needs_no_network(found: Inspection) -> None:
    """It loads nothing from anywhere: plotly's script is inside, once."""
    page = inspection_page(found)
    assert Reader(page).loaded == []
    assert "@import" not in page.partition("</style>")[0]
    assert 3_000_000 < len(page) < 8_000_000


def test_the_page_has_every_figure(found: Inspection) -> None:
    """Importance, attention, forecasts, the path and the curves have a heading and a plot each."""
    read = Reader(inspection_page(found))
    assert read.plots == 5
    assert read.headings[0] == f"Inside {found.model_id}"
    words = (
        "Permutation importance",
        "attention, not attribution",
        "Forecasts beside",
        "one moment",
        "Training curves",
    )
    for heading, part in zip(read.headings[1:], words, strict=True):
        assert part in heading
    assert "2023-11-15 03:13 to" in read.text
    assert all(column.name in read.text for column in found.importance.columns)


def test_the_page_says_what_is_missing(found: Inspection) -> None:
    """Without attention and curves the page says so in a sentence each, and has the other plots."""
    read = Reader(inspection_page(replace(found, attention=None, curves=())))
    assert read.plots == 3
    assert "no attention" in read.text
    assert "No curves are stored" in read.text


def test_the_page_does_not_mislead(found: Inspection) -> None:
    """In sample, out of sample, not known, simulated, withheld, left out: each is said, and only where it is so."""
    plain = Reader(inspection_page(replace(found, training_known=True))).text
    assert "out of sample" in plain
    assert "SIMULATED" not in plain
    assert "IN SAMPLE" not in plain
    assert "is not known" not in plain
    assert "is not known" in Reader(inspection_page(found)).text
    stretch = replace(
        found.stretch, withheld=np.ones(len(found.stretch.made_ts), np.bool_), return_scale=0.25
    )
    told = Reader(
        inspection_page(
            replace(
                found,
                in_sample=True,
                training_known=True,
                simulated=True,
                withheld=7,
                left_out=1234,
                stretch=stretch,
            )
        )
    ).text
    for words in (
        "SIMULATED MARKET",
        "IN SAMPLE",
        "7 of 50 windows lie beyond",
        "1,234 windows",
        "25% of what the network says is believed",
        "would have been withheld",
    ):
        assert words in told
    assert "out of sample" not in told


def test_names_cannot_break_the_page(found: Inspection) -> None:
    """A name with brackets is text, not markup."""
    page = inspection_page(replace(found, model_id="<b>bold</b>"))
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page
