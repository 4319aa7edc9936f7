"""A report holds what was promised, exactly, and appears whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from backtests import report
from backtests.report import ReportFolder, summarize
from backtests.report_analysis import KEYS
from backtests.report_picture import picture_is_possible
from backtests.results import MinuteOutcome
from backtests.run import run_backtest
from backtests.stream import StreamWriter, decision_line
from bot.core.decision import Decision, decision_to_json
from bot.core.position import Trade
from bot.errors import DataError, StorageError
from tests.random_market import PERPETUALS, random_input

FILES = {"summary.json", "trades.csv", "equity.parquet", "decisions.jsonl", "report.html"} | (
    {"report.png"} if picture_is_possible() else set()
)
COLUMNS = (
    "symbol,direction,entry_at_ms,entry_price,exit_at_ms,exit_price,quantity,fees,funding,pnl,exit_reason"
)


def write_report(target: Path, *, seed: int = 3, engine: str = "fast", simulated: bool = False):
    """Run a small backtest and report on it; returns result, input and summary."""
    data = random_input(seed, symbols=PERPETUALS[:2], count=600)
    with ReportFolder(target) as folder:
        result = run_backtest(data, engine=engine, sink=folder)
        summary = summarize(result, data, strategy="lstm_scalping", parameters={}, simulated=simulated)
        return result, data, folder.finish(result, data, summary, simulated=simulated)


def test_the_folder_holds_the_promised_files_and_nothing_else(tmp_path):
    """The files, the picture where matplotlib is installed, and no working folder beside them."""
    write_report(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_trades_read_back_exactly(tmp_path):
    """The CSV has exactly the promised columns, and every float reads back as it was."""
    result, _, _ = write_report(tmp_path / "out")
    text = (tmp_path / "out" / "trades.csv").read_text()
    assert text.splitlines()[0] == COLUMNS
    kinds = (str, str, int, float, int, float, float, float, float, float, str)
    rows = list(csv.reader(text.splitlines()))[1:]
    assert [Trade(*(kind(v) for kind, v in zip(kinds, row, strict=True))) for row in rows] == result.trades


def test_equity_and_decisions_are_complete(tmp_path):
    """There is a row of equity for each minute and a line for each decision."""
    result, data, summary = write_report(tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "equity.parquet")
    assert table.column_names == ["ts", "equity", "cash", "exposure", "buy_and_hold"]
    assert table["ts"].to_pylist() == result.equity.ts.tolist()
    assert table["equity"].to_pylist() == result.equity.equity.tolist()
    decisions: list[Decision] = []
    with StreamWriter() as stream:

        def keep(outcomes):
            stream(outcomes)
            decisions.extend(decision for _, made in outcomes for decision in made)

        run_backtest(data, sink=keep)
    lines = (tmp_path / "out" / "decisions.jsonl").read_bytes().splitlines()
    assert lines == [decision_line(decision) for decision in decisions]
    assert summary["stream_sha256"] == stream.digest().sha256


def test_the_summary_is_json_and_says_who_ran_what(tmp_path):
    """summary.json is what was returned, with figures, reasons, warnings and conditions."""
    result, data, summary = write_report(tmp_path / "out", engine="backtrader")
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert stored == json.loads(json.dumps(summary))
    assert stored["engine"] == "backtrader"
    assert stored["backtrader"]["trades"]["total"]["closed"] == len(result.trades) == stored["trades"]
    assert stored["symbols"] == list(data.symbols)
    assert stored["sharpe"] is None
    assert "days" in stored["null_because"]["sharpe"]
    assert sum(stored["held_back"].values()) < stored["candles"]


def test_the_summary_is_extended_and_told_how_to_make_it_again(tmp_path):
    """What the report works out is in summary.json too, with the command as it was typed and hashes of what went in."""
    data = random_input(3, symbols=PERPETUALS[:2], count=600)
    words = ["backtest", "--candles", "my tapes/it's.parquet", "--out", "r"]
    with ReportFolder(tmp_path / "out") as folder:
        result = run_backtest(data, sink=folder)
        summary = summarize(result, data, strategy="s", parameters={})
        folder.finish(result, data, summary, simulated=False, argv=words, made_at_ms=1_700_000_000_000)
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert set(KEYS) <= set(stored)
    made = stored["reproduce"]
    assert shlex.split(made["command"]) == ["bot", *words]
    assert made["made_at"] == "2023-11-14T22:13:20Z"
    assert set(made["candles_sha256"]) == set(made["predictions_sha256"]) == set(data.symbols)
    assert all(len(told) == 64 for told in [made["code_sha256"], *made["candles_sha256"].values()])


def test_without_matplotlib_the_picture_is_left_out_and_said_so(tmp_path, monkeypatch):
    """No picture is no error: the report is whole but for it, and the summary says why."""
    monkeypatch.setattr(report, "picture_is_possible", lambda: False)
    _, _, summary = write_report(tmp_path / "out")
    assert not (tmp_path / "out" / "report.png").exists()
    assert "matplotlib" in summary["left_out"][0]


def test_a_stored_minute_makes_the_lines_that_its_decisions_would(tmp_path):
    """A recorded run's rows make the same file and the same hash as the decisions that they were stored from."""
    data = random_input(5, count=300)
    outcomes: list[MinuteOutcome] = []
    run_backtest(data, sink=outcomes.extend)
    with ReportFolder(tmp_path / "a") as one, ReportFolder(tmp_path / "b") as other:
        one(outcomes)
        for reports, decisions in outcomes:
            other.take_stored(reports, [decision_to_json(decision) for decision in decisions])
        assert one._stream.digest() == other._stream.digest()
        assert one.levels == other.levels


