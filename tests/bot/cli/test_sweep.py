"""``bot sweep``: from flags to a verdict, resumable, counted, and honest about what it did not see."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from models.candle_arrays import CandleArrays
from models.trials import read_trials
from tests.random_market import random_candles

DAYS = 8
ROOT = Path(__file__).resolve().parents[3]
NO_HALT = ("--set", "risk.max_drawdown_fraction=1", "--set", "risk.max_daily_loss_fraction=1")
SMALL = ("--engine", "fast", "--jobs", "1", "--folds", "2", "--min-trades", "5", *NO_HALT)


@pytest.fixture(autouse=True)
def state_dir(tmp_path, monkeypatch):
    """A state folder of the test's own."""
    monkeypatch.setenv("BOT_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="module")
def market() -> CandleArrays:
    """Eight days without a gap."""
    return random_candles(3, DAYS * 1440, gaps=False)


@pytest.fixture
def tape(tmp_path, market):
    """Its file."""
    path = tmp_path / "binanceusdm-BTCUSDT-1m-random.parquet"
    pq.write_table(pa.table({field.name: getattr(market, field.name) for field in fields(market)}), path)
    return path


def sweep(capsys, tape: Path, *words: str, predictions: tuple[str, ...] = ("--seed", "1")):
    """Run with --json; exit code, the document, and standard error."""
    code = main(["sweep", "--candles", str(tape), *predictions, *SMALL, *words, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


def foresight(tmp_path: Path, market: CandleArrays) -> tuple[str, ...]:
    """Predictions that know the next quarter of an hour, but for some noise: an edge after costs."""
    later = np.minimum(np.arange(len(market)) + 15, len(market) - 1)
    known = market.close[later] / market.close - 1.0
    said = 0.5 * known + np.random.default_rng(1).normal(0.0, 0.002, len(market))
    path = tmp_path / "foresight.parquet"
    table = pa.table({"ts": market.ts, "expected_return": np.round(said, 6)})
    pq.write_table(table.replace_schema_metadata({"model_id": "oracle", "horizon_minutes": "15"}), path)
    return "--predictions", str(path)


def test_random_predictions_are_no_edge_and_every_point_is_counted(tape, tmp_path, capsys, state_dir):
    """The files are there, the verdict is no edge, and the ledger has each point and the choice, before and after."""
    out = tmp_path / "out"
    code, document, _ = sweep(
        capsys,
        tape,
        "--vary",
        "threshold=0.002,0.004",
        "--vary",
        "stop_loss=0.005:0.01:0.005",
        "--out",
        str(out),
    )
    assert code == 0
    assert {path.name for path in out.iterdir()} == {
        "points.jsonl", "points.parquet", "sweep.html", "sweep.json", "heatmap.png",
    }  # fmt: skip
    assert document == json.loads((out / "sweep.json").read_text())
    assert document["verdict"] == "no_edge"
    assert "lost" in document["sentence"]
    assert (document["points"], document["trials"], document["trials_before"]) == (4, 4, 0)
    assert document["engine"] == "fast"
    trials = read_trials(state_dir / "models")
    assert [trial.kind for trial in trials] == ["sweep"] * 5
    assert [trial.note for trial in trials[:2]] == [
        "threshold=0.002 stop_loss=0.005",
        "threshold=0.002 stop_loss=0.010",
    ]
    assert all(trial.sharpe is not None for trial in trials[:4])
    # The same command looks again: nothing is computed, no point is a new trial, and the figures are the same.
    lines = (out / "points.jsonl").read_bytes()
    code, again, _ = sweep(
        capsys,
        tape,
        "--vary",
        "threshold=0.002,0.004",
        "--vary",
        "stop_loss=0.005:0.01:0.005",
        "--out",
        str(out),
    )
    assert code == 0
    assert again == document
    assert (out / "points.jsonl").read_bytes() == lines
    assert len(read_trials(state_dir / "models")) == 6
    # Another sweep of the same minutes counts what was tried before.
    code, other, _ = sweep(capsys, tape, "--vary", "threshold=0.003,0.006")
    assert code == 0
    assert (other["trials"], other["trials_before"]) == (7, 5)
    assert len(list((state_dir / "sweeps").iterdir())) == 1


def test_an_edge_that_is_there_is_found(tape, tmp_path, market, capsys):
    """Predictions with foresight pay their costs at a sensible threshold: chosen in every fold, and earning out of sample."""
    words = ("--vary", "threshold=0.001,0.003,0.5", "--objective", "expectancy")
    code, document, _ = sweep(capsys, tape, *words, predictions=foresight(tmp_path, market))
    assert code == 0
    assert document["out_of_sample"]["expectancy_bps"] > 5
    assert document["sentence"].startswith("chosen in-sample, the parameters earned")
    assert {fold["point"]["threshold"] for fold in document["folds"]} <= {"0.001", "0.003"}
    # So few days are too few for an interval, and it says so.
    assert document["verdict"] == "not_enough_data"


def test_optuna_searches_a_span_and_settings_too(tape, capsys):
    """A span is Optuna's by default; costs may be varied; each fold has a study of its own."""
    code, document, _ = sweep(
        capsys, tape, "--vary", "threshold=0.002..0.006:log", "--vary", "costs.taker_fee_bps=1,4", "--trials", "4", "--folds", "1"
    )  # fmt: skip
    assert code == 0
    assert document["search"] == "optuna"
    assert (document["trials_a_study"], document["seed"]) == (4, 1)
    assert 4 <= document["points"] <= 8
    assert {one["point"]["costs.taker_fee_bps"] for one in document["best"]} <= {"1", "4"}
    assert all(0.002 <= float(one["point"]["threshold"]) <= 0.006 for one in document["best"])


def test_tables_and_the_verdict_are_printed(tape, capsys):
    """Without --json people read the folds, the figures and the sentence, and where the page is."""
    code = main(
        [
            "sweep",
            "--candles",
            str(tape),
            "--seed",
            "1",
            *SMALL,
            "--vary",
            "threshold=0.003,0.5",
        ]
    )
    printed = capsys.readouterr()
    assert code == 0
    assert "Chosen in sample, scored on the days that follow" in printed.out
    assert "nothing here to trade on." in printed.out
    assert "sweep.html" in printed.out
    assert "points, the exact core on 1 process of this machine" in printed.err
    assert "2 of 2 points" in printed.err


def test_a_combination_that_cannot_be_is_left_out_and_named(tape, capsys):
    """The settings refuse one of the combinations: a warning, and the others are evaluated."""
    words = ("--vary", "rsi_overbought=60,70", "--vary", "rsi_oversold=30,65", "--set", "threshold=0.003")
    code, document, _ = sweep(capsys, tape, *words)
    assert code == 0
    assert document["points"] == 3
    assert document["impossible"][0]["point"] == {"rsi_overbought": "60", "rsi_oversold": "65"}
    assert any("1 combinations cannot be" in words for words in document["warnings"])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "say what to vary"),
        (["--vary", "threshold=1..2", "--search", "grid"], 2, "a span has no grid"),
        (["--vary", "treshold=1,2"], 4, "did you mean threshold"),
        (["--vary", "threshold=-1,-2"], 4, "negative"),
        (["--vary", "costs.fee=1,2"], 4, "costs.fee"),
        (["--vary", "exchange.id=a,b"], 2, "may begin with"),
        (["--vary", "account.starting_cash=1,2"], 2, "all points share it"),
        (["--vary", "costs.funding_rate=0.1,0.2"], 2, "all points share it"),
        (["--vary", "threshold=1,2", "--set", "threshold=3"], 2, "give one of them"),
        (["--vary", "threshold=0.1,0.2", "--folds", "20"], 5, "can't be cut into 20 folds"),
        (["--vary", "threshold=0.1,0.2", "--ray", "127.0.0.1:1"], 1, "no Ray cluster answers"),
        (["--vary", "threshold=0.1,0.2", "--ray", ""], 2, "needs an address"),
    ],
)
def test_bad_input_is_one_sentence(tape, capsys, words, code, sentence):
    """Each has its exit code, and says what to do."""
    found, document, _ = sweep(capsys, tape, *words)
    assert found == code
    assert sentence in document["error"]


