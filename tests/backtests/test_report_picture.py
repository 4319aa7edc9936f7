"""The picture and the tear sheet are made of the run, without a network, or say what is missing."""

from __future__ import annotations

import importlib.util
import socket
from dataclasses import replace

import numpy as np
import pytest

from backtests import report_tearsheet as tearsheet
from backtests.report import summarize
from backtests.report_analysis import analysed
from backtests.report_figures import extremes
from backtests.report_picture import picture_is_possible, report_picture
from backtests.results import EquityCurve
from backtests.run import run_backtest
from bot.core.market import DAY_MS
from bot.errors import ConfigError, DataError
from tests.random_market import random_input


def run_of(*, days: int = 0, **parts):
    """A small run; its equity spread over so many days where that is wished for."""
    data = random_input(3, count=400, **parts)
    result = run_backtest(data)
    if days:
        curve = result.equity
        ts = (curve.ts[0] // DAY_MS) * DAY_MS + np.linspace(1, days * DAY_MS, len(curve.ts)).astype(np.int64)
        result = replace(result, equity=EquityCurve(ts, curve.equity, curve.cash, curve.exposure))
    return result, data


@pytest.mark.skipif(not picture_is_possible(), reason="needs matplotlib, which the train extra brings")
@pytest.mark.parametrize("parts", [{}, {"threshold": 0.9}])
def test_the_picture_is_a_png_with_or_without_trades(parts):
    """A PNG of 1600 by 900, for a name that looks like a formula too."""
    result, data = run_of(**parts)
    summary = analysed(result, data, summarize(result, data, strategy="$x_{<b>", parameters={}))
    picture = report_picture(result, data, summary, simulated=True)
    assert picture.startswith(b"\x89PNG\r\n")
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (1600, 900)


def test_a_drawn_curve_keeps_its_lowest_and_highest_point():
    """However long a curve is, its extremes and ends are drawn, and few points are."""
    rng = np.random.default_rng(1)
    values, other = rng.normal(0, 1, (2, 100_000))
    rows = extremes(values, other)
    assert {0, 99_999, int(values.argmin()), int(values.argmax()), int(other.argmin())} <= set(rows.tolist())
    assert len(rows) < 6000
    assert extremes(values[:100]).tolist() == list(range(100))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("quantstats") is None, reason="needs the tearsheet extra")
def test_the_tear_sheet_asks_no_network(tmp_path, monkeypatch):
    """The page is made while every connection is forbidden, and it loads nothing when it is opened."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    result, data = run_of(days=40)
    tearsheet.write_tearsheet(tmp_path / "t.html", result, data, title="A run")
    page = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert "A run" in page
    assert "<link" not in page
    assert 'src="http' not in page


def test_a_tear_sheet_of_too_little_is_a_sentence(tmp_path, monkeypatch):
    """Too few days, or an equity that never moved: DataError says so, before quantstats is asked."""
    monkeypatch.setattr(tearsheet, "require_quantstats", lambda: None)
    result, data = run_of()
    with pytest.raises(DataError, match="it needs 20 days"):
        tearsheet.write_tearsheet(tmp_path / "t.html", result, data, title="x")
    result, data = run_of(days=40, threshold=0.9)
    with pytest.raises(DataError, match="never changed"):
        tearsheet.write_tearsheet(tmp_path / "t.html", result, data, title="x")


def test_without_quantstats_the_user_is_told_what_to_install(monkeypatch):
    """ConfigError names the extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"lstm-scalping-bot\[tearsheet\]"):
        tearsheet.require_quantstats()
