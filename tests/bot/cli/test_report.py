"""`bot report`: the pages of a run, and the run against its backtest."""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bot.candles.parquet import replace_candles
from bot.cli import main
from bot.core.market import MINUTE_MS
from bot.journal.journal import SqliteJournal
from bot.journal.reader import JournalReader
from tests.core_builders import MIDNIGHT
from tests.journal_rig import Life, change_batch, forged, live_through
from tests.live_rig import LiveTape, make_tape, prepare, run

SYMBOL = "BTC/USDT:USDT"
FILES = {"summary.json", "trades.csv", "equity.parquet", "decisions.jsonl", "report.html"}


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a run with a restart and commands."""
    lives = [Life(120), Life(200, {150: "pause", 170: "resume"})]
    return asyncio.run(live_through(tmp_path_factory.mktemp("paper"), lives, minutes=200))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of the whole bot after live trading on an exchange that lost one order and refused another."""
    folder = tmp_path_factory.mktemp("live")
    tape: LiveTape = make_tape(folder / "tape", seed=5, minutes=96)
    placing = {"route": "POST /fapi/v1/order"}
    unknown = {
        "name": "lost",
        "match": {**placing, "count": 1},
        "action": {"kind": "answer", "status": 503, "code": -1007},
    }
    refused = {
        "name": "refused",
        "match": {**placing, "after": 4, "count": 1},
        "action": {"kind": "answer", "status": 400, "code": -2019},
    }
    state = prepare(folder / "state")
    run(state, tape, faults=[unknown, refused])
    return state


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    """Run a command with --json; returns exit code, what it printed, and stderr."""
    code = main([*words, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


def report(state: Path, *words: str) -> list[str]:
    """The words of the command."""
    return ["report", "--state-dir", str(state), *words]


def test_a_run_has_the_files_and_figures_of_a_backtest(
    paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trades, equity and decisions are those of the journal; the page says what ran, and loads nothing."""
    out = tmp_path / "report"
    code, summary, _ = told(capsys, *report(paper, "--out", str(out)))
    assert code == 0
    assert {path.name for path in out.iterdir()} >= FILES
    reader = JournalReader(paper / "journal.sqlite")
    trades = list(csv.DictReader((out / "trades.csv").open()))
    assert [float(row["pnl"]) for row in trades] == [trade.pnl for trade in reversed(reader.trades())]
    assert summary["trades"] == len(trades) > 10
    curve = pq.read_table(out / "equity.parquet").to_pydict()
    assert curve["equity"] == [point.equity for point in reader.equity()]
    assert summary["final_equity"] == curve["equity"][-1]
    rows = [json.loads(line) for line in (out / "decisions.jsonl").read_text().splitlines()]
    assert len(rows) == summary["candles"] == 400
    assert summary["fees"] == pytest.approx(reader.snapshot()["account"]["fees_paid"])  # type: ignore[index]
    page = (out / "report.html").read_text()
    assert "SIMULATED MARKET" in page
    assert "Paper run of BTC/USDT:USDT, ETH/USDT:USDT" in page
    assert "Who predicted, and when" in page


def test_the_run_is_told_beside_its_trades(paper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mode, models with their time, starts, commands and orders."""
    _, summary, _ = told(capsys, *report(paper))
    ran = summary["run"]
    assert (ran["mode"], ran["simulated"], ran["run_id"]) == ("paper", True, "run")
    assert [row["model_id"] for row in ran["models"]] == ["stored"] == summary["models"]
    assert len(ran["starts"]) == 2
    assert [row["command"] for row in ran["commands"]] == ["pause", "resume"]
    assert ran["orders"]["by_state"]["filled"] == summary["fills"]
    assert ran["minutes_missing"] == 0
    # 1.5 bps are modelled: on paper every market order pays just that.
    assert ran["slippage"]["entry"]["mean_bps"] == pytest.approx(0.0, abs=1e-6)


def test_a_part_of_a_run_begins_with_what_was_held(paper: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Money is that at its start, fees are those of the part, and a position from before is named."""
    held = next(
        point.at_ms
        for point in JournalReader(paper / "journal.sqlite").equity(MIDNIGHT + 100 * MINUTE_MS)
        if point.exposure > 0
    )
    since = f"2024-01-01T{held // 3_600_000 % 24:02d}:{held // MINUTE_MS % 60:02d}Z"
    code, summary, _ = told(capsys, *report(paper, "--from", since, "--to", "2024-01-01T03:00Z"))
    assert code == 0
    points = {point.at_ms: point.equity for point in JournalReader(paper / "journal.sqlite").equity()}
    assert summary["starting_cash"] == pytest.approx(points[held])
    assert summary["final_equity"] == points[MIDNIGHT + 180 * MINUTE_MS]
    assert summary["run"]["carried"]
    assert any("held when this time begins" in words for words in summary["warnings"])
    _, whole, _ = told(capsys, *report(paper))
    assert 0 < summary["fees"] < whole["fees"]


def test_commands_and_restarts_explain_every_difference(
    paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Strict finds nothing to complain about; page, JSON and console name the cause and its money."""
    words = ["--against-backtest", "--strict", "--out", str(tmp_path / "report"), "--list", "3"]
    code, summary, _ = told(capsys, *report(paper, *words))
    assert code == 0
    laid = summary["overlay"]
    assert set(laid["by_cause"]) == {"operator"}
    assert laid["unexplained"] == 0 < laid["differences"]
    assert laid["by_cause"]["operator"]["money"] == pytest.approx(laid["money_difference"])
    assert len(laid["listed"]) == 3
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Against its backtest" in page
    assert "commands of a person" in page
    assert main(report(paper, "--against-backtest")) == 0
    printed = capsys.readouterr().out
    assert "all of them are explained" in printed
    assert "commands of a person" in printed


def test_a_planted_difference_ends_with_8_where_strict_is_asked_for(
    paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names it; without --strict the report is made all the same."""

    def change(row: dict[str, Any]) -> None:
        row["decisions"][0]["hold_reason"] = "made_up"

    closed_ms = MIDNIGHT + 90 * MINUTE_MS
    copy = forged(paper, tmp_path / "forged", partial(change_batch, closed_at_ms=closed_ms, change=change))
    code, summary, complaint = told(capsys, *report(copy, "--against-backtest", "--strict"))
    assert code == 8
    assert summary["overlay"]["unexplained"] == 1
    assert "2024-01-01T01:30Z" in complaint
    assert "made_up" in complaint
    assert main(report(copy, "--against-backtest", "--strict")) == 8
    assert "made_up" in capsys.readouterr().err
    assert main(report(copy, "--against-backtest")) == 0


def test_a_live_run_says_what_its_exchange_did(
    live: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lost and refused orders are listed and explain the difference to the backtest, to the cent."""
    out = tmp_path / "report"
    code, summary, _ = told(capsys, *report(live, "--against-backtest", "--strict", "--out", str(out)))
    assert code == 0
    orders = summary["run"]["orders"]
    assert summary["run"]["mode"] == "live"
    assert (orders["unknown"], orders["rejected"]) == (1, 1)
    assert any("Margin is insufficient" in row["reason"] for row in orders["troubled"])
    laid = summary["overlay"]
    assert laid["unexplained"] == 0
    assert set(laid["by_cause"]) == {"execution"}
    assert laid["by_cause"]["execution"]["money"] == pytest.approx(laid["money_difference"], abs=1e-6)
    assert laid["slippage"]["count"] > 3
    assert laid["slippage"]["worst_bps"] == pytest.approx(0.0, abs=1e-6)
    page = (out / "report.html").read_text()
    assert "Live run of" in page
    assert "Orders that were rejected" in page


def test_candles_of_the_exchange_show_what_was_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hole in the journal that a file of candles fills is a cause of its own."""
    from tests.daemon_harness import random_market

    whole = random_market(4, 160)
    holed = [one for one in whole if one.opened_at_ms != MIDNIGHT + 90 * MINUTE_MS]
    state = asyncio.run(live_through(tmp_path / "state", [Life(160)], market=holed))
    from backtests.recorded_result import arrays_of

    tapes = []
    for symbol in (SYMBOL, "ETH/USDT:USDT"):
        path = tmp_path / f"{symbol[:3]}.parquet"
        replace_candles(path, arrays_of([one for one in whole if one.symbol == symbol]))
        tapes += ["--candles", f"{symbol}={path}"]
    code, summary, _ = told(capsys, *report(state, "--against-backtest", "--strict", *tapes))
    assert code == 0
    assert summary["run"]["stood_still"] == [
        {"since": "2024-01-01T01:30:00Z", "until": "2024-01-01T01:31:00Z", "minutes": 1}
    ]
    assert set(summary["overlay"]["by_cause"]) == {"candles"}


def test_a_journal_of_an_older_version_takes_its_rules_from_flags(
    paper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It kept none: given the settings that it was traded with, it reports and says so."""

    def forget(database: sqlite3.Connection) -> None:
        database.execute("DELETE FROM notes WHERE kind = 'service.rules'")

    copy = forged(paper, tmp_path / "older", forget)
    rules = tmp_path / "rules.json"
    steps = {"tick_size": 0.01, "lot_step": 0.001, "min_quantity": 0.001, "min_notional": 5.0}
    rules.write_text(json.dumps(dict.fromkeys((SYMBOL, "ETH/USDT:USDT"), steps)))
    words = ["--set", "strategy.parameter_set=aggressive", "--rules", str(rules), "--against-backtest"]
    code, summary, _ = told(capsys, *report(copy, *words))
    assert code == 0
    assert any("older version" in words for words in summary["warnings"])
    assert summary["overlay"]["unexplained"] == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--from", "2025-01-01"], 5, "no decided minute of that time; it has 2024-01-01T00:00:00Z to"),
        (["--from", "2024-01-01T02:00Z", "--to", "2024-01-01T01:00Z"], 2, "is not after"),
        (["--from", "noon"], 2, "write a day or a time"),
        (["--strict"], 2, "belong to --against-backtest"),
        (["--against-backtest", "--model", "nobody"], 6, "nobody"),
        (["--against-backtest", "--candles", "nowhere.parquet"], 5, "nowhere"),
    ],
)
def test_what_cannot_be_reported_is_a_sentence(
    paper: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, sentence: str
) -> None:
    """Each with its exit code."""
    found, row, complaint = told(capsys, *report(paper, *words))
    assert found == code
    assert sentence in complaint
    assert row["exit_code"] == code


def test_nothing_decided_yet_and_no_journal_are_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty journal is no bug, and neither is none."""
    assert main(report(tmp_path / "none")) == 3
    SqliteJournal(tmp_path / "journal.sqlite").close()
    assert main(report(tmp_path)) == 5
    printed = capsys.readouterr().err
    assert "start the bot" in printed
    assert "nothing was decided yet" in printed


def test_a_run_without_a_trade_has_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Minutes that only warmed up are a clear empty report."""
    state = asyncio.run(live_through(tmp_path / "state", [Life(30)], minutes=30))
    out = tmp_path / "report"
    code, summary, _ = told(capsys, *report(state, "--against-backtest", "--out", str(out)))
    assert code == 0
    assert (summary["trades"], summary["overlay"]["differences"]) == (0, 0)
    assert "no trade was closed" in " ".join(summary["warnings"])
    assert "No order filled" in (out / "report.html").read_text()


def test_days_may_be_named_by_their_distance(capsys: pytest.CaptureFixture[str], paper: Path) -> None:
    """Yesterday and today are days of this machine's clock: long after the journal."""
    assert main(report(paper, "--from", "yesterday", "--to", "today")) == 5
    assert "it has 2024-01-01" in capsys.readouterr().err
