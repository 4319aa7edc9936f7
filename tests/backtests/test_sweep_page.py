"""The files of a sweep: a page without a network, a document, all points, a picture."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from backtests.sweep_charts import cells, lines_chart, map_chart, names_of, ordered, pairs, scatter_chart
from backtests.sweep_files import write_files
from backtests.sweep_findings import Findings, find
from backtests.sweep_folds import Rule
from backtests.sweep_page import sweep_page
from backtests.sweep_picture import sweep_picture
from backtests.sweep_report import point_columns, ranked, sweep_document
from backtests.sweep_search import Searched
from backtests.sweep_space import parse_space
from backtests.sweep_table import Table
from tests.random_market import random_input
from tests.sweep_tables import blocks_of, figures

RULE = Rule("sharpe", 20, 60, 15)


def findings_of(points: list[dict[str, str]], seed: int = 1, trades: int = 10) -> Findings:
    """Sixty days of noise for each point."""
    rng = np.random.default_rng(seed)
    rows = [(point, figures(rng.normal(0.001, 0.01, 60), trades=trades)) for point in points]
    table = Table.of(rows, blocks_of(6, 10))
    every = list(range(len(points)))
    return find(table, RULE, [every] * 5, every)


def document_of(
    findings: Findings, *vary: str, importance: dict[str, float] | None = None, search: str = "grid"
):
    """The document of a sweep over a random market."""
    searched = Searched(importance=importance or {})
    searched.figures = {
        str(n): (point, figures(np.zeros(60))) for n, point in enumerate(findings.table.points)
    }
    searched.failures = {"x": ({"threshold": "9"}, "out of <luck>")}
    return sweep_document(
        findings, searched, space=parse_space(vary), search=search, seed=1, trials=20,
        strategy="lstm_scalping:default", data=random_input(1), engine="fast",
        warnings=["<script>alert(1)</script>"], simulated=True,
    )  # fmt: skip


GRID = [{"threshold": a, "stop_loss": b, "require_macd": c} for a in ("0.001", "0.002", "0.0005") for b in ("0.01", "0.002")
        for c in ("true", "false")]  # fmt: skip
VARY = ("threshold=0.001,0.002,0.0005", "stop_loss=0.01,0.002", "require_macd=true,false")


def test_the_folder_holds_all_files(tmp_path):
    """Document, every point with every figure, a page and a picture; the document is the given one."""
    findings = findings_of(GRID)
    document = document_of(findings, *VARY, importance={"threshold": 0.5, "stop_loss": 0.1})
    write_files(tmp_path, document, findings)
    assert json.loads((tmp_path / "sweep.json").read_text()) == document
    table = pq.read_table(tmp_path / "points.parquet")
    assert table.num_rows == len(GRID)
    columns = table.to_pydict()
    assert columns["threshold"] == [float(point["threshold"]) for point in GRID]
    assert columns["require_macd"] == [point["require_macd"] for point in GRID]
    for fold in findings.walk.folds:
        assert columns[f"fold{fold.number}_chosen"] == [place == fold.chosen for place in range(len(GRID))]
        assert columns[f"fold{fold.number}_out_trades"] == fold.outside.trades.tolist()
        assert columns[f"fold{fold.number}_in_return"] == fold.inside.total_return.tolist()
    assert columns["later_days"] == [50] * len(GRID)
    assert (tmp_path / "heatmap.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "sweep.html").read_text().startswith("<!doctype html>")


def test_the_page_needs_no_network_and_runs_no_foreign_script():
    """Nothing is loaded from anywhere; what comes from outside is escaped; each section is there."""
    findings = findings_of(GRID)
    page = sweep_page(document_of(findings, *VARY, importance={"threshold": 0.5}), findings)
    # plotly's own script names addresses in its text; what a browser would load does not.
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="?https?:', page)
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "SIMULATED MARKET" in page
    for title in ("Verdict", "Folds", "Choose, then trade", "In sample against out of sample", "Heat maps",
                  "Parallel coordinates", "Importance", "Best points", "Settings"):  # fmt: skip
        assert f">{title}</h2>" in page
    assert page.count("<h3>") == 3


def test_one_parameter_is_a_line_and_a_constant_one_no_chart():
    """A heat map takes two; with one there is a line, and both pages and pictures are made."""
    points = [{"threshold": text, "stop_loss": "0.01"} for text in ("0.003", "0.001", "0.002")]
    findings = findings_of(points)
    assert names_of(findings) == ["threshold"]
    document = document_of(findings, "threshold=0.003,0.001,0.002", "stop_loss=0.01")
    page = sweep_page(document, findings)
    assert ">By parameter</h2>" in page
    assert ">Heat maps</h2>" not in page
    assert sweep_picture(document, findings).startswith(b"\x89PNG")
    alone = findings_of(points[:1])
    assert sweep_page(document_of(alone, "threshold=0.003", "stop_loss=0.01"), alone)
    assert sweep_picture(document_of(alone, "threshold=0.003", "stop_loss=0.01"), alone).startswith(
        b"\x89PNG"
    )


def test_points_that_traded_too_little_leave_a_clear_page():
    """No point may be chosen: a page that says so, and a picture without a cell."""
    findings = findings_of(GRID, trades=0)
    document = document_of(findings, *VARY)
    page = sweep_page(document, findings)
    assert "nothing traded enough" in page
    assert document["best"] == []
    assert sweep_picture(document, findings).startswith(b"\x89PNG")


def test_cells_are_means_over_what_else_varies():
    """A heat map's cell is the mean objective of its points, axes are sorted by size, and an empty cell is NaN."""
    findings = findings_of(GRID)
    columns, rows, values = cells(findings, "threshold", "stop_loss")
    assert (columns, rows) == (["0.0005", "0.001", "0.002"], ["0.002", "0.01"])
    worth = findings.worth * math.sqrt(365)
    chosen = [
        place
        for place, point in enumerate(GRID)
        if point["threshold"] == "0.001" and point["stop_loss"] == "0.01"
    ]
    assert values[1, 1] == pytest.approx(worth[chosen].mean())
    partial = findings_of([{"a": "1", "b": "1"}, {"a": "2", "b": "2"}])
    assert np.isnan(cells(partial, "a", "b")[2]).tolist() == [[False, True], [True, False]]


