"""The documents' training options on ``bot train``, and where its candles come from."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.training
from bot.candles.store import CandleStore
from bot.cli import main
from bot.cli.train_options import Shorthands
from bot.errors import ModelError, UsageError
from models.candle_arrays import CandleArrays
from models.recipe import load_recipe, recipe_names
from tests.random_candles import random_candles

NAMES = ("ts", "open", "high", "low", "close", "volume")


@pytest.fixture
def given_to_training(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, CandleArrays]]]:
    """The recipe and the candles of each run that was asked for; none is run."""
    runs: list[tuple[Any, dict[str, CandleArrays]]] = []

    def remember(recipe: Any, series: dict[str, CandleArrays], *_: Any, **__: Any) -> None:
        runs.append((recipe, series))
        raise ModelError("not trained in this test")

    monkeypatch.setattr(models.training, "train", remember)
    return runs


def write_csv(path: Path, arrays: CandleArrays, *, order: slice = slice(None)) -> Path:
    """Candles as CSV with a header."""
    rows = zip(*(getattr(arrays, name).tolist() for name in NAMES), strict=True)
    text = "\n".join([",".join(NAMES), *[",".join(map(repr, row)) for row in list(rows)[order]]]) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def same(left: CandleArrays, right: CandleArrays) -> bool:
    """Whether two stretches are equal to the bit."""
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in NAMES)


def test_every_option_reaches_its_field(tmp_path: Path, given_to_training: list[Any]) -> None:
    """Both spellings of each option change the recipe, and --set stands above them."""
    words = ["train", "--candles", f"A/X={write_csv(tmp_path / 'c.csv', random_candles(10, seed=1))}"]
    first = ["--sequence-length", "30", "--horizon", "5", "--batch-size", "64", "--units", "48, 16"]
    second = [
        "--input-seq-length",
        "30",
        "--forecast-horizon",
        "5",
        "--batch-size",
        "64",
        "--lstm-units",
        "48,16",
    ]
    rest = ["--dropout", "0.1", "--learning-rate", "0.00001", "--set", "training.batch_size=128"]
    for spelling in (first, second):
        assert main([*words, *spelling, *rest]) == 6
    for recipe, _ in given_to_training:
        assert (recipe.window, recipe.target.horizon) == (30, 5)
        assert (recipe.training.batch_size, recipe.training.learning_rate) == (128, 1e-5)
        assert (recipe.architecture.units, recipe.architecture.dropout) == ([48, 16], 0.1)
    assert main(words) == 6
    assert given_to_training[-1][0] == load_recipe("scalping")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--units", "64,x"], 2, "--units 64,x"),
        (["--units", "0"], 2, "1 to 4096"),
        (["--dropout", "1"], 2, "--dropout 1"),
        (["--dropout", "nan"], 2, "--dropout nan"),
        (["--learning-rate", "-1"], 2, "--learning-rate -1"),
        (["--sequence-length", "1"], 2, "--sequence-length"),
        (["--horizon", "0"], 2, "--horizon"),
        (["--batch-size", "many"], 2, "--batch-size"),
        (["--set", "window=x"], 4, "window"),
        (["--symbol", "BTC/USDT"], 2, "say which candles"),
        (["--store", "there"], 2, "go with --symbol"),
        (["--exchange", "binance"], 2, "go with --symbol"),
    ],
)
def test_a_value_that_cannot_be_is_refused(
    words: list[str], code: int, sentence: str, tmp_path: Path, given_to_training: list[Any], capsys: Any
) -> None:
    """Each wrong value ends with one sentence that names the option, and nothing is trained."""
    path = write_csv(tmp_path / "c.csv", random_candles(10, seed=1))
    assert main(["train", "--candles", f"A/X={path}", *words]) == code
    assert sentence in capsys.readouterr().err.strip().splitlines()[-1]
    assert given_to_training == []


@given(rate=st.floats(1e-300, 1.0), dropout=st.floats(0.0, 0.999))
def test_numbers_pass_to_the_last_digit(rate: float, dropout: float) -> None:
    """However small, a rate and a share arrive in the recipe as they were given."""
    pairs = Shorthands(learning_rate=rate, dropout=dropout).overrides("scalping")
    recipe = load_recipe("scalping", pairs)
    assert recipe.training.learning_rate == rate
    assert recipe.architecture.dropout == dropout  # type: ignore[union-attr]


def test_units_fit_the_architecture(tmp_path: Path) -> None:
    """Equal layers take one number; a forest has neither units nor dropout, and says so."""
    base = load_recipe("scalping").model_dump(mode="json")
    forest = {"kind": "forest", "trees": 5, "max_depth": 3, "min_leaf": 5, "max_features": 0.5}
    attention = {
        "kind": "attention_multitask",
        "units": 32,
        "layers": 2,
        "heads": 4,
        "dropout": 0.1,
        "head_units": [8],
    }
    target = {"kind": "trend_and_direction", "horizon": 5, "second_horizon": 15}
    training = base["training"] | {"loss": "multitask"}
    trees, network = tmp_path / "trees.yaml", tmp_path / "network.yaml"
    trees.write_text(json.dumps(base | {"architecture": forest}))
    network.write_text(json.dumps(base | {"architecture": attention, "target": target, "training": training}))
    for wish in (Shorthands(units="8"), Shorthands(dropout=0.2)):
        with pytest.raises(UsageError, match=r"forest\) has no"):
            wish.overrides(str(trees))
    assert Shorthands(units="16").overrides(str(network)) == ["architecture.units=16"]
    found = load_recipe(str(network), Shorthands(units="16,16,16").overrides(str(network))).architecture
    assert (found.units, found.layers) == (16, 3)  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="same number of units"):
        Shorthands(units="16,8").overrides(str(network))


@pytest.mark.parametrize("name", ["c.csv", "c.csv.gz", "binance-BTCUSDT-1m-2024.CSV"])
def test_csv_is_read_like_parquet(tmp_path: Path, given_to_training: list[Any], name: str) -> None:
    """A CSV in any order of rows gives the same candles as the Parquet file of them."""
    arrays = random_candles(50, seed=1)
    path = write_csv(tmp_path / name, arrays, order=slice(None, None, -1))
    parquet = tmp_path / "c.parquet"
    pq.write_table(pa.table({column: getattr(arrays, column) for column in NAMES}), parquet)
    for file in (path, parquet):
        assert main(["train", "--candles", f"A/X={file}"]) == 6
        assert same(given_to_training[-1][1]["A/X"], arrays)


def test_bad_rows_of_a_csv_are_named(tmp_path: Path, given_to_training: list[Any], capsys: Any) -> None:
    """The line and the reason are named, and no row of such a file is trained on."""
    path = write_csv(tmp_path / "c.csv", random_candles(50, seed=1))
    lines = path.read_text().splitlines()
    lines[3] = lines[3].rpartition(",")[0] + ",much"
    lines.append(lines[7])
    path.write_text("\n".join(lines))
    assert main(["train", "--candles", f"A/X={path}"]) == 5
    said = capsys.readouterr().err
    assert "c.csv: 2 bad rows (line 4: volume 'much' is not a number" in said
    assert "line 52: ts repeats the minute of line 8" in said
    assert main(["train", "--candles", f"A/X={tmp_path / 'none.csv'}"]) == 5
    (tmp_path / "empty.csv").write_text(",".join(NAMES) + "\n")
    assert main(["train", "--candles", f"A/X={tmp_path / 'empty.csv'}"]) == 5
    assert "it holds no candles" in capsys.readouterr().err
    assert given_to_training == []


def test_stored_candles_are_trained_on(tmp_path: Path, given_to_training: list[Any], capsys: Any) -> None:
    """--exchange, --symbol, --from and --to read the store; what is not there comes with the command to fetch it."""
    arrays = random_candles(600, seed=1)
    CandleStore(tmp_path).write("binance", "BTC/USDT", arrays)
    words = ["train", "--exchange", "binance", "--symbol", "BTC/USDT", "--store", str(tmp_path)]
    assert main(words) == 6
    assert same(given_to_training[-1][1]["BTC/USDT"], arrays)
    assert "fetch" not in capsys.readouterr().err
    assert main([*words, "--from", str(arrays.ts[5]), "--to", str(arrays.ts[9])]) == 6
    assert same(given_to_training[-1][1]["BTC/USDT"], arrays.rows(5, 9))
    assert "fetch" not in capsys.readouterr().err
    assert main([*words, "--from", "2023-11-01"]) == 6
    how = "bot data download --exchange binance --symbol BTC/USDT --from 2023-11-01T00:00:00Z"
    assert f"fetch the rest with: {how} --store {tmp_path}" in capsys.readouterr().err
    count = len(given_to_training)
    assert main([*words, "--from", "2031-01-01", "--to", "2031-02-01"]) == 5
    said = capsys.readouterr().err
    assert "holds no candles of that time; fetch them with: bot data download" in said
    assert "--from 2031-01-01T00:00:00Z --to 2031-02-01T00:00:00Z" in said
    assert main([*words, "--from", "2031-02-01", "--to", "2031-01-01"]) == 2
    assert main(["train", "--symbol", "ETH/USDT:USDT", "--store", str(tmp_path)]) == 5
    assert "--exchange binanceusdm" in capsys.readouterr().err
    assert main(["train"]) == 2
    assert len(given_to_training) == count


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """--list names every recipe with its description, for people and for programs, and needs no candles."""
    assert main(["train", "--list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == recipe_names()
    assert main(["train", "--list"]) == 0
    text = capsys.readouterr().out
    for row in rows:
        assert f"{row['name']}: {' '.join(row['description'].split())}" in text
