"""The page says what it must, runs nothing but its own scripts, and is whole with and without trades."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from backtests.inputs import PredictionColumns
from backtests.report import summarize
from backtests.report_analysis import KEYS
from backtests.report_html import Cell, Section, chart_html, json_html, table_html
from backtests.report_page import report_page
from backtests.report_reproduce import changed_settings, predictions_digest, reproduction
from backtests.run import run_backtest
from bot.core.costs import Costs
from bot.core.risk import RiskLimits
from tests.random_market import PERPETUALS, random_input

EVIL = "<script>alert(1)</script>\"'&"
VOID = {"meta", "br", "link", "input", "img", "hr"}


class Outline(HTMLParser):
    """Takes a page apart: tags, ids, texts, scripts; and whether every tag is closed in its place."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.attributes.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            attrs, before = self.scripts[-1]
            self.scripts[-1] = (attrs, before + data)
        elif not self.open or self.open[-1] != "style":
            self.text += data + " "


def page_of(seed: int = 3, *, simulated: bool = False, symbols: int = 2, extra=(), more=None, **parts) -> str:
    """The page of a small run."""
    data = random_input(seed, symbols=PERPETUALS[:symbols], count=700, **parts)
    result = run_backtest(data)
    summary = summarize(result, data, strategy="lstm_scalping", parameters={"threshold": 0.001})
    return report_page(result, data, {**summary, **(more or {})}, simulated=simulated, extra_sections=extra)


def test_every_tag_is_closed_in_its_place_and_ids_are_unique():
    """The page is well formed, with and without trades, and no two elements share an id."""
    twice = [
        Section("Equity", "<p>1</p>"),
        Section("Theme", "<p>2</p>"),
        Section("§", "<p>3</p>", near_top=True),
    ]
    for page in (page_of(extra=twice), page_of(threshold=0.9)):
        outline = Outline(page)
        assert outline.wrong == []
        assert outline.open == []
        ids = [attrs["id"] for _, attrs in outline.attributes if "id" in attrs]
        assert len(ids) == len(set(ids))
        links = [attrs["href"] or "" for tag, attrs in outline.attributes if tag == "a"]
        assert {link[1:] for link in links} <= set(ids)


def test_the_policy_names_every_script_and_no_other_may_run():
    """Each script that a browser would run has its hash in the policy; nothing is loaded from anywhere."""
    page = page_of()
    outline = Outline(page)
    (policy,) = [attrs["content"] or "" for _, attrs in outline.attributes if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'")
    run = [text for attrs, text in outline.scripts if "type" not in attrs]
    assert len(run) == 3
    for text in run:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]
    assert not [attrs for _, attrs in outline.attributes if "src" in attrs]
    assert not [name for _, attrs in outline.attributes for name in attrs if name.startswith("on")]


def test_names_from_outside_are_shown_and_not_obeyed():
    """A symbol, strategy, model, warning, reason, setting or section title with a tag in it stays text."""
    data = random_input(3, symbols=PERPETUALS[:1], count=700)
    (symbol,) = data.symbols
    evil = f"{EVIL}/USDT:USDT"
    columns = replace(data.predictions[symbol], model_id=EVIL)
    instrument = replace(data.config.instruments[symbol], symbol=evil)
    data = replace(
        data,
        candles={evil: data.candles[symbol]},
        predictions={evil: columns},
        config=replace(data.config, instruments={evil: instrument}),
    )
    result = run_backtest(data)
    assert result.trades
    result = replace(result, trades=[trade._replace(exit_reason=EVIL) for trade in result.trades])
    summary = summarize(result, data, strategy=EVIL, parameters={EVIL: EVIL}, warnings=[EVIL])
    summary |= {
        "held_back": {EVIL: 3},
        "unproven": EVIL,
        "by_strategy": {EVIL: {"trades": 1, EVIL: 2}, "other": {"trades": EVIL}},
        "state_changes": [{"at": "2024-01-01T00:00:00Z", "state": EVIL, "reason": EVIL}],
        "reproduce": reproduction(data, argv=["backtest", "--out", EVIL]),
        "stream_sha256": EVIL,
    }
    page = report_page(result, data, summary, simulated=False, extra_sections=[Section(EVIL, "<p>fine</p>")])
    assert "<script>alert" not in page
    outline = Outline(page)
    assert outline.wrong == []
    assert len([1 for attrs, _ in outline.scripts if "type" not in attrs]) == 3
    assert outline.text.count("<script>alert(1)</script>") > 10


