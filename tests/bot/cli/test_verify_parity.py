"""``bot verify-parity``: one hash for all engines, or one sentence that says where they part."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from models.candle_arrays import CandleArrays
from tests.random_market import random_candles

NO_HALT = ["--set", "risk.max_drawdown_fraction=1", "--set", "risk.max_daily_loss_fraction=1"]
IN_PROCESS = ["--engines", "fast,backtrader,replay"]


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


def test_parity_prints_one_hash(tape, capsys):
    """The engines agree on a tape with trades enough, and one hash stands for all."""
    flags = [*IN_PROCESS, *NO_HALT, "--set", "require_macd=false"]
    code, report, _ = run(capsys, "verify-parity", "--tape", str(tape), *flags)
    assert code == 0
    assert len(report["sha256"]) == 64
    assert report["engines"] == ["fast", "backtrader", "replay"]
    assert report["trades"] >= 100
    assert report["warnings"] == []


def test_several_tapes_share_an_account(tape, tmp_path, capsys):
    """SYMBOL=PATH adds a symbol, and the engines still agree."""
    other = write_tape(tmp_path, "other.parquet", random_candles(4, 1000))
    words = ["verify-parity", "--tape", str(tape), "--tape", f"ETH/USDT:USDT={other}", *IN_PROCESS]
    code, report, _ = run(capsys, *words)
    assert code == 0
    assert report["candles"] == len(random_candles(3, 1440)) + len(random_candles(4, 1000))


@pytest.mark.parametrize("plant", ["candle", "fee"])
def test_a_plant_is_found_with_exit_code_8(tape, capsys, plant):
    """A planted candle or fee ends with code 8 and a sentence that names what was planted and what was found."""
    code, failed, _ = run(capsys, "verify-parity", "--tape", str(tape), "--plant", plant, *IN_PROCESS)
    assert code == 8
    assert failed["error"].startswith("planted: the ")
    assert "; found: the " in failed["error"]
    assert "of BTC/USDT:USDT in the minute 2023-11-1" in failed["error"]


def test_too_few_trades_prove_nothing(tape, capsys):
    """Without a trade equality is refused as a proof; with a few it is warned of."""
    words = ["verify-parity", "--tape", str(tape), *IN_PROCESS]
    code, failed, _ = run(capsys, *words, "--set", "threshold=0.9")
    assert code == 5
    assert "equality of nothing proves nothing" in failed["error"]
    code, report, _ = run(capsys, *words, "--set", "threshold=0.02")
    assert code == 0
    assert 0 < report["trades"] < 100
    assert "equality of nothing proves nothing" in report["warnings"][0]


def test_unknown_engines_are_named(tape, capsys):
    """An engine that does not exist, or one alone, is a ConfigError."""
    code, failed, _ = run(capsys, "verify-parity", "--tape", str(tape), "--engines", "fast,nautilus")
    assert code == 4
    assert "nautilus" in failed["error"]
    code, failed, _ = run(capsys, "verify-parity", "--tape", str(tape), "--engines", "fast")
    assert code == 4
    assert "two different engines" in failed["error"]


@pytest.mark.parametrize("plant", ["candle", "fee"])
def test_a_plant_in_the_compiled_kernel_is_found(tape, capsys, plant):
    """Beside the fast engine alone, the kernel is where the difference is planted, and it is named."""
    words = ["verify-parity", "--tape", str(tape), "--engines", "fast,kernel", "--plant", plant]
    code, failed, _ = run(capsys, *words)
    assert code == 8
    assert " in kernel is off by " in failed["error"]
    assert "; found: the " in failed["error"]


def test_the_compiled_kernel_is_left_out_with_a_reason(tape, capsys, monkeypatch):
    """Without its compiler the other engines are compared, and a line says who is missing and why."""
    monkeypatch.setattr("bot.cli.verify_parity._with_daemon", lambda names: names)
    known = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == "numba" else known(name, *more)
    )
    code, report, said = run(capsys, "verify-parity", "--tape", str(tape))
    assert code == 0
    assert report["engines"] == ["fast", "backtrader", "replay"]
    assert "the compiled kernel is left out: numba is not installed" in said


def test_the_compiled_kernel_joins_by_itself(tape, capsys, monkeypatch):
    """Where it can run the input it is compared without being named; where it can't, the sentence says why."""
    monkeypatch.setattr("bot.cli.verify_parity._with_daemon", lambda names: names)
    code, report, said = run(capsys, "verify-parity", "--tape", str(tape))
    assert code == 0
    assert report["engines"] == ["fast", "backtrader", "replay", "kernel"]
    assert "left out" not in said
    capped = ["--set", "risk.max_correlated_notional_fraction=0.5"]
    code, report, said = run(capsys, "verify-parity", "--tape", str(tape), *capped)
    assert code == 0
    assert report["engines"] == ["fast", "backtrader", "replay"]
    assert "left out: it knows no risk.max_correlated_notional_fraction" in said


def test_help_has_an_example(capsys):
    """--help lists the flags and shows an example."""
    assert main(["verify-parity", "--help"]) == 0
    assert "Example: bot verify-parity" in " ".join(capsys.readouterr().out.split())
