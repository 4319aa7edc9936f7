"""Models that must not trade: each is refused with one clear sentence at every door, and the previous model serves."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import numpy_helper

from bot.cli import main
from bot.errors import ModelError
from bot.inference import predict_series
from bot.journal.journal import SqliteJournal
from models import registry
from models.combination import FILE_NAME as COMBINATION_FILE
from models.combination import Combination, Member
from models.features import feature_set
from models.forecaster import load_forecaster
from models.forest import fit_forest, forest_graph
from models.graph_merge import merge_columns
from models.hashing import sha256
from models.passport import FILE_NAME, read_passport
from models.recipe_sections import ForestSection
from models.scaling import fit_scaler
from tests.random_candles import random_candles
from tests.tiny_model import WINDOW, tiny_graph, write_tiny_model

FEATURES = feature_set("scalping-v1")
WIDTH = len(FEATURES.columns)
OLD_MS, NEW_MS = 1_600_000_000_000, 1_700_000_000_000
FILES = (
    "baselines.json",
    "boosting.json",
    "calibration.json",
    "ensemble.json",
    "feature_bins.json",
    "lstm.keras",
    "metrics.json",
    "model.onnx",
    "model_card.md",
    "passport.json",
    "predictions.parquet",
    "recipe.json",
    "scaler.json",
    "training_history.json",
    "training_history.png",
)
"""Every file that an artifact can have."""

TAPE = "binanceusdm-BTCUSDT-1m-day.parquet"


def forest() -> bytes:
    """A small forest's graph."""
    rows = np.random.default_rng(1).normal(size=(2000, WIDTH)).astype(np.float32)
    section = ForestSection(kind="forest", trees=5, max_depth=5, min_leaf=5, max_features=0.5)
    return forest_graph(fit_forest(section, rows, rows[:, 0], seed=1), WINDOW, WIDTH)


def write_ensemble(root: Path) -> Path:
    """A model with every file that there is: an LSTM and a forest, put together."""
    plain = write_tiny_model(root / "plain", created_at_ms=NEW_MS)
    passport, files = registry.read_verified(plain)
    shutil.rmtree(root / "plain")
    members = tuple(Member(name, 1.0, 1.0, 1.0, 0.0, 1.0) for name in ("lstm", "forest"))
    names = {name for name in FILES if name not in files} - {FILE_NAME}
    more = {name: f"the content of {name}".encode() for name in names} | {
        COMBINATION_FILE: Combination("online", members, 0.001, 1.0, 0.001, 1440).to_json(),
        "model.onnx": merge_columns([tiny_graph(WIDTH), forest()]),
    }
    return registry.write_artifact(root, replace(passport, outputs=("lstm", "forest")), files | more)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the champion, and a newer model that the tests break; the newer one is whole here."""
    state = tmp_path_factory.mktemp("pristine")
    root = state / "models"
    registry.set_champion(root, write_tiny_model(root, created_at_ms=OLD_MS).name)
    write_ensemble(root)
    return state


@pytest.fixture
def house(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in use, and its folder of models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOT_STATE_DIR", "state")
    shutil.copytree(pristine, "state")
    return Path("state/models")


def newer(root: Path) -> Path:
    """The model that is not the champion."""
    return root / registry.list_models(root)[-1]


def reseal(folder: Path, **changes: Any) -> None:
    """Make the passport fit what the folder holds by now: every hash and the seal are right again."""
    passport = read_passport((folder / FILE_NAME).read_bytes(), "here")
    hashes = {path.name: sha256(path.read_bytes()) for path in folder.iterdir() if path.name != FILE_NAME}
    scaler = passport.hashes | {"scaler": changes.pop("scaler_hash", passport.hashes["scaler"])}
    (folder / FILE_NAME).write_bytes(replace(passport, files=hashes, hashes=scaler, **changes).to_json())


def flipped(name: str) -> Callable[[Path], None]:
    """One bit in the middle of a file."""

    def harm(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return harm


def missing(name: str) -> Callable[[Path], None]:
    """A file is gone."""
    return lambda folder: (folder / name).unlink()


def stranger(folder: Path) -> None:
    """A file that the passport does not know."""
    (folder / "more.bin").write_bytes(b"x")


def other_scaler(folder: Path) -> None:
    """The scaler of another model of the same columns."""
    rows = np.random.default_rng(1).normal(size=(50, WIDTH))
    (folder / "scaler.json").write_bytes(fit_scaler("standard", FEATURES.columns, rows).to_json())


def other_scaler_sealed(folder: Path) -> None:
    """The same, in a passport whose file hashes fit."""
    other_scaler(folder)
    reseal(folder)


def scaler_of_other_columns(folder: Path) -> None:
    """The scaler of a model of other features, every hash in the passport its own."""
    columns = feature_set("direction-v1").columns
    scaler = fit_scaler("standard", columns, np.random.default_rng(1).normal(size=(50, len(columns))))
    (folder / "scaler.json").write_bytes(scaler.to_json())
    reseal(folder, scaler_hash=scaler.digest())


def scaler_of_zeros(folder: Path) -> None:
    """A scaler that divides by zero, every hash its own."""
    document = json.loads((folder / "scaler.json").read_bytes())
    document["scale"][3] = 0.0
    (folder / "scaler.json").write_text(json.dumps(document))
    reseal(folder)


def other_version(folder: Path) -> None:
    """Features of a version that is not this program's."""
    reseal(folder, features="scalping-v2")