def test_a_value_in_json_cannot_end_its_block():
    """Whatever a text holds, the block of JSON that carries it reads back, and has no tag in it."""
    block = json_html({"a": "</script><!--", "b": [1.5]}, name="x")
    body = re.fullmatch(r'<script type="application/json" id="x">(.*)</script>', block)[1]  # type: ignore[index]
    assert "<" not in body
    assert json.loads(body) == {"a": "</script><!--", "b": [1.5]}


def test_banners_are_there_when_and_only_when_they_must_be():
    """SIMULATED MARKET for a simulated market, UNPROVEN for a model that no gate promoted, with the reason given."""
    plain = Outline(page_of()).text
    assert "SIMULATED MARKET" not in plain
    assert "UNPROVEN" not in plain
    loud = Outline(page_of(simulated=True, more={"unproven": "the gate refused it"})).text
    assert "SIMULATED MARKET" in loud
    assert "UNPROVEN" in loud
    assert "the gate refused it" in loud
    assert "live trading would refuse it" in Outline(page_of(more={"unproven": True})).text


def test_tables_have_captions_and_scopes():
    """Every table says what it shows, every head which way it points, and a wide table can be scrolled by keys."""
    page = table_html("Caption & more", ("Name", "Figure"), [["a<b", Cell("1", "good", heat=-0.52)]])
    assert "<caption><span>Caption &amp; more</span></caption>" in page
    assert page.count('scope="col"') == 2
    assert page.count('scope="row"') == 1
    assert 'tabindex="0"' in page
    assert "a&lt;b" in page
    assert "heat-down h5" in page
    outline = Outline(page_of())
    tables = sum(tag == "table" for tag, _ in outline.attributes)
    assert tables == sum(tag == "caption" for tag, _ in outline.attributes)
    heads = [attrs for tag, attrs in outline.attributes if tag == "th"]
    assert all(attrs.get("scope") in {"col", "row"} for attrs in heads)


def test_a_run_without_trades_says_why():
    """Nothing traded: the page is whole, explains what held every decision back, and shows no empty tables."""
    outline = Outline(page_of(threshold=0.9))
    assert "Why nothing was traded" in outline.text
    assert "No trade was made" in outline.text
    assert "forecast too small" in outline.text
    assert "There is no trade to list" in outline.text
    assert "Breakdown" not in outline.text
    assert "Drawdowns" not in outline.text


def test_a_run_without_forecasts_and_one_of_a_single_candle_have_pages():
    """The least that can be run: no forecast at all, and one candle."""
    data = random_input(3, count=120)
    (symbol,) = data.symbols
    short = replace(data, candles={symbol: data.candles[symbol].rows(0, 1)}, predictions={})
    for one in (replace(data, predictions={}), short):
        result = run_backtest(one)
        summary = summarize(result, one, strategy="s", parameters={})
        text = Outline(report_page(result, one, summary, simulated=False)).text
        assert "Nobody forecast anything" in text


def test_extra_sections_stand_where_they_wish():
    """A section of the caller's follows the key figures, or the trades, and is among the links."""
    top = Section(
        "My top", chart_html({"data": [], "layout": {"template": 1}}, label="a chart"), near_top=True
    )
    page = page_of(extra=[top, Section("My end", "<p>end</p>")])
    places = [
        page.index(f'<section id="{name}"')
        for name in ("key-figures", "my-top", "equity", "my-end", "settings")
    ]
    assert places == sorted(places)
    assert '<a href="#my-top">' in page
    assert "template" not in chart_html({"data": [], "layout": {"template": 1}}, label="a chart")


