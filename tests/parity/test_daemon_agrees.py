"""The daemon, over real sockets, decides what the engines decide."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bot.cli import main
from models.calibration import Calibration
from models.volatility import VolatilityModel
from tests.shared_data import candle_file
from tests.tiny_model import write_tiny_model


def walk(path: Path, seed: int, *, minutes: int, hole: range = range(0)) -> None:
    """A random market with an outage."""
    generator = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(generator.normal(0, 0.001, minutes))), 2)
    open_ = np.concatenate([close[:1], close[:-1]])
    ts = 1_704_067_200_000 + np.arange(minutes, dtype=np.int64) * 60_000
    columns = {
        "ts": ts,
        "open": open_,
        "high": np.maximum(open_, close) + 0.02,
        "low": np.minimum(open_, close) - 0.02,
        "close": close,
        "volume": generator.integers(1, 100, minutes).astype(np.float64),
    }
    keep = np.array([minute not in hole for minute in range(minutes)])
    pq.write_table(pa.table({name: column[keep] for name, column in columns.items()}), path)


@pytest.fixture
def tapes(tmp_path: Path) -> list[str]:
    """Two perpetuals; one is out for a while, so that some minutes hold one symbol alone."""
    walk(tmp_path / "a.parquet", 1, minutes=700)
    walk(tmp_path / "b.parquet", 2, minutes=700, hole=range(320, 324))
    return [
        "--tape",
        f"BTC/USDT:USDT={tmp_path / 'a.parquet'}",
        "--tape",
        f"ETH/USDT:USDT={tmp_path / 'b.parquet'}",
    ]


def test_with_stored_forecasts_all_have_one_hash(
    tapes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Daemon, replay of its journal, backtrader, the kernel and the fast engine agree, outage and funding included."""
    assert main(["verify-parity", *tapes, "--seed", "3", "--min-trades", "20", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["engines"] == ["fast", "backtrader", "replay", "kernel", "daemon"]
    assert told["candles"] == 1396


def test_with_a_model_streaming_inference_decides_as_the_batch_does(
    tapes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Features, LSTM and volatility candle by candle, over sockets, give the decisions of the vectorised backtest."""
    models = tmp_path / "models"
    spread = VolatilityModel(15, (-4.0, 0.3, 0.2, 0.1, 0.05, -0.05, 0.02, 0.01), 1.1, 0.9)
    extra = {
        "calibration.json": Calibration(1.5, 1000, 0.9, 0.1).to_json(),
        "volatility.json": spread.to_json(),
    }
    folder = write_tiny_model(models, extra=extra)
    words = ["--set", "stop_volatility=2", "--set", "sizing.target_volatility=0.0005"]
    words += ["--model", folder.name, "--models", str(models), "--min-trades", "0", "--json"]
    assert main(["verify-parity", *tapes, *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["engines"][-1] == "daemon"
    assert told["events"] >= 1396


@pytest.mark.slow
def test_on_the_crash_of_may_2021_all_have_one_hash(capsys: pytest.CaptureFixture[str]) -> None:
    """Two real days of BTC, with at least a hundred trades."""
    tape = candle_file("binance-BTCUSDT-1m-2021-04-01_2021-07-31.parquet")
    words = ["--from", "2021-05-18", "--to", "2021-05-20", "--seed", "1", "--min-trades", "100", "--json"]
    assert main(["verify-parity", "--tape", str(tape), *words]) == 0
    assert len(json.loads(capsys.readouterr().out)["engines"]) == 5
