"""``bot train``, ``bot evaluate`` and ``bot predict`` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from bot.inference import predict_series
from models.baselines import Baselines
from models.candle_arrays import CandleArrays
from models.trials import read_trials
from tests.planted import planted_candles
from tests.random_candles import random_candles
from tests.tiny_model import write_tiny_model

START = "2023-11-14"


def store(path: Path, arrays: CandleArrays) -> Path:
    """Candles as a Parquet file."""
    names = ("ts", "open", "high", "low", "close", "volume")
    pq.write_table(pa.table({name: getattr(arrays, name) for name in names}), path)
    return path


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    """A thousand candles."""
    return store(tmp_path / "candles.parquet", random_candles(1000, seed=1))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with one model, its baselines included."""
    root = tmp_path / "models"
    write_tiny_model(root, extra={"baselines.json": Baselines(0.5, np.zeros(20), 0.0).to_json()})
    return root


def test_predictions_are_written_as_promised(candles: Path, models: Path, tmp_path: Path) -> None:
    """The file has the columns of the contract, in order of symbol and time, equal to the series' numbers."""
    out = tmp_path / "new" / "predictions.parquet"
    words = ["predict", "--models", str(models), "--out", str(out)]
    words += ["--candles", f"B/X={candles}", "--candles", f"A/X={candles}"]
    assert main(words) == 0
    table = pq.read_table(out)
    assert table.column_names[:3] == ["ts", "expected_return", "probability_up"]
    assert table.column_names[-1] == "symbol"
    assert table.schema.field("ts").type == pa.int64()
    folder = next(models.iterdir())
    expected = predict_series(folder, "A/X", random_candles(1000, seed=1))
    count = len(expected.ts)
    assert table["symbol"].to_pylist() == ["A/X"] * count + ["B/X"] * count
    for name in table.column_names[:4]:
        np.testing.assert_array_equal(table[name].to_numpy()[:count], getattr(expected, name))
    assert table.schema.metadata[b"model_id"].decode() == folder.name
    assert [entry.name for entry in out.parent.iterdir()] == [out.name]


def test_a_stretch_can_be_cut_out(candles: Path, models: Path, tmp_path: Path) -> None:
    """--from and --to keep the candles of that time, the end not included."""
    out = tmp_path / "p.parquet"
    arrays = random_candles(1000, seed=1)
    since, until = "2023-11-15T00:00Z", "2023-11-15T06:00Z"
    words = ["predict", "--models", str(models), "--out", str(out), "--candles", f"A/X={candles}"]
    assert main([*words, "--from", since, "--to", until]) == 0
    found = pq.read_table(out)["ts"].to_numpy()
    day = 1_700_006_400_000
    assert found[0] == day + 299 * 60_000
    assert found[-1] == day + 359 * 60_000 <= arrays.ts[-1]