def test_the_page_needs_no_network_and_names_a_simulated_market(tmp_path):
    """The page carries plotly itself, loads nothing, and shows the banner when the market was simulated."""
    write_report(tmp_path / "real")
    page = (tmp_path / "real" / "report.html").read_text()
    assert "SIMULATED MARKET" not in page
    assert "Plotly.react" in page
    assert '<script src="http' not in page
    assert 'src="//' not in page
    write_report(tmp_path / "simulated", simulated=True)
    assert "SIMULATED MARKET" in (tmp_path / "simulated" / "report.html").read_text()


def test_text_in_the_page_is_escaped(tmp_path):
    """A name with a tag in it is shown, not obeyed."""
    data = random_input(3, count=200)
    with ReportFolder(tmp_path / "out") as folder:
        result = run_backtest(data, sink=folder)
        summary = summarize(
            result, data, strategy="<script>alert(1)</script>", parameters={}, warnings=["<b>"]
        )
        folder.finish(result, data, summary, simulated=False)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;" in page


def test_a_second_report_replaces_the_first(tmp_path):
    """Writing to a folder that holds a report leaves the new one, and other files alone."""
    write_report(tmp_path / "out", seed=3)
    before = (tmp_path / "out" / "trades.csv").read_bytes()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    write_report(tmp_path / "out", seed=4)
    assert (tmp_path / "out" / "trades.csv").read_bytes() != before
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES | {"notes.txt"}


def test_a_run_that_fails_leaves_the_old_report(tmp_path):
    """An error half-way leaves what was there, and no working folder."""
    write_report(tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def failing_run(folder):
        def fail(outcomes):
            folder(outcomes)
            raise DataError("half-way")

        run_backtest(random_input(4, count=900), sink=fail)

    with pytest.raises(DataError, match="half-way"), ReportFolder(tmp_path / "out") as folder:
        failing_run(folder)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_disk_that_refuses_is_a_sentence(tmp_path):
    """A target below a file can't be made: StorageError names it."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match="disk refused the report"),
        ReportFolder(tmp_path / "file" / "out"),
    ):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_leaves_the_old_report(tmp_path, monkeypatch):
    """No space left while decisions are written: StorageError, and the report that was there is as it was."""
    write_report(tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    data = random_input(4, count=2000)
    real_open = Path.open

    def onto_a_full_disk(path, *args, **kwargs):
        return real_open(Path("/dev/full") if path.name == "decisions.jsonl" else path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", onto_a_full_disk)
    with pytest.raises(StorageError, match="No space left"), ReportFolder(tmp_path / "out") as folder:
        run_backtest(data, sink=folder)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
