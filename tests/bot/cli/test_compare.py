"""``bot compare`` as a person types it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from bot.cli.compare_models import trained_before, was_interrupted
from bot.cli.compare_report import BEGIN, END, check_marks
from bot.errors import UsageError
from models.candle_arrays import CandleArrays
from models.hashing import canonical_json, data_digest
from models.recipe import load_recipe
from models.registry import read_verified, write_artifact
from tests.random_candles import random_candles
from tests.tiny_model import write_tiny_model

CANDLES = 9000
FIRST, SECOND = "tiny-20231114T221320-000007", "other-20231114T221500-000008"


def store(path: Path, arrays: CandleArrays) -> Path:
    """Candles as a Parquet file."""
    names = ("ts", "open", "high", "low", "close", "volume")
    pq.write_table(pa.table({name: getattr(arrays, name) for name in names}), path)
    return path


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A comparison of two small models on random candles of six days, but for --out."""
    folder = tmp_path_factory.mktemp("compare")
    write_tiny_model(folder / "models", seed=7)
    write_tiny_model(folder / "models", seed=8, recipe="other", created_at_ms=1_700_000_100_000)
    candles = store(folder / "candles.parquet", random_candles(CANDLES, seed=1))
    return [
        "compare", "--models", str(folder / "models"), "--model", FIRST, "--model", SECOND,
        "--candles", f"A/X={candles}", "--test-from", "2023-11-18T12:00Z",
    ]  # fmt: skip