def test_files_of_one_symbol_are_joined(models: Path, tmp_path: Path) -> None:
    """Two files that follow each other are one series, in whatever order they are given; an overlap is refused."""
    arrays = random_candles(1000, seed=1)
    first = store(tmp_path / "first.parquet", arrays.rows(0, 500))
    second = store(tmp_path / "second.parquet", arrays.rows(500, 1000))
    out = tmp_path / "p.parquet"
    words = ["predict", "--models", str(models), "--out", str(out), "--candles", f"A/X={second}"]
    assert main([*words, "--candles", f"A/X={first}"]) == 0
    assert pq.read_table(out).num_rows == 1000 - 299
    assert main([*words, "--candles", f"A/X={second}"]) == 5


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["predict", "--candles", "A/X=CANDLES", "--out", "OUT", "--model", "none-such"], 6, "none-such"),
        (["predict", "--candles", "A/X=MISSING", "--out", "OUT"], 5, "missing.parquet"),
        (
            ["predict", "--candles", "A/X=CANDLES", "--out", "OUT", "--from", "yesterday"],
            2,
            "--from yesterday",
        ),
        (
            ["predict", "--candles", "A/X=CANDLES", "--out", "OUT", "--from", "2030-01-01"],
            5,
            "no candles of the time",
        ),
        (["predict", "--candles", "A/X=CANDLES", "--out", "OUT", "--to", "2023-11-15"], 5, "no whole window"),
        (["evaluate", "--candles", "A/X=CANDLES", "--from", "2030-01-01"], 5, "no candles of the time"),
        (["train", "--candles", "A/X=CANDLES", "--recipe", "unheard-of"], 4, "unheard-of"),
        (["train", "--candles", "A/X=CANDLES", "--set", "training.batchsize=3"], 4, "training.batchsize"),
        (["train", "--candles", "A/X=CANDLES", "--to", "2023-11-15"], 5, "whole window"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    words: list[str],
    code: int,
    sentence: str,
    candles: Path,
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each mistake ends with its exit code and one line that names it, and nothing is written."""
    monkeypatch.setenv("BOT_STATE_DIR", str(models.parent))
    before = sorted(models.rglob("*"))
    names = {"CANDLES": candles, "MISSING": tmp_path / "missing.parquet", "OUT": tmp_path / "out.parquet"}
    for name, path in names.items():
        words = [word.replace(name, str(path)) for word in words]
    assert main(words) == code
    error = capsys.readouterr().err.strip().split("\n")
    assert sentence in error[-1]
    assert error[-1].startswith("error: ")
    assert not (tmp_path / "out.parquet").exists()
    assert sorted(models.rglob("*")) == before


def test_a_refused_write_keeps_what_was_there(candles: Path, models: Path, tmp_path: Path) -> None:
    """When the disk refuses, the old predictions stay and nothing else is left."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "p.parquet").mkdir()
    words = [
        "predict",
        "--models",
        str(models),
        "--out",
        str(folder / "p.parquet"),
        "--candles",
        f"A/X={candles}",
    ]
    assert main(words) == 1
    assert [entry.name for entry in folder.iterdir()] == ["p.parquet"]


def test_an_evaluation_is_a_table_with_a_sentence(
    candles: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has every baseline and the legacy figures, and ends with a plain sentence; --json has the same."""
    words = ["evaluate", "--models", str(models), "--candles", f"A/X={candles}"]
    assert main(words) == 0
    text = capsys.readouterr().out
    for name in ("model", "persistence", "base rate", "last return's sign", "logistic regression", "legacy"):
        assert name in text
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"]["edge"] == "not_enough_data"
    assert " ".join(text.split()).endswith(report["verdict"]["sentence"])
    assert report["samples"] == 1000 - 299 - 15
    for words_of in ("AUC", "Brier", "ECE", "Theil's U", "net at 2×", "LightGBM is not beside the model"):
        assert words_of in text
    assert "would be needed" in text


def test_an_evaluation_is_written_into_the_ledger_and_charges_the_settings_costs(
    candles: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each look adds a line; the second says that there was one; --config changes what a round trip costs."""
    config = tmp_path / "costs.yaml"
    config.write_text("costs:\n  taker_fee_bps: 10\n")
    words = ["evaluate", "--models", str(models), "--candles", f"A/X={candles}"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["costs"]["round_trip_bps"] == pytest.approx(11.0)
    assert main([*words, "--config", str(config)]) == 0
    text = capsys.readouterr().out
    assert "23 bps a round trip" in text
    assert "1 earlier look at minutes of these, none of another model" in text
    lines = read_trials(models)
    assert [line.kind for line in lines] == ["evaluation", "evaluation"]
    assert lines[0].subject == lines[1].subject
    (models / "trials.jsonl").write_text("damaged\n")
    assert main(words) == 6
    assert "trials.jsonl line 1 is no trial" in capsys.readouterr().err


@pytest.mark.training
def test_a_model_is_trained_and_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``bot train`` stores a model that ``bot models verify`` finds whole and ``bot evaluate`` can measure."""
    path = store(tmp_path / "c.parquet", planted_candles(4000, seed=1))
    root = tmp_path / "state"
    words = [
        "train",
        "--candles",
        f"A/X={path}",
        "--out",
        str(root),
        "--epochs",
        "1",
        "--seed",
        "3",
        "--json",
    ]
    assert main([*words, "--set", "architecture.units=[4]"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["training"]["stopped_because"] == "max_epochs"
    assert main(["models", "verify", "--models", str(root), result["model_id"]]) == 0
    assert main(["evaluate", "--models", str(root), "--candles", f"A/X={path}", "--json"]) == 0
    lines = capsys.readouterr().out
    assert result["report"]["samples"] == json.loads(lines[lines.index("{") :])["samples"]