def test_a_damaged_ledger_is_found_before_the_work(tape, capsys, state_dir):
    """Nothing is evaluated where the look could not be counted."""
    (state_dir / "models").mkdir(parents=True)
    (state_dir / "models" / "trials.jsonl").write_text("nonsense\n")
    code, document, _ = sweep(capsys, tape, "--vary", "threshold=0.003,0.5")
    assert code == 6
    assert "line 1 is no trial" in document["error"]
    assert not (state_dir / "sweeps").exists()


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(tape, tmp_path):
    """The finished points stay; the second start evaluates the rest and ends like a sweep that was never interrupted."""
    out = tmp_path / "out"
    words = [
        str(Path(sys.executable).with_name("bot")), "sweep", "--candles", str(tape), "--seed", "1", *SMALL,
        "--vary", "threshold=0.002,0.0025,0.003,0.0035,0.004", "--out", str(out),
    ]  # fmt: skip
    environment = {**os.environ, "BOT_STATE_DIR": str(tmp_path / "state")}
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    limit = time.monotonic() + 60
    while not (out / "points.jsonl").exists() and time.monotonic() < limit:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"start the same command again to go on" in said
    kept = len((out / "points.jsonl").read_bytes().splitlines())
    assert 1 <= kept < 5
    assert not (out / "sweep.json").exists()
    ended = subprocess.run(
        [*words, "--json"], cwd=ROOT, env=environment, capture_output=True, timeout=120, check=False
    )
    assert ended.returncode == 0
    assert len((out / "points.jsonl").read_bytes().splitlines()) == 5
    assert json.loads(ended.stdout)["points"] == 5


def test_a_failed_point_ends_the_command_with_1_after_all_others(tape, tmp_path, capsys, monkeypatch):
    """Its reason is named, the files of the others are written, and the document says which it was."""
    from backtests import cluster

    class Broken:
        """Processes one of whose jobs dies."""

        shared: Any = None

        def run(self, jobs: dict[str, Any]):
            from backtests.sweep_point import evaluate_point
            from bot.errors import BotError

            for number, (key, job) in enumerate(jobs.items()):
                yield (
                    key,
                    cluster.Failure(BotError("its process was ended by SIGKILL"))
                    if number == 0
                    else (evaluate_point(self.shared, job)),
                )

        def close(self) -> None:
            """Nothing to end."""

    def broken(work, *, where, shared, **_):
        from contextlib import nullcontext

        made = Broken()
        made.shared = shared
        return nullcontext(made)

    monkeypatch.setattr(cluster, "workers", broken)
    out = tmp_path / "out"
    code, document, error = sweep(capsys, tape, "--vary", "threshold=0.003,0.004", "--out", str(out))
    assert code == 1
    assert document["points"] == 1
    assert document["failed"] == [
        {"point": {"threshold": "0.003"}, "reason": "its process was ended by SIGKILL"}
    ]
    assert "1 of 2 points failed (threshold=0.003: its process was ended by SIGKILL)" in error
    assert (out / "sweep.html").exists()