def other_features(folder: Path) -> None:
    """Features that this program has, but not those of the scaler and the graph."""
    reseal(folder, features="direction-v1", columns=feature_set("direction-v1").columns)


def other_target(folder: Path) -> None:
    """A target that this program cannot decode."""
    reseal(folder, target="moon_phase")


def other_window(folder: Path) -> None:
    """The passport of a model with a shorter window."""
    reseal(folder, window=30)


def other_graph(folder: Path) -> None:
    """The graph of a model of other features."""
    (folder / "model.onnx").write_bytes(tiny_graph(6))
    reseal(folder)


def curve_that_is_no_number(folder: Path) -> None:
    """A calibration with a slope that is infinite."""
    document = json.loads((folder / "calibration.json").read_bytes())
    (folder / "calibration.json").write_text(json.dumps(document | {"slope": math.inf}))
    reseal(folder)


def weight_that_is_no_number(name: str, value: float) -> Callable[[Path], None]:
    """One value of a constant of the graph, or of one of its nodes, is not finite; every hash fits."""

    def harm(folder: Path) -> None:
        model = onnx.load_model_from_string((folder / "model.onnx").read_bytes())
        found = [*model.graph.initializer]
        found += [attribute.t for node in model.graph.node for attribute in node.attribute]
        (tensor,) = (one for one in found if one.name.endswith(name))
        values = numpy_helper.to_array(tensor).copy()
        values.flat[-1] = value
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        reseal(folder)

    return harm