def test_what_the_summary_holds_already_is_not_worked_out_again():
    """A summary with all keys is shown as it is; one without them gives the same page."""
    data = random_input(3, count=700)
    result = run_backtest(data)
    summary = summarize(result, data, strategy="s", parameters={})
    page = report_page(result, data, summary, simulated=False)
    assert page == report_page(result, data, summary, simulated=False)
    split: dict[str, Any] = {"fee": 1.0, "spread": 2.0, "slippage": 3.0, "funding": 4.0, "total": 10.0}
    split |= {
        "gross_profit": 7777.0,
        "net_profit": 0.0,
        "turnover": 1.0,
        "break_even_times": None,
    }
    split |= {"bps_of_turnover": dict.fromkeys(("fee", "spread", "slippage", "funding"))}
    fixed: dict[str, Any] = {key: [] for key in KEYS}
    fixed |= {"intervals": {}, "forecast": None, "costs_split": split}
    assert "7,777.00" in report_page(result, data, {**summary, **fixed}, simulated=False)


def test_the_page_of_a_year_is_small_enough_to_send():
    """A year of minutes with two thousand trades stays below eight million bytes."""
    from backtests.report_pack import packed_market, packed_trades
    from bot.core.position import Trade
    from models.candle_arrays import CandleArrays

    rng = np.random.default_rng(1)
    count = 525_600
    close = np.round(30_000 * np.exp(np.cumsum(rng.standard_t(4, count) * 0.0006)), 1)
    opened = np.concatenate([[30_000.0], close[:-1]])
    reach = np.abs(rng.normal(0, 8, (2, count))).round(1)
    high, low = np.maximum(opened, close) + reach[0], np.minimum(opened, close) - reach[1]
    ts = 1_700_000_000_000 // 60_000 * 60_000 + 60_000 * np.arange(count)
    data = random_input(3, count=100)
    (symbol,) = data.symbols
    arrays = CandleArrays(ts, opened, high, np.maximum(low, 0.1), close, np.ones(count))
    data = replace(data, candles={symbol: arrays}, predictions={})
    starts = np.sort(rng.choice(count - 100, 2000, replace=False))
    trades = [
        Trade(
            symbol,
            "long",
            int(ts[at]),
            opened[at],
            int(ts[at + 40]),
            close[at + 40],
            0.1,
            1.0,
            0.0,
            1.0,
            "exit",
        )
        for at in starts
    ]
    size = len(json.dumps(packed_market(data, trades))) + len(packed_trades(trades, [symbol], {}))
    assert 400_000 < size < 2_900_000  # plotly's script is 4.8 million, the rest below 0.3


def test_settings_that_differ_are_named_with_their_default():
    """Only what differs is listed, by the names of the settings."""
    config = random_input(3, count=100).config
    config = replace(config, limits=RiskLimits(max_drawdown_fraction=0.5), costs=Costs(taker_fee_bps=2.0))
    assert changed_settings(config) == [
        ("costs.taker_fee_bps", 2.0, 4.0),
        ("risk.max_drawdown_fraction", 0.5, 0.15),
    ]


def test_hashes_change_with_what_they_are_of():
    """Another forecast, another model or another candle gives another hash; the same gives the same."""
    data = random_input(3, count=100)
    (symbol,) = data.symbols
    columns = data.predictions[symbol]
    other = PredictionColumns(
        columns.ts, columns.expected_return + 1e-6, columns.model_id, columns.horizon_minutes
    )
    assert predictions_digest(columns) == predictions_digest(data.predictions[symbol])
    assert len({predictions_digest(one) for one in (columns, other, replace(columns, model_id="x"))}) == 3
    assert reproduction(data) == reproduction(data)
    moved = replace(data, candles={symbol: random_input(4, count=100).candles[symbol]})
    assert reproduction(moved)["candles_sha256"] != reproduction(data)["candles_sha256"]
    assert reproduction(data)["command"] is None


@pytest.mark.parametrize("interval", [None, [0.01, 0.02], [-0.02, -0.01], [-0.01, 0.02]])
def test_the_verdict_follows_the_interval(interval):
    """Above zero, below zero, around zero, or too short: each is said in its own words."""
    from backtests.report_words import verdict

    summary = {
        "buy_and_hold_return": 0.1,
        "return": 0.015,
        "trades": 5,
        "fills": 10,
        "intervals": {"return": interval},
    }
    words = verdict(summary)
    wanted = {
        None: "too short",
        0.01: "lies above zero",
        -0.02: "lies below zero",
        -0.01: "cannot tell skill from luck",
    }
    assert wanted[interval and interval[0]] in words
    assert "Holding would have gained 10.00%" in words