@pytest.mark.training
def test_two_models_are_compared_without_training(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON has each forecaster with skill, money and time on the same minutes; the files say the same."""
    out = tmp_path / "out"
    assert main([*words, "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows: dict[str, dict[str, Any]] = {row["name"]: row for row in document["forecasters"]}
    baselines = ["base_rate", "persistence", "last_return_sign", "logistic_regression", "lightgbm"]
    assert list(rows) == [*baselines, FIRST, SECOND]
    assert {row["samples"] for row in rows.values()} == {document["shared_minutes"]}
    assert document["test_from"] == "2023-11-18T12:00:00Z"
    for name in (FIRST, SECOND):
        row = rows[name]
        assert row["best_baseline"] in baselines
        assert row["adds"] is None
        assert "not enough data" in row["verdict"]
        assert row["inference_us"]["low"] <= row["inference_us"]["value"] <= row["inference_us"]["high"]
        assert row["skill"]["auc"]["low"] < row["skill"]["auc"]["high"]
        assert row["net_return"]["trades"] >= 0
    assert rows["base_rate"]["skill"]["slope"] is None
    assert rows["lightgbm"]["net_return"] is not None
    assert rows["persistence"]["net_return"] is None
    assert document["buy_and_hold"]["trades"] is None
    assert json.loads((out / "comparison.json").read_text()) == document
    assert f"**{FIRST}**" in (out / "comparison.md").read_text()


@pytest.mark.training
def test_docs_are_written_between_the_marks_and_the_same_twice(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is outside of the marks stays, the tables stand between them, and a second run changes no byte."""
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    command = [*words, "--out", str(tmp_path / "out"), "--write-docs", str(page)]
    assert main(command) == 0
    once = page.read_bytes()
    shown = capsys.readouterr().out
    assert "Cannot be told" in shown
    assert any("LightGBM" in line and "…" in line for line in shown.splitlines())
    text = once.decode()
    assert text.startswith(f"# Before\n\n{BEGIN}\n\nA/X: trained on 2023-11-14")
    assert text.endswith(f"\n\n{END}\n\nafter\n")
    assert "\nold\n" not in text
    assert (tmp_path / "out" / "comparison.md").read_text().strip() in text
    assert main(command) == 0
    assert page.read_bytes() == once


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        (["--recipe", "unheard-of"], 4, "unheard-of"),
        (["--recipe", "forest", "--set-for", "forest"], 2, "RECIPE:KEY=VALUE"),
        (
            ["--recipe", "forest", "--set-for", "scalping:window=30"],
            2,
            "not among the recipes compared (forest)",
        ),
        (["--recipe", "forest", "--set-for", "forest:architecture.tree=5"], 4, "architecture"),
        (
            ["--test-from", "2030-01-01"],
            5,
            "before --test-from 2030-01-01 00:00: there is nothing to compare on",
        ),
        (["--test-from", "2020-01-01"], 5, "there is nothing to train on"),
        (["--test-from", "2023-11-20"], 5, "at least 2 days"),
        (["--test-from", "soon"], 2, "--test-from soon"),
        (["--strategy", "hope"], 4, "hope"),
        (["--model", "none-such"], 6, "none-such"),
        (["--model", FIRST], 2, "is given twice"),
        (["--write-docs", "PAGE"], 2, "it must hold the lines"),
        (["--write-docs", "PAGE.missing"], 2, "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(
    more: list[str],
    code: int,
    sentence: str,
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each mistake ends with its exit code and one line that names it, and nothing is written."""
    page = tmp_path / "page.md"
    page.write_text("no marks")
    out = tmp_path / "out"
    more = [word.replace("PAGE", str(page)) for word in more]
    assert main([*words, "--out", str(out), *more]) == code
    error = capsys.readouterr().err.strip().split("\n")
    assert error[-1].startswith("error: ")
    assert sentence in error[-1]
    assert not out.exists()
    assert page.read_text() == "no marks"


@pytest.mark.training
def test_a_model_made_from_the_time_compared_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model whose calibrate slice reaches beyond --test-from would be compared in sample."""
    passport, contents = read_verified(write_tiny_model(tmp_path / "first"))
    day = 1_700_352_000_000
    ranges = {name: [day - 3600_000, day] for name in ("train", "early_stop", "calibrate", "test")}
    seen = write_artifact(tmp_path / "models", replace(passport, ranges=ranges, files={}), contents)
    command = [
        "compare",
        "--model",
        str(seen),
        "--out",
        str(tmp_path / "out"),
        *words[words.index("--candles") :],
    ]
    assert main(command) == 5
    assert "a fit, not a forecast" in capsys.readouterr().err


def test_marks_must_stand_once_and_in_order(tmp_path: Path) -> None:
    """A page without both marks, with one doubled, or with them turned around is refused and stays as it is."""
    page = tmp_path / "page.md"
    for text in ("", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}"):
        page.write_text(text)
        with pytest.raises(UsageError, match="once each"):
            check_marks(page, put="tables")
        assert page.read_text() == text


def test_a_model_is_used_again_only_where_recipe_and_candles_agree(tmp_path: Path) -> None:
    """Another recipe, other candles and an interrupted training are reasons to train anew."""
    recipe = load_recipe("forest")
    arrays = random_candles(500, seed=1)
    data = data_digest({"A/X": arrays})
    passport, contents = read_verified(write_tiny_model(tmp_path / "first", recipe="forest"))
    hashes = passport.hashes | {"config": recipe.digest(), "data": data}
    history = {"members": {"lstm": {"stopped_because": "interrupted"}}}
    whole = replace(passport, hashes=hashes, files={})
    broken = replace(whole, model_id="forest-20240101T000000-00000a")
    root = tmp_path / "models"
    contents["training_history.json"] = canonical_json(history)
    write_artifact(root, broken, contents)
    assert was_interrupted(history)
    assert trained_before(root, recipe, data) is None
    contents["training_history.json"] = canonical_json({"stopped_because": "time"})
    folder = write_artifact(root, whole, contents)
    assert trained_before(root, recipe, data) == folder
    assert trained_before(root, recipe, data_digest({"A/X": arrays.rows(0, 400)})) is None
    assert trained_before(root, load_recipe("forest", ["architecture.trees=7"]), data) is None
    (folder / "model.onnx").write_bytes(b"damaged")
    assert trained_before(root, recipe, data) is None
