"""Bad input to a backtest: one sentence that names file and field, its exit code and nothing half-written; or a clear report."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from tests.random_candles import random_candles

BTC = "BTC/USDT:USDT"
COUNT = 400


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder with a tape, and a state folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOT_STATE_DIR", "state")
    tape("whole.parquet", range(COUNT))


def columns() -> dict[str, np.ndarray[Any, Any]]:
    """Sound candles by name of column."""
    arrays = random_candles(COUNT, seed=3)
    return {field.name: getattr(arrays, field.name) for field in fields(arrays)}


def tape(name: str, rows: range | list[int]) -> str:
    """A tape of some of the candles, as a flag."""
    pq.write_table(pa.table({key: values[list(rows)] for key, values in columns().items()}), name)
    return f"{BTC}={name}"


def forecasts(about: dict[str, str] | None = None, **changes: Any) -> str:
    """A file of predictions of 1 % on every candle, with some columns changed."""
    told = {"ts": columns()["ts"], "expected_return": np.full(COUNT, 0.01), **changes}
    pq.write_table(pa.table(told).replace_schema_metadata(about), "p.parquet")
    return "p.parquet"


def backtest(*words: str) -> tuple[str, ...]:
    """The command on the whole tape, with a folder for the report."""
    return ("backtest", "--engine", "fast", "--candles", f"{BTC}=whole.parquet", *words)


def refused(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    """Run what must fail with this code; the one sentence. No report, no rest of one."""
    before = {path.name for path in Path().iterdir()}
    found = main([*words])
    printed = capsys.readouterr()
    assert found == code, printed.err
    assert "Traceback" not in printed.out + printed.err
    lines = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert {path.name for path in Path().iterdir()} == before
    return lines[0].removeprefix("error: ")


def reported(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Run what must succeed; its summary."""
    assert main([*words, "--json"]) == 0
    summary: dict[str, Any] = json.loads(capsys.readouterr().out)
    return summary


def said(summary: dict[str, Any], words: str) -> bool:
    """Whether a warning holds these words."""
    return any(words in warning for warning in summary["warnings"])


# --- predictions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ts": columns()["ts"] + 86_400_000 * 30}, "no prediction belongs to any candle: it has BTC/USDT:USDT 20"),
        ({"expected_return": np.full(COUNT, np.nan)}, "expected_return is nan in row 0"),
        ({"expected_return": np.full(COUNT, 12.0)}, "(0.001 is 10 bps)"),
        ({"symbol": ["ETH/USDT:USDT"] * COUNT}, "no prediction belongs to any candle: it has none of these symbols"),
        ({"uncertainty": np.full(COUNT, -1.0)}, "uncertainty is -1.0 in row 0"),
    ],
)  # fmt: skip
def test_predictions_that_fit_nothing_are_refused(capsys, changes, words):
    """Of another time, another symbol, without a number or beyond all bounds: file, column and row."""
    told = refused(capsys, 5, *backtest("--predictions", forecasts(**changes), "--out", "out"))
    assert told.startswith("p.parquet: ")
    assert words in told


@pytest.mark.parametrize("value", ["soon", "0", "-15"])
def test_a_horizon_that_is_none_is_refused(capsys, value):
    """The field of the metadata is named."""
    told = refused(capsys, 5, *backtest("--predictions", forecasts({"horizon_minutes": value})))
    assert told.startswith("p.parquet: its metadata horizon_minutes is ")


def test_the_horizon_of_a_file_is_taken_or_its_absence_said(capsys):
    """A strategy that holds for the horizon holds for that of the file; without one a warning says what is taken."""
    held = {}
    horizons: tuple[str | None, ...] = ("5", "60", None)
    for minutes in horizons:
        told: dict[str, str] | None = None if minutes is None else {"horizon_minutes": minutes}
        words = backtest("--predictions", forecasts(told), "--strategy", "forecast_hold", *WIDE)
        summary = reported(capsys, *words)
        held[minutes] = summary["average_holding_minutes"]
        assert said(summary, "does not tell horizon_minutes") is (minutes is None)
    assert held == {"5": 5.0, "60": 60.0, None: 15.0}


WIDE = ("--set", "stop_loss=0.9", "--set", "take_profit=0.9", "--set", "risk.max_trade_risk_fraction=1")


def test_predictions_for_some_candles_are_counted(capsys):
    """What has no partner is a warning with both numbers."""
    half = {name: values[:200] for name, values in columns().items()}
    pq.write_table(pa.table({"ts": half["ts"], "expected_return": np.full(200, 0.01)}), "p.parquet")
    summary = reported(capsys, *backtest("--predictions", "p.parquet"))
    assert said(summary, f"200 of {COUNT} candles of {BTC} have no prediction")


