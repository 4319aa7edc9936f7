"""``bot backtest``: files in, report or one sentence out."""

from __future__ import annotations

import csv
import importlib.util
import json
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtests import report_tearsheet
from bot.candles.store import CandleStore
from bot.cli import main
from bot.cli.backtest_input import split_changes
from bot.errors import UsageError
from models.candle_arrays import CandleArrays
from tests.random_market import PERPETUALS, START_MS, random_candles

NO_HALT = ["--set", "risk.max_drawdown_fraction=1", "--set", "risk.max_daily_loss_fraction=1"]


@pytest.fixture(autouse=True)
def state_dir(tmp_path, monkeypatch):
    """A state folder of the test's own; nothing of the machine's settings may speak."""
    monkeypatch.setenv("BOT_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def write_tape(folder: Path, name: str, arrays: CandleArrays) -> Path:
    """A candle file."""
    path = folder / name
    pq.write_table(pa.table({field.name: getattr(arrays, field.name) for field in fields(arrays)}), path)
    return path


@pytest.fixture
def tape(tmp_path):
    """A day of random BTC candles in a file that is named after an exchange."""
    return write_tape(tmp_path, "binanceusdm-BTCUSDT-1m-random.parquet", random_candles(3, 1440))


def run(capsys, *words: str) -> tuple[int, Any, str]:
    """Run a command with --json; returns exit code, what it printed, and stderr."""
    code = main([*words, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


COMPILED = pytest.param(
    "kernel", marks=pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba")
)


@pytest.mark.parametrize("engine", ["fast", "backtrader", COMPILED])
def test_a_seeded_backtest_writes_its_report(tape, tmp_path, capsys, engine):
    """The folder holds the promised files, and the printed summary is the stored one."""
    out = tmp_path / "out"
    code, summary, _ = run(
        capsys,
        "backtest",
        "--candles",
        str(tape),
        "--seed",
        "1",
        "--engine",
        engine,
        "--out",
        str(out),
        *NO_HALT,
    )
    assert code == 0
    assert {path.name for path in out.iterdir()} - {"report.png"} == {
        "summary.json",
        "trades.csv",
        "equity.parquet",
        "decisions.jsonl",
        "report.html",
    }
    command = shlex.split(summary["reproduce"]["command"])
    assert command[:4] == ["bot", "backtest", "--candles", str(tape)]
    assert command[-1] == "--json"
    assert summary == json.loads((out / "summary.json").read_text())
    assert summary["engine"] == engine
    assert summary["symbols"] == ["BTC/USDT:USDT"]
    with (out / "trades.csv").open() as file:
        assert len(list(csv.DictReader(file))) == summary["trades"] > 50
    assert summary["engine_seconds"] > 0


def test_both_engines_leave_the_same_files(tape, tmp_path, capsys):
    """Trades and decisions of the default engine and the fast one are the same bytes, and so is the stream's hash."""
    hashes = []
    for name, flags in (("a", []), ("b", ["--engine", "fast"])):
        words = ["backtest", "--candles", str(tape), "--seed", "2", "--out", str(tmp_path / name), *flags]
        code, summary, _ = run(capsys, *words)
        assert code == 0
        hashes.append(summary["stream_sha256"])
    assert hashes[0] == hashes[1]
    for name in ("trades.csv", "decisions.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_settings_parameters_and_money_reach_the_run(tape, tmp_path, capsys):
    """--set, --config, --strategy and --start-cash decide what is run, and the summary says so."""
    config = tmp_path / "mine.yaml"
    config.write_text("costs: {taker_fee_bps: 1.5}\n")
    code, summary, _ = run(
        capsys,
        *("backtest", "--candles", str(tape), "--seed", "1", "--engine", "fast", "--config", str(config)),
        *(
            "--strategy",
            "lstm_scalping:aggressive",
            "--set",
            "threshold=0.002",
            "--set",
            "strategy.stop_loss=0.02",
        ),
        *(
            "--set",
            "sizing.equity_fraction=0.1",
            "--set",
            "risk.max_orders_per_minute=7",
            "--start-cash",
            "500",
        ),
    )
    assert code == 0
    assert summary["strategy"] == "lstm_scalping:aggressive"
    assert summary["parameters"] == {"threshold": "0.002", "stop_loss": "0.02"}
    assert summary["costs"]["taker_fee_bps"] == 1.5
    assert summary["sizing"]["equity_fraction"] == 0.1
    assert summary["limits"]["max_orders_per_minute"] == 7
    assert summary["starting_cash"] == 500


def test_predictions_from_a_file_are_traded_on(tape, tmp_path, capsys):
    """A forecast that knows the future earns money, its opposite loses it; unmatched rows are counted."""
    arrays = random_candles(3, 1440)
    known = np.concatenate([arrays.close[5:] / arrays.close[:-5] - 1, np.zeros(5)])
    results = []
    for sign in (1.0, -1.0):
        path = tmp_path / "predictions.parquet"
        pq.write_table(pa.table({"ts": arrays.ts[:-9], "expected_return": sign * known[:-9]}), path)
        words = ["backtest", "--candles", str(tape), "--predictions", str(path), "--engine", "fast", *NO_HALT]
        code, summary, _ = run(capsys, *words)
        assert code == 0
        assert f"9 of {len(arrays)} candles of BTC/USDT:USDT have no prediction" in summary["warnings"]
        results.append(summary["return"])
    assert results[0] > 0 > results[1]


def test_candles_come_from_the_store_too(state_dir, capsys):
    """--symbol with --from and --to reads the candle store."""
    arrays = random_candles(3, 1440, gaps=False)
    CandleStore(state_dir / "candles").write("binanceusdm", PERPETUALS[0], arrays)
    code, summary, _ = run(
        capsys,
        *(
            "backtest",
            "--symbol",
            PERPETUALS[0],
            "--from",
            "2023-11-14T22:00Z",
            "--seed",
            "1",
            "--engine",
            "fast",
        ),
    )
    assert code == 0
    assert summary["from"] == "2023-11-14T22:00:00Z"
    code, failed, _ = run(capsys, "backtest", "--symbol", "SOL/USDT", "--seed", "1")
    assert (code, failed["exit_code"]) == (5, 5)
    assert "holds no candles" in failed["error"]


def test_the_table_shows_the_figures_and_the_warnings(tape, capsys):
    """On a console the figures are a table, the warnings lines on stderr, and a simulated market is called so."""
    code = main(["backtest", "--candles", str(tape), "--seed", "1", "--engine", "fast", "--simulated"])
    printed = capsys.readouterr()
    assert code == 0
    for words in ("Return", "Buy and hold", "Sharpe", "Win rate", "Fees", "SIMULATED MARKET"):
        assert words in printed.out
    assert "warning: predictions are random numbers of seed 1" in printed.err


def test_funding_and_rules_are_taken(tape, tmp_path, capsys):
    """Rates from a file are paid on what is held, and lot steps from a file cut the quantities."""
    rates = tmp_path / "rates.parquet"
    ts = np.arange(START_MS, START_MS + 86_400_000, 60_000)
    pq.write_table(pa.table({"ts": ts, "funding_rate": np.full(len(ts), 0.001)}), rates)
    rules = tmp_path / "rules.json"
    rules.write_text(
        json.dumps({"BTC/USDT:USDT": {"tick_size": 0.5, "lot_step": 2, "min_quantity": 2, "min_notional": 5}})
    )
    out = tmp_path / "out"
    code, summary, _ = run(
        capsys,
        *("backtest", "--candles", str(tape), "--seed", "1", "--engine", "fast", "--funding", str(rates)),
        *("--rules", str(rules), "--out", str(out), *NO_HALT),
    )
    assert code == 0
    assert summary["funding"] != 0
    with (out / "trades.csv").open() as file:
        assert {float(row["quantity"]) % 2 for row in csv.DictReader(file)} == {0.0}


def test_a_tear_sheet_that_can_say_nothing_is_left_out(tape, tmp_path, capsys, monkeypatch):
    """A day is too short for quantstats: the report is whole but for its page, and says why; without --out it is refused."""
    monkeypatch.setattr(report_tearsheet, "require_quantstats", lambda: None)
    words = ["backtest", "--candles", str(tape), "--seed", "1", "--engine", "fast", "--tearsheet"]
    code, summary, _ = run(capsys, *words, "--out", str(tmp_path / "out"))
    assert code == 0
    assert "tearsheet.html: it needs 20 days, and there are 2" in summary["left_out"]
    assert not (tmp_path / "out" / "tearsheet.html").exists()
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "left out: tearsheet.html" in capsys.readouterr().out
    code, failed, _ = run(capsys, *words)
    assert code == 2
    assert "--out DIR" in failed["error"]


FAILURES = {
    "unknown parameter": (["--seed", "1", "--set", "thresholds=1"], 4, "no parameter 'thresholds'"),
    "unknown setting": (["--seed", "1", "--set", "risk.foo=1"], 4, "unknown key"),
    "negative size": (["--seed", "1", "--set", "sizing.equity_fraction=-1"], 4, "equity_fraction"),
    "unknown section": (["--seed", "1", "--set", "exchange.id=okx"], 2, "it may begin with"),
    "no value": (["--seed", "1", "--set", "threshold"], 2, "write KEY=VALUE"),
    "unknown strategy": (["--seed", "1", "--strategy", "hodl"], 4, "no strategy 'hodl'"),
    "unknown engine": (["--seed", "1", "--engine", "vectorbt"], 2, "vectorbt"),
    "two sources": (["--seed", "1", "--model", "latest"], 2, "one of --model, --predictions and --seed"),
    "absent predictions": (["--predictions", "none.parquet"], 5, "none.parquet: there is no such file"),
    "absent model": (["--model", "nobody"], 6, "no model"),
    "no date": (["--seed", "1", "--from", "yesterday"], 2, "write a day or a time"),
    "no candles of that time": (["--seed", "1", "--from", "2030-01-01"], 5, "holds no candles of the time"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_wrong_word_is_one_sentence_and_its_exit_code(tape, tmp_path, capsys, case):
    """Each fault ends with its code and a sentence that names it, and leaves no report."""
    flags, expected, sentence = FAILURES[case]
    out = tmp_path / "out"
    code, failed, err = run(capsys, "backtest", "--candles", str(tape), "--out", str(out), *flags)
    assert code == failed["exit_code"] == expected
    assert sentence in failed["error"]
    assert "Traceback" not in err
    assert not out.exists()


def test_candles_must_be_said(capsys):
    """Without --candles and --symbol there is nothing to run over."""
    code, failed, _ = run(capsys, "backtest", "--seed", "1")
    assert code == 2
    assert "say which candles" in failed["error"]


def test_changes_are_sorted_out():
    """Plain keys and strategy.* are parameters; costs, risk, sizing and account are settings; no key comes twice."""
    settings, parameters = split_changes(["a=1", "strategy.b=x=y", "costs.taker_fee_bps=2"])
    assert settings == {"costs.taker_fee_bps": "2"}
    assert parameters == {"a": "1", "b": "x=y"}
    with pytest.raises(UsageError, match="given twice"):
        split_changes(["a=1", "strategy.a=2"])


def test_help_has_an_example(capsys):
    """--help lists the flags and shows an example."""
    assert main(["backtest", "--help"]) == 0
    assert "Example: bot backtest" in " ".join(capsys.readouterr().out.split())
