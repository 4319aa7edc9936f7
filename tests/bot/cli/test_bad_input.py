"""Bad input at the command line: one sentence that names the file and the field, the documented exit code, no harm."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from models.features import FEATURE_SETS
from tests.random_candles import random_candles
from tests.tiny_model import write_tiny_model

NAME = "binanceusdm-BTCUSDT-1m-day.parquet"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder and a state folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOT_STATE_DIR", "state")
    return tmp_path


def columns(count: int = 300) -> dict[str, np.ndarray]:
    """Sound candles by name of column."""
    arrays = random_candles(count, seed=3)
    return {field.name: getattr(arrays, field.name).copy() for field in fields(arrays)}


def write(found: dict[str, np.ndarray], name: str = NAME) -> str:
    """A candle file in the working folder."""
    pq.write_table(pa.table(found), name)
    return name


def sentence(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    """Run a command that must fail with this code; returns the one sentence."""
    found = main(list(words))
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    assert found == code, printed.err
    lines = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert printed.err.splitlines()[-1] == lines[0]
    return lines[0].removeprefix("error: ")


def tree(folder: str) -> dict[str, str]:
    """Digests of all files below a folder."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def test_a_working_folder_that_is_gone_is_no_obstacle(here, tmp_path_factory, monkeypatch, capsys):
    """Whoever stands in a folder that was deleted can still ask."""
    gone = tmp_path_factory.mktemp("gone")
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(["--version"]) == 0
    assert "bot" in capsys.readouterr().out
    monkeypatch.chdir(here)


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("risk:\n  a: [1, 2\ncosts: }\n", "bad.yaml line 3 column 6: malformed YAML"),
        ("risk:\n\ta: 1\n", "bad.yaml line 2 column 1: malformed YAML"),
        ("- 1\n- 2\n", "bad.yaml: the file must hold sections and keys"),
        ("rsk:\n  a: 1\n", "bad.yaml line 1: rsk: unknown key; did you mean risk?"),
        (
            "sizing:\n  equity_fracton: 0.1\n",
            "line 2: sizing.equity_fracton: unknown key; did you mean sizing",
        ),
        (
            "sizing:\n  equity_fraction: -0.1\n",
            "bad.yaml line 2: sizing.equity_fraction: must be greater than 0",
        ),
        ("sizing:\n  equity_fraction: lots\n", "bad.yaml line 2: sizing.equity_fraction: must be a number"),
        ("sizing:\n  equity_fraction: .nan\n", "bad.yaml line 2: sizing.equity_fraction: must be a finite"),
        ("costs:\n  taker_fee_bps: -5\n", "bad.yaml line 2: costs.taker_fee_bps: must be at least 0"),
        ("risk: 5\n", "bad.yaml line 1: risk: must be a section"),
        ("exchange:\n  symbols: []\n", "bad.yaml line 2: exchange.symbols: must not be empty"),
        (
            "exchange:\n  id: binanceusd\n",
            "exchange.id: 'binanceusd' is not one that ccxt can stream; did you mean",
        ),
        (
            "strategy:\n  name: lstm_scalpin\n",
            "bad.yaml line 2: strategy: there is no strategy 'lstm_scalpin'",
        ),
        ("strategy:\n  parameters:\n    treshold: 1\n", "line 3: strategy: lstm_scalping has no parameter "),
        ("strategy:\n  parameters:\n    treshold: 1\n", "did you mean threshold?"),
        (
            "strategy:\n  parameters:\n    threshold: -1\n",
            "line 3: strategy: lstm_scalping.threshold must not be",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_its_line(capsys, text, said):
    """Whatever is wrong in a settings file is one sentence with file, line and field, and exit code 4."""
    Path("bad.yaml").write_text(text, encoding="utf-8")
    assert said in sentence(capsys, 4, "config", "check", "--config", "bad.yaml")


def test_a_daemon_refuses_a_wrong_strategy_before_it_starts_anything(capsys):
    """The parameter and the flag are named, and no state folder is made."""
    said = sentence(capsys, 4, "run", "--set", "strategy.parameters.treshold=1")
    assert said == "flag: strategy: lstm_scalping has no parameter 'treshold': did you mean threshold?"
    assert not Path("state").exists()


# --- candles ----------------------------------------------------------------------------------------------


def swapped() -> dict[str, np.ndarray]:
    """High and low in each other's place."""
    found = columns()
    found["high"], found["low"] = found["low"], found["high"]
    return found


def changed(name: str, row: int, value: float) -> dict[str, np.ndarray]:
    """One value replaced."""
    found = columns()
    found[name][row] = value
    return found


def taken(rows: list[int]) -> dict[str, np.ndarray]:
    """Rows in another choice or order."""
    return {name: values[rows] for name, values in columns().items()}


FAULTS = {
    "swapped columns": (swapped, "high is below low in row 0"),
    "NaN": (lambda: changed("close", 100, np.nan), "close is not a finite number in row 100"),
    "negative price": (lambda: changed("low", 100, -1.0), "row 100"),
    "doubled minute": (lambda: taken([*range(101), *range(100, 300)]), "ts repeats the minute"),
    "not in order": (lambda: taken([*range(50), 51, 50, *range(52, 300)]), "ts is earlier"),
    "between minutes": (
        lambda: changed("ts", 100, columns()["ts"][100] + 500),
        "ts is not on a whole minute",
    ),
    "text": (lambda: columns() | {"close": columns()["close"].astype(str)}, "column close is string"),
    "no column": (lambda: {n: v for n, v in columns().items() if n != "volume"}, "column volume is missing"),
    "no rows": (lambda: taken([]), "it holds no candles"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", [("backtest", "--seed", "1", "--out", "out"), ("train",), ("predict",)])
def test_faulty_candles_are_refused_by_file_and_column(capsys, fault, command):
    """Every command that reads a tape names the file and what is wrong, exits with 5, and writes nothing."""
    make, said = FAULTS[fault]
    words = [*command, "--candles", write(make())]
    if command == ("predict",):
        write_tiny_model(Path("state/models"))
        words += ["--out", "out"]
    told = sentence(capsys, 5, *words)
    assert NAME in told
    assert said in told
    assert not Path("out").exists()


def test_a_hole_in_a_tape_is_no_fault(capsys):
    """An outage of the exchange stays an outage: the backtest runs."""
    tape = write(taken([*range(100), *range(180, 300)]))
    assert main(["backtest", "--candles", tape, "--seed", "1", "--engine", "fast", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["candles"] == 220


@pytest.mark.parametrize("content", [b"", b"hello\n" * 99, None], ids=["empty", "text", "truncated"])
@pytest.mark.parametrize(
    "command", [("backtest", "--seed", "1", "--candles"), ("data", "import"), ("data", "check")]
)
def test_a_file_that_is_no_parquet_is_named(capsys, content, command):
    """A truncated, empty or foreign file is one sentence without the reader's own jargon."""
    whole = Path(write(columns())).read_bytes()
    Path(NAME).write_bytes(whole[: len(whole) // 2] if content is None else content)
    told = sentence(capsys, 5, *command, NAME)
    assert told.startswith(f"{NAME}: ")
    assert "Buffer" not in told


@pytest.mark.parametrize("command", [("data", "check"), ("data", "import")])
def test_a_faulty_file_gives_one_json_document(capsys, command):
    """With --json standard output is one document even when the command fails over what it reports."""
    name = write(changed("close", 100, np.nan))
    assert main([*command, name, "--json"]) == 5
    printed = capsys.readouterr()
    assert json.loads(printed.out)
    assert printed.err.startswith("error: ")


def test_an_end_before_the_start_is_a_usage_error(capsys):
    """The two flags are named."""
    tape = write(columns())
    words = ("--from", "2024-02-01", "--to", "2024-01-01")
    told = sentence(capsys, 2, "backtest", "--candles", tape, "--seed", "1", *words)
    assert told == "--to 2024-01-01 is not after --from 2024-02-01"


# --- predictions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("ts", lambda ts: ts + 7_200_000_000, "no prediction belongs to any candle"),
        ("ts", lambda ts: ts + 30_000, "ts is not on a whole minute in row 0"),
        ("expected_return", lambda _: np.full(300, np.nan), "expected_return is nan in row 0"),
        ("expected_return", lambda _: np.full(300, 5.0), "expected_return is 5.0 in row 0"),
        ("probability_up", lambda _: np.full(300, 1.5), "must be a fraction between 0 and 1"),
    ],
)
def test_faulty_predictions_are_refused(capsys, column, value, said):
    """Predictions that match no candle or are no fractions are named by file, column and row."""
    tape, ts = write(columns()), columns()["ts"]
    found = {"ts": ts, "expected_return": np.zeros(300), "probability_up": np.full(300, 0.5)}
    write(found | {column: value(ts)}, "p.parquet")
    told = sentence(capsys, 5, "backtest", "--candles", tape, "--predictions", "p.parquet")
    assert told.startswith("p.parquet: ")
    assert said in told
    assert ("10 bps" in told) == (column == "expected_return")


# --- models -----------------------------------------------------------------------------------------------


def test_a_model_of_another_feature_set_is_refused(capsys, monkeypatch):
    """A model whose features this program does not compute is named with its passport."""
    folder = write_tiny_model(Path("state/models"))
    monkeypatch.delitem(FEATURE_SETS, "scalping-v1")
    told = sentence(capsys, 6, "models", "verify")
    assert told.startswith(str(folder / "passport.json"))
    assert "the feature set 'scalping-v1' is not known here" in told


def test_an_empty_folder_of_models_says_what_to_do(capsys):
    """A list of nothing is a sentence, and an empty list as JSON."""
    assert main(["models", "list"]) == 0
    assert "No models in" in capsys.readouterr().out
    assert main(["models", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


# --- the daemon's flags -----------------------------------------------------------------------------------


def test_a_tape_is_not_played_on_another_exchange(capsys):
    """--exchange beside --tape is refused instead of being ignored."""
    tape = write(columns())
    assert "--exchange okx" in sentence(capsys, 2, "run", "--tape", tape, "--exchange", "okx")


def test_a_state_folder_that_is_a_file_is_named(capsys):
    """The daemon says which path it cannot use."""
    Path("file").write_text("x", encoding="utf-8")
    tape = write(columns())
    write({"ts": columns()["ts"], "expected_return": np.zeros(300)}, "p.parquet")
    words = ("run", "--tape", tape, "--predictions", "p.parquet", "--state-dir", "file")
    assert "the state folder file can't be written" in sentence(capsys, 1, *words)


# --- a full disk ------------------------------------------------------------------------------------------

CRAMPED = """
import resource, sys
from bot.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
sys.exit(main(sys.argv[1:]))
"""
"""A file may grow to 20,000 bytes: beyond that a write fails, as on a full disk."""


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("data", "import", NAME, "--store", "kept"), "kept/binanceusdm/BTC_USDT_USDT/2023-11.parquet"),
        (("backtest", "--candles", NAME, "--seed", "1", "--engine", "fast", "--out", "kept/out"), "kept/out"),
        (("predict", "--candles", NAME, "--out", "kept/p.parquet"), "kept/p.parquet"),
    ],
)
def test_a_full_disk_is_a_sentence_and_leaves_what_was_stored(words, place):
    """The path is named, the exit code is 1, and every file that was there is the same to the byte."""
    write_tiny_model(Path("state/models"))
    found = columns(4000)
    first = write({name: values[:300] for name, values in found.items()})
    assert main(["data", "import", first, "--store", "kept"]) == 0
    Path("kept/p.parquet").write_bytes(b"older")
    write(found)
    before = tree("kept")
    done = subprocess.run(
        [sys.executable, "-P", "-c", CRAMPED, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert place in done.stderr.splitlines()[-1]
    assert tree("kept") == before


def test_faults_that_cannot_be_used_are_refused(capsys):
    """A plan for an exchange that is not simulated, one that is not there, and one with a wrong entry."""
    assert "--sim-faults belongs to --tape" in sentence(capsys, 2, "run", "--sim-faults", "plan.yaml")
    assert "--tape-goes-on belongs to --tape" in sentence(capsys, 2, "run", "--tape-goes-on")
    assert "plan.yaml: cannot be read" in sentence(capsys, 4, "sim", "--faults", "plan.yaml")
    Path("plan.yaml").write_text("faults: [{match: {route: x}, action: dance}]")
    assert "plan.yaml: faults[0] (fault-0).action.kind: 'dance'" in sentence(
        capsys, 4, "sim", "--faults", "plan.yaml"
    )