def test_forecasts_of_nothing_give_an_empty_report(capsys):
    """No trade is no error: the report is whole, its figures say why they are none."""
    words = backtest("--predictions", forecasts(expected_return=np.zeros(COUNT)), "--out", "out")
    summary = reported(capsys, *words)
    assert (summary["trades"], summary["return"]) == (0, 0.0)
    assert summary["win_rate"] is None
    assert summary["null_because"]["win_rate"] == "no trade was closed"
    assert said(summary, "no trade was closed; held back: forecast too small 341 times, warming up 59 times")
    assert Path("out/trades.csv").read_text().count("\n") == 1
    assert Path("out/report.html").stat().st_size > 1000


# --- tapes ----------------------------------------------------------------------------------------------------


def test_two_tapes_of_a_symbol_with_a_hole_between_them_are_one(capsys):
    """They are joined in order of time; the hole is counted, placed, and what it does is said."""
    flags = [
        "--candles",
        tape("late.parquet", range(250, COUNT)),
        "--candles",
        tape("early.parquet", range(150)),
    ]
    summary = reported(capsys, "backtest", "--engine", "fast", "--seed", "1", *flags)
    assert summary["candles"] == COUNT - 100
    assert said(summary, f"100 minutes of {BTC} are missing in 1 hole (the longest has 100, after 2023-11-1")
    assert said(summary, "nothing is decided until 60 candles follow each other again")
    assert summary["held_back"]["warming_up"] == 2 * 59


def test_a_hole_in_the_middle_of_a_tape_is_said(capsys):
    """The same of one file; a tape without a hole has no such warning."""
    flag = tape("holed.parquet", [*range(100), *range(103, 200), *range(201, COUNT)])
    words = ("backtest", "--engine", "fast", "--seed", "1")
    assert said(
        reported(capsys, *words, "--candles", flag), "4 minutes of BTC/USDT:USDT are missing in 2 holes"
    )
    assert not said(reported(capsys, *backtest("--seed", "1")), "missing")


@pytest.mark.parametrize("second", [range(149, 300), range(150), range(20, 30)])
def test_tapes_that_overlap_are_refused(capsys, second):
    """By one minute, wholly, or one inside the other: both files are named."""
    flags = ["--candles", tape("a.parquet", range(150)), "--candles", tape("b.parquet", second)]
    told = refused(capsys, 5, "backtest", "--seed", "1", *flags)
    assert "overlap in time" in told
    assert "a.parquet" in told
    assert "b.parquet" in told


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--from", "2030-01-01"), 5, "BTC/USDT:USDT: whole.parquet holds no candles of the time asked for"),
        (("--from", "2024-01-02", "--to", "2024-01-01"), 2, "--to 2024-01-01 is not after --from 2024-01-02"),
        (("--from", "2024-01-01", "--to", "2024-01-01"), 2, "--to 2024-01-01 is not after --from 2024-01-01"),
        (("--from", "first of May"), 2, "--from first of May: write a day or a time"),
        (("--symbol", BTC), 2, "say which candles: --candles FILE, or --symbol"),
        (("--out", "whole.parquet"), 1, "--out whole.parquet: whole.parquet is no folder"),
        (("--out", "whole.parquet/in/it"), 1, "--out whole.parquet/in/it: whole.parquet is no folder"),
        (("--set", "treshold=1"), 4, "lstm_scalping has no parameter 'treshold': did you mean threshold?"),
        (("--set", "threshold=high"), 4, "lstm_scalping.threshold must be a number, not 'high'"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(capsys, words, code, told):
    """Times, folders and parameters: before anything is run or written."""
    assert told in refused(capsys, code, *backtest("--seed", "1", *words))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--symbol", BTC, "--symbol", BTC), f"--symbol {BTC} is given twice"),
        (
            ("--symbol", BTC, "--from", "2024-01-02", "--to", "2024-01-01"),
            "--to 2024-01-01 is not after --from 2024-01-02",
        ),
    ],
)
def test_stored_candles_are_asked_for_once_and_forwards(capsys, words, told):
    """A symbol twice, or an end before the start."""
    assert refused(capsys, 2, "backtest", "--seed", "1", *words) == told


@pytest.mark.parametrize("name", ["folder", "text", "cut", "absent"])
@pytest.mark.parametrize("flag", ["--candles", "--predictions"])
def test_files_that_are_no_parquet_are_named(capsys, name, flag):
    """A folder, a text, a file that was cut short, none at all."""
    path = Path(f"{name}.parquet")
    if name == "folder":
        path.mkdir()
    elif name == "text":
        path.write_text("ts,open\n" * 50)
    elif name == "cut":
        path.write_bytes(Path("whole.parquet").read_bytes()[:-100])
    words = ("--predictions", str(path)) if flag == "--predictions" else ("--seed", "1")
    tape_flag = f"{BTC}={path if flag == '--candles' else 'whole.parquet'}"
    told = refused(capsys, 5, "backtest", "--candles", tape_flag, *words, "--out", "out")
    assert told.startswith(f"{path}: ")
    assert not Path("out").exists()
