"""``bot backtest --walk-forward``: candles in, a curve of whoever would have served out, or one sentence."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import backtest_walk, main
from bot.retraining.served_fits import fit_once
from models.candle_arrays import CandleArrays
from models.trials import read_trials
from tests.served_walk import CANDLES, FIRST_MS, SYMBOL, TRAIN_DAYS

RECIPE = """
name: quick
features: scalping-v1
window: 60
target: {kind: scaled_return, horizon: 1}
scaler: {kind: standard, clip: 8.0}
split: {train: 0.45, early_stop: 0.1, calibrate: 0.35, test: 0.1}
architecture: {kind: forest, trees: 5, max_depth: 5, min_leaf: 200, max_features: 0.4}
training: {stride: 1, seed: 42}
"""
FREE = ["--set", "costs.taker_fee_bps=0", "--set", "costs.half_spread_bps=0", "--set", "costs.slippage_bps=0"]
FREE += ["--set", "threshold=0.00001"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A state folder of the test's own, a tape, and a recipe; fits run in this process, which has TensorFlow's rest loaded."""
    monkeypatch.setenv("BOT_STATE_DIR", str(tmp_path / "state"))

    def here(_):
        def spread(jobs, world, on_done):
            for key, job in jobs.items():
                on_done(key, fit_once(world, job))

        return spread

    monkeypatch.setattr(backtest_walk, "_spread", here)
    _write(tmp_path / "tape.parquet", CANDLES)
    (tmp_path / "quick.yaml").write_text(RECIPE)
    return tmp_path


def _write(path: Path, arrays: CandleArrays) -> None:
    pq.write_table(pa.table({field.name: getattr(arrays, field.name) for field in fields(arrays)}), path)


def words(folder: Path, *more: str) -> list[str]:
    """The command with what every test has in common."""
    return [
        *("backtest", "--walk-forward", "--candles", f"{SYMBOL}={folder / 'tape.parquet'}"),
        *("--recipe", str(folder / "quick.yaml"), "--train-days", str(TRAIN_DAYS), "--max-minutes", "1"),
        *("--schedule", "0 0 * * *", "--engine", "fast", "--weeks", "1"),
        *more,
    ]


def run(capsys, *all_words: str) -> tuple[int, dict[str, Any], str]:
    """Run with --json; exit code, what was printed, and stderr."""
    code = main([*all_words, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


def test_ungated_serves_weekly_models_and_says_so_everywhere(folder, capsys):
    """Summary, warnings and page say UNGATED; each row has its model's time, trades and profit; one line in the ledger."""
    out = folder / "out"
    schedule = f"0 0 {_day(FIRST_MS)},{_day(FIRST_MS + 5 * 86_400_000)} * *"
    code, summary, told = run(
        capsys, *words(folder, "--gate", "off", "--schedule", schedule, "--out", str(out), *FREE)
    )
    assert code == 0, told
    walk = summary["walk_forward"]
    assert walk["gate"] == "off"
    assert "UNGATED" in summary["unproven"]
    assert any("UNGATED" in one for one in summary["warnings"])
    assert summary["models"] == sorted(row["model_id"] for row in walk["retrainings"])
    assert len(summary["models"]) == 2
    assert sum(row["trades"] for row in walk["retrainings"]) == summary["trades"] > 0
    assert sum(row["pnl"] for row in walk["retrainings"]) == pytest.approx(walk["totals"]["pnl"])
    assert walk["fit_minutes"] == 2.0
    assert walk["totals"]["unproven_share"] > 0.99
    page = (out / "report.html").read_text()
    assert "Walk-forward, UNGATED: unproven" in page
    assert json.loads((out / "summary.json").read_text())["walk_forward"] == walk
    (line,) = read_trials(folder / "state" / "models")
    assert (line.kind, line.recipe) == ("walk_forward", "quick")
    assert "gate off" in line.note
    assert not list((folder / "state" / "models").glob("quick-*"))
    decided = [json.loads(text) for text in (out / "decisions.jsonl").read_text().splitlines()]
    assert {row["prediction"]["model_id"] for row in decided if row.get("prediction")} <= set(
        summary["models"]
    )
    assert "fits" in told


def test_gated_with_no_proven_model_is_a_flat_line(folder, capsys):
    """The gate's real rules refuse a week's evidence: nothing is traded, and one sentence says so."""
    schedule = f"0 0 {_day(FIRST_MS)} * *"
    code, summary, told = run(capsys, *words(folder, "--schedule", schedule, *FREE))
    assert code == 0, told
    assert (
        summary["walk_forward"]["sentence"]
        == "the gate refused the only model: nobody served, and nothing was traded"
    )
    assert (summary["trades"], summary["return"], summary["final_equity"]) == (0, 0.0, 10000.0)
    assert set(summary["held_back"]) <= {"no_model", "warming_up"}
    assert "unproven" not in summary
    assert summary["walk_forward"]["retrainings"][0]["refused_because"]


def _day(at_ms: int) -> int:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).day


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        (
            ["--model", "latest"],
            2,
            "--model and --walk-forward: a walk-forward makes its own models; leave one out",
        ),
        (["--seed", "1"], 2, "--seed and --walk-forward"),
        (["--engine", "kernel"], 2, "--engine kernel knows no change of who predicts"),
        (["--recipe", "nonsense"], 4, "nonsense"),
        (["--schedule", "every sunday"], 4, "crontab line"),
        (
            ["--train-days", "100"],
            5,
            "days of candles before the first retraining, and each model is made of 100",
        ),
        (["--from", "2023-11-20", "--to", "2023-11-28"], 2, "--from, --to and --weeks: two of them"),
        (["--set", "nonsense=1"], 4, "nonsense"),
        (["--to", "2020-01-01"], 5, "holds no candles of the time asked for"),
    ],
)
def test_bad_input_is_one_sentence(folder, capsys, more, code, sentence):
    """A flag that contradicts another, a recipe or schedule that is none, too few candles: before anything is fitted."""
    assert main(words(folder, *more)) == code
    told = capsys.readouterr().err.strip()
    assert sentence in told
    assert "Traceback" not in told
    assert not (folder / "state" / "walk-forward-backtests").exists()


@pytest.mark.parametrize(
    "flag", ["--weeks", "--train-days", "--gate", "--cache", "--ray", "--fit-minutes", "--recipe"]
)
def test_its_flags_need_the_walk_forward(folder, capsys, flag):
    """A flag that would be without effect is refused by name."""
    value = {"--gate": "off", "--cache": "x", "--ray": "local", "--recipe": "forest"}.get(flag, "3")
    tape = f"{SYMBOL}={folder / 'tape.parquet'}"
    assert main(["backtest", "--candles", tape, "--seed", "1", flag, value]) == 2
    assert f"{flag} belongs to --walk-forward" in capsys.readouterr().err