DAMAGES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    **{f"flipped {name}": (flipped(name), name, "was altered") for name in FILES},
    **{f"missing {name}": (missing(name), name, "is missing") for name in FILES},
    "a stranger": (stranger, "more.bin", "is not part of this model"),
    "scaler of another model": (other_scaler, "scaler.json", "was altered"),
    "scaler of another model, sealed": (
        other_scaler_sealed,
        "scaler.json",
        "not the scaler that the passport",
    ),
    "scaler of other columns": (scaler_of_other_columns, "scaler.json", "not the scaler that the passport"),
    "scaler of zeros": (scaler_of_zeros, "scaler.json", "a scale that is not positive"),
    "features of another version": (other_version, FILE_NAME, "'scalping-v2' is not known here"),
    "other features": (other_features, "scaler.json", "not the scaler that the passport"),
    "another target": (other_target, FILE_NAME, "'moon_phase' is not known here"),
    "another window": (other_window, "model.onnx", "takes windows of [60, 20], the passport says [30, 20]"),
    "another graph": (other_graph, "model.onnx", "takes windows of [60, 6], the passport says [60, 20]"),
    "a curve of no number": (curve_that_is_no_number, "calibration.json", "negative or not finite"),
    "NaN in a kernel": (weight_that_is_no_number("kernel", math.nan), "model.onnx", "in m0/kernel"),
    "infinity in a kernel": (weight_that_is_no_number("kernel", -math.inf), "model.onnx", "in m0/kernel"),
    "NaN in a leaf": (weight_that_is_no_number("leaves", math.nan), "model.onnx", "in leaves"),
    "NaN in a threshold": (weight_that_is_no_number("thresholds", math.nan), "model.onnx", "in thresholds"),
}
"""What is done to a model, the file that the refusal names, and what it says."""


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one sentence of a command that must end with exit code 6."""
    code = main(list(words))
    printed = capsys.readouterr()
    assert code == 6, printed.err
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def files_of(folder: Path) -> dict[str, str]:
    """Digests of all files below a folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_tape(count: int = 330) -> None:
    """A file of candles in the working folder."""
    arrays = random_candles(count, seed=3)
    names = ("ts", "open", "high", "low", "close", "volume")
    pq.write_table(pa.table({name: getattr(arrays, name) for name in names}), TAPE)


