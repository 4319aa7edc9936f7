"""``bot models inspect`` as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from models import inspection_figures
from models.candle_arrays import CandleArrays
from tests.inspected_model import attentive_model, one_column_model
from tests.planted import planted_candles

CANDLES = planted_candles(900, seed=2)
QUICK = ["--windows", "80", "--repeats", "2"]


def store(path: Path, arrays: CandleArrays) -> Path:
    """Candles as a Parquet file."""
    names = ("ts", "open", "high", "low", "close", "volume")
    pq.write_table(pa.table({name: getattr(arrays, name) for name in names}), path)
    return path


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command with a model that attends, and candles; a state folder of its own."""
    monkeypatch.setenv("BOT_STATE_DIR", str(tmp_path / "var"))
    attentive_model(tmp_path / "models")
    candles = store(tmp_path / "candles.parquet", CANDLES)
    return [
        "models",
        "inspect",
        "latest",
        "--models",
        str(tmp_path / "models"),
        "--candles",
        f"A/X={candles}",
        *QUICK,
    ]


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where matplotlib is missing: quicker."""
    monkeypatch.setattr(inspection_figures, "can_draw", lambda: False)


@pytest.mark.usefixtures("no_pictures")
def test_without_matplotlib(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Where matplotlib is missing, that is said, and the page is there all the same."""
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "there are no PNG files" in text
    assert "inspection.html" in text


def test_tables_and_files(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both tables are printed, and every file lies in the default folder."""
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "return_5" in text
    assert "attention, not attribution" in text
    assert "80 of 586 windows" in text
    (folder,) = (tmp_path / "var" / "inspections").iterdir()
    assert folder.name in text
    assert {entry.name for entry in folder.iterdir()} == {
        "importance.json",
        "importance.png",
        "attention.json",
        "attention.png",
        "prediction.json",
        "prediction.png",
        "inspection.html",
    }


def test_json_holds_everything(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document with importance, attention and forecasts; --at chooses the moment, --out the folder."""
    at = int(CANDLES.ts[500])
    out = tmp_path / "here"
    assert main([*words, "--json", "--out", str(out), "--at", "2023-11-15T06:34Z", "--seed", "3"]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert told.err == ""
    assert document["importance"]["seed"] == 3
    assert document["attention"]["moment_ms"] == document["prediction"]["path"]["made_ts"] == at
    assert sum(step["moment"] for step in document["attention"]["steps"]) == pytest.approx(1.0, abs=1e-5)
    assert all(Path(name).parent == out and Path(name).is_file() for name in document["files"])
    stored = json.loads((out / "importance.json").read_bytes())
    assert stored["columns"] == document["importance"]["columns"]


@pytest.mark.usefixtures("no_pictures")
def test_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of the simulated market is told by its name; in sample only with the flag; the training's time is left out."""
    ts = CANDLES.ts
    ranges = {"train": [int(ts[0]), int(ts[500])], "test": [int(ts[600]), int(ts[890])]}
    one_column_model(tmp_path / "models", ranges=ranges)
    tape = store(tmp_path / "simusdm-BTCUSDT-1m-seed1-1d.parquet", CANDLES)
    words = [
        "models",
        "inspect",
        "--models",
        str(tmp_path / "models"),
        "--candles",
        str(tape),
        *QUICK,
        "--json",
    ]
    out = ["--out", str(tmp_path / "out")]
    assert main([*words, *out]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["simulated_market"] is True
    assert plain["symbols"] == ["BTC/USDT:USDT"]
    assert (plain["in_sample"], plain["left_out"], plain["from_ms"]) == (False, 301, int(ts[600]))
    assert main([*words, *out, "--in-sample"]) == 0
    assert json.loads(capsys.readouterr().out)["in_sample"] is True
    assert "IN SAMPLE" in (tmp_path / "out" / "inspection.html").read_text()


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        (["--symbol", "B/X"], 2, "the candles are of A/X"),
        (["--at", "noon"], 2, "--at noon"),
        (["--at", "2023-11-14T22:20Z"], 5, "--at"),
        (["--repeats", "0"], 2, "repeats"),
        (["--to", "2023-11-15"], 5, "no whole window"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    words: list[str], more: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong words and unfit candles end with their exit code, and nothing is written."""
    assert main([*words, *more]) == code
    assert sentence in capsys.readouterr().err


def test_no_tensorflow(words: list[str]) -> None:
    """The whole command runs without TensorFlow or Keras being imported."""
    script = (
        "import sys; from bot.cli import main; code = main(sys.argv[1:]); "
        "loaded = {'tensorflow', 'keras', 'sklearn', 'onnx'} & set(sys.modules); sys.exit(code or bool(loaded) and str(loaded))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("no_pictures")
def test_one_symbol_of_several(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--symbol looks at one symbol only; without it all are measured, and the first is plotted."""
    other = store(tmp_path / "other.parquet", planted_candles(700, seed=9))
    words = [*words, "--candles", f"B/X={other}", "--json"]
    assert main(words) == 0
    both = json.loads(capsys.readouterr().out)
    assert (both["symbols"], both["prediction"]["symbol"]) == (["A/X", "B/X"], "A/X")
    assert main([*words, "--symbol", "B/X"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert (one["symbols"], one["prediction"]["symbol"]) == (["B/X"], "B/X")
    assert np.isfinite(one["importance"]["log_loss_nats"])