def test_points_of_a_search_are_dots():
    """Where nearly every point has a value of its own there are dots and no cells; charts are plain JSON."""
    rng = np.random.default_rng(2)
    points = [{"a": f"{x:.6g}", "b": str(n % 3)} for n, x in enumerate(rng.random(40))]
    findings = findings_of(points)
    chart = map_chart(findings, "a", "b")
    assert chart["data"][0]["type"] == "scatter"
    assert len(chart["data"][0]["x"]) == 40
    json.dumps([chart, lines_chart(findings), scatter_chart(findings)], allow_nan=False)
    assert sweep_picture(document_of(findings, "a=0..1", "b=0,1,2", search="optuna"), findings).startswith(
        b"\x89PNG"
    )


def test_many_points_are_thinned_to_what_a_chart_can_show():
    """Parallel coordinates show the best ones and others evenly: at most three hundred lines."""
    rng = np.random.default_rng(3)
    findings = findings_of([{"a": f"{x:.6g}", "b": f"{y:.6g}"} for x, y in rng.random((700, 2))])
    lines = sum(trace["x"].count(None) for trace in lines_chart(findings)["data"])
    assert lines == 300


def test_order_and_rank():
    """Numbers sort by size, words stay; ranks leave out what has no worth; pairs are each once."""
    assert ordered(["0.01", "0.002", "0.01", "1e-3"]) == ["1e-3", "0.002", "0.01"]
    assert ordered(["true", "false", "true"]) == ["true", "false"]
    assert ranked(np.array([1.0, np.nan, 3.0, 3.0])) == [2, 3, 0]
    assert pairs(["a", "b", "c"]) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert len(point_columns(findings_of(GRID))["engine"]) == len(GRID)