def test_the_newer_model_is_whole_before_it_is_broken(house: Path) -> None:
    """The model that the tests below break loads, forecasts, and has every file that is named there."""
    folder = newer(house)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert len(predict_series(folder, "X/Y", random_candles(330, seed=3)).ts) > 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_model_that_is_not_whole_is_refused_at_every_door(
    house: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Load, verify, promote, backtest and run end with exit code 6 and one sentence; the champion stays and serves."""
    harm, file, said = DAMAGES[damage]
    folder, champion = newer(house), registry.champion(house)
    harm(folder)
    with pytest.raises(ModelError) as fault:
        load_forecaster(folder)
    sentence = str(fault.value)
    assert sentence.startswith(str(folder))
    assert file in sentence
    assert said in sentence
    assert "\n" not in sentence

    write_tape()
    SqliteJournal(Path("state/journal.sqlite")).close()
    before = files_of(Path("state"))
    assert refused(capsys, "models", "verify", folder.name) == sentence
    assert sentence in refused(capsys, "models", "promote", folder.name)
    assert sentence in refused(capsys, "backtest", "--candles", TAPE, "--model", folder.name)
    assert sentence in refused(capsys, "run", "--tape", TAPE, "--model", folder.name)
    after = files_of(Path("state"))
    assert {name: after.get(name) for name in before} == before
    assert all(name.endswith(".lock") for name in after.keys() - before.keys())
    assert registry.champion(house) == champion

    assert len(predict_series(registry.resolve(house), "X/Y", random_candles(330, seed=3)).ts) > 0


def test_a_start_with_a_refused_model_makes_no_journal(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A first start that is refused leaves nothing that the next one would take for a past of its own."""
    flipped("model.onnx")(newer(house))
    write_tape()
    refused(capsys, "run", "--tape", TAPE, "--model", "latest")
    assert not list(Path("state").glob("journal*"))
    assert not Path("state/logs").exists()


def test_the_previous_model_goes_on_trading(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the newest model broken, run and backtest trade by the champion."""
    flipped("model.onnx")(newer(house))
    write_tape()
    words = ["run", "--unproven", "--tape", TAPE, "--speed", "0", "--until-tape-end"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bot", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    made = {row["model_id"] for row in rows if row["event"] == "prediction.made"}
    assert made == {registry.champion(house)}
    assert main(["backtest", "--candles", TAPE, "--engine", "fast", "--json"]) == 0
    assert str(registry.champion(house)) in capsys.readouterr().out


# --- writers that are killed ------------------------------------------------------------------------------

KILLED = """
import io, os, shutil, signal, sys
from dataclasses import replace
from pathlib import Path
from models import champions, registry

left = 0

def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def before(function):
    def stepping(*args, **options):
        step()
        return function(*args, **options)
    return stepping

class Halves:
    def __init__(self, handle):
        self.handle = handle
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.handle.close()
    def __getattr__(self, name):
        return getattr(self.handle, name)
    def write(self, content):
        middle = len(content) // 2
        self.handle.write(content[:middle])
        self.handle.flush()
        step()
        self.handle.write(content[middle:])
        return len(content)

opened = io.open

def opening(file, mode="r", *args, **options):
    step()
    handle = opened(file, mode, *args, **options)
    return handle if mode in {"r", "rb"} else Halves(handle)

action, template, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
newest = template / registry.list_models(template)[-1]
passport, files = registry.read_verified(newest)
for number in range(1, 1000):
    root = out / f"{number:03}"
    shutil.copytree(template, root)
    if action == "write":
        shutil.rmtree(root / newest.name)
    child = os.fork()
    if child == 0:
        io.open = opening
        for name in ("fsync", "rename", "replace", "mkdir", "chmod"):
            setattr(os, name, before(getattr(os, name)))
        left = number
        if action == "write":
            registry.write_artifact(root, passport, files)
        else:
            champions.promote(root, newest.name, at_ms=1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    assert os.WTERMSIG(status) == signal.SIGKILL
sys.exit("it never came to an end")
"""
"""A writer for each moment: killed before its first step, its second, and so on, until one comes to its end."""


def killed(action: str, root: Path, out: Path) -> list[Path]:
    """Folders of models whose writer was killed, one for each moment; the last one's writer was not."""
    out.mkdir()
    words = [sys.executable, "-P", "-c", KILLED, action, str(root), str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(out.iterdir())


def test_a_writer_killed_at_any_moment_leaves_the_champion_and_no_half_model(house: Path) -> None:
    """Whatever is listed is whole, the champion serves, and the next write succeeds and removes what was left."""
    passport, files = registry.read_verified(newer(house))
    *stopped, ended = killed("write", house, Path("killed"))
    assert len(stopped) > 3 * len(FILES)
    assert registry.read_verified(newer(ended)) == (passport, files)
    halves = set()
    for root in stopped:
        listed = registry.list_models(root)
        for model_id in listed:
            assert registry.read_member(root, model_id).model_id == model_id
        champion = registry.resolve(root)
        assert champion.name == registry.champion(root) == registry.list_models(house)[0]
        load_forecaster(champion)
        for workshop in root.glob(f"{registry.WORKSHOP}*"):
            assert passport.model_id not in listed
            there = {path.name: path.read_bytes() for path in workshop.iterdir()}
            halves |= {
                name for name, content in there.items() if 0 < len(content) < len(files.get(name, content))
            }
            if len(there) < len(FILES):
                with pytest.raises(ModelError, match=r"passport\.json is missing"):
                    load_forecaster(workshop)
        if passport.model_id not in listed:
            registry.write_artifact(root, passport, files)
        assert registry.read_verified(newer(root)) == (passport, files)
    assert halves >= set(files)
    assert not list(Path("killed").glob(f"*/{registry.WORKSHOP}*"))


def test_a_promotion_killed_at_any_moment_leaves_a_whole_champion(house: Path) -> None:
    """The champion is the old one or the new one, it loads, and it can be promoted again."""
    old, new = registry.list_models(house)
    seen = []
    for root in killed("promote", house, Path("killed")):
        champion = registry.champion(root)
        assert champion in {old, new}
        seen.append(champion)
        load_forecaster(registry.resolve(root))
        registry.set_champion(root, new)
        assert registry.resolve(root) == root / new
    assert seen == sorted(seen, key=[old, new].index)
    assert set(seen) == {old, new}
